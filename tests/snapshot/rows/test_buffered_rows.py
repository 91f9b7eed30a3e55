"""Pages buffered as bytes: decoded in a thread, many at a time, with no row lost, doubled or reordered."""

from __future__ import annotations

import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.errors import OutputError
from crawler.normalizer.pending import DecodePool, PageDecoder, UndecodedPage
from crawler.snapshot import FolderDestination, SnapshotWriter
from crawler.snapshot.rows.blocks import Block, TableLayout
from crawler.snapshot.rows.pending_rows import PREPARE_FROM_BYTES
from tests.support.snapshot_fakes import ACCOUNT, NEW, SCHEMA, START, draft, ledger_row

TABLE = "fc_functions"


class Decoder(PageDecoder):
    """Makes rows of names; `sizes` are how many pages came at a time, `threads` where."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, DecodePool())
        self.sizes: list[int] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None

    def decode(self, pages):
        self.gate.wait(10)
        self.sizes.append(len(pages))
        self.threads.add(threading.current_thread().name)
        if self.failure:
            raise self.failure
        return batch([name for page in pages for name in page.body.decode().split()])


def page_of(decoder, names, size=1000):
    """A page of names that weighs as much as is said."""
    return UndecodedPage(decoder, " ".join(names).encode(), len(names), None, (), size, size + 500 + 5 * len(names))


def batch(names):
    columns = [pa.array(names) if field.name == "name" else pa.nulls(len(names), field.type) for field in SCHEMA]
    return pa.record_batch(columns, schema=SCHEMA)


def keys(names):
    return [(name,) for name in names], [0] * len(names)


async def begin(tmp_path, **limits):
    return SnapshotWriter(await FolderDestination.begin(tmp_path / "out", NEW, START), {TABLE: SCHEMA}, **limits)


@pytest.fixture
async def writer(tmp_path):
    found = await begin(tmp_path)
    yield found
    await found.abandon()


async def kept(writer, scope):
    """The scope's rows, by name, as they are in the committed part. Without a key they stay in their order."""
    scope.keep()
    manifest = await writer.commit(draft(), [ledger_row(TABLE, rows=scope.rows)])
    [file] = manifest.tables[TABLE].files
    return pq.read_table(writer.destination.disk.root / file.path, partitioning=None).column("name").to_pylist()


async def test_pages_of_many_lists_are_decoded_together_in_their_order(writer):
    scope, decoder = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder()
    for number in range(50):
        rows = scope.list()
        names = [f"{number}-{row}" for row in range(3)]
        await rows.write(page_of(decoder, names), *keys(names))
        rows.finish()
    assert await kept(writer, scope) == [f"{number}-{row}" for number in range(50) for row in range(3)]
    assert decoder.sizes == [50]


