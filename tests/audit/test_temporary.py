"""F76: commands that read snapshots where no temporary folder can be written: a container with a read-only root."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from crawler.audit.database import open_snapshot, session
from crawler.audit.diff import json_output
from crawler.audit.diff.json_output import _List, _spooled
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from crawler.audit.temporary import process_folder, spill_folder
from crawler.errors import OutputError
from tests.support.written_snapshots import write


@pytest.fixture
def no_temporary_folder(monkeypatch):
    def refuse():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", refuse)


@pytest.fixture
def snapshot(tmp_path):
    write(tmp_path / "out", {"fc_functions": [{"function_name": "f"}, {"function_name": "g"}]})
    return open_snapshot(tmp_path / "out")


def test_query_does_without_a_temporary_folder(snapshot, no_temporary_folder):
    """F76: its memory is all that it has then."""
    with session(snapshot) as connection:
        assert connection.execute("SELECT current_setting('temp_directory')").fetchall() == [("",)]
    with run_query(snapshot, "FROM fc_functions ORDER BY ALL", TableNames(snapshot, dict)) as rows:
        assert sum(batch.num_rows for batch in rows.batches) == 2


def test_query_has_a_private_folder_to_spill_into_which_is_removed(snapshot):
    with session(snapshot) as connection:
        [(folder,)] = connection.execute("SELECT current_setting('temp_directory')").fetchall()
        assert folder
    assert not Path(folder).exists()
    with spill_folder() as path:
        assert Path(path).stat().st_mode & 0o777 == 0o700


def test_what_needs_a_temporary_folder_names_the_variable(no_temporary_folder, monkeypatch):
    """F76: the files of a bucket, and differences that do not fit into memory."""
    with pytest.raises(OutputError, match=r"for the files of a bucket: No such file .*; set TMPDIR to a folder"):
        process_folder("the files of a bucket")
    monkeypatch.setattr(json_output, "_IN_MEMORY_BYTES", 100)
    with _spooled() as file, pytest.raises(OutputError, match=r"for differences of more than 100 bytes: .*TMPDIR"):
        fill(_List(file))


def fill(found):
    for number in range(50):
        found.add(number)
