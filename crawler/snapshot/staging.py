"""The last files of a snapshot before its commit: files of empty tables, flushed folders, the ledger. Blocking."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.layout import ledger_path, parent, part_path, staged
from crawler.snapshot.ledger import BATCH_ROWS, LEDGER_SCHEMA
from crawler.snapshot.manifest import PartFile, TableEntry, schema_sha256
from crawler.snapshot.rows.parquet import PartWriter
from crawler.snapshot.status import has_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.ledger import LedgerView

# Of the ledger's row groups, which are small: a reader holds some.
_GROUP_ROWS = 4 * BATCH_ROWS


class StagedSnapshot:
    """The last files of one snapshot, staged and durable. Methods raise OutputError."""

    def __init__(self, disk: Disk, snapshot_id: str, schemas: Mapping[str, pa.Schema], attempt: str = "") -> None:
        self._attempt = attempt
        self._disk = disk
        self._snapshot_id = snapshot_id
        self._schemas = schemas

    def tables(self, files: Mapping[str, Sequence[PartFile]], ledger: LedgerView) -> dict[str, TableEntry]:
        """Return the manifest's entry of each table. A table without rows gets a file with its schema, if some scope of
        it could have had rows.
        """
        found = dict(files)
        for table, figures in sorted(ledger.by_table.items()):
            if table not in found and any(has_rows(status) for status in figures.written):
                path = part_path(table, self._snapshot_id, 0, self._attempt)
                empty = self._schemas[table].empty_table()
                part = _write_part(self._disk, staged(self._snapshot_id, path), empty.schema, [empty])
                found[table] = [replace(part, path=path)]
        self.flush_folders(found)
        return {table: self._entry(table, found[table]) for table in sorted(found)}

    def ledger(self, batches: Iterable[pa.RecordBatch], path: str = "") -> PartFile:
        """Write the ledger's file from its rows in order. `path` is another than the snapshot's."""
        path = path or ledger_path(self._snapshot_id)
        return replace(write_ledger(self._disk, staged(self._snapshot_id, path), batches), path=path)

    def flush_folders(self, files: Mapping[str, Sequence[PartFile]]) -> None:
        """Flush the folders of the parts and every folder above them, but the snapshot's own: the ledger does that."""
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


def write_ledger(disk: Disk, path: str, batches: Iterable[pa.RecordBatch]) -> PartFile:
    """Write the file of a ledger, durably, from batches of `LEDGER_SCHEMA` by table, account and region.

    Equal rows give equal bytes, whatever the batches are; the rows of one row group are in memory. Raises OutputError.
    """
    return _write_part(disk, path, LEDGER_SCHEMA, _row_groups(batches))


def _write_part(disk: Disk, path: str, schema: pa.Schema, row_groups: Iterable[pa.Table]) -> PartFile:
    part = PartWriter(disk, f"{path}.partial", schema)
    for rows in row_groups:
        part.append(rows)
    part.finish()
    disk.rename(part.path, path)
    disk.fsync_folder(parent(path))
    return PartFile(path, part.rows, part.bytes, part.sha256)


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows by row groups. A ledger without rows has one without any."""
    pending, is_first = LEDGER_SCHEMA.empty_table(), True
    for batch in batches:
        pending = pa.concat_tables([pending, pa.Table.from_batches([batch], schema=LEDGER_SCHEMA)])
        while pending.num_rows >= _GROUP_ROWS:
            yield pending.slice(0, _GROUP_ROWS).combine_chunks()
            pending, is_first = pending.slice(_GROUP_ROWS), False
    if pending.num_rows or is_first:
        yield pending.combine_chunks()
