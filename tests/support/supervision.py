"""Supervises a process that asks before each call that changes one folder: seccomp's user notification (Linux, x86-64).

strace counts the calls per thread and per kind, so its `when=k` can't select the k-th change of a process with several
threads. Here the kernel stops each call before it is executed. The judge sees all calls in one order. It permits
a call, lets it fail, fakes its success, shortens it, or kills the process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import select
import signal
import socket
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import command_server

KILL = "kill"
LIE = "lie"  # return 0 without doing anything
SHORT = "short"  # write only half
HOLD = "hold"  # never return, while other calls do

# Of calls by a descriptor (or a folder's), by two folders' and two names, and by a path; x86-64's numbers.
BY_FD = {
    "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "ftruncate": 77, "fallocate": 285, "fsync": 74,
    "fdatasync": 75, "fchmod": 91,
}  # fmt: skip
BY_FOLDER = {"openat": 257, "mkdirat": 258, "unlinkat": 263, "fchmodat": 268, "mknodat": 259}
BY_TWO = {"renameat": 264, "renameat2": 316, "linkat": 265}
BY_PATH = {"mkdir": 83, "rmdir": 84, "unlink": 87, "rename": 82, "truncate": 76, "chmod": 90, "creat": 85}
TO_FD = {"copy_file_range": 326, "sendfile": 40}
NUMBERS = BY_FD | BY_FOLDER | BY_TWO | BY_PATH | TO_FD
_NAMES = {number: name for name, number in NUMBERS.items()}
_FLUSHES = ("fsync", "fdatasync")

_AUDIT_ARCH_X86_64 = 0xC000003E
_AT_FDCWD = 0xFFFFFF9C
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_PIDFD_GETFD = 438


@dataclass(frozen=True)
class Call:
    """One call before its execution. Paths are relative to the folder; the parts that differ by run are replaced."""

    name: str
    path: str
    bytes: int = 0
    pid: int = field(default=0, compare=False, repr=False)

    @property
    def changes(self) -> bool:
        """Whether a reader could see the change; a flush only matters beyond the life of the process."""
        return self.name not in _FLUSHES

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


Judge = Callable[[int, Call], str | int | None]


@dataclass(frozen=True)
class Ended:
    """The end of a supervised process, and its calls, including the last one."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[Call]


def go_on(number: int, call: Call) -> None:
    """The judge that permits all calls."""


def supervised(
    arguments: Sequence[object], folder: Path, judge: Judge = go_on, *, cwd: Path, env: Mapping[str, str]
) -> Ended:
    """Run the command. Before each call on files in `folder`, the judge is called with its number from 1.

    None permits the call, a number of `errno` lets it fail; see KILL, LIE, SHORT and HOLD. The judge must not wait: a
    thread that gets a signal meanwhile asks, too.
    """
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
        with theirs:
            files = (nothing.fileno(), out.fileno(), err.fileno())
            child = command_server.start(
                arguments, cwd=cwd, env=env, files=files, filter_=_filter(), ask=theirs.fileno()
            )
        with child:
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
            calls = _Supervisor(child.pid, fds[0], folder.resolve(), judge).serve() if fds else []
        out.seek(0)
        err.seek(0)
        return Ended(child.wait(), out.read().decode(), err.read().decode(), calls)


