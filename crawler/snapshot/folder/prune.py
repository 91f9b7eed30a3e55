"""The removal of old snapshots from a folder, in an order that never shows a reader half of a snapshot.

First one rename moves the manifest to `_staging/prune-<id>`: from then on the snapshot doesn't exist, and the manifest
lists the files that remain. Then one rename moves each table's folder away, for readers with a glob pattern; then the
files are removed. After a crash the next `prune` or crawl continues. Only files that the manifest lists are removed,
and folders that are empty then. All functions need the output's lock, which `prune` takes.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import Disk, check_depth, make_folders_durably, remove_tree
from crawler.snapshot.folder.commit import complete_committed
from crawler.snapshot.folder.lock import OutputLock, locked_at
from crawler.snapshot.folder.preflight import sweep_probes
from crawler.snapshot.lake.turns import turn_of_prune
from crawler.snapshot.layout import (
    SNAPSHOTS,
    STAGING,
    checksum_path,
    manifest_path,
    parent,
    pruned,
    pruned_id,
    staged,
    table_folder,
)
from crawler.snapshot.limits import MANIFEST_BYTES
from crawler.snapshot.prune_plan import expire_from, plan_prune
from crawler.snapshot.reader import read_manifest
from crawler.snapshot.shards.cleaning import clean_up_run_folders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from crawler.snapshot.lake.base import Lake
    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.prune_plan import PrunePlan
    from crawler.snapshot.retention import KeepRules

_TOMBSTONE = "manifest.json"
# A link or file in place of a folder, a folder in place of a file: only a user can decide about these.
_IN_THE_WAY = (errno.ENOTDIR, errno.ELOOP, errno.EISDIR)


def prune(
    root: Path,
    rules: KeepRules,
    now: datetime,
    umask: int = 0o077,
    disk: Disk | None = None,
    lakes: Sequence[Lake] = (),
) -> PrunePlan:
    """Complete interrupted commits and removals, then remove the snapshots that no rule keeps. Return the plan.

    `lakes` are over the output's files. Raises OutputBusyError if a crawl holds the output, OutputError if a step
    fails: the next call continues there.
    """
    disk = disk or Disk(root, umask)
    with _locked(disk, now), turn_of_prune(disk, has_lakes=bool(lakes)):
        sweep_probes(disk, now)
        clean_up_run_folders(disk, locked_at(disk))
        stuck = finish_removals(disk)
        complete_committed(disk, stuck)
        plan = replace(plan_prune(root, rules, now, lakes), stuck=stuck)
        expire_from(lakes, root, plan)
        for entry in reversed(plan.removed):
            with _noting(stuck, entry.snapshot_id):
                _remove(disk, read_manifest(root, entry.snapshot_id))
        for snapshot_id in plan.unfinished:
            remove_tree(disk, staged(snapshot_id))
        return plan


def finish_removals(disk: Disk) -> list[str]:
    """Continue the interrupted removals. Return a sentence for each that can't be completed. Raises OutputError."""
    stuck: list[str] = []
    for name in disk.names(STAGING):
        snapshot_id = pruned_id(name)
        if not snapshot_id:
            continue
        tombstone = pruned(snapshot_id, _TOMBSTONE)
        with _noting(stuck, snapshot_id):
            if disk.has(tombstone):
                _finish(disk, _read_tombstone(disk, snapshot_id, tombstone))
            elif not disk.names(pruned(snapshot_id)):
                disk.remove_folder(pruned(snapshot_id))
    return stuck


@contextmanager
def _noting(stuck: list[str], snapshot_id: str) -> Iterator[None]:
    """Add a sentence about a removal that ends at what no crawl made, so that the others go on."""
    try:
        yield
    except OutputError as error:
        cause = error.__cause__
        if not isinstance(error, _UnknownFilesError) and getattr(cause, "errno", None) not in _IN_THE_WAY:
            raise
        stuck.append(
            f"the removal of {snapshot_id} can't be completed: {error}; "
            f"restore it, or remove {pruned(snapshot_id)} and the snapshot's folders in the tables"
        )


class _UnknownFilesError(OutputError):
    """The files of a snapshot that is being removed aren't known."""


def _read_tombstone(disk: Disk, snapshot_id: str, path: str) -> Manifest:
    try:
        return manifests.decode_of(snapshot_id, disk.read(path, MANIFEST_BYTES), path)
    except OutputError as error:
        raise _UnknownFilesError(str(error)) from error


@contextmanager
def _locked(disk: Disk, now: datetime) -> Iterator[None]:
    try:
        lock = OutputLock.acquire(disk, now)
        try:
            yield
        finally:
            lock.release()
    finally:
        disk.close_root()


def _remove(disk: Disk, manifest: Manifest) -> None:
    snapshot_id = manifest.snapshot_id
    make_folders_durably(disk, pruned(snapshot_id))
    disk.rename(manifest_path(snapshot_id), pruned(snapshot_id, _TOMBSTONE))
    disk.fsync_folder(pruned(snapshot_id))
    disk.fsync_folder(SNAPSHOTS)
    _finish(disk, manifest)


def _finish(disk: Disk, manifest: Manifest) -> None:
    """Do each step after the move of the manifest, except those that were done before."""
    snapshot_id = manifest.snapshot_id
    for table in sorted(manifest.tables):
        _remove_table(disk, manifest, table)
    for path in (manifest.ledger.path, checksum_path(snapshot_id)):
        disk.unlink(path)
    disk.fsync_folder(SNAPSHOTS)
    # These removals must be durable before the manifest, which lists them, is removed.
    disk.fsync_folder(pruned(snapshot_id))
    disk.unlink(pruned(snapshot_id, _TOMBSTONE))
    if not disk.names(pruned(snapshot_id)):
        disk.remove_folder(pruned(snapshot_id))


def _remove_table(disk: Disk, manifest: Manifest, table: str) -> None:
    folder = table_folder(table, manifest.snapshot_id)
    aside = pruned(manifest.snapshot_id, table)
    names = [file.path.removeprefix(f"{folder}/") for file in manifest.tables[table].files]
    if disk.is_folder(folder) and not disk.has(aside) and set(_walk(disk, folder)) <= set(names):
        disk.rename(folder, aside)
    for base in (folder, aside):
        for name in names:
            disk.unlink(f"{base}/{name}")
        for path in sorted({parent(f"{base}/{name}") for name in names}):
            _remove_empty(disk, path, base)
    _remove_empty(disk, parent(folder), table)


def _remove_empty(disk: Disk, path: str, top: str) -> None:
    """Remove a folder and those above it up to `top` as far as they are empty, durably."""
    while not disk.names(path):
        disk.remove_folder(path)
        if path == top:
            break
        path = parent(path)
    remaining = path
    while not disk.is_folder(remaining):
        remaining = parent(remaining)
    disk.fsync_folder(remaining)


def _walk(disk: Disk, path: str, below: str = "") -> Iterator[str]:
    """Yield the paths of all files under a folder, relative to it. Raises OutputError."""
    check_depth(path)
    for name in disk.names(path):
        if disk.is_folder(f"{path}/{name}"):
            yield from _walk(disk, f"{path}/{name}", f"{below}{name}/")
        else:
            yield f"{below}{name}"
