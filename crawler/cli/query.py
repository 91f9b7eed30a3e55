"""`query`: run SQL over a snapshot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import warn_of_escaped_cells
from crawler.cli.inputs import open_tables
from crawler.cli.options import (
    CommonOptions,
    LocalPath,
    common_options,
    config_option,
    overwrite_option,
    raw_option,
    snapshot_option,
    uri_option,
    verify_option,
)
from crawler.cli.signals import interruptible
from crawler.cli.targets import STDOUT, declare_target, is_stdout, is_stream, open_stream, open_text

if TYPE_CHECKING:
    from crawler.audit.query import Rows

_MAX_ROWS = 100
_MOST_SQL_BYTES = 1024 * 1024
_TEXTS, _DATA = ("table", "list", "markdown"), ("csv", "json", "parquet")


@click.command()
@click.argument("sql", required=False)
@click.option("-f", "--file", "sql_file", type=LocalPath(), metavar="FILE", help="Read the SQL from this file.")
@snapshot_option
@click.option(
    "--format",
    "file_format",
    default="table",
    show_default=True,
    type=click.Choice([*_TEXTS, *_DATA]),
    help="table, list and markdown are for people and may omit rows; the others have all of them.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--to", "path", type=LocalPath(), metavar="PATH", help="Write to this file; - and default: stdout.")
@click.option(
    "--max-rows",
    default=_MAX_ROWS,
    show_default=True,
    type=click.IntRange(0),
    help="table, list, markdown: maximum number of rows; 0: all.",
)
@verify_option
@overwrite_option
@raw_option
@config_option
@uri_option
@common_options
@click.pass_obj
def query(
    common: CommonOptions,
    /,
    sql: str | None,
    sql_file: Path | None,
    snapshot_id: str,
    file_format: str,
    as_json: bool,
    path: Path | None,
    max_rows: int,
    has_hashes: bool,
    may_replace: bool,
    is_raw: bool,
    config_file: Path | None,
    uri: str | None,
) -> None:
    """Query a snapshot in SQL.

    Each table is a view, and `_scopes` is the ledger with one row per scope. SQL is one reading statement in DuckDB's
    dialect, or - for stdin. Without SQL, a terminal gets a shell: type .help there. `SHOW TABLES` lists the tables,
    `DESCRIBE fc_functions` the columns. Timestamps are UTC. docs/questions.md has example queries.

    Exit codes: 0 done; 1 the snapshot can't be read, or the SQL failed while running; 2 wrong usage or SQL, or an
    unknown snapshot; 4 the file or stdout can't be written; 129, 130 and 143 stopped by a signal; 141 the reader of
    stdout has closed it.
    """
    from crawler.audit.export.atomic_files import check_free
    from crawler.audit.query import run_query
    from crawler.cli.query_text import print_rows

    if sql is not None and sql_file is not None:
        raise click.UsageError("Give the SQL or --file, not both.")
    file_format = "json" if as_json else file_format
    is_plain = is_stdout(path) and file_format != "parquet"
    path, may_replace = (None, False) if is_plain else (path, may_replace)
    _check_options(file_format, path, is_raw=is_raw, may_replace=may_replace)
    if sql is None and sql_file is None and _is_terminal():
        _run_shell(common, config_file, uri, snapshot_id, file_format, max_rows, check_hashes=has_hashes)
        return
    declare_target(path, file_format)
    text = _read_sql(sql, sql_file)
    if path is not None and not is_stream(path):
        check_free([path], may_replace=may_replace)

    def work() -> None:
        with (
            open_tables(common, config_file, uri, snapshot_id, check_hashes=has_hashes) as tables,
            run_query(tables.snapshot, text, tables) as rows,
        ):
            manifest = tables.snapshot.manifest
            if is_stream(path):
                _send(common, rows, path, file_format, is_raw=is_raw)
            elif path is not None:
                _save(common, rows, path, file_format, is_raw=is_raw)
            elif file_format in _TEXTS:
                print_rows(rows, max_rows, f"snapshot {manifest.snapshot_id}, {manifest.status}", file_format)
            else:
                _send(common, rows, STDOUT, file_format, is_raw=is_raw)

    interruptible(work)


def _is_terminal() -> bool:
    """Return whether a user can type SQL and see what it returns."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _run_shell(
    common: CommonOptions,
    config_file: Path | None,
    uri: str | None,
    snapshot_id: str,
    file_format: str,
    max_rows: int,
    *,
    check_hashes: bool,
) -> None:
    from crawler.cli.query_shell import STYLES, QueryShell

    if file_format not in STYLES:
        raise click.UsageError(f"A shell has --format {', '.join(STYLES)}; give the SQL for {file_format}.")
    with open_tables(common, config_file, uri, snapshot_id, check_hashes=check_hashes) as tables:
        QueryShell(tables, file_format, max_rows).run()


def _check_options(file_format: str, path: Path | None, *, is_raw: bool, may_replace: bool) -> None:
    if file_format == "parquet" and path is None:
        raise click.UsageError("--format parquet needs --to PATH, or --to - for stdout.")
    if file_format in _TEXTS and path is not None:
        raise click.UsageError("--to needs --format csv, json or parquet.")
    if is_raw and file_format != "csv":
        raise click.UsageError("--raw-csv needs --format csv.")
    if may_replace and path is None:
        raise click.UsageError("--overwrite needs --to.")


def _read_sql(sql: str | None, sql_file: Path | None) -> str:
    """Return the SQL of the command line, of a file, or of stdin if neither is given."""
    if sql_file is not None:
        return _read_file(sql_file)
    return _read_stdin() if sql is None or sql == "-" else sql


def _read_file(path: Path) -> str:
    from crawler.local_files import read_regular, reason_of

    try:
        return read_regular(path, _MOST_SQL_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The SQL in {path} isn't UTF-8 at byte {error.start}.") from None
    except OSError as error:
        raise click.UsageError(f"The SQL in {path} can't be read: {reason_of(error)}.") from None


def _read_stdin() -> str:
    try:
        if sys.stdin is None:  # closed when the process started
            raise click.UsageError("The SQL can't be read from stdin: it is closed.")
        if sys.stdin.isatty() and not sys.stdout.isatty():
            raise click.UsageError("Give the SQL or --file: only a terminal has a shell, and stdout isn't one.")
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError("The SQL on stdin isn't UTF-8.") from None
    except OSError as error:
        raise click.UsageError(f"The SQL can't be read from stdin: {error.strerror}.") from None


def _send(common: CommonOptions, rows: Rows, path: Path, file_format: str, *, is_raw: bool) -> None:
    """Write the result to a stream."""
    from crawler.audit.export.files import write_parquet, write_text

    if file_format == "parquet":
        with open_stream(path) as file:
            write_parquet(rows, file)
        return
    with open_text(path, file_format) as emit:
        written = write_text(rows, emit, file_format, is_raw=is_raw)
    warn_of_escaped_cells(common, "the result", written.guarded_cells)


def _save(common: CommonOptions, rows: Rows, path: Path, file_format: str, *, is_raw: bool) -> None:
    """Write the result to a file, atomically."""
    from crawler.audit.export.atomic_files import move_into_place, staging
    from crawler.audit.export.files import write_file

    with staging(path.parent) as folder:
        written = write_file(rows, folder / path.name, file_format, is_raw=is_raw)
        move_into_place([folder / path.name], path.parent)
    warn_of_escaped_cells(common, path.name, written.guarded_cells)
