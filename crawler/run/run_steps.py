"""The steps of a run that a coordinator and processes that start by themselves have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import anyio
import anyio.to_thread
import msgspec
import structlog

from crawler.config import Config
from crawler.errors import OutputError
from crawler.run.forecast import LEDGER_COLUMNS
from crawler.run.join_run import end_run
from crawler.run.output import begin_destination, open_location, publish
from crawler.run.planning import RunSize, plan_run
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.session import open_session
from crawler.run.shard_attempt import Run
from crawler.run.watchdog import abort_if_stuck
from crawler.snapshot import (
    Destination,
    Lake,
    ObjectStore,
    ScopeRow,
    list_snapshots,
    read_ledger,
    read_manifest,
)
from crawler.snapshot.folder.preflight import make_root
from crawler.snapshot.layout import STAGING
from crawler.snapshot.ledger_file import KNOWN
from crawler.snapshot.output_steps import OutputSteps
from crawler.snapshot.shards.documents import RunPlan
from crawler.snapshot.shards.run_files import RunFiles
from crawler.snapshot.shards.store import FolderStore, RunStore, list_with_time


async def open_store(config: Config, bucket: ObjectStore | None) -> RunStore:
    """Return the store of the run's files. A missing output folder is made. Raises OutputError."""
    if bucket is not None:
        return bucket
    output = config.output
    await anyio.to_thread.run_sync(make_root, output.path, output.umask_bits)
    return FolderStore(output.path, output.umask_bits)


async def store_time(store: RunStore) -> datetime:
    """Return the store's time. Raises OutputError."""
    _, now = await list_with_time(store, STAGING)
    return now


@asynccontextmanager
async def begun_destination(
    prepared: PreparedCrawl, bucket: ObjectStore | None, monitor: CrawlMonitor, key: str
) -> AsyncIterator[Destination]:
    """Acquire the output for a new snapshot, for the block."""
    destination = await begin_destination(prepared.config, bucket, prepared.system, prepared.schemas, key)
    async with released_destination(destination, monitor):
        yield destination


@asynccontextmanager
async def released_destination(destination: Destination, monitor: CrawlMonitor) -> AsyncIterator[None]:
    """Release the output after the block. The run's files stay for a resume until the run is joined."""
    monitor.snapshot_id = destination.snapshot_id
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await destination.abandon()


async def create_plan(
    prepared: PreparedCrawl,
    files: RunFiles,
    destination: Destination,
    size: RunSize,
    monitor: CrawlMonitor,
) -> RunPlan:
    """Plan a run and create its plan; return that of another planner who was faster."""
    log = structlog.get_logger()
    for warning in prepared.warnings:
        log.warning("warning", reason=warning)
    ledger = await _last_ledger(prepared)
    async with open_session(prepared.resolved, prepared.system) as session:
        monitor.requests = session.client.total
        async with abort_if_stuck(prepared.clock, session.dispatcher.next_at, monitor):
            named = destination.snapshot_id, destination.started_at
            plan = await plan_run(prepared, session, files.key, size, named, ledger)
    if plan.snapshot_id != destination.snapshot_id:
        await destination.restamp(OutputSteps(), plan.snapshot_id, plan.started_at)
        plan = msgspec.structs.replace(plan, snapshot_id=destination.snapshot_id)
    monitor.snapshot_id = plan.snapshot_id
    destination.share()
    plan = await files.create_plan(plan)
    monitor.can_resume = True
    for warning in plan.warnings[len(prepared.warnings) :]:
        log.warning("warning", reason=warning)
    log.info("run_planned", snapshot_id=plan.snapshot_id, shards=plan.shard_count, accounts=len(plan.accounts))
    return plan


async def _last_ledger(prepared: PreparedCrawl) -> Iterable[ScopeRow]:
    """Return the ledger of the newest whole snapshot, which is read as it is used; no rows if it can't be opened."""
    try:
        location = await open_location(prepared.config.output.uri, prepared.system, prepared.config)

        def open_ledger() -> Iterable[ScopeRow]:
            chosen = next((entry for entry in list_snapshots(location) if entry.selection is None), None)
            if chosen is None:
                return ()
            return read_ledger(location, read_manifest(location, chosen.snapshot_id)).rows(LEDGER_COLUMNS, KNOWN)

        return await anyio.to_thread.run_sync(open_ledger)
    except OutputError:
        return ()


async def publish_run(
    prepared: PreparedCrawl, run: Run, lake: Lake | None, monitor: CrawlMonitor, result: CrawlResult
) -> CrawlResult:
    """Move the lake's tables, and end the run. The result is certain before."""
    with anyio.CancelScope(shield=True):
        result = await publish(lake, result, prepared.schemas, prepared.keys, {}, monitor)
        try:
            await end_run(run, result)
        except OutputError as error:  # the next process of the run ends it, or a crawl of another day
            structlog.get_logger().warning("run_not_removed", reason=str(error))
    return monitor.finish(result)
