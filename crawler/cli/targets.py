"""The target of `--to`: a file or folder to make, or a stream that is open already: stdout, a pipe, a device."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeGuard, TypeVar

import click

from crawler.cli.echo import fit_json
from crawler.cli.streams import stdout_bytes, stdout_only_tells

_Written = TypeVar("_Written")

STDOUT = Path("-")
_NAMED = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED = re.compile(r"(?:/dev/fd|/proc/self/fd)/([0-9]{1,9})")
_BINARY = frozenset({"parquet", "xlsx"})
_JSON = frozenset({"json", "jsonl"})


def is_stdout(path: Path | None) -> bool:
    """Return whether `--to` names stdout: `-`, or stdout's own device."""
    return path is not None and _descriptor(path) == 1


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file that a name such as `/dev/fd/3` or `/dev/stderr` stands for."""
    numbered = _NUMBERED.fullmatch(str(path))
    return int(numbered[1]) if numbered else _NAMED.get(str(path))


def is_stream(path: Path | None) -> TypeGuard[Path]:
    """Return whether `--to` names an open file, a pipe or a device. They can't be replaced, only written to."""
    if path is None or _descriptor(path) is not None:
        return path is not None
    with suppress(OSError, ValueError):
        mode = path.stat().st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)
    return False


def declare_target(path: Path | None, file_format: str) -> None:
    """Declare where the result of the command goes. Raises UsageError for bytes on a terminal."""
    if is_stdout(path):
        if file_format in _BINARY and sys.stdout.isatty():
            raise click.UsageError(
                f"--format {file_format} can't be shown on a terminal; redirect stdout, or name a file."
            )
    elif path is not None:
        stdout_only_tells()


@contextmanager
def open_stream(path: Path) -> Iterator[BinaryIO]:
    """Open the stream that `--to` names. Raises TargetError if it can't be written."""
    from crawler.audit.export.atomic_files import disk_errors

    if is_stdout(path):
        file = stdout_bytes()
        yield file
        file.flush()
    else:
        with disk_errors(path), os.fdopen(_open(path), "wb") as opened:
            yield opened


def _open(path: Path) -> int:
    number = _descriptor(path)
    if number is None:
        return os.open(path, os.O_WRONLY | os.O_NOCTTY)
    if not os.get_inheritable(number):  # one of this process's own, not the caller's
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return os.dup(number)  # another opening of a file would begin at its start again


def stdout_writer(file_format: str) -> Callable[[str], object]:
    """Return a function that writes text to stdout, as UTF-8.

    A terminal gets no control characters, and JSON's own escapes for characters that its encoding lacks.
    """
    from crawler.cli.query_text import on_screen

    if sys.stdout.isatty():
        fit = fit_json if file_format in _JSON else lambda text, _: text
        return lambda text: sys.stdout.write(fit(on_screen(text), sys.stdout))
    file = stdout_bytes()
    return lambda text: file.write(text.encode("utf-8", "backslashreplace"))


@contextmanager
def open_text(path: Path, file_format: str) -> Iterator[Callable[[str], object]]:
    """Open the stream that `--to` names for text. Yield a function that writes to it, as UTF-8."""
    if is_stdout(path):
        yield stdout_writer(file_format)
    else:
        with open_stream(path) as file:
            yield lambda text: file.write(text.encode("utf-8", "backslashreplace"))


def save_text(path: Path, file_format: str, write: Callable[[Callable[[str], object]], _Written]) -> _Written:
    """Write text by a function that gets `emit`: to a stream, or atomically to a file that only its owner may read."""
    from crawler.audit.export.atomic_files import move_into_place, new_file, staging

    if is_stream(path):
        with open_text(path, file_format) as emit:
            return write(emit)
    with staging(path.parent) as folder:
        with new_file(folder / path.name) as file:
            written = write(lambda text: file.write(text.encode("utf-8", "backslashreplace")))
        move_into_place([folder / path.name], path.parent)
    return written
