"""SIGINT, SIGTERM and SIGHUP: end a crawl, what is told about it, a DuckDB query or a stuck crawl."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from math import inf
from types import FrameType
from typing import TypeVar

from crawler.cli import process
from crawler.cli.exit_state import ExitState, Interrupted
from crawler.errors import ExitCode, unwrap_group

_Result = TypeVar("_Result")
_PAUSE_S = 0.1
# Grace period of a stuck crawl, to clean up.
_GRACE_S = 30.0
# After a signal, each step that tells the result may take so long, and all that is left of the process so long: there
# are six steps at most.
_STEP_S = 3.0
_END_S = 20.0


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command. SIGHUP isn't one if the process was started to ignore it (nohup).

    A launcher ends its children by SIGTERM alone, after the terminal's signals have reached all processes of the group.
    """
    if process.parent is not None:
        return (signal.SIGTERM,)
    found = [signal.SIGINT, signal.SIGTERM]
    return (*found, signal.SIGHUP) if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else tuple(found)


def ignore_stop_signals() -> None:
    """Ignore the signals that end a command, for the last moments of a process whose exit code is decided.

    Python drops its handlers before it clears the modules, which takes some tenths of a second: a signal then would end
    a crawl that committed a snapshot as if it had been stopped.
    """
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


class CrawlSignals:
    """The signals of a process that crawls, until it ends.

    Until the crawl's exit code is known, the first signal cancels the crawl. From then on the first signal only
    shortens what is told about it. A second signal ends the process at once, with the crawl's code if that is known.
    """

    def __init__(self, state: ExitState) -> None:
        self.received = 0
        self.cancel: Callable[[], object] = lambda: None
        self._state = state
        self._ends_at = inf

    def install(self) -> None:
        """Receive the signals from now on. Call it in the main thread."""
        for number in stop_signals():
            signal.signal(number, self.receive)

    def receive(self, number: int, _frame: FrameType | None = None) -> None:
        """Handle a signal. Runs between two instructions of the main thread."""
        if self.received:
            os._exit(128 + number if self._state.code is None else self._state.code)
        self.received = number
        if self._state.code is None:
            self.cancel()
        else:
            self._hurry()

    def decide(self, code: int) -> None:
        """Note the exit code of the crawl. A signal can't change it any more."""
        self._state.code = code
        if self.received:
            self._hurry()

    def wait(self, is_done: Callable[[float], bool], bound_s: float) -> bool:
        """Wait until `is_done(timeout)` for `bound_s` seconds, or some seconds after a signal. Return whether it is."""
        began_at = time.monotonic()
        hurried_at = inf
        while not is_done(_PAUSE_S):
            now = time.monotonic()
            hurried_at = min(hurried_at, now) if self.received else inf
            if now >= min(began_at + bound_s, hurried_at + _STEP_S):
                return False
        return True

    def _hurry(self) -> None:
        """End the process in some seconds whatever blocks it: a full pipe of stderr, a name lookup."""
        if self._ends_at == inf:
            self._ends_at = time.monotonic() + _END_S
            _exit_after(_END_S, self._state.code or 0)


def _exit_after(seconds: float, code: int) -> None:
    import threading

    ending = threading.Timer(seconds, os._exit, [code])
    ending.daemon = True
    ending.start()


def exit_after_grace() -> None:
    """End the process after `_GRACE_S` seconds, even if it is still blocked."""
    _exit_after(_GRACE_S, ExitCode.FAILURE)


def interruptible(work: Callable[[], _Result]) -> _Result:
    """Run `work` in a thread and return its result. Its queries must run in `audit.database.session`.

    The first signal interrupts the queries. Interrupted is raised when `work` has cleaned up, unless it was done. A
    second signal ends the process at once.
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

    before = {number: signal.signal(number, receive) for number in stop_signals()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_async(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run a coroutine function and return its result. An error in nested exception groups is raised alone."""
    from importlib.util import find_spec

    import anyio

    # uvloop, which not every system has, takes a third less CPU for a small request than asyncio's own loop.
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        return anyio.run(main, backend_options=options)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None


async def cancel_on_signal(signals: CrawlSignals, main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Return the result of `main`. The first signal cancels it: raises Interrupted."""
    import asyncio

    import anyio

    # A handler of Python and not one of the loop, which would restore the default when it ends.
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        signals.cancel = lambda: loop.call_soon_threadsafe(scope.cancel)
        if signals.received:
            scope.cancel()
        try:
            return await main()
        finally:
            signals.cancel = lambda: None
    raise Interrupted(signals.received)
