"""P6, P7: a scope's rows are each list's rows as they were last read, each key once; memory and files are bounded."""

from __future__ import annotations

import itertools
import os
import stat
from collections import Counter

import anyio
import anyio.from_thread
import anyio.lowlevel
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import NormalizeError, OutputError
from crawler.snapshot import FolderDestination, SnapshotWriter
from crawler.snapshot.rows.blocks import Block, TableLayout
from crawler.snapshot.rows.row_store import RowStore
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    START,
    CancellingDisk,
    FaultyDisk,
    batch,
    begin,
    draft,
    ledger_row,
    staging_names,
    table_files,
    write_names,
)

FOLDER = f"fc_functions/snapshot_date=2026-11-21/snapshot={NEW}"
# Every write goes to the disk at once.
SPILLING = 1
ROOMY = 1 << 26


@pytest.fixture(params=[ROOMY, SPILLING], ids=["buffered", "spilled"])
async def writer(request, tmp_path):
    """A snapshot whose rows wait in memory until their scope ends, and one whose rows go to the disk at every write."""
    writer = await begin(tmp_path, memory_bytes=request.param)
    yield writer
    await writer.abandon()


async def commit_one(writer, scope):
    """Keep the scope and commit: the names in the table, in the files' order, and the files."""
    scope.keep()
    manifest = await writer.commit(draft(), [ledger_row("fc_functions", rows=scope.rows)])
    files = manifest.tables["fc_functions"].files
    root = writer.destination.disk.root
    return [name for file in files for name in pq.read_table(root / file.path)["name"].to_pylist()], files


async def test_restart_drops_the_rows_of_its_own_list_only(writer):
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    first, second = scope.list(), scope.list()
    await write_names(first, ["a1", "a2"])
    await write_names(second, ["b1"])
    await write_names(first, ["a3", "a1"])
    assert (scope.rows, scope.duplicates) == (4, 1)
    await first.restart()
    assert (scope.rows, scope.duplicates) == (1, 0)
    await write_names(first, ["a1", "a4"])
    first.finish()
    await write_names(second, ["b2"])
    second.finish()
    names, files = await commit_one(writer, scope)
    assert sorted(names) == ["a1", "a4", "b1", "b2"]
    assert (scope.rows, scope.duplicates, scope.conflicts) == (4, 0, 0)
    assert [file.path for file in files] == [f"{FOLDER}/part-00000.parquet"]


async def test_key_that_another_list_brought_is_left_out_and_counted(writer):
    """F32, F33, P7."""
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    first, second = scope.list(), scope.list()
    await write_names(first, ["a", "b"], size=1)
    await write_names(second, ["x", "a"], size=1)
    await write_names(second, ["b", "y"], size=2)
    first.finish()
    second.finish()
    names, _ = await commit_one(writer, scope)
    assert sorted(names) == ["a", "b", "x", "y"]
    assert (scope.rows, scope.duplicates, scope.conflicts) == (4, 1, 1)


async def test_key_of_a_reading_that_was_given_up_is_not_missed(writer):
    """P7: The row that another list has of a key stays, however the reading that had it too began and ended."""
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    first, second = scope.list(), scope.list()
    await write_names(first, ["moved"])
    await write_names(second, ["moved"])
    second.finish()
    await first.restart()
    first.finish()
    names, _ = await commit_one(writer, scope)
    assert names == ["moved"]
    assert (scope.rows, scope.duplicates) == (1, 0)


async def test_list_of_nothing_but_known_keys_leaves_no_file(writer):
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    for _ in range(3):
        reading = scope.list()
        await write_names(reading, ["a"])
        reading.finish()
    names, files = await commit_one(writer, scope)
    assert (names, len(files), scope.duplicates) == (["a"], 1, 2)


async def test_key_within_a_list_is_written_the_first_time(writer):
    """F32, F33, P7."""
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    await write_names(reading, ["a", "b", "a"], size=1)
    await write_names(reading, ["b"], size=2)
    reading.finish()
    scope.keep()
    manifest = await writer.commit(draft(), [ledger_row("fc_functions", rows=2)])
    rows = pq.read_table(
        [writer.destination.disk.root / f.path for f in manifest.tables["fc_functions"].files]
    ).to_pylist()
    assert [(row["name"], row["config"]["size"]) for row in rows] == [("a", 1), ("b", 1)]
    assert (scope.duplicates, scope.conflicts) == (1, 1)


