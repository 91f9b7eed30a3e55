"""stdout, stderr and stdin in whatever state: the code and the words are about what was done."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from crawler.cli.echo import fit_json, json_text
from crawler.cli.main import asked_log_format
from crawler.cli.streams import Descriptor, ResultLostError, TextStream
from crawler.cli.targets import STDOUT, open_text
from crawler.snapshot import Status
from tests.support import command_server
from tests.support.commands import ENVIRON
from tests.support.snapshot_fakes import manifest_ids
from tests.support.written_snapshots import write

ROOT = Path(__file__).parents[2]
OLDER, NEWER = "20261119T020000Z-00aa", "20261121T020000Z-7f3a"
NAME = "\u51fd\u6570-\U0001f680"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Two complete snapshots with a difference and a name that few encodings have."""
    folder = tmp_path_factory.mktemp("told") / "snapshots"
    write(folder, {"fc_functions": [{"function_name": "f"}]}, snapshot_id=OLDER)
    write(folder, {"fc_functions": [{"function_name": "f"}, {"function_name": NAME}]}, snapshot_id=NEWER)
    return folder


@contextmanager
def broken(kind):
    """A descriptor to write to that can't be written."""
    if kind == "full":
        fd = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, fd = os.pipe()
        os.close(reader)
    try:
        yield fd
    finally:
        os.close(fd)


def run_with(arguments, cwd, out, err=None):
    """Run the command with these descriptors as stdout and stderr; return its exit code and stderr."""
    with open(os.devnull) as stdin, open(cwd / "stderr", "w+b") as said:
        files = (stdin.fileno(), out, said.fileno() if err is None else err)
        with command_server.start(arguments, cwd=cwd, env={**ENVIRON, "HOME": str(cwd)}, files=files) as child:
            code = child.wait(60)
        said.seek(0)
        return code, said.read().decode()


RESULTS = [
    ["tables"],
    ["tables", "--json"],
    ["tables", "fc_functions"],
    ["policy"],
    ["--help"],
    ["--version"],
    ["snapshots", "list", "--output", "OUTPUT"],
    ["snapshots", "show", "--output", "OUTPUT", "--json"],
    ["snapshots", "verify", "--output", "OUTPUT"],
    ["diff", "--exit-code", "latest", "latest", "--output", "OUTPUT"],
    ["diff", "--json", "--output", "OUTPUT"],
    ["query", "FROM fc_functions", "--output", "OUTPUT"],
    ["query", "FROM range(100000)", "--format", "csv", "--output", "OUTPUT"],
    ["query", "FROM range(100000)", "--format", "parquet", "--to", "-", "--output", "OUTPUT"],
    ["export", "fc_functions", "--format", "jsonl", "--to", "-", "--output", "OUTPUT"],
    ["report", "--to", "-", "--output", "OUTPUT"],
    ["emulate"],
]


@pytest.mark.parametrize("kind", ["full", "pipe"])
@pytest.mark.parametrize("arguments", RESULTS, ids=" ".join)
def test_a_result_that_can_not_be_written_is_4_and_one_without_a_reader_141(output, tmp_path, arguments, kind):
    """F61: never 1, which is damage, a difference or a problem."""
    with broken(kind) as out:
        code, said = run_with([str(output) if part == "OUTPUT" else part for part in arguments], tmp_path, out)
    assert code == (4 if kind == "full" else 141)
    lines = [line for line in said.splitlines() if "warning" not in line]
    assert lines == (["acs-inventory: stdout can't be written: No space left on device"] if kind == "full" else [])


@pytest.mark.parametrize("kind", ["full", "pipe"])
@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (["export", "fc_functions", "--to", "x.csv"], "x.csv"),
        (["export", "fc_functions", "--to", "x.csv", "--json"], "x.csv"),
        (["query", "SELECT 1", "--format", "csv", "--to", "x.csv"], "x.csv"),
        (["report", "--to", "x.html"], "x.html"),
    ],
)
def test_a_file_that_was_written_is_0_whatever_stdout_is(output, tmp_path, arguments, made, kind):
    """F61."""
    with broken(kind) as out:
        code, said = run_with([*arguments, "--output", str(output)], tmp_path, out)
    assert code == 0, said
    assert (tmp_path / made).stat().st_size > 0
    prints = arguments[0] != "query"
    assert ("warning: stdout can't be written" in said) is prints


