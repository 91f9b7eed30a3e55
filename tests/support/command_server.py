"""Runs the command in a fork of a process that has already imported it.

Imports take most of a short command: 0.9 s of CPU instead of 0.1. A child does the same as `python -m crawler`, with
its own command line, folder, environment, umask and open files; test_command_server compares the two. Tests of the
start of a process, or of its death by a signal, start a process instead.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
# Set by `pytest --cold`: `run` starts a new Python, which a debugger can follow.
is_cold = False
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = 317
_FILTER, _NEW_LISTENER = 1, 8
# A call that is being judged isn't interrupted by a signal: no call on a local file system is.
_WAIT_KILLABLE = 32
# Modules that commands import while they run.
_MODULES = (
    *("_strptime", "ctypes", "encodings.idna", "anyio._backends._asyncio", "arro3.io", "dateutil.relativedelta"),
    *("duckdb", "aiohttp", "orjson", "pyarrow.parquet", "uvloop", "rich.live", "rich.table"),
)


class Child:
    """A running command."""

    def __init__(self, said: socket.socket, pid: int) -> None:
        self._said = said
        self.pid = pid
        self.returncode: int | None = None

    def wait(self, timeout_s: float = 300) -> int:
        """Return its exit code, or the negative number of the signal that ended it. Raises TimeoutError."""
        if self.returncode is None:
            self._said.settimeout(timeout_s)
            said = self._said.recv(4)
            assert said, "the process that watches it has died"
            [self.returncode] = struct.unpack("=i", said)
            self._said.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Kill the child, so that it doesn't outlive its test."""
        if kind is not None:
            self.send_signal(signal.SIGKILL)
        self.wait()


def start(
    arguments: Sequence[object],
    *,
    cwd: Path | str,
    env: Mapping[str, str],
    files: tuple[int, int, int],
    filter_: bytes = b"",
    ask: int = -1,
) -> Child:
    """Start the command with these arguments and descriptors. A terminal becomes the child's controlling terminal.

    With a filter for its calls, their listener is sent to the socket `ask`.
    """
    umask = os.umask(0)
    os.umask(umask)
    asked = {"argv": [os.fspath(part) if isinstance(part, os.PathLike) else str(part) for part in arguments]}
    asked |= {"cwd": str(cwd), "env": dict(env), "umask": umask, "filter": filter_.hex()}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, tempfile.TemporaryFile() as request:
        request.write(json.dumps(asked).encode())
        request.flush()
        fds = [request.fileno(), theirs.fileno(), *files, *([ask] if ask >= 0 else [])]
        socket.send_fds(_parent()[0], [b"x"], fds)
        ours.settimeout(60)
        said = ours.recv(4)
    assert said, "the command server has died"
    return Child(ours, *struct.unpack("=i", said))


def run(
    arguments: Sequence[object],
    *,
    cwd: Path | str,
    env: Mapping[str, str],
    text: bool = True,
    input: str | bytes = "",  # noqa: A002 - as subprocess.run has it
) -> subprocess.CompletedProcess:
    """Run the command to its end; return exit code, stdout and stderr."""
    if is_cold:
        return subprocess.run(
            [sys.executable, "-m", "crawler", *map(str, arguments)],
            cwd=cwd, env={"PYTHONPATH": str(ROOT), **env}, input=input, capture_output=True, text=text, check=False,
        )  # fmt: skip
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(input.encode() if isinstance(input, str) else input)
        given.seek(0)
        files = (given.fileno(), out.fileno(), err.fileno())
        with start(arguments, cwd=cwd, env=env, files=files) as child:
            returncode = child.wait()
        out.seek(0)
        err.seek(0)
        said = out.read(), err.read()
    stdout, stderr = (part.decode().replace("\r\n", "\n") if text else part for part in said)
    return subprocess.CompletedProcess(list(arguments), returncode, stdout, stderr)


def on_terminal(arguments: Sequence[object], *, cwd: Path | str, env: Mapping[str, str]) -> tuple[int, str]:
    """Run the command to its end on a terminal; return its exit code and all output to the terminal."""
    leader, follower = pty.openpty()
    try:
        child = start(arguments, cwd=cwd, env=env, files=(follower, follower, follower))
    finally:
        os.close(follower)
    screen = b""
    with child, os.fdopen(leader, "rb", buffering=0) as terminal:
        with suppress(OSError):  # Linux reports a closed other side this way
            while select.select([terminal], [], [], 60)[0] and (piece := terminal.read(65536)):
                screen += piece
        return child.wait(), screen.decode()


@functools.cache
def _parent() -> tuple[socket.socket, subprocess.Popen]:
    """Return the process that forks, and the socket for requests to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            cwd=ROOT, env=environ, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    atexit.register(stop)
    return ours, process


def stop() -> None:
    """Stop the process that forks, if there is one."""
    if _parent.cache_info().currsize:
        asking, process = _parent()
        _parent.cache_clear()
        asking.close()
        process.wait(60)


# --- the process that forks ---


def _be_asked(channel: socket.socket) -> bool:
    """Fork for each request. Return True in the child, which then runs the command; False when the socket is closed."""
    while True:
        said, fds, _, _ = socket.recv_fds(channel, 1, 6)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not said:
            return False
        if _fork() == 0:
            return _watch(fds)
        for fd in fds:
            os.close(fd)


def _watch(fds: list[int]) -> bool:
    """Watch the child from a process in between, and report its end. Return True in the child."""
    with os.fdopen(fds[0], "rb") as request:
        request.seek(0)
        asked = json.load(request)
    pid = _fork()
    if pid == 0:
        os.close(fds[1])
        _become(asked, fds[2:])
        return True
    for fd in fds[2:]:
        os.close(fd)
    with socket.socket(fileno=fds[1]) as teller:
        teller.send(struct.pack("=i", pid))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):
            teller.send(struct.pack("=i", code))
    os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings(action="ignore"):  # jemalloc has a thread, which is never used
        return os.fork()


def _become(asked: dict, fds: list[int]) -> None:
    for target, fd in enumerate(fds[:3]):
        os.dup2(fd, target)
    if os.isatty(1):
        os.setsid()
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # pytest may run under nohup
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv[1:] = asked["argv"]
    if asked["filter"]:
        with socket.socket(fileno=fds[3]) as ask:
            socket.send_fds(ask, [b"x"], [_listener(bytes.fromhex(asked["filter"]))])
    for fd in fds[:3]:
        os.close(fd)


def _listener(program: bytes) -> int:
    """Install the filter, so that the kernel asks before its calls; return the descriptor from which it asks."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = ctypes.create_string_buffer(program, len(program))
    packed = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    listener = libc.syscall(_SECCOMP, _FILTER, _NEW_LISTENER | _WAIT_KILLABLE, packed)
    if listener < 0:
        sys.exit(f"the kernel lets no one supervise: {os.strerror(ctypes.get_errno())}")
    return listener


def _run() -> None:
    """Run the command and the end of Python, but don't destroy the modules: that would copy shared memory."""
    from crawler.cli import main

    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 1)


def _import_all() -> None:
    import importlib
    import pkgutil

    import crawler

    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as the command does before it imports Arrow
    ours = [found.name for found in pkgutil.walk_packages(crawler.__path__, "crawler.")]
    for name in (*_MODULES, *ours):
        if not name.endswith(("__main__", ".testing")):
            importlib.import_module(name)


if __name__ == "__main__":
    _import_all()
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        is_child = _be_asked(asking)
    if is_child:
        _run()
