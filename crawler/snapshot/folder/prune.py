"""Removing old snapshots: which ones by `keep`, and in which order, so that no reader ever sees half of one.

First the manifest goes to `_staging/prune-<id>`, by one rename: from then on there is no such snapshot, and what is
left to do is written there. Then each table's folder goes, by one rename as well, for readers that go by a glob; then
the files. After a crash the next `prune` or crawl goes on from there. Only files that the manifest names are removed,
and folders that are empty then: what else lies among them isn't ours. All of it runs under the output's lock.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import Disk, make_folders_durably, remove_tree
from crawler.snapshot.folder.commit import complete_committed
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.folder.preflight import sweep_probes
from crawler.snapshot.layout import (
    SNAPSHOTS,
    STAGING,
    checksum_path,
    is_snapshot_id,
    manifest_path,
    parent,
    pruned,
    pruned_id,
    staged,
    started_at,
    table_folder,
)
from crawler.snapshot.reader import list_snapshots, read_manifest
from crawler.snapshot.retention import KeepRules, keep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crawler.snapshot.lake.base import Lake
    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.reader import OutputLocation, SnapshotSummary

# A crawl that hasn't ended after so long holds no lock any more, and nobody may go on with it.
UNFINISHED_FOR = timedelta(hours=24)
_TOMBSTONE = "manifest.json"


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What stays and what goes: `reasons` has why, of those that stay; `unfinished` are dead crawls' IDs."""

    kept: list[SnapshotSummary]
    removed: list[SnapshotSummary]
    reasons: dict[str, list[str]]
    unfinished: list[str] = field(default_factory=list)


def plan_prune(root: OutputLocation, rules: KeepRules, now: datetime, lakes: Sequence[Lake] = ()) -> PrunePlan:
    """What `prune` would do now. Writes nothing and takes no lock. Raises OutputError.

    Whatever the rules say, the newest complete snapshot stays, that which LATEST names, one whose files are a lake
    table's content, and any whose manifest can't be read: its files aren't known.
    """
    found = list_snapshots(root)
    starts = {entry.snapshot_id: entry.started_at for entry in found if entry.started_at is not None}
    reasons = keep(rules, starts, now)
    newest = next((entry.snapshot_id for entry in found if entry.status == "complete"), "")
    for entry in found:
        for holds, reason in [
            (entry.snapshot_id == newest, "newest complete"),
            (entry.is_latest and entry.snapshot_id != newest, "LATEST names it"),
            (bool(entry.error), "its manifest can't be read"),
        ]:
            if holds:
                reasons.setdefault(entry.snapshot_id, []).append(reason)
    for snapshot_id, tables in _held_by(lakes, root, [e.snapshot_id for e in found if e.snapshot_id not in reasons]):
        more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
        reasons[snapshot_id] = [f"the lake's {tables[0]}{more} is at it"]
    return PrunePlan(
        [entry for entry in found if entry.snapshot_id in reasons],
        [entry for entry in found if entry.snapshot_id not in reasons],
        reasons,
        _dead_crawls(root, now),
    )


def expire_from(lakes: Sequence[Lake], root: OutputLocation, plan: PrunePlan) -> None:
    """Let the lakes forget what is to be removed, before its files go. Raises OutputError."""
    gone = [entry.snapshot_id for entry in plan.removed]
    if lakes and gone:
        tables = _tables_of(root, gone)
        for lake in lakes:
            lake.expire(tables, gone)


def prune(
    root: Path,
    rules: KeepRules,
    now: datetime,
    umask: int = 0o077,
    disk: Disk | None = None,
    lakes: Sequence[Lake] = (),
) -> PrunePlan:
    """Complete what was left half done, then remove what no rule keeps: what was done. `lakes` are over its files.

    Raises OutputBusyError where a crawl holds the output; OutputError where a step fails: the next call goes on there.
    """
    disk = disk or Disk(root, umask)
    with _held(disk, now):
        sweep_probes(disk, now)
        finish_removals(disk)
        complete_committed(disk)
        plan = plan_prune(root, rules, now, lakes)
        expire_from(lakes, root, plan)
        for entry in reversed(plan.removed):
            _remove(disk, read_manifest(root, entry.snapshot_id))
        for snapshot_id in plan.unfinished:
            remove_tree(disk, staged(snapshot_id))
        return plan


