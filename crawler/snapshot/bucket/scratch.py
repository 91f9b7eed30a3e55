"""The folder of this machine where rows wait until their scope is kept, for outputs that aren't folders themselves.

It is private, beside other temporary files (`TMPDIR`), and its crawl holds a lock in it: one whose crawl was killed is
removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from crawler.errors import OutputError
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import LOCK

_PREFIX = "acs-inventory-scratch-"


class ScratchDisk(Disk):
    """A disk that nothing is read from after a crash: it is never flushed."""

    def fsync(self, fd: int, path: str) -> None:
        """Nothing."""

    def fsync_folder(self, path: str) -> None:
        """Nothing."""


def make_scratch() -> Path:
    """A new private folder; those of killed crawls are removed. Raises OutputError."""
    try:
        place = Path(tempfile.gettempdir())
        for folder in sorted(place.glob(f"{_PREFIX}*")):
            if _is_forsaken(folder):
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise OutputError(f"no folder for rows on their way can be made under TMPDIR: {reason}") from error


def _is_forsaken(folder: Path) -> bool:
    """Whether it is ours and has a lock that nobody holds. One without a lock was made a moment ago."""
    with suppress(OSError):
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return False
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)
        return True
    return False
