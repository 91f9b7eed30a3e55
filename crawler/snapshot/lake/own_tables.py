"""The lake's own tables: `_scopes` says what is known of a snapshot, `_snapshots` which snapshots there are.

Each committed snapshot adds its rows, a partial one, too: the rows of the other tables can't tell that something is
unknown. The rows are in files of their own in the output, `_lake/_scopes/snapshot_date=…/snapshot=…/`, and stay there
as long as the snapshot. A file that no table names is left by a crawl that was killed before its commit.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.snapshot.disk import Disk, make_folders_durably, remove_tree, write_file
from crawler.snapshot.lake.base import OWN_TABLES, folder_of
from crawler.snapshot.layout import parent, snapshot_date
from crawler.snapshot.ledger import LEDGER_SCHEMA
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.rows.parquet import SETTINGS
from crawler.snapshot.rows.statistics import PartStatistics, statistics_of
from crawler.snapshot.s3.connection import wait_for
from crawler.snapshot.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crawler.snapshot.lake.base import LakeSettings
    from crawler.snapshot.ledger import LedgerView
    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.reader import OutputLocation

_ID = pa.field("snapshot_id", pa.string())
_INSTANT = pa.timestamp("us", tz="UTC")
# Every column may be null: a column that a later release adds has no value in older files.
SCOPES_SCHEMA = pa.schema([_ID, *(field.with_nullable(True) for field in LEDGER_SCHEMA)])
SNAPSHOTS_SCHEMA = pa.schema(
    [
        _ID,
        pa.field("status", pa.string()),
        pa.field("published", pa.bool_()),
        pa.field("started_at", _INSTANT),
        pa.field("finished_at", _INSTANT),
        pa.field("version", pa.string()),
        pa.field("selection", pa.string()),
        *(pa.field(name, pa.int64()) for name in ("tables", "rows", "bytes", "scopes")),
        *(pa.field(f"scopes_{status}", pa.int64()) for status in Status),
        pa.field("manifest_sha256", pa.string()),
    ]
)


def scope_rows(snapshot_id: str, ledger: LedgerView) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a snapshot in `_scopes`: its ledger, with its ID."""
    for batch in ledger.batches():
        ids = pa.repeat(pa.scalar(snapshot_id, pa.string()), batch.num_rows)
        yield pa.RecordBatch.from_arrays([ids, *batch.columns], schema=SCOPES_SCHEMA)


def snapshot_rows(manifest: Manifest, manifest_sha256: str) -> Iterator[pa.RecordBatch]:
    """Yield the row of a snapshot in `_snapshots`. `published`: the other tables moved to it."""
    entries = manifest.tables.values()
    by_status = manifest.scopes.by_status
    row = {
        "snapshot_id": manifest.snapshot_id,
        "status": manifest.status,
        "published": manifest.can_be_latest,
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "version": manifest.version,
        "selection": manifest.selection.options if manifest.selection is not None else None,
        "tables": len(entries),
        "rows": sum(entry.rows for entry in entries),
        "bytes": sum(entry.bytes for entry in entries),
        "scopes": manifest.scopes.total,
        **{f"scopes_{status}": by_status.get(str(status), 0) for status in Status},
        "manifest_sha256": manifest_sha256,
    }
    yield pa.RecordBatch.from_pylist([row], schema=SNAPSHOTS_SCHEMA)


def write_rows(
    settings: LakeSettings, table: str, snapshot_id: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> tuple[PartFile, PartStatistics]:
    """Write a file with a snapshot's rows of one of these tables. Raises OutputError.

    Its name is new: another process may write the same rows.
    """
    content = pa.BufferOutputStream()
    footers: list[pq.FileMetaData] = []
    with pq.ParquetWriter(content, schema, **SETTINGS, metadata_collector=footers) as writer:
        for group in _row_groups(schema, batches):
            writer.write_table(group)
    data = content.getvalue().to_pybytes()
    path = f"{_folder(table, snapshot_id)}/part-00000-{secrets.token_hex(4)}.parquet"
    if isinstance(settings.root, Path):
        disk = Disk(settings.root.resolve(), settings.umask)
        try:
            make_folders_durably(disk, parent(path))
            write_file(disk, path, data)
            disk.fsync_folder(parent(path))
        finally:
            disk.close_root()
    else:
        wait_for(ObjectStore(settings.root, settings.keys).put(path, data))
    return PartFile(path, footers[0].num_rows, len(data), hashlib.sha256(data).hexdigest()), statistics_of(footers[0])


def remove_file(settings: LakeSettings, file: PartFile) -> None:
    """Remove a file that no table names. Raises OutputError."""
    if isinstance(settings.root, Path):
        disk = Disk(settings.root.resolve(), settings.umask)
        try:
            disk.unlink(file.path)
        finally:
            disk.close_root()
    else:
        wait_for(ObjectStore(settings.root, settings.keys).delete([file.path]))


def remove_rows(location: OutputLocation, snapshot_ids: Iterable[str]) -> None:
    """Remove the files of these snapshots, which no table names any more. Raises OutputError."""
    folders = [_folder(table, snapshot_id) for table in OWN_TABLES for snapshot_id in snapshot_ids]
    if not isinstance(location, Path):
        found = wait_for(location.store.list_each(folders))
        wait_for(location.store.delete([entry.path for entry in found]))
        return
    disk = Disk(location.resolve())
    try:
        for folder in folders:
            if disk.is_folder(folder):
                remove_tree(disk, folder)
                if not disk.names(parent(folder)):
                    disk.remove_folder(parent(folder))
    finally:
        disk.close_root()


def _folder(table: str, snapshot_id: str) -> str:
    return f"{folder_of(table)}/snapshot_date={snapshot_date(snapshot_id)}/snapshot={snapshot_id}"


_GROUP_ROWS = 65_536


def _row_groups(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows by row groups, at least one."""
    pending: list[pa.RecordBatch] = []
    is_first = True
    for batch in batches:
        pending.append(batch)
        if sum(each.num_rows for each in pending) >= _GROUP_ROWS:
            yield pa.Table.from_batches(pending, schema)
            pending, is_first = [], False
    if pending or is_first:
        yield pa.Table.from_batches(pending, schema)
