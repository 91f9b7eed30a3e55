"""Commits one snapshot from the results of its shards: the last step of every crawl."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from crawler import __version__
from crawler.errors import ExitCode
from crawler.normalizer.redaction import Redaction
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.shard import ShardResult
from crawler.snapshot import Destination, DirectoryEntry, ManifestDraft, PartFile, commit_snapshot
from crawler.snapshot.layout import is_future, started_at
from crawler.snapshot.ledger import judged_statuses
from crawler.snapshot.manifest import AcceptedEntry, AccountEntry, CrawlSelection, ShardEntry, SkippedMember
from crawler.snapshot.output_steps import OutputSteps
from crawler.snapshot.status import crawl_exit_code, is_whole

if TYPE_CHECKING:
    from typing import Any

# Finishes the parts of a snapshot, and returns those of each table that has any.
FinishParts = Callable[[], Awaitable[Mapping[str, Sequence[PartFile]]]]


@dataclass(frozen=True, slots=True)
class JoinTerms:
    """The terms of a commit: they come from the plan and the configuration, not from the shards.

    `warnings` are those of the plan. `shards` is empty for a crawl in one process.
    """

    plan_sha256: str
    redaction: Redaction
    require_complete: bool
    directory: DirectoryEntry | None = None
    left_out: tuple[SkippedMember, ...] = ()
    not_offered: Mapping[str, tuple[str, ...]] | None = None
    selection: CrawlSelection | None = None
    warnings: tuple[str, ...] = ()
    shards: tuple[ShardEntry, ...] = ()
    accounts: tuple[AccountEntry, ...] = ()
    accepted: tuple[AcceptedEntry, ...] = ()


class Join:
    """One commit into an acquired destination. `schemas` are those of the tables to write."""

    def __init__(
        self, destination: Destination, steps: OutputSteps, schemas: Mapping[str, Any], monitor: CrawlMonitor
    ) -> None:
        self._destination = destination
        self._steps = steps
        self._schemas = schemas
        self._monitor = monitor
        self._log = structlog.get_logger()

    async def commit(self, terms: JoinTerms, shards: ShardResult, finish: FinishParts) -> CrawlResult:
        """Commit the snapshot, unless the exit code says that there is nothing to commit.

        `shards` is the sum of all shards. Raises as `commit_snapshot`.
        """
        result = result_of(terms, shards, self._destination.snapshot_id, self._destination.started_at)
        if result.exit_code in {ExitCode.FAILURE, ExitCode.UNREACHABLE}:
            return result
        self._steps.raise_if_failed()
        files = await finish()
        future = await self._future_latest(shards.finished_at)
        replaced = future if future and is_future(future, shards.finished_at) else ""
        draft = _draft(terms, shards, replaced)
        manifest = await commit_snapshot(self._destination, self._steps, self._schemas, draft, shards.ledger, files)
        self._monitor.committed_id = manifest.snapshot_id
        if future and manifest.can_be_latest:
            result = replace(result, warnings=(*result.warnings, self._warn_of_future(future, replaced)))
        self._log.info("snapshot_committed", snapshot_id=manifest.snapshot_id, status=manifest.status)
        return replace(result, manifest=manifest)

    async def _future_latest(self, now: datetime) -> str:
        """Return the ID in LATEST if its crawl would have begun after now; else an empty string."""
        named = await self._destination.latest()
        return named if named and started_at(named) > now else ""

    def _warn_of_future(self, future: str, replaced: str) -> str:
        """Say what becomes of LATEST: it leaves a snapshot that is more than an hour ahead, `replaced`."""
        wrong = f"{future}, which the clock of its crawl put into the future"
        reason = (
            f"LATEST named {wrong}; it names this snapshot now: set the clock of the machine that wrote it"
            if replaced
            else f"LATEST names {wrong}; it and the lake's tables stay there until a crawl begins later: "
            "set the clock of the machine that wrote it"
        )
        self._log.warning("warning", reason=reason)
        return reason


def result_of(terms: JoinTerms, shards: ShardResult, snapshot_id: str, started: datetime) -> CrawlResult:
    """Return the result of a crawl whose lists have been read, without a manifest. It began at `started`."""
    directory = terms.directory.status if terms.directory else None
    statuses = set(shards.ledger.by_status)
    is_unanswered = not any(map(is_whole, statuses)) and any(cause.is_unanswered for cause in shards.ledger.causes)
    return CrawlResult(
        crawl_exit_code(
            judged_statuses(shards.ledger),
            directory,
            require_complete=terms.require_complete,
            is_unanswered=is_unanswered,
        ),
        snapshot_id,
        None,
        shards.ledger,
        shards.requests,
        shards.overhead,
        shards.unknown_fields,
        shards.misfit_fields,
        started,
        shards.finished_at,
        warnings=tuple(dict.fromkeys((*terms.warnings, *shards.warnings))),
        directory=terms.directory,
        left_out=terms.left_out,
        not_offered=terms.not_offered or {},
        resumed_scopes=shards.resumed_scopes,
    )


def account_entries(accounts: Iterable[tuple[str, str, bool]]) -> tuple[AccountEntry, ...]:
    """Return the accounts of the manifest, by ID, from their IDs, names, and whether they are members."""
    return tuple(
        AccountEntry(id=account_id, name=name, source="member" if is_member else "configured")
        for account_id, name, is_member in sorted(set(accounts))
    )


def _draft(terms: JoinTerms, shards: ShardResult, replaced: str) -> ManifestDraft:
    """Return what the manifest says about the crawl."""
    return ManifestDraft(
        finished_at=shards.finished_at,
        version=__version__,
        secrets=terms.redaction.mode,
        fingerprint_key_id=terms.redaction.key_id,
        fingerprint_scope=terms.redaction.scope,
        plan_sha256=terms.plan_sha256,
        clock_skew_s=shards.clock_skew_s,
        unknown_fields=shards.unknown_fields,
        overhead=shards.overhead,
        directory=terms.directory,
        left_out=terms.left_out,
        selection=terms.selection,
        replaced_latest=replaced,
        shards=terms.shards,
        accounts=terms.accounts,
        accepted=terms.accepted,
    )