async def test_rows_without_a_key_are_never_duplicates(writer):
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    for _ in range(2):
        reading = scope.list()
        await reading.write(batch(["a", "a", "b"]), [None, None, ("a", "b")], [1, 1, 1])
        reading.finish()
    names, _ = await commit_one(writer, scope)
    assert (sorted(names), scope.duplicates) == (["a", "a", "a", "a", "b"], 1)


async def test_dropped_scope_leaves_nothing_in_the_part(writer):
    dropped = writer.scope("fc_functions", "1000000000000002", "cn-shanghai")
    done, running = dropped.list(), dropped.list()
    await write_names(done, ["x"])
    done.finish()
    await write_names(running, ["y"])
    await dropped.drop()
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    await write_names(reading, ["a"])
    reading.finish()
    names, files = await commit_one(writer, scope)
    assert names == ["a"]
    assert list(table_files(writer.destination.disk.root)) == [file.path for file in files]
    assert writer.buffered_bytes == 0


async def test_scope_ends_once_and_only_with_finished_lists(writer):
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    with pytest.raises(RuntimeError, match=r"1 lists of .* aren't finished"):
        scope.keep()
    reading.finish()
    with pytest.raises(RuntimeError, match="finished before"):
        await write_names(reading, ["a"])
    scope.keep()
    with pytest.raises(RuntimeError, match="kept or dropped before"):
        await scope.drop()
    with pytest.raises(RuntimeError, match="begun before"):
        writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")


async def test_batch_of_another_schema_or_length_is_refused(writer):
    reading = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou").list()
    with pytest.raises(NormalizeError, match="SchemaMismatch"):
        await reading.write(pa.RecordBatch.from_pydict({"name": ["a"]}), ["a"], [1])
    with pytest.raises(ValueError, match="1 rows came with 2 keys"):
        await reading.write(batch(["a"]), ["a", "b"], [1])


async def test_million_small_rows_stay_within_the_bound(tmp_path):
    """P11: the buffered rows never pass the bound; a small list joins its batches instead of keeping each."""
    bound = 1 << 20
    schema = pa.schema([pa.field("name", pa.int64())])
    destination = await FolderDestination.begin(tmp_path, NEW, START)
    writer = SnapshotWriter(destination, {"t": schema}, memory_bytes=bound)
    scope = writer.scope("t", ACCOUNT, "cn-hangzhou")
    peak = 0

    async def read(first, rows, per_page):
        nonlocal peak
        reading = scope.list()
        for start in range(first, first + rows, per_page):
            keys = range(start, start + per_page)
            page = pa.RecordBatch.from_arrays([pa.array(keys, pa.int64())], schema=schema)
            await reading.write(page, keys, keys)
            peak = max(peak, writer.buffered_bytes)
        reading.finish()

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(read, number * 125_000, 125_000, 1000)
    scope.keep()
    # A million keys are more than the bound: in the end, the rows have the quarter of it that is always theirs.
    assert bound / 4 < peak <= bound
    await writer.flush()
    assert writer.buffered_bytes == writer.buffer.keys_bytes == 0
    manifest = await writer.commit(draft(), [ledger_row("t", rows=1_000_000)])
    table = pq.read_table([tmp_path / file.path for file in manifest.tables["t"].files])
    assert table.num_rows == 1_000_000
    assert table["name"].combine_chunks().unique().__len__() == 1_000_000


def test_a_store_holds_few_batches_of_one_row_however_many_come():
    """P11: where a hundred scopes share the buffer, each must not fill its share with the cost of columns alone."""
    schema = pa.schema([pa.field(f"c{n}", pa.int64()) for n in range(100)])
    page = pa.RecordBatch.from_arrays([pa.array([1], pa.int64())] * 100, schema=schema)
    store = RowStore(TableLayout("t", schema))
    one, most = Block.of(store.layout, page).nbytes, 0
    for _ in range(200):
        store.append(Block.of(store.layout, page))
        most = max(most, store.nbytes)
    assert most < 20 * one
    assert sum(chunk.num_rows for chunk in store.drain()) == 200


