"""The newest snapshot and its ledger, read back: the written content, and the errors for other files."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import OutputError
from crawler.snapshot import Status, newest_snapshot_id, read_ledger, read_manifest
from crawler.snapshot.ledger import decode_ledger, ledger_batch, sorted_ledger
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
    assert read_ledger(tmp_path, manifest) == sorted_ledger(ROWS)


async def test_a_ledger_that_is_gone_or_another_is_refused(tmp_path):
    manifest = await write_snapshot(tmp_path)
    path = tmp_path / manifest.ledger.path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(OutputError, match=r"scopes\.parquet isn't what its manifest names"):
        read_ledger(tmp_path, manifest)
    path.unlink()
    with pytest.raises(OutputError, match=r"scopes\.parquet isn't in .*removed"):
        read_ledger(tmp_path, manifest)


def ledger_bytes(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


TABLE = pa.Table.from_batches([ledger_batch(ROWS)])


def test_a_ledger_of_another_version_is_read_as_far_as_it_goes():
    later = TABLE.append_column("cost", pa.array([1.5] * len(ROWS)))
    assert decode_ledger(ledger_bytes(later), "x") == ROWS
    earlier = decode_ledger(ledger_bytes(TABLE.drop_columns(["retries", "started_at"])), "x")
    assert [row.requests for row in earlier] == [row.requests for row in ROWS]
    assert {(row.retries, row.started_at) for row in earlier} == {(0, None)}
    assert decode_ledger(ledger_bytes(TABLE), "x")[1].started_at == START


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
    ],
)
def test_what_is_no_ledger_is_refused_in_one_sentence(content):
    with pytest.raises(OutputError, match=r"\Ax is not a readable ledger: [^\n]+\Z"):
        decode_ledger(content, "x")
