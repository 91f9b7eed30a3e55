"""Run the SQL of findings over a snapshot and determine the coverage of each result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.audit.database import create_view, quote_name, session, unreadable_file
from crawler.audit.findings.coverage import Coverage, assess_coverage, fingerprint_note
from crawler.audit.sql_guard import check_only_reads
from crawler.audit.statement import Statement
from crawler.errors import ConfigError
from crawler.snapshot import schema_sha256

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.findings.files import Finding
    from crawler.catalog.model import Catalog

MAX_ROWS = 2000

# A column of a finding's SQL: why a row is undecided, null for a row that is found.
UNDECIDED = "_unknown"
_MAX_REASONS = 10

FindingValue = str | int | float | bool | None

# DuckDB spills more memory to the session's temporary folder. What it can't spill is computed again without the limit.
# Each thread has buffers for the columns that it reads.
_WITHOUT_LIMIT = {"threads": str(min(2, os.cpu_count() or 1))}
_SETTINGS = {"memory_limit": "280MB", **_WITHOUT_LIMIT}

_CELL_TYPES = ("VARCHAR", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE")
_INSTANT = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class FindingResult:
    """The result of one finding. `rows` are the first of `total`; `gaps` lists the missing data.

    `note` is a sentence about the snapshot that the result depends on; empty for none.
    """

    finding: Finding
    coverage: Coverage
    gaps: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[FindingValue, ...], ...] = ()
    total: int = 0
    note: str = ""


def evaluate_findings(
    snapshot: OpenSnapshot, findings: Sequence[Finding], catalog: Catalog, *, max_rows: int = MAX_ROWS
) -> list[FindingResult]:
    """Return the result of each finding, in the given order, with at most `max_rows` rows each and the total number.

    For the SQL, a table of the catalog that the snapshot doesn't have is empty, and a missing column is null. Raises
    ConfigError for a user's finding whose SQL doesn't run, OutputError if a file of the snapshot can't be read.
    """
    results = _evaluate_all(snapshot, findings, catalog, max_rows, _SETTINGS)
    if large := [finding for finding, result in zip(findings, results, strict=True) if result is None]:
        found = iter(_evaluate_all(snapshot, large, catalog, max_rows, _WITHOUT_LIMIT))
        results = [next(found) if result is None else result for result in results]
    return [result for result in results if result is not None]


def _evaluate_all(
    snapshot: OpenSnapshot, findings: Sequence[Finding], catalog: Catalog, max_rows: int, settings: Mapping[str, str]
) -> list[FindingResult | None]:
    """Return the result of each finding; None for one that needs more memory than the settings allow."""
    with session(snapshot, (), settings) as connection:
        tables = sorted({table for finding in findings for table in (*finding.tables, *finding.lookups)})
        snapshot.fetch(tables)
        for table in tables:
            _create_table_view(connection, snapshot, catalog, table)
        has_limit = "memory_limit" in settings
        return [_evaluate_one(connection, snapshot, finding, max_rows, has_limit=has_limit) for finding in findings]


def _create_table_view(
    connection: duckdb.DuckDBPyConnection, snapshot: OpenSnapshot, catalog: Catalog, table: str
) -> None:
    """Create a view of the table, with all columns of the catalog."""
    entry, operation = snapshot.manifest.tables.get(table), catalog.operations.get(table)
    is_as_declared = (
        entry is not None and operation is not None and entry.schema_sha256 == schema_sha256(operation.schema)
    )
    if entry is not None and (operation is None or is_as_declared):
        create_view(connection, table, snapshot.files(table))
        return
    parts = []
    if entry is not None:
        create_view(connection, f"_stored_{table}", snapshot.files(table))
        parts.append(f'SELECT * FROM "_stored_{table}"')  # noqa: S608 - a table's name is letters, digits and _
    if operation is not None:
        connection.register(f"_declared_{table}", operation.schema.empty_table())
        parts.append(f'SELECT * FROM "_declared_{table}"')  # noqa: S608 - as above
    if parts:
        connection.execute(f'CREATE VIEW "{table}" AS {" UNION ALL BY NAME ".join(parts)}')


def _evaluate_one(
    connection: duckdb.DuckDBPyConnection, snapshot: OpenSnapshot, finding: Finding, max_rows: int, *, has_limit: bool
) -> FindingResult | None:
    import duckdb

    coverage, gaps = assess_coverage(snapshot, finding)
    if coverage is Coverage.UNKNOWN:
        return FindingResult(finding, coverage, gaps)
    try:
        check_only_reads(connection, finding.sql, Statement(finding.sql, f"the finding {finding.name}"))
        columns, undecided = _run_sql(connection, finding.sql)
        rows, total = _first_rows(connection, columns, max_rows)
    except duckdb.IOException as error:
        snapshot.checked.check_hashes()
        raise unreadable_file(str(error)) from None
    except duckdb.Error as error:
        if has_limit and isinstance(error, duckdb.OutOfMemoryException):
            return None
        if not isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)):
            snapshot.checked.check_hashes()
        reason = str(error).splitlines()[0]
        if finding.is_own:
            raise ConfigError(f"the finding {finding.name} doesn't run on this snapshot: {reason}") from None
        return FindingResult(finding, Coverage.UNKNOWN, (*gaps, f"its SQL doesn't run on this snapshot: {reason}"))
    if undecided:
        coverage, gaps = Coverage.PARTIAL, (*gaps, *undecided)
    note = fingerprint_note(snapshot.manifest, finding)
    return FindingResult(finding, coverage, gaps, tuple(columns), rows, total, note)


def _run_sql(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Make the table `_found`. Return the type of each of its columns by name, and what it says is undecided."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _found AS {sql}")
    columns = {name: kind for name, kind, *_ in connection.execute("DESCRIBE _found").fetchall()}
    if UNDECIDED not in columns:
        return columns, ()
    counted = f"SELECT count(*), {UNDECIDED}::VARCHAR AS reason FROM _found WHERE reason IS NOT NULL GROUP BY reason"  # noqa: S608
    reasons = connection.execute(f"{counted} ORDER BY 1 DESC, 2").fetchall()
    connection.execute(f"DELETE FROM _found WHERE {UNDECIDED} IS NOT NULL")  # noqa: S608
    connection.execute(f"ALTER TABLE _found DROP COLUMN {UNDECIDED}")
    del columns[UNDECIDED]
    shown = [f"{number:,} undecided: {reason}" for number, reason in reasons[:_MAX_REASONS]]
    others = sum(number for number, _ in reasons[_MAX_REASONS:])
    return columns, (*shown, *[f"{others:,} undecided for other reasons"] * bool(others))


def _first_rows(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], max_rows: int
) -> tuple[tuple[tuple[FindingValue, ...], ...], int]:
    """Return the first rows of the table `_found`, and the number of all."""
    shown = ", ".join(_cell_sql(name, kind) for name, kind in columns.items())
    rows = connection.execute(f"SELECT {shown} FROM _found ORDER BY rowid LIMIT {max_rows:d}").fetchall()  # noqa: S608
    [(total,)] = connection.execute("SELECT count(*) FROM _found").fetchall()
    return tuple(rows), total


def _cell_sql(name: str, kind: str) -> str:
    """Return SQL that makes a column a cell value: timestamps as UTC text, lists of text joined, the rest as JSON."""
    column = quote_name(name)
    if kind in _CELL_TYPES:
        return column
    if kind == _INSTANT:
        return f"strftime({column}, '%Y-%m-%d %H:%M:%S')"
    if kind == "VARCHAR[]":
        return f"array_to_string({column}, ', ')"
    if kind.startswith(("STRUCT", "MAP", "LIST")) or kind.endswith("]"):
        return f"to_json({column})::VARCHAR"
    return f"{column}::VARCHAR"
