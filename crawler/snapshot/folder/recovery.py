"""Acquires the output: takes the lock, repairs the traces of a crash, prepares the staging folder. Blocking."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from crawler.errors import AlreadyCommittedError, CannotResumeError, OutputError
from crawler.snapshot.disk import make_folders
from crawler.snapshot.folder.commit import check_latest, complete_committed, recover
from crawler.snapshot.folder.lock import OutputLock, locked_at
from crawler.snapshot.folder.preflight import sweep_probes
from crawler.snapshot.folder.prune import finish_removals
from crawler.snapshot.folder.resume import newest_unfinished
from crawler.snapshot.layout import SNAPSHOTS, STAGING, id_after, is_snapshot_id, manifest_path, staged
from crawler.snapshot.shards.cleaning import clean_up_run_folders

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.journal import Unfinished

_T = TypeVar("_T")


def acquire_for_new(disk: Disk, snapshot_id: str, started_at: datetime) -> tuple[OutputLock, tuple[str, list[str]]]:
    """Lock the output and make the staging folder of a new snapshot.

    Return the lock, the snapshot's ID (see `_newest_id`) and the IDs of the snapshots that were completed. Raises
    OutputBusyError and OutputError, after which the lock is released and the disk closed.
    """

    def prepare(disk: Disk) -> tuple[str, list[str]]:
        recovered = recover(disk, clean_up_run_folders(disk, locked_at(disk)))
        newest = _newest_id(disk, snapshot_id)
        make_folders(disk, staged(newest))
        return newest, recovered

    return _acquire(disk, started_at, prepare)


def acquire_for_join(disk: Disk, snapshot_id: str, now: datetime) -> tuple[OutputLock, list[str]]:
    """Lock the output and make the staging folder of a snapshot whose shards have reported.

    Return the lock and the IDs of the snapshots that were completed. Raises as `acquire_for_new`.
    """

    def prepare(disk: Disk) -> list[str]:
        recovered = recover(disk)
        if disk.has(manifest_path(snapshot_id)):
            raise AlreadyCommittedError(f"another process has committed snapshot {snapshot_id}")
        make_folders(disk, staged(snapshot_id))
        return recovered

    return _acquire(disk, now, prepare)


def rename_staging(disk: Disk, snapshot_id: str, to: str) -> str:
    """Rename the staging folder of a snapshot, which is empty. Return the new ID (see `_newest_id`)."""
    newest = _newest_id(disk, to)
    if disk.is_folder(staged(newest)):
        raise OutputError(f"the output has a snapshot {newest} already")
    disk.rename(staged(snapshot_id), staged(newest))
    return newest


def _newest_id(disk: Disk, snapshot_id: str) -> str:
    """Return the ID, or the one after the newest snapshot's that began within the same second or the next.

    The digits of an ID are random. Without this, the second crawl of a second could sort before the first one's.
    """
    last = id_after(f"{snapshot_id[:17]}ffff")[:17] + "ffff"
    names = (name.removesuffix(".json") for name in disk.names(SNAPSHOTS))
    newest = max((name for name in names if is_snapshot_id(name) and name <= last), default="")
    return id_after(newest) if newest >= snapshot_id else snapshot_id


def acquire_unfinished(disk: Disk, now: datetime) -> tuple[OutputLock, Unfinished]:
    """Lock the output. Return the lock and the journals of the newest unfinished crawl.

    Raises ConfigError if there is no crawl to resume, and the errors of `acquire_for_new`.
    """

    def prepare(disk: Disk) -> Unfinished:
        completed = complete_committed(disk)
        if completed and not any(is_snapshot_id(name) for name in disk.names(STAGING)):
            raise CannotResumeError(f"--resume: snapshot {completed[-1]} was whole already, and is in place now")
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
