"""Tasks that run one job after the other: a task and a cancel scope for each job take a tenth of a small list's CPU."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import anyio.abc

# More wait for nothing only after a rush, and each takes some kilobytes.
MOST_IDLE = 256

_Job = TypeVar("_Job")


class WorkerPool(Generic[_Job]):
    """Runs each job at once, as a task of its own would. What it raises ends the task group.

    `run` is told the cancel scope in which it runs, and may be cancelled by it as long as it hasn't returned. `settle`
    follows, outside of that scope, whether the job was cancelled or not.
    """

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        run: Callable[[_Job, anyio.CancelScope], Awaitable[None]],
        settle: Callable[[_Job], Awaitable[None]],
    ) -> None:
        self._tasks = tasks
        self._run = run
        self._settle = settle
        self._idle: list[asyncio.Future[_Job | None]] = []
        self._is_over = False

    def begin(self, job: _Job) -> bool:
        """Run a job beside those that run; False after `end`: nothing begins any more."""
        if self._is_over:
            return False
        if not self._hand(job):
            self._tasks.start_soon(self._work, job)
        return True

    def end(self) -> None:
        """Jobs that run come to their end; no other begins."""
        self._is_over = True
        while self._hand(None):
            pass

    def _hand(self, job: _Job | None) -> bool:
        while self._idle:
            waiting = self._idle.pop()
            if not waiting.done():  # else it was cancelled
                waiting.set_result(job)
                return True
        return False

    async def _work(self, job: _Job | None) -> None:
        ended: _Job | None = None
        while True:
            with anyio.CancelScope() as running:
                while not running.cancel_called:
                    if ended is not None:
                        await self._settle(ended)
                        ended = job = None  # who waits holds nothing of it
                        job = await self._next()
                    if job is None:
                        return
                    ended = job
                    await self._run(job, running)

    async def _next(self) -> _Job | None:
        if self._is_over or len(self._idle) >= MOST_IDLE:
            return None
        waiting: asyncio.Future[_Job | None] = asyncio.get_running_loop().create_future()
        self._idle.append(waiting)
        return await waiting
