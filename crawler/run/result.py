"""The result of a crawl, and its exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from crawler import __version__
from crawler.client.client import RequestCounts
from crawler.normalizer.redaction import Redaction
from crawler.snapshot import (
    DirectoryEntry,
    Ledger,
    Manifest,
    ManifestDraft,
    ScopeRow,
    is_whole,
    status_of,
)
from crawler.snapshot.manifest import SkippedMember

if TYPE_CHECKING:
    from crawler.run.organization import Membership
    from crawler.run.session import Session
    from crawler.snapshot import SnapshotWriter

EXIT_COMPLETE, EXIT_NOTHING, EXIT_PARTIAL = 0, 1, 3


@dataclass(frozen=True, slots=True)
class CrawlResult:
    """How a crawl came out. `manifest` is None where nothing was committed; `ledger` has every scope either way.

    `resumed_scopes` were finished by a crawl that this one went on with: `requests` doesn't count theirs.
    """

    exit_code: int
    snapshot_id: str
    manifest: Manifest | None
    ledger: Sequence[ScopeRow]
    requests: RequestCounts
    overhead: Mapping[str, int]
    unknown_fields: Mapping[str, Mapping[str, int]]
    started_at: datetime
    finished_at: datetime
    warnings: tuple[str, ...] = ()
    directory: DirectoryEntry | None = None
    left_out: tuple[SkippedMember, ...] = ()
    resumed_scopes: int = 0

    @property
    def rows(self) -> int:
        """Rows in the snapshot."""
        return sum(entry.rows for entry in self.manifest.tables.values()) if self.manifest else 0


def result_before_commit(
    session: Session,
    writer: SnapshotWriter,
    membership: Membership,
    ledger: Ledger,
    unknown_fields: Mapping[str, Mapping[str, int]],
) -> CrawlResult:
    """Return the result of a crawl whose lists have been read, without a manifest."""
    require_complete = session.config.crawl.require_complete
    return CrawlResult(
        exit_code_of(ledger, membership.directory, require_complete=require_complete),
        writer.snapshot_id,
        None,
        ledger,
        session.client.total,
        {name: counts.requests for name, counts in session.overhead.items()},
        unknown_fields,
        writer.started_at,
        session.system.clock.now(),
        directory=membership.directory,
        left_out=membership.left_out,
    )


def manifest_draft(result: CrawlResult, plan_sha256: str, redaction: Redaction, clock_skew_s: float) -> ManifestDraft:
    """Return what the manifest says about the crawl with this result."""
    return ManifestDraft(
        finished_at=result.finished_at,
        version=__version__,
        secrets=redaction.mode,
        fingerprint_key_id=redaction.key_id,
        plan_sha256=plan_sha256,
        clock_skew_s=clock_skew_s,
        unknown_fields=result.unknown_fields,
        overhead=result.overhead,
        directory=result.directory,
        left_out=result.left_out,
    )


def exit_code_of(ledger: Ledger, directory: DirectoryEntry | None, *, require_complete: bool) -> int:
    """Return the exit code that a crawl with this ledger has."""
    if status_of(ledger, directory) == "complete":
        return EXIT_COMPLETE if ledger else EXIT_NOTHING
    if require_complete or not any(map(is_whole, ledger.by_status)):
        return EXIT_NOTHING
    return EXIT_PARTIAL