@pytest.mark.parametrize("kind", ["full", "pipe"])
def test_a_prune_is_about_what_was_removed(tmp_path, kind):
    """F61."""
    for snapshot_id in (OLDER, NEWER):
        write(tmp_path / "out", {"fc_functions": []}, snapshot_id=snapshot_id)
    with broken(kind) as out:
        code, said = run_with(["snapshots", "prune", "--keep-last", "1", "--output", "out"], tmp_path, out)
    assert (code, manifest_ids(tmp_path / "out")) == (0, {NEWER})
    assert "warning: stdout can't be written" in said


def test_damage_that_can_not_be_told_is_not_0(tmp_path):
    write(tmp_path / "out", {"fc_functions": []}, snapshot_id=NEWER)
    (tmp_path / f"out/_snapshots/{NEWER}.json.sha256").unlink()
    for kind in ("full", "pipe"):
        with broken(kind) as out:
            assert run_with(["snapshots", "verify", "--output", "out"], tmp_path, out)[0] in (4, 141)


@pytest.mark.parametrize("stream", ["out", "err"])
@pytest.mark.parametrize("kind", ["full", "pipe"])
@pytest.mark.parametrize("more", [["--json"], ["--log-format", "json"], []], ids=" ".join)
def test_a_crawl_is_about_its_snapshot_whatever_its_streams_are(small, tmp_path, kind, stream, more):
    """F61, P17: committed is 0, with the summary as the last line where stderr takes it."""
    arguments = ["crawl", "--config", str(small.config), "--output", "out", *more]
    with broken(kind) as fd, open(tmp_path / "good", "w+b") as good:
        files = (0, fd, good.fileno()) if stream == "out" else (0, good.fileno(), fd)
        with command_server.start(arguments, cwd=tmp_path, env=small.environ, files=files) as child:
            code = child.wait(60)
        good.seek(0)
        said = good.read().decode()
    assert code == 0, said
    assert len(manifest_ids(tmp_path / "out")) == 1
    assert "defect" not in said
    if stream == "out" and "json" in more:
        lines = [json.loads(line) for line in said.splitlines()]
        assert [line["event"] for line in lines[-2:]] == ["warning", "summary"]
        assert lines[-1]["exit_code"] == 0


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    from tests.support.small_crawls import small_cloud

    with small_cloud(tmp_path_factory.mktemp("small")) as served:
        yield served


CLOSED = """
import os, sys
for fd in {closed}:
    os.close(fd)
os.execv(sys.executable, [sys.executable, "-m", "crawler", *{arguments}])
"""


def closed(arguments, cwd, *fds, env=None):
    """Run the command in a new Python with these descriptors closed."""
    program = CLOSED.format(closed=fds, arguments=[str(part) for part in arguments])
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=env or {**ENVIRON, "HOME": str(cwd)},
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("fds", [(0, 1, 2), (1,)])
def test_a_closed_descriptor_is_no_file_of_the_output(small, tmp_path, fds):
    """F61: what a crawl opens never becomes 0, 1 or 2, so that nothing is written into it."""
    done = closed(small.arguments(tmp_path / "out"), tmp_path, *fds, env=small.environ)
    assert done.returncode == 0, done.stderr
    [snapshot_id] = manifest_ids(tmp_path / "out")
    code, out, _ = command_result(["snapshots", "verify", snapshot_id, "--output", "out"], tmp_path)
    assert (code, "All files are as committed." in out) == (0, True)
    if 2 not in fds:
        assert b"warning: stdout can't be written: it is closed" in done.stderr


def command_result(arguments, cwd, **more):
    done = command_server.run(arguments, cwd=cwd, env={**ENVIRON, "HOME": str(cwd)}, **more)
    return done.returncode, done.stdout, done.stderr


