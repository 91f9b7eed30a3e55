"""The last files of a snapshot before its commit: files of empty tables, flushed folders, the ledger. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.snapshot.layout import ledger_path, parent, part_name, scope_folder, staged
from crawler.snapshot.ledger import LEDGER_SCHEMA, ScopeRow, ledger_batch
from crawler.snapshot.manifest import PartFile, TableEntry, schema_sha256
from crawler.snapshot.rows.parquet import PartWriter
from crawler.snapshot.status import Status, has_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.ended_scopes import Scope
    from crawler.snapshot.ledger import Ledger

# The ledger's rows per batch, and its batches per row group. Batches in memory are a second copy of these rows.
_BATCH_ROWS = 4096
_GROUP_BATCHES = 4


class StagedSnapshot:
    """The last files of one snapshot, staged and durable. Methods raise OutputError."""

    def __init__(self, disk: Disk, snapshot_id: str, schemas: Mapping[str, pa.Schema]) -> None:
        self._disk = disk
        self._snapshot_id = snapshot_id
        self._schemas = schemas

    def tables(
        self, kept: Mapping[Scope, Sequence[PartFile]], emptied: Collection[str], ledger: Ledger
    ) -> dict[str, TableEntry]:
        """Return the manifest's entry of each table. A table without rows gets a file with its schema, under its first
        complete scope. `emptied` are accounts' folders that may have no file any more.
        """
        files = self._with_empty_tables(kept, ledger)
        self._flush_folders(files, emptied)
        return {table: self._entry(table, found) for table, found in files.items()}

    def ledger(self, ledger: Ledger) -> PartFile:
        """Write the ledger's file, sorted by table, account and region."""
        return self._write_part(ledger_path(self._snapshot_id), LEDGER_SCHEMA, _row_groups(ledger.in_order()))

    def _with_empty_tables(self, kept: Mapping[Scope, Sequence[PartFile]], ledger: Ledger) -> dict[str, list[PartFile]]:
        files: dict[str, list[PartFile]] = {}
        for scope in sorted(kept):
            files.setdefault(scope[0], []).extend(kept[scope])
        for table in ledger.tables:
            if table not in files and (first := _first_of(ledger.of_table(table))) is not None:
                folder = scope_folder(table, self._snapshot_id, first.account_id, first.region_id)
                files[table] = [self._write_part(f"{folder}/{part_name(0)}", self._schemas[table], [[]])]
        return files

    def _write_part(self, path: str, schema: pa.Schema, row_groups: Iterable[Sequence[pa.RecordBatch]]) -> PartFile:
        final = staged(self._snapshot_id, path)
        part = PartWriter(self._disk, f"{final}.partial", schema)
        for batches in row_groups:
            part.append(batches)
        part.finish()
        self._disk.rename(part.path, final)
        self._disk.fsync_folder(parent(final))
        return PartFile(path, part.rows, part.bytes, part.sha256)

    def _flush_folders(self, files: Mapping[str, Sequence[PartFile]], emptied: Collection[str]) -> None:
        """Flush every folder above those of the parts, which are flushed already. Remove empty accounts' folders."""
        used = {parent(parent(file.path)) for found in files.values() for file in found}
        for folder in sorted({*emptied} - used):
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


def _first_of(rows: Iterable[ScopeRow]) -> ScopeRow | None:
    """Return the scope under which an empty table's file goes: the first complete one, else the first with rows."""
    whole = (row for row in rows if row.written and has_rows(row.status))
    return min(whole, key=lambda row: (row.status is not Status.COMPLETE, row.account_id, row.region_id), default=None)


def _row_groups(rows: Iterable[ScopeRow]) -> Iterator[list[pa.RecordBatch]]:
    """Yield the rows as batches, those of one row group at a time."""
    batches: list[pa.RecordBatch] = []
    pending: list[ScopeRow] = []
    for row in rows:
        pending.append(row)
        if len(pending) == _BATCH_ROWS:
            batches.append(ledger_batch(pending))
            pending = []
        if len(batches) == _GROUP_BATCHES:
            yield batches
            batches = []
    if pending or batches:
        yield [*batches, ledger_batch(pending)]
