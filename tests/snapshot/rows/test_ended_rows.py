"""P26, P28, F109, F110: the rows of many scopes share parts, and a reader of one account skips the others."""

from __future__ import annotations

import threading

import anyio
import anyio.from_thread
import anyio.to_thread
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import OutputError
from crawler.snapshot import FolderDestination, SnapshotWriter
from crawler.snapshot.journal import Journal
from crawler.snapshot.rows import merge, table_writer
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    SCHEMA,
    START,
    batch,
    begin,
    draft,
    ledger_row,
    staging_names,
    write_names,
)

KEYS = {"fc_functions": ["name"], "opensearch_apps": ["name"]}
REGIONS = ["cn-shanghai", "cn-beijing", "cn-hangzhou"]


async def write(writer, account, region, names, table="fc_functions"):
    scope = writer.scope(table, account, region)
    reading = scope.list()
    if names:
        await write_names(reading, names, account=account, region=region)
    reading.finish()
    scope.keep()
    return ledger_row(table, account, region, rows=len(names), rows_seen=len(names))


async def test_rows_of_many_scopes_are_in_one_part_in_their_order(tmp_path):
    writer = await begin(tmp_path, keys=KEYS)
    ledger = []
    for number in (12, 3, 100, 7):
        for region in REGIONS:
            ledger.append(await write(writer, f"{number}", region, ["c", "a", "b"]))
            await writer.flush()
    manifest = await writer.commit(draft(), ledger)
    [file] = manifest.tables["fc_functions"].files
    assert file.path == f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}/part-00000.parquet"
    rows = (
        pq.read_table(tmp_path / file.path, partitioning=None).select(["account_id", "region_id", "name"]).to_pylist()
    )
    expected = [
        {"account_id": f"{number}", "region_id": region, "name": name}
        for number in (100, 12, 3, 7)
        for region in sorted(REGIONS)
        for name in "abc"
    ]
    assert rows == expected


async def test_a_filter_on_the_account_reads_few_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "ROW_GROUP_ROWS", 100)
    writer = await begin(tmp_path, keys=KEYS)
    ledger = [
        await write(writer, f"{number:016}", "cn-hangzhou", [f"f{at:03}" for at in range(50)]) for number in range(40)
    ]
    manifest = await writer.commit(draft(), ledger)
    [file] = manifest.tables["fc_functions"].files
    metadata = pq.ParquetFile(tmp_path / file.path).metadata
    assert metadata.num_row_groups == 20
    wanted = f"{17:016}"
    bounds = [metadata.row_group(number).column(0).statistics for number in range(20)]
    assert sum(found.min <= wanted <= found.max for found in bounds) == 1


async def test_a_scope_that_is_dropped_never_reaches_a_part(tmp_path):
    writer = await begin(tmp_path, keys=KEYS, memory_bytes=1)
    dropped = writer.scope("fc_functions", "9", "cn-hangzhou")
    await write_names(dropped.list(), ["x"], account="9")
    row = await write(writer, ACCOUNT, "cn-hangzhou", ["a"])
    await writer.flush()
    await dropped.drop()
    manifest = await writer.commit(draft(), [row, ledger_row("fc_functions", "9", status="failed")])
    [file] = manifest.tables["fc_functions"].files
    assert pq.read_table(tmp_path / file.path, partitioning=None)["name"].to_pylist() == ["a"]


def random_names(count, seed):
    import random

    draw = random.Random(seed)
    return [f"{draw.getrandbits(256):x}" for _ in range(count)]


async def test_parts_have_about_their_size_and_only_the_last_is_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 30_000)
    writer = await begin(tmp_path, keys=KEYS, part_bytes=100_000)
    ledger = []
    for number in range(30):
        ledger.append(await write(writer, f"{number}", "cn-hangzhou", random_names(1000, number)))
        await writer.flush()
        await writer.write_due_parts()
    written = len(list(tmp_path.glob("_staging/*/fc_functions/**/part-*.parquet")))
    assert written >= 5, "parts are written while the crawl goes on"
    manifest = await writer.commit(draft(), ledger)
    files = manifest.tables["fc_functions"].files
    assert [file.path.rpartition("/")[2] for file in files] == [f"part-{n:05}.parquet" for n in range(len(files))]
    sizes = [file.bytes for file in files]
    assert all(95_000 <= size <= 170_000 for size in sizes[:written])
    names = [name for file in files for name in pq.read_table(tmp_path / file.path)["name"].to_pylist()]
    assert sorted(names) == sorted(name for number in range(30) for name in random_names(1000, number))
    for file in files:
        rows = pq.read_table(tmp_path / file.path, partitioning=None)
        pairs = list(zip(rows["account_id"].to_pylist(), rows["name"].to_pylist(), strict=True))
        assert pairs == sorted(pairs)


