"""Small snapshots to compare, written as a crawl writes them, and the results of comparisons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pyarrow as pa

from crawler.audit.database import open_snapshot
from crawler.audit.diff.columns import TableKey
from crawler.audit.diff.comparison import compare
from crawler.audit.diff.json_output import write_json
from crawler.snapshot import FolderDestination, ManifestDraft, ScopeRow, SnapshotWriter, Status, has_rows

OLD, NEW = "20261121T020000Z-00aa", "20261122T020000Z-00bb"
FIRST, SECOND = "1000000000000001", "1000000000000002"
HERE, THERE = "cn-hangzhou", "cn-shanghai"
TABLE = "fc_functions"
_FIXED = [
    pa.field("account_id", pa.string()),
    pa.field("region_id", pa.string()),
    pa.field("snapshot_id", pa.string()),
    pa.field("fetched_at", pa.timestamp("us", tz="UTC")),
]


def secret(name, kind=None):
    """Return a field that the schema marks as secret."""
    return pa.field(name, kind or pa.string(), metadata={"secret": "true"})


def wired(name, wire, kind):
    """Return a field with its wire name."""
    return pa.field(name, kind, metadata={"wire": wire})


def schema_of(*fields):
    """Return the schema of a table: the fixed columns and its own; a name alone is a text column."""
    own = [pa.field(one, pa.string()) if isinstance(one, str) else one for one in fields]
    return pa.schema([*_FIXED, *own, pa.field("_extra", pa.string())])


@dataclass
class Scope:
    """One table's rows in one account and region."""

    rows: Sequence[dict] = ()
    table: str = TABLE
    account: str = FIRST
    region: str = HERE
    status: Status = Status.COMPLETE
    written: bool = True


@dataclass
class Night:
    """A snapshot to write: schemas by table, scopes, and the manifest's entry on secrets."""

    schemas: dict
    scopes: Sequence[Scope] = ()
    secrets: str = "fingerprint"
    key_id: str = ""
    scope: str = "all"


def write(root, snapshot_id, night):
    """Commit the snapshot."""
    anyio.run(_write, Path(root), snapshot_id, night)


async def _write(root, snapshot_id, night):
    start = datetime.strptime(snapshot_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    destination = await FolderDestination.begin(root, snapshot_id, start)
    writer = SnapshotWriter(destination, night.schemas)
    ledger = []
    for one in night.scopes:
        kept = one.rows if one.written and has_rows(one.status) else []
        if one.written and has_rows(one.status):
            scope = writer.scope(one.table, one.account, one.region)
            reading = scope.list()
            if kept:
                await reading.write(*_batch(night.schemas[one.table], one, kept, snapshot_id, start))
            reading.finish()
            scope.keep()
        ledger.append(ScopeRow(one.account, one.region, one.table, one.status, one.written, len(kept), len(kept)))
    draft = ManifestDraft(
        finished_at=start + timedelta(minutes=5),
        version="0.1.0",
        secrets=night.secrets,
        plan_sha256="ab" * 32,
        clock_skew_s=0.0,
        unknown_fields={},
        overhead={},
        fingerprint_key_id=night.key_id,
        fingerprint_scope=night.scope,
    )
    await writer.commit(draft, ledger)


def _batch(schema, scope, rows, snapshot_id, start):
    fixed = {"account_id": scope.account, "region_id": scope.region, "snapshot_id": snapshot_id, "fetched_at": start}
    rows = [{**fixed, **row} for row in rows]
    return pa.RecordBatch.from_pylist(rows, schema=schema), [None] * len(rows), [0] * len(rows)


def compared(root, old, new, *, key=("name",), optional=(), volatile=(), tables=None):
    """Write both and compare them; return the JSON that the command prints, as a value."""
    write(root, OLD, old)
    write(root, NEW, new)
    # Files have no metadata of their fields: those of the newer version's catalog hold.
    declared = new.schemas.get(TABLE)
    return diff_value(root, key=key, optional=optional, volatile=volatile, tables=tables, declared=declared)


def diff_value(root, old=OLD, new=NEW, *, key=("name",), optional=(), volatile=(), tables=None, declared=None):
    keying = TableKey(tuple(key), frozenset(optional), frozenset(volatile), declared)
    snapshots = [open_snapshot(Path(root), snapshot_id) for snapshot_id in (old, new)]
    names = {row.table for snapshot in snapshots for row in snapshot.ledger}
    said = []
    with compare(*snapshots, dict.fromkeys(names, keying), tables) as found:
        write_json(old, new, found, said.append)
    return json.loads("".join(said))


def compared_rows(root, schema, old, new, **options):
    """Return that table's part of `compared`, for one scope of one table."""
    schemas = schema if isinstance(schema, tuple) else (schema, schema)
    manifests = {name: options.pop(name, (None, None)) for name in ("secrets", "key_id", "scope")}
    nights = [
        Night(
            {TABLE: schemas[side]},
            [Scope(rows)],
            **{name: values[side] for name, values in manifests.items() if values[side] is not None},
        )
        for side, rows in enumerate((old, new))
    ]
    return compared(root, *nights, **options)["tables"][TABLE]


def changed(found):
    """Return path → old and new value of the only row that has changed."""
    [row] = found["changed"]
    return {path: tuple(values) for path, values in row["columns"].items()}


def names(items):
    """Return the names in a list of keys."""
    return [item["name"] for item in items]
