"""SIGINT and SIGTERM: end a coroutine, a DuckDB query or a stuck crawl."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from crawler.cli.options import Interrupted
from crawler.errors import ExitCode, unwrap_group

_Result = TypeVar("_Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAUSE_S = 0.1
# Grace period of a stuck crawl, to clean up.
_GRACE_S = 30.0


def interruptible(work: Callable[[], _Result]) -> _Result:
    """Run `work` in a thread and return its result. Its queries must run in `audit.database.session`.

    The first SIGINT or SIGTERM interrupts the queries. Interrupted is raised when `work` has cleaned up, unless it was
    done. A second signal ends the process at once.
    """
    from crawler.audit.database import interrupt_sessions

    with ThreadPoolExecutor(1) as executor, _received_signals() as received:
        future = executor.submit(work)
        while not future.done():
            # With a timeout: Python handles a signal that arrives just before the wait only after the wait.
            wait([future], _PAUSE_S)
            if received:
                # In each round, because `work` may be between two queries.
                interrupt_sessions()
        if received and future.exception() is not None:
            raise Interrupted(received[0])
        return future.result()


@contextmanager
def _received_signals() -> Iterator[list[int]]:
    """Yield a list that gets the number of a received signal. A second signal ends the process."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)

    before = {number: signal.signal(number, receive) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_after_grace() -> None:
    """End the process after `_GRACE_S` seconds, even if it is still blocked."""
    import threading

    ending = threading.Timer(_GRACE_S, os._exit, [ExitCode.FAILURE])
    ending.daemon = True
    ending.start()


def run_async(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run a coroutine function and return its result. An error in nested exception groups is raised alone."""
    from importlib.util import find_spec

    import anyio

    # uvloop, of the extra `speed`, takes a third less CPU for a small request than asyncio's own loop.
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        return anyio.run(main, backend_options=options)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


async def cancel_on_signal(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Return the result of `main`. SIGINT or SIGTERM cancels it: raises Interrupted. A second one ends the process."""
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
