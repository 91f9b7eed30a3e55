"""Signals: how SIGINT and SIGTERM end a coroutine, a DuckDB query or a crawl that is stuck."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from crawler.cli.options import Interrupted
from crawler.errors import ExitCode, bare

_Result = TypeVar("_Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAUSE_S = 0.1
# How long a crawl that got stuck may take to clean up.
_LAST_S = 30.0


def stoppable(work: Callable[[], _Result]) -> _Result:
    """What `work` gives, which runs in a thread of its own. Its queries must be asked in `opened.session`.

    The first SIGINT or SIGTERM ends its queries and raises Interrupted when it has cleaned up, unless it was done; a
    second one ends the process at once.
    """
    from crawler.audit.database import interrupt_sessions

    with ThreadPoolExecutor(1) as executor, _noted_signals() as received:
        future = executor.submit(work)
        while not future.done():
            # Not without an end: a signal that comes just before a wait begins is heard only when that wait is over.
            wait([future], _PAUSE_S)
            if received:
                # More than once, as it may be between two queries.
                interrupt_sessions()
        if received and future.exception() is not None:
            raise Interrupted(received[0])
        return future.result()


@contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """The numbers of the signals received so far; never more than one, for a second one ends the process."""
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
    """End the process in a while, whatever still holds it up."""
    import os
    import threading

    ending = threading.Timer(_LAST_S, os._exit, [int(ExitCode.FAILURE)])
    ending.daemon = True
    ending.start()


def run_async(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run a coroutine function to its end; an error of ours comes out of its groups bare."""
    from importlib.util import find_spec

    import anyio

    # A third less CPU for a small request than asyncio's own loop takes; of the extra `speed`.
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        return anyio.run(main, backend_options=options)
    except BaseExceptionGroup as group:
        raise bare(group) from None


async def until_signal(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """What `main` returns. The first SIGINT or SIGTERM cancels it and raises Interrupted; a second one ends at once."""
    import os

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
