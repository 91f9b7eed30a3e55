"""Copies of a snapshot in another layout: format 1 has a file for each scope, format 2 few files for each table.

Written with pyarrow alone, from the rows that the manifest names.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.snapshot import read_manifest
from crawler.snapshot.layout import checksum_path, manifest_path

SCOPE = ["account_id", "region_id"]


def copy_in_layout(root, to, snapshot_id, layout, parts=1, row_group_rows=2):
    """Copy a snapshot into the folder `to`, in format 1 or 2.

    In format 2 the rows of a table are dealt out to `parts` files, so that the accounts of the files overlap, and the
    files have no Arrow schema beside Parquet's own.
    """
    root, to = Path(root), Path(to)
    manifest = read_manifest(root, snapshot_id)
    tables = {}
    for table, entry in manifest.tables.items():
        rows = pa.concat_tables([pq.read_table(root / file.path, partitioning=None) for file in entry.files])
        folder = "/".join(entry.files[0].path.split("/")[:3])
        pieces = _scopes(rows, folder) if layout == 1 else _parts(rows, folder, parts)
        files = [_write(to, path, piece, layout, row_group_rows) for path, piece in sorted(pieces.items())]
        tables[table] = {
            "rows": rows.num_rows,
            "bytes": sum(file["bytes"] for file in files),
            "schema_sha256": entry.schema_sha256,
            "files": files,
        }
    (to / "_snapshots").mkdir(exist_ok=True, parents=True)
    shutil.copy(root / manifest.ledger.path, to / manifest.ledger.path)
    value = {**msgspec.to_builtins(manifest), "format": layout, "tables": tables}
    value["scopes"].pop("not_complete_total", None)
    if layout == 2:
        value["scopes"]["not_complete_total"] = len(value["scopes"]["not_complete"])
    text = msgspec.json.encode(value)
    (to / manifest_path(snapshot_id)).write_bytes(text)
    name = Path(manifest_path(snapshot_id)).name
    (to / checksum_path(snapshot_id)).write_text(f"{hashlib.sha256(text).hexdigest()}  {name}\n")


def _scopes(rows, folder):
    """Return path → the rows of a scope; a table without rows has one file."""
    if not rows.num_rows:
        return {f"{folder}/account=1000000000000001/region=cn-hangzhou/part-0.parquet": rows}
    found = {}
    for where in rows.select(SCOPE).group_by(SCOPE).aggregate([]).to_pylist():
        account, region = where["account_id"], where["region_id"]
        is_own = pc.and_(pc.equal(rows["account_id"], account), pc.equal(rows["region_id"], region))
        found[f"{folder}/account={account}/region={region}/part-0.parquet"] = rows.filter(is_own)
    return found


def _parts(rows, folder, parts):
    numbers = range(min(parts, max(rows.num_rows, 1)))
    dealt = [rows.take(list(range(number, rows.num_rows, len(numbers)))) for number in numbers]
    order = [(name, "ascending") for name in SCOPE]
    return {f"{folder}/part-{number:05}.parquet": dealt[number].sort_by(order) for number in numbers}


def _write(to, path, rows, layout, row_group_rows):
    (to / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, to / path, row_group_size=row_group_rows, store_schema=layout == 1)
    content = (to / path).read_bytes()
    return {
        "path": path,
        "rows": rows.num_rows,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
