"""Snapshots of rows given by a test, written as a crawl writes them, with the catalog's own schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pyarrow as pa
import pytest

from crawler.audit.database import OpenSnapshot, open_snapshot
from crawler.catalog import load_catalog
from crawler.snapshot import FolderDestination, ManifestDraft, ScopeRow, SnapshotWriter, Status, has_rows, is_whole
from crawler.snapshot.rows import merge
from crawler.snapshot.writer import PART_BYTES
from crawler.text import GLOBAL_REGION

CATALOG = load_catalog()
ACCOUNT, OTHER_ACCOUNT = "1000000000000001", "1000000000000002"
REGION, OTHER_REGION = "cn-hangzhou", "cn-shanghai"
SNAPSHOT = "20261121T020000Z-7f3a"
START = datetime(2026, 11, 21, 2, 0, 0, tzinfo=UTC)

Row = Mapping[str, Any]
Place = tuple[str, str]


def write(
    root: Path,
    tables: Mapping[str, Sequence[Row]],
    statuses: Mapping[str | tuple[str, ...], Status] | None = None,
    *,
    places: Mapping[str, Sequence[Place]] = MappingProxyType({}),
    snapshot_id: str = SNAPSHOT,
    secrets: str = "fingerprint",
    without: Sequence[str] = (),
    part_rows: int = 0,
    accepted_until: str = "",
    **draft: Any,
) -> OpenSnapshot:
    """Commit a snapshot of these rows and open it.

    Rows without account and region are in the first of both; tables of a global product are in the region `global`.
    `places` are accounts and regions in which a table has a scope also without rows. `statuses` sets other statuses
    than complete, of all scopes of a table, or of those in one account or place: `(table, account)`, `(table, account,
    region)`. `without` names columns that the files don't have, as with an older version. With
    `part_rows`, a part is closed after so many rows of a scope. With `accepted_until`, a rule accepts the scopes that
    aren't whole until that date.
    """
    with pytest.MonkeyPatch.context() as patch:
        if part_rows:
            patch.setattr(merge, "ROW_GROUP_ROWS", part_rows)
        anyio.run(
            _write,
            root,
            tables,
            statuses or {},
            places,
            snapshot_id,
            secrets,
            without,
            part_rows,
            accepted_until,
            draft,
        )
    return open_snapshot(root, snapshot_id)


async def _write(root, tables, statuses, places, snapshot_id, secrets, without, part_rows, accepted_until, draft):
    named = {key if isinstance(key, str) else key[0] for key in statuses}
    schemas = {table: _schema(table, without) for table in {*tables, *named}}
    destination = await FolderDestination.begin(root, snapshot_id, START)
    writer = SnapshotWriter(destination, schemas, part_bytes=1 if part_rows else PART_BYTES)
    ledger = []
    for table in schemas:
        region = _region(table)
        by_place: dict[Place, list[Row]] = {(ACCOUNT, region): [], **{place: [] for place in places.get(table, ())}}
        for row in tables.get(table, ()):
            by_place.setdefault((row.get("account_id", ACCOUNT), row.get("region_id", region)), []).append(row)
        for (account, region), rows in by_place.items():
            keys = (table, account, region), (table, account), table
            status = next((statuses[key] for key in keys if key in statuses), Status.COMPLETE)
            if has_rows(status):
                await _write_scope(writer, table, account, region, rows, schemas[table])
            if part_rows:
                await writer.flush()
            row = _ledger_row(table, account, region, status, len(rows))
            row.accepted_until = "" if is_whole(status) else accepted_until
            ledger.append(row)
    fields = {
        "finished_at": START + timedelta(minutes=5),
        "version": "0.1.0",
        "secrets": secrets,
        "plan_sha256": "ab" * 32,
        "clock_skew_s": 0.25,
        "unknown_fields": {},
        "overhead": {},
    }
    await writer.commit(ManifestDraft(**(fields | draft)), ledger)


def _region(table: str) -> str:
    product = CATALOG.products[CATALOG.operations[table].product]
    return GLOBAL_REGION if product.is_global else REGION


def _schema(table: str, without: Sequence[str]) -> pa.Schema:
    schema = CATALOG.operations[table].schema
    return pa.schema([field for field in schema if field.name not in without])


async def _write_scope(writer, table, account, region, rows, schema):
    scope = writer.scope(table, account, region)
    reading = scope.list()
    if rows:
        await reading.write(_batch(rows, account, region, schema), list(range(len(rows))), list(range(len(rows))))
    reading.finish()
    scope.keep()


def _batch(rows, account, region, schema):
    fixed = {"account_id": account, "region_id": region, "snapshot_id": SNAPSHOT, "fetched_at": START}
    for row in rows:
        assert set(row) <= set(schema.names), set(row) - set(schema.names)
    return pa.RecordBatch.from_pylist([fixed | row for row in rows], schema=schema)


def _ledger_row(table, account, region, status, rows):
    kept = rows if has_rows(status) else 0
    code, message = ("AccessDenied", f"fc:List of {table} is missing") if status is Status.DENIED else ("", "")
    return ScopeRow(
        account,
        region,
        table,
        status,
        rows=kept,
        rows_seen=kept,
        lists=1,
        pages=1,
        requests=1,
        walk="token",
        error_code=code,
        error_message=message,
        started_at=START,
        finished_at=START,
    )
