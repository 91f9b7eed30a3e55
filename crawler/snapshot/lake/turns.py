"""The turns of a crawl that moves lake tables and of a `prune`, in a local output.

A crawl has released the output when it moves the tables. A `prune` at that time could remove a snapshot that is about
to be a table's content. So each waits for the other: a crawl for a `prune`, and a `prune` for crawls. The lock ends
with its process.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.disk import Disk, make_folders
from crawler.snapshot.layout import LAKE_LOCK, STAGING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.snapshot.lake.base import LakeSettings


@contextmanager
def turn_of_crawl(settings: LakeSettings) -> Iterator[None]:
    """Wait until no `prune` runs, and keep it waiting for the block. Raises OutputError if the disk can't lock."""
    if not isinstance(settings.root, Path):
        yield
        return
    disk = Disk(settings.root.resolve(), settings.umask)
    try:
        with locked(disk, fcntl.LOCK_SH):
            yield
    finally:
        disk.close_root()


@contextmanager
def turn_of_prune(disk: Disk, *, has_lakes: bool) -> Iterator[None]:
    """Wait until no crawl moves tables, and keep crawls waiting for the block. Raises OutputError."""
    if not has_lakes:
        yield
        return
    with locked(disk):
        yield


@contextmanager
def locked(disk: Disk, operation: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Wait for the lock of the lake and hold it for the block. Raises OutputError if the disk can't lock."""
    make_folders(disk, STAGING)
    fd = disk.open_for_update(LAKE_LOCK)
    try:
        try:
            fcntl.flock(fd, operation)
        except OSError as error:
            raise OutputError(f"can't lock {LAKE_LOCK}: {os.strerror(error.errno or 0)}") from error
        yield
    finally:
        os.close(fd)
