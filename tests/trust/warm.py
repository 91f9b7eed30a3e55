"""Crawls that don't start Python anew: a process that has imported the command forks for each of them.

Most of a small crawl is imports: 0.9 s of CPU against 0.1. What the child does is what `python -m crawler` does, with a
command line, a folder, a umask and open files of its own; that it makes the same calls as one started anew is
test_kill_points' matter.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = 317
_FILTER, _NEW_LISTENER = 1, 8
# What a crawl imports on its way.
_MODULES = (
    "anyio._backends._asyncio",
    "arro3.io",
    "ctypes",
    "encodings.idna",
    "orjson",
    "uvloop",
    "crawler.cli",
    "crawler.cli.live",
    "crawler.cli.render",
    "crawler.cli.summary",
    "crawler.metrics",
    "crawler.ping",
    "crawler.run",
    "crawler.tracing",
)


class Child:
    """One crawl that was begun; its end is told once."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self._channel = channel
        self.pid = pid
        self._returncode: int | None = None

    def wait(self) -> int:
        """Its exit code, or the signal that ended it, below zero."""
        if self._returncode is None:
            said = self._channel.recv(4)
            assert said, "the warm process has died"
            [self._returncode] = struct.unpack("=i", said)
        return self._returncode

    def kill(self) -> None:
        """End it, if it hasn't ended."""
        if self._returncode is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


class Warm:
    """The process that forks. One child at a time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def start(
        self, arguments: Sequence[str | Path], *, cwd: Path, out: int, err: int, filter_: bytes = b"", ask: int = -1
    ) -> Child:
        """The command with these arguments; with a filter for its calls, whose listener is sent to the socket `ask`."""
        umask = os.umask(0)
        os.umask(umask)
        asked = {"argv": [str(part) for part in arguments], "cwd": str(cwd), "umask": umask, "filter": filter_.hex()}
        fds = [out, err] if ask < 0 else [out, err, ask]
        socket.send_fds(self._channel, [json.dumps(asked).encode()], fds)
        said = self._channel.recv(4)
        assert said, "the warm process has died"
        return Child(self._channel, *struct.unpack("=i", said))


@contextmanager
def warm(environ: Mapping[str, str], *, cwd: Path) -> Iterator[Warm]:
    """A warm process with this environment, which its children have too."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd=cwd, env={**environ, "OPENBLAS_NUM_THREADS": "1"}, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield Warm(ours)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            process.wait(60)


def _be_asked(channel: socket.socket) -> bool:
    """Fork whenever it is asked for. True in the child, whose command is to be run; False when nobody asks any more."""
    while True:
        said, fds, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        if not said:
            return False
        with warnings.catch_warnings(action="ignore"):  # jemalloc has a thread, of which nothing is used
            pid = os.fork()
        if pid == 0:
            _become(json.loads(said), fds)
            return True
        for fd in fds:
            os.close(fd)
        channel.send(struct.pack("=i", pid))
        channel.send(struct.pack("=i", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _become(asked: dict, fds: list[int]) -> None:
    os.dup2(fds[0], 1)
    os.dup2(fds[1], 2)
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    sys.argv[1:] = asked["argv"]
    if asked["filter"]:
        with socket.socket(fileno=fds[2]) as ask:
            socket.send_fds(ask, [b"x"], [_listener(bytes.fromhex(asked["filter"]))])
    for fd in fds[:2]:
        os.close(fd)


def _listener(program: bytes) -> int:
    """Have the kernel ask before the calls that the filter names; the descriptor from which it asks."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = ctypes.create_string_buffer(program, len(program))
    packed = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    listener = libc.syscall(_SECCOMP, _FILTER, _NEW_LISTENER, packed)
    if listener < 0:
        sys.exit(f"the kernel lets no one supervise: {os.strerror(ctypes.get_errno())}")
    return listener


if __name__ == "__main__":
    import importlib

    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as the command does before it imports Arrow
    for name in _MODULES:
        importlib.import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        is_child = _be_asked(asking)
    if is_child:
        from crawler.cli import main

        main()
