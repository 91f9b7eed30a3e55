"""Aborts a crawl that makes no progress and logs where each task is waiting.

A wait with a known end (a retry's pause, a server's hint, a rate limit) counts as progress.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from pathlib import Path
from types import CodeType
from typing import Any

import anyio
import structlog

from crawler.clock import Clock
from crawler.errors import CrawlError, unwrap_group
from crawler.run.progress import CrawlMonitor

PATIENCE_S = 300.0
_LOOK_S = 15.0
_MAX_STACKS = 50


class StuckError(CrawlError):
    """The crawl made no progress for too long. The log has the stacks of its tasks."""


class TrackedClock:
    """A clock that records its sleepers. Reading the time is delegated to the wrapped clock."""

    def __init__(self, inner: Clock) -> None:
        self.inner = inner
        self.now = inner.now
        self.monotonic = inner.monotonic
        self._due: Counter[float] = Counter()

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`."""
        with self._record(self.monotonic() + max(0.0, duration_s)):
            await self.inner.sleep(duration_s)

    def last_wakeup(self) -> float:
        """Return when the last of the current sleepers wakes up; -inf without sleepers."""
        return max(self._due, default=-inf)

    @contextmanager
    def _record(self, due: float) -> Iterator[None]:
        self._due[due] += 1
        try:
            yield
        finally:
            self._due[due] -= 1
            if not self._due[due]:
                del self._due[due]


@asynccontextmanager
async def abort_if_stuck(
    clock: TrackedClock, next_request_at: Callable[[], float | None], monitor: CrawlMonitor
) -> AsyncIterator[None]:
    """Cancel the block with StuckError if nothing moves in it. `next_request_at`: None if no request is waiting."""

    def progress_counters() -> tuple[int, ...]:
        return monitor.requests.requests, monitor.progress.scopes_done, monitor.progress.rows

    def last_wakeup() -> float:
        next_at = next_request_at()
        return max(clock.last_wakeup(), -inf if next_at is None else next_at)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch_progress, progress_counters, last_wakeup, clock.inner, monitor.on_stuck)
            yield
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


async def watch_progress(
    progress_counters: Callable[[], object],
    last_wakeup: Callable[[], float],
    clock: Clock,
    on_stuck: Callable[[], object],
    patience_s: float = PATIENCE_S,
) -> None:
    """Raise StuckError if, for `patience_s`, `progress_counters` hasn't changed and `last_wakeup` isn't still to come.

    Before that, log the event `stuck` with the stacks of all tasks, and call `on_stuck`.
    """
    seen, moved_at = progress_counters(), clock.monotonic()
    while clock.monotonic() - moved_at < patience_s:
        await clock.sleep(_LOOK_S)
        found, now = progress_counters(), clock.monotonic()
        if found != seen:
            seen, moved_at = found, now
        moved_at = max(moved_at, min(now, last_wakeup()))
    structlog.get_logger().error("stuck", seconds=round(patience_s), waiting=task_stacks())
    on_stuck()
    raise StuckError(f"The crawl made no progress for {patience_s:g} s; please report the log's event `stuck`.")


def task_stacks() -> list[str]:
    """Return where tasks wait, the most frequent first: `3 × outermost < … < innermost`. Only places in the code."""
    stacks = Counter(" < ".join(_stack_of(task.get_coro())) for task in asyncio.all_tasks())
    return [f"{number} × {stack}" for stack, number in stacks.most_common(_MAX_STACKS)]


def _stack_of(awaited: Any) -> Iterator[str]:
    """Yield the place of a coroutine and of each awaitable that it waits for, as far as Python shows them."""
    while awaited is not None:
        prefix = next((prefix for prefix in ("cr", "gi", "ag") if hasattr(awaited, f"{prefix}_code")), "")
        if not prefix:
            return
        frame, code = getattr(awaited, f"{prefix}_frame"), getattr(awaited, f"{prefix}_code")
        yield _place(code, frame.f_lineno if frame is not None else code.co_firstlineno)
        awaited = getattr(awaited, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")


def _place(code: CodeType, line: int) -> str:
    return f"{code.co_qualname} ({Path(code.co_filename).name}:{line})"
