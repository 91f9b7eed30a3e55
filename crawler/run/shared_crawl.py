"""A crawl by processes that start by themselves: each takes part in the run of a key, by files in the output's store.

The first one plans, each crawls its shard, and the one that finds all reports joins. `commit_run` is for a run whose
last process was stopped, or which has lost a shard for good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import structlog

from crawler.config import Config
from crawler.errors import (
    ConfigError,
    LeaseHeldError,
    OutputBusyError,
    UnknownRunError,
)
from crawler.run.join_run import join_run
from crawler.run.output import open_bucket, open_configured_lake, preflight
from crawler.run.planning import RunSize, check_run_conditions
from crawler.run.preparation import PreparedCrawl
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.run_steps import (
    begun_destination,
    create_plan,
    open_store,
    publish_run,
    store_time,
)
from crawler.run.shard_attempt import Run, crawl_shard, held_lease
from crawler.run.system import System
from crawler.snapshot import ObjectStore
from crawler.snapshot.folder.resume import MAX_AGE
from crawler.snapshot.layout import PLAN_ROLE
from crawler.snapshot.manifest import CrawlSelection
from crawler.snapshot.shards.documents import JoinedRun, RunPlan
from crawler.snapshot.shards.run_files import RunFiles
from crawler.snapshot.shards.runs import (
    AttemptState,
    RunState,
    active_at,
    find_run,
    named_run,
    raise_if_busy,
)

_LOOK_S = 2.0
_ONE_FOLDER = (
    "the output is a folder: processes of other machines share the run only if they have the same folder, on a shared "
    "file system; else each makes a run of its own, which ends without a snapshot"
)


@dataclass(frozen=True, slots=True)
class ShardEnd:
    """The end of a shard in this process. `was_reported`: its report was there before.

    `missing` is how many shards of the run have no report yet. `joined` is the result of the run if this process has
    joined it.
    """

    shard: int
    was_reported: bool = False
    missing: int = 0
    joined: CrawlResult | None = None


class SharedCrawl:
    """The part of a process in a run: `open_shared` opens it for a key, `crawl` crawls one shard after the other."""

    def __init__(self, prepared: PreparedCrawl, run: Run, *, joins: bool) -> None:
        self.prepared = prepared
        self.run = run
        self._joins = joins

    async def crawl(self, shard: int, monitor: CrawlMonitor) -> ShardEnd:
        """Crawl a shard, and join the run if it was the last one. Raises as `crawl_shard` and `join_run`."""
        plan, files = self.run.plan, self.run.files
        end = ShardEnd(shard, not await crawl_shard(self.prepared, self.run, shard, monitor))
        if not self._joins:
            return end
        if not end.was_reported:
            log = structlog.get_logger()
            log.info("shard_reported", snapshot_id=plan.snapshot_id, shard=shard, attempt=monitor.attempt)
        if missing := plan.shard_count - len(await files.reported()):
            return replace(end, missing=missing)
        try:
            return replace(end, joined=await _join_and_publish(self.prepared, self.run, monitor))
        except LeaseHeldError:  # another process joins it
            return end


@asynccontextmanager
async def open_shared(
    config: Config,
    key: str,
    total: int,
    system: System,
    on_plan: Callable[[], Awaitable[object]],
    *,
    is_child: bool = False,
) -> AsyncIterator[SharedCrawl | JoinedRun]:
    """Take part in the run of a key for the block. Plan it, if no process has.

    `total` is the number of shards. `on_plan` is awaited before this process plans. `is_child`: the process of a
    coordinator, which plans and joins. A run that is over is given as such. Raises OutputBusyError if another run is
    at work, ConfigError for other terms than the plan's.
    """
    if not is_child and config.output.secrets == "fingerprint" and config.output.fingerprint_key is None:
        raise ConfigError(
            "--shard needs [output] fingerprint_key: each machine would make a key of its own, and equal secrets would "
            "look different; set it from the environment on all of them"
        )
    prepared = PreparedCrawl.of(config, system)
    async with open_bucket(config, prepared.system) as bucket:
        files = RunFiles.of_key(await open_store(config, bucket), key)
        if (joined := await files.joined()) is not None:
            _check_age(prepared, joined)
            yield joined
            return
        plan = await files.plan() if is_child else await _shared_plan(prepared, bucket, files, total, on_plan)
        if plan is None:
            raise ConfigError(f"the output has no plan of the run {key!r}")
        if plan.shard_count != total:
            raise ConfigError(
                f"the run {key!r} has {plan.shard_count} shards, not {total}; give all processes of a run one number"
            )
        check_run_conditions(plan, prepared)
        yield SharedCrawl(prepared, Run(plan, files, bucket), joins=not is_child)


def _check_age(prepared: PreparedCrawl, joined: JoinedRun) -> None:
    """Raise ConfigError for a key of another night: this process would do nothing, and seem to have crawled."""
    if prepared.clock.now() - joined.finished_at > MAX_AGE:
        raise ConfigError(
            f"--run {joined.key!r} is the key of snapshot {joined.snapshot_id}, which is over; give each run a key of "
            "its own, such as its date"
        )


async def _check_activity(prepared: PreparedCrawl, files: RunFiles, plan: RunPlan) -> None:
    """Raise ConfigError for a run that was left alone for hours: what its shards have read is of another night.

    A run may take longer than that, as long as some process is at work on it.
    """
    if prepared.clock.now() - plan.started_at <= MAX_AGE:
        return
    found = await files.store.list(files.folder)
    if found and await store_time(files.store) - active_at(found) > MAX_AGE:
        raise ConfigError(
            f"--run {plan.key!r} is the key of snapshot {plan.snapshot_id}, whose run was left more than "
            f"{MAX_AGE.total_seconds() / 3600:g} h ago; give each run a key of its own, such as its date, and commit "
            f"what that one has by `snapshots commit {plan.snapshot_id} --partial`"
        )


async def _shared_plan(
    prepared: PreparedCrawl,
    bucket: ObjectStore | None,
    files: RunFiles,
    total: int,
    on_plan: Callable[[], Awaitable[object]],
) -> RunPlan:
    """Return the plan of a run. The first process plans, the others wait for it."""
    while True:
        await raise_if_busy(files.store, files.key)
        plan = await files.plan()
        if plan is not None:
            await _check_activity(prepared, files, plan)
            return plan
        run = await find_run(files.store, files.key, await store_time(files.store))
        if run is None or run.planner is None or not run.planner.is_alive:
            with suppress(LeaseHeldError):
                return await _plan_first(prepared, bucket, files, total, on_plan)
        await prepared.clock.sleep(_LOOK_S)


async def _plan_first(
    prepared: PreparedCrawl,
    bucket: ObjectStore | None,
    files: RunFiles,
    total: int,
    on_plan: Callable[[], Awaitable[object]],
) -> RunPlan:
    """Plan under a lease. Raises LeaseHeldError if another process plans."""
    async with held_lease(files, PLAN_ROLE, prepared.clock, "the plan of the run"):
        if (plan := await files.plan()) is not None:
            return plan
        await raise_if_busy(files.store, files.key)
        await preflight(prepared.config, bucket, prepared.schemas)
        await on_plan()
        if bucket is None:
            structlog.get_logger().warning("warning", reason=_ONE_FOLDER)
        monitor = CrawlMonitor()
        async with begun_destination(prepared, bucket, monitor, files.key) as destination:
            return await create_plan(prepared, files, destination, RunSize(total, total), monitor)


async def commit_run(
    config: Config, name: str, system: System, monitor: CrawlMonitor, *, partial: bool
) -> CrawlResult | JoinedRun:
    """Join the run of a key, a snapshot ID or a UTC date. A run that is over is given as such.

    With `partial`, shards without a report are given up. Raises UnknownRunError, MissingShardsError if a shard has no
    report, OutputBusyError if a process is at work on one that is to be given up, and the errors of a commit.
    """
    prepared = PreparedCrawl.of(config, system)
    async with open_bucket(config, prepared.system) as bucket:
        store = await open_store(config, bucket)
        state = await named_run(store, name, await store_time(store))
        if state is None:
            raise UnknownRunError(f"the output has no run {name!r}; give its key, the ID of its snapshot, or its date")
        files = RunFiles(store, state.folder, state.key)
        if (joined := await files.joined()) is not None:
            return joined
        plan = await files.plan()
        if plan is None:
            raise UnknownRunError(f"the run {name!r} has no plan; {state.problem or 'its planner has ended'}")
        prepared = _as_planned(prepared, plan)
        check_run_conditions(plan, prepared)
        lost = _given_up(state, plan) if partial else {}
        return await _join_and_publish(prepared, Run(plan, files, bucket), monitor, lost)


async def _join_and_publish(
    prepared: PreparedCrawl, run: Run, monitor: CrawlMonitor, lost: Mapping[int, str] | None = None
) -> CrawlResult:
    """Join a run, and move the lake's tables of its format. Raises as `join_run`."""
    await preflight(prepared.config, run.bucket, prepared.schemas)
    lake = await open_configured_lake(prepared.config, run.bucket, prepared.schemas)
    result = await join_run(prepared, run, monitor, lost=lost)
    return await publish_run(prepared, run, lake, monitor, result)


