"""The check that a folder can take a snapshot, before the first request is sent."""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.disk import Disk, make_folders, set_mode, write_file
from crawler.snapshot.layout import SNAPSHOTS, STAGING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

# A check takes less time: the process of an older probe was killed.
_ABANDONED_AFTER = timedelta(hours=1)
_PROBE = re.compile(r"probe-[0-9a-f]{16}(-renamed)?")


def check_output(root: Path, tables: Collection[str] = (), umask: int = 0o077) -> None:
    """Make the output's folder if it is missing, and try the steps of a commit in it.

    Raises OutputError for a link or file in place of a folder, for a folder that refuses a write, rename or flush, and
    for a table's folder on another device than the staging folder.
    """
    make_root(root, umask)
    disk = Disk(root, umask)
    try:
        make_folders(disk, STAGING)
        _try_commit(disk)
        device = _device(disk, STAGING)
        for name in (SNAPSHOTS, *sorted(tables)):
            if disk.has(name) and _device(disk, name) != device:
                raise OutputError(f"{name} of the output {root} is on another device than {STAGING}; put them on one")
    finally:
        disk.close_root()


def sweep_probes(disk: Disk, now: datetime) -> None:
    """Remove probes of over an hour ago; newer ones may be another crawl's. Needs the lock. Raises OutputError."""
    for name in filter(_PROBE.fullmatch, disk.names(STAGING)):
        found = disk.stat(f"{STAGING}/{name}")
        if found is None or not stat.S_ISREG(found.st_mode):
            continue
        if now - datetime.fromtimestamp(found.st_mtime, UTC) > _ABANDONED_AFTER:
            disk.unlink(f"{STAGING}/{name}")


def make_root(root: Path, umask: int) -> None:
    """Make the output's folder and those above it that are missing. Raises OutputError, also for a link or file."""
    try:
        found = root.lstat() if os.path.lexists(root) else None
        if found is None:
            missing = [folder for folder in (root, *root.parents) if not os.path.lexists(folder)]
            for folder in reversed(missing):
                _make_durably(folder, 0o777 & ~umask)
    except OSError as error:
        raise OutputError(f"can't make the output folder {root}: {os.strerror(error.errno or 0)}") from error
    if found is not None and not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link; name the folder itself" if stat.S_ISLNK(found.st_mode) else "not a folder"
        raise OutputError(f"the output {root} is {kind}")


def _make_durably(folder: Path, mode: int) -> None:
    folder.mkdir(mode, exist_ok=True)
    made = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        set_mode(made, f"the output folder {folder}", mode)
    finally:
        os.close(made)
    fd = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _try_commit(disk: Disk) -> None:
    probe = f"{STAGING}/probe-{secrets.token_hex(8)}"
    try:
        write_file(disk, probe, b"acs-inventory\n")
        disk.rename(probe, f"{probe}-renamed")
        disk.fsync_folder(STAGING)
    finally:
        with suppress(OutputError):
            disk.unlink(probe)
            disk.unlink(f"{probe}-renamed")


def _device(disk: Disk, name: str) -> int:
    if not disk.is_folder(name):
        raise OutputError(f"{name} of the output {disk.root} is a link or file, not a folder; remove it")
    found = disk.stat(name)
    return found.st_dev if found is not None else -1