async def test_large_pages_are_decoded_before_the_list_ends_and_not_in_its_task(writer):
    scope, decoder = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder()
    decoder.gate.clear()
    rows = scope.list()
    for number in range(20):
        await rows.write(page_of(decoder, [str(number)], PREPARE_FROM_BYTES // 4), *keys([str(number)]))
    decoder.gate.set()
    rows.finish()
    assert await kept(writer, scope) == [str(number) for number in range(20)]
    assert decoder.sizes == [4] * 5
    assert threading.current_thread().name not in decoder.threads


async def test_batches_between_pages_stay_where_they_are(writer):
    scope, one, other = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder(), Decoder()
    rows = scope.list()
    for names, page in (("ab", one), ("c", None), ("d", one), ("e", other), ("f", other), ("g", one)):
        await rows.write(page_of(page, list(names)) if page else batch(list(names)), *keys(names))
    rows.finish()
    assert await kept(writer, scope) == list("abcdefg")
    assert (one.sizes, other.sizes) == ([1, 1, 1], [2])


@pytest.mark.parametrize("weight", [1000, PREPARE_FROM_BYTES])
async def test_rows_that_came_before_are_left_out_of_pages_that_wait(writer, weight):
    scope, decoder = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder()
    first, second = scope.list(), scope.list()
    await first.write(page_of(decoder, list("abc"), weight), *keys("abc"))
    await first.write(page_of(decoder, list("cdb"), weight), *keys("cdb"))
    await second.write(page_of(decoder, list("xay"), weight), *keys("xay"))
    await second.write(page_of(decoder, list("dz"), weight), *keys("dz"))
    first.finish()
    second.finish()
    assert (scope.rows, scope.duplicates, scope.conflicts) == (7, 4, 0)
    assert await kept(writer, scope) == list("abcdxyz")


@pytest.mark.parametrize("weight", [1000, PREPARE_FROM_BYTES])
async def test_a_list_that_begins_anew_forgets_pages_that_wait(writer, weight):
    scope, decoder = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder()
    rows = scope.list()
    await rows.write(page_of(decoder, list("abc"), weight), *keys("abc"))
    await rows.restart()
    assert writer.buffered_bytes == 0
    await rows.write(page_of(decoder, list("cd"), weight), *keys("cd"))
    rows.finish()
    assert await kept(writer, scope) == list("cd")


async def test_pages_that_wait_count_in_what_is_buffered(tmp_path):
    limit = 8 * PREPARE_FROM_BYTES
    writer = await begin(tmp_path, memory_bytes=limit)
    scope, decoder, most = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder(), 0
    rows = scope.list()
    decoder.gate.clear()  # a thread that is done at once would leave little to count
    for number in range(64):
        if number == 4:
            decoder.gate.set()
        await rows.write(page_of(decoder, [str(number)], PREPARE_FROM_BYTES // 2), *keys([str(number)]))
        most = max(most, writer.buffered_bytes)
    rows.finish()
    assert PREPARE_FROM_BYTES < most <= limit
    assert await kept(writer, scope) == [str(number) for number in range(64)]
    assert writer.buffered_bytes == 0
    await writer.abandon()


def wide(rows):
    """A batch with every kind of column, of text that compresses well."""
    fields = {
        "name": [f"function-{row}-of-the-shop" for row in range(rows)],
        "size": [row or None for row in range(rows)],
        "ratio": [row / 7 for row in range(rows)],
        "is_on": [bool(row % 2) for row in range(rows)],
        "at": pa.array([row * 10**6 for row in range(rows)], pa.timestamp("us", tz="UTC")),
        "labels": pa.array([[("a", "b")], None] * (rows // 2), pa.map_(pa.string(), pa.string())),
        "layers": [[{"arn": "acs:fc:cn-hangzhou"}] * (row % 3) for row in range(rows)],
        "none": pa.nulls(rows, pa.string()),
    }
    return pa.record_batch({name: pa.array(values) for name, values in fields.items()})


def test_what_is_packed_comes_back_and_holds_no_more_than_it_says():
    page = wide(1000)
    held = pa.total_allocated_bytes()
    layout = TableLayout(TABLE, page.schema)
    packed = [Block.packed(layout, page) for _ in range(20)]
    assert pa.total_allocated_bytes() == held, "a buffer of Arrow's keeps room for what didn't compress"
    for each in packed:
        assert each.to_batch().equals(page, check_metadata=True)
        each.to_batch().validate(full=True)
        assert each.num_rows == 1000
        assert 0 < each.nbytes < each.batch_bytes / 4 <= page.nbytes / 2


async def test_many_rows_wait_in_little_memory_and_become_few_row_groups(tmp_path):
    """Where decoded rows waited as they are, 300 of a wide table were a row group where many lists were open."""
    limit = 8 * PREPARE_FROM_BYTES
    writer = await begin(tmp_path, memory_bytes=limit)
    scope, decoder = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder()
    rows = scope.list()
    for number in range(256):
        names = [f"a-name-that-takes-its-place-{number}-{row}" for row in range(100)]
        await rows.write(page_of(decoder, names, PREPARE_FROM_BYTES // 4), *keys(names))
        assert writer.buffered_bytes <= limit
    rows.finish()
    assert len(await kept(writer, scope)) == 25_600
    [part] = writer.destination.disk.root.glob(f"{TABLE}/**/*.parquet")
    assert pq.ParquetFile(part).metadata.num_row_groups == 1
    await writer.abandon()


@pytest.mark.parametrize("weight", [1000, PREPARE_FROM_BYTES])
async def test_what_fails_in_decoding_fails_the_output(writer, weight):
    scope, decoder = writer.scope(TABLE, ACCOUNT, "cn-hangzhou"), Decoder()
    decoder.failure = OutputError("no")
    rows = scope.list()
    await rows.write(page_of(decoder, list("abc"), weight), *keys("abc"))
    rows.finish()
    scope.keep()
    with pytest.raises(OutputError):
        await writer.flush()