def _as_planned(prepared: PreparedCrawl, plan: RunPlan) -> PreparedCrawl:
    """Return the preparation with the options of the command line that the run was planned with. Raises ConfigError."""
    chosen = plan.selection or CrawlSelection()
    config = prepared.config.with_overrides(
        accounts=chosen.accounts or (),
        regions=chosen.regions or (),
        tables=chosen.tables or (),
        output_format=plan.output_format,
        publish=chosen.published,
    )
    return PreparedCrawl.of(config, prepared.system)


def _given_up(state: RunState, plan: RunPlan) -> dict[int, str]:
    """Return the shards without a report, with the sentences for their scopes."""
    found = {}
    for shard in state.shards:
        if shard.status == "reported":
            continue
        last, what = shard.last, f"shard {shard.number} of {plan.shard_count}"
        if shard.status == "running" and last is not None:
            raise OutputBusyError(f"{what} is at work on {last.host}; wait for it, or stop it")
        found[shard.number] = f"{what} {_tried(last)}; the user committed the run without it"
    return found


def _tried(last: AttemptState | None) -> str:
    if last is None:
        return "was never begun"
    times = "once" if last.attempt == 1 else f"{last.attempt} times, the last"
    return f"was tried {times} on host {last.host}" if last.host else f"was tried {last.attempt} times"
