"""T34, F80: the file system that DuckDB reads through opens the given files, for reading, and nothing else."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial

import pytest

from crawler.audit import snapshot_files
from crawler.audit.query import run_query
from crawler.audit.snapshot_files import ReadOnlyFile, SnapshotFiles, snapshot_url
from crawler.audit.sql_errors import TableNames
from crawler.errors import OutputError
from crawler.local_files import open_regular
from tests.support.written_snapshots import write

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "part*[0]?.parquet"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def files(path):
    return SnapshotFiles({str(path): partial(open_regular, str(path))})


def test_a_file_is_found_by_its_whole_name_and_never_by_a_pattern(files, path):
    """T34."""
    (path.parent / "partx0y.parquet").write_bytes(b"another")
    assert files.glob(snapshot_url(path)) == [snapshot_url(path)]
    assert files.exists(snapshot_url(path))
    assert files.info(snapshot_url(path))["size"] == len(CONTENT)
    assert isinstance(files.modified(snapshot_url(path)), datetime)
    for other in (
        path.parent / "*",
        path.parent / "partx0y.parquet",
        path.parent / "." / ".." / path.parent.name / "x",
    ):
        assert files.glob(f"snapshot://{other}") == []
        with pytest.raises(PermissionError, match="isn't a file of the snapshot"):
            files.open(f"snapshot://{other}")


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb", "w", "rb+"])
def test_no_file_is_opened_for_writing(files, path, mode):
    """T34."""
    with pytest.raises(PermissionError, match="can only be read"):
        files.open(snapshot_url(path), mode)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "change",
    [
        lambda files, url: files.rm(url),
        lambda files, url: files.rm_file(url),
        lambda files, url: files.mv(url, f"{url}.moved"),
        lambda files, url: files.copy(url, f"{url}.copied"),
        lambda files, url: files.pipe_file(url, b"x"),
        lambda files, url: files.touch(url),
        lambda files, url: files.makedirs(f"{url}.folder"),
    ],
)
def test_no_other_operation_changes_a_file(files, path, change):
    """T34: the other operations of fsspec do nothing or fail."""
    with suppress(OSError, NotImplementedError, ValueError):
        change(files, snapshot_url(path))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == CONTENT


def test_threads_that_share_a_file_read_at_their_own_positions(path):
    """T34: with one position for all, a query would read the bytes of another column."""
    file, barrier = ReadOnlyFile(open_regular(str(path))), threading.Barrier(4)

    def read(start):
        found = []
        for _ in range(200):
            file.seek(start)
            barrier.wait()
            found.append((file.read(16), file.tell()))
        return set(found)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, [0, 100, 1000, 5000]))
    file.close()
    file.close()
    assert results == [{(CONTENT[start : start + 16], start + 16)} for start in (0, 100, 1000, 5000)]


def test_a_position_counts_from_the_start(path):
    file = ReadOnlyFile(open_regular(str(path)))
    with pytest.raises(ValueError, match="from the start"):
        file.seek(-1, os.SEEK_END)
    file.close()


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    """F80: an error of the disk at any read is the output's error, never a traceback."""
    snapshot = write(tmp_path, {"fc_functions": [{"function_name": f"f{place}"} for place in range(3000)]})
    whole, left, done = ReadOnlyFile.read, 10_000, 0

    def read(self, size):
        nonlocal done
        done += 1
        if done > left:
            raise OSError(5, "Input/output error")
        return whole(self, size)

    def ask():
        with run_query(snapshot, "FROM fc_functions", TableNames(snapshot, dict)) as rows:
            return sum(batch.num_rows for batch in rows.batches)

    monkeypatch.setattr(snapshot_files.ReadOnlyFile, "read", read)
    assert ask() == 3000
    needed = done
    assert needed > 5
    for allowed in range(needed):
        left, done = allowed, 0
        with pytest.raises(OutputError, match=r"can't be read; run `snapshots verify` .*Input/output error$") as failed:
            ask()
        assert "Traceback" not in str(failed.value)


@pytest.mark.parametrize("is_read_whole", [True, False])
def test_no_file_stays_open_after_a_query(tmp_path, is_read_whole):
    """T34: also if the rows aren't read to their end. Each session opens every file that it reads."""
    snapshot = write(tmp_path, {"fc_functions": [{"function_name": f"f{place}"} for place in range(5000)]})
    before, results = len(os.listdir("/proc/self/fd")), []
    for _ in range(3):
        with run_query(snapshot, "FROM fc_functions", TableNames(snapshot, dict)) as rows:
            next(rows.batches)
            assert len(list(rows.batches) if is_read_whole else []) == 2 * is_read_whole
            results.append(rows)  # as the frames of an exception keep it
    assert len(os.listdir("/proc/self/fd")) <= before
