"""Measures reading, merging and counting ledgers of millions of scopes: CPU seconds and the highest memory.

    python -m benchmarks.ledgers FOLDER [ROWS]

writes a ledger of ROWS scopes (default a million) into FOLDER as 32 sorted files, then runs each step in a process of
its own, and prints a table. One scope in 50 isn't complete, one in 100 has rows.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from crawler.catalog import load_catalog
from crawler.client.client import SignedAccount
from crawler.client.rate_limit import LimitRule
from crawler.run.forecast import LEDGER_COLUMNS, forecast
from crawler.run.targets import Target, TargetPlan
from crawler.snapshot import ScopeRow, Status, StoredLedger, merge_ledgers
from crawler.snapshot.disk import Disk
from crawler.snapshot.ledger import ledger_batch
from crawler.snapshot.ledger_file import KNOWN
from crawler.snapshot.manifest import count_scopes
from crawler.snapshot.staging import write_ledger
from crawler.telemetry.metrics import CrawlFigures, render

SHARDS = 32
REGIONS = 25
_START = datetime(2026, 11, 30, 2, tzinfo=UTC)
_MERGED = "merged"


def batches(number: int, shard: int = 0, shards: int = 1) -> Iterator[pa.RecordBatch]:
    """Yield the scopes of one shard's accounts, in order, of a ledger of about `number` scopes."""
    tables = sorted(load_catalog().operations)
    accounts = max(1, number // (REGIONS * len(tables)))
    rows = [_row(account, region) for account in range(shard, accounts, shards) for region in range(REGIONS)]
    batch = ledger_batch(rows)
    place = batch.schema.names.index("table")
    for table in tables:
        yield batch.set_column(place, batch.schema.field(place), pa.repeat(table, batch.num_rows))


def _row(account: int, region: int) -> ScopeRow:
    at = (account * 7919 + region * 104_729) % 1_000_003
    begun = _START + timedelta(microseconds=at * 7_213)
    row = ScopeRow(f"{10**15 + account}", f"cn-region-{region:02}", "", Status.COMPLETE)
    row.lists = row.pages = row.requests = 1
    row.walk, row.started_at, row.finished_at = "token", begun, begun + timedelta(microseconds=81_000 + at % 9973)
    if at % 50 == 0:
        message = f"The user of {row.account_id} is not authorized."
        return replace(row, status=Status.DENIED, error_code="NoPermission", error_message=message, request_id=f"R{at}")
    row.rows = row.rows_seen = at % 317 if at % 100 == 1 else 0
    return row


def write_shards(folder: Path, number: int) -> None:
    """Write the ledgers of all shards into the folder."""
    disk = Disk(folder)
    for shard in range(SHARDS):
        write_ledger(disk, f"shard-{shard:02}", batches(number, shard, SHARDS))
    disk.close_root()


def _merge(folder: Path) -> None:
    disk = Disk(folder)
    write_ledger(disk, _MERGED, merge_ledgers([_open(folder, f"shard-{shard:02}") for shard in range(SHARDS)]))
    disk.close_root()


def _open(folder: Path, name: str = _MERGED) -> StoredLedger:
    return StoredLedger((folder / name).open("rb"), name)


def _iterate(folder: Path) -> None:
    deque(_open(folder), maxlen=0)


def _count(folder: Path) -> None:
    count_scopes(_open(folder))


def _metrics(folder: Path) -> None:
    render(CrawlFigures(3, _START, _START, _open(folder)))


def _verify(folder: Path) -> None:
    ledger = _open(folder)
    ledger.check()
    count_scopes(ledger)


def _forecast(folder: Path) -> None:
    catalog, ledger = load_catalog(), _open(folder)
    tables = tuple(catalog.with_parents(sorted(catalog.operations)))
    accounts = len(ledger) // (REGIONS * len(tables))
    plans = [
        TargetPlan(Target(account, f"cn-region-{region:02}"), SignedAccount(account, None), tables)
        for account in (f"{10**15 + number}" for number in range(accounts))
        for region in range(REGIONS)
    ]
    forecast(plans, catalog, {"default": LimitRule(20, 5)}, ledger.rows(LEDGER_COLUMNS, KNOWN))


STEPS: MappingProxyType[str, Callable[[Path], None]] = MappingProxyType(
    {
        "merge of 32 ledgers into a file": _merge,
        "all rows, one by one": _iterate,
        "counts of the manifest": _count,
        "metrics": _metrics,
        "verify": _verify,
        "forecast of the same scopes": _forecast,
    }
)


def measure(folder: Path, step: str) -> tuple[float, float]:
    """Run a step in a process of its own. Return its CPU seconds and its highest memory in MiB."""
    command = [sys.executable, "-m", "benchmarks.ledgers", str(folder), "--step", step]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[0]), float(said[1])


def main(arguments: list[str]) -> None:
    """See the module."""
    folder = Path(arguments[0])
    if arguments[1:2] == ["--step"]:
        begun = time.process_time()
        STEPS[arguments[2]](folder)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{time.process_time() - begun:.2f} {peak_mb:.0f}")
        return
    number = int(arguments[1]) if len(arguments) > 1 else 1_000_000
    folder.mkdir(parents=True, exist_ok=True)
    write_shards(folder, number)
    for step in STEPS:
        cpu_s, peak_mb = measure(folder, step)
        print(f"{step:36} {cpu_s:8.1f} CPU s {peak_mb:8.0f} MiB", flush=True)
    print(f"{len(_open(folder)):,} rows, {(folder / _MERGED).stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
