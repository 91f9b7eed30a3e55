"""`python -m benchmarks.parquet_settings`: measures what each setting of the Parquet writer costs, in CPU and in bytes.

The rows are the emulator's, read by the normalizer, in the order of a part: account, region, key. All settings that
are measured take turns in each round, and the least CPU time of all rounds counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from crawler.catalog import load_catalog
from crawler.catalog.model import Operation
from crawler.emulator.cloud import Cloud
from crawler.emulator.spec import CloudSpec
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.redaction import Redaction
from crawler.snapshot.rows.parquet import ROW_GROUP_ROWS, SETTINGS
from tests.support import markdown_table

TABLES = ("fc_functions", "opensearch_apps", "fc_layer_versions", "fc2_instances")
ACCOUNTS = tuple(str(10**15 + number) for number in range(1, 21))
REGIONS = ("cn-hangzhou", "cn-shanghai", "cn-beijing", "ap-southeast-1", "us-west-1")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
GROUP_BYTES = 16 * 1024 * 1024
# The name of what is measured → what differs from the product's settings. `rows` is the size of a row group.
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "as the product": {},
    "Arrow's schema not stored": {"store_schema": False},
    "no dictionaries": {"use_dictionary": False},
    "dictionaries up to 8 KiB": {"dictionary_pagesize_limit": 8 * 1024},
    "dictionaries up to 32 KiB": {"dictionary_pagesize_limit": 32 * 1024},
    "dictionaries up to 64 KiB": {"dictionary_pagesize_limit": 64 * 1024},
    "dictionaries up to 128 KiB": {"dictionary_pagesize_limit": 128 * 1024},
    "dictionaries up to 512 KiB": {"dictionary_pagesize_limit": 512 * 1024},
    "dictionaries up to 1 MiB": {"dictionary_pagesize_limit": 1024 * 1024},
    "zstd 2": {"compression_level": 2},
    "zstd 3": {"compression_level": 3},
    "zstd 6": {"compression_level": 6},
    "snappy": {"compression": "snappy", "compression_level": None},
    "lz4": {"compression": "lz4", "compression_level": None},
    "no page index": {"write_page_index": False},
    "no checksums": {"write_page_checksum": False},
    "no statistics": {"write_statistics": False, "write_page_index": False},
    "data pages of 64 KiB": {"data_page_size": 64 * 1024},
    "data pages of 256 KiB": {"data_page_size": 256 * 1024},
    "batches of 256 values": {"write_batch_size": 256},
    "batches of 16,384 values": {"write_batch_size": 16_384},
    "data pages of version 2": {"data_page_version": "2.0"},
    "row groups of 1,000 rows": {"rows": 1000},
    "row groups of 4,096 rows": {"rows": 4096},
    "row groups of 65,536 rows": {"rows": ROW_GROUP_ROWS},
}


QUERY = "SELECT region_id, count(*), min(snapshot_id) FROM read_parquet(?) WHERE account_id <= ? GROUP BY ALL"


@dataclass(slots=True)
class Figures:
    """The least CPU seconds to write, to read whole and to answer `QUERY`, and the size of the file."""

    write_s: float = float("inf")
    read_s: float = float("inf")
    query_s: float = float("inf")
    nbytes: int = 0


def rows_of(operation: Operation, count: int) -> pa.Table:
    """Return `count` rows of an operation of many accounts and regions, in the order of a part."""
    scale, table = 1, operation.schema.empty_table()
    while table.num_rows < count:
        scale = scale * count // table.num_rows + 1 if table.num_rows else 1
        table = pa.Table.from_batches(_batches(operation, scale), operation.schema)
    # Rows of every account and region, also where few are wanted.
    table = table.take(pa.array(number * table.num_rows // count for number in range(count)))
    order = [(name, "ascending") for name in ("account_id", "region_id", *operation.key)]
    return table.sort_by(order).combine_chunks()


def _batches(operation: Operation, scale: int) -> Iterator[pa.RecordBatch]:
    spec = CloudSpec(accounts=ACCOUNTS, regions=REGIONS, opensearch_regions=REGIONS, scale=scale)
    normalizer = Normalizer(operation, Redaction("fingerprint", "fingerprint", b"k" * 32), "20261122T020000Z-7f3a")
    for account in ACCOUNTS:
        cloud = Cloud(spec)  # a cloud keeps the records of all accounts that it was asked for
        for region in REGIONS:
            key = f"{operation.product}.{operation.action}"
            for parent, records in cloud.lists(account, region, key).items():
                context = RowContext(account, region, NOW, dict(zip(operation.parameters, parent, strict=False)))
                for at in range(0, len(records), 100):
                    body: Any = records[at : at + 100]
                    for step in reversed(operation.records):
                        body = {step: body}
                    yield normalizer.read(orjson.dumps(body), context).batch


def write(table: pa.Table, changes: Mapping[str, Any]) -> pa.Buffer:
    """Write a file into memory with the product's settings and these changes."""
    by_bytes = max(1, GROUP_BYTES * table.num_rows // max(table.nbytes, 1))
    settings = {**SETTINGS, **changes}
    rows = settings.pop("rows", min(ROW_GROUP_ROWS, by_bytes))
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, **settings) as writer:
        writer.write_table(table, row_group_size=rows)
    return sink.getvalue()


def measure(table: pa.Table, names: Sequence[str], rounds: int) -> dict[str, Figures]:
    """Write and read the rows with each of the named settings, in turn."""
    found = {name: Figures() for name in names}
    repeats = max(1, 200 // table.num_rows)
    with TemporaryDirectory(prefix="acs-inventory-settings-") as folder, duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        path = Path(folder, "part.parquet")
        for _ in range(rounds):
            for name, figures in found.items():
                _measure_once(table, CHANGES[name], path, connection, figures, repeats)
    return found


def _measure_once(
    table: pa.Table,
    changes: Mapping[str, Any],
    path: Path,
    connection: duckdb.DuckDBPyConnection,
    figures: Figures,
    repeats: int,
) -> None:
    figures.write_s = min(figures.write_s, _cpu_s(lambda: write(table, changes), repeats))
    path.write_bytes(write(table, changes))
    figures.nbytes = path.stat().st_size
    figures.read_s = min(figures.read_s, _cpu_s(lambda: pq.read_table(path, use_threads=False), repeats))
    values = [str(path), ACCOUNTS[9]]
    figures.query_s = min(figures.query_s, _cpu_s(lambda: connection.execute(QUERY, values).fetchall(), repeats))


def _cpu_s(step: Callable[[], object], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - began) / repeats


def main() -> None:
    """Measure and print a table for each number of rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parquet_settings", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5, 5000, ROW_GROUP_ROWS], help="rows of a file")
    parser.add_argument("--tables", nargs="+", default=TABLES, help="tables of the catalog")
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES), help="settings")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the least time counts")
    options = parser.parse_args()
    operations = load_catalog().operations
    for count in options.rows:
        for name in options.tables:
            table = rows_of(operations[name], count)
            found = measure(table, options.only, options.rounds)
            print(f"\n{name}: {table.num_rows:,} rows, {table.nbytes / 1e6:.3f} MB of Arrow\n")
            print(markdown_table.row(("setting", "write ms", "read ms", "query ms", "kB")))
            print(markdown_table.row(("---", "---:", "---:", "---:", "---:")))
            for setting, figures in found.items():
                cells = (figures.write_s * 1e3, figures.read_s * 1e3, figures.query_s * 1e3, figures.nbytes / 1e3)
                print(markdown_table.row((setting, *(f"{cell:,.2f}" for cell in cells))), flush=True)


if __name__ == "__main__":
    main()
