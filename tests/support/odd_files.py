"""Files of every kind but a regular one, for the tests of readers: each would hang a reader, or never end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_endless_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_folder(path: Path) -> None:
    path.mkdir()


def make_socket(path: Path) -> None:
    """A socket's path may have 108 bytes at most, so it is bound by its name."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


ODD: dict[str, Callable[[Path], None]] = {
    "a named pipe": make_pipe,
    "a symbolic link": make_endless_link,
    "a folder": make_folder,
    "a socket": make_socket,
}


def put(path: Path, kind: str) -> None:
    """Put a file of this kind in the place of another file or folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    ODD[kind](path)


@contextmanager
def ends_within(seconds: int) -> Iterator[None]:
    """Fail the test if the block takes longer: an alarm interrupts a call that waits."""

    def fail(number: int, frame: object) -> None:
        raise AssertionError(f"not ended within {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
