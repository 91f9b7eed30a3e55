"""The task that runs on a Dask worker: one attempt at a shard, as a child process of the worker.

A task can't be stopped from outside, since it runs in a thread. So it looks by itself, several times a second, whether
it is still wanted: `Future.cancel`, the end of the client, and the loss of the scheduler all end its child.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crawler.run.engine.base import PARENT_VARIABLE

if TYPE_CHECKING:
    from distributed import Worker

# The task sends the child's lines so often, and so many bytes of them at most. More waits in the pipe, and so does the
# child.
_TICK_S = 0.2
_MOST_BYTES = 1024 * 1024
# Grace period of a child after SIGTERM: a crawl then keeps its journal.
GRACE_S = 30.0
# Once a child has ended, a child of its own may hold the pipe open.
_PATIENCE_S = 5.0

# Key of a task → its child, for `kill_child`.
_children: dict[str, subprocess.Popen[bytes]] = {}


def run_child(key: str, topic: str, arguments: Sequence[str], directory: str) -> None:
    """Run this machine's Python with `arguments`, and log what it writes to stderr as events of `topic`.

    Each event names the task's `key` and has one of: `begun`, the child's process ID; `data`, bytes of its stderr;
    `exit_code` and `host`, at its end. `directory` is that of the worker which the launcher chose: Dask gives the task
    again to a worker that is restarted at the same address, and there nothing is run.
    """
    from distributed import get_worker

    worker = get_worker()
    if worker.local_directory != directory or not _is_wanted(worker, key):
        return

    def say(**values: Any) -> None:
        worker.log_event(topic, {"key": key, "host": socket.gethostname(), **values})

    # Linux ends the child with this thread, which waits for it, and with the worker.
    environ = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    try:
        child = subprocess.Popen(  # noqa: S603  # this program's own arguments
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environ,
        )
    except OSError as error:
        say(not_started=error.strerror or type(error).__name__)
        return
    _children[key] = child
    try:
        say(begun=child.pid)
        _attend(child, say, lambda: _is_wanted(worker, key))
    finally:
        child.kill()
        exit_code = child.wait()
        del _children[key]
        say(exit_code=exit_code)


def kill_child(key: str) -> None:
    """End the child of a task of this worker by SIGKILL. Run it on the worker by `Client.run`."""
    if child := _children.get(key):
        child.kill()


def _is_wanted(worker: Worker, key: str) -> bool:
    """Whether the scheduler knows this worker and still wants the task."""
    task = worker.state.tasks.get(key)
    is_connected = worker.status.name not in {"closing", "closed", "failed", "stopping", "stopped"}
    return is_connected and task is not None and task.state == "executing"


def _attend(child: subprocess.Popen[bytes], say: Callable[..., None], is_wanted: Callable[[], bool]) -> None:
    """Pass on what a child writes, until it has ended. End it if its task is no longer wanted."""
    assert child.stderr is not None, "it is a pipe"
    pipe, end_at = child.stderr.fileno(), float("inf")
    os.set_blocking(pipe, False)
    with suppress(OSError):  # the user's pipes are at their limit
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _MOST_BYTES)
    with selectors.DefaultSelector() as selector, child.stderr:
        selector.register(pipe, selectors.EVENT_READ)
        is_open, is_asked = True, False
        while is_open or child.poll() is None:
            if not is_asked and not is_wanted():
                child.terminate()
                is_asked, end_at = True, time.monotonic() + GRACE_S
            if is_open and selector.select(_TICK_S):
                data, is_open = _read(pipe)
                if data:
                    say(data=data)
            if child.poll() is not None and end_at == float("inf"):
                end_at = time.monotonic() + _PATIENCE_S
            if time.monotonic() > end_at:
                return
            time.sleep(_TICK_S if child.poll() is None else 0)


def _read(pipe: int) -> tuple[bytes, bool]:
    """Return the content of a pipe, at most `_MOST_BYTES`, and whether it is still open."""
    chunks: list[bytes] = []
    with suppress(BlockingIOError):
        while sum(map(len, chunks)) < _MOST_BYTES:
            chunk = os.read(pipe, 65536)
            if not chunk:
                return b"".join(chunks), False
            chunks.append(chunk)
    return b"".join(chunks), True
