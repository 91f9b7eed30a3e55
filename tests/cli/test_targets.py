"""`--to`: stdout by `-` and by its device, a pipe, or a file; what can't be written there is refused by name."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from crawler.audit.export.atomic_files import TargetError
from crawler.audit.export.exporter import ExportRequest, send_workbook
from crawler.cli.targets import is_stream, open_text
from crawler.errors import OutputError
from tests.support import command_server
from tests.support.commands import ENVIRON
from tests.support.written_snapshots import write

ROWS = [{"function_name": f"f{place}"} for place in range(3)]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets") / "snapshots"
    write(folder, {"fc_functions": ROWS, "fc_layers": []})
    return folder


@pytest.fixture
def run(output, tmp_path):
    """The command with its output, in an empty folder: its exit code, the bytes of stdout, and stderr."""

    def _run(*arguments, **more):
        environ = {**ENVIRON, "HOME": str(tmp_path)}
        done = command_server.run([*arguments, "--output", str(output)], cwd=tmp_path, env=environ, text=False, **more)
        return done.returncode, done.stdout, done.stderr.decode()

    return _run


NAMES = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_query_goes_to_stdout_by_any_of_its_names(run, tmp_path, name):
    """F64."""
    sql = "SELECT function_name FROM fc_functions ORDER BY 1"
    assert run("query", sql, "--format", "csv", "--to", name)[:2] == (0, b"function_name\r\nf0\r\nf1\r\nf2\r\n")
    code, out, _ = run("query", sql, "--format", "json", "--to", name)
    assert (code, json.loads(out)) == (0, ROWS)
    code, out, err = run("query", sql, "--format", "parquet", "--to", name)
    assert (code, pq.read_table(io.BytesIO(out)).to_pylist()) == (0, ROWS), err
    code, out, _ = run("query", sql, "--to", name)
    assert (code, b"3 rows" in out) == (0, True), "a table is for stdout anyway"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_export_of_one_table_goes_to_stdout_and_nothing_else_does(run, tmp_path, name):
    """F64."""
    columns = ["--columns", "function_name", "--to", name]
    code, out, err = run("export", "fc_functions", "--format", "csv", *columns)
    assert (code, out) == (0, b"function_name\r\nf0\r\nf1\r\nf2\r\n"), err
    code, out, _ = run("export", "fc_functions", "--format", "jsonl", *columns)
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, ROWS)
    code, out, _ = run("export", "fc_functions", "--format", "parquet", *columns)
    assert (code, pq.read_table(io.BytesIO(out)).to_pylist()) == (0, ROWS)
    code, out, _ = run("export", "fc_functions", "fc_layers", "--format", "xlsx", "--to", name)
    assert code == 0
    assert openpyxl.load_workbook(io.BytesIO(out)).sheetnames == ["fc_functions", "fc_layers", "_scopes", "_snapshot"]
    code, out, _ = run("report", "--to", name)
    assert (code, out.startswith(b"<!DOCTYPE html>"), out.rstrip().endswith(b"</html>")) == (0, True, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "fc_*", "--format", "csv", "--to", "-"], "--to - takes one table, not 2; name a folder, or one"),
        (["export", "fc_*", "--format", "parquet", "--to", "/dev/stdout"], "--to /dev/stdout takes one table, not 2"),
        (["export", "fc_functions", "--to", "-"], "--format is missing"),
        (["export", "fc_functions", "--format", "csv", "--json", "--to", "-"], "--json prints to stdout"),
        (
            ["export", "fc_functions", "fc_layers", "--to", "two.csv"],
            "two.csv names a file, and 2 tables become a folder",
        ),
        (["export", "fc_*", "--format", "jsonl", "--to", "two.parquet"], "and give --format jsonl"),
        (["query", "SELECT 1", "--format", "parquet"], "--to - for stdout"),
    ],
)
def test_what_can_not_go_there_is_refused_by_name(run, tmp_path, arguments, said):
    """F64: exit code 2, and nothing is made."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, b"")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_not_shown_on_a_terminal(output, tmp_path):
    environ = {**ENVIRON, "HOME": str(tmp_path)}
    for arguments in (
        ["query", "SELECT 1", "--format", "parquet", "--to", "-"],
        ["export", "fc_functions", "--format", "xlsx", "--to", "-"],
    ):
        code, said = command_server.on_terminal([*arguments, "--output", str(output)], cwd=tmp_path, env=environ)
        assert code == 2
        assert "can't be shown on a terminal" in said


def test_a_named_pipe_gets_the_rows(run, tmp_path):
    """F64: as for `--to >(gzip)` of a shell."""
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    code, out, err = run("query", "FROM fc_functions SELECT count(*) AS n", "--format", "csv", "--to", "pipe")
    reader.join(20)
    assert (code, out, got) == (0, b"", [b"n\r\n3\r\n"]), err
    assert (tmp_path / "pipe").is_fifo()


