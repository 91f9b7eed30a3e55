"""Export tables of a snapshot, together with the evidence of their origin.

One table becomes one file, with `NAME.scopes.csv` (the ledger of its scopes) and `NAME.snapshot.json` (snapshot ID, the
manifest's SHA-256, coverage, and what was written). Several tables become a folder of files with `_scopes.csv` and
`_snapshot.json`. A workbook has all of this as sheets.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args

import msgspec
import pyarrow as pa

from crawler import __version__
from crawler.audit.column_order import SCOPE_COLUMNS
from crawler.audit.database import SCOPES_VIEW, session
from crawler.audit.export.atomic_files import (
    check_folder_free,
    check_free,
    disk_errors,
    move_folder_into_place,
    move_into_place,
    new_file,
    staging,
)
from crawler.audit.export.files import WriteResult, write_file
from crawler.audit.export.selection import ExportSelection, select_table
from crawler.audit.export.workbook import PageTexts, Workbook, check_installed, check_rows, sheet_names
from crawler.audit.query import ERROR_SETTINGS, Rows, execute
from crawler.audit.statement import Statement
from crawler.audit.temporary import no_room
from crawler.clock import iso_utc
from crawler.errors import ConfigError
from crawler.local_files import open_below, open_regular, read_at_most
from crawler.snapshot.disk import sha256_of
from crawler.snapshot.limits import MANIFEST_BYTES, decode_json

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.sql_errors import TableNames

ExportFormat = Literal["csv", "jsonl", "xlsx", "parquet"]

_FACTS_SHEET = "_snapshot"
_FACTS = f"{_FACTS_SHEET}.json"
_SCOPES = f"{SCOPES_VIEW}.csv"
# The ledger's first columns: account, region and table.
_LEDGER_KEY = 3


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A requested export. `at` is the current time, which is recorded in the export."""

    selection: ExportSelection
    file_format: ExportFormat
    path: Path
    at: datetime
    is_raw: bool = False
    may_replace: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether `path` becomes a folder: for several tables, except in a workbook."""
        return len(self.selection.tables) > 1 and self.file_format != "xlsx"


class ExportedTable(msgspec.Struct, kw_only=True):
    """One table as written. `file` is the name of the file or sheet; `bytes` and `sha256` are those of the file."""

    file: str
    rows: int
    snapshot_rows: int
    guarded_cells: int = 0
    cut_cells: dict[str, int] = {}
    bytes: int | None = None
    sha256: str | None = None


class _ExportRecord(msgspec.Struct):
    """The part of an earlier export's `_snapshot.json` that is read."""

    tables: dict[str, ExportedTable]


def export(request: ExportRequest, tables: TableNames) -> dict[str, ExportedTable]:
    """Write the export and return each table as written. Files get their final names only when all are complete.

    Raises ConfigError for an invalid request, QueryError for a `where` that fails while running, OutputError if the
    snapshot's files don't match its manifest or the files can't be written.
    """
    snapshot, chosen = tables.snapshot, request.selection.tables
    if request.file_format == "xlsx":
        check_installed()
        for table in chosen if not request.selection.where else ():
            check_rows(table, snapshot.manifest.tables[table].rows)
    _check_free(request)
    with session(snapshot, chosen, ERROR_SETTINGS) as connection, staging(request.path.parent) as place:
        work = _Export(request, tables, connection, place)
        written = work.write_workbook() if request.file_format == "xlsx" else work.write_files()
        if request.is_folder:
            move_folder_into_place(place / request.path.name, request.path)
        else:
            move_into_place([place / path.name for path in _file_paths(request)], request.path.parent)
    return written


def check_single(request: ExportRequest) -> None:
    """Raise ConfigError for several tables that would go to one stream."""
    if request.is_folder:
        number = len(request.selection.tables)
        raise ConfigError(f"--to {shown_path(request.path)} takes one table, not {number}; name a folder, or one table")


