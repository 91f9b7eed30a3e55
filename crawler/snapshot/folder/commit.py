"""From staged files to a committed snapshot, and the completing of what a crash left between.

The order is the promise: everything is durable under `_staging/<id>` before the manifest gets its name there, which
decides; from then on each step can be done again, by the same crawl or by the next, until the snapshot is in place.
All of it blocks, and runs under the output's lock.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from crawler.snapshot.disk import Disk
    from crawler.snapshot.manifest import Manifest, PartFile


def decide(disk: Disk, manifest: Manifest) -> None:
    """Give the staged manifest its name. All other files of the snapshot must be staged and durable.

    Raises OutputError, and then nothing is decided.
    """
    snapshot_id = manifest.snapshot_id
    final = staged(snapshot_id, manifest_path(snapshot_id))
    folder = parent(final)
    text = manifests.encode(manifest)
    write_file(disk, staged(snapshot_id, checksum_path(snapshot_id)), manifests.checksum_line(text, snapshot_id))
    write_file(disk, f"{final}.partial", text)
    if manifest.status == "complete":
        # Here, so that there is room for it, too, before anything is decided.
        write_file(disk, _fresh_latest(snapshot_id), _latest_text(snapshot_id))
    for flushed in (folder, staged(snapshot_id), STAGING, ""):
        disk.fsync_folder(flushed)
    try:
        disk.rename(f"{final}.partial", final)
        disk.fsync_folder(folder)
    except OutputError:
        # Whether the name is on the disk isn't known; a recovery must not find a snapshot that its crawl gave up.
        with suppress(OutputError):
            disk.unlink(final)
            disk.fsync_folder(folder)
        raise


def prepare_destinations(disk: Disk, manifest: Manifest) -> list[str]:
    """Make the folders that a commit renames into, so that what is wrong with them shows before it is decided.

    Gives those that were made, outermost first.
    """
    made = make_folders_durably(disk, SNAPSHOTS)
    for table in sorted(manifest.tables):
        made += make_folders_durably(disk, parent(table_folder(table, manifest.snapshot_id)))
    return made


def publish(disk: Disk, manifest: Manifest) -> None:
    """Put a decided snapshot in place: tables, ledger, checksum, the manifest last, then LATEST.

    Each step that was done before is passed over. Raises UnfinishedCommitError.
    """
    snapshot_id = manifest.snapshot_id
    try:
        for table in sorted(manifest.tables):
            _move(disk, snapshot_id, table_folder(table, snapshot_id))
        for path in (manifest.ledger.path, checksum_path(snapshot_id), manifest_path(snapshot_id)):
            _move(disk, snapshot_id, path)
        if manifest.status == "complete":
            _advance_latest(disk, snapshot_id)
    except OutputError as error:
        raise UnfinishedCommitError(
            f"snapshot {snapshot_id} is written whole but not all in place, which the next crawl completes: {error}"
        ) from error
    # What is left here is empty; the next crawl tries again.
    with suppress(OutputError):
        remove_tree(disk, staged(snapshot_id))


def recover(disk: Disk) -> list[str]:
    """Complete the decided snapshots under `_staging`, oldest first, and sweep away the others: IDs of the completed.

    Needs the lock. Names that aren't a snapshot's are left alone. Raises OutputError.
    """
    completed = complete_decided(disk)
    for name in disk.names(STAGING):
        if is_snapshot_id(name):
            remove_tree(disk, staged(name))
    return completed


def complete_decided(disk: Disk) -> list[str]:
    """Put the decided snapshots under `_staging` in place, oldest first: their IDs. The others stay as they are.

    Needs the lock. Raises OutputError.
    """
    completed = []
    for name in filter(is_snapshot_id, disk.names(STAGING)):
        manifest = _decided_manifest(disk, name)
        if manifest is not None:
            _check_files(disk, manifest)
            # A recovery that died may have left it, unflushed.
            disk.unlink(_fresh_latest(name))
            publish(disk, manifest)
            completed.append(name)
    return completed


def _decided_manifest(disk: Disk, snapshot_id: str) -> Manifest | None:
    if not disk.is_folder(staged(snapshot_id)):
        return None
    path = manifest_path(snapshot_id)
    for place in (staged(snapshot_id, path), path):
        if disk.has(place):
            return manifests.decode(disk.read(place), place)
    return None


def _check_files(disk: Disk, manifest: Manifest) -> None:
    files = [file for entry in manifest.tables.values() for file in entry.files]
    for file in [*files, manifest.ledger]:
        if not any(_is_whole(disk, file, place) for place in (staged(manifest.snapshot_id, file.path), file.path)):
            raise OutputError(
                f"snapshot {manifest.snapshot_id} can't be completed: {file.path} is missing or has another size; "
                f"put it back, or remove {staged(manifest.snapshot_id)} and what it has in the tables' folders"
            )


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


def _advance_latest(disk: Disk, snapshot_id: str) -> None:
    if _latest(disk) > snapshot_id:
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


def _latest(disk: Disk) -> str:
    """What LATEST names, where that is a snapshot with a manifest; else an ID before all others."""
    found = disk.read(LATEST).decode("ascii", "replace").strip() if disk.has(LATEST) else ""
    return found if is_snapshot_id(found) and disk.has(manifest_path(found)) else ""
