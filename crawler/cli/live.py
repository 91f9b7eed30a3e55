"""The live display of a crawl, on a terminal's stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
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
    from crawler.run.progress import CrawlMonitor

_REFRESHES_PER_S = 8
_MAX_ACCOUNTS = 8


@asynccontextmanager
async def live_display(watch: CrawlMonitor) -> AsyncIterator[None]:
    """Show the crawl that `watch` follows while the block runs; nothing of it stays on the screen."""
    console = Console(file=sys.stderr, highlight=False)
    started = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:

        async def refresh() -> None:
            while True:
                live.update(view(watch, time.monotonic() - started), refresh=True)
                await anyio.sleep(1 / _REFRESHES_PER_S)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refresh)
            yield
            tasks.cancel_scope.cancel()


def view(watch: CrawlMonitor, elapsed_s: float) -> Group:
    """The display after `elapsed_s` seconds: a bar an account, and a line of figures."""
    progress = watch.progress
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(width=30)
    grid.add_column(justify="right")
    accounts = sorted(progress.by_account, key=lambda a: (progress.done_by_account[a] / progress.by_account[a], a))
    for account in accounts[:_MAX_ACCOUNTS]:
        done, total = progress.done_by_account[account], progress.by_account[account]
        grid.add_row(safe(account), ProgressBar(total, done, width=30), f"{done}/{total} scopes")
    if len(accounts) > _MAX_ACCOUNTS:
        grid.add_row(f"and {len(accounts) - _MAX_ACCOUNTS} more", "", "")
    return Group(_headline(watch), grid, _figures(watch, elapsed_s))


def _headline(watch: CrawlMonitor) -> Text:
    progress = watch.progress
    if not progress.scopes:
        return Text("asking who the accounts are, and where", "dim")
    line = Text(f"{progress.scopes_done}/{progress.scopes} scopes", "bold")
    line.append(f" · {progress.rows:,} rows", "bold")
    if progress.not_complete:
        line.append(f" · {progress.not_complete} not complete", "yellow")
    return line.append(f" · {progress.table}", "dim")


def _figures(watch: CrawlMonitor, elapsed_s: float) -> Text:
    tally = watch.requests
    line = Text(f"{tally.requests:,} requests · {tally.requests / max(elapsed_s, 0.1):.0f}/s", "dim")
    if tally.throttled:
        line.append(f" · {tally.throttled:,} throttled", "yellow")
    line.append(f" · {duration_text(elapsed_s)}", "dim")
    left_s = watch.time_left_s()
    if left_s >= 1:
        line.append(f" · at least {duration_text(left_s)} left by the rate limits", "dim")
    return line
