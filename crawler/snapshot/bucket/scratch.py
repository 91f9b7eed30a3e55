"""The scratch folder: rows are staged on this machine until their parts are sent, for outputs that aren't folders.

It is private, in the folder for temporary files (`TMPDIR`), and locked. The next crawl removes those of killed crawls.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from crawler.errors import OutputError
from crawler.snapshot.disk import Disk, make_folders
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.layout import LOCK, staged

if TYPE_CHECKING:
    from datetime import datetime

_PREFIX = "acs-inventory-scratch-"
# A crawl takes its lock within a moment; an hour leaves room for a machine that sleeps.
_STARTING_S = 3600.0


class ScratchDisk(Disk):
    """A disk that is never flushed, because no file of it is read after a crash."""

    def fsync(self, fd: int, path: str) -> None:
        """Do nothing."""

    def fsync_folder(self, path: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch folder that this crawl has locked."""

    disk: ScratchDisk
    lock: OutputLock

    @classmethod
    def make(cls, snapshot_id: str, now: datetime) -> Self:
        """Make the folder and the staging folder in it; remove those of killed crawls. Blocks. Raises OutputError."""
        disk = ScratchDisk(_make_folder())
        try:
            lock = OutputLock.acquire(disk, now)
            make_folders(disk, staged(snapshot_id))
        except BaseException:
            disk.close_root()
            raise
        return cls(disk, lock)

    def remove(self) -> None:
        """Release the lock and remove the folder, as far as the operating system allows. Blocks."""
        self.lock.release()
        self.disk.close_root()
        shutil.rmtree(self.disk.root, ignore_errors=True)


def _make_folder() -> Path:
    try:
        place = Path(tempfile.gettempdir())
        for folder in sorted(place.glob(f"{_PREFIX}*")):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise OutputError(f"can't make a scratch folder for rows under TMPDIR: {reason}") from error


def _is_abandoned(folder: Path) -> bool:
    """Return whether the folder is ours and its lock is free.

    A crawl that is starting makes the folder, then the lock's file, then takes the lock and writes into the file. So a
    folder without the file, or with an empty one, was made a moment ago. An hour later, an empty one is abandoned.
    """
    with suppress(OSError):
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return False
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            file = os.fstat(fd)
            if not file.st_size and time.time() - file.st_mtime < _STARTING_S:
                return False
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)
        return True
    return False
