"""The commit of a staged snapshot, and its completion after a crash.

First, all files are durable under `_staging/<id>`. Then the manifest gets its name there, which marks the snapshot as
committed. From then on each step can be repeated, by the same crawl or by the next, until the snapshot is in place. All
functions block and need the output's lock.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.errors import OutputError, UnfinishedCommitError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import make_folders_durably, remove_tree, write_file
from crawler.snapshot.layout import (
    LATEST,
    SNAPSHOTS,
    STAGING,
    checksum_path,
    is_snapshot_id,
    manifest_path,
    parent,
    staged,
    table_folder,
)
from crawler.snapshot.limits import LINE_BYTES, MANIFEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Container

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.manifest import Manifest, PartFile


def mark_committed(disk: Disk, manifest: Manifest) -> None:
    """Give the staged manifest its name; all others must be durable. Raises OutputError: nothing is committed then."""
    snapshot_id = manifest.snapshot_id
    final = staged(snapshot_id, manifest_path(snapshot_id))
    folder = parent(final)
    text = manifests.encode(manifest)
    write_file(disk, staged(snapshot_id, checksum_path(snapshot_id)), manifests.checksum_line(text, snapshot_id))
    write_file(disk, f"{final}.partial", text)
    if manifest.can_be_latest:
        # Written before the decisive rename, so that the disk has room for it, too.
        write_file(disk, _fresh_latest(snapshot_id), _latest_text(snapshot_id))
    for flushed in (folder, staged(snapshot_id), STAGING, ""):
        disk.fsync_folder(flushed)
    try:
        disk.rename(f"{final}.partial", final)
        disk.fsync_folder(folder)
    except OutputError:
        # The rename may have reached the disk: a recovery must not find a snapshot that its crawl abandoned.
        with suppress(OutputError):
            disk.unlink(final)
            disk.fsync_folder(folder)
        raise


def make_table_folders(disk: Disk, manifest: Manifest) -> list[str]:
    """Make the folders for `promote`: problems show before the commit. Return those that were made, outermost first."""
    made = make_folders_durably(disk, SNAPSHOTS)
    for table in sorted(manifest.tables):
        made += make_folders_durably(disk, parent(table_folder(table, manifest.snapshot_id)))
    return made


def promote(disk: Disk, manifest: Manifest) -> None:
    """Move a committed snapshot into place: tables, ledger, checksum, the manifest last, then LATEST.

    Skips each step that was done before. Raises UnfinishedCommitError.
    """
    snapshot_id = manifest.snapshot_id
    try:
        for table in sorted(manifest.tables):
            _move(disk, snapshot_id, table_folder(table, snapshot_id))
        for path in (manifest.ledger.path, checksum_path(snapshot_id), manifest_path(snapshot_id)):
            _move(disk, snapshot_id, path)
        if manifest.can_be_latest:
            _advance_latest(disk, manifest)
    except (OutputError, OSError) as error:
        raise UnfinishedCommitError(
            f"snapshot {snapshot_id} is committed but not all in place; the next crawl completes it: {error}"
        ) from error
    # The folders that are left are empty; the next crawl removes them.
    with suppress(OutputError):
        remove_tree(disk, staged(snapshot_id))


def recover(disk: Disk, spared: Container[str] = ()) -> list[str]:
    """Complete the committed snapshots under `_staging`, oldest first, and remove the others. Return the completed IDs.

    Names that aren't snapshot IDs are left alone, and IDs that are `spared`. Raises OutputError.
    """
    completed = complete_committed(disk)
    for name in disk.names(STAGING):
        if is_snapshot_id(name) and name not in spared:
            remove_tree(disk, staged(name))
    return completed


def complete_committed(disk: Disk, stuck: list[str] | None = None) -> list[str]:
    """Promote committed snapshots under `_staging`, oldest first. Return their IDs. Others stay.

    A snapshot whose staged files aren't what was committed is added to `stuck`, as a sentence; without it, it is an
    error. Raises OutputError.
    """
    completed = []
    for name in filter(is_snapshot_id, disk.names(STAGING)):
        try:
            manifest = _committed_manifest(disk, name)
            if manifest is not None:
                _check_files(disk, manifest)
        except OutputError as error:
            sentence = (
                f"snapshot {name} can't be completed: {error}; "
                f"restore it, or remove {staged(name)} and the snapshot's folders in the tables"
            )
            if stuck is None:
                raise OutputError(sentence) from error
            stuck.append(sentence)
            continue
        if manifest is not None:
            # A recovery that was killed may have left it, unflushed.
            disk.unlink(_fresh_latest(name))
            promote(disk, manifest)
            completed.append(name)
    return completed


def check_latest(disk: Disk) -> None:
    """Raise OutputError for a LATEST that isn't a regular file, which no commit can replace or must not read."""
    if disk.has(LATEST):
        os.close(disk.open_for_reading(LATEST))


def _committed_manifest(disk: Disk, snapshot_id: str) -> Manifest | None:
    if not disk.is_folder(staged(snapshot_id)):
        return None
    path = manifest_path(snapshot_id)
    for place in (staged(snapshot_id, path), path):
        if disk.has(place):
            return manifests.decode_of(snapshot_id, disk.read(place, MANIFEST_BYTES), place)
    return None


def _check_files(disk: Disk, manifest: Manifest) -> None:
    files = [file for entry in manifest.tables.values() for file in entry.files]
    for file in [*files, manifest.ledger]:
        if not any(_is_whole(disk, file, place) for place in (staged(manifest.snapshot_id, file.path), file.path)):
            raise OutputError(f"{file.path} is missing or has another size")


def _is_whole(disk: Disk, file: PartFile, place: str) -> bool:
    found = disk.stat(place)
    return found is not None and found.st_size == file.bytes


def _move(disk: Disk, snapshot_id: str, path: str) -> None:
    source = staged(snapshot_id, path)
    if disk.has(source):
        make_folders_durably(disk, parent(path))
        disk.rename(source, path)
    elif not disk.has(path):
        raise OutputError(f"{path} is missing, staged or in place")
    disk.fsync_folder(parent(path))
    if disk.is_folder(parent(source)):
        disk.fsync_folder(parent(source))


def _advance_latest(disk: Disk, manifest: Manifest) -> None:
    snapshot_id, named = manifest.snapshot_id, latest_id(disk)
    if named > snapshot_id and named != manifest.replaced_latest:
        return
    fresh = _fresh_latest(snapshot_id)
    if not disk.has(fresh):
        write_file(disk, fresh, _latest_text(snapshot_id))
    disk.rename(fresh, LATEST)
    disk.fsync_folder(SNAPSHOTS)


def _fresh_latest(snapshot_id: str) -> str:
    return staged(snapshot_id, "LATEST")


def _latest_text(snapshot_id: str) -> bytes:
    return f"{snapshot_id}\n".encode()


def latest_id(disk: Disk) -> str:
    """Return the ID in LATEST if that snapshot has a manifest, else "", which sorts before every ID."""
    entry = disk.stat(LATEST)
    if entry is None or (stat.S_ISREG(entry.st_mode) and entry.st_size > LINE_BYTES):
        return ""
    found = disk.read(LATEST, LINE_BYTES).decode("ascii", "replace").strip()
    return found if is_snapshot_id(found) and disk.has(manifest_path(found)) else ""
