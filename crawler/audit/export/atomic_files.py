"""Where an export or an answer goes: written beside its place under another name, and moved there when it is whole."""

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
    """What is being made can't be written. Nothing stands under its name."""


def check_free(paths: Sequence[Path], *, may_replace: bool) -> None:
    """Raise ConfigError where something stands that mustn't be replaced, or where there is no folder to write in."""
    _check_parent(paths[0])
    for path in paths:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: --to must name a file for this")
        if os.path.lexists(path) and not may_replace:
            raise ConfigError(f"{path} is there already: name another with --to, or give --overwrite")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is no file that could be replaced")


def check_folder_free(path: Path, *, replaceable: Collection[str], may_replace: bool) -> None:
    """As `check_free`, for a folder. One that is there is replaced only if all that it holds is `replaceable`."""
    _check_parent(path)
    if not os.path.lexists(path):
        return
    if not may_replace:
        raise ConfigError(f"{path} is there already: name another with --to, or give --overwrite")
    if path.is_symlink() or not path.is_dir():
        raise ConfigError(f"{path} is no folder: --to must name one for several tables")
    if others := {entry.name for entry in path.iterdir()} - set(replaceable):
        raise ConfigError(f"{path} isn't overwritten: it has {min(others)!a}, which no export has written there")


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder: make it first, or name another with --to")


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A private folder in `folder`, on the same disk; it goes when the block ends, whatever happens."""
    with disk_errors(folder):
        place = Path(tempfile.mkdtemp(prefix=".acs-inventory-", dir=folder))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write, readable by this user only. Raises TargetError where the disk refuses."""
    with disk_errors(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as file:
        yield file


@contextmanager
def as_text(file: BinaryIO) -> Iterator[Callable[[str], object]]:
    """How to write text to it, in UTF-8, line ends as they are."""
    text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    yield text.write
    text.flush()
    text.detach()


def move_into_place(staged: Sequence[Path], folder: Path) -> None:
    """Move files into `folder`, each durable before it appears, in this order."""
    for path in staged:
        with disk_errors(folder / path.name):
            _settle(path)
            path.replace(folder / path.name)
    with disk_errors(folder):
        _flush(folder)


def move_folder_into_place(staged: Path, path: Path) -> None:
    """Move a folder of files to its path. One that is there takes its place, and goes with the staging folder."""
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
    """What the operating system refuses, as a TargetError that names the path."""
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
