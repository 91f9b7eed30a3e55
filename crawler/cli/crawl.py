"""`crawl`: crawl once, with a live display or a heartbeat in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.inputs import load
from crawler.cli.notifications import crawl_and_notify
from crawler.cli.options import CommonOptions, Interrupted, common_options, config_option, json_option, output_uri
from crawler.cli.signals import cancel_on_signal, exit_after_grace, run_async

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.progress import CrawlMonitor
    from crawler.run.result import CrawlResult
    from crawler.run.system import System

HEARTBEAT_S = 60.0


@click.command()
@config_option
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only this account; repeatable.")
@click.option("--region", "regions", multiple=True, metavar="ID", help="Only this region; repeatable.")
@click.option("--table", "tables", multiple=True, metavar="PATTERN", help="Only tables that match; repeatable.")
@click.option(
    "--output",
    "uri",
    type=output_uri,
    metavar="URI",
    help="Where to write the snapshot. Default: [output] uri of the configuration.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the latest interrupted crawl of the same configuration, at most 6 hours old.",
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
    resume: bool,
    publish: bool,
    as_json: bool,
) -> int:
    """Crawl all configured accounts and regions. Writes one snapshot.

    With --account, --region or --table, the snapshot holds a part of the inventory. LATEST and lake tables don't move
    to it without --publish.

    Exit codes: 0 complete; 1 nothing committed; 2 wrong usage or configuration, nothing sent; 3 committed, but some
    scopes are not complete; 4 output can't be written, nothing committed; 11 another crawl holds the output; 12 no
    account's credentials work; 130 and 143 stopped by a signal, nothing committed.
    """
    from crawler.cli.process import keep_memory_compact
    from crawler.config.secrets import register_secrets
    from crawler.run.system import System

    keep_memory_compact()
    config = load(config_file).with_overrides(
        accounts=accounts,
        regions=regions,
        tables=tables,
        output=uri,
        output_format=output_format,
        publish=publish,
    )
    system = System()
    register_secrets(config, system.secrets, config.proxy.url)
    common.start_logging(system.secrets)
    result = crawl_and_notify(config, lambda: run_crawl(config, common, system, resume=resume))
    return print_result(result, config, common, as_json=as_json)


def run_crawl(
    config: Config, common: CommonOptions, system: System | None = None, *, resume: bool = False
) -> CrawlResult:
    """Crawl, with a live display on a terminal. Raises Interrupted for SIGINT and SIGTERM."""
    from crawler.cli.live import live_display
    from crawler.cli.process import collect_rarely
    from crawler.run.progress import CrawlMonitor
    from crawler.run.run import crawl as crawl_once
    from crawler.run.system import raise_limit
    from crawler.telemetry.ping import ping_start

    raise_limit()
    collect_rarely()
    monitor = CrawlMonitor(on_stuck=exit_after_grace)

    async def main() -> CrawlResult:
        return await cancel_on_signal(lambda: _crawl(monitor))

    async def _crawl(monitor: CrawlMonitor) -> CrawlResult:
        async with ping_start(config), live_display(monitor) if common.shows_progress else heartbeat(monitor):
            return await crawl_once(config, system, monitor, resume=resume)

    try:
        return run_async(main)
    except Interrupted as stopped:
        if monitor.can_resume:
            stopped.advice = "`crawl --resume` continues it within 6 hours."
        raise


@asynccontextmanager
async def heartbeat(monitor: CrawlMonitor) -> AsyncIterator[None]:
    """Log the progress of the crawl once per minute, in place of a live display."""
    import anyio
    import structlog

    async def beat() -> None:
        while True:
            await anyio.sleep(HEARTBEAT_S)
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


def print_result(result: CrawlResult, config: Config, common: CommonOptions, *, as_json: bool) -> int:
    """Print the result of a crawl and return its exit code."""
    import orjson

    from crawler.cli.crawl_summary import summarize

    summary = common.hide(summarize(result, config.output.uri))
    if as_json:
        click.echo(orjson.dumps(summary).decode())
    elif not common.is_quiet:
        from crawler.cli.crawl_summary import print_summary

        print_summary(summary)
    if common.log_format == "json":
        level = "warning" if result.exit_code else "info"
        click.echo(orjson.dumps({"event": "summary", "level": level, **summary}).decode(), err=True)
    return result.exit_code
