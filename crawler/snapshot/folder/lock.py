"""The lock of an output: one writer at a time. It is advisory, on `_staging/lock`, and ends with its process."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot.disk import NO_TIME, make_folders_durably, modified_at
from crawler.snapshot.layout import LOCK, STAGING

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.snapshot.disk import Disk

_HOLDER = re.compile(r"([0-9]{1,10}) ([0-9T:+.Z-]{1,40})\n")


class OutputLock:
    """The lock, from `acquire` to `release`. The file stays: after its removal, two crawls could lock two files."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, disk: Disk, now: datetime) -> OutputLock:
        """Lock the output without waiting.

        Raises OutputBusyError if another crawl holds the lock, with its process and start if the file has them;
        OutputError if the file system can't lock.
        """
        make_folders_durably(disk, STAGING)
        fd = disk.open_for_update(LOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another crawl{_describe_holder(fd)} holds the output {disk.root}; wait for it, or stop it"
            os.close(fd)
            raise OutputBusyError(message) from error
        except OSError as error:
            os.close(fd)
            raise OutputError(f"can't lock {LOCK}: {os.strerror(error.errno or 0)}") from error
        # Only informs other crawls: if the disk is full, the snapshot's files will fail, too.
        with suppress(OSError):
            _note_holder(fd, now)
        return cls(fd)

    def release(self) -> None:
        """Release the lock. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def locked_at(disk: Disk) -> datetime:
    """Return when the output was locked, by the clock with which its file system stamps files. Raises OutputError.

    It may differ from this machine's clock, or from the service's time.
    """
    found = disk.stat(LOCK)
    return modified_at(found) if found is not None else NO_TIME


def _note_holder(fd: int, now: datetime) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()} {now:%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)


def _describe_holder(fd: int) -> str:
    found = _HOLDER.fullmatch(os.pread(fd, 64, 0).decode("ascii", "replace"))
    return f" (process {found[1]}, since {found[2]})" if found else ""
