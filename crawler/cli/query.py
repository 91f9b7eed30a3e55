"""`query`: SQL over a snapshot. The commands of an auditor's day are listed here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawler.audit.export.cell_text import Texts, is_number, plain_texts
from crawler.cli.inputs import opened_tables
from crawler.cli.options import (
    OutputOptions,
    config_option,
    output_options,
    overwrite_option,
    raw_option,
    snapshot_option,
    uri_option,
)
from crawler.cli.render import safe, warn_of_guarded
from crawler.text import printable

if TYPE_CHECKING:
    from crawler.audit.query import Rows

_MAX_ROWS = 100
_WIDEST_CELL = 60


# A column no wider than this (an ID, an instant) is shown whole or not at all; wider ones are cut down to that.
_WIDEST_WHOLE = 27
_NARROWEST_CUT = 12
_GAP, _EDGES = 3, 2
_PLAN = ["explain_key", "explain_value"]
_NULL = "null"


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
    output: OutputOptions,
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

    print_rows(rows, max_rows, source)


def _write(output: OutputOptions, rows: Rows, file_format: str, *, is_raw: bool) -> None:
    """The answer on stdout: exact for programs, and on a terminal nothing that could steer it."""
    from crawler.audit.export.files import write_csv, write_json

    def emit(text: str) -> None:
        if sys.stdout.isatty():
            sys.stdout.write(on_screen(text))
        else:
            sys.stdout.buffer.write(text.encode())

    if file_format == "csv":
        warn_of_guarded(output, "the answer", write_csv(rows, emit, is_raw=is_raw).guarded_cells)
    else:
        write_json(rows, emit)


def _save(output: OutputOptions, rows: Rows, path: Path, file_format: str, *, is_raw: bool) -> None:
    """The answer as a file, whole or not at all."""
    from crawler.audit.export.atomic_files import publish, staging
    from crawler.audit.export.files import write_file

    with staging(path.parent) as folder:
        written = write_file(rows, folder / path.name, file_format, is_raw=is_raw)
        publish([folder / path.name], path.parent)
    warn_of_guarded(output, path.name, written.guarded_cells)


def print_rows(rows: Rows, max_rows: int, source: str) -> None:
    """The first rows, all where `max_rows` is 0, and below them how many there are and which `source` they are from."""
    names, total = rows.schema.names, 0
    columns: list[Texts] = [[] for _ in names]
    for batch in rows.batches:
        room = batch.num_rows if not max_rows else max(0, max_rows - total)
        for texts, array in zip(columns, batch.slice(0, room).columns if room else (), strict=False):
            texts += plain_texts(array)
        total += batch.num_rows
    if names == _PLAN:
        _print_plan(columns[1])
        return
    numbers = [is_number(field.type) for field in rows.schema]
    shown = _print_table(names, columns, numbers)
    notes = [f"{total:,} {'row' if total == 1 else 'rows'}"]
    if len(columns[0]) < total:
        notes[0] += f", the first {len(columns[0]):,} shown: --max-rows 0 shows all"
    if shown < len(names):
        notes.append(f"the first {shown} of {len(names)} columns shown: name those you need, or take --format csv")
    for note in (*notes, source):
        _console(None).print(safe(note, "dim"), soft_wrap=True)


def on_screen(text: str) -> str:
    """Text of many lines as a terminal may have it: line ends stay, all else that could steer it is escaped."""
    return "\n".join(map(printable, text.replace("\r\n", "\n").split("\n")))


def _console(width: int | None) -> Console:
    return Console(file=sys.stdout, highlight=False, width=width)


def _print_plan(texts: Texts) -> None:
    for text in texts:
        _console(None).print(Text(on_screen(text or "")), soft_wrap=True)


def _print_table(names: Sequence[str], columns: Sequence[Texts], numbers: Sequence[bool]) -> int:
    """Print what fits, and say how many columns that is; elsewhere than on a terminal all of them fit."""
    heads = [printable(name) for name in names]
    cells = [[_NULL if text is None else printable(text[: 4 * _WIDEST_CELL]) for text in texts] for texts in columns]
    widths = [
        min(_WIDEST_CELL, max(cell_len(text) for text in [head, *texts]))
        for head, texts in zip(heads, cells, strict=True)
    ]
    screen = _console(None).width if sys.stdout.isatty() else None
    widths = widths if screen is None else _fitted(widths, screen)
    if len(widths) < len(names) and len(cells[0]) == 1:
        _print_record(heads, columns)
        return len(names)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head, width, is_right in zip(heads, widths, numbers, strict=False):
        table.add_column(
            safe(head), justify="right" if is_right else "left", width=width, no_wrap=True, overflow="ellipsis"
        )
    for row in zip(*cells[: len(widths)], strict=True):
        table.add_row(*map(_cell, row))
    _console(screen or sum(widths) + _GAP * len(widths) + _EDGES).print(table)
    return len(widths)


def _cell(text: str) -> Text:
    return safe(text, "dim" if text == _NULL else "")


def _fitted(widths: Sequence[int], screen: int) -> list[int]:
    """Widths that fit: wide columns give way first, then the last ones are left out. The first is always there."""
    least = [width if width <= _WIDEST_WHOLE else _NARROWEST_CUT for width in widths]
    for kept in range(len(widths), 1, -1):
        room = screen - _EDGES - _GAP * (kept - 1)
        if sum(least[:kept]) > room:
            continue
        fitted = list(widths[:kept])
        while sum(fitted) > room:
            spare = [width - minimum for width, minimum in zip(fitted, least, strict=False)]
            fitted[spare.index(max(spare))] -= 1
        return fitted
    return [min(widths[0], screen - _EDGES)]


def _print_record(heads: Sequence[str], columns: Sequence[Texts]) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for head, texts in zip(heads, columns, strict=True):
        grid.add_row(safe(head), safe(_NULL, "dim") if texts[0] is None else safe(texts[0]))
    _console(None).print(grid)
