"""`query` and `export` in real processes: the output on each stream, exit codes, terminals, signals."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crawler.audit.export.cell_text import escape_formula
from crawler.cli.main import main
from crawler.snapshot import Status
from tests.support import command_server
from tests.support.hostile_rows import FORMULAS, TEXTS, hostile_snapshot
from tests.support.written_snapshots import SNAPSHOT, write

ROOT = Path(__file__).parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "NO_COLOR": "1"}
COMPLETE, NEWER = "20261119T020000Z-00aa", SNAPSHOT
ENDLESS = "FROM range(1000000000000) WHERE range % 1000000007 = -1"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A complete snapshot, and a newer one that isn't."""
    folder = tmp_path_factory.mktemp("auditing") / "snapshots"
    functions = [
        {"function_name": f"f{place}", "runtime": "go1" if place % 2 else "python3.12", "memory_size": 128 * place}
        for place in range(7)
    ]
    write(folder, {"fc_functions": functions}, snapshot_id=COMPLETE)
    hostile_snapshot(folder, snapshot_id=NEWER)
    return folder


@pytest.fixture
def run(output, tmp_path, monkeypatch, capfdbinary):
    """The command run in this process, in an empty folder: its exit code, stdout and stderr."""

    def _run(*arguments, stdin=b"", snapshots=output):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["acs-inventory", *map(str, arguments), "--output", str(snapshots)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return ended.value.code or 0, out.decode(), err.decode()

    return _run


def test_a_table_for_people(run):
    code, out, err = run("query", "SELECT function_name, runtime, memory_size FROM fc_functions ORDER BY ALL")
    assert code == 0
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert lines[0] == ["function_name", "runtime", "memory_size"]
    assert lines[2] == ["f0", "python3.12", "0"]
    assert out.splitlines()[-2:] == ["7 rows", f"snapshot {COMPLETE}, complete"]
    assert (
        err
        == f"acs-inventory: warning: snapshot {COMPLETE} is the newest complete one; {NEWER} is newer, but is partial\n"
    )


def test_more_rows_than_asked_for_are_counted_and_not_shown(run):
    _, out, _ = run("query", "SELECT function_name FROM fc_functions ORDER BY 1", "--max-rows", "2")
    assert "7 rows, the first 2 shown; --max-rows 0 shows all" in out
    assert "f1" in out
    assert "f2" not in out
    _, out, _ = run("query", "FROM range(1234)")
    assert "1,234 rows, the first 100 shown" in out
    _, out, _ = run("query", "FROM range(150)", "--max-rows", "0")
    assert out.splitlines()[-2] == "150 rows"
    assert len(re.findall(r"^ +\d+$", out, re.MULTILINE)) == 150


def test_null_is_told_from_the_empty_text_and_no_rows_still_have_their_columns(run):
    _, out, _ = run("query", "SELECT NULL AS a, '' AS b, 'null' AS c WHERE 1 = 1")
    assert re.search(r"^null +null$", out, re.MULTILINE)
    _, out, _ = run("query", "SELECT 1 AS only WHERE false")
    assert "only" in out
    assert out.splitlines()[-2] == "0 rows"


def test_a_partial_snapshot_is_asked_with_a_warning(run):
    code, out, err = run("query", "SELECT count(*) FROM fc_functions", "--snapshot", NEWER)
    assert code == 0
    assert out.splitlines()[-1] == f"snapshot {NEWER}, partial"
    assert err == (
        f"acs-inventory: warning: snapshot {NEWER} is partial: 1 of its 6 scopes aren't complete; "
        "see _scopes for the reasons\n"
    )
    assert run("query", "FROM _scopes", "--snapshot", "newest")[2] == err
    assert run("query", "FROM _scopes", "--snapshot", "newest", "--quiet")[2] == ""
    _, _, err = run("query", "FROM _scopes", "--snapshot", "newest", "--log-format", "json")
    assert json.loads(err)["level"] == "warning"


def test_json_is_an_array_of_objects(run):
    code, out, _ = run("query", "FROM fc_functions ORDER BY function_name", "--snapshot", NEWER, "--format", "json")
    rows = json.loads(out)
    assert (code, len(rows)) == (0, len(TEXTS))
    assert [row["description"] for row in rows] == TEXTS
    assert (rows[1]["code_size"], rows[1]["fetched_at"]) == (2**53 + 1, "2026-11-20T01:02:03.000004Z")
    assert rows[1]["vpc_config"]["vpc_id"] == TEXTS[1]
    assert json.loads(run("query", "SELECT 1 AS a WHERE false", "--format", "json")[1]) == []
    assert json.loads(run("query", "SELECT sum(9223372036854775807) AS a FROM range(9)", "--format", "json")[1]) == [
        {"a": 9 * 9223372036854775807}
    ]


def test_csv_is_guarded_unless_it_is_to_be_raw_t24(run):
    sql = "SELECT description FROM fc_functions ORDER BY function_name"
    code, out, err = run("query", sql, "--snapshot", NEWER, "--format", "csv")
    rows = [row[0] for row in csv.reader(io.StringIO(out, newline=""), strict=True)][1:]
    assert (code, rows) == (0, [escape_formula(text or "") for text in TEXTS])
    assert f"the result: {len(FORMULAS)} cells that look like formulas were escaped with an apostrophe" in err
    _, out, err = run("query", sql, "--snapshot", NEWER, "--format", "csv", "--raw-csv")
    assert [row[0] for row in csv.reader(io.StringIO(out, newline=""))][1:] == [text or "" for text in TEXTS]
    assert "apostrophe" not in err


def test_an_answer_as_a_file(run, tmp_path):
    assert run("query", "FROM fc_functions", "--format", "parquet", "--to", "f.parquet")[:2] == (0, "")
    assert pq.read_metadata(tmp_path / "f.parquet").num_rows == 7
    assert run("query", "SELECT 1 AS a", "--format", "json", "--to", "a.json")[:2] == (0, "")
    assert json.loads((tmp_path / "a.json").read_text()) == [{"a": 1}]
    assert run("query", "SELECT '=1' AS a", "--format", "csv", "--to", "a.csv")[:2] == (0, "")
    assert (tmp_path / "a.csv").read_bytes() == b"a\r\n'=1\r\n"
    code, _, err = run("query", "SELECT 2 AS a", "--format", "csv", "--to", "a.csv")
    assert (code, "a.csv already exists" in err) == (2, True)
    assert run("query", "SELECT 2 AS a", "--format", "csv", "--to", "a.csv", "--overwrite")[0] == 0
    assert (tmp_path / "a.csv").read_bytes() == b"a\r\n2\r\n"
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "f.parquet"]


