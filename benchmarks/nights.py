"""Writes two nights of a wide estate as committed snapshots, in either layout, from the rows of a small crawl.

`python -m benchmarks.nights ROOT POOL LAYOUT distinct|repeated ACCOUNTS REGIONS TIMES`, for a process of its own.

The rows of the emulator's cloud are the pool. A row of a night is a row of the pool with an account, a region and a key
of its own; with distinct values, also with texts of its own where the pool's differ. Of the first night's rows, one in
200 is missing in the second, which has as many others, and one in 100 has another text.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from crawler.audit.database import quote_name, quote_text
from crawler.catalog import load_catalog
from crawler.catalog.model import FIXED_COLUMNS, Operation
from crawler.snapshot import Manifest, PartFile, ScopeRow, Status, schema_sha256
from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import LATEST, checksum_path, ledger_path, manifest_path, part_path, table_folder
from crawler.snapshot.ledger import Ledger, ledger_batch
from crawler.snapshot.rows.parquet import PartWriter

# Table → its rows in an account and region, on average over the scopes, at one time the size.
ROWS_PER_SCOPE = {
    "fc2_functions": 30,
    "fc2_instances": 15,
    "fc2_services": 8,
    "fc2_triggers": 20,
    "fc_aliases": 15,
    "fc_async_invoke_configs": 5,
    "fc_concurrency_configs": 5,
    "fc_function_versions": 20,
    "fc_functions": 50,
    "fc_triggers": 30,
    "opensearch_app_groups": 6,
}
REPEATED_ROWS = 20
_FIRST_ACCOUNT, _ACCOUNT_STEP = 1_000_000_000_000_000, 4_219_000_000_000
_SCOPE_IDS = 1_000_000
_CHUNK_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Estate:
    """The size of a night. `times` multiplies the rows of each scope; without `is_distinct`, 20 rows repeat."""

    accounts: int = 200
    regions: int = 10
    times: int = 1
    is_distinct: bool = True


def write_nights(root: Path, estate: Estate, layout: int, pool: Path) -> None:
    """Write both nights into the folder `root`, in format 1 or 2, from the snapshot in the folder `pool`.

    Crawls the emulator's cloud into `pool` if there is none. Raises CalledProcessError if that fails.
    """
    if not pool.exists():
        _crawl(pool)
    for night in (1, 2):
        _Night(root, estate, pool, layout, night).write()


def _crawl(root: Path) -> None:
    command = [sys.executable, "-m", "crawler", "--quiet", "demo", "--output", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONHASHSEED": "0"})


class _Night:
    def __init__(self, root: Path, estate: Estate, pool: Path, layout: int, night: int) -> None:
        self._root, self._estate, self._pool, self._layout, self._night = root, estate, pool, layout, night
        self._start = datetime(2026, 11, 20 + night, 2, tzinfo=UTC)
        self._id = f"{self._start:%Y%m%dT%H%M%SZ}-000{night}"
        self._rows: dict[tuple[str, str, str], int] = {}

    def write(self) -> None:
        """Write all tables, the ledger and the manifest."""
        root = self._root
        root.mkdir(parents=True, exist_ok=True)
        catalog = load_catalog()
        tables = {table: self._write_table(Disk(root), catalog.operations[table]) for table in ROWS_PER_SCOPE}
        ledger = [self._ledger_row(*scope, rows) for scope, rows in sorted(self._rows.items())]
        path = root / ledger_path(self._id)
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_batches([ledger_batch(ledger)]), path, compression="zstd")
        manifest = Manifest(
            format=self._layout,
            snapshot_id=self._id,
            status="complete",
            started_at=self._start,
            finished_at=self._start + timedelta(minutes=9),
            version="0",
            secrets="fingerprint",
            clock_skew_s=0.0,
            plan_sha256="0" * 64,
            tables=tables,
            scopes=manifests.count_scopes(Ledger(ledger), self._layout),
            unknown_fields={},
            overhead={},
            ledger=_part_file(root, ledger_path(self._id), len(ledger)),
        )
        text = manifests.encode(manifest)
        (root / manifest_path(self._id)).write_bytes(text)
        (root / checksum_path(self._id)).write_bytes(manifests.checksum_line(text, self._id))
        (root / LATEST).write_text(f"{self._id}\n")

    def _write_table(self, disk: Disk, operation: Operation) -> manifests.TableEntry:
        schema, files = pq.read_schema(self._pool_files(operation.table)[0]), list[PartFile]()
        part = PartWriter(disk, part_path(operation.table, self._id, 0), schema)
        for rows in self._chunks(operation, schema):
            scopes = rows.group_by(["account_id", "region_id"], use_threads=False).aggregate([([], "count_all")])
            at = 0
            for found in scopes.to_pylist():
                account, region, size = found["account_id"], found["region_id"], found["count_all"]
                self._rows[operation.table, account, region] = size
                if self._layout == 1:
                    folder = f"{table_folder(operation.table, self._id)}/account={account}/region={region}"
                    own = PartWriter(disk, f"{folder}/part-0.parquet", schema)
                    own.append(rows.slice(at, size))
                    own.finish()
                    files.append(PartFile(own.path, own.rows, own.bytes, own.sha256))
                at += size
            if self._layout == 2:
                part.append(rows)
        if self._layout == 2:
            part.finish()
            files.append(PartFile(part.path, part.rows, part.bytes, part.sha256))
        return manifests.TableEntry(
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            schema_sha256=schema_sha256(schema),
            files=sorted(files, key=lambda file: file.path),
        )

    def _chunks(self, operation: Operation, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows of neighbouring accounts, in the order of a part."""
        listed = ", ".join(quote_text(str(path)) for path in self._pool_files(operation.table))
        most = "" if self._estate.is_distinct else f"LIMIT {REPEATED_ROWS}"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(
                f"CREATE TABLE pool AS SELECT row_number() OVER () - 1 AS n, * "
                f"FROM (FROM read_parquet([{listed}], hive_partitioning = false) {most})"
            )
            columns = ", ".join(self._column(connection, operation, field) for field in schema)
            order = ", ".join(quote_name(name) for name in ("account_id", "region_id", *operation.key))
            per_account = ROWS_PER_SCOPE[operation.table] * self._estate.times * self._estate.regions
            step = max(1, _CHUNK_ROWS // per_account)
            for first in range(0, self._estate.accounts, step):
                last = min(first + step, self._estate.accounts)
                query = (
                    f"SELECT {columns} FROM ({self._ids(operation, first, last)}) JOIN pool USING (n) ORDER BY {order}"
                )
                yield connection.sql(query).to_arrow_table().cast(schema).combine_chunks()

    def _ids(self, operation: Operation, first: int, last: int) -> str:
        """Return SQL for the rows of some accounts: account, region, an ID, its hash, and a row of the pool."""
        mean, regions = ROWS_PER_SCOPE[operation.table] * self._estate.times, self._estate.regions
        return f"""
            SELECT a, r, id, h, h % (SELECT count(*) FROM pool) AS n FROM (
                SELECT a, r, (a * {regions} + r) * {_SCOPE_IDS} + i AS id, hash(id) AS h
                FROM range({first}, {last}) AS accounts(a), range({regions}) AS regions(r), range({mean * 3 // 2}) AS t(i)
                WHERE i < {mean} // 2 + hash(a, r, '{operation.table}') % ({mean} + 1)
            ) WHERE h // 1_000_003 % 200 <> {self._night}
        """  # noqa: E501 - numbers

    def _column(self, connection: duckdb.DuckDBPyConnection, operation: Operation, field: pa.Field) -> str:
        name = quote_name(field.name)
        is_text, value = pa.types.is_string(field.type), f"pool.{name}"
        match field.name:
            case "account_id":
                value = f"CAST({_FIRST_ACCOUNT} + a * {_ACCOUNT_STEP} AS VARCHAR)"
            case "region_id":
                value = "printf('cn-region-%02d', r)"
            case "snapshot_id":
                value = quote_text(self._id)
            case "fetched_at":
                value = f"make_timestamptz({int(self._start.timestamp()) * 1_000_000} + a)"
            case _ if is_text and field.name in operation.key:
                value = f"{value} || '-' || CAST(h AS VARCHAR)"
            case _ if field.name == _changing(operation):
                own = f"coalesce({value}, '')"
                own = f"{own} || '-' || CAST(h AS VARCHAR)" if self._estate.is_distinct else own
                value = f"CASE WHEN {self._night} = 2 AND h // 7_000_003 % 100 = 7 THEN {own} || '-new' ELSE {own} END"
            case _ if is_text and self._estate.is_distinct and _is_mostly_distinct(connection, name):
                value = f"{value} || '-' || CAST(h % 1_000_000_007 AS VARCHAR)"
        return f"{value} AS {name}"

    def _pool_files(self, table: str) -> list[Path]:
        return sorted(self._pool.glob(f"{table}/**/*.parquet"))

    def _ledger_row(self, table: str, account: str, region: str, rows: int) -> ScopeRow:
        pages = 1 + rows // 100
        return ScopeRow(
            account,
            region,
            table,
            Status.COMPLETE,
            rows=rows,
            rows_seen=rows,
            lists=1,
            pages=pages,
            requests=pages,
            walk="token",
            started_at=self._start,
            finished_at=self._start + timedelta(seconds=pages),
        )


def _changing(operation: Operation) -> str:
    """Return the column whose text changes: the first one that isn't in the key and is compared."""
    texts = [field.name for field in operation.schema if pa.types.is_string(field.type)]
    skipped = {*FIXED_COLUMNS, *operation.key, *operation.volatile}
    return next(str(name) for name in texts if name not in skipped)


def _is_mostly_distinct(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    query = f"SELECT count({name}) > 4 AND count(DISTINCT {name}) > 0.5 * count({name}) FROM pool"
    [(answer,)] = connection.execute(query).fetchall()
    return bool(answer)


def _part_file(root: Path, path: str, rows: int) -> PartFile:
    content = (root / path).read_bytes()
    return PartFile(path, rows, len(content), hashlib.sha256(content).hexdigest())


def _main() -> None:
    root, pool, layout, kind, accounts, regions, times = sys.argv[1:]
    estate = Estate(int(accounts), int(regions), int(times), kind == "distinct")
    write_nights(Path(root), estate, int(layout), Path(pool))


if __name__ == "__main__":
    _main()
