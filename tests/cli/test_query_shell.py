"""The shell of `query`: statements of several lines, commands, history, completion, and errors that don't end it."""

from __future__ import annotations

import os
import pty
import readline
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crawler.audit.column_order import catalog_keys
from crawler.audit.sql_errors import TableNames
from crawler.cli import query_shell
from crawler.cli.exit_state import Interrupted
from crawler.cli.query_shell import QueryShell
from tests.support.written_snapshots import CATALOG, SNAPSHOT, write

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    functions = [{"function_name": f"f{place}", "memory_size": 128 * place} for place in range(3)]
    return write(tmp_path_factory.mktemp("shell") / "snapshots", {"fc_functions": functions, "fc_aliases": []})


@pytest.fixture
def shell(snapshot):
    return QueryShell(TableNames(snapshot, lambda: catalog_keys(CATALOG)), "table", 100)


@pytest.fixture
def typed(shell, monkeypatch, capsys, tmp_path):
    """Type lines into a shell; an exception stands for a key such as Ctrl-C. Return stdout, stderr and the prompts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def _typed(*lines):
        rest, prompts = [*lines, EOFError()], []

        def read(prompt):
            prompts.append(prompt)
            line = rest.pop(0)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr("builtins.input", read)
        shell.run()
        return (*capsys.readouterr(), prompts)

    yield _typed
    readline.clear_history()


def test_a_statement_may_have_several_lines_and_ends_with_a_semicolon(typed):
    out, _, prompts = typed("SELECT function_name -- one; or two", "FROM fc_functions", "WHERE function_name = 'f1';")
    assert ("f1" in out, "f0" in out) == (True, False)
    assert [prompt.strip() for prompt in prompts] == ["inventory>", "...>", "...>", "inventory>"]


@pytest.mark.parametrize("line", ["SELECT ';'", "SELECT 1 -- ;", "SELECT $$;$$", "SELECT 1 /* ; */"])
def test_a_semicolon_in_a_text_or_a_comment_ends_nothing(typed, line):
    out, _, prompts = typed(line, " AS é;")
    assert "é" in out
    assert len(prompts) == 3


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nonsense FROM fc_functions;", 'Referenced column "nonsense" not found'),
        ("FROM fc_funktions;", "did you mean fc_functions"),
        ("DROP VIEW fc_functions;", "DROP isn't accepted"),
        ("COPY fc_functions TO 'x.csv';", "isn't accepted"),
        ("SELECT * FROM read_csv('/etc/passwd');", "isn't a function that a query may use"),
        ("SELECT 'a'::INT FROM fc_functions;", "the SQL failed"),
        ("SELECT 1; SELECT 2;", "must be one statement, not 2"),
        ("SELEC;", "syntax error"),
        ("SELECT '\udcff';", "isn't text"),
    ],
)
def test_an_error_is_a_sentence_and_the_shell_goes_on(typed, sql, said):
    out, err, _ = typed(sql, "SELECT 40 + 2 AS answer;")
    assert said in err
    assert "42" in out
    assert "Traceback" not in err


def test_the_commands(typed):
    lines = (".tables", ".schema fc_aliases", ".format list", "FROM fc_functions;", ".help", ".foo", ".schema")
    out, err, _ = typed(*lines)
    assert "fc_aliases" in out
    assert "alias_name" in out
    assert "─ row 3 ─" in out
    assert all(name in err for name in query_shell._COMMANDS)
    assert "there is no command .foo" in err
    assert "usage: .schema TABLE" in err


def test_what_the_shell_says_breaks_between_words(typed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, err, _ = typed(".help")
    assert max(map(len, err.splitlines())) <= 60
    assert " ".join(query_shell._HELP.split()) in " ".join(err.split())


@pytest.mark.parametrize("end", [".quit", ".exit", "quit", "exit;", "QUIT"])
def test_the_shell_ends_by_a_word(typed, end):
    out, _, prompts = typed(end, "SELECT 1;")
    assert (out, len(prompts)) == ("", 1)


def test_ctrl_c_drops_what_was_typed(typed):
    out, _, prompts = typed("SELECT 1,", KeyboardInterrupt(), "SELECT 7 AS seven;")
    assert "seven" in out
    assert [prompt.strip() for prompt in prompts] == ["inventory>", "...>", "inventory>", "inventory>"]


@pytest.mark.parametrize(("number", "goes_on"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_a_query_is_stopped_and_only_ctrl_c_leaves_the_shell(typed, shell, monkeypatch, number, goes_on):
    def stop(_text):
        raise Interrupted(number)

    monkeypatch.setattr(shell, "_query", stop)
    if goes_on:
        assert "Stopped." in typed("SELECT 1;")[1]
    else:
        with pytest.raises(Interrupted):
            typed("SELECT 1;")


def test_the_history_is_the_users_own_and_comes_back(typed, tmp_path):
    typed("SELECT 1", "AS one;", "SELECT 2 -- two", ";")
    path = tmp_path / "state" / "acs-inventory" / "query_history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().splitlines()[-3:] == ["SELECT 1 AS one;", "SELECT 2 -- two", ";"]
    readline.clear_history()
    typed("SELECT 3;")
    assert path.read_text().splitlines() == ["SELECT 1 AS one;", "SELECT 2 -- two", ";", "SELECT 3;"]


def test_a_history_that_can_not_be_kept_is_said(typed, tmp_path):
    (tmp_path / "state").write_text("")
    assert "the history isn't kept" in typed("SELECT 1;")[1]


def completions(shell, monkeypatch, line, word):
    monkeypatch.setattr(readline, "get_line_buffer", lambda: line)
    found = []
    while (one := shell._complete(word, len(found))) is not None:
        found.append(one)
    return found


def test_tables_columns_and_commands_are_completed(shell, monkeypatch):
    assert completions(shell, monkeypatch, "FROM fc_", "fc_") == ["fc_aliases", "fc_functions"]
    assert completions(shell, monkeypatch, "FROM _sc", "_sc") == ["_scopes"]
    assert completions(shell, monkeypatch, "FROM fc_functions WHERE mem", "mem") == ["memory_size"]
    assert completions(shell, monkeypatch, "SELECT f.mem FROM fc_functions AS f", "f.mem") == ["f.memory_size"]
    assert completions(shell, monkeypatch, "WHERE mem", "mem") == []
    assert completions(shell, monkeypatch, ".sch", ".sch") == [".schema"]


def test_a_terminal_gets_the_shell_and_ctrl_c_stops_its_query(snapshot, tmp_path):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "crawler", "query", "--output", str(snapshot.root)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "80"}
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env=environ, start_new_session=True, cwd=tmp_path
    )
    os.close(follower)

    def until(said):
        screen, end = b"", time.monotonic() + 120
        while said not in screen:
            assert time.monotonic() < end, screen.decode()
            if select.select([leader], [], [], 1)[0]:
                screen += os.read(leader, 4096)
        return screen.decode()

    try:
        assert f"snapshot {SNAPSHOT}, complete: 2 tables" in until(b"inventory> ")
        os.write(leader, b"SELECT 40 + 2 AS n;\n")
        assert "42" in until(b"complete\r\ninventory> ")
        os.write(leader, b"FROM range(1000000000000) WHERE range % 1000000007 = -1;\n")
        until(b"\n")
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        until(b"Stopped.")
        os.write(leader, b"SELECT 43 AS n;\n")
        assert "43" in until(b"complete\r\ninventory> ")
        os.write(leader, b"\x04")
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(leader)
