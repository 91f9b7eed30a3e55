"""`crawl`: crawl once, with a live display or a heartbeat in the log."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from crawler.cli.echo import tell_summary
from crawler.cli.exit_state import Interrupted
from crawler.cli.inputs import load
from crawler.cli.notifications import crawl_and_notify, notify_unloaded
from crawler.cli.options import CommonOptions, common_options, config_option, json_option, output_option
from crawler.cli.sharing import CrawlWay, KeyType, Shard, ShardType, WorkersType, child_options
from crawler.cli.signals import CrawlSignals, cancel_on_signal, exit_after_grace, run_async
from crawler.cli.streams import stdout_only_tells
from crawler.errors import ConfigError, describe_defect

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.progress import CrawlMonitor, CrawlProgress
    from crawler.run.result import CrawlResult
    from crawler.run.system import System

HEARTBEAT_S = 60
_Result = TypeVar("_Result")

WORKERS = WorkersType()
SHARD = ShardType()
KEY = KeyType()


@click.command()
@config_option
@click.option("--account", "accounts", multiple=True, metavar="ID|NAME", help="Crawl only this account; repeatable.")
@click.option("--region", "regions", multiple=True, metavar="ID", help="Only this region; repeatable.")
@click.option("--table", "tables", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@output_option("Where to write the snapshot. Default: $ACS_INVENTORY_OUTPUT, else [output] uri of the configuration.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="always",
    type=click.Choice(["always", "auto"]),
    metavar="[=auto]",
    help="Resume the latest interrupted crawl of the same configuration, at most 6 hours old. With =auto, begin a new "
    "one if there is none.",
)
@click.option(
    "--workers",
    type=WORKERS,
    metavar="N",
    help="Share the crawl between N processes of this machine, or auto: one for each CPU. Default: [crawl] workers.",
)
@click.option(
    "--shard",
    type=SHARD,
    metavar="I/N",
    help="Crawl only shard I (from 0) of the N of a run; auto/N takes I from the environment of Kubernetes, AWS Batch, "
    "Cloud Run or Slurm. Needs --run.",
)
@click.option(
    "--run",
    "run",
    type=KEY,
    metavar="KEY",
    help="The run that processes with this key share; a new key for each night.",
)
@click.option(
    "--format",
    "output_format",
    metavar="NAME",
    help="parquet, iceberg or delta. Default: [output] format of the configuration.",
)
@click.option(
    "--publish",
    is_flag=True,
    help="Move LATEST and the lake's tables to the snapshot although --account, --region or --table narrow the crawl.",
)
@json_option
@common_options
@click.pass_obj
def crawl(
    common: CommonOptions,
    config_file: Path | None,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    tables: tuple[str, ...],
    uri: str | None,
    output_format: str | None,
    resume: str | None,
    workers: int | None,
    shard: Shard | None,
    run: str | None,
    publish: bool,
    as_json: bool,
) -> int:
    """Crawl all configured accounts and regions. Writes one snapshot.

    With --account, --region or --table, the snapshot holds a part of the inventory. LATEST and lake tables don't move
    to it without --publish.

    With --workers, several processes of this machine share the crawl. With --shard and --run, processes on any machines
    do: the first one plans, the last one commits the snapshot.

    Exit codes: 0 complete; 1 nothing committed; 2 wrong usage or configuration, nothing sent; 3 committed, but some
    scopes are not complete; 4 output can't be written, nothing committed; 11 another crawl holds the output; 12 no
    account's credentials work; 13 the cloud can't be reached, nothing committed: try again; 129, 130 and 143 stopped by
    a signal, nothing committed. The code is about the snapshot: after the commit no signal changes it, and neither does
    an error of stdout, the log, metrics, spans, a ping or [retention]. With --shard: 0 the shard's report is written,
    whatever its scopes came to; 2; 4; 11 another process has the shard, or another run holds the output; 12 and 13 from
    the process that plans; 143.
    """
    from crawler.cli.process import keep_memory_compact
    from crawler.config.secrets import register_secrets
    from crawler.run.system import System

    if (shard is None) != (run is None):
        raise click.UsageError("--shard and --run belong together: all processes of a run have one key.")
    if shard is not None and (workers is not None or resume is not None):
        raise click.UsageError("--shard can't be combined with --workers or --resume.")
    common.exit_state.begin_crawl()
    keep_memory_compact()
    try:
        config = load(config_file, uri).with_overrides(
            accounts=accounts,
            regions=regions,
            tables=tables,
            output=uri,
            output_format=output_format,
            publish=publish,
        )
    except ConfigError as error:
        if shard is None or shard.number == 0:  # the other processes of a run would say the same
            common.start_logging()
            notify_unloaded(config_file, error, common.exit_state, begin_crawling(common), common.hide)
        raise
    system = System()
    register_secrets(config, system.secrets, config.proxy.url)
    common.start_logging(system.secrets)
    signals = begin_crawling(common)
    if shard is not None:
        from crawler.cli.shard import crawl_shards

        return crawl_shards(config, common, signals, system, shard, run or "", as_json=as_json)
    way = CrawlWay(resume, workers, child_options(click.get_current_context(), common))
    result = crawl_and_notify(
        config, common.exit_state, signals, lambda: run_crawl(config, common, signals, system, way), common.hide
    )
    return print_result(result, config, common, as_json=as_json)


def begin_crawling(common: CommonOptions) -> CrawlSignals:
    """Declare that this process crawls: its result is the snapshot, and signals end the crawl."""
    stdout_only_tells()
    common.exit_state.begin_crawl()
    signals = CrawlSignals(common.exit_state)
    signals.install()
    return signals


def run_crawl(
    config: Config,
    common: CommonOptions,
    signals: CrawlSignals,
    system: System | None = None,
    way: CrawlWay | None = None,
) -> CrawlResult:
    """Crawl, with a live display on a terminal. Raises Interrupted for a signal before the commit.

    Once the snapshot is committed, and a lake's tables are at it, the result is returned whatever is raised after that.
    """
    from crawler.cli.live import live_display
    from crawler.cli.process import collect_rarely
    from crawler.run.progress import CrawlMonitor
    from crawler.run.system import raise_limit
    from crawler.telemetry.ping import ping_start

    raise_limit()
    collect_rarely()
    monitor = CrawlMonitor(on_stuck=exit_after_grace, on_result=lambda result: signals.decide(result.exit_code))

    async def main() -> CrawlResult:
        return await cancel_on_signal(signals, lambda: _crawl(monitor))

    async def _crawl(monitor: CrawlMonitor) -> CrawlResult:
        beat = heartbeat(monitor, has_steps=sys.stderr.isatty())
        async with ping_start(config), live_display(monitor) if common.shows_progress else beat:
            return await (way or CrawlWay()).crawl(config, system, monitor)

    return run_to_result(main, lambda: monitor, common)


def run_to_result(
    main: Callable[[], Awaitable[_Result]], monitor_of: Callable[[], CrawlMonitor], common: CommonOptions
) -> _Result | CrawlResult:
    """Return the result of a coroutine function that may commit a snapshot, and note the snapshot.

    Once the monitor has the crawl's result, an error is logged, and that result is returned.
    """
    try:
        return run_async(main)
    except BaseException as error:
        monitor = monitor_of()
        if monitor.result is None:
            if isinstance(error, Interrupted) and monitor.can_resume:
                error.advice = "`crawl --resume` continues it within 6 hours."
            raise
        if not isinstance(error, Interrupted):
            import structlog

            structlog.get_logger().error("failed_after_commit", reason=describe_defect(error))
        return monitor.result
    finally:
        if committed_id := monitor_of().committed_id:
            common.exit_state.commit(committed_id)


@dataclass(slots=True)
class ProgressSteps:
    """The tenths of the scopes that are done."""

    reached: int = 0

    def is_next(self, progress: CrawlProgress) -> bool:
        """Return whether another tenth has been reached since the last call."""
        reached = 10 * progress.scopes_done // progress.scopes if progress.scopes else 0
        before, self.reached = self.reached, max(reached, self.reached)
        return self.reached > before


@asynccontextmanager
async def heartbeat(monitor: CrawlMonitor, *, has_steps: bool = False) -> AsyncIterator[None]:
    """Log the progress of the crawl once per minute, in place of a live display.

    With `has_steps`, also whenever another tenth of the scopes is done: a user is watching.
    """
    import anyio
    import structlog

    steps = ProgressSteps()

    async def beat() -> None:
        for waited_s in count(1):
            await anyio.sleep(1)
            if waited_s % HEARTBEAT_S and not (has_steps and steps.is_next(monitor.progress)):
                continue
            structlog.get_logger().info(
                "progress",
                scopes=monitor.progress.scopes,
                scopes_done=monitor.progress.scopes_done,
                not_complete=monitor.progress.not_complete,
                rows=monitor.progress.rows,
                requests=monitor.requests.requests,
                throttled=monitor.requests.throttled,
                least_seconds_left=round(monitor.time_left_s()),
            )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        yield
        tasks.cancel_scope.cancel()


def print_result(
    result: CrawlResult, config: Config, common: CommonOptions, *, as_json: bool, command: str = "crawl"
) -> int:
    """Print the result of a crawl and return its exit code."""
    from crawler.cli.crawl_summary import print_summary, summarize
    from crawler.cli.summary_bounds import with_few_scopes

    summary = common.hide(summarize(result, config.output.uri))
    level = "warning" if result.exit_code else "info"
    tell_summary(
        common,
        with_few_scopes(summary),
        lambda: print_summary(summary),
        command=command,
        as_json=as_json,
        level=level,
    )
    return result.exit_code