class _Supervisor:
    def __init__(self, pid: int, listener: int, folder: Path, judge: Judge) -> None:
        self._pid = pid
        self._listener = listener
        self._root = str(folder)
        self._judge = judge
        self._calls: list[Call] = []

    def serve(self) -> list[Call]:
        """Answer until no process is left that could ask."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                [(_, event)] = poll.poll(120_000)
                if event & select.POLLIN:
                    self._answer()
                elif event & (select.POLLHUP | select.POLLERR):
                    return self._calls
        finally:
            os.close(self._listener)

    def _answer(self) -> None:
        request = bytearray(80)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, request, True)
        except FileNotFoundError:  # the asking process is dead
            return
        asked, tid, _, number, _, _, *args = struct.unpack("=QIIiIQ6Q", request)
        try:
            call = self._call(tid, _NAMES[number], args)
        except OSError:  # killed meanwhile
            return
        verdict = None
        if call is not None:
            self._calls.append(call)
            verdict = self._judge(len(self._calls), call)
        value, error, flags = 0, 0, 0
        if verdict == KILL:
            os.kill(self._pid, signal.SIGKILL)
            return
        if verdict == HOLD:
            return
        if verdict == SHORT:
            value = self._write_half(tid, args)
        elif verdict is None:
            flags = _CONTINUE
        elif verdict != LIE:
            error = -int(verdict)
        try:
            fcntl.ioctl(self._listener, _SEND, struct.pack("=QqiI", asked, value, error, flags))
        except OSError as gone:
            if gone.errno != errno.ENOENT:
                raise

    def _call(self, tid: int, name: str, args: Sequence[int]) -> Call | None:
        if name in BY_FD or name in TO_FD:
            fd = args[2] if name == "copy_file_range" else args[0]
            paths = [os.readlink(f"/proc/{tid}/fd/{fd & 0xFFFFFFFF}")]
        elif name in BY_PATH:
            paths = [self._named(tid, _AT_FDCWD, address) for address in args[: 2 if name == "rename" else 1]]
        elif name in BY_TWO:
            paths = [self._named(tid, args[0], args[1]), self._named(tid, args[2], args[3])]
        else:
            paths = [self._named(tid, args[0], args[1])]
        if not any(path == self._root or path.startswith(f"{self._root}/") for path in paths):
            return None
        shown = " -> ".join(plain(path.removeprefix(self._root).lstrip("/")) for path in paths)
        return Call(name, shown, args[2] if name in ("write", "pwrite64") else 0, self._pid)

    def _named(self, tid: int, folder: int, address: int) -> str:
        name = os.fsdecode(_read(tid, address, 4096).split(b"\0")[0])
        if name.startswith("/"):
            return name
        at = f"/proc/{tid}/cwd" if folder & 0xFFFFFFFF == _AT_FDCWD else f"/proc/{tid}/fd/{folder & 0xFFFFFFFF}"
        return f"{os.readlink(at)}/{name}"

    def _write_half(self, tid: int, args: Sequence[int]) -> int:
        """Write half, through the file's own descriptor, so that its position moves as usual."""
        data = _read(tid, args[1], args[2])[: args[2] // 2 or 1]
        pidfd = os.pidfd_open(self._pid)
        fd = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, ctypes.c_int(args[0]), 0)
        os.close(pidfd)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        try:
            return os.write(fd, data)
        finally:
            os.close(fd)


def plain(path: str) -> str:
    """Return a path without the parts that differ by run."""
    return re.sub(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}", "ID", re.sub(r"probe-[0-9a-f]{16}", "probe", path))


def _read(tid: int, address: int, size: int) -> bytes:
    """Read a process's memory, which may end within `size`."""
    fd = os.open(f"/proc/{tid}/mem", os.O_RDONLY)
    try:
        rest = 4096 - address % 4096
        text = os.pread(fd, min(size, rest), address)
        while len(text) < size and b"\0" not in text:
            more = os.pread(fd, min(size - len(text), 4096), address + len(text))
            if not more:
                break
            text += more
        return text
    finally:
        os.close(fd)


def _filter() -> bytes:
    """Return the filter of calls. Nearly every import looks up names without a folder's descriptor, so opening an
    existing file by such a name is permitted.
    """
    load, equal, set_, give = 0x20, 0x15, 0x45, 0x06
    numbers = sorted(number for name, number in NUMBERS.items() if name != "openat")
    at_open = len(numbers) + 4
    lines: list[tuple[int, int, int, int]] = [(load, 0, 0, 4), (equal, 1, 0, _AUDIT_ARCH_X86_64), (give, 0, 0, _ALLOW)]
    lines.append((load, 0, 0, 0))
    for place, number in enumerate(numbers):
        lines.append((equal, len(numbers) - place + 5, 0, number))
    assert len(lines) == at_open
    lines += [
        (equal, 0, 4, NUMBERS["openat"]),
        (load, 0, 0, 16),
        (equal, 2, 0, _AT_FDCWD),
        (load, 0, 0, 32),
        (set_, 1, 0, os.O_CREAT),
        (give, 0, 0, _ALLOW),
        (give, 0, 0, _NOTIFY),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
