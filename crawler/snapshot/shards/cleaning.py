"""The removal of what runs left: all of a run's files together, by the newest of them.

A run goes on for a day after its last file, however old its plan is. Until then the staged files of its snapshot are
left alone, too. After its join only a note is left, which says for a day what became of it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.disk import NO_TIME, modified_at, remove_tree
from crawler.snapshot.layout import (
    FRESH,
    STAGING,
    is_run_folder,
    joined_path,
    plan_path,
    run_folder_of,
)
from crawler.snapshot.limits import PLAN_BYTES
from crawler.snapshot.object_store import StoredObject
from crawler.snapshot.reader import Folder
from crawler.snapshot.shards.runs import PROCESSES, active_at, decode_plan_head, is_joined, read_plan
from crawler.snapshot.shards.store import list_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.shards.store import RunStore

KEPT_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Spared:
    """The IDs of the snapshots whose runs go on; every ID if one of the runs has a plan that can't be read."""

    snapshot_ids: Collection[str] = ()
    has_unknown: bool = False

    def __contains__(self, snapshot_id: object) -> bool:
        return self.has_unknown or snapshot_id in self.snapshot_ids


async def clear_run(store: RunStore, folder: str) -> None:
    """Remove all files of a joined run but the note that it is joined; of a folder, its attempts' folders, too.

    Temporary files stay: another process of the run may be about to see that it is joined. Raises OutputError.
    """
    found = await store.list_here(folder)
    kept = (joined_path(folder), f"{folder}/{FRESH}")
    await store.delete([entry.path for entry in found.objects if not entry.path.startswith(kept)])
    await store.delete([f"{folder}/{name}" for name in found.folders])


async def clean_up_runs(bucket: RunStore, staged_files: Iterable[StoredObject], now: datetime) -> Spared:
    """Remove the old runs of a bucket, of whose staging folder this is the listing. Raises OutputError."""
    runs: dict[str, list[StoredObject]] = defaultdict(list)
    for entry in staged_files:
        if folder := run_folder_of(entry.path):
            runs[folder].append(entry)
    ids, has_unknown = set[str](), False
    for folder, files in runs.items():
        if _is_old(folder, files, now):
            await bucket.delete([entry.path for entry in files])
        elif not is_joined(folder, files):
            try:
                plan = await read_plan(bucket, folder, files)
            except ValueError:
                has_unknown = True
            else:
                ids |= {plan.snapshot_id} if plan is not None else set()
    return Spared(ids, has_unknown)


def clean_up_run_folders(disk: Disk, now: datetime) -> Spared:
    """Remove the old runs of a local output, and temporary files of killed processes. Blocking. Needs the lock.

    `now` is the time by which the output's file system stamps files. Raises OutputError.
    """
    spared, old = spared_in(disk.root, now)
    for path in old:
        remove_tree(disk, path)
    return spared


def spared_in(root: Path, now: datetime) -> tuple[Spared, list[str]]:
    """Return the snapshots whose runs in a local output go on, and the paths of what is old. Blocking; changes nothing.

    The caller holds the output's lock. Raises OutputError.
    """
    ids, has_unknown = set[str](), False
    staging = list_folder(root, STAGING)
    old = [entry.path for entry in staging.objects if _is_fresh(entry) and now - entry.modified_at > KEPT_FOR]
    for folder, files in _run_folders(root, staging.folders).items():
        if _is_old(folder, files, now):
            old.append(folder)
        elif not is_joined(folder, files):
            path = plan_path(folder)
            try:
                plan = Folder(root).read(path, PLAN_BYTES) if any(entry.path == path for entry in files) else None
                head = decode_plan_head(plan, folder) if plan is not None else None
            except (OutputError, ValueError):
                has_unknown = True
                continue
            if head is not None and head.engine == PROCESSES:  # its coordinator held the lock, and is dead
                old.append(folder)
            elif head is not None:
                ids.add(head.snapshot_id)
    return Spared(ids, has_unknown), old


def _run_folders(root: Path, names: Iterable[str]) -> Mapping[str, list[StoredObject]]:
    found = {folder: list_folder(root, folder).objects for folder in map(_in_staging, filter(is_run_folder, names))}
    return {folder: files or [_as_file(root, folder)] for folder, files in found.items()}


def _in_staging(name: str) -> str:
    return f"{STAGING}/{name}"


def _as_file(root: Path, folder: str) -> StoredObject:
    """Return the folder of a run without files, which has an age, too."""
    with suppress(OSError):
        return StoredObject(folder, 0, modified_at((root / folder).lstat()))
    return StoredObject(folder, 0, NO_TIME)


def _is_fresh(entry: StoredObject) -> bool:
    return entry.path.startswith(f"{STAGING}/{FRESH}")


def _is_old(folder: str, files: Collection[StoredObject], now: datetime) -> bool:
    """Return whether nothing was written for a day, or the run was joined a day ago.

    A late lease of a process that was thought dead doesn't keep a joined run.
    """
    joined = [entry for entry in files if entry.path == joined_path(folder)]
    return now - active_at(joined or files) > KEPT_FOR
