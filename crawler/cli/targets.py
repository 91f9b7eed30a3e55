"""The target of `--to`: a file or folder to make, or a stream that is open already: stdout, a pipe, a device."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeGuard

import click

from crawler.cli.echo import fit_json
from crawler.cli.streams import stdout_bytes, stdout_only_tells

STDOUT = Path("-")
_STDOUT = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_BINARY = frozenset({"parquet", "xlsx"})
_JSON = frozenset({"json", "jsonl"})


def is_stdout(path: Path | None) -> bool:
    """Return whether `--to` names stdout: `-`, or stdout's own device."""
    return path is not None and str(path) in _STDOUT


def is_stream(path: Path | None) -> TypeGuard[Path]:
    """Return whether `--to` names stdout, a pipe or a device. They can't be replaced, only written to."""
    if path is None or is_stdout(path):
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
        with disk_errors(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_NOCTTY), "wb") as opened:
            yield opened


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
