"""A pool of tasks that run jobs. Reusing a task and its cancel scope saves a tenth of the CPU of a small list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import anyio.abc

# More tasks are idle only after a rush, and each takes some kilobytes.
MAX_IDLE = 256

_Job = TypeVar("_Job")


class WorkerPool(Generic[_Job]):
    """Runs each job at once, as a new task would. An error of a job ends the task group.

    `run` receives the cancel scope of its job, which can cancel it until it returns. `finish` follows outside of that
    scope, also after a cancelled job.
    """

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        run: Callable[[_Job, anyio.CancelScope], Awaitable[None]],
        finish: Callable[[_Job], Awaitable[None]],
    ) -> None:
        self._tasks = tasks
        self._run = run
        self._finish = finish
        self._idle: list[asyncio.Future[_Job | None]] = []
        self._is_over = False

    def begin(self, job: _Job) -> bool:
        """Run a job concurrently with the others. Returns False after `end`: the job doesn't begin."""
        if self._is_over:
            return False
        if not self._hand_over(job):
            self._tasks.start_soon(self._work, job)
        return True

    def end(self) -> None:
        """Begin no more jobs. Running jobs go on to their end."""
        self._is_over = True
        while self._hand_over(None):
            pass

    def _hand_over(self, job: _Job | None) -> bool:
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
                        await self._finish(ended)
                        ended = job = None  # an idle task holds no reference to it
                        job = await self._next()
                    if job is None:
                        return
                    ended = job
                    await self._run(job, running)

    async def _next(self) -> _Job | None:
        if self._is_over or len(self._idle) >= MAX_IDLE:
            return None
        waiting: asyncio.Future[_Job | None] = asyncio.get_running_loop().create_future()
        self._idle.append(waiting)
        return await waiting
