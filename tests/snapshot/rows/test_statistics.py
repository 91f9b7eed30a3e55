"""Statistics of a part: what its footer says of each column, over all row groups."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.snapshot.disk import Disk
from crawler.snapshot.rows.parquet import PartWriter
from crawler.snapshot.rows.statistics import TEXT_LENGTH, cut_high, statistics_of

START = datetime(2026, 11, 21, 2, 0, 0, 123456, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string()),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("config", pa.struct([pa.field("size", pa.int64())])),
        pa.field("layers", pa.list_(pa.string())),
        pa.field("absent", pa.string()),
        pa.field("rate", pa.float64()),
    ]
)
ROWS = [
    {"account_id": "b", "at": START, "config": {"size": 7}, "layers": ["x", "y"], "rate": 0.5},
    {"account_id": "a", "at": START + timedelta(days=1), "config": None, "layers": [], "rate": -1.5},
    {"account_id": None, "at": None, "config": {"size": -3}, "layers": None, "rate": None},
]


def columns_of(table, group_rows=1, **options):
    sink, footers = io.BytesIO(), []
    with pq.ParquetWriter(sink, table.schema, metadata_collector=footers, **options) as writer:
        writer.write_table(table, row_group_size=group_rows)
    found = statistics_of(footers[0])
    return found, {column.path: column for column in found.columns}


@pytest.mark.parametrize("group_rows", [1, 2, 3])
@pytest.mark.parametrize("has_arrow_schema", [True, False])
def test_statistics_cover_all_row_groups(group_rows, has_arrow_schema):
    table = pa.Table.from_pylist(ROWS, schema=SCHEMA)
    found, columns = columns_of(table, group_rows, store_schema=has_arrow_schema)
    assert found.rows == 3
    assert len(found.offsets) == -(-3 // group_rows)
    assert sorted(found.offsets) == list(found.offsets)
    bounds = {path: (column.low, column.high, column.nulls, column.values) for path, column in columns.items()}
    assert bounds == {
        "account_id": ("a", "b", 1, 3),
        "at": (START, START + timedelta(days=1), 1, 3),
        "config.size": (-3, 7, 1, 3),
        "layers.list.element": ("x", "y", 2, 4),
        "absent": (None, None, 3, 3),
        "rate": (-1.5, 0.5, 1, 3),
    }
    assert all(column.bytes > 0 for column in found.columns)


def test_a_column_without_statistics_in_one_row_group_has_no_bounds():
    """Text of more than 4,096 bytes has none in Parquet; a bound of the other row groups would be wrong."""
    table = pa.table({"name": ["a", "z" * 5000, "b"]})
    _, columns = columns_of(table)
    assert (columns["name"].low, columns["name"].high) == (None, None)
    assert columns["name"].nulls == 0


def test_long_text_is_cut_outwards():
    low, high = "m" * 100, "n" * 100
    _, columns = columns_of(pa.table({"name": [low, high]}), 2)
    found = columns["name"]
    assert found.low <= low
    assert found.high >= high
    assert (len(found.low), len(found.high)) == (TEXT_LENGTH, TEXT_LENGTH)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("abc", "abc"),
        ("abcd", "abd"),
        ("ab\U0010ffffd", "ac"),
        ("\U0010ffff" * 4, None),
        ("ab\ud7ffz", "ab\ue000"),  # no surrogate, which UTF-8 doesn't have
    ],
)
def test_an_upper_bound_is_a_text_that_is_not_less(text, wanted):
    assert cut_high(text, 3) == wanted
    if wanted is not None:
        assert wanted.encode() >= text.encode()
    assert ord("\U0010ffff") == sys.maxunicode


def test_a_value_that_python_does_not_have_leaves_the_column_without_bounds():
    table = pa.table({"at": pa.array([2**62], pa.timestamp("us", tz="UTC"))})
    _, columns = columns_of(table)
    assert (columns["at"].low, columns["at"].high, columns["at"].nulls) == (None, None, 0)


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_part_has_the_statistics_that_its_footer_has_if_they_are_asked_for(tmp_path, is_asked):
    part = PartWriter(Disk(tmp_path), "table/part.parquet", SCHEMA, has_statistics=is_asked)
    batch = pa.RecordBatch.from_pylist(ROWS, schema=SCHEMA)
    part.append(pa.Table.from_batches([batch]))
    part.append(pa.Table.from_batches([batch]))
    assert part.statistics is None
    part.finish()
    read = statistics_of(pq.read_metadata(tmp_path / "table/part.parquet"))
    assert part.statistics == (read if is_asked else None)
    assert read.rows == 6
