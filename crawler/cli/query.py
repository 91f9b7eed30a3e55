"""`query`: SQL over a snapshot. The commands of an auditor's day are listed here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.crawl import config_option
from crawler.cli.export import export
from crawler.cli.inputs import opened_tables, overwrite_option, raw_option, snapshot_option, warn_of_guarded
from crawler.cli.options import Output, output_options
from crawler.cli.snapshots import uri_option

if TYPE_CHECKING:
    from crawler.audit.query import Rows

_MAX_ROWS = 100


@click.command()
@click.argument("sql")
@snapshot_option
@click.option(
    "--format",
    "file_format",
    default="table",
    show_default=True,
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="table is for people; the others have every row and column whole.",
)
@click.option("--to", "path", type=click.Path(path_type=Path), metavar="PATH", help="A file, in place of stdout.")
@click.option(
    "--max-rows", default=_MAX_ROWS, show_default=True, type=click.IntRange(0), help="table: show so many; 0: all."
)
@overwrite_option
@raw_option
@config_option
@uri_option
@output_options
@click.pass_obj
def query(
    output: Output,
    /,
    sql: str,
    snapshot_id: str,
    file_format: str,
    path: Path | None,
    max_rows: int,
    may_replace: bool,
    is_raw: bool,
    config_file: Path | None,
    uri: str | None,
) -> None:
    """Ask a snapshot in SQL: each table is a view, and `_scopes` is the ledger, a row for every scope.

    SQL is one statement in DuckDB's dialect that reads, or - for stdin. `SHOW TABLES` lists the tables, `DESCRIBE
    fc_functions` the columns. Instants are UTC. docs/query.md has questions to begin with.

    Exit codes: 0 answered; 1 the snapshot can't be read, or the SQL failed on the way; 2 usage, or SQL that can't be
    run; 4 the file can't be written; 130 and 143 stopped by a signal.
    """
    from crawler.audit.export.atomic_files import check_free
    from crawler.audit.query import asking
    from crawler.cli.signals import stoppable

    _check_options(file_format, path, is_raw=is_raw, may_replace=may_replace)
    text = _stdin() if sql == "-" else sql
    if path is not None:
        check_free([path], may_replace=may_replace)

    def work() -> None:
        with (
            opened_tables(output, config_file, uri, snapshot_id) as tables,
            asking(tables.snapshot, text, tables) as rows,
        ):
            manifest = tables.snapshot.manifest
            if path is not None:
                _save(output, rows, path, file_format, is_raw=is_raw)
            elif file_format == "table":
                _print(rows, max_rows, f"snapshot {manifest.snapshot_id}, {manifest.status}")
            else:
                _write(output, rows, file_format, is_raw=is_raw)

    stoppable(work)
    sys.stdout.flush()


def _check_options(file_format: str, path: Path | None, *, is_raw: bool, may_replace: bool) -> None:
    if file_format == "parquet" and path is None:
        raise click.UsageError("--format parquet needs --to PATH.")
    if file_format == "table" and path is not None:
        raise click.UsageError("--to goes with --format csv, json or parquet; a table is for people.")
    if is_raw and file_format != "csv":
        raise click.UsageError("--raw-csv goes with --format csv.")
    if may_replace and path is None:
        raise click.UsageError("--overwrite goes with --to.")


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError("The SQL on stdin isn't UTF-8.") from None


def _print(rows: Rows, max_rows: int, source: str) -> None:
    from crawler.cli.answers import print_rows

    print_rows(rows, max_rows, source)


def _write(output: Output, rows: Rows, file_format: str, *, is_raw: bool) -> None:
    """The answer on stdout: exact for programs, and on a terminal nothing that could steer it."""
    from crawler.audit.export.files import write_csv, write_json
    from crawler.cli.answers import on_screen

    def emit(text: str) -> None:
        if sys.stdout.isatty():
            sys.stdout.write(on_screen(text))
        else:
            sys.stdout.buffer.write(text.encode())

    if file_format == "csv":
        warn_of_guarded(output, "the answer", write_csv(rows, emit, is_raw=is_raw).guarded_cells)
    else:
        write_json(rows, emit)


def _save(output: Output, rows: Rows, path: Path, file_format: str, *, is_raw: bool) -> None:
    """The answer as a file, whole or not at all."""
    from crawler.audit.export.atomic_files import publish, staging
    from crawler.audit.export.files import write_file

    with staging(path.parent) as folder:
        written = write_file(rows, folder / path.name, file_format, is_raw=is_raw)
        publish([folder / path.name], path.parent)
    warn_of_guarded(output, path.name, written.guarded_cells)


COMMANDS = (query, export)
