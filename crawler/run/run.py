"""One crawl from the configuration to the commit. This module connects all others.

The order of the steps keeps the output safe. First comes everything that needs no request to the cloud's APIs (catalog,
output), then accounts and regions, then the lists, then the commit. A failure before the commit leaves the output as it
was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from math import inf

import anyio
import structlog

from crawler.config import Config
from crawler.config.resolve import resolve_config
from crawler.config.secrets import register_secrets
from crawler.errors import ConfigError, ExitCode, OutputError, unwrap_group
from crawler.normalizer import DecodePool, Normalizer
from crawler.normalizer.fingerprint_key import load_key
from crawler.normalizer.redaction import Redaction
from crawler.run.admission import Workload
from crawler.run.output import begin_writer, open_bucket, open_configured_lake, preflight, publish, resume_writer
from crawler.run.plan import CrawlPlan, make_plan, parents_by_table, resume_conditions
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult, manifest_draft, result_before_commit
from crawler.run.scheduler import Scheduler
from crawler.run.selection import selection_of, selection_warning
from crawler.run.session import Session, open_session
from crawler.run.system import System
from crawler.run.watchdog import StuckError, TrackedClock, abort_if_stuck
from crawler.snapshot import JournalEntry, ScopeRow, SnapshotWriter
from crawler.snapshot.layout import is_future, started_at
from crawler.snapshot.manifest import CrawlSelection


async def crawl(
    config: Config, system: System | None = None, monitor: CrawlMonitor | None = None, *, resume: bool = False
) -> CrawlResult:
    """Crawl once and commit a snapshot. With `resume`, continue the newest unfinished crawl of the same plan.

    A cancelled crawl keeps its journal for that, and says so in `monitor`. Raises ConfigError and CatalogError before
    any request; CredentialsError if no account's credentials work; OutputBusyError if another crawl holds the output;
    OutputError if the output fails, with nothing committed. If there is nothing to resume, ConfigError gives the
    reason, possibly after the discovery requests. Errors of the cloud are in the result and aren't raised.
    """
    system, monitor = system or System(), monitor or CrawlMonitor()
    clock = TrackedClock(system.clock)
    system = replace(system, clock=clock)
    register_secrets(config, system.secrets, config.proxy.url)
    resolved = resolve_config(config)
    if not resolved.tables:
        raise ConfigError("[crawl] exclude leaves no table of [crawl] tables.")
    redaction, warnings = _redaction(config, system)
    selection = selection_of(resolved)
    narrowed = selection_warning(selection)
    warnings = (*resolved.catalog.warnings, *warnings, *([narrowed] if narrowed else []))
    operations = {table: resolved.catalog.operations[table] for table in resolved.tables}
    schemas = {table: operation.schema for table, operation in operations.items()}
    keys = {table: operation.key for table, operation in operations.items()}
    try:
        async with open_bucket(config, system) as bucket:
            await preflight(config, bucket, resolved.tables)
            lake = await open_configured_lake(config, bucket, resolved.tables)
            begin = resume_writer if resume else begin_writer
            writer = await begin(config, bucket, system, schemas, keys)
            async with _released(writer, monitor), open_session(resolved, system) as session:
                run = CrawlRun(session, writer, redaction, clock, monitor, selection, warnings)
                result = await run.run()
                # The lake's tables are a part of the result: they move even if the crawl is cancelled after its commit.
                with anyio.CancelScope(shield=True):
                    result = await publish(lake, result, schemas, keys, writer.statistics)
                return monitor.finish(result)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


def _redaction(config: Config, system: System) -> tuple[Redaction, tuple[str, ...]]:
    """Return the redaction of `[output] secrets` and the warnings about it. Raises ConfigError."""
    key = config.output.fingerprint_key
    try:
        secret = load_key(key.reveal() if key else "", system.state_folder)
    except OutputError as error:
        raise ConfigError(f"[output] secrets: {error}") from None
    warnings = []
    if config.output.secrets == "keep":
        warnings.append("secrets are kept in clear, as [output] secrets asks; the snapshot is marked so")
    elif secret is None and config.output.secrets == "fingerprint":
        warnings.append(f"no fingerprint key can be kept under {system.state_folder}: secrets are masked instead")
    output, secrets = config.output, system.secrets
    if secret is not None:
        secrets.add(secret.decode("utf-8", "surrogateescape"))
    redaction = Redaction(output.secrets, output.unknown, secret, scope=output.fingerprint_scope, literals=secrets)
    return redaction, tuple(warnings)


@asynccontextmanager
async def _released(writer: SnapshotWriter, monitor: CrawlMonitor) -> AsyncIterator[None]:
    """Release the output after the block. A crawl that was cancelled or stuck leaves its journal for `resume`."""
    monitor.snapshot_id = writer.snapshot_id
    try:
        yield
    except BaseException as error:
        if isinstance(unwrap_group(error), (anyio.get_cancelled_exc_class(), StuckError)):
            with anyio.CancelScope(shield=True):
                monitor.can_resume = await writer.leave_unfinished()
        raise
    finally:
        await writer.abandon()


class CrawlRun:
    """The part of a crawl that talks to the cloud, and the commit."""

    def __init__(
        self,
        session: Session,
        writer: SnapshotWriter,
        redaction: Redaction,
        clock: TrackedClock,
        monitor: CrawlMonitor,
        selection: CrawlSelection | None,
        warnings: tuple[str, ...],
    ) -> None:
        self._session = session
        self._writer = writer
        self._redaction = redaction
        self._clock = clock
        self._monitor = monitor
        self._selection = selection
        self._warnings = warnings
        self._log = structlog.get_logger()

    async def run(self) -> CrawlResult:
        """Plan, read the lists, commit. Raises as `make_plan`; StuckError if nothing moves before the commit."""
        for warning in self._warnings:
            self._log.warning("warning", reason=warning)
        self._monitor.requests = self._session.client.total
        async with abort_if_stuck(self._clock, self._session.dispatcher.next_at, self._monitor):
            plan = await make_plan(self._session)
            await self._restamp()
            finished = await self._open_journal(plan)
            scheduler = await self._read_lists(plan, finished)
        return await self._commit(plan, scheduler, resumed_scopes=len(finished))

    async def _restamp(self) -> None:
        """Give a new snapshot the ID and the start by the corrected clock. Nothing is staged or stored of it yet."""
        skew_s = self._session.clock.skew_s
        if skew_s:
            await self._writer.restamp(timedelta(seconds=skew_s))
            self._monitor.snapshot_id = self._writer.snapshot_id

    async def _open_journal(self, plan: CrawlPlan) -> list[JournalEntry]:
        """Return the scopes that an unfinished crawl had finished, if this crawl resumes it."""
        resolved = self._session.resolved
        conditions = resume_conditions(resolved, self._redaction)
        parents = parents_by_table(resolved.catalog, resolved.tables)
        finished = await self._writer.open_journal(plan.sha256, conditions, parents)
        if finished:
            self._log.info("crawl_resumed", snapshot_id=self._writer.snapshot_id, scopes=len(finished))
        return finished

    async def _read_lists(self, plan: CrawlPlan, finished: list[JournalEntry]) -> Scheduler:
        session, resolved, clock = self._session, self._session.resolved, self._clock
        missing = {"not_offered": {key: list(regions) for key, regions in plan.not_offered.items()}}
        self._log.info(
            "crawl_started",
            snapshot_id=self._writer.snapshot_id,
            targets=len(plan.targets),
            **(missing if plan.not_offered else {}),
        )
        scheduler = Scheduler(
            Workload(
                resolved.catalog,
                plan.targets,
                resolved.tables,
                resolved.details,
                resolved.parameter_settings,
                finished,
            ),
            session.client,
            session.dispatcher,
            self._normalizers(),
            self._writer,
            session.clock,
            self._monitor.progress,
        )
        self._monitor.time_left_s = scheduler.time_left_s
        deadline_s = resolved.config.crawl.deadline_s or inf
        if deadline_s < inf:
            session.client.deadline_at = clock.monotonic() + deadline_s
        await scheduler.run(deadline_s)
        return scheduler

    def _normalizers(self) -> dict[str, Normalizer]:
        catalog, snapshot_id = self._session.catalog, self._writer.snapshot_id
        needed = catalog.with_parents(self._session.resolved.tables)
        pool = DecodePool()
        return {table: Normalizer(catalog.operations[table], self._redaction, snapshot_id, pool) for table in needed}

    async def _commit(self, plan: CrawlPlan, scheduler: Scheduler, resumed_scopes: int) -> CrawlResult:
        """Commit the snapshot, unless the exit code says that there is nothing to commit."""
        session, writer, ledger = self._session, self._writer, scheduler.ledger
        result = result_before_commit(session, writer, plan.membership, ledger, scheduler.fields)
        result = replace(
            result,
            warnings=(*self._warnings, *session.warnings),
            not_offered=plan.not_offered,
            resumed_scopes=resumed_scopes,
        )
        for row in ledger.not_whole():
            self._log_incomplete(row)
        if result.exit_code == ExitCode.FAILURE:
            return result
        draft = manifest_draft(result, plan.sha256, self._redaction, session.clock.skew_s, self._selection)
        future = await self._future_latest()
        replaced = future if future and is_future(future, session.clock.now()) else ""
        manifest = await writer.commit(replace(draft, replaced_latest=replaced), ledger)
        self._monitor.committed_id = manifest.snapshot_id
        if future and manifest.can_be_latest:
            result = replace(result, warnings=(*result.warnings, self._warn_of_future(future, replaced)))
        self._log.info("snapshot_committed", snapshot_id=manifest.snapshot_id, status=manifest.status)
        return replace(result, manifest=manifest)

    async def _future_latest(self) -> str:
        """Return the ID in LATEST if its crawl would have begun after now; else an empty string."""
        named = await self._writer.destination.latest()
        return named if named and started_at(named) > self._session.clock.now() else ""

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
