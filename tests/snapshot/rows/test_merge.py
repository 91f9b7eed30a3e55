"""P26: the rows of a part are all of them, each once, in the table's order, in row groups of a bounded size."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot.disk import Disk
from crawler.snapshot.rows import merge
from crawler.snapshot.rows.blocks import Block, TableLayout, comparable
from crawler.snapshot.rows.merge import SortedRows, write_part
from crawler.snapshot.rows.parquet import PartWriter
from tests.support.examples import examples

SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string()),
        pa.field("region_id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("version", pa.int64()),
        pa.field("text", pa.string()),
    ]
)
LAYOUT = TableLayout("fc_functions", SCHEMA, ["name", "version"])
KEYS = ("account_id", "region_id", "name", "version")

rows = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["1", "10", "2"]),
        "region_id": st.sampled_from(["cn-beijing", "cn-hangzhou"]),
        "name": st.none() | st.sampled_from(["a", "B", "é", "\U0001f600", ""]),
        "version": st.none() | st.integers(-3, 3),
    }
)


def groups(rows):
    """All row groups of `SortedRows`."""
    found = []
    while rows.has_more:
        found.append(rows.next_group())
    return found


def block(found, start=0):
    numbered = [{**row, "text": f"{start + at}"} for at, row in enumerate(found)]
    return Block.packed(LAYOUT, pa.RecordBatch.from_pylist(numbered, schema=SCHEMA))


def order(row):
    return comparable(tuple(row[name] for name in KEYS))


@settings(deadline=None, max_examples=examples(150))
@given(
    st.lists(st.lists(rows, min_size=1, max_size=6), min_size=1, max_size=12), st.integers(1, 9), st.integers(1, 400)
)
def test_all_rows_come_once_and_in_order_whatever_the_blocks(lists, most_rows, most_bytes):
    """The order is that of Python's sort, which is stable: equal keys stay in the order of their blocks."""
    blocks, expected = [], []
    for found in lists:
        blocks.append(block(found, len(expected)))
        expected += [{**row, "text": f"{len(expected) + at}"} for at, row in enumerate(found)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "ROW_GROUP_ROWS", most_rows)
        patch.setattr(merge, "GROUP_BYTES", most_bytes)
        patch.setattr(merge, "_MOST_BYTES", 4 * most_bytes)
        made = groups(SortedRows(LAYOUT, blocks))
    assert all(0 < group.num_rows <= most_rows for group in made)
    found = [row for group in made for row in group.to_pylist()]
    assert [order(row) for row in found] == sorted(map(order, expected))
    assert sorted(found, key=lambda row: int(row["text"])) == expected


@pytest.mark.parametrize("key", [("name",), ()])
def test_rows_of_equal_keys_stay_as_they_came(key):
    layout = TableLayout("t", SCHEMA, key)
    blocks = []
    for start in range(0, 40, 4):
        names = [{"account_id": "1", "region_id": "x", "name": "same", "text": f"{start + at}"} for at in range(4)]
        blocks.append(Block.packed(layout, pa.RecordBatch.from_pylist(names, schema=SCHEMA)))
    found = [text for group in groups(SortedRows(layout, blocks)) for text in group["text"].to_pylist()]
    assert found == [f"{at}" for at in range(40)]


def test_blocks_that_follow_each_other_are_read_one_after_the_other():
    """A list comes in the order of its keys: its rows never fill the memory, however long it is."""
    blocks = [
        block([{"account_id": "1", "region_id": "x", "name": f"{at:04}-{n:04}"} for n in range(500)])
        for at in range(40)
    ]
    held = []

    class Watched(SortedRows):
        def _read(self, wanted):
            super()._read(wanted)
            held.append(self._rows.nbytes)

    size = blocks[0].to_batch().nbytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "GROUP_BYTES", 4 * size)
        patch.setattr(merge, "_MOST_BYTES", 1000 * size)
        found = groups(Watched(LAYOUT, blocks))
    assert max(held) <= 8 * size
    assert sum(group.num_rows for group in found) == 20_000
    assert min(group.num_rows for group in found[:-1]) > 1000


@pytest.fixture
def disk(tmp_path):
    found = Disk(tmp_path)
    yield found
    found.close_root()


def random_blocks(count):
    import random

    draw = random.Random(7)
    return [
        block(
            [
                {"account_id": f"{draw.randrange(9)}", "region_id": "x", "name": f"{draw.getrandbits(128):x}"}
                for _ in range(300)
            ]
        )
        for _ in range(count)
    ]


def test_a_part_ends_at_its_size_and_what_was_not_read_is_left(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 40_000)
    blocks = [block([{"account_id": "1", "region_id": "x", "name": f"{at:04}-{n * 7919 % 300:04}"} for n in range(300)])
              for at in range(100)]  # fmt: skip
    part = PartWriter(disk, "part.partial", SCHEMA)
    result = write_part(part, LAYOUT, blocks, 40_000, may_be_small=False)
    assert result.is_finished
    assert 40_000 <= part.bytes < 60_000
    written = pq.read_table(tmp_path / "part.partial")
    assert written.num_rows + sum(each.num_rows for each in result.left) == 30_000
    assert max(written["name"].to_pylist()) < min(min(each.to_batch()["name"].to_pylist()) for each in result.left)


def test_a_part_that_would_be_smaller_is_given_up_and_its_ratio_known(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 10_000)
    blocks = random_blocks(20)
    part = PartWriter(disk, "part.partial", SCHEMA)
    result = write_part(part, LAYOUT, blocks, 1_000_000, may_be_small=False)
    assert (result.is_finished, result.left) == (False, blocks)
    assert list(tmp_path.iterdir()) == []
    whole = PartWriter(disk, "whole.partial", SCHEMA)
    assert write_part(whole, LAYOUT, blocks, 1_000_000, may_be_small=True).is_finished
    packed = sum(each.length for each in blocks)
    assert result.ratio * packed == pytest.approx(whole.bytes, rel=0.25)


def test_a_part_that_is_stopped_leaves_no_file(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 10_000)
    part = PartWriter(disk, "part.partial", SCHEMA)
    result = write_part(part, LAYOUT, random_blocks(9), 10**9, may_be_small=True, is_stopped=lambda: True)
    assert not result.is_finished
    assert list(tmp_path.iterdir()) == []


def test_groups_of_many_small_blocks_are_full(monkeypatch):
    """The IPC message of a row is ten times its size, mostly padding: groups were a tenth of what they may be."""
    monkeypatch.setattr(merge, "GROUP_BYTES", 20_000)
    monkeypatch.setattr(merge, "_MOST_BYTES", 40_000)
    monkeypatch.setattr(merge, "ROW_GROUP_ROWS", 65_536)
    names = [f"name-{number:04}" for number in range(2_000)]
    found = [block([{"account_id": "1", "region_id": "cn-beijing", "name": name, "version": 1}]) for name in names]
    sizes = [group.nbytes for group in groups(SortedRows(LAYOUT, found))]
    assert all(10_000 <= size <= 40_000 for size in sizes[:-1]), sizes
