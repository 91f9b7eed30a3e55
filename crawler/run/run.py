"""One crawl from the configuration to the commit. This module connects all others.

The order of the steps keeps the output safe. First comes everything that needs no request to the cloud's APIs (catalog,
output), then accounts and regions, then the lists, then the commit. A failure before the commit leaves the output as it
was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf

import anyio
import structlog

from crawler.config import Config
from crawler.errors import unwrap_group
from crawler.run.gaps import accepted_warnings, mark_ledger, open_marker
from crawler.run.join import Join, JoinTerms, account_entries
from crawler.run.output import begin_writer, open_bucket, open_configured_lake, preflight, publish, resume_writer
from crawler.run.plan import CrawlPlan, make_plan
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.session import Session, open_session
from crawler.run.shard import ShardCrawl
from crawler.run.system import System
from crawler.run.watchdog import StuckError, abort_if_stuck
from crawler.snapshot import Ledger, LedgerView, SnapshotWriter


async def crawl(
    config: Config, system: System | None = None, monitor: CrawlMonitor | None = None, *, resume: bool = False
) -> CrawlResult:
    """Crawl once and commit a snapshot. With `resume`, continue the newest unfinished crawl of the same plan.

    A cancelled crawl keeps its journal for that, and says so in `monitor`. Raises ConfigError and CatalogError before
    any request; CredentialsError if no account's credentials work; OutputBusyError if another crawl holds the output;
    OutputError if the output fails, with nothing committed. If there is nothing to resume, ConfigError gives the
    reason, possibly after the discovery requests. Errors of the cloud are in the result and aren't raised.
    """
    monitor = monitor or CrawlMonitor()
    prepared = PreparedCrawl.of(config, system)
    schemas, keys, system = prepared.schemas, prepared.keys, prepared.system
    try:
        async with open_bucket(config, system) as bucket:
            await preflight(config, bucket, schemas)
            lake = await open_configured_lake(config, bucket, schemas)
            begin = resume_writer if resume else begin_writer
            writer = await begin(config, bucket, system, schemas, keys)
            async with _released(writer, monitor), open_session(prepared.resolved, system) as session:
                if resume:  # the crawl that was stopped may have used up the bursts a moment ago
                    session.client.spend_bursts()
                result = await CrawlRun(prepared, session, writer, monitor).run()
                # The lake's tables are a part of the result: they move even if the crawl is cancelled after its commit.
                with anyio.CancelScope(shield=True):
                    result = await publish(lake, result, schemas, keys, writer.statistics, monitor)
                return monitor.finish(result)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


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
    """A crawl in this process: the plan, its one shard, and the commit."""

    def __init__(
        self, prepared: PreparedCrawl, session: Session, writer: SnapshotWriter, monitor: CrawlMonitor
    ) -> None:
        self._prepared = prepared
        self._session = session
        self._writer = writer
        self._monitor = monitor

    async def run(self) -> CrawlResult:
        """Plan, read the lists, commit. Raises as `make_plan`; StuckError if nothing moves before the commit."""
        for warning in self._prepared.warnings:
            structlog.get_logger().warning("warning", reason=warning)
        session, writer = self._session, self._writer
        self._monitor.requests = session.client.total
        async with abort_if_stuck(self._prepared.clock, session.dispatcher.next_at, self._monitor):
            plan = await make_plan(session)
            await self._restamp()
            shard = ShardCrawl(self._prepared, session, writer, self._monitor)
            missing = {"not_offered": {key: list(regions) for key, regions in plan.not_offered.items()}}
            deadline_s = session.config.crawl.deadline_s or inf
            result = await shard.run(plan.targets, plan.sha256, deadline_s, **(missing if plan.not_offered else {}))
        join = Join(writer.destination, writer.buffer, self._prepared.schemas, self._monitor)
        terms = await self._terms(plan, result.ledger)
        return await join.commit(terms, result, lambda: writer.finish(result.ledger))

    async def _restamp(self) -> None:
        """Give a new snapshot the ID and the start by the corrected clock. Nothing is staged or stored of it yet."""
        skew_s = self._session.clock.skew_s
        if skew_s:
            await self._writer.restamp(timedelta(seconds=skew_s))
            self._monitor.snapshot_id = self._writer.snapshot_id

    async def _terms(self, plan: CrawlPlan, ledger: LedgerView) -> JoinTerms:
        """Mark the gaps of the ledger, and return the terms of the commit."""
        prepared, writer = self._prepared, self._writer
        places = ((target.target.account_id, target.target.region_id, target.tables) for target in plan.targets)
        warnings = accepted_warnings(prepared, writer.destination.started_at, places)
        marker = await open_marker(prepared, writer.snapshot_id, writer.destination.started_at)
        assert isinstance(ledger, Ledger), "the ledger of a crawl in this process is in memory"
        if ledger.open_by_account:
            await mark_ledger(marker, ledger.revise)
        warnings += marker.warnings()
        members = {account.id for account in plan.membership.members}
        return JoinTerms(
            plan.sha256,
            self._prepared.redaction,
            self._prepared.config.crawl.require_complete,
            plan.membership.directory,
            plan.membership.left_out,
            plan.not_offered,
            self._prepared.selection,
            (*prepared.warnings, *warnings),
            accounts=account_entries(
                (target.target.account_id, target.account_name, target.target.account_id in members)
                for target in plan.targets
            ),
            accepted=marker.entries(),
        )