def test_the_size_of_a_pipe_is_not_stated(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: (tmp_path / "pipe").read_bytes())
    reader.start()
    code, out, err = run("export", "fc_functions", "--format", "csv", "--to", "pipe")
    reader.join(20)
    assert code == 0, err
    assert out.splitlines()[2].split() == [b"fc_functions", b"3", b"pipe"]


def test_a_device_that_is_full_is_exit_4(run):
    code, _, err = run("report", "--to", "/dev/full")
    assert (code, err) == (4, "acs-inventory: can't write /dev/full: No space left on device\n")


@pytest.mark.parametrize(
    ("name", "count"), [("latest", 3), ("newest", 3), ("2026-11-21", 3), ("20261121", 3), ("latest~0", 3)]
)
def test_every_command_knows_every_name_of_a_snapshot(run, name, count):
    """F64."""
    code, out, err = run("query", "SELECT count(*) AS n FROM fc_functions", "--format", "csv", "--snapshot", name)
    assert (code, out) == (0, f"n\r\n{count}\r\n".encode()), err
    for arguments in (
        ["export", "fc_functions", "--format", "csv", "--to", "-", "--snapshot", name],
        ["report", "--to", "-", "--snapshot", name, "--against", name],
        ["snapshots", "show", name],
        ["snapshots", "verify", name],
        ["diff", name, name],
    ):
        code, out, err = run(*arguments)
        assert (code, bool(out)) == (0, True), err


@pytest.mark.parametrize("name", ["20200101T000000Z-0000", "yesterday", "latest~9", "2020-01-01"])
def test_every_command_refuses_a_name_that_is_none(run, name):
    """F64: exit code 2 everywhere, and 1 never."""
    for arguments in (
        ["query", "SELECT 1", "--snapshot", name],
        ["export", "fc_functions", "--format", "csv", "--to", "-", "--snapshot", name],
        ["report", "--to", "-", "--snapshot", name],
        ["report", "--to", "-", "--against", name],
        ["snapshots", "show", name],
        ["snapshots", "verify", name],
        ["diff", name],
        ["diff", "latest", name],
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, b""), arguments
        assert len(err.splitlines()) == 1


def test_no_configuration_is_written_to_a_file_called_minus(tmp_path):
    done = command_server.run(["emulate", "--write-config", "-"], cwd=tmp_path, env={**ENVIRON, "HOME": str(tmp_path)})
    assert (done.returncode, list(Path(tmp_path).iterdir())) == (2, [])
    assert "- is none" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "FROM fc_functions", "--format", "csv"],
        ["export", "fc_functions", "--format", "csv", "--to", "-"],
        ["report", "--to", "-"],
        ["diff", "latest", "latest"],
        ["snapshots", "verify"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_output_whose_name_is_not_utf_8_can_be_read(output, tmp_path, arguments):
    """F63: DuckDB encodes each path as UTF-8, whatever its bytes are."""
    named = tmp_path / "x\udcff"
    named.symlink_to(output, target_is_directory=True)
    environ = {**ENVIRON, "HOME": str(tmp_path)}
    done = command_server.run([*arguments, "--output", str(named)], cwd=tmp_path, env=environ, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout


def test_a_descriptor_that_the_caller_opened_gets_the_rows_after_what_it_has(run, tmp_path):
    """F64: as for `3>file`; neither the file nor the link that names it is replaced."""
    with open(tmp_path / "rows", "wb") as opened:
        opened.write(b"before\n")
        opened.flush()
        own = Path(f"/dev/fd/{opened.fileno()}")
        with pytest.raises(TargetError, match="Bad file descriptor"), open_text(own, "csv"):
            pass  # Python's own files are no one's to name
        os.set_inheritable(opened.fileno(), True)
        for name in (own, Path(f"/proc/self/fd/{opened.fileno()}")):
            assert is_stream(name)
            with open_text(name, "csv") as emit:
                emit("row\n")
    assert (tmp_path / "rows").read_bytes() == b"before\nrow\nrow\n"
    code, out, err = run("query", "SELECT 1 AS n", "--format", "csv", "--to", "/dev/stderr")
    assert (code, out, err) == (0, b"", "n\r\n1\r\n")


def test_a_workbook_for_stdout_names_the_temporary_folder_that_it_lacks(run, monkeypatch):
    """F64."""
    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    request = ExportRequest(None, "xlsx", Path("-"), None, is_raw=False, may_replace=False)
    with pytest.raises(OutputError, match=r"for a workbook: .*; set TMPDIR to a folder that can"):
        send_workbook(request, None, io.BytesIO())


def refuse(**_):
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")
