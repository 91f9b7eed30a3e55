"""Snapshots of few large files (format 2), made part by part: the rows of many accounts and regions share a part."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from crawler.snapshot.disk import Disk, make_folders
from crawler.snapshot.layout import LATEST, SNAPSHOTS, ledger_path, manifest_path, parent, part_path
from crawler.snapshot.ledger import LEDGER_SCHEMA, Ledger, ledger_batch
from crawler.snapshot.manifest import Manifest, PartFile, TableEntry, count_scopes, encode, schema_sha256
from crawler.snapshot.rows.parquet import PartWriter
from crawler.snapshot.rows.statistics import PartStatistics
from tests.support.snapshot_fakes import START, ledger_row


def write_part(root, path, table, *, group_rows=65_536):
    """Write one part, in row groups of this many rows. Return its entry in a manifest and its statistics."""
    disk = Disk(Path(root))
    make_folders(disk, parent(path))
    part = PartWriter(disk, path, table.schema, has_statistics=True)
    for start in range(0, max(table.num_rows, 1), group_rows):
        part.append(table.slice(start, group_rows))
    part.finish()
    disk.close_root()
    return PartFile(path, part.rows, part.bytes, part.sha256), part.statistics


def write_large_parts(root, snapshot_id, tables, *, attempt="", group_rows=65_536):
    """Commit a snapshot whose tables have these parts: {table: [Arrow table of a part, …]}.

    Return its manifest, its ledger, and the statistics of each part by its path.
    """
    root = Path(root)
    (root / SNAPSHOTS).mkdir(parents=True, exist_ok=True)
    entries: dict[str, TableEntry] = {}
    found: dict[str, PartStatistics] = {}
    scopes: dict[tuple[str, str, str], int] = {}
    for name, parts in tables.items():
        files = []
        for number, part in enumerate(parts):
            path = part_path(name, snapshot_id, number, attempt)
            file, found[path] = write_part(root, path, part, group_rows=group_rows)
            files.append(file)
            for account, region in zip(part["account_id"].to_pylist(), part["region_id"].to_pylist(), strict=True):
                scopes[name, account, region] = scopes.get((name, account, region), 0) + 1
        entries[name] = TableEntry(
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            schema_sha256=schema_sha256(parts[0].schema),
            files=files,
        )
    ledger = Ledger(ledger_row(*scope, rows=rows, rows_seen=rows) for scope, rows in scopes.items())
    rows = pa.Table.from_batches([ledger_batch(list(ledger))], schema=LEDGER_SCHEMA)
    manifest = Manifest(
        format=2,
        snapshot_id=snapshot_id,
        status="complete",
        started_at=START,
        finished_at=START + timedelta(minutes=5),
        version="0.2.0",
        secrets="fingerprint",
        clock_skew_s=0.0,
        plan_sha256="ab" * 32,
        tables=entries,
        scopes=count_scopes(ledger, 2),
        unknown_fields={},
        overhead={},
        ledger=write_part(root, ledger_path(snapshot_id), rows)[0],
    )
    text = encode(manifest)
    (root / manifest_path(snapshot_id)).write_bytes(text)
    name = f"{snapshot_id}.json"
    (root / f"{SNAPSHOTS}/{name}.sha256").write_text(f"{hashlib.sha256(text).hexdigest()}  {name}\n")
    (root / LATEST).write_text(f"{snapshot_id}\n")
    return manifest, ledger, found
