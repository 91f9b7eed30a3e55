"""Work over DuckDB that a signal can stop: DuckDB doesn't come back to Python by itself while a query runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from crawler.cli.app import Interrupted

_Result = TypeVar("_Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAUSE_S = 0.1


def stoppable(work: Callable[[], _Result]) -> _Result:
    """What `work` gives, which runs in a thread of its own. Its queries must be asked in `opened.session`.

    The first SIGINT or SIGTERM ends its queries and raises Interrupted when it has cleaned up, unless it was done; a
    second one ends the process at once.
    """
    with ThreadPoolExecutor(1) as executor, _raising_signals():
        future = executor.submit(work)
        try:
            return future.result()
        except Interrupted:
            _end(future)
            if future.exception() is not None:
                raise
            return future.result()


def _end(future: Future[_Result]) -> None:
    from crawler.audit.opened import interrupt_sessions

    while not future.done():
        # More than once, as it may be between two queries.
        interrupt_sessions()
        wait([future], _PAUSE_S)


@contextmanager
def _raising_signals() -> Iterator[None]:
    """SIGINT and SIGTERM as Interrupted, once."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        raise Interrupted(number)

    before = {number: signal.signal(number, receive) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
