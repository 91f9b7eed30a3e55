"""One writer an output: an advisory lock on `_staging/lock` that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot.disk import make_folders_durably
from crawler.snapshot.layout import LOCK, STAGING

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.snapshot.disk import Disk

_HOLDER = re.compile(r"([0-9]{1,10}) ([0-9T:+.Z-]{1,40})\n")


class OutputLock:
    """The lock, held from `take` to `release`. The file stays: removing it would let two crawls hold two files."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def take(cls, disk: Disk, now: datetime) -> OutputLock:
        """Hold the output at once or not at all.

        Raises OutputBusyError where another crawl holds it, with its process and since when as far as the file says;
        OutputError where the file system can't lock.
        """
        make_folders_durably(disk, STAGING)
        fd = disk.open_for_update(LOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another crawl{_describe_holder(fd)} holds the output {disk.root}; let it end, or stop it"
            os.close(fd)
            raise OutputBusyError(message) from error
        except OSError as error:
            os.close(fd)
            raise OutputError(f"can't lock {LOCK}: {os.strerror(error.errno or 0)}") from error
        # A courtesy to who finds it held: a disk that is too full for it says so by what must be written.
        with suppress(OSError):
            _note_holder(fd, now)
        return cls(fd)

    def release(self) -> None:
        """Let the next crawl in; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _note_holder(fd: int, now: datetime) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()} {now:%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)


def _describe_holder(fd: int) -> str:
    found = _HOLDER.fullmatch(os.pread(fd, 64, 0).decode("ascii", "replace"))
    return f" (process {found[1]}, since {found[2]})" if found else ""
