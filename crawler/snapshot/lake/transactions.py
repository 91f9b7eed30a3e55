"""Parts of pyiceberg's transactions that cost less, and that do what a commit of a snapshot needs (with 0.12.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyiceberg.exceptions import ValidationException
from pyiceberg.manifest import DataFileContent, ManifestEntry, ManifestEntryStatus
from pyiceberg.table import Transaction
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles, _OverwriteFiles

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate


class QuickTransaction(Transaction):
    """See `Transaction`. The metadata is made once for each change.

    pyiceberg makes it anew, from a deep copy of all schemas and versions, each time that one of its parts looks at it:
    some 40 times a commit, more than half of its time.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._made: tuple[TableMetadata, tuple[TableUpdate, ...], TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The table's metadata with the changes so far."""
        before, updates = self._table.metadata, self._updates
        if self._made is None or self._made[0] is not before or self._made[1] is not updates:
            self._made = (before, updates, super().table_metadata)
        return self._made[2]


class Addition(_FastAppendFiles):
    """An append that is never repeated over another program's commit: that may have added the same rows."""

    @classmethod
    def of(cls, change: Transaction, io: FileIO, properties: dict[str, str]) -> Self:
        """Return the addition to the table that a transaction changes."""
        return cls(operation=Operation.APPEND, transaction=change, io=io, snapshot_properties=properties)

    def _validate_concurrency(self) -> None:
        """Raise ValidationException, for the caller to look at the table again."""
        raise ValidationException("another program has committed")


class Replacement(_OverwriteFiles):
    """An overwrite that replaces all files, of any partition, by one version.

    pyiceberg's own overwrite finds each file by a condition that names all partitions, reads each list of files three
    times, and keeps lists without files, one more for each commit. An append after a deletion makes two versions, and
    may be repeated, without an error, over what another program has committed meanwhile.
    """

    @classmethod
    def of(cls, change: Transaction, io: FileIO, properties: dict[str, str]) -> Self:
        """Return the replacement of the content of the table that a transaction changes."""
        has_version = change.table_metadata.current_snapshot_id is not None
        operation = Operation.OVERWRITE if has_version else Operation.APPEND
        return cls(operation=operation, transaction=change, io=io, snapshot_properties=properties)

    def _build_delete_files_partition_predicate(self) -> None:
        """Do nothing: no list of files is looked for by its partitions."""

    def _existing_manifests(self) -> list[ManifestFile]:
        return []

    def _deleted_entries(self) -> list[ManifestEntry]:
        parent = self._transaction.table_metadata.snapshot_by_id(self._parent_snapshot_id or 0)
        lists = parent.manifests(self._io) if parent is not None else []
        found = [
            ManifestEntry.from_args(
                status=ManifestEntryStatus.DELETED,
                snapshot_id=self._snapshot_id,
                sequence_number=entry.sequence_number,
                file_sequence_number=entry.file_sequence_number,
                data_file=entry.data_file,
            )
            for each in lists
            # A list of the files that a commit removed has nothing else.
            if each.has_added_files() or each.has_existing_files()
            for entry in each.fetch_manifest_entry(self._io, discard_deleted=True)
            if entry.data_file.content == DataFileContent.DATA
        ]
        self._deleted_data_files = {entry.data_file for entry in found}
        return found