def finish_removals(disk: Disk) -> None:
    """Go on with the removals that were begun and not ended. Needs the lock. Raises OutputError."""
    for name in disk.names(STAGING):
        snapshot_id = pruned_id(name)
        if not snapshot_id:
            continue
        tombstone = pruned(snapshot_id, _TOMBSTONE)
        if disk.has(tombstone):
            _finish(disk, manifests.decode(disk.read(tombstone), tombstone))
        elif not disk.names(pruned(snapshot_id)):
            disk.remove_folder(pruned(snapshot_id))


@contextmanager
def _held(disk: Disk, now: datetime) -> Iterator[None]:
    try:
        lock = OutputLock.acquire(disk, now)
        try:
            yield
        finally:
            lock.release()
    finally:
        disk.close_root()


def _held_by(lakes: Sequence[Lake], root: OutputLocation, snapshot_ids: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Those of these snapshots that are the content of lake tables, with the tables."""
    if not lakes or not snapshot_ids:
        return []
    names = _tables_of(root, snapshot_ids)
    heads = [head for lake in lakes for head in lake.heads(names).items()]
    held = {snapshot_id: sorted(table for table, at in heads if at == snapshot_id) for snapshot_id in snapshot_ids}
    return [(snapshot_id, tables) for snapshot_id, tables in held.items() if tables]


def _tables_of(root: OutputLocation, snapshot_ids: Iterable[str]) -> list[str]:
    return sorted({table for snapshot_id in snapshot_ids for table in read_manifest(root, snapshot_id).tables})


def _dead_crawls(root: OutputLocation, now: datetime) -> list[str]:
    """Staged snapshots that were given up long ago; one that is decided will be put in place. In local folders."""
    if not isinstance(root, Path):
        return []
    folder = root / STAGING
    names = sorted(filter(is_snapshot_id, os.listdir(folder))) if folder.is_dir() else []  # noqa: PTH208 - names
    return [
        name
        for name in names
        if now - started_at(name) >= UNFINISHED_FOR
        and not (root / staged(name, manifest_path(name))).exists()
        and not (root / manifest_path(name)).exists()
    ]


def _remove(disk: Disk, manifest: Manifest) -> None:
    snapshot_id = manifest.snapshot_id
    make_folders_durably(disk, pruned(snapshot_id))
    disk.rename(manifest_path(snapshot_id), pruned(snapshot_id, _TOMBSTONE))
    disk.fsync_folder(pruned(snapshot_id))
    disk.fsync_folder(SNAPSHOTS)
    _finish(disk, manifest)


def _finish(disk: Disk, manifest: Manifest) -> None:
    """Everything after the manifest's going; each step that was done before is passed over."""
    snapshot_id = manifest.snapshot_id
    for table in sorted(manifest.tables):
        _remove_table(disk, manifest, table)
    for path in (manifest.ledger.path, checksum_path(snapshot_id)):
        disk.unlink(path)
    disk.fsync_folder(SNAPSHOTS)
    # All of that must be durable before the list of it goes.
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
    for place in (folder, aside):
        for name in names:
            disk.unlink(f"{place}/{name}")
        for path in sorted({f"{place}/{parent(name)}" for name in names}):
            _remove_empty(disk, path, place)
    _remove_empty(disk, parent(folder), table)


def _remove_empty(disk: Disk, path: str, top: str) -> None:
    """Remove a folder and those above it up to `top` that are empty, and make it durable."""
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
    """Everything under a folder that is no folder, relative to it."""
    for name in disk.names(path):
        if disk.is_folder(f"{path}/{name}"):
            yield from _walk(disk, f"{path}/{name}", f"{below}{name}/")
        else:
            yield f"{below}{name}"
