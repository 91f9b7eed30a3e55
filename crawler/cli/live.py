"""The live display of a crawl, on a terminal's stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crawler.cli.render import duration_text, safe

if TYPE_CHECKING:
    from crawler.run.progress import CrawlMonitor, ShardsProgress

_REFRESHES_PER_S = 8
_MAX_ACCOUNTS = 8
_MAX_SHARDS = 8


@asynccontextmanager
async def live_display(monitor: CrawlMonitor) -> AsyncIterator[None]:
    """Show the progress of the crawl while the block runs. Nothing of it stays on the screen."""
    console = Console(file=sys.stderr, highlight=False)
    started = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:

        async def refresh() -> None:
            while True:
                live.update(view(monitor, time.monotonic() - started), refresh=True)
                await anyio.sleep(1 / _REFRESHES_PER_S)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refresh)
            yield
            tasks.cancel_scope.cancel()


def view(monitor: CrawlMonitor, elapsed_s: float) -> Group:
    """Return the display after `elapsed_s` seconds: one bar per account, and a line of figures.

    A crawl by several processes has one more line, about its shards.
    """
    progress = monitor.progress
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(max_width=30)  # what a narrow terminal cuts
    grid.add_column(justify="right", no_wrap=True)
    accounts = sorted(progress.by_account, key=lambda a: (progress.done_by_account[a] / progress.by_account[a], a))
    for account in accounts[:_MAX_ACCOUNTS]:
        done, total = progress.done_by_account[account], progress.by_account[account]
        grid.add_row(safe(account), ProgressBar(total, done), f"{done}/{total} scopes")
    if len(accounts) > _MAX_ACCOUNTS:
        grid.add_row(f"and {len(accounts) - _MAX_ACCOUNTS} more", "", "")
    shards = [] if monitor.shards is None else [_shards(monitor.shards)]
    return Group(_headline(monitor), grid, *shards, _figures(monitor, elapsed_s))


def _headline(monitor: CrawlMonitor) -> Text:
    progress = monitor.progress
    if monitor.lake is not None:
        return Text(f"{monitor.lake.done}/{monitor.lake.total} lake tables moved", "bold")
    if not progress.scopes:
        return Text("identifying accounts and regions", "dim")
    line = Text(f"{progress.scopes_done}/{progress.scopes} scopes", "bold")
    line.append(f" · {progress.rows:,} rows", "bold")
    if progress.not_complete:
        line.append(f" · {progress.not_complete} not complete", "yellow")
    return line.append(f" · {progress.table}", "dim") if progress.table else line


def _shards(shards: ShardsProgress) -> Text:
    places = shards.places()
    line = Text(f"{places} worker{'' if places == 1 else 's'} · {shards.done} of {shards.total} shards done", "dim")
    if shards.running:
        line.append(f" · at work on {_numbers(shards.running)}", "dim")
    if shards.restarted:
        line.append(f" · restarted {_numbers(shards.restarted)}", "yellow")
    if shards.lost:
        line.append(f" · lost {_numbers(shards.lost)}", "red")
    return line


def _numbers(shards: Collection[int]) -> str:
    shown = [str(shard) for shard in sorted(shards)[:_MAX_SHARDS]]
    more = [f"{len(shards) - _MAX_SHARDS} more"] if len(shards) > _MAX_SHARDS else []
    return ", ".join([*shown, *more])


def _figures(monitor: CrawlMonitor, elapsed_s: float) -> Text:
    counts = monitor.requests
    line = Text(f"{counts.requests:,} requests · {counts.requests / max(elapsed_s, 0.1):.0f}/s", "dim")
    if counts.throttled:
        line.append(f" · {counts.throttled:,} throttled", "yellow")
    line.append(f" · {duration_text(elapsed_s)}", "dim")
    left_s = monitor.time_left_s()
    if left_s >= 1:
        line.append(f" · at least {duration_text(left_s)} left by the rate limits", "dim")
    return line
