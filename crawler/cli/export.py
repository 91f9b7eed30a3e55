"""`export`: tables of a snapshot as files for others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from crawler.cli.inputs import opened_tables
from crawler.cli.options import (
    OutputOptions,
    config_option,
    json_option,
    output_options,
    overwrite_option,
    raw_option,
    snapshot_option,
    uri_option,
)
from crawler.cli.render import warn, warn_of_guarded

if TYPE_CHECKING:
    from crawler.audit.export.exporter import Exported, Format, Request

_FORMATS = ("csv", "jsonl", "xlsx", "parquet")


@click.command()
@click.argument("patterns", nargs=-1, required=True, metavar="TABLE...")
@click.option("--format", "file_format", type=click.Choice(_FORMATS), help="Else what the ending of PATH says.")
@click.option("--to", "path", required=True, type=click.Path(path_type=Path), metavar="PATH", help="Where to.")
@click.option("--where", default="", metavar="SQL", help="Only rows for which this is true, in every table.")
@click.option("--columns", default="", metavar="A,B.C", help="Only these columns, or fields of them, in this order.")
@snapshot_option
@overwrite_option
@raw_option
@json_option
@config_option
@uri_option
@output_options
@click.pass_obj
def export(
    output: OutputOptions,
    /,
    patterns: tuple[str, ...],
    file_format: str | None,
    path: Path,
    where: str,
    columns: str,
    snapshot_id: str,
    may_replace: bool,
    is_raw: bool,
    as_json: bool,
    config_file: Path | None,
    uri: str | None,
) -> None:
    """Write tables of a snapshot as files, with its ID, its manifest's SHA-256 and the tables' scopes beside them.

    TABLE may be a pattern as in 'fc_*'. One table becomes the file PATH, with PATH.scopes.csv and PATH.snapshot.json;
    several become a folder, or with --format xlsx a sheet each. Nothing stands under its name before all is whole.

    In csv and xlsx nested values are JSON, and no text that begins like a formula is run: csv has an apostrophe before
    it. jsonl and parquet have everything as it is. xlsx cuts texts at 32,767 characters, and says which; it needs the
    extra of that name.

    Exit codes: 0 written; 1 the snapshot can't be read, or --where failed on the way; 2 usage, an unknown table or
    column, a --where that can't be run; 4 the files can't be written; 130 and 143 stopped by a signal.
    """
    from crawler.audit.export.exporter import Request
    from crawler.audit.export.exporter import export as write
    from crawler.audit.export.selection import Selection, choose, column_paths
    from crawler.cli.signals import stoppable
    from crawler.clock import SystemClock

    chosen_format = _format_of(path, file_format, is_raw=is_raw)
    paths = column_paths(columns) if columns else ()

    def work() -> tuple[Request, Mapping[str, Exported]]:
        with opened_tables(output, config_file, uri, snapshot_id) as tables:
            selection = Selection(choose(patterns, tables), paths, where)
            now = SystemClock().now()
            request = Request(selection, chosen_format, path, now, is_raw=is_raw, may_replace=may_replace)
            return request, write(request, tables)

    request, written = stoppable(work)
    _warn_of_changes(output, request, written)
    if as_json:
        _show_value(request, written)
    elif not output.is_quiet:
        _print_written(request, written)


def _format_of(path: Path, named: str | None, *, is_raw: bool) -> Format:
    found = named or path.suffix.removeprefix(".").lower()
    if found not in _FORMATS:
        raise click.UsageError(f"--format is missing: one of {', '.join(_FORMATS)}.")
    if is_raw and found != "csv":
        raise click.UsageError("--raw-csv goes with --format csv.")
    return cast("Format", found)


def _warn_of_changes(output: OutputOptions, request: Request, written: Mapping[str, Exported]) -> None:
    """Say what isn't in the files as it is in the snapshot."""
    for table, entry in written.items():
        if request.file_format == "csv":
            warn_of_guarded(output, table, entry.guarded_cells)
        for column, number in entry.cut_cells.items():
            what = "1 text" if number == 1 else f"{number:,} texts"
            warn(output, f"{table}: {what} of {column} end at 32,767 characters, which is all that a cell holds")


def _show_value(request: Request, written: Mapping[str, Exported]) -> None:
    import msgspec

    from crawler.audit.export.exporter import shown_path
    from crawler.cli.render import show_json

    show_json({"path": shown_path(request.path), "format": request.file_format, "tables": msgspec.to_builtins(written)})


def _print_written(request: Request, written: Mapping[str, Exported]) -> None:
    from crawler.cli.render import console, safe, size_text, table_of

    out = console()
    is_book = request.file_format == "xlsx"
    columns = ("table", "rows", "sheet") if is_book else ("table", "rows", "file", "size")
    rows = [
        (table, f"{entry.rows:,}", entry.file, size_text(entry.bytes or 0))[: len(columns)]
        for table, entry in written.items()
    ]
    out.print(table_of(columns, rows, numbers=("rows", "size")))
    out.print(safe(f"{request.path}"), soft_wrap=True)
