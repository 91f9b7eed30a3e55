"""Lets requests go: at most so many at once, each when its lane's buckets allow it, in the lanes' order.

What waits for a bucket holds no place among the requests in flight, so a throttled account holds nobody back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import repeat

import anyio

from crawler.client.request_queue import ReadyQueue, RequestLane
from crawler.clock import Clock


class Dispatcher:
    """Run `run` beside those that use it. At most `concurrency` requests hold a place at a time."""

    def __init__(self, concurrency: int, clock: Clock) -> None:
        self._free = self._concurrency = concurrency
        self._clock = clock
        self._queue = ReadyQueue()
        self._wake = asyncio.Event()
        self._admissions: Iterator[bool] = repeat(False)
        self._is_held: Callable[[], bool] = bool

    def submit(self, lane: RequestLane, job: Callable[[], None]) -> None:
        """Let a list begin when its lane may go: `job` is called then, holding one place until `release`."""
        lane.waiting.append(job)
        self._queue.push(lane, self._clock.monotonic())
        self._wake.set()

    async def acquire(self, lane: RequestLane) -> None:
        """Wait until a request may leave in this lane; the place is held until `release`."""
        granted = asyncio.Event()
        lane.going.append(granted.set)
        self._queue.push(lane, self._clock.monotonic())
        self._wake.set()
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                self.release()
            else:
                lane.going.remove(granted.set)
            raise

    def release(self) -> None:
        """A request is over."""
        self._free += 1
        self._wake.set()

    def feed(self, admissions: Iterator[bool], is_held: Callable[[], bool] = bool) -> None:
        """Step `admissions` whenever a request could go and none waits: it submits more and gives whether it did.

        While `is_held` says so nothing goes; `ask_again` when that has changed.
        """
        self._admissions, self._is_held = admissions, is_held
        self._wake.set()

    def ask_again(self) -> None:
        """Look again though nothing could go, or the admissions gave nothing, the last time: there is room now."""
        self._wake.set()

    def next_at(self) -> float | None:
        """When a lane that waits for its buckets may go; None where none does."""
        return self._queue.next_at()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        while True:
            now = self._clock.monotonic()
            self._wake = asyncio.Event()
            self._grant(now)
            next_at = self._queue.next_at() if self._free and not self._is_held() else None
            if next_at is None:  # the usual case, and a scope that times nothing costs as much as a grant
                await self._wake.wait()
            else:
                with anyio.move_on_after(max(0.0, next_at - now)):
                    await self._wake.wait()

    def _grant(self, now: float) -> None:
        has_more = True
        while self._free > 0 and not self._is_held():
            lane = self._queue.pop(now)
            if lane is not None:
                self._free -= 1
                go = lane.take(now)
                self._queue.push(lane, now)
                go()
            elif has_more:
                has_more = next(self._admissions)
            else:
                return
