"""A snapshot's rows written again as another snapshot, of format 2: one part per table, without folders of scopes."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from crawler.snapshot import Manifest, parts, read_manifest
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import LATEST, checksum_path, ledger_path, manifest_path, part_path, started_at
from crawler.snapshot.manifest import PartFile, TableEntry, checksum_line, encode
from crawler.snapshot.rows.parquet import PartWriter

RELEASED = Path(__file__).parents[1] / "fixtures/snapshots/0.1.0"
_ORDER = [("account_id", "ascending"), ("region_id", "ascending")]


def write_both_layouts(root: Path) -> tuple[Manifest, Manifest]:
    """Make an output with the snapshot that 0.1.0 wrote, and its rows again in few files; return both manifests."""
    shutil.copytree(RELEASED, root)
    old = read_manifest(root, "latest")
    return old, write_again(root, old.snapshot_id, "20261123T020000Z-0002")


def write_again(root: Path, source_id: str, snapshot_id: str) -> Manifest:
    """Write the rows of a snapshot of any format into its output as a newer one. LATEST names it afterwards."""
    source = read_manifest(root, source_id)
    shutil.copyfile(root / source.ledger.path, root / ledger_path(snapshot_id))
    manifest = msgspec.structs.replace(
        source,
        format=2,
        snapshot_id=snapshot_id,
        started_at=started_at(snapshot_id),
        finished_at=started_at(snapshot_id),
        tables={table: _write_table(root, source, table, snapshot_id) for table in source.tables},
        ledger=dataclasses.replace(source.ledger, path=ledger_path(snapshot_id)),
    )
    text = encode(manifest)
    (root / manifest_path(snapshot_id)).write_bytes(text)
    (root / checksum_path(snapshot_id)).write_bytes(checksum_line(text, snapshot_id))
    (root / LATEST).write_text(f"{snapshot_id}\n")
    return read_manifest(root, snapshot_id)


def _write_table(root: Path, source: Manifest, table: str, snapshot_id: str) -> TableEntry:
    rows = pa.concat_tables(pq.read_table(root / file.path, partitioning=None) for file in parts(source, table))
    at = rows.schema.get_field_index("snapshot_id")
    rows = rows.set_column(at, rows.schema.field(at), pa.array([snapshot_id] * rows.num_rows, pa.string()))
    part = PartWriter(Disk(root), part_path(table, snapshot_id, 0), rows.schema)
    part.append(rows.sort_by(_ORDER))
    part.finish()
    file = PartFile(part.path, part.rows, part.bytes, part.sha256)
    return msgspec.structs.replace(source.tables[table], rows=part.rows, bytes=part.bytes, files=[file])
