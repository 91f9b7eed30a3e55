"""Check one SQL statement over a snapshot and run it.

`sql_guard` checks that all parts of the statement only read. EXPLAIN is checked as the statement that it explains,
because EXPLAIN ANALYZE runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.audit.database import open_result, parser, session
from crawler.audit.exact_types import exact_columns
from crawler.audit.sql_errors import translate_failure, translate_rejection
from crawler.audit.sql_guard import ACCEPTED, check_only_reads, names_its_columns
from crawler.audit.statement import Statement
from crawler.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.sql_errors import TableNames

BATCH_ROWS = 2048

# Only errors as JSON have the position in the SQL.
ERROR_SETTINGS = {"errors_as_json": "true"}
_RESULT = "_exact_result"
_EXPLAIN = re.compile(r"\s*EXPLAIN(?P<analyze>\s+ANALYZE)?\s+(?P<explained>.*)", re.IGNORECASE | re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class Rows:
    """A result in batches of at most `BATCH_ROWS` rows, readable once. `is_named`: the statement names all its columns.

    The statement runs while the batches are read, so reading raises the same errors as `run_query`.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    is_named: bool = False


@contextmanager
def run_query(snapshot: OpenSnapshot, sql: str, tables: TableNames) -> Iterator[Rows]:
    """Run one statement and yield its rows, valid within the `with` block.

    Raises ConfigError for SQL that can't be run or would write, QueryError for SQL that fails while running,
    OutputError if the snapshot's files can't be read.
    """
    statement = Statement(sql)
    names = _tables_to_open(snapshot, statement)
    with session(snapshot, names, ERROR_SETTINGS, keys=tables.catalog()) as connection:
        yield execute(connection, statement, tables)


def execute(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: TableNames) -> Rows:
    """Run one statement as `run_query` does; the connection needs `ERROR_SETTINGS`."""
    import duckdb

    is_named = _check(connection, statement, tables)
    try:
        relation = connection.sql(statement.sql)
        if shown := exact_columns(relation.columns, relation.types):
            # A view, because the user's text may end in a semicolon or a comment.
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {_RESULT} AS {statement.sql}")
            relation = connection.sql(f"SELECT {shown} FROM {_RESULT}")  # noqa: S608 - names are quoted
            statement = Statement("", statement.label)  # DuckDB gives no positions in a view
        reader = open_result(connection, relation, BATCH_ROWS)
    except duckdb.Error as error:
        raise translate_failure(error, statement, tables) from None
    return Rows(reader.schema, _batches(reader, statement, tables), is_named)


def _batches(reader: pa.RecordBatchReader, statement: Statement, tables: TableNames) -> Iterator[pa.RecordBatch]:
    try:
        for batch in reader:
            # DuckDB may return larger batches than requested.
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)
    except (OSError, pa.ArrowException) as error:
        raise translate_failure(error, statement, tables) from None


def _check(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: TableNames) -> bool:
    """Raise ConfigError unless the SQL is one valid statement that only reads. Return whether it names its columns."""
    import duckdb

    checked = statement
    try:
        select, checked = _select_and_explain(connection, statement)
        check_only_reads(connection, select, statement)
        connection.execute(checked.sql)
        return select == statement.sql and names_its_columns(connection, select)
    except duckdb.Error as error:
        raise translate_rejection(error, checked, tables) from None


def _select_and_explain(connection: duckdb.DuckDBPyConnection, statement: Statement) -> tuple[str, Statement]:
    """Return the SELECT, and an EXPLAIN of it, which checks names and types and runs nothing."""
    kinds = [found.type.name for found in connection.extract_statements(statement.sql)]
    if not kinds:
        raise ConfigError(f"{statement.label} is empty")
    if len(kinds) != 1:
        raise ConfigError(f"{statement.label} must be one statement, not {len(kinds)}")
    explain = _EXPLAIN.fullmatch(statement.sql)
    match kinds[0]:
        case "SELECT":
            return statement.sql, replace(statement, lead=f"EXPLAIN {statement.lead}")
        case "EXPLAIN" if explain:
            start, end = explain.span("analyze")
            blanked = statement.sql[: max(start, 0)] + " " * (end - start) + statement.sql[max(end, 0) :]
            return explain["explained"], Statement(blanked, statement.label)
        case "MULTI":
            hint = "a PIVOT must name its values here, as in PIVOT t ON c IN ('a', 'b')"
            raise ConfigError(f"{statement.label}: {hint}")
        case kind:
            raise ConfigError(f"{statement.label}: {kind.replace('_', ' ')} isn't accepted; {ACCEPTED}")


def _tables_to_open(snapshot: OpenSnapshot, statement: Statement) -> list[str] | None:
    """Return the tables that a statement reads; None for all. No other table is opened or fetched."""
    import duckdb

    with parser() as connection:
        try:
            # Checked first: to find the names, DuckDB binds the statement in part.
            check_only_reads(connection, _select_and_explain(connection, statement)[0], statement)
            names = {name.lower() for name in connection.get_table_names(statement.sql)}
        except duckdb.ParserException:
            return []  # it is refused for the same reason when it is to run
        except duckdb.Error:
            names = set()
        views = connection.execute("SELECT lower(view_name) FROM duckdb_views() WHERE internal").fetchall()
    # No name, or one of DuckDB's views: the statement may be about the tables themselves (SHOW TABLES).
    if not names or names & {name for (name,) in views} or "query_table" in statement.sql.lower():
        return None
    return sorted(names & snapshot.manifest.tables.keys())
