"""The versions of an Iceberg table: the files that they name, and their removal."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.snapshot.lake.base import SNAPSHOT_PROPERTY
from crawler.snapshot.layout import snapshot_in_path

# The property of a version of ours with the rows of many snapshots.
HISTORY_MARK = "acs-inventory.history"

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


def has_files(version: Snapshot | None) -> bool:
    """Return whether a version names any file; of None, there is no version."""
    return version is not None and version.summary is not None and version.summary["total-data-files"] != "0"


def snapshot_of(version: Snapshot) -> str:
    """Return the snapshot that a crawl made the version of; "" for a version of another program."""
    found = version.summary[SNAPSHOT_PROPERTY] if version.summary else None
    return str(found or "")


def is_marked(version: Snapshot) -> bool:
    """Return whether a version of ours has the rows of many snapshots."""
    return bool(version.summary and version.summary[HISTORY_MARK])


def entries_of(table: Table, version: Snapshot) -> Iterator[DataFile]:
    """Yield the entries of the files that a version names. Raises FileNotFoundError if a list of them is missing."""
    for manifest in version.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            yield entry.data_file


def snapshots_named(table: Table, version: Snapshot) -> set[str]:
    """Return the snapshots whose files a version names.

    A version of ours has the files of its snapshot only, unless it has the mark of a history.
    """
    if not has_files(version):
        return set()
    if (own := snapshot_of(version)) and not is_marked(version):
        return {own}
    return {snapshot_in_path(entry.file_path) for entry in entries_of(table, version)} - {""}


def missing_files(table: Table) -> set[str]:
    """Return the missing files of the versions that a reference keeps; of a missing list, the list alone."""
    kept = {reference.snapshot_id for reference in table.refs().values()}
    found = set()
    for version in table.snapshots():
        if version.snapshot_id not in kept:
            continue
        if not _exists(table, version.manifest_list):
            found.add(version.manifest_list)
            continue
        for manifest in version.manifests(table.io):
            if _exists(table, manifest.manifest_path):
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                found |= {path for entry in entries if not _exists(table, path := entry.data_file.file_path)}
            else:
                found.add(manifest.manifest_path)
    return found


def remove_tags(table: Table, names: Collection[str]) -> None:
    """Remove the tags with these names, by one commit."""
    tags = [name for name in table.refs() if name in names]
    if tags:
        with table.manage_snapshots() as change:
            for tag in tags:
                change.remove_tag(tag)


def remove_versions(table: Table, versions: Sequence[Snapshot]) -> None:
    """Remove versions, and their lists of files, except those that they share with other versions."""
    if not versions:
        return
    table.maintenance.expire_snapshots().by_ids([version.snapshot_id for version in versions]).commit()
    shared = {manifest.manifest_path for version in table.snapshots() for manifest in version.manifests(table.io)}
    for version in versions:
        with suppress(FileNotFoundError):  # removed by an interrupted expiry
            for manifest in version.manifests(table.io):
                if manifest.manifest_path not in shared:
                    _delete(table, manifest.manifest_path)
            _delete(table, version.manifest_list)


def _exists(table: Table, path: str) -> bool:
    return table.io.new_input(path).exists()


def _delete(table: Table, path: str) -> None:
    """Delete a file of the table's metadata. A file elsewhere, such as of a cloned table's source, stays."""
    if path.startswith(f"{table.location().rstrip('/')}/"):
        table.io.delete(path)
