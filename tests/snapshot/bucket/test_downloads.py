"""Files of a bucket are fetched side by side, and used only when they are what was committed (F54, F103)."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import tracemalloc
from pathlib import Path

import anyio
import pytest

from crawler.audit.database import open_snapshot
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from crawler.errors import ConfigError, OutputError
from crawler.snapshot import BucketReader
from crawler.snapshot.bucket import downloads
from crawler.snapshot.bucket.downloads import download
from crawler.snapshot.location import bucket_place
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.verify import verify_snapshot
from tests.support.snapshot_fakes import ACCOUNT, NEW, SCHEMAS

RANGE = 64


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    monkeypatch.setattr(downloads, "_RANGE_BYTES", RANGE)
    monkeypatch.setattr(downloads, "_STREAMED_BYTES", RANGE)


def put_files(fake, sizes):
    """Put files of random content, and return what a manifest says of them."""
    files = []
    for number, size in enumerate(sizes):
        content = random.Random(number).randbytes(size)
        path = f"t/part-{number:05}.parquet"
        fake.fake.put(f"lake/x/{path}", content)
        files.append(PartFile(path=path, rows=1, bytes=size, sha256=hashlib.sha256(content).hexdigest()))
    return files


def reader(fake):
    return BucketReader(bucket_place(fake.uri, fake.environ, Path("/nowhere")))


def left(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("sizes", [[0], [1], [RANGE], [RANGE + 1], [3 * RANGE + 5, 0, 7, RANGE * 20, RANGE], [9] * 40])
async def test_files_of_any_size_are_fetched_whole(fake, tmp_path, sizes):
    files = put_files(fake, sizes)
    await asyncio.to_thread(reader(fake).fetch, files, tmp_path)
    for file in files:
        content = (tmp_path / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    assert len(left(tmp_path)) == len(files)


async def test_ranges_of_all_files_are_under_way_together_and_no_more_than_eight(fake, tmp_path):
    store, now, most, together = fake.fake, 0, 0, set()
    real = store.answer

    async def answer(request):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(0.005)
        together.add((now, request.path))
        try:
            return await real(request)
        finally:
            now -= 1

    store.answer = answer
    await asyncio.to_thread(reader(fake).fetch, put_files(fake, [3 * RANGE, 2 * RANGE, 10 * RANGE]), tmp_path)
    assert most == 8
    assert len(store.requests) == 15
    assert len({path for count, path in together if count > 1}) == 3


@pytest.mark.parametrize("change", ["flip", "cut", "remove", "refuse"])
async def test_a_file_that_is_not_what_was_committed_is_never_there(fake, tmp_path, change):
    """F54: nor is a part of it."""
    files = put_files(fake, [5 * RANGE, 5 * RANGE])
    key = f"lake/x/{files[1].path}"
    content = fake.fake.objects[key][0]
    said = "isn't what its manifest names"
    if change == "flip":
        fake.fake.put(key, content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif change == "cut":
        fake.fake.put(key, content[: 2 * RANGE])
    elif change == "remove":
        del fake.fake.objects[key]
        said = "it was removed after its commit"
    else:
        fake.fake.fault = lambda number, method, got: "refuse" if got == key and number > 4 else None
        said = "403 AccessDenied"
    with pytest.raises(OutputError, match=rf"{files[1].path}.*{said}"):
        await asyncio.to_thread(reader(fake).fetch, files, tmp_path)
    assert left(tmp_path) in ([], ["part-00000.parquet"])


async def test_a_fetch_that_is_cancelled_leaves_no_part_of_a_file(fake, tmp_path):
    files = put_files(fake, [5 * RANGE] * 3)
    fake.fake.fault = lambda number, method, key: "hang" if number > 6 else None
    with anyio.move_on_after(0.2) as scope:
        await download(fake.bucket(), files, tmp_path)
    assert scope.cancelled_caught
    assert not [name for name in left(tmp_path) if name.endswith(".partial")]


async def test_a_machine_without_room_is_one_sentence(fake, tmp_path, monkeypatch):
    """F76"""

    def pwrite(fd, data, start):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads.os, "pwrite", pwrite)
    with pytest.raises(
        OutputError, match=r"can't keep t/part-00000.parquet \(5 bytes\) on this machine: No space left"
    ):
        await asyncio.to_thread(reader(fake).fetch, put_files(fake, [5]), tmp_path)
    assert left(tmp_path) == []


async def test_a_write_that_takes_less_than_all_is_continued(fake, tmp_path, monkeypatch):
    """F49"""
    real = os.pwrite
    monkeypatch.setattr(downloads.os, "pwrite", lambda fd, data, start: real(fd, data[:7], start))
    files = put_files(fake, [3 * RANGE])
    await asyncio.to_thread(reader(fake).fetch, files, tmp_path)
    assert hashlib.sha256((tmp_path / files[0].path).read_bytes()).hexdigest() == files[0].sha256


async def test_a_stream_has_each_byte_at_its_place(fake):
    """Read from the start, from anywhere, and beyond the end; at the start each range is asked for once."""
    [file] = put_files(fake, [10 * RANGE + 3])
    content = fake.fake.objects[f"lake/x/{file.path}"][0]

    def read():
        with reader(fake).opened(file.path) as stream:
            assert stream.read() == content
            assert len(fake.fake.requests) == 11
            chosen = random.Random(5)
            for _ in range(50):
                at, length = chosen.randrange(len(content) + 9), chosen.randrange(4 * RANGE)
                assert stream.seek(at) == at
                assert stream.read(length) == content[at : at + length]
            assert stream.seek(-4, os.SEEK_END) == len(content) - 4
            assert stream.read() == content[-4:]

    await asyncio.to_thread(read)


async def test_an_object_that_is_cut_while_it_is_read_is_no_end_of_it(fake):
    [file] = put_files(fake, [10 * RANGE])

    def read():
        with reader(fake).opened(file.path) as stream:
            stream.read(1)
            fake.fake.put(f"lake/x/{file.path}", b"x" * 2 * RANGE)
            stream.read()

    with pytest.raises(OutputError, match=f"{file.path} in .* changes while it is read"):
        await asyncio.to_thread(read)


@pytest.mark.parametrize("reads", ["fetch", "stream"])
async def test_memory_holds_the_ranges_that_are_under_way(fake, tmp_path, monkeypatch, reads):
    """Of a file of 2 MiB, in ranges of 8 KiB."""
    monkeypatch.setattr(downloads, "_RANGE_BYTES", 1 << 13)
    monkeypatch.setattr(downloads, "_STREAMED_BYTES", 1 << 13)
    files = put_files(fake, [2 << 20])

    def stream():
        with reader(fake).opened(files[0].path) as opened:
            assert hashlib.file_digest(opened, "sha256").hexdigest() == files[0].sha256

    tracemalloc.start()
    try:
        if reads == "fetch":
            await asyncio.to_thread(reader(fake).fetch, files, tmp_path)
        else:
            await asyncio.to_thread(stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


async def test_a_changed_part_is_not_read_to_its_end(fake):
    """F72: verify reads its first range, for its size."""
    manifest = await fake.write()
    path = manifest.tables["fc_functions"].files[0].path
    fake.fake.put(f"lake/x/{path}", bytes(100 * RANGE + 1))
    fake.fake.requests.clear()
    [bad] = (await fake.read(verify_snapshot, NEW)).bad_files
    assert (bad.path, bad.reason.startswith(f"has {100 * RANGE + 1} bytes")) == (path, True)
    assert fake.fake.requests.count(f"GET lake/x/{path}") == 1


@pytest.mark.parametrize(
    ("sql", "rows", "tables"),
    [
        (f"SELECT count(*) AS n FROM opensearch_apps WHERE account_id = '{ACCOUNT}'", [{"n": 0}], {"opensearch_apps"}),
        ("WITH f AS (SELECT 1) SELECT count(*) AS n FROM f, fc_functions", [{"n": 3}], {"fc_functions"}),
        ("SELECT count(*) AS n FROM _scopes", [{"n": 3}], set()),
        ("SELECT name FROM fc_function", "there is no table 'fc_function': did you mean fc_functions", set()),
        ("SELECT nonsense FROM fc_functions, fc_function", "there is no table", {"fc_functions"}),
        ("SELECT FROM WHERE fc_functions", "syntax error", set()),
        ("SHOW TABLES", [{"name": name} for name in sorted(["_scopes", *SCHEMAS])], set(SCHEMAS)),
        (
            "SELECT count(*) AS n FROM information_schema.tables WHERE table_name LIKE 'fc!_%' ESCAPE '!'",
            [{"n": 1}],
            set(SCHEMAS),
        ),
    ],
)
async def test_a_query_fetches_the_tables_that_it_names(fake, sql, rows, tables):
    """All of them only for a statement about the tables themselves."""
    await fake.write()

    def ask(place):
        snapshot = open_snapshot(place)
        with run_query(snapshot, sql, TableNames(snapshot, dict)) as found:
            return [row for batch in found.batches for row in batch.to_pylist()]

    fake.fake.requests.clear()
    if isinstance(rows, str):
        with pytest.raises(ConfigError, match=rows):
            await fake.read(ask)
    else:
        assert await fake.read(ask) == rows
    parts = [line for line in fake.fake.requests if "snapshot_date=" in line]
    assert {line.split("/")[2] for line in parts} == tables