async def test_row_groups_are_large_however_small_the_pages(tmp_path):
    writer = await begin(tmp_path)
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    page = batch([str(n) for n in range(1000)])
    for _ in range(140):
        await reading.write(page, [None] * 1000, [0] * 1000)
    reading.finish()
    _, files = await commit_one(writer, scope)
    assert len(files) == 1
    metadata = pq.ParquetFile(tmp_path / files[0].path).metadata
    sizes = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert sum(sizes) == 140_000
    assert max(sizes) <= 65_536
    assert sizes[0] > 60_000
    column = metadata.row_group(0).column(4)
    assert (column.compression, column.has_column_index, column.has_offset_index) == ("ZSTD", True, True)


async def test_one_huge_batch_is_split_into_row_groups(tmp_path):
    writer = await begin(tmp_path)
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    await reading.write(batch([str(n) for n in range(70_000)]), range(70_000), range(70_000))
    reading.finish()
    _, files = await commit_one(writer, scope)
    metadata = pq.ParquetFile(tmp_path / files[0].path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [65_536, 4_464]


async def test_however_many_lists_are_read_the_crawl_holds_one_file_open(tmp_path):
    """F25"""
    writer = await begin(tmp_path, memory_bytes=SPILLING)
    before = len(os.listdir("/proc/self/fd"))
    most = 0
    scopes = [writer.scope("fc_functions", f"{n}", "cn-hangzhou") for n in range(12)]
    readings = [scope.list() for scope in scopes]
    for page in range(4):
        for n, reading in enumerate(readings):
            await write_names(reading, [f"{n}-{page}"], account=f"{n}")
            most = max(most, len(os.listdir("/proc/self/fd")) - before)
    for scope, reading in zip(scopes, readings, strict=True):
        reading.finish()
        scope.keep()
    assert most == 1
    ledger = [ledger_row("fc_functions", account=f"{n}", rows=4) for n in range(12)]
    manifest = await writer.commit(draft(), ledger)
    assert len(os.listdir("/proc/self/fd")) < before
    [file] = manifest.tables["fc_functions"].files
    rows = pq.read_table(tmp_path / file.path)
    assert rows["account_id"].to_pylist() == sorted(f"{n}" for n in range(12) for _ in range(4))


async def test_scopes_written_side_by_side_keep_their_rows_apart(tmp_path):
    """Spilling, eviction, restarts, drops and ends interleave; every kept scope has its own rows, each once."""
    writer = await begin(tmp_path, memory_bytes=60_000)
    rows = {}

    async def read(scope, n, k):
        reading = scope.list()
        for attempt in range(2):
            for page in range(6):
                await write_names(reading, [f"{n}-{k}-{page}-{i}" for i in range(1 + k * 7)], account=f"{n}")
                await anyio.lowlevel.checkpoint()
            if attempt == 0 and k != 1:
                break
            if attempt == 0:
                await reading.restart()
        reading.finish()

    async def crawl(n):
        scope = writer.scope("fc_functions", f"{n}", "cn-hangzhou")
        async with anyio.create_task_group() as lists:
            for k in range(3):
                lists.start_soon(read, scope, n, k)
        if n % 4 == 3:
            await scope.drop()
        else:
            scope.keep()
            rows[n] = scope.rows

    async with anyio.create_task_group() as group:
        for n in range(12):
            group.start_soon(crawl, n)
    await writer.flush()
    assert writer.buffered_bytes == 0
    assert set(rows.values()) == {6 * (1 + 8 + 15)}
    manifest = await writer.commit(draft(), [ledger_row("fc_functions", account=f"{n}", rows=rows[n]) for n in rows])
    table = pq.read_table([tmp_path / f.path for f in manifest.tables["fc_functions"].files])
    assert table.num_rows == len(set(table["name"].to_pylist())) == sum(rows.values())


async def test_every_failing_write_leaves_no_file_under_a_final_name(tmp_path):
    """F46: wherever the writing stops, no reader finds a readable file."""

    async def attempt(root, **fault):
        root.mkdir()
        disk = FaultyDisk(root, **fault)
        try:
            writer = await begin(root, memory_bytes=SPILLING, disk=disk)
        except OutputError:
            return len(disk.steps), None
        scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
        reading = scope.list()
        try:
            for page in range(3):
                await write_names(reading, [f"{page}"])
            reading.finish()
            scope.keep()
            await writer.flush()
            writer.end_table("fc_functions")
            await writer.write_due_parts()
        except OutputError:
            pass
        return len(disk.steps), writer

    steps, writer = await attempt(tmp_path / "whole")
    assert len(list((tmp_path / "whole").rglob("*.parquet"))) == 1
    await writer.abandon()
    for k in range(1, steps + 1):
        root = tmp_path / f"{k}"
        _, writer = await attempt(root, fail_at=k, errno=5)
        names = [path for path in root.rglob("*.parquet") if not path.is_relative_to(root / "_staging")]
        assert names == []
        if writer is not None:
            await writer.abandon()
        assert staging_names(root) == []


async def test_cancelled_at_any_step_leaves_no_file_under_a_final_name(tmp_path):
    """F46: and giving up clears all of it away."""
    counts = Counter()
    for k in itertools.count(1):
        root, written, writer = tmp_path / f"{k}", False, None
        root.mkdir()
        with anyio.CancelScope() as crawl:
            disk = CancellingDisk(root, k, crawl)
            writer = await begin(root, memory_bytes=SPILLING, disk=disk)
            scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
            reading = scope.list()
            for page in range(3):
                await write_names(reading, [f"{page}"])
                await anyio.lowlevel.checkpoint()
            reading.finish()
            scope.keep()
            await writer.flush()
            writer.end_table("fc_functions")
            await writer.write_due_parts()
            written = True
            await anyio.lowlevel.checkpoint()
        parts = list(root.rglob("*.parquet"))
        assert all(path.is_relative_to(root / "_staging") for path in parts)
        assert len(parts) >= written
        if writer is not None:
            await writer.abandon()
        assert staging_names(root) == []
        counts[crawl.cancelled_caught, written] += 1
        if not crawl.cancelled_caught:
            break
    assert counts[True, False] > 3


async def test_cancellation_while_waiting_for_room_forgets_nothing(tmp_path):
    """F46: a write that was cancelled has claimed no keys: the same page can be written again."""
    writer = await begin(tmp_path, memory_bytes=SPILLING)
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
    reading = scope.list()
    await write_names(reading, ["a"])
    with anyio.CancelScope() as cancelled:
        cancelled.cancel()
        await write_names(reading, ["b"])
    await write_names(reading, ["b"])
    reading.finish()
    names, _ = await commit_one(writer, scope)
    assert (names, scope.duplicates) == (["a", "b"], 0)


async def test_abandon_leaves_nothing_and_lets_the_output_go(tmp_path):
    writer = await begin(tmp_path, memory_bytes=SPILLING)
    await write_names(writer.scope("fc_functions", ACCOUNT, "cn-hangzhou").list(), ["a"])
    await writer.abandon()
    await writer.abandon()
    assert staging_names(tmp_path) == []
    assert table_files(tmp_path) == {}
    await (await begin(tmp_path)).abandon()


@pytest.mark.parametrize(
    ("of_process", "umask", "file_mode", "folder_mode"),
    [(0, 0o077, 0o600, 0o700), (0, 0o027, 0o640, 0o750), (0o077, 0o027, 0o640, 0o750)],
)
async def test_modes_are_those_of_the_umask_asked_for(tmp_path, of_process, umask, file_mode, folder_mode):
    """T14: the umask of the process has no effect."""
    root = tmp_path / "made" / "output"
    previous = os.umask(of_process)
    try:
        writer = await begin(root, umask=umask)
        scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou")
        reading = scope.list()
        await write_names(reading, ["a"])
        reading.finish()
        await commit_one(writer, scope)
    finally:
        os.umask(previous)
    made = [tmp_path / "made", root, *root.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {file_mode}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {folder_mode}