def send_table(
    request: ExportRequest, tables: TableNames, write: Callable[[Rows, pa.Schema], WriteResult]
) -> dict[str, ExportedTable]:
    """Write the rows of the only table by `write`, without the files that say where they come from.

    Raises as `export`. What was written before an error stays written.
    """
    [table] = request.selection.tables
    with session(tables.snapshot, [table], ERROR_SETTINGS) as connection:
        part = select_table(request.selection, table, tables)
        written = write(execute(connection, part.statement, tables), part.schema)
    return {
        table: ExportedTable(
            file=shown_path(request.path),
            rows=written.rows,
            snapshot_rows=tables.snapshot.manifest.tables[table].rows,
            guarded_cells=written.guarded_cells,
        )
    }


def send_workbook(request: ExportRequest, tables: TableNames, file: BinaryIO) -> dict[str, ExportedTable]:
    """Write a workbook to a stream, when it is complete. Raises as `export`, and OutputError without a place for it."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="acs-inventory-")
    except OSError as error:
        raise no_room("a workbook", error) from error
    with folder as name:
        path = Path(name) / "export.xlsx"
        written = export(replace(request, path=path), tables)
        with path.open("rb") as made:
            shutil.copyfileobj(made, file)
    return written


def _file_paths(request: ExportRequest) -> list[Path]:
    """Return the files of an export that isn't a folder; the table's own file is the last."""
    if request.file_format == "xlsx":
        return [request.path]
    return [request.path.with_name(f"{request.path.name}{ending}") for ending in (".scopes.csv", ".snapshot.json", "")]


def _check_free(request: ExportRequest) -> None:
    if request.is_folder:
        _refuse_file_name(request)
        earlier = _exported_files(request.path)
        check_folder_free(request.path, replaceable=earlier, may_replace=request.may_replace)
    else:
        check_free(_file_paths(request), may_replace=request.may_replace)


def _refuse_file_name(request: ExportRequest) -> None:
    """Raise ConfigError for a folder that would look like a file."""
    if request.path.suffix.removeprefix(".").lower() in get_args(ExportFormat) and not request.path.is_dir():
        number = len(request.selection.tables)
        raise ConfigError(
            f"{shown_path(request.path)} names a file, and {number} tables become a folder of files; "
            f"name the folder with --to, and give --format {request.file_format}"
        )


def _exported_files(folder: Path) -> set[str]:
    """Return the names of the files that an earlier export wrote into a folder, by its own record."""
    try:
        with os.fdopen(open_below(folder, _FACTS), "rb") as file:
            tables = decode_json(read_at_most(file.fileno(), MANIFEST_BYTES), _ExportRecord).tables
    except (OSError, ValueError):
        return set()
    return {_FACTS, _SCOPES, *(entry.file for entry in tables.values())}


def _sha256(path: Path) -> str:
    with os.fdopen(open_regular(path), "rb") as file:
        return sha256_of(file)


@dataclass(frozen=True, slots=True)
class _Export:
    """An export in progress. Its files have their final names, in the staging folder `place`."""

    request: ExportRequest
    tables: TableNames
    connection: duckdb.DuckDBPyConnection
    place: Path

    def write_files(self) -> dict[str, ExportedTable]:
        """Write each table as a file, then the ledger and the facts."""
        request, folder = self.request, self.place / self.request.path.name
        if request.is_folder:
            with disk_errors(request.path):
                folder.mkdir(0o700)
            paths = {table: folder / f"{table}.{request.file_format}" for table in request.selection.tables}
            scopes, facts = folder / _SCOPES, folder / _FACTS
        else:
            paths = {request.selection.tables[0]: folder}
            scopes, facts = (self.place / path.name for path in _file_paths(request)[:2])
        written = {table: self._write_table(table, path) for table, path in paths.items()}
        write_file(self._ledger_rows(), scopes, "csv", is_raw=request.is_raw)
        with new_file(facts) as file:
            file.write(msgspec.json.format(msgspec.json.encode(self._facts(written)), indent=2) + b"\n")
        return written

    def _write_table(self, table: str, path: Path) -> ExportedTable:
        part = select_table(self.request.selection, table, self.tables)
        rows = execute(self.connection, part.statement, self.tables)
        written = write_file(rows, path, self.request.file_format, is_raw=self.request.is_raw, schema=part.schema)
        return ExportedTable(
            file=shown_path(Path(path.name)),
            rows=written.rows,
            snapshot_rows=self._snapshot_rows(table),
            guarded_cells=written.guarded_cells,
            bytes=path.stat().st_size,
            sha256=_sha256(path),
        )

    def write_workbook(self) -> dict[str, ExportedTable]:
        """Write each table as a sheet, then the ledger and the facts as two more."""
        path, snapshot = self.place / self.request.path.name, self.tables.snapshot
        manifest = snapshot.manifest
        printed = PageTexts(
            f"Snapshot {manifest.snapshot_id}, {manifest.status}", f"Manifest SHA-256 {snapshot.manifest_sha256}"
        )
        names = sheet_names((*self.request.selection.tables, SCOPES_VIEW, _FACTS_SHEET))
        with disk_errors(self.request.path), Workbook(path, self.place, manifest.finished_at, printed) as book:
            written = {table: self._add_sheet(table, names[table], book) for table in self.request.selection.tables}
            book.add(names[SCOPES_VIEW], self._ledger_rows(), fixed=_LEDGER_KEY)
            book.add(names[_FACTS_SHEET], _fact_rows(self._facts(written)), fixed=1)
        return written

    def _add_sheet(self, table: str, name: str, book: Workbook) -> ExportedTable:
        part = select_table(self.request.selection, table, self.tables)
        rows = execute(self.connection, part.statement, self.tables)
        identity = {*SCOPE_COLUMNS, *self.tables.catalog().get(table, ())}
        fixed = sum(1 for _ in takewhile(identity.__contains__, rows.schema.names))
        sheet = book.add(name, rows, title=table, fixed=fixed)
        return ExportedTable(
            file=sheet.name,
            rows=sheet.rows,
            snapshot_rows=self._snapshot_rows(table),
            guarded_cells=sheet.guarded_cells,
            cut_cells=dict(sheet.cut_cells),
        )

    def _snapshot_rows(self, table: str) -> int:
        return self.tables.snapshot.manifest.tables[table].rows

    def _ledger_rows(self) -> Rows:
        """Return the ledger of the exported tables."""
        listed = ", ".join(f"'{table}'" for table in self.request.selection.tables)
        sql = f'SELECT * FROM {SCOPES_VIEW} WHERE "table" IN ({listed})'  # noqa: S608 - names that a manifest may have
        return execute(self.connection, Statement(sql), self.tables)

    def _facts(self, written: Mapping[str, ExportedTable]) -> dict[str, Any]:
        """Return the origin of the export, its coverage, and what was written."""
        request, manifest = self.request, self.tables.snapshot.manifest
        by_table = self.tables.snapshot.ledger.by_table
        scopes = [by_table[table] for table in request.selection.tables if table in by_table]
        return {
            "snapshot_id": manifest.snapshot_id,
            "status": manifest.status,
            "only": manifest.selection.options if manifest.selection else None,
            "manifest_sha256": self.tables.snapshot.manifest_sha256,
            "verified": self.tables.snapshot.is_hashed,
            "started_at": iso_utc(manifest.started_at),
            "finished_at": iso_utc(manifest.finished_at),
            "crawled_by": f"acs-inventory {manifest.version}",
            "secrets": manifest.secrets,
            "exported_at": iso_utc(request.at),
            "exported_by": f"acs-inventory {__version__}",
            "format": request.file_format,
            "columns": list(request.selection.columns) or None,
            "where": request.selection.where or None,
            "raw_csv": request.is_raw,
            "scopes": {
                "total": sum(found.by_status.total() for found in scopes),
                "not_complete": sum(found.not_whole for found in scopes),
            },
            "tables": dict(written),
        }


def shown_path(path: Path) -> str:
    """Return the path as text that JSON can hold, whatever its bytes are."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _fact_rows(facts: Mapping[str, Any]) -> Rows:
    """Return facts as rows of two columns; nested facts have dotted names."""
    pairs = list(_flatten(msgspec.to_builtins(facts), ""))
    columns = [pa.array([pair[place] for pair in pairs], pa.string()) for place in (0, 1)]
    batch = pa.RecordBatch.from_arrays(columns, names=["fact", "value"])
    return Rows(batch.schema, iter([batch]))


def _flatten(value: Any, path: str) -> list[tuple[str, str | None]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flatten(inner, f"{path}.{key}" if path else key)]
    if isinstance(value, list):
        value = ", ".join(value)
    return [(path, None if value is None else str(value))]
