"""The interactive form of `query`: statements of one or more lines, with history and completion."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli.exit_state import Interrupted
from crawler.cli.signals import interruptible
from crawler.cli.terminal import filled
from crawler.errors import CrawlError, ExitCode
from crawler.local_files import reason_of, xdg_folder
from crawler.text import escape_control

if TYPE_CHECKING:
    from crawler.audit.sql_errors import TableNames

STYLES = ("table", "list", "markdown")
_PROMPT, _CONTINUED = "inventory> ", "      ...> "
_COMMANDS = {
    ".tables": ".tables          the tables of the snapshot",
    ".schema": ".schema TABLE    the columns of a table",
    ".format": f".format STYLE    {', '.join(STYLES)}",
    ".help": ".help            this text",
    ".quit": ".quit            end; Ctrl-D, too",
}
_ALIASES = {".exit": ".quit", ".mode": ".format", "exit": ".quit", "quit": ".quit", "help": ".help"}
_HELP = """A statement ends with a semicolon and may have several lines. Tab completes tables and columns.
Ctrl-C stops a query, or drops what was typed.
"""
_WORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP BY ALL", "ORDER BY", "LIMIT", "JOIN", "DESCRIBE", "SUMMARIZE", "SHOW TABLES"),
    *("count(*)", "unnest", "list_contains"),
)
_MOST_REMEMBERED = 1000
_OWN_FILE, _OWN_FOLDER = 0o600, 0o700


class QueryShell:
    """A shell over one snapshot, which is opened once. `style` is one of `STYLES`."""

    def __init__(self, tables: TableNames, style: str, max_rows: int) -> None:
        self._tables = tables
        self._style = style
        self._max_rows = max_rows
        self._lines: list[str] = []
        self._found: list[str] = []

    def run(self) -> None:
        """Read and run statements until the user ends it. An error is a sentence and doesn't end it.

        Raises Interrupted for SIGTERM and SIGHUP.
        """
        manifest = self._tables.snapshot.manifest
        _say(f"snapshot {manifest.snapshot_id}, {manifest.status}: {len(manifest.tables)} tables; .help for help")
        with _editing(self._complete) as remember:
            while (text := self._read()) is not None and not _is_end(text):
                if text.strip():
                    remember(text)
                    self._answer(text)

    def _read(self) -> str | None:
        """Return the next statement or command, empty for a dropped one, None at the end."""
        self._lines = []
        while True:
            try:
                self._lines.append(input(_CONTINUED if self._lines else _PROMPT))
            except EOFError:
                _say("")
                return None
            except KeyboardInterrupt:
                _say("")
                return ""
            text = "\n".join(self._lines)
            if not text.strip() or _is_command(text) or _is_whole(text):
                return text

    def _answer(self, text: str) -> None:
        try:
            if _is_command(text):
                self._run_command(*_command(text))
            else:
                interruptible(lambda: self._query(text))
        except Interrupted as stopped:
            if stopped.exit_code != ExitCode.INTERRUPTED:
                raise
            _say("\nStopped.")
        except CrawlError as error:
            _say(escape_control(str(error)))

    def _run_command(self, name: str, argument: str) -> None:
        from crawler.audit.database import quote_name

        match name:
            case ".tables":
                interruptible(lambda: self._query("SHOW TABLES"))
            case ".schema" if argument:
                described = f"SELECT column_name, column_type FROM (DESCRIBE {quote_name(argument)})"  # noqa: S608 - quoted
                interruptible(lambda: self._query(described))
            case ".format" if argument in STYLES:
                self._style = argument
            case ".help":
                _say(_HELP + "\n".join(_COMMANDS.values()))
            case known if known in _COMMANDS:
                _say(f"usage: {_COMMANDS[known]}")
            case _:
                _say(f"there is no command {escape_control(name[:40])}; .help lists all")

    def _query(self, text: str) -> None:
        from crawler.audit.query import run_query
        from crawler.cli.query_text import print_rows

        manifest = self._tables.snapshot.manifest
        with run_query(self._tables.snapshot, text, self._tables) as rows:
            print_rows(rows, self._max_rows, f"snapshot {manifest.snapshot_id}, {manifest.status}", self._style)

    def _complete(self, typed: str, number: int) -> str | None:
        """Return the completion of this number, as readline asks for them; None after the last."""
        if number == 0:
            lead, dot, last = typed.rpartition(".") if not typed.startswith(".") else ("", "", typed)
            words = [*self._names(), *_WORDS, *(_COMMANDS if not self._lines else ())]
            found = {word for word in words if word.lower().startswith(last.lower())} if last or dot else set[str]()
            self._found = [f"{lead}{dot}{word}" for word in sorted(found, key=str.lower)]
        return self._found[number] if number < len(self._found) else None

    def _names(self) -> Iterator[str]:
        """Yield the tables, and the columns of those that the statement names so far."""
        import readline

        text = " ".join([*self._lines, readline.get_line_buffer()]).lower()
        manifest = self._tables.snapshot.manifest
        yield "_scopes"
        for table in manifest.tables:
            yield table
            if table in text:
                yield from self._tables.snapshot.known_columns(table)


def _command(text: str) -> tuple[str, str]:
    """Return the name and the argument of a command."""
    name, _, argument = text.strip().rstrip(";").partition(" ")
    return _ALIASES.get(name.lower(), name), argument.strip()


def _is_command(text: str) -> bool:
    name, argument = _command(text)
    is_alone = not argument or text.lstrip().startswith(".")
    return "\n" not in text.strip() and name.startswith(".") and is_alone


def _is_end(text: str) -> bool:
    return _is_command(text) and _command(text)[0] == ".quit"


def _is_whole(text: str) -> bool:
    """Return whether a statement ends with a semicolon, which is in no text and no comment."""
    import duckdb

    if ";" not in text:
        return False
    plain = text.encode("utf-8", "replace")
    tokens = [at for at, kind in duckdb.tokenize(plain.decode()) if kind.name != "comment"]
    return bool(tokens) and plain[tokens[-1] : tokens[-1] + 1] == b";"


def _say(text: str) -> None:
    sys.stderr.write(f"{filled(text, sys.stderr)}\n")
    sys.stderr.flush()


@contextmanager
def _editing(complete: Callable[[str, int], str | None]) -> Iterator[Callable[[str], None]]:
    """Edit lines with history and completion, if Python has readline. Yield a function that remembers a statement."""
    try:
        import readline
    except ImportError:
        yield lambda _text: None
        return
    history = xdg_folder("XDG_STATE_HOME", ".local/state", os.environ) / "acs-inventory" / "query_history"
    readline.set_auto_history(False)
    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n\"'`()[]{},;=<>+-*/|!")
    is_editline = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_editline else "tab: complete")
    readline.set_history_length(_MOST_REMEMBERED)
    with suppress(OSError):
        readline.read_history_file(history)
    before = readline.get_current_history_length()

    def remember(text: str) -> None:
        # A comment to the end of its line would hide the lines after it.
        for line in text.splitlines() if "--" in text else [" ".join(text.split("\n"))]:
            readline.add_history(line)

    try:
        yield remember
    finally:
        readline.set_completer(None)
        if readline.get_current_history_length() > before:
            _write_history(history)


def _write_history(path: Path) -> None:
    """Write the history for this user alone."""
    import readline

    try:
        path.parent.mkdir(_OWN_FOLDER, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, _OWN_FILE))
        path.chmod(_OWN_FILE)
        readline.write_history_file(path)
        path.chmod(_OWN_FILE)
    except OSError as error:
        _say(f"the history isn't kept: {path}: {reason_of(error)}")
