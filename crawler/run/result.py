"""The result of a crawl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from crawler import __version__
from crawler.client.client import RequestCounts
from crawler.errors import ExitCode
from crawler.normalizer.redaction import Redaction
from crawler.snapshot import (
    DirectoryEntry,
    LedgerView,
    Manifest,
    ManifestDraft,
)
from crawler.snapshot.manifest import CrawlSelection, SkippedMember
from crawler.snapshot.status import crawl_exit_code

if TYPE_CHECKING:
    from crawler.run.organization import Membership
    from crawler.run.scope import FieldCounts
    from crawler.run.session import Session
    from crawler.snapshot import SnapshotWriter


@dataclass(frozen=True, slots=True)
class CrawlResult:
    """The result of a crawl. `manifest` is None if nothing was committed; `ledger` has every scope either way.

    `not_offered`: product → the regions that an account names and the product lacks. `resumed_scopes` counts scopes
    that an interrupted crawl had finished: `requests` doesn't count theirs.
    """

    exit_code: ExitCode
    snapshot_id: str
    manifest: Manifest | None
    ledger: LedgerView
    requests: RequestCounts
    overhead: Mapping[str, int]
    unknown_fields: Mapping[str, Mapping[str, int]]
    misfit_fields: Mapping[str, Mapping[str, int]]
    started_at: datetime
    finished_at: datetime
    warnings: tuple[str, ...] = ()
    directory: DirectoryEntry | None = None
    left_out: tuple[SkippedMember, ...] = ()
    not_offered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resumed_scopes: int = 0

    @property
    def rows(self) -> int:
        """The number of rows in the snapshot."""
        return sum(entry.rows for entry in self.manifest.tables.values()) if self.manifest else 0


def result_before_commit(
    session: Session,
    writer: SnapshotWriter,
    membership: Membership,
    ledger: LedgerView,
    fields: FieldCounts,
) -> CrawlResult:
    """Return the result of a crawl whose lists have been read, without a manifest."""
    directory, require_complete = membership.directory, session.config.crawl.require_complete
    return CrawlResult(
        crawl_exit_code(ledger.by_status, directory.status if directory else None, require_complete=require_complete),
        writer.snapshot_id,
        None,
        ledger,
        session.client.total,
        {name: counts.requests for name, counts in session.overhead.items()},
        fields.unknown,
        fields.misfits,
        writer.started_at,
        session.clock.now(),
        directory=directory,
        left_out=membership.left_out,
    )


def manifest_draft(
    result: CrawlResult, plan_sha256: str, redaction: Redaction, clock_skew_s: float, selection: CrawlSelection | None
) -> ManifestDraft:
    """Return what the manifest says about the crawl with this result."""
    return ManifestDraft(
        finished_at=result.finished_at,
        version=__version__,
        secrets=redaction.mode,
        fingerprint_key_id=redaction.key_id,
        fingerprint_scope=redaction.scope,
        plan_sha256=plan_sha256,
        clock_skew_s=clock_skew_s,
        unknown_fields=result.unknown_fields,
        overhead=result.overhead,
        directory=result.directory,
        left_out=result.left_out,
        selection=selection,
    )
