"""Starts requests: a bounded number at once, each when the buckets of its lane allow it, in the order of the lanes.

A request that waits for a bucket uses no concurrency slot, so a throttled account doesn't delay the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import repeat

import anyio

from crawler.client.request_queue import ReadyQueue, RequestLane
from crawler.clock import Clock


class Dispatcher:
    """Grants slots to requests while its `run` runs. At most `concurrency` slots are in use at a time."""

    def __init__(self, concurrency: int, clock: Clock) -> None:
        self._free = self._concurrency = concurrency
        self._clock = clock
        self._queue = ReadyQueue()
        self._wake = asyncio.Event()
        self._admissions: Iterator[bool] = repeat(False)
        self._is_held: Callable[[], bool] = bool

    def submit(self, lane: RequestLane, job: Callable[[], None]) -> None:
        """Queue a list. `job` is called when its lane may start a request; it owns one slot until `release`."""
        lane.not_started.append(job)
        self._queue.push(lane, self._clock.monotonic())
        self._wake.set()

    async def acquire(self, lane: RequestLane) -> None:
        """Wait until a request of this lane may start. The caller owns one slot until `release`."""
        granted = asyncio.Event()
        lane.in_progress.append(granted.set)
        self._queue.push(lane, self._clock.monotonic())
        self._wake.set()
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                self.release()
            else:
                lane.in_progress.remove(granted.set)
            raise

    def release(self) -> None:
        """Give a slot back."""
        self._free += 1
        self._wake.set()

    def feed(self, admissions: Iterator[bool], is_held: Callable[[], bool] = bool) -> None:
        """Step `admissions` whenever a request could start and none waits: it submits more and yields whether it did.

        While `is_held` is true no request starts; call `ask_again` when that has changed.
        """
        self._admissions, self._is_held = admissions, is_held
        self._wake.set()

    def ask_again(self) -> None:
        """Try again to start requests, after nothing could start or the admissions had nothing to submit."""
        self._wake.set()

    def next_at(self) -> float | None:
        """Return the time at which the first blocked lane may start a request; None if no lane is blocked."""
        return self._queue.next_at()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        while True:
            now = self._clock.monotonic()
            self._wake = asyncio.Event()
            self._grant(now)
            next_at = self._queue.next_at() if self._free and not self._is_held() else None
            if next_at is None:  # the usual case; a cancel scope without a timeout costs as much as a grant
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
                start = lane.pop(now)
                self._queue.push(lane, now)
                start()
            elif has_more:
                has_more = next(self._admissions)
            else:
                return
