"""`crawl` and `demo`: the commands that write a snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.inputs import load
from crawler.cli.notifications import told
from crawler.cli.options import Interrupted, OutputOptions, config_option, json_option, output_options
from crawler.cli.signals import exit_after_grace, run_async, until_signal

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
@click.option("--output", "uri", metavar="URI", help="Where snapshots go, in place of [output] uri.")
@click.option(
    "--resume", is_flag=True, help="Go on with the newest crawl of this plan that never ended, up to 6 h old."
)
@click.option(
    "--format", "output_format", metavar="NAME", help="parquet, iceberg or delta, in place of [output] format."
)
@json_option
@output_options
@click.pass_obj
def crawl(
    output: OutputOptions,
    config_file: Path | None,
    accounts: tuple[str, ...],
    regions: tuple[str, ...],
    tables: tuple[str, ...],
    uri: str | None,
    output_format: str | None,
    resume: bool,
    as_json: bool,
) -> int:
    """Crawl once and commit one snapshot.

    Exit codes: 0 complete; 1 nothing committed; 2 usage or configuration, nothing sent; 3 committed, but some scopes
    are not complete; 4 the output failed, nothing committed; 11 another crawl holds the output; 12 no account's
    credentials work; 130 and 143 stopped by a signal, nothing committed.
    """
    from crawler.cli.process import keep_memory_compact

    keep_memory_compact()
    config = load(config_file).with_overrides(
        accounts=accounts, regions=regions, tables=tables, output=uri, output_format=output_format
    )
    output.start_logging()
    with told(config) as telling:
        result = telling.result = run(config, output, resume=resume)
    return conclude(result, config, output, as_json=as_json)


def run(
    config: Config, output: OutputOptions, surroundings: System | None = None, *, resume: bool = False
) -> CrawlResult:
    """Crawl with a live display where one belongs. Raises Interrupted for SIGINT and SIGTERM."""
    from crawler.cli.live import live_display
    from crawler.cli.process import collect_rarely
    from crawler.run.progress import CrawlMonitor
    from crawler.run.run import crawl as crawl_once
    from crawler.run.system import raise_limit
    from crawler.telemetry.ping import announced

    raise_limit()
    collect_rarely()
    watch = CrawlMonitor(on_stuck=exit_after_grace)

    async def main() -> CrawlResult:
        return await until_signal(lambda: _crawl(watch))

    async def _crawl(watch: CrawlMonitor) -> CrawlResult:
        async with announced(config), live_display(watch) if output.shows_progress else heartbeat(watch):
            return await crawl_once(config, surroundings, watch, resume=resume)

    try:
        return run_async(main)
    except Interrupted as stopped:
        if watch.can_resume:
            stopped.advice = "`crawl --resume` goes on from there within 6 hours."
        raise


@asynccontextmanager
async def heartbeat(watch: CrawlMonitor) -> AsyncIterator[None]:
    """Log a line a minute on how far the crawl is, for those who have no live display."""
    import anyio
    import structlog

    async def beat() -> None:
        while True:
            await anyio.sleep(HEARTBEAT_S)
            structlog.get_logger().info(
                "progress",
                scopes=watch.progress.scopes,
                scopes_done=watch.progress.scopes_done,
                not_complete=watch.progress.not_complete,
                rows=watch.progress.rows,
                requests=watch.requests.requests,
                throttled=watch.requests.throttled,
                least_seconds_left=round(watch.time_left_s()),
            )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        yield
        tasks.cancel_scope.cancel()


def conclude(result: CrawlResult, config: Config, output: OutputOptions, *, as_json: bool) -> int:
    """Say how a crawl came out, to whoever is listening, and give its exit code."""
    import orjson

    from crawler.cli.crawl_summary import summarize

    summary = summarize(result, config.output.uri)
    if as_json:
        click.echo(orjson.dumps(summary).decode())
    elif not output.is_quiet:
        from crawler.cli.crawl_summary import print_summary

        print_summary(summary)
    if output.log_format == "json":
        level = "warning" if result.exit_code else "info"
        click.echo(orjson.dumps({"event": "summary", "level": level, **summary}).decode(), err=True)
    return result.exit_code
