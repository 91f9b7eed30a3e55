"""Write files in a staging folder on the same disk and move them into place when they are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from crawler.errors import ConfigError, OutputError

_FILE_MODE = 0o600


class TargetError(OutputError):
    """A file can't be written. No incomplete file has the final name."""


def check_free(paths: Sequence[Path], *, may_replace: bool) -> None:
    """Raise ConfigError for a path that exists and mustn't be replaced, or whose folder doesn't exist."""
    _check_parent(paths[0])
    for path in paths:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; --to must name a file here")
        if os.path.lexists(path) and not may_replace:
            raise ConfigError(f"{path} already exists; name another path with --to, or use --overwrite")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} can't be replaced: it is not a regular file")


def check_folder_free(path: Path, *, replaceable: Collection[str], may_replace: bool) -> None:
    """As `check_free`, for a folder. An existing one is replaced only if all its files are `replaceable`."""
    _check_parent(path)
    if not os.path.lexists(path):
        return
    if not may_replace:
        raise ConfigError(f"{path} already exists; name another path with --to, or use --overwrite")
    if path.is_symlink() or not path.is_dir():
        raise ConfigError(f"{path} is not a folder; --to must name one for several tables")
    if others := {entry.name for entry in path.iterdir()} - set(replaceable):
        raise ConfigError(f"{path} isn't overwritten: it contains {min(others)!a}, which is not from an export")


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is not a folder; create it first, or name another path with --to")


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield a private folder in `folder`, on the same disk. It is always removed at the end of the block."""
    with disk_errors(folder):
        place = Path(tempfile.mkdtemp(prefix=".acs-inventory-", dir=folder))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write, readable by this user only. Raises TargetError if it can't be written."""
    with disk_errors(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as file:
        yield file


@contextmanager
def as_text(file: BinaryIO) -> Iterator[Callable[[str], object]]:
    """Yield a function that writes text to the file, as UTF-8 with unchanged line ends."""
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    yield text.write
    text.flush()
    text.detach()


def move_into_place(staged: Sequence[Path], folder: Path) -> None:
    """Flush each file to disk, then move it into `folder`, in this order."""
    for path in staged:
        with disk_errors(folder / path.name):
            _settle(path)
            path.replace(folder / path.name)
    with disk_errors(folder):
        _flush(folder)


def move_folder_into_place(staged: Path, path: Path) -> None:
    """Move a folder of files to its path. An existing one moves to the staging folder, which is removed later."""
    with disk_errors(path):
        for file in sorted(staged.iterdir()):
            _settle(file)
        _flush(staged)
        replaced = staged.with_name(f"{staged.name}.replaced")
        if path.is_dir():
            path.rename(replaced)
        staged.rename(path)
        _flush(path.parent)


@contextmanager
def disk_errors(path: Path, action: str = "write") -> Iterator[None]:
    """Raise a TargetError that names the path for each OSError in the block."""
    try:
        yield
    except OSError as error:
        raise TargetError(f"can't {action} {path}: {error.strerror or type(error).__name__}") from None


def _settle(file: Path) -> None:
    file.chmod(_FILE_MODE)
    _flush(file)


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
