"""Taking the output: its lock, what a crash left in it set right, and what to stage in. All of it blocks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.disk import make_folders
from crawler.snapshot.folder.commit import complete_decided, recover
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


def take_for_new(disk: Disk, snapshot_id: str, started_at: datetime) -> tuple[Disk, OutputLock, list[str]]:
    """The disk, its lock, and the snapshots that were completed; there is an empty staging folder for the new one.

    Raises OutputBusyError and OutputError, and lets both go then.
    """

    def prepare(disk: Disk) -> list[str]:
        recovered = recover(disk)
        if disk.has(manifest_path(snapshot_id)):
            raise OutputError(f"the output has a snapshot {snapshot_id} already")
        make_folders(disk, staged(snapshot_id))
        return recovered

    return _hold(disk, started_at, prepare)


def take_unfinished(disk: Disk, now: datetime) -> tuple[Disk, OutputLock, tuple[ResumeConditions, list[JournalEntry]]]:
    """The disk, its lock, and the journal of the newest unfinished crawl.

    Raises ConfigError where there is none to go on with, and as `take_for_new`.
    """

    def prepare(disk: Disk) -> tuple[ResumeConditions, list[JournalEntry]]:
        completed = complete_decided(disk)
        if completed and not any(is_snapshot_id(name) for name in disk.names(STAGING)):
            raise ConfigError(f"--resume: snapshot {completed[-1]} was whole already, and is in place now")
        return newest_unfinished(disk, now)

    return _hold(disk, now, prepare)


def _hold(disk: Disk, now: datetime, prepare: Callable[[Disk], _T]) -> tuple[Disk, OutputLock, _T]:
    lock = None
    try:
        lock = OutputLock.take(disk, now)
        # What keeps a removal from being completed is for the next `prune` to say.
        with suppress(OutputError):
            finish_removals(disk)
        with suppress(OutputError):
            sweep_probes(disk, now)
        return disk, lock, prepare(disk)
    except BaseException:
        if lock is not None:
            lock.release()
        disk.close_root()
        raise
