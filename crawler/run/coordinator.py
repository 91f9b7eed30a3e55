"""A crawl by a coordinator: it plans, starts the processes of the shards by a launcher, and joins."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog

from crawler.config import Config
from crawler.errors import AlreadyCommittedError, CannotResumeError, ConfigError, unwrap_group
from crawler.run.engine.base import Launcher
from crawler.run.engine.coordinate import run_shards
from crawler.run.join_run import join_run
from crawler.run.output import join_destination, open_bucket, open_configured_lake, preflight
from crawler.run.planning import RunSize, check_run_conditions
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.run_steps import (
    begun_destination,
    create_plan,
    open_store,
    publish_run,
    released_destination,
    store_time,
)
from crawler.run.shard_attempt import Run
from crawler.run.system import System
from crawler.snapshot import Destination, ObjectStore
from crawler.snapshot.folder.resume import MAX_AGE, START_OVER, age_of
from crawler.snapshot.layout import STAGING, is_snapshot_id, shard_role
from crawler.snapshot.shards.documents import RunPlan
from crawler.snapshot.shards.lease import end_lease
from crawler.snapshot.shards.run_files import RunFiles
from crawler.snapshot.shards.runs import PROCESSES, find_runs
from crawler.snapshot.shards.store import RunStore

OpenLauncher = Callable[[RunPlan], AbstractAsyncContextManager[Launcher]]
_Begin = Callable[
    [PreparedCrawl, ObjectStore | None, RunStore, RunSize, CrawlMonitor],
    AbstractAsyncContextManager[tuple[Run, Destination | None]],
]


async def crawl_with_launcher(
    config: Config,
    size: RunSize,
    open_launcher: OpenLauncher,
    system: System | None = None,
    monitor: CrawlMonitor | None = None,
    *,
    resume: bool = False,
) -> CrawlResult:
    """Crawl once by the processes of a launcher, and commit a snapshot. See `run.crawl`.

    With `resume`, go on with the newest unfinished run of the same configuration: with the shards that have no report.
    """
    monitor = monitor or CrawlMonitor()
    prepared = PreparedCrawl.of(config, system)
    try:
        async with open_bucket(config, prepared.system) as bucket:
            await preflight(config, bucket, prepared.schemas)
            lake = await open_configured_lake(config, bucket, prepared.schemas)
            store = await open_store(config, bucket)
            begin: _Begin = _resume_run if resume else _begin_run
            async with begin(prepared, bucket, store, size, monitor) as (run, destination):
                if destination is not None:
                    lost = await _run_shards(run, open_launcher, monitor)
                else:
                    lost = dict.fromkeys(await _missing(run), "another process has committed the snapshot")
                result = await join_run(prepared, run, monitor, lost=lost, destination=destination)
            return await publish_run(prepared, run, lake, monitor, result)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


async def _run_shards(run: Run, open_launcher: OpenLauncher, monitor: CrawlMonitor) -> dict[int, str]:
    """Run the shards that have no report. Return the lost ones, with the sentences for their scopes."""
    plan, files = run.plan, run.files
    missing = await _missing(run)
    for shard in range(plan.shard_count):
        for account, _, tables in plan.targets(shard):
            monitor.progress.scopes += len(tables)
            monitor.progress.by_account[account.id] += len(tables)
            if account.name:
                monitor.progress.names[account.id] = account.name
            if shard not in missing:
                monitor.progress.scopes_done += len(tables)
                monitor.progress.done_by_account[account.id] += len(tables)

    async def end(shard: int) -> None:
        await end_lease(files.store, files.folder, shard_role(shard))

    async with open_launcher(plan) as launcher:
        lost = await run_shards(launcher, missing, monitor, total=plan.shard_count, on_dead=end, at_once=plan.at_once)
    return {shard: found.message for shard, found in lost.items()}


async def _missing(run: Run) -> list[int]:
    """Return the shards that have no report."""
    reported = await run.files.reported()
    return [shard for shard in range(run.plan.shard_count) if shard not in reported]


@asynccontextmanager
async def _begin_run(
    prepared: PreparedCrawl, bucket: ObjectStore | None, store: RunStore, size: RunSize, monitor: CrawlMonitor
) -> AsyncIterator[tuple[Run, Destination]]:
    """Plan a new run under a key of its own, and hold the output for the block."""
    files = RunFiles.of_key(store, f"{size.engine}-{secrets.token_hex(8)}")
    async with begun_destination(prepared, bucket, monitor, files.key) as destination:
        plan = await create_plan(prepared, files, destination, size, monitor)
        yield Run(plan, files, bucket), destination


@asynccontextmanager
async def _resume_run(
    prepared: PreparedCrawl,
    bucket: ObjectStore | None,
    store: RunStore,
    size: RunSize,  # noqa: ARG001 - as of `_begin_run`
    monitor: CrawlMonitor,
) -> AsyncIterator[tuple[Run, Destination | None]]:
    """Take up the newest unfinished run, and hold the output for the block. Raises CannotResumeError.

    The destination is None if its coordinator was stopped after the commit.
    """
    files, plan = await unfinished_run(prepared, store)
    run = Run(plan, files, bucket)
    try:
        destination = await join_destination(
            prepared.config, bucket, plan.snapshot_id, plan.started_at, prepared.schemas
        )
    except AlreadyCommittedError:
        yield run, None
        return
    async with released_destination(destination, monitor):
        if bucket is None and plan.engine == PROCESSES:
            # They ended with their coordinator, who held the output's lock.
            for shard in await _missing(run):
                await end_lease(store, files.folder, shard_role(shard))
        monitor.can_resume = True
        structlog.get_logger().info("run_resumed", snapshot_id=plan.snapshot_id, shards=plan.shard_count)
        yield run, destination


async def has_unfinished_run(config: Config, system: System | None = None) -> bool:
    """Return whether the newest crawl of the output that isn't committed is a run of several processes."""
    try:
        async with open_bucket(config, system or System()) as bucket:
            if bucket is None and not config.output.path.is_dir():
                return False
            store = await open_store(config, bucket)
            runs = await find_runs(store, await store_time(store))
            newest = max((run.snapshot_id for run in runs if run.joined is None), default="")
            folders = (await store.list_here(STAGING)).folders if bucket is None else []
            # A join that was killed has left a folder of the run's own snapshot.
            return bool(newest) and newest >= max(filter(is_snapshot_id, folders), default="")
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


async def unfinished_run(prepared: PreparedCrawl, store: RunStore) -> tuple[RunFiles, RunPlan]:
    """Return the newest run that isn't joined. Raises CannotResumeError if there is none that may be resumed."""
    runs = [run for run in await find_runs(store, await store_time(store)) if run.snapshot_id and run.joined is None]
    if not runs:
        raise CannotResumeError(f"--resume: the output has no unfinished run; {START_OVER}")
    files = RunFiles(store, runs[0].folder)
    plan = await files.plan()
    if plan is None:
        raise CannotResumeError(f"--resume: the run was removed meanwhile; {START_OVER}")
    if age_of(plan.started_at, plan.clock_skew_s, prepared.clock.now()) > MAX_AGE:
        hours = f"more than {MAX_AGE.total_seconds() / 3600:g} h ago"
        raise CannotResumeError(f"--resume: the unfinished run of {plan.snapshot_id} began {hours}; {START_OVER}")
    try:
        check_run_conditions(plan, prepared)
    except ConfigError as error:
        raise CannotResumeError(f"--resume: {error}") from None
    return files, plan
