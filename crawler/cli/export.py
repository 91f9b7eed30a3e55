"""`export`: write tables of a snapshot as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from crawler.cli.echo import print_json, warn, warn_of_escaped_cells
from crawler.cli.inputs import open_tables
from crawler.cli.options import (
    CommonOptions,
    LocalPath,
    common_options,
    config_option,
    json_option,
    no_verify_option,
    overwrite_option,
    raw_option,
    snapshot_option,
    uri_option,
)
from crawler.cli.signals import interruptible
from crawler.cli.targets import declare_target, is_stdout, is_stream, open_stream, open_text

if TYPE_CHECKING:
    from crawler.audit.export.exporter import ExportedTable, ExportFormat, ExportRequest
    from crawler.audit.sql_errors import TableNames

_FORMATS = ("csv", "jsonl", "xlsx", "parquet")


@click.command()
@click.argument("patterns", nargs=-1, required=True, metavar="TABLE...")
@click.option("--format", "file_format", type=click.Choice(_FORMATS), help="Default: taken from the extension of --to.")
@click.option(
    "--to",
    "path",
    required=True,
    type=LocalPath(),
    metavar="PATH",
    help="File or folder to write; - is stdout, for one table.",
)
@click.option("--where", default="", metavar="SQL", help="Only rows that match this condition, in every table.")
@click.option("--columns", default="", metavar="A,B.C", help="Only these columns or fields, in this order.")
@snapshot_option
@no_verify_option
@overwrite_option
@raw_option
@json_option
@config_option
@uri_option
@common_options
@click.pass_obj
def export(
    common: CommonOptions,
    /,
    patterns: tuple[str, ...],
    file_format: str | None,
    path: Path,
    where: str,
    columns: str,
    snapshot_id: str,
    has_no_hashes: bool,
    may_replace: bool,
    is_raw: bool,
    as_json: bool,
    config_file: Path | None,
    uri: str | None,
) -> None:
    """Export tables of a snapshot as files.

    The snapshot's ID, the SHA-256 of its manifest and the tables' scopes are exported, too. TABLE may be a pattern such
    as 'fc_*'. One table becomes the file PATH, with PATH.scopes.csv and PATH.snapshot.json. Several tables become a
    folder, or with --format xlsx one sheet each. Files get their final names only when everything has been written.

    In csv and xlsx, nested values are JSON and cells that look like formulas are escaped: in csv with an apostrophe.
    jsonl and parquet have the exact values. xlsx cuts texts after 32,767 characters, with a warning; it needs the extra
    of that name.

    Exit codes: 0 written; 1 the snapshot can't be read, or --where failed while running; 2 wrong usage, unknown
    snapshot, table or column, wrong --where; 4 the files or stdout can't be written; 129, 130 and 143 stopped by a
    signal; 141 the reader of stdout has closed it.
    """
    from crawler.audit.export.exporter import ExportRequest
    from crawler.audit.export.selection import ExportSelection, choose, column_paths
    from crawler.clock import SystemClock

    if as_json and is_stdout(path):
        raise click.UsageError("--json prints to stdout, to which --to - writes the table; give one of the two.")
    chosen_format = _format_of(path, file_format, is_raw=is_raw)
    declare_target(path, chosen_format)
    paths = column_paths(columns) if columns else ()

    def work() -> tuple[ExportRequest, Mapping[str, ExportedTable]]:
        with open_tables(common, config_file, uri, snapshot_id, check_hashes=not has_no_hashes) as tables:
            selection = ExportSelection(choose(patterns, tables), paths, where)
            now = SystemClock().now()
            request = ExportRequest(selection, chosen_format, path, now, is_raw=is_raw, may_replace=may_replace)
            return request, _write(request, tables)

    request, written = interruptible(work)
    if not is_stdout(path):
        common.exit_state.code = 0
    _warn_of_changes(common, request, written)
    if as_json:
        _print_value(request, written)
    elif not common.is_quiet and not is_stdout(path):
        _print_written(request, written)


def _write(request: ExportRequest, tables: TableNames) -> Mapping[str, ExportedTable]:
    from crawler.audit.export.exporter import check_single, export, send_table, send_workbook
    from crawler.audit.export.files import write_parquet, write_text

    if not is_stream(request.path):
        return export(request, tables)
    check_single(request)
    if request.file_format == "xlsx":
        with open_stream(request.path) as file:
            return send_workbook(request, tables, file)
    if request.file_format == "parquet":
        with open_stream(request.path) as file:
            return send_table(request, tables, lambda rows, schema: write_parquet(rows, file, schema))
    with open_text(request.path, request.file_format) as emit:
        return send_table(
            request, tables, lambda rows, _: write_text(rows, emit, request.file_format, is_raw=request.is_raw)
        )


def _format_of(path: Path, given: str | None, *, is_raw: bool) -> ExportFormat:
    found = given or path.suffix.removeprefix(".").lower()
    if found not in _FORMATS:
        raise click.UsageError(f"--format is missing: one of {', '.join(_FORMATS)}.")
    if is_raw and found != "csv":
        raise click.UsageError("--raw-csv needs --format csv.")
    return cast("ExportFormat", found)


def _warn_of_changes(common: CommonOptions, request: ExportRequest, written: Mapping[str, ExportedTable]) -> None:
    """Warn of cells that differ from the snapshot."""
    for table, entry in written.items():
        if request.file_format == "csv":
            warn_of_escaped_cells(common, table, entry.guarded_cells)
        for column, number in entry.cut_cells.items():
            subject = "1 text was" if number == 1 else f"{number:,} texts were"
            warn(common, f"{table}.{column}: {subject} cut after 32,767 characters, the limit of a cell")


def _print_value(request: ExportRequest, written: Mapping[str, ExportedTable]) -> None:
    import msgspec

    from crawler.audit.export.exporter import shown_path

    print_json(
        {"path": shown_path(request.path), "format": request.file_format, "tables": msgspec.to_builtins(written)}
    )


def _print_written(request: ExportRequest, written: Mapping[str, ExportedTable]) -> None:
    from crawler.cli.render import console, print_aligned, safe, size_text

    out = console()
    is_workbook = request.file_format == "xlsx"
    columns = ("table", "rows", "sheet") if is_workbook else ("table", "rows", "file", "size")
    rows = [
        (table, f"{entry.rows:,}", entry.file, "" if entry.bytes is None else size_text(entry.bytes))[: len(columns)]
        for table, entry in written.items()
    ]
    print_aligned(out, columns, rows, numbers=("rows", "size"), expendable=("size",))
    out.print(safe(f"{request.path}"), soft_wrap=True)
