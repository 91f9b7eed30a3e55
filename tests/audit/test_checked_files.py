"""P13: a file is hashed by the descriptor that is read, and one that changes afterwards is hashed again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import pytest

from crawler.audit import checked_files
from crawler.audit.database import open_snapshot, session, unreadable_file
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from crawler.errors import OutputError
from tests.support.written_snapshots import write

FILE = "fc_functions/snapshot_date=2026-11-21/snapshot=20261121T020000Z-7f3a/part-00000.parquet"


@pytest.fixture
def snapshot(tmp_path):
    return write(tmp_path / "out", {"fc_functions": [{"function_name": "f", "description": "whole"}]})


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, in place."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        [byte] = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def hashed(monkeypatch):
    """The paths that are hashed, in turn."""
    real, found = checked_files.CommittedFiles.difference, []
    monkeypatch.setattr(
        checked_files.CommittedFiles,
        "difference",
        lambda self, stream, file: found.append(file.path) or real(self, stream, file),
    )
    return found


def read(connection):
    return connection.execute("SELECT description FROM fc_functions").fetchall()


def test_each_file_is_hashed_once_however_often_it_is_read(snapshot, monkeypatch):
    paths = hashed(monkeypatch)
    for _ in range(3):
        with session(snapshot, ["fc_functions"]) as connection:
            assert read(connection) == [("whole",)]
    assert sorted(paths) == sorted([FILE, snapshot.manifest.ledger.path])
    assert snapshot.checked.number == 2


def test_a_file_that_was_touched_is_hashed_again(snapshot, monkeypatch):
    paths = hashed(monkeypatch)
    [path] = snapshot.files("fc_functions")
    os.utime(path, (1, 1))
    with session(snapshot, ["fc_functions"]) as connection:
        assert read(connection) == [("whole",)]
    assert paths.count(FILE) == 2


def test_a_file_that_changes_after_it_was_hashed_is_not_opened(snapshot):
    with session(snapshot, ["fc_functions"]) as connection:
        path = snapshot.root / FILE
        flip(path)
        with pytest.raises(duckdb.Error, match="isn't what was committed") as found:
            read(connection)
        flip(path)
    said = str(unreadable_file(str(found.value)))
    assert re.fullmatch(rf"{re.escape(FILE)} isn't what .* for all that differ", said)


def test_a_file_that_changes_while_it_is_read_is_an_error_at_the_end(snapshot):
    """The rows were read before, or after: the answer isn't used."""
    opened = session(snapshot, ["fc_functions"])
    assert read(opened.__enter__()) == [("whole",)]
    flip(snapshot.root / FILE)
    with pytest.raises(OutputError, match="isn't what was committed"):
        opened.__exit__(None, None, None)


def test_a_snapshot_that_is_removed_while_it_is_read_was_whole(snapshot):
    with session(snapshot, ["fc_functions"]) as connection:
        assert read(connection) == [("whole",)]
        (snapshot.root / FILE).unlink()


def test_a_replaced_file_is_refused_by_the_database_itself(snapshot):
    """Even where nothing has looked at it since: DuckDB opens files only through the check."""
    with session(snapshot, ["fc_functions"]) as connection:
        path = snapshot.root / FILE
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-1])
        with pytest.raises(duckdb.Error, match="bytes, its manifest says"):
            read(connection)
        path.write_bytes(content)


def test_a_query_hashes_only_when_it_is_asked_to(snapshot, monkeypatch):
    paths = hashed(monkeypatch)
    for check_hashes, number in ((False, 0), (True, 2)):
        opened = open_snapshot(snapshot.root, check_hashes=check_hashes)
        with run_query(opened, "SELECT description FROM fc_functions", TableNames(opened, dict)) as rows:
            assert [batch.to_pylist() for batch in rows.batches] == [[{"description": "whole"}]]
        assert (len(paths), opened.is_hashed) == (number, check_hashes)
