"""The last files of a snapshot before its commit: files of empty tables, flushed folders, the ledger. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.layout import ledger_path, parent, part_path, staged
from crawler.snapshot.ledger import LEDGER_SCHEMA, ledger_batch
from crawler.snapshot.manifest import PartFile, TableEntry, schema_sha256
from crawler.snapshot.rows.parquet import PartWriter
from crawler.snapshot.status import has_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.ledger import Ledger, ScopeRow

# The ledger's rows per batch, and its batches per row group. Batches in memory are a second copy of these rows.
_BATCH_ROWS = 4096
_GROUP_BATCHES = 4


class StagedSnapshot:
    """The last files of one snapshot, staged and durable. Methods raise OutputError."""

    def __init__(self, disk: Disk, snapshot_id: str, schemas: Mapping[str, pa.Schema], attempt: str = "") -> None:
        self._attempt = attempt
        self._disk = disk
        self._snapshot_id = snapshot_id
        self._schemas = schemas

    def tables(self, files: Mapping[str, Sequence[PartFile]], ledger: Ledger) -> dict[str, TableEntry]:
        """Return the manifest's entry of each table. A table without rows gets a file with its schema, if some scope of
        it could have had rows.
        """
        found = dict(files)
        for table in ledger.tables:
            if table not in found and any(row.written and has_rows(row.status) for row in ledger.of_table(table)):
                path = part_path(table, self._snapshot_id, 0, self._attempt)
                found[table] = [self._write_part(path, self._schemas[table], [[]])]
        self._flush_folders(found)
        return {table: self._entry(table, found[table]) for table in sorted(found)}

    def ledger(self, ledger: Ledger) -> PartFile:
        """Write the ledger's file, sorted by table, account and region."""
        return self._write_part(ledger_path(self._snapshot_id), LEDGER_SCHEMA, _row_groups(ledger.in_order()))

    def _write_part(self, path: str, schema: pa.Schema, row_groups: Iterable[Sequence[pa.RecordBatch]]) -> PartFile:
        final = staged(self._snapshot_id, path)
        part = PartWriter(self._disk, f"{final}.partial", schema)
        for batches in row_groups:
            part.append(pa.Table.from_batches(batches, schema=schema))
        part.finish()
        self._disk.rename(part.path, final)
        self._disk.fsync_folder(parent(final))
        return PartFile(path, part.rows, part.bytes, part.sha256)

    def _flush_folders(self, files: Mapping[str, Sequence[PartFile]]) -> None:
        """Flush the folders of the parts and every folder above them."""
        folders = {parent(file.path) for found in files.values() for file in found}
        for folder in tuple(folders):
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
