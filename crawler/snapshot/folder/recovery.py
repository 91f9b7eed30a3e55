"""Acquires the output: takes the lock, repairs the traces of a crash, prepares the staging folder. Blocking."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.disk import make_folders
from crawler.snapshot.folder.commit import check_latest, complete_committed, recover
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.folder.preflight import sweep_probes
from crawler.snapshot.folder.prune import finish_removals
from crawler.snapshot.folder.resume import newest_unfinished
from crawler.snapshot.layout import STAGING, is_snapshot_id, manifest_path, staged

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.folder.journal import JournalEntry, ResumeConditions

_T = TypeVar("_T")


def acquire_for_new(disk: Disk, snapshot_id: str, started_at: datetime) -> tuple[OutputLock, list[str]]:
    """Lock the output and make the staging folder of a new snapshot. Return the lock and the IDs that were completed.

    Raises OutputBusyError and OutputError, after which the lock is released and the disk closed.
    """

    def prepare(disk: Disk) -> list[str]:
        recovered = recover(disk)
        if disk.has(manifest_path(snapshot_id)):
            raise OutputError(f"the output has a snapshot {snapshot_id} already")
        make_folders(disk, staged(snapshot_id))
        return recovered

    return _acquire(disk, started_at, prepare)


def rename_staging(disk: Disk, snapshot_id: str, to: str) -> None:
    """Rename the staging folder of a snapshot, which is empty. Raises OutputError if the output has the new ID."""
    if disk.has(manifest_path(to)) or disk.is_folder(staged(to)):
        raise OutputError(f"the output has a snapshot {to} already")
    disk.rename(staged(snapshot_id), staged(to))


def acquire_unfinished(disk: Disk, now: datetime) -> tuple[OutputLock, tuple[ResumeConditions, list[JournalEntry]]]:
    """Lock the output. Return the lock and the journal of the newest unfinished crawl.

    Raises ConfigError if there is no crawl to resume, and the errors of `acquire_for_new`.
    """

    def prepare(disk: Disk) -> tuple[ResumeConditions, list[JournalEntry]]:
        completed = complete_committed(disk)
        if completed and not any(is_snapshot_id(name) for name in disk.names(STAGING)):
            raise ConfigError(f"--resume: snapshot {completed[-1]} was whole already, and is in place now")
        return newest_unfinished(disk, now)

    return _acquire(disk, now, prepare)


def _acquire(disk: Disk, now: datetime, prepare: Callable[[Disk], _T]) -> tuple[OutputLock, _T]:
    lock = None
    try:
        lock = OutputLock.acquire(disk, now)
        check_latest(disk)
        # A removal that can't be completed is reported by the next `prune`.
        with suppress(OutputError):
            finish_removals(disk)
        with suppress(OutputError):
            sweep_probes(disk, now)
        return lock, prepare(disk)
    except BaseException:
        if lock is not None:
            lock.release()
        disk.close_root()
        raise
