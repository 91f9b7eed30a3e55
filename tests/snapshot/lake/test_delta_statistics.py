"""The statistics of a Delta log: bounds that no value of the file is outside of."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.snapshot.lake.delta_statistics import encode_statistics
from crawler.snapshot.rows.statistics import statistics_of


def statistics_in_log(table, first=()):
    footers = []
    with pq.ParquetWriter(io.BytesIO(), table.schema, metadata_collector=footers) as writer:
        writer.write_table(table)
    return json.loads(encode_statistics(statistics_of(footers[0]), table.schema, first))


@pytest.mark.parametrize(
    ("microsecond", "low", "high"),
    [
        (0, "2026-11-21T23:59:59.000Z", "2026-11-21T23:59:59.000Z"),
        (1000, "2026-11-21T23:59:59.001Z", "2026-11-21T23:59:59.001Z"),
        (1001, "2026-11-21T23:59:59.001Z", "2026-11-21T23:59:59.002Z"),
        (999_999, "2026-11-21T23:59:59.999Z", "2026-11-22T00:00:00.000Z"),
    ],
)
def test_times_are_rounded_outwards(microsecond, low, high):
    at = datetime(2026, 11, 21, 23, 59, 59, microsecond, UTC)
    found = statistics_in_log(pa.table({"at": pa.array([at], pa.timestamp("us", tz="UTC"))}))
    assert (found["minValues"], found["maxValues"]) == ({"at": low}, {"at": high})


def test_the_end_of_time_has_no_upper_bound():
    at = datetime.max.replace(tzinfo=UTC)
    found = statistics_in_log(pa.table({"at": pa.array([at], pa.timestamp("us", tz="UTC"))}))
    assert (found["minValues"], found["maxValues"]) == ({"at": "9999-12-31T23:59:59.999Z"}, {})


def test_columns_of_one_value_a_row_have_statistics():
    schema = pa.schema(
        [
            ("text", pa.string()),
            ("flag", pa.bool_()),
            ("rate", pa.float64()),
            ("config", pa.struct([("deep", pa.struct([("size", pa.int64())])), ("tags", pa.list_(pa.string()))])),
            ("layers", pa.list_(pa.string())),
            ("labels", pa.map_(pa.string(), pa.string())),
            ("empty", pa.string()),
        ]
    )
    rows = [
        {"text": "é" * 40, "flag": True, "rate": float("inf"), "config": {"deep": {"size": 1}}, "layers": ["a"]},
        {"text": None, "flag": None, "rate": -1.5, "config": None, "labels": [("k", "v")]},
    ]
    assert statistics_in_log(pa.Table.from_pylist(rows, schema=schema)) == {
        "numRecords": 2,
        "minValues": {"text": "é" * 32, "rate": -1.5, "config": {"deep": {"size": 1}}},
        "maxValues": {"text": "é" * 31 + "ê", "config": {"deep": {"size": 1}}},
        "nullCount": {"text": 1, "flag": 1, "rate": 0, "config": {"deep": {"size": 1}}, "empty": 2},
    }


def test_a_wide_table_has_statistics_of_32_columns_with_those_of_the_order_first():
    names = [f"c{number:02}" for number in range(40)]
    table = pa.table({name: [1] for name in names})
    assert list(statistics_in_log(table, ["c39", "c01"])["nullCount"]) == ["c39", "c01", "c00", *names[2:31]]
    of_wide = load_catalog().operations["fc_functions"]
    order = ["account_id", "region_id", *of_wide.key]
    found = statistics_in_log(of_wide.schema.empty_table(), order)
    assert found == {"numRecords": 0, "minValues": {}, "maxValues": {}, "nullCount": {}}
    row = pa.Table.from_pylist([dict.fromkeys(order, "a")], schema=of_wide.schema)
    assert list(statistics_in_log(row, order)["minValues"]) == order