def test_sql_comes_from_stdin_too(run):
    code, out, _ = run("query", "-", "--format", "csv", stdin="\ufeffSELECT\n 'é' AS \"ü\" -- a comment".encode())
    assert (code, out) == (0, "ü\r\né\r\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["query", "selec"], 2, "the SQL: line 1, column 1: syntax error"),
        (["query", "FROM fc_funktions"], 2, "did you mean fc_functions"),
        (["query", "DROP VIEW fc_functions"], 2, "DROP isn't accepted"),
        (["query", "-"], 2, "isn't UTF-8"),
        (["query", "SELECT 1", "--format", "parquet"], 2, "needs --to"),
        (["query", "SELECT 1", "-f", "x.sql"], 2, "Give the SQL or --file, not both"),
        (["query", "-f", "gone.sql"], 2, "The SQL in gone.sql can't be read: No such file or directory"),
        (["query", "-f", "."], 2, "The SQL in . can't be read: is a folder, not a regular file"),
        (["query"], 2, "The SQL on stdin isn't UTF-8"),
        (["query", "SELECT 1", "--format", "markdown", "--to", "x"], 2, "--to needs --format csv, json or parquet"),
        (["query", "SELECT 1", "--to", "x"], 2, "--to needs --format csv, json or parquet"),
        (["query", "SELECT 1", "--raw-csv"], 2, "--raw-csv needs --format csv"),
        (["query", "SELECT 1", "--overwrite"], 2, "--overwrite needs --to"),
        (["query", "SELECT 1 AS a, 2 AS a", "--format", "json"], 2, "two columns are called 'a'"),
        (["query", "SELECT 'a'::INT FROM fc_functions"], 1, "the SQL failed: line 1, column 11"),
        (["query", "SELECT 1", "--snapshot", "20200101T000000Z-0000"], 2, "has no snapshot 20200101T000000Z-0000"),
        (["query", "SELECT 1", "--snapshot", "../x"], 2, "unknown snapshot ID"),
        (["query", "SELECT 1", "--format", "csv", "--to", "no/x.csv"], 2, "no is not a folder"),
        (["export", "fc_funktions", "--to", "x.csv"], 2, "did you mean fc_functions"),
        (["export", "fc_functions", "--to", "x"], 2, "--format is missing: one of csv, jsonl, xlsx, parquet"),
        (["export", "fc_functions", "--to", "x.jsonl", "--raw-csv"], 2, "--raw-csv needs --format csv"),
        (["export", "fc_functions", "--to", "x.csv", "--where", "runtme = 1"], 2, "--where for fc_functions: line 1"),
        (
            ["export", "fc_functions", "--to", "x.csv", "--where", "runtime::INT = 1"],
            1,
            "--where for fc_functions failed",
        ),
        (["export", "fc_functions", "--to", "x.csv", "--snapshot", "20200101T000000Z-0000"], 2, "has no snapshot"),
        (["export", "--to", "x.csv"], 2, "Missing argument 'TABLE...'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence(run, tmp_path, arguments, code, said):
    found, out, err = run(*arguments, stdin=b"SELECT '\xff'")
    assert (found, out) == (code, "")
    assert said in err
    lines = [
        line for line in err.splitlines() if line and not line.startswith(("Usage:", "Try ")) and "newer" not in line
    ]
    assert len(lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_text_is_no_sql(run):
    for arguments in (["query", "SELECT '\udcff'"], ["query", "-"]):
        code, out, err = run(*arguments, stdin=b"SELECT 1\x00, 2")
        assert (code, out) == (2, "")
        assert "the SQL isn't text: it contains a NUL or bytes that aren't UTF-8" in err
    code, _, err = run("export", "fc_functions", "--to", "f.csv", "--where", "runtime = '\udcff'")
    assert (code, "--where for fc_functions isn't text" in err) == (2, True)
    assert run("export", "fc_\udcff", "--to", "f.csv")[0] == 2


def test_a_files_name_may_have_any_bytes(run, tmp_path):
    code, out, _ = run("export", "fc_functions", "--to", "\udcff.csv", "--json")
    assert (code, json.loads(out)["path"]) == (0, "\\udcff.csv")
    assert (tmp_path / "\udcff.csv").read_bytes().count(b"\r\n") == 8
    facts = json.loads((tmp_path / "\udcff.csv.snapshot.json").read_text())
    assert facts["tables"]["fc_functions"]["file"] == "\\udcff.csv"
    assert run("export", "fc_functions", "--to", "\udcff.xlsx")[0] == 0


def test_an_output_without_a_complete_snapshot_says_what_to_do(run, tmp_path):
    write(tmp_path / "partial", {}, {"fc_functions": Status.DENIED})
    code, _, err = run("query", "SELECT 1", snapshots=tmp_path / "partial")
    assert (code, f"name its newest one, {SNAPSHOT}, as newest (--snapshot newest)" in err) == (2, True)
    (tmp_path / "empty").mkdir()
    code, _, err = run("query", "SELECT 1", snapshots=tmp_path / "empty")
    assert (code, "empty has no snapshot; run `crawl` first" in err) == (2, True)
    code, _, err = run("query", "FROM fc_functions", "--snapshot", "newest", snapshots=tmp_path / "partial")
    assert (code, "it was not read in any scope: 1 denied" in err) == (2, True)


def test_export_says_what_it_wrote_and_what_it_changed(run, tmp_path):
    code, out, err = run("export", "fc_functions", "--to", "f.csv", "--snapshot", NEWER)
    assert code == 0
    assert re.search(rf"fc_functions +{len(TEXTS)} +f\.csv +\d+\.\d kB", out)
    assert out.splitlines()[-1] == "f.csv"
    assert err.count("warning") == 2
    assert (
        f"fc_functions: {len(FORMULAS)} cells that look like formulas were escaped with an apostrophe; "
        "--raw-csv disables this" in err
    )
    code, out, _ = run("export", "fc_*", "--to", "all", "--format", "parquet", "--json")
    assert code == 0
    assert json.loads(out)["tables"]["fc_functions"]["rows"] == 7
    assert run("export", "fc_functions", "--to", "q.csv", "--quiet") == (0, "", "")


def test_a_cell_that_was_cut_is_said(run, tmp_path):
    write(tmp_path / "long", {"fc_functions": [{"function_name": "f", "description": "x" * 40_000}]})
    code, out, err = run("export", "fc_functions", "--to", "f.xlsx", snapshots=tmp_path / "long")
    assert (code, re.search(r"fc_functions +1 +fc_functions", out) is not None) == (0, True)
    assert "fc_functions.description: 1 text was cut after 32,767 characters" in err


def test_a_missing_extra_is_exit_2_and_named(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    code, out, err = run("export", "fc_functions", "--to", "f.xlsx")
    assert (code, out) == (2, "")
    assert "-m pip install 'xlsxwriter>=" in err
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_exit_4(run, monkeypatch, tmp_path):
    def refuse(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    for arguments in (
        ("export", "fc_functions", "--to", "f.csv"),
        ("query", "SELECT 1 AS a", "--format", "csv", "--to", "f.csv"),
    ):
        code, _, err = run(*arguments)
        assert (code, "can't write f.csv" in err, list(tmp_path.iterdir())) == (4, True, [])


def test_a_plan_is_shown_as_it_is(run):
    code, out, _ = run("query", "EXPLAIN SELECT max(runtime) FROM fc_functions")
    assert code == 0
    assert "READ_PARQUET" in out
    assert "\\n" not in out


def on_a_terminal(*arguments, output, width):
    """The exit code and the raw screen."""
    command = [*arguments, "--output", output, "--snapshot", NEWER, "--quiet"]
    code, screen = command_server.on_terminal(command, cwd=".", env={**ENVIRON, "COLUMNS": str(width), "TERM": "xterm"})
    return code, screen.replace("\r\n", "\n")


@pytest.mark.parametrize("file_format", ["table", "list", "markdown", "csv", "json"])
def test_no_text_from_data_steers_a_terminal_t26(output, file_format):
    sql = 'SELECT description AS "a\x1b[31m", vpc_config, [description] AS l FROM fc_functions'
    code, screen = on_a_terminal("query", sql, "--format", file_format, "--max-rows", "0", output=output, width=100)
    assert code == 0
    ours = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    assert all(char.isprintable() or char == "\n" for char in ours)
    assert "\\x1b[31mred" in ours or "\\u001b[31mred" in ours


@pytest.mark.parametrize("width", [40, 120])
def test_a_table_fits_a_terminal(output, width):
    code, screen = on_a_terminal("query", "FROM fc_functions ORDER BY ALL", output=output, width=width)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", screen).splitlines()]
    assert code == 0
    table = lines[: lines.index(f"{len(TEXTS)} rows")]
    assert max(map(len, table)) <= width
    assert "1000000000000001" in screen  # an ID is shown whole or not at all
    said = " ".join(" ".join(lines).split())
    assert re.search(r"the first \d+ of 55 columns fit; name those you need, widen the terminal, or use --format", said)


NAMED = "SELECT account_id, region_id, function_name, memory_size, snapshot_id, code_size FROM fc_functions"


@pytest.mark.parametrize("sql", [NAMED, f"{NAMED} UNION ALL {NAMED}", f"FROM ({NAMED}) SELECT #1, #2, #3, #4, #5, #6"])
def test_no_column_that_the_statement_names_is_left_out(output, sql):
    code, screen = on_a_terminal("query", sql, "--max-rows", "2", output=output, width=60)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    said = " ".join(plain.split())
    assert "shown as a list: 6 columns don't fit in 60; widen the terminal, or select fewer" in said
    assert re.search(r"^account_id +1000000000000001 *$", plain, re.MULTILINE)
    assert "─ row 2 ─" in plain
    wide = on_a_terminal("query", sql, "--max-rows", "2", output=output, width=140)[1]
    assert "shown as a list" not in wide


@pytest.mark.parametrize("width", [20, 45, 80])
def test_no_digit_of_a_number_is_cut(output, width):
    number = "12345678901234567890123456789012345678"
    sql = f"SELECT {number}::HUGEINT AS a, range AS b, -{number}::HUGEINT AS c FROM range(2)"
    for given in (sql, f"FROM ({sql})"):
        screen = on_a_terminal("query", given, output=output, width=width)[1]
        digits = re.sub(r"\x1b\[[0-9;]*m|[^0-9…]", "", screen.partition("2 rows")[0])
        assert number in digits
        assert "…" not in digits


def test_a_list_has_each_value_whole(run):
    code, out, _ = run("query", "FROM fc_functions ORDER BY function_name", "--format", "list", "--max-rows", "2")
    assert code == 0
    assert re.findall(r"^─ row (\d) ─$", out, re.MULTILINE) == ["1", "2"]
    assert re.findall(r"^function_name +(\S+)$", out, re.MULTILINE) == ["f0", "f1"]
    assert out.count("account_id ") == 2
    assert "7 rows, the first 2 shown; --max-rows 0 shows all" in out


def test_markdown_has_no_markup_of_the_data(run):
    sql = "SELECT 'a|b`c' AS text, 12 AS number, NULL AS nothing, '*x*' AS \"a|b\""
    code, out, _ = run("query", sql, "--format", "markdown")
    assert code == 0
    assert out.splitlines()[:3] == [
        "| text | number | nothing | `a\\|b` |",
        "| --- | ---: | ---: | --- |" if "| ---: | ---: |" in out else "| --- | ---: | --- | --- |",
        "| ``a\\|b`c`` | 12 | null | `*x*` |",
    ]


def test_json_is_the_short_form_of_its_format(run):
    assert run("query", "SELECT 1 AS a", "--json")[:2] == (0, '[\n{"a":1}\n]\n')


def test_sql_comes_from_a_file_and_from_a_pipe_without_a_name(run, tmp_path):
    (tmp_path / "question.sql").write_text("\ufeffSELECT 'é' AS a -- a comment\n;\n")
    assert run("query", "-f", "question.sql", "--format", "csv")[:2] == (0, "a\r\né\r\n")
    assert run("query", "--format", "csv", stdin=b"SELECT 2 AS a")[:2] == (0, "a\r\n2\r\n")


def test_a_single_row_that_is_too_wide_is_a_list_of_its_columns(output):
    code, screen = on_a_terminal(
        "query", "FROM fc_functions ORDER BY function_name LIMIT 1 OFFSET 2", output=output, width=80
    )
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen)
    assert re.search(r"^account_id +1000000000000001 *$", plain, re.MULTILINE)
    assert re.search(r"^_extra +null *$", plain, re.MULTILINE)
    assert "columns fit" not in screen


def start(*arguments, output, cwd):
    """The command, with a folder for temporary files of its own."""
    (cwd / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", *arguments, "--output", str(output)],
        env={**ENVIRON, "TMPDIR": str(cwd / "tmp")},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("number", "code", "arguments"),
    [
        (signal.SIGINT, 130, ["query", ENDLESS]),
        (signal.SIGTERM, 143, ["query", f"SELECT count(*) FROM ({ENDLESS})", "--format", "csv", "--to", "a.csv"]),
        (
            signal.SIGINT,
            130,
            ["export", "fc_functions", "--to", "a.xlsx", "--where", f"(SELECT count(*) FROM ({ENDLESS})) > 0"],
        ),
    ],
)
def test_a_signal_stops_it_and_nothing_is_left(output, tmp_path, number, code, arguments):
    process = start(*arguments, output=output, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not any((tmp_path / "tmp").iterdir()):  # the folder to spill into: from here on it asks
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (code, b"")
    assert b"Stopped; nothing was committed." in err
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]


def test_a_reader_that_leaves_early_is_no_error_to_speak_of(output, tmp_path):
    process = start("query", "FROM range(100000000)", "--format", "csv", output=output, cwd=tmp_path)
    assert process.stdout.readline() == b"range\r\n"
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 141
    assert b"Traceback" not in err
    assert b"defect" not in err


def test_help_is_quick_to_come():
    heavy = "import sys, crawler.cli.query; "
    heavy += "print(sorted({'duckdb', 'pyarrow', 'rich', 'xlsxwriter', 'msgspec', 'structlog'} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", heavy], env=ENVIRON, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


# Runs a COPY that replaces a folder of the output, given as {0}.
RUNNING = (
    "destroy_external_resource('json_execute_serialized_sql', json_serialize_sql('WITH x AS (COPY (SELECT 1 AS a) "
    "TO ''{0}/_snapshots'' (FORMAT csv, PARTITION_BY (a), OVERWRITE true)) FROM x'))"
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", f"FROM {RUNNING}"],
        ["query", f"SELECT 1 /* ; */ FROM fc_functions, {RUNNING}", "--format", "json"],
        ["query", f"EXPLAIN ANALYZE FROM {RUNNING}"],
        ["export", "fc_functions", "--to", "f.csv", "--where", f"EXISTS (FROM {RUNNING})"],
        ["export", "fc_functions", "--to", "f.csv", "--where", f"true) UNION ALL (SELECT 1 FROM {RUNNING}"],
        ["export", "fc_functions", "--to", "f.csv", "--where", "true); COPY (SELECT 1) TO '{0}/x.csv'; SELECT (1"],
    ],
)
def test_sql_that_would_write_is_exit_2_with_one_sentence_and_changes_nothing(run, output, tmp_path, arguments):
    """T33: wherever a user's SQL is taken."""
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    code, out, err = run(*(argument.format(output) for argument in arguments), "--quiet")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "isn't a function that a query may use" in err or "must be one statement" in err
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []
