"""A ledger's file: what it says is what the rows in memory say, and many sorted ones become one, in little memory."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import OutputError
from crawler.snapshot import Ledger, ScopeRow, Status, StoredLedger, is_whole, ledger_merge, merge_ledgers
from crawler.snapshot.disk import Disk
from crawler.snapshot.ledger import LEDGER_SCHEMA, ledger_batch
from crawler.snapshot.ledger_file import KNOWN, NOT_WHOLE
from crawler.snapshot.staging import write_ledger
from crawler.snapshot.status import is_known
from tests.support.ledger_rows import rows as random_rows
from tests.support.ledger_rows import scope_of, stored

# Each scope once, as a crawl has them.
ledgers = st.lists(random_rows, max_size=40, unique_by=scope_of)
# As in a file: a sum of a column has 64 bits.
small_rows = random_rows.map(lambda row: replace(row, rows=row.rows % 1000))


@settings(deadline=None, max_examples=60)
@given(st.lists(small_rows, max_size=40, unique_by=scope_of), st.sampled_from([1, 7, 100]))
def test_a_stored_ledger_says_what_the_rows_in_memory_say(rows, group_rows):
    ledger = Ledger(rows)
    found = stored(list(ledger), group_rows)
    assert (len(found), list(found)) == (len(ledger), list(ledger))
    assert (found.by_status, found.by_table) == (ledger.by_status, ledger.by_table)
    assert found.open_by_account == ledger.open_by_account
    for limit in (None, 0, 2):
        assert found.not_whole(limit) == ledger.not_whole(limit)
    assert pa.Table.from_batches(found.batches(), LEDGER_SCHEMA) == pa.Table.from_batches(
        ledger.batches(), LEDGER_SCHEMA
    )


@settings(deadline=None, max_examples=40)
@given(ledgers, st.sampled_from(["fc_functions", "fc_layers", "nowhere"]), st.booleans())
def test_the_rows_of_a_table_and_of_some_statuses_are_chosen(rows, table, has_statistics):
    rows = list(Ledger(rows))
    found = stored(rows, 3, write_statistics=has_statistics)
    assert list(found.rows(table=table)) == [row for row in rows if row.table == table]
    assert list(found.rows(statuses=NOT_WHOLE)) == [row for row in rows if not is_whole(row.status)]
    lean = [
        ScopeRow(row.account_id, row.region_id, row.table, row.status, rows=row.rows)
        for row in rows
        if is_known(row.status)
    ]
    assert list(found.rows(["rows"], KNOWN)) == lean


def test_threads_and_passes_share_a_file():
    rows = [ScopeRow(f"{number:04}", "cn-hangzhou", "fc_functions", Status.COMPLETE) for number in range(2000)]
    found = stored(rows, 100)
    assert all(one == other for one, other in zip(found, found.rows(), strict=True))
    with ThreadPoolExecutor(4) as threads:
        assert all(part == rows for part in threads.map(lambda _: list(found), range(8)))


def written(tmp_path, batches):
    disk = Disk(tmp_path)
    file = write_ledger(disk, "ledger.parquet", batches)
    disk.close_root()
    content = (tmp_path / "ledger.parquet").read_bytes()
    assert len(content) == file.bytes
    return file, content


def status_at(place):
    return Status.FAILED if place % 7 == 0 else Status.COMPLETE


def many(number, table="fc_functions"):
    return [ScopeRow(f"{at:06}", "cn-hangzhou", table, status_at(at), error_code=f"E{at}") for at in range(number)]


@pytest.mark.parametrize("number", [1, 16_383, 16_384, 16_385, 40_000])
def test_equal_rows_give_equal_bytes_whatever_the_batches_are(tmp_path, number):
    rows = many(number)
    file, content = written(tmp_path, Ledger(rows).batches())
    assert file.rows == number
    with pq.ParquetFile(io.BytesIO(content)) as parquet:
        groups = [parquet.metadata.row_group(at).num_rows for at in range(parquet.num_row_groups)]
    assert groups == [16_384] * (number // 16_384) + [number % 16_384] * bool(number % 16_384)
    for size in (997, 50_000):
        batches = (ledger_batch(rows[at : at + size]) for at in range(0, number, size))
        assert written(tmp_path, batches) == (file, content)
    assert written(tmp_path, StoredLedger(io.BytesIO(content), "x").batches()) == (file, content)


def test_a_ledger_without_rows_is_a_file_with_its_columns(tmp_path):
    file, content = written(tmp_path, [])
    assert file.rows == 0
    assert pq.read_table(io.BytesIO(content)).schema == LEDGER_SCHEMA
    assert list(StoredLedger(io.BytesIO(content), "x")) == []


@settings(deadline=None, max_examples=60)
@given(ledgers, st.integers(1, 5), st.sampled_from([1, 2, 9, 1000]), st.randoms(use_true_random=False))
def test_merged_ledgers_are_one_ledger_of_all_rows(rows, number, at_once, random):
    parts = [[] for _ in range(number)]
    for row in rows:
        random.choice(parts).append(row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_merge, "_ROWS_AT_ONCE", at_once)
        patch.setattr("crawler.snapshot.ledger_file.BATCH_ROWS", 3)
        merged = list(merge_ledgers([stored(list(Ledger(part)), 4) for part in parts]))
    assert pa.Table.from_batches(merged, LEDGER_SCHEMA) == pa.Table.from_batches(Ledger(rows).batches(), LEDGER_SCHEMA)


@pytest.mark.parametrize("at_once", [2, 100])
@pytest.mark.parametrize(("place", "at"), [*itertools.product([0, 4, 9], [0, 5, 9])])
def test_a_scope_of_two_ledgers_is_refused(monkeypatch, at_once, place, at):
    monkeypatch.setattr(ledger_merge, "_ROWS_AT_ONCE", at_once)
    one, other = many(10), many(10, "fc_layers")
    other.insert(at, one[place])
    with pytest.raises(OutputError, match=f"row of the scope fc_functions {place:06} cn-hangzhou"):
        list(merge_ledgers([stored(one), stored(list(Ledger(other)))]))


def test_a_ledger_that_is_not_sorted_is_refused(monkeypatch):
    monkeypatch.setattr(ledger_merge, "_ROWS_AT_ONCE", 2)
    monkeypatch.setattr("crawler.snapshot.ledger_file.BATCH_ROWS", 1)
    with pytest.raises(OutputError, match="not sorted by table, account and region: see fc_functions 000008"):
        list(merge_ledgers([stored(many(10)[::-1]), stored(many(10, "fc_layers"))]))


def test_a_damaged_ledger_ends_a_merge():
    content = io.BytesIO()
    pq.write_table(pa.Table.from_batches([ledger_batch(many(5))]), content)
    damaged = bytearray(content.getvalue())
    damaged[40:200] = bytes(160)
    with pytest.raises(OutputError, match="x is not a readable ledger"):
        list(merge_ledgers([stored(many(5, "fc_layers")), StoredLedger(io.BytesIO(bytes(damaged)), "x")]))


MEMORY = """
import resource, sys
import pyarrow as pa, pyarrow.compute as pc
from crawler.snapshot import ScopeRow, Status, StoredLedger, merge_ledgers
from crawler.snapshot.disk import Disk
from crawler.snapshot.ledger import LEDGER_SCHEMA, ledger_batch
from crawler.snapshot.manifest import count_scopes
from crawler.snapshot.staging import write_ledger
from pathlib import Path

