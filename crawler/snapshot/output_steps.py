"""The blocking steps by which a snapshot is written. They run in worker threads, and none follows a failed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from crawler.errors import OutputError, unwrap_group

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 8


class OutputSteps:
    """Runs blocking functions for one snapshot until one fails.

    `failure` is the message of the first failed step, "" before. Nothing is written after it.
    """

    def __init__(self) -> None:
        self.failure = ""
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a worker thread, and wait for it even if the crawl is cancelled.

        After a failure this snapshot writes nothing more, because the state of the disk is unknown: raises OutputError.
        It also raises the errors of the function.
        """
        self.raise_if_failed()
        try:
            with anyio.CancelScope(shield=True):
                result = await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._threads)
        except BaseException as error:
            self.failure = str(error) or type(error).__name__
            raise
        return result

    async def run_stoppable(self, function: Callable[[], T], stop: Callable[[], None]) -> T:
        """As `run`. If the crawl is cancelled, `stop` is called: the function must return soon afterwards."""

        async def watch() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                stop()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                result = await self.run(function)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrap_group(group) from None
        return result

    def raise_if_failed(self) -> None:
        """Raise OutputError if a step failed earlier."""
        if self.failure:
            raise OutputError(f"the output failed earlier, nothing more is written: {self.failure}")