def test_a_closed_stdout_is_a_result_that_can_not_be_written(output, tmp_path):
    """F61."""
    done = closed(["query", "SELECT 1", "--output", output], tmp_path, 1)
    assert done.returncode == 4
    assert done.stderr.endswith(b"acs-inventory: stdout can't be written: it is closed\n")


def test_a_closed_stdin_has_no_sql(output, tmp_path):
    done = closed(["query", "-", "--output", output], tmp_path, 0)
    assert done.returncode == 2
    assert b"stdin" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["snapshots", "verify"], b"\\u2713"),
        (["diff"], NAME.encode("ascii", "backslashreplace")),
        (["query", f"SELECT '{NAME}' AS \"{NAME}\""], NAME.encode("ascii", "backslashreplace")),
        pytest.param(["diff", "--format", "markdown"], b"\\u2192", marks=pytest.mark.trust),
        pytest.param(["snapshots", "list"], NEWER.encode(), marks=pytest.mark.trust),
        pytest.param(["snapshots", "show"], NEWER.encode(), marks=pytest.mark.trust),
        pytest.param(["report", "--to", "x.html"], b"\\xb7", marks=pytest.mark.trust),
        pytest.param(["export", "fc_functions", "--to", "x.csv"], b"fc_functions", marks=pytest.mark.trust),
    ],
)
def test_what_the_encoding_lacks_is_escaped_and_the_code_is_the_same(output, tmp_path, arguments, needed):
    """F63."""
    environ = {**ENVIRON, "HOME": str(tmp_path), "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "crawler", *arguments, "--output", str(output)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert needed in done.stdout
    assert done.stdout.isascii()
    assert done.stderr.isascii()
    if "x.csv" in arguments:
        assert NAME in (tmp_path / "x.csv").read_text("utf-8"), "a file is UTF-8 everywhere"


@pytest.mark.parametrize(
    "encoding", ["ascii", "iso-8859-1", "gbk", "gb18030", "shift_jis", "cp1252", "utf-8", "utf-16"]
)
def test_json_stays_json_in_any_encoding(encoding):
    """F63."""
    value = {"name": f'é {NAME} \\ " \n', "list": ["\u2713", 7, None, True]}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert json.loads(fit_json(json_text(value), stream).encode(encoding).decode(encoding)) == value


def test_a_path_that_is_not_utf_8_is_an_escape_in_json():
    """F63: a lone surrogate, which JSON can't have."""
    assert json.loads(json_text({"x\udcff": [("\udcff", {"a": "\udcfe"}, 7)]})) == {
        "x\\udcff": [["\\udcff", {"a": "\\udcfe"}, 7]]
    }


@contextmanager
def text_stream(encoding="utf-8"):
    reader, writer = os.pipe()
    replaced = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    try:
        yield TextStream(writer, replaced), reader
    finally:
        for fd in (reader, writer):
            with suppress(OSError):
                os.close(fd)


def test_every_line_of_a_json_log_is_json():
    """F65: a library's warning, or a traceback of a thread, becomes the message of a line."""
    with text_stream() as (stream, reader):
        stream.as_json = True
        stream.write('{"event":"a"}\nsome ')
        stream.write("warning\n\n{broken\n")
        stream.write("no end")
        assert stream.settle() is None
        lines = os.read(reader, 65536).decode().splitlines()
    found = [json.loads(line) for line in lines]
    assert found[0] == {"event": "a"}
    assert [(line["event"], line["level"], line["message"]) for line in found[1:]] == [
        ("stderr", "warning", message) for message in ("some warning", "{broken", "no end")
    ]
    assert all(line["timestamp"].endswith("Z") for line in found[1:])


def test_a_failure_is_remembered_and_raised_for_a_result_only():
    with broken("full") as fd:
        stream = TextStream(fd, None)
        stream.write("x")
        assert stream.settle().errno == errno.ENOSPC
        stream.write("y" * 100_000)
        stream.flush()
        result = TextStream(fd, None)
        result.descriptor.is_result = True
        result.write("x")
        with pytest.raises(ResultLostError):
            result.flush()
        assert result.settle().errno == errno.ENOSPC


def test_a_stream_that_another_process_made_non_blocking_is_waited_for():
    """F61: `EAGAIN` isn't a failure."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    got = []

    def read():
        while piece := os.read(reader, 65536):
            got.append(piece)

    thread = threading.Thread(target=read)
    descriptor = Descriptor(writer)
    written = descriptor.write(b"x" * 65536)  # the pipe is full
    thread.start()
    while written < 1_000_000:
        written += descriptor.write(b"x" * 65536)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert descriptor.failure is None
    assert len(b"".join(got)) == written


def test_a_pipe_that_nothing_is_read_from_is_given_up():
    """F61: a crawl ends although the reader of its log hangs."""
    reader, writer = os.pipe()
    stream = TextStream(writer, None, patience_s=0.05)
    for _ in range(100):
        stream.write("x" * 4096)
    assert stream.settle().errno == errno.ETIMEDOUT
    os.set_blocking(reader, False)
    assert len(os.read(reader, 1 << 20)) >= 4096 * 16
    for fd in (reader, writer):
        os.close(fd)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "console"),
        (["--log-format", "json"], "json"),
        (["crawl", "--log-format=json", "--nonsense"], "json"),
        (["--log-format", "json", "crawl", "--log-format", "console"], "console"),
        (["--log-format", "yaml"], "console"),
        (["--log-format"], "console"),
        (["query", "--", "--log-format=json"], "console"),
        (["--log-formats=json"], "console"),
    ],
)
def test_the_log_format_is_known_before_the_arguments_are(arguments, found):
    assert asked_log_format(arguments) == found


@pytest.mark.parametrize(
    "arguments",
    [
        ["crawl", "--nonsense"],
        ["nonsense"],
        [],
        ["snapshots"],
        ["query"],
        ["diff", "a", "b", "c"],
        ["demo", "--nights", "2", "--json"],
        ["crawl", "--config", "missing.toml"],
        ["emulate", "--port", "x"],
        ["snapshots", "prune", "--keep-last", "x"],
        ["x\udcff"],
    ],
    ids=ascii,
)
def test_a_usage_error_is_one_line_of_json_where_json_is_asked_for(tmp_path, arguments):
    """F65."""
    code, out, err = command_result(["--log-format", "json", *arguments], tmp_path)
    [line] = err.splitlines()
    said = json.loads(line)
    assert code == 2
    assert (said["event"], said["level"], said["exit_code"]) == ("summary", "error", 2)
    assert said["error"]
    if {"crawl", "demo"} & set(arguments):
        assert (said["status"], said["snapshot_id"]) == ("none", "")
    if "--json" in arguments:
        assert json.loads(out) == {name: said[name] for name in ("exit_code", "error", "status", "snapshot_id")}
    else:
        assert out == ""


def test_partial_is_told_too(tmp_path):
    """F61: a crawl's 3 stays 3. Here by the report on a partial snapshot, whose warning is JSON as well."""
    write(tmp_path / "out", {}, {"fc_functions": Status.DENIED}, snapshot_id=NEWER)
    code, _, err = command_result(
        ["--log-format", "json", "query", "SELECT 1", "--snapshot", "newest", "--output", "out"], tmp_path
    )
    assert code == 0
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["warning"]


def test_json_on_a_terminal_stays_json(monkeypatch):
    """F63: a terminal whose encoding lacks a character."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="gbk", errors="backslashreplace")
    screen.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", screen)
    with open_text(STDOUT, "jsonl") as emit:
        emit(json_text({"name": NAME}) + "\n")
    screen.seek(0)
    assert json.loads(screen.read()) == {"name": NAME}


def test_nothing_is_said_after_the_sentence_about_a_lost_result(output, tmp_path):
    """F61: the end of a real process, at which DuckDB would tell of objects that the lost error keeps."""
    arguments = ["export", "fc_functions", "--format", "parquet", "--to", "-", "--log-format", "json"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "crawler", *arguments, "--output", str(output)],
            cwd=tmp_path,
            env={**ENVIRON, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4
    assert json.loads(done.stderr.splitlines()[-1])["event"] == "summary", done.stderr
