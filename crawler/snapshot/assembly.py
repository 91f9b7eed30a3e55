"""From kept scopes to what a manifest lists: empty tables' files, flushed folders, the ledger's file. It all blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.snapshot.ledger import LEDGER_SCHEMA, Status, has_rows, ledger_batch
from crawler.snapshot.manifest import TableEntry, schema_sha256
from crawler.snapshot.parts import PartFile, PartWriter
from crawler.snapshot.paths import account_folder, ledger_path, parent, part_name, scope_folder, staged

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.ledger import ScopeRow

# Table, account and region.
_Scope = tuple[str, str, str]


class Assembly:
    """The last files of one snapshot, staged and durable. Methods raise OutputError."""

    def __init__(self, disk: Disk, snapshot_id: str, schemas: Mapping[str, pa.Schema]) -> None:
        self._disk = disk
        self._snapshot_id = snapshot_id
        self._schemas = schemas

    def tables(
        self, kept: Mapping[_Scope, Sequence[PartFile]], dropped: Collection[_Scope], ledger: Sequence[ScopeRow]
    ) -> dict[str, TableEntry]:
        """What the manifest says of each table. One without any row gets a file with its schema, under its first
        complete scope.
        """
        files = self._with_empty_tables(kept, ledger)
        self._flush_folders(files, {*dropped, *kept})
        return {table: self._entry(table, found) for table, found in files.items()}

    def ledger(self, ledger: Sequence[ScopeRow]) -> PartFile:
        """The ledger's file."""
        return self._write_part(ledger_path(self._snapshot_id), LEDGER_SCHEMA, [ledger_batch(ledger)])

    def _with_empty_tables(
        self, kept: Mapping[_Scope, Sequence[PartFile]], ledger: Sequence[ScopeRow]
    ) -> dict[str, list[PartFile]]:
        files: dict[str, list[PartFile]] = {}
        for scope in sorted(kept):
            files.setdefault(scope[0], []).extend(kept[scope])
        for row in sorted(ledger, key=lambda row: (row.status is not Status.COMPLETE, row.account_id, row.region_id)):
            if row.written and has_rows(row.status) and not files.get(row.table):
                folder = scope_folder(row.table, self._snapshot_id, row.account_id, row.region_id)
                files[row.table] = [self._write_part(f"{folder}/{part_name(0)}", self._schemas[row.table], [])]
        return {table: found for table, found in files.items() if found}

    def _write_part(self, path: str, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> PartFile:
        place = staged(self._snapshot_id, path)
        part = PartWriter(self._disk, f"{place}.partial", schema)
        part.append(batches)
        part.finish()
        self._disk.rename(part.path, place)
        self._disk.fsync_folder(parent(place))
        return PartFile(path, part.rows, part.bytes, part.sha256)

    def _flush_folders(self, files: Mapping[str, Sequence[PartFile]], scopes: Collection[_Scope]) -> None:
        """Flush every folder above the parts', which are flushed already; take empty accounts' away."""
        used = {parent(parent(file.path)) for found in files.values() for file in found}
        for table, account_id, _ in scopes:
            folder = account_folder(table, self._snapshot_id, account_id)
            if folder not in used:
                self._disk.remove_folder(staged(self._snapshot_id, folder))
        folders = set(used)
        for folder in used:
            while folder := parent(folder):
                folders.add(folder)
        for folder in sorted(folders, reverse=True):
            self._disk.fsync_folder(staged(self._snapshot_id, folder))

    def _entry(self, table: str, files: Sequence[PartFile]) -> TableEntry:
        return TableEntry(
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            schema_sha256=schema_sha256(self._schemas[table]),
            files=sorted(files, key=lambda file: file.path),
        )
