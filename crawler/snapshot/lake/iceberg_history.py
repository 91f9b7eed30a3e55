"""Iceberg tables with the rows of many snapshots: one addition a snapshot, partitioned by the date of its start.

The partition column is in no file. Iceberg's readers take the value of an identity partition from the entry of the
file, by the rules for columns that a file lacks. So a snapshot's own files become a partition without being rewritten.

A property of the table has the IDs of the snapshots that were added, and changes in the commit that adds one. Such a
table has no tags: each version has the rows of all snapshots before it, and prune couldn't leave them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.snapshot.lake.base import SNAPSHOT_DATE
from crawler.snapshot.lake.versions import HISTORY_MARK, entries_of
from crawler.snapshot.layout import snapshot_in_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata

# The snapshots that were added to a table.
ADDED_PROPERTY = "acs-inventory.snapshots"
MARKED = {HISTORY_MARK: "true"}
# Without it, bounds of texts are cut to 16 characters: the ID of a snapshot has 21.
EXACT_IDS = {"write.metadata.metrics.column.snapshot_id": "full"}


def has_history(metadata: TableMetadata) -> bool:
    """Return whether a table has the rows of many snapshots."""
    return any(field.name == SNAPSHOT_DATE for field in metadata.spec().fields)


def added_to(table: Table) -> set[str]:
    """Return the snapshots that were added to a table, as far as the output had them at its last commit."""
    return set(table.properties.get(ADDED_PROPERTY, "").split())


def added_text(snapshot_ids: Iterable[str]) -> dict[str, str]:
    """Return the table's property for these snapshots."""
    return {ADDED_PROPERTY: " ".join(sorted(snapshot_ids))}


def partition_by_date(change: Transaction) -> None:
    """Partition a table by the date of the snapshot, whose column it has already."""
    from pyiceberg.transforms import IdentityTransform

    if not has_history(change.table_metadata):
        with change.update_spec() as spec:
            spec.add_field(SNAPSHOT_DATE, IdentityTransform(), SNAPSHOT_DATE)
    if not EXACT_IDS.items() <= change.table_metadata.properties.items():
        change.set_properties(EXACT_IDS)


def drop_snapshots(table: Table, snapshot_ids: Collection[str]) -> None:
    """Remove the files of these snapshots from the table's content, by one commit. The files themselves stay."""
    version = table.current_snapshot()
    if version is None:
        return
    gone = [entry for entry in entries_of(table, version) if snapshot_in_path(entry.file_path) in snapshot_ids]
    if not gone:
        return
    with table.transaction() as change, change.update_snapshot(snapshot_properties=MARKED).overwrite() as made:
        for entry in gone:
            made.delete_data_file(entry)