async def test_a_table_that_is_not_larger_than_a_part_has_one_file(tmp_path, monkeypatch):
    """The guess about how well its rows compress doesn't matter."""
    monkeypatch.setattr(merge, "GROUP_BYTES", 30_000)
    writer = await begin(tmp_path, keys=KEYS, part_bytes=700_000)
    ledger = []
    for number in range(60):
        ledger.append(await write(writer, f"{number}", "cn-hangzhou", [f"function-{at}" for at in range(1000)]))
        await writer.flush()
        await writer.write_due_parts()
    manifest = await writer.commit(draft(), ledger)
    [file] = manifest.tables["fc_functions"].files
    assert file.bytes < 700_000
    assert file.rows == 60_000


async def test_a_long_list_gets_parts_of_its_own_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 30_000)
    writer = await begin(tmp_path, keys=KEYS, part_bytes=100_000, memory_bytes=100_000)
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou", has_one_list=True)
    reading = scope.list()
    names = random_names(20_000, 1)
    for start in range(0, len(names), 250):
        await write_names(reading, names[start : start + 250])
    assert len(reading.store.parts) > 5
    await reading.restart()
    assert not list(tmp_path.glob("_staging/*/fc_functions/**/*.p*")), "a list that is read again forgets them"
    for start in range(0, len(names), 250):
        await write_names(reading, names[start : start + 250])
    reading.finish()
    scope.keep()
    rows = [ledger_row("fc_functions", rows=len(names)), await write(writer, "1", "cn-hangzhou", ["z"])]
    manifest = await writer.commit(draft(), rows)
    files = manifest.tables["fc_functions"].files
    found = [name for file in files for name in pq.read_table(tmp_path / file.path)["name"].to_pylist()]
    assert sorted(found) == sorted([*names, "z"])
    assert sorted(file.bytes for file in files)[1] >= 95_000, "only one is small: the rest and the other scope"


async def test_a_dropped_long_list_leaves_no_part(tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "GROUP_BYTES", 30_000)
    writer = await begin(tmp_path, keys=KEYS, part_bytes=50_000, memory_bytes=100_000)
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou", has_one_list=True)
    reading = scope.list()
    for seed in range(20):
        await write_names(reading, random_names(250, seed))
    assert reading.store.parts
    await scope.drop()
    assert not list(tmp_path.glob("_staging/*/fc_functions/**/*.p*"))
    await writer.abandon()
    assert staging_names(tmp_path) == []


async def test_a_table_is_written_when_its_last_scope_has_ended(tmp_path):
    writer = await begin(tmp_path, keys=KEYS)
    ledger = [await write(writer, ACCOUNT, "cn-hangzhou", ["a"]), await write(writer, "2", "cn-hangzhou", ["b"])]
    ledger.append(await write(writer, ACCOUNT, "cn-hangzhou", ["x"], "opensearch_apps"))
    await writer.flush()
    await writer.write_due_parts()
    assert not list(tmp_path.glob("_staging/**/*.parquet"))
    writer.end_table("fc_functions")
    await writer.write_due_parts()
    assert [path.name for path in tmp_path.glob("_staging/*/fc_functions/**/*.parquet")] == ["part-00000.parquet"]
    assert not list(tmp_path.glob("_staging/*/opensearch_apps/**/*.parquet"))
    manifest = await writer.commit(draft(), ledger)
    assert {name: entry.rows for name, entry in manifest.tables.items()} == {"fc_functions": 2, "opensearch_apps": 1}


async def test_scopes_that_end_while_others_are_flushed_are_not_missed(tmp_path):
    writer = await begin(tmp_path, keys=KEYS)
    ledger = []

    async def crawl(number):
        ledger.append(await write(writer, f"{number}", "cn-hangzhou", [f"{number}-{at}" for at in range(20)]))
        writer.note(ledger[-1], {}, {}, {})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.settle, anyio.Event())
        async with anyio.create_task_group() as crawls:
            for number in range(200):
                crawls.start_soon(crawl, number)
                if number % 10 == 0:
                    await writer.flush()
        tasks.cancel_scope.cancel()
    manifest = await writer.commit(draft(), ledger)
    assert manifest.tables["fc_functions"].rows == 4000


async def test_a_part_that_lacks_rows_is_not_committed(tmp_path, monkeypatch):
    """P26: whatever may have lost them."""
    real = table_writer.write_part
    lossy = lambda part, layout, blocks, *rest, **options: real(part, layout, blocks[1:], *rest, **options)  # noqa: E731
    monkeypatch.setattr(table_writer, "write_part", lossy)
    writer = await begin(tmp_path, keys=KEYS)
    ledger = []
    for number in (1, 2):
        ledger.append(await write(writer, f"{number}", "cn-hangzhou", ["a", "b"]))
        await writer.flush()
    with pytest.raises(
        OutputError, match="the files of fc_functions have 2 rows and its scopes 4, nothing is committed"
    ):
        await writer.commit(draft(), ledger)
    await writer.abandon()
    assert staging_names(tmp_path) == []


