"""The newest snapshot and its ledger, read back: the written content, and the errors for other files."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import OutputError
from crawler.snapshot import (
    Ledger,
    Status,
    StoredLedger,
    ledger_file,
    newest_snapshot_id,
    read_ledger,
    read_manifest,
    reader,
)
from crawler.snapshot.ledger import ledger_batch
from tests.support.snapshot_fakes import NEW, OLD, START, ledger_row, write_snapshot

ROWS = [
    ledger_row("fc_layers", status=Status.DENIED, error_code="Forbidden", started_at=None, finished_at=None),
    ledger_row("opensearch_apps", region="cn-b", status=Status.UNSTABLE, rows_seen=9, requests=7, retries=2),
    ledger_row("opensearch_apps", region="cn-a", written=False, walk="page-number (2 readings)"),
]


async def test_the_newest_snapshot_is_named_whatever_latest_says(tmp_path):
    assert newest_snapshot_id(tmp_path / "nowhere") == newest_snapshot_id(tmp_path) == ""
    await write_snapshot(tmp_path, OLD)
    assert newest_snapshot_id(tmp_path) == OLD
    await write_snapshot(tmp_path, NEW, extra_rows=ROWS)
    (tmp_path / "_snapshots/zz.json").write_text("{}")
    assert read_manifest(tmp_path, "latest").snapshot_id == OLD, "the newer one is partial"
    assert newest_snapshot_id(tmp_path) == NEW


async def test_a_ledger_is_read_as_it_was_written(tmp_path):
    manifest = await write_snapshot(tmp_path, rows={}, extra_rows=ROWS)
    assert list(read_ledger(tmp_path, manifest)) == list(Ledger(ROWS)) != ROWS


async def test_a_ledger_that_is_gone_or_another_is_refused(tmp_path):
    manifest = await write_snapshot(tmp_path)
    path = tmp_path / manifest.ledger.path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(OutputError, match=r"scopes\.parquet isn't what its manifest names"):
        read_ledger(tmp_path, manifest)
    path.unlink()
    with pytest.raises(OutputError, match=r"scopes\.parquet isn't in .*removed"):
        read_ledger(tmp_path, manifest)
    path.mkdir()
    with pytest.raises(OutputError, match=r"scopes\.parquet of .* is a folder, not a regular file; remove it"):
        read_ledger(tmp_path, manifest)


async def test_a_ledger_of_the_same_size_with_one_other_byte_is_refused_before_its_first_row(tmp_path):
    manifest = await write_snapshot(tmp_path, extra_rows=ROWS)
    path = tmp_path / manifest.ledger.path
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(OutputError, match=r"scopes\.parquet isn't what its manifest names"):
        read_ledger(tmp_path, manifest)


async def test_a_ledger_that_was_opened_is_read_to_its_end_after_a_prune(tmp_path):
    manifest = await write_snapshot(tmp_path, rows={}, extra_rows=ROWS)
    opened = read_ledger(tmp_path, manifest)
    (tmp_path / manifest.ledger.path).unlink()
    assert list(opened) == list(Ledger(ROWS))
    assert opened.by_status == Ledger(ROWS).by_status


async def test_a_ledger_larger_than_any_is_not_even_hashed(tmp_path, monkeypatch):
    """T31"""
    manifest = await write_snapshot(tmp_path)
    monkeypatch.setattr(reader, "LEDGER_BYTES", manifest.ledger.bytes - 1)
    with pytest.raises(OutputError, match=r"scopes\.parquet has [\d,]+ bytes, more than any crawl's ledger"):
        read_ledger(tmp_path, manifest)


def ledger_bytes(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def decode(content):
    return list(StoredLedger(io.BytesIO(content), "x"))


def with_column(name, values):
    place = TABLE.schema.names.index(name)
    return TABLE.set_column(place, name, pa.array(values))


def instants(number):
    return pa.array([number] * 3, pa.timestamp("us", "UTC"))


TABLE = pa.Table.from_batches([ledger_batch(ROWS)])


def test_a_ledger_of_another_version_is_read_as_far_as_it_goes():
    later = TABLE.append_column("cost", pa.array([1.5] * len(ROWS)))
    assert decode(ledger_bytes(later)) == ROWS
    without = StoredLedger(io.BytesIO(ledger_bytes(TABLE.drop_columns(["retries", "started_at"]))), "x")
    earlier = list(without)
    assert [row.requests for row in earlier] == [row.requests for row in ROWS]
    assert {(row.retries, row.started_at) for row in earlier} == {(0, None)}
    assert {figures.retries for figures in without.by_table.values()} == {0}
    assert pa.Table.from_batches(without.batches()) == pa.Table.from_batches([ledger_batch(earlier)])
    assert decode(ledger_bytes(TABLE))[1].started_at == START


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PAR1 and nothing else PAR1", id="no Parquet"),
        pytest.param(ledger_bytes(TABLE)[:-9], id="cut off"),
        pytest.param(ledger_bytes(TABLE.drop_columns(["table"])), id="without a column that it can't be without"),
        pytest.param(
            ledger_bytes(TABLE.set_column(3, "status", pa.array(["splendid"] * len(ROWS)))), id="an unknown status"
        ),
        pytest.param(ledger_bytes(TABLE.set_column(5, "rows", pa.array(["1"] * len(ROWS)))), id="another type"),
        pytest.param(ledger_bytes(pa.table({"a": [1]})), id="another table"),
        pytest.param(ledger_bytes(with_column("table", ["../x"] * 3)), id="what is not a table's name"),
        pytest.param(ledger_bytes(with_column("table", ["", "a", "b"])), id="a table without a name"),
        pytest.param(ledger_bytes(with_column("error_message", ["x" * 70_000] * 3)), id="an endless text"),
        pytest.param(ledger_bytes(with_column("started_at", instants(1 << 62))), id="an instant that no date has"),
        pytest.param(ledger_bytes(with_column("finished_at", instants(-3_000_000_000_000_000))), id="the year 1874"),
        pytest.param(ledger_bytes(with_column("started_at", pa.array([0] * 3, pa.timestamp("us")))), id="no time zone"),
        pytest.param(ledger_bytes(with_column("region_id", pa.array([["x"]] * 3))), id="a list for a text"),
        pytest.param(ledger_bytes(with_column("region_id", ["x", None, "y"])), id="a scope without a region"),
        pytest.param(ledger_bytes(with_column("rows", [1, None, 3])), id="a number that isn't there"),
    ],
)
def test_what_is_no_ledger_is_refused_in_one_sentence(content):
    """T31"""
    with pytest.raises(OutputError, match=r"\Ax is not a readable ledger: [^\n]+\Z"):
        decode(content)
    with pytest.raises(OutputError, match=r"\Ax is not a readable ledger: [^\n]+\Z"):
        StoredLedger(io.BytesIO(content), "x").check()


def test_ledger_that_compression_makes_look_small_is_refused_before_it_is_read(monkeypatch):
    """T31: a few bytes of a column of equal values may become any number of rows."""
    monkeypatch.setattr(ledger_file, "LEDGER_ROWS", 2)
    with pytest.raises(OutputError, match="it has 3 rows, more than any crawl's"):
        decode(ledger_bytes(TABLE))
    monkeypatch.setattr(ledger_file, "LEDGER_ROWS", 3)
    assert decode(ledger_bytes(TABLE)) == ROWS
    monkeypatch.setattr(ledger_file, "LEDGER_GROUP_BYTES", 100)
    with pytest.raises(OutputError, match="or too long texts"):
        decode(ledger_bytes(TABLE))