root, number = Path(sys.argv[1]), int(sys.argv[2])
disk = Disk(root)

def batches(region, rows):
    for at in range(0, rows, 4096):
        size = min(4096, rows - at)
        failed = [ScopeRow("", region, "fc_functions", Status.FAILED if number % 9 else Status.COMPLETE)
                  for number in range(at, at + size)]
        names = pc.utf8_lpad(pa.array(range(at, at + size)).cast(pa.string()), 9, "0")
        batch = ledger_batch(failed).set_column(0, LEDGER_SCHEMA.field(0), names)
        yield batch.set_column(LEDGER_SCHEMA.names.index("error_message"), LEDGER_SCHEMA.field("error_message"), names)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for region in ("a", "b"):
    write_ledger(disk, region, batches(region, number))
ledgers = [StoredLedger((root / region).open("rb"), region) for region in ("a", "b")]
write_ledger(disk, "merged", merge_ledgers(ledgers))
merged = StoredLedger((root / "merged").open("rb"), "merged")
assert sum(1 for _ in merged) == len(merged) == 2 * number
assert count_scopes(merged).missing == 2 * (number - -(-number // 9))
print(peak())
"""


def peak_mb(folder, rows):
    folder.mkdir()
    command = [sys.executable, "-c", MEMORY, str(folder), str(rows)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_six_times_the_rows_take_little_more_memory(tmp_path):
    """P29: a list of the rows would take 405 bytes each, 200 MB more."""
    assert peak_mb(tmp_path / "many", 300_000) < peak_mb(tmp_path / "few", 50_000) + 60
