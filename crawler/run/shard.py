"""Reads the lists of one shard: all targets of a crawl in one process, or those of one of several processes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

import structlog

from crawler.client.client import RequestCounts
from crawler.normalizer import DecodePool, Normalizer
from crawler.run.accepted import AcceptedRules
from crawler.run.admission import Workload
from crawler.run.plan import parents_by_table, resume_conditions
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.scheduler import Scheduler
from crawler.run.session import Session
from crawler.run.targets import TargetPlan
from crawler.snapshot import JournalEntry, LedgerView, ScopeRow, ShardWriter

# Causes with a line of the log each, and names in one of them.
_MOST_CAUSES, _MOST_NAMES = 20, 5


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of a shard's lists: its scopes, counts of fields by table and path, and of requests.

    `overhead` counts the requests outside of tables. `clock_skew_s` was added to the machine's time for `finished_at`.
    `resumed_scopes` counts the scopes that an interrupted crawl had finished: `requests` doesn't count theirs.
    """

    ledger: LedgerView
    unknown_fields: Mapping[str, Mapping[str, int]]
    misfit_fields: Mapping[str, Mapping[str, int]]
    requests: RequestCounts
    overhead: Mapping[str, int]
    warnings: tuple[str, ...]
    finished_at: datetime
    clock_skew_s: float = 0.0
    resumed_scopes: int = 0


class ShardCrawl:
    """Reads all lists of some targets into a writer. Call `run` once."""

    def __init__(self, prepared: PreparedCrawl, session: Session, writer: ShardWriter, monitor: CrawlMonitor) -> None:
        self._redaction = prepared.redaction
        self._clock = prepared.clock
        self._session = session
        self._writer = writer
        self._monitor = monitor
        self._log = structlog.get_logger()

    async def run(
        self, targets: Sequence[TargetPlan], plan_sha256: str, deadline_s: float = inf, **described: object
    ) -> ShardResult:
        """Read the lists, or those that the crawl that this one resumes hasn't read. Raises OutputError.

        `described` are fields of the log's event `crawl_started`. At the deadline, open scopes are `not_attempted`.
        """
        finished = await self._open_journal(plan_sha256)
        self._log.info("crawl_started", snapshot_id=self._writer.snapshot_id, targets=len(targets), **described)
        scheduler = self._scheduler(targets, finished)
        self._monitor.time_left_s = scheduler.time_left_s
        if deadline_s < inf:
            self._session.client.deadline_at = self._clock.monotonic() + deadline_s
        await scheduler.run(deadline_s)
        self._log_gaps(scheduler.ledger)
        session = self._session
        return ShardResult(
            scheduler.ledger,
            scheduler.fields.unknown,
            scheduler.fields.misfits,
            session.client.total,
            {name: counts.requests for name, counts in session.overhead.items()},
            tuple(session.warnings),
            session.clock.now(),
            session.clock.skew_s,
            len(finished),
        )

    async def _open_journal(self, plan_sha256: str) -> list[JournalEntry]:
        """Return the scopes that an unfinished crawl had finished, if this crawl resumes it."""
        resolved = self._session.resolved
        conditions = resume_conditions(resolved, self._redaction)
        parents = parents_by_table(resolved.catalog, resolved.tables)
        finished = await self._writer.open_journal(plan_sha256, conditions, parents)
        if finished:
            self._log.info("crawl_resumed", snapshot_id=self._writer.snapshot_id, scopes=len(finished))
        return finished

    def _scheduler(self, targets: Sequence[TargetPlan], finished: Sequence[JournalEntry]) -> Scheduler:
        session, resolved = self._session, self._session.resolved
        return Scheduler(
            Workload(
                resolved.catalog,
                targets,
                resolved.tables,
                resolved.details,
                resolved.parameter_settings,
                finished,
                AcceptedRules(session.config.accepted, session.clock.now().date()),
            ),
            session.client,
            session.dispatcher,
            self._normalizers(),
            self._writer,
            session.clock,
            self._monitor.progress,
        )

    def _normalizers(self) -> dict[str, Normalizer]:
        catalog, snapshot_id = self._session.catalog, self._writer.snapshot_id
        needed = catalog.with_parents(self._session.resolved.tables)
        pool = DecodePool()
        return {table: Normalizer(catalog.operations[table], self._redaction, snapshot_id, pool) for table in needed}

    def _log_gaps(self, ledger: LedgerView) -> None:
        """Log one line for each cause of scopes that aren't whole. Each scope has a line at the level debug."""
        causes = ledger.causes
        for cause in causes[:_MOST_CAUSES]:
            self._log.info(
                "scopes_not_complete",
                scopes=cause.scopes,
                status=str(cause.status),
                code=cause.error_code,
                reason=cause.message,
                messages=cause.messages,
                accounts=_named(cause.labels),
                regions=_named(cause.regions),
                tables=_named(cause.tables),
            )
        if others := causes[_MOST_CAUSES:]:
            self._log.info("scopes_not_complete", scopes=sum(cause.scopes for cause in others), causes=len(others))
        if self._log.is_enabled_for(logging.DEBUG):
            for row in ledger.not_whole():
                self._log_incomplete(row)

    def _log_incomplete(self, row: ScopeRow) -> None:
        self._log.debug(
            "scope_not_complete",
            account_id=row.account_id,
            **({"account_name": row.account_name} if row.account_name else {}),
            region_id=row.region_id,
            table=row.table,
            status=str(row.status),
            code=row.error_code,
            reason=row.error_message,
            request_id=row.request_id,
        )


def _named(names: Collection[str]) -> str:
    """Return some of the names, and the number of the others."""
    shown = ", ".join(sorted(names)[:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
