"""One crawl, whole: the one place that wires everything else together.

The order is what makes it safe: everything that can be judged without the network first (catalog, output), then who
the accounts are and where, then the lists, then the commit. Whatever fails in between leaves the output as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf

import anyio
import anyio.to_thread
import structlog

from crawler import __version__
from crawler.config import Config
from crawler.config.resolve import open_catalog, parameter_settings
from crawler.errors import ConfigError, OutputError, bare
from crawler.normalizer import Normalizer
from crawler.normalizer.fingerprint_key import load_key
from crawler.normalizer.redaction import Redaction
from crawler.run.output import begin_writer, open_bucket, open_configured_lake, preflight, publish, resume_writer
from crawler.run.plan import CrawlPlan, conditions, families, make_plan, plan_sha256
from crawler.run.progress import CrawlMonitor
from crawler.run.result import EXIT_NOTHING, CrawlResult, exit_code_of
from crawler.run.scheduler import Scheduler
from crawler.run.session import Session, open_session
from crawler.run.system import System
from crawler.run.watchdog import StuckError, TrackedClock, watch_progress
from crawler.snapshot import (
    JournalEntry,
    ManifestDraft,
    ScopeRow,
    SnapshotWriter,
)


async def crawl(
    config: Config, surroundings: System | None = None, watch: CrawlMonitor | None = None, *, resume: bool = False
) -> CrawlResult:
    """Crawl once and commit a snapshot; with `resume`, go on with the newest crawl of the same plan that never ended.

    Cancelled, it leaves what it has for that, and says so in `watch`. Raises ConfigError and CatalogError before any
    request; CredentialsError where no account's credentials work; OutputBusyError where another crawl holds the output;
    OutputError where the output fails, with nothing committed. Where there is nothing to go on with, ConfigError says
    why, perhaps after the discovery requests. Whatever the cloud does wrong is in the result, not raised.
    """
    surroundings, watch = surroundings or System(), watch or CrawlMonitor()
    clock = TrackedClock(surroundings.clock)
    surroundings = replace(surroundings, clock=clock)
    catalog = open_catalog(config)
    tables = catalog.select(config.crawl.tables, config.crawl.exclude)
    if not tables:
        raise ConfigError("[crawl] exclude leaves no table of [crawl] tables.")
    catalog.select_details(config.crawl.details, tables)
    redaction, warnings = _redaction(config, surroundings)
    warnings = (*catalog.warnings, *warnings)
    try:
        async with open_bucket(config, surroundings) as bucket:
            await preflight(config, bucket, tables)
            lake = await anyio.to_thread.run_sync(open_configured_lake, config, bucket)
            schemas = {table: catalog.operations[table].schema for table in tables}
            begin = resume_writer if resume else begin_writer
            writer = await begin(config, bucket, surroundings, schemas)
            watch.snapshot_id = writer.snapshot_id
            try:
                async with open_session(config, catalog, surroundings) as session:
                    watch.requests = session.client.total
                    whole = _Crawl(session, surroundings, clock, writer, redaction, tables, warnings)
                    return await publish(lake, await whole.run(watch), schemas)
            except BaseException as error:
                if isinstance(bare(error), (anyio.get_cancelled_exc_class(), StuckError)):
                    watch.can_resume = writer.leave_unfinished()
                raise
            finally:
                await writer.abandon()
    except BaseExceptionGroup as group:
        raise bare(group) from None


def _redaction(config: Config, surroundings: System) -> tuple[Redaction, tuple[str, ...]]:
    key = config.output.fingerprint_key
    try:
        secret = load_key(key.reveal() if key else "", surroundings.state_folder)
    except OutputError as error:
        raise ConfigError(f"[output] secrets: {error}") from None
    warnings = []
    if config.output.secrets == "keep":
        warnings.append("secrets are kept in clear, as [output] secrets asks; the snapshot is marked so")
    elif secret is None and config.output.secrets == "fingerprint":
        warnings.append(f"no fingerprint key can be kept under {surroundings.state_folder}: secrets are masked instead")
    return Redaction(config.output.secrets, config.output.unknown, secret), tuple(warnings)


class _Crawl:
    """The part of a crawl that talks to the cloud, and the commit."""

    def __init__(
        self,
        session: Session,
        surroundings: System,
        clock: TrackedClock,
        writer: SnapshotWriter,
        redaction: Redaction,
        tables: Sequence[str],
        warnings: tuple[str, ...],
    ) -> None:
        self._session = session
        self._surroundings = surroundings
        self._clock = clock
        self._writer = writer
        self._redaction = redaction
        self._tables = tables
        self._plan_sha256 = ""
        self._taken_over = 0
        self._warnings = warnings
        self._log = structlog.get_logger()

    async def run(self, watch: CrawlMonitor) -> CrawlResult:
        for warning in self._warnings:
            self._log.warning("warning", reason=warning)
        async with self._watched(watch):
            plan = await make_plan(self._session, self._surroundings, self._tables)
            scheduler = await self._read(plan, watch)
        return await self._conclude(scheduler, plan)

    @asynccontextmanager
    async def _watched(self, watch: CrawlMonitor) -> AsyncIterator[None]:
        """Raises StuckError where nothing moves in the block any more."""
        clock, dispatcher = self._clock, self._session.dispatcher

        def marks() -> tuple[int, ...]:
            return watch.requests.requests, watch.progress.scopes_done, watch.progress.rows

        def last_due() -> float:
            next_at = dispatcher.next_at()
            return max(clock.last_due(), -inf if next_at is None else next_at)

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch_progress, marks, last_due, clock.inner, watch.on_stuck)
                yield
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise bare(group) from None

    async def _read(self, plan: CrawlPlan, watch: CrawlMonitor) -> Scheduler:
        session, config = self._session, self._session.config
        details = session.catalog.select_details(config.crawl.details, self._tables)
        finished = await self._open_journal(plan, details)
        self._log.info("crawl_started", snapshot_id=self._writer.snapshot_id, targets=len(plan.targets))
        scheduler = Scheduler(
            session.catalog,
            plan.targets,
            self._tables,
            session.client,
            session.dispatcher,
            self._normalizers(),
            self._writer,
            self._surroundings.clock,
            parameter_settings(config),
            watch.progress,
            details,
            finished,
        )
        watch.time_left_s = scheduler.time_left_s
        deadline_s = config.crawl.deadline_s or inf
        if deadline_s < inf:
            session.client.deadline_at = self._surroundings.clock.monotonic() + deadline_s
        await scheduler.run(deadline_s)
        return scheduler

    async def _open_journal(self, plan: CrawlPlan, details: Collection[str]) -> list[JournalEntry]:
        """What an unfinished crawl had finished, where this one goes on with it."""
        catalog, config = self._session.catalog, self._session.config
        self._plan_sha256 = plan_sha256(catalog, plan.targets, self._tables)
        same = conditions(config, self._redaction, details)
        finished = await self._writer.open_journal(self._plan_sha256, same, families(catalog, self._tables))
        self._taken_over = len(finished)
        if finished:
            self._log.info("crawl_resumed", snapshot_id=self._writer.snapshot_id, scopes=len(finished))
        return finished

    def _normalizers(self) -> dict[str, Normalizer]:
        catalog, snapshot_id = self._session.catalog, self._writer.snapshot_id
        needed = catalog.with_parents(self._tables)
        return {table: Normalizer(catalog.operations[table], self._redaction, snapshot_id) for table in needed}

    async def _conclude(self, scheduler: Scheduler, plan: CrawlPlan) -> CrawlResult:
        session, ledger, members = self._session, scheduler.ledger, plan.membership
        exit_code = exit_code_of(ledger, members.directory, require_complete=session.config.crawl.require_complete)
        overhead = {name: tally.requests for name, tally in session.overhead.items()}
        finished_at = self._surroundings.clock.now()
        draft = ManifestDraft(
            finished_at=finished_at,
            version=__version__,
            secrets=self._redaction.mode,
            fingerprint_key_id=self._redaction.key_id,
            plan_sha256=self._plan_sha256,
            clock_skew_s=session.client.clock_skew_s,
            unknown_fields=scheduler.unknown_fields,
            overhead=overhead,
            directory=members.directory,
            left_out=members.left_out,
        )
        manifest = None
        for row in ledger.not_whole():
            self._log_incomplete(row)
        if exit_code != EXIT_NOTHING:
            manifest = await self._writer.commit(draft, ledger)
            self._log.info("snapshot_committed", snapshot_id=manifest.snapshot_id, status=manifest.status)
        return CrawlResult(
            exit_code,
            self._writer.snapshot_id,
            manifest,
            ledger,
            session.client.total,
            overhead,
            scheduler.unknown_fields,
            self._writer.started_at,
            finished_at,
            self._warnings,
            members.directory,
            members.left_out,
            self._taken_over,
        )

    def _log_incomplete(self, row: ScopeRow) -> None:
        self._log.info(
            "scope_not_complete",
            account_id=row.account_id,
            region_id=row.region_id,
            table=row.table,
            status=str(row.status),
            code=row.error_code,
            reason=row.error_message,
            request_id=row.request_id,
        )