async def test_rows_that_changed_on_the_disk_commit_nothing(tmp_path):
    """P27, F112."""
    writer = await begin(tmp_path, keys=KEYS)
    row = await write(writer, ACCOUNT, "cn-hangzhou", [f"{at}" for at in range(100)])
    await writer.flush()
    [journal] = tmp_path.glob("_staging/*/journal")
    content = bytearray(journal.read_bytes())
    content[-20] ^= 1
    journal.write_bytes(content)
    with pytest.raises(OutputError, match="aren't what was written"):
        await writer.commit(draft(), [row])
    await writer.abandon()
    assert staging_names(tmp_path) == []


async def test_million_rows_in_any_order_take_little_memory(tmp_path):
    """P11: merging holds the rows whose keys overlap, in blocks, and a row group."""
    schema = pa.schema([SCHEMA.field("account_id"), SCHEMA.field("region_id"), pa.field("name", pa.int64())])
    writer = SnapshotWriter(
        await FolderDestination.begin(tmp_path, NEW, START), {"t": schema}, keys={"t": ["name"]}, memory_bytes=1 << 22
    )
    scope = writer.scope("t", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    before = pa.total_allocated_bytes()
    for start in range(250):
        numbers = pa.array([start + 250 * at for at in range(4000)], pa.int64())
        where = [pa.repeat(ACCOUNT, 4000), pa.repeat("cn-hangzhou", 4000)]
        page = pa.RecordBatch.from_arrays([*where, numbers], schema=schema)
        await reading.write(page, [None] * 4000, [0] * 4000)
    reading.finish()
    scope.keep()
    manifest = await writer.commit(draft(), [ledger_row("t", rows=1_000_000)])
    [file] = manifest.tables["t"].files
    assert pq.read_table(tmp_path / file.path)["name"].to_pylist() == list(range(1_000_000))
    assert pa.total_allocated_bytes() <= before + (1 << 20)


async def test_rows_of_a_part_that_is_stopped_are_in_the_commit(tmp_path, monkeypatch):
    """A crawl that reaches its deadline while a part is written commits what there is."""
    real = table_writer.write_part
    writer = await begin(tmp_path, keys=KEYS)
    ledger = [await write(writer, "1", region, ["a", "b"]) for region in REGIONS]
    writer.end_table("fc_functions")
    await writer.flush()

    def stopped(*arguments, is_stopped, **options):
        anyio.from_thread.run_sync(deadline.cancel)
        assert is_stopped.__self__.wait(30)
        return real(*arguments, is_stopped=is_stopped, **options)

    monkeypatch.setattr(table_writer, "write_part", stopped)
    with anyio.CancelScope() as deadline:
        await writer.write_due_parts()
    assert deadline.cancelled_caught
    assert not list(tmp_path.rglob("*.partial"))
    monkeypatch.setattr(table_writer, "write_part", real)
    manifest = await writer.commit(draft(), ledger)
    assert [file.rows for file in manifest.tables["fc_functions"].files] == [6]


async def test_a_part_that_is_being_written_when_the_last_scope_ends_is_completed(tmp_path, monkeypatch):
    real, begun = table_writer.write_part, []
    writer = await begin(tmp_path, keys=KEYS)
    ledger = [await write(writer, "1", region, ["a", "b"]) for region in REGIONS]
    writer.end_table("fc_functions")
    all_ended = anyio.Event()

    def ends_meanwhile(*arguments, **options):
        begun.append(arguments)
        anyio.from_thread.run_sync(all_ended.set)
        return real(*arguments, **options)

    monkeypatch.setattr(table_writer, "write_part", ends_meanwhile)
    with anyio.fail_after(30):
        await writer.settle(all_ended)
    manifest = await writer.commit(draft(), ledger)
    assert [file.rows for file in manifest.tables["fc_functions"].files] == [6]
    assert len(begun) == 1


def test_rows_are_of_the_fakes():
    assert batch(["a"]).schema == SCHEMA


async def test_the_last_part_of_a_table_waits_for_rows_on_their_way_to_the_journal(tmp_path, monkeypatch):
    """A flush that memory asked for once was overtaken by the last part: a small table had two files."""
    writer = await begin(tmp_path, keys=KEYS)
    ledger = [await write(writer, "1", "cn-hangzhou", ["a"])]
    await writer.flush()
    ledger.append(await write(writer, "2", "cn-hangzhou", ["b"]))
    writer.end_table("fc_functions")
    entered, go_on, append = threading.Event(), threading.Event(), Journal.append_blocks

    def slow(self, blocks):
        entered.set()
        assert go_on.wait(10)
        return append(self, blocks)

    monkeypatch.setattr(Journal, "append_blocks", slow)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.flush)
        await anyio.to_thread.run_sync(entered.wait)
        await writer.write_due_parts()
        go_on.set()
    await writer.write_due_parts()
    manifest = await writer.commit(draft(), ledger)
    assert [file.rows for file in manifest.tables["fc_functions"].files] == [2]
