"""`crawl` and `demo`: the commands that write a snapshot."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from crawler.cli.notifications import told
from crawler.cli.options import EXIT_NOTHING, Interrupted, Output, output_options
from crawler.errors import bare

if TYPE_CHECKING:
    from crawler.config import Config
    from crawler.run.run import CrawlResult, Watch
    from crawler.run.session import Surroundings

_Result = TypeVar("_Result")

DEMO_FOLDER = "acs-inventory-demo"
HEARTBEAT_S = 60.0
# How long a crawl that got stuck may take to clean up.
_LAST_S = 30.0

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The configuration; else $ACS_INVENTORY_CONFIG, else ./config.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="The result on stdout as one JSON object.")


def load(config_file: Path | None) -> Config:
    """The configuration of this process's environment, which may hold keys. Raises ConfigError."""
    import os

    from crawler.cli.process import keep_memory_private
    from crawler.config import load_config

    keep_memory_private()
    return load_config(config_file, os.environ, cwd=Path.cwd())


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
    output: Output,
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
    config: Config, output: Output, surroundings: Surroundings | None = None, *, resume: bool = False
) -> CrawlResult:
    """Crawl with a live display where one belongs. Raises Interrupted for SIGINT and SIGTERM."""
    from crawler.cli.live import live_display
    from crawler.cli.process import collect_rarely, raise_limit
    from crawler.run.run import Watch
    from crawler.run.run import crawl as crawl_once
    from crawler.telemetry.ping import announced

    raise_limit()
    collect_rarely()
    watch = Watch(on_stuck=_end_anyway)

    async def main() -> CrawlResult:
        return await until_signal(lambda: _crawl(watch))

    async def _crawl(watch: Watch) -> CrawlResult:
        async with announced(config), live_display(watch) if output.shows_progress else heartbeat(watch):
            return await crawl_once(config, surroundings, watch, resume=resume)

    try:
        return run_async(main)
    except Interrupted as stopped:
        if watch.can_resume:
            stopped.advice = "`crawl --resume` goes on from there within 6 hours."
        raise


def _end_anyway() -> None:
    """End the process in a while, whatever still holds it up."""
    import os
    import threading

    ending = threading.Timer(_LAST_S, os._exit, [EXIT_NOTHING])
    ending.daemon = True
    ending.start()


@asynccontextmanager
async def heartbeat(watch: Watch) -> AsyncIterator[None]:
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


def run_async(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run a coroutine function to its end; an error of ours comes out of its groups bare."""
    from importlib.util import find_spec

    import anyio

    # A third less CPU for a small request than asyncio's own loop takes; of the extra `speed`.
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        return anyio.run(main, backend_options=options)
    except BaseExceptionGroup as group:
        raise bare(group) from None


async def until_signal(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """What `main` returns. The first SIGINT or SIGTERM cancels it and raises Interrupted; a second one ends at once."""
    import os

    import anyio

    received: list[int] = []

    async def listen(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if received:
                    os._exit(128 + number)
                received.append(number)
                scope.cancel()

    async with anyio.create_task_group() as listening:
        with anyio.CancelScope() as scope:
            listening.start_soon(listen, scope)
            result = await main()
            listening.cancel_scope.cancel()
            return result
        listening.cancel_scope.cancel()
    raise Interrupted(received[0])


def conclude(result: CrawlResult, config: Config, output: Output, *, as_json: bool) -> int:
    """Say how a crawl came out, to whoever is listening, and give its exit code."""
    import orjson

    from crawler.cli.summary import summarize

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


@click.command()
@click.option("--output", "folder", metavar="DIR", default=DEMO_FOLDER, show_default=True, help="Where it goes.")
@click.option("--seed", default=0, show_default=True, help="Another seed is another cloud.")
@click.option("--scale", default=1, show_default=True, type=click.IntRange(1, 1000), help="How many times as large.")
@click.option(
    "--nights",
    default=1,
    show_default=True,
    type=click.IntRange(1, 2),
    help="2: crawl it again as it is a day later, and show what differs.",
)
@json_option
@output_options
@click.pass_obj
def demo(output: Output, folder: str, seed: int, scale: int, nights: int, as_json: bool) -> int:
    """Crawl the built-in cloud on loopback into a real snapshot: two accounts, three regions, all products.

    Needs no credentials and no network. What lands is compared with what the built-in cloud has.
    """
    from crawler.cli.demo import check, demo_cloud, second_night

    if as_json and nights > 1:
        raise click.UsageError("--json is the result of one crawl; it doesn't go with --nights 2.")
    output.start_logging()
    with demo_cloud(folder, seed, scale) as (config, surroundings, counts):
        result = run(config, output, surroundings)
    code = conclude(result, config, output, as_json=as_json)
    if result.manifest is not None and not as_json and not output.is_quiet:
        check(result.manifest, counts, folder)
    if nights > 1 and code == 0:
        code = second_night(output, folder, seed, scale, result.snapshot_id)
    sys.stdout.flush()
    return code


COMMANDS = (crawl, demo)
