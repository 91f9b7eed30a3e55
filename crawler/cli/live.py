"""The live display of a crawl, on a terminal's stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crawler.cli.render import counted, duration_text, safe
from crawler.cli.screen import Screen
from crawler.text import account_label

if TYPE_CHECKING:
    from crawler.run.progress import CrawlMonitor, ShardsProgress

_REFRESHES_PER_S = 8
_MAX_ACCOUNTS = 8
_MAX_SHARDS = 8
_LONGEST_NAME = 24
_GAP = 2
_SHORTEST_BAR, _LONGEST_BAR = 6, 30
_LONGEST_NAME = 24


@asynccontextmanager
async def live_display(monitor: CrawlMonitor) -> AsyncIterator[None]:
    """Show the progress of the crawl while the block runs. Nothing of it stays on the screen."""
    console = Screen(sys.stderr)
    started = time.monotonic()
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:

        async def refresh() -> None:
            while True:
                live.update(Folded(view(monitor, time.monotonic() - started)), refresh=True)
                await anyio.sleep(1 / _REFRESHES_PER_S)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refresh)
            yield
            tasks.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class Folded:
    """A display whose lines always fold. rich prints it together with a log line, and by that line's options."""

    inner: Group

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self.inner, options.update(no_wrap=False, overflow="fold"))


def view(monitor: CrawlMonitor, elapsed_s: float) -> Group:
    """Return the display after `elapsed_s` seconds: one bar per account, and a line of figures.

    A crawl by several processes has one more line, about its shards.
    """
    progress = monitor.progress
    bars = AccountBars([])
    accounts = sorted(progress.by_account, key=lambda a: (progress.done_by_account[a] / progress.by_account[a], a))
    for account in accounts[:_MAX_ACCOUNTS]:
        done, total = progress.done_by_account[account], progress.by_account[account]
        label = account_label(account, _short(progress.names.get(account, "")))
        bars.rows.append((safe(label), done, total))
    more = [Text(f"and {len(accounts) - _MAX_ACCOUNTS} more")] if len(accounts) > _MAX_ACCOUNTS else []
    shards = [] if monitor.shards is None else [_shards(monitor.shards)]
    return Group(_headline(monitor), bars, *more, *shards, _figures(monitor, elapsed_s))


@dataclass(frozen=True, slots=True)
class AccountBars:
    """The accounts with their progress: name, scopes done, scopes. A narrow terminal gets no bars, then two lines."""

    rows: list[tuple[Text, int, int]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.rows:
            return
        counts = [f"{done:,}/{counted(total, 'scope')}" for _, done, total in self.rows]
        least = max(label.cell_len for label, *_ in self.rows) + max(map(len, counts)) + _GAP
        if least > options.max_width:
            for (label, *_), count in zip(self.rows, counts, strict=True):
                yield label
                yield Text(f"  {count}")
            return
        room = options.max_width - least - _GAP
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        grid.add_column(no_wrap=True)
        if room >= _SHORTEST_BAR:
            grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        for (label, done, total), count in zip(self.rows, counts, strict=True):
            bar = [] if room < _SHORTEST_BAR else [ProgressBar(total, done, width=min(_LONGEST_BAR, room))]
            grid.add_row(label, *bar, count)
        yield grid


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _headline(monitor: CrawlMonitor) -> Text:
    progress = monitor.progress
    if monitor.lake is not None:
        return Text(f"{monitor.lake.done}/{monitor.lake.total} lake tables moved", "bold")
    if not progress.scopes:
        return Text("identifying accounts and regions", "dim")
    line = Text(f"{progress.scopes_done}/{counted(progress.scopes, 'scope')}", "bold")
    line.append(f" · {counted(progress.rows, 'row')}", "bold")
    if progress.not_complete:
        line.append(f" · {progress.not_complete} not complete", "yellow")
    return line.append(f" · {progress.table}", "dim") if progress.table else line


def _shards(shards: ShardsProgress) -> Text:
    places = shards.places()
    line = Text(f"{counted(places, 'worker')} · {shards.done} of {counted(shards.total, 'shard')} done", "dim")
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
    line = Text(f"{counted(counts.requests, 'request')} · {counts.requests / max(elapsed_s, 0.1):.0f}/s", "dim")
    if counts.throttled:
        line.append(f" · {counts.throttled:,} throttled", "yellow")
    line.append(f" · {duration_text(elapsed_s)}", "dim")
    left_s = monitor.time_left_s()
    if left_s >= 1:
        line.append(f" · at least {duration_text(left_s)} left by the rate limits", "dim")
    return line
