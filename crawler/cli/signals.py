"""Work over DuckDB that a signal can stop: DuckDB doesn't come back to Python by itself while a query runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from crawler.cli.options import Interrupted

_Result = TypeVar("_Result")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAUSE_S = 0.1


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
