"""Check one SQL statement over a snapshot and run it.

DuckDB's parser checks that the statement and all its parts only read. The text isn't enough: a WITH may contain a COPY
that writes into the output, and EXPLAIN ANALYZE runs the statement that it explains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.audit.database import SCOPES_VIEW, mentioned_tables, session
from crawler.audit.sql_errors import translate_failure, translate_rejection
from crawler.audit.statement import Statement
from crawler.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.sql_errors import TableNames

BATCH_ROWS = 1000


# Only errors as JSON have the position in the SQL.
ERROR_SETTINGS = {"errors_as_json": "true"}
_EXPLAIN = re.compile(r"\s*EXPLAIN(?P<analyze>\s+ANALYZE)?\s+(?P<explained>.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
_NODE = re.compile(r'"type":"([A-Z_]+_NODE)"')
_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_FUNCTION = re.compile(r'"function_name":"([^"]*)"')


# These functions run SQL from a string or a syntax tree, which could be anything.
_RUNNING_FUNCTIONS = frozenset({"query", "json_execute_serialized_sql"})
_ACCEPTED = "only SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of a SELECT are accepted (read-only)"


@dataclass(frozen=True, slots=True)
class Rows:
    """A result in batches of at most `BATCH_ROWS` rows, readable once.

    The statement runs while the batches are read, so reading raises the same errors as `run_query`.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def run_query(snapshot: OpenSnapshot, sql: str, tables: TableNames) -> Iterator[Rows]:
    """Run one statement and yield its rows, valid within the `with` block.

    Raises ConfigError for SQL that can't be run or would write, QueryError for SQL that fails while running,
    OutputError if the snapshot's files can't be read.
    """
    statement = Statement(sql)
    with session(snapshot, _tables_to_open(snapshot, sql), ERROR_SETTINGS) as connection:
        yield execute(connection, statement, tables)


def execute(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: TableNames) -> Rows:
    """Run one statement as `run_query` does; the connection needs `ERROR_SETTINGS`."""
    import duckdb

    _check(connection, statement, tables)
    try:
        reader = connection.sql(statement.sql).to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise translate_failure(error, statement, tables) from None
    return Rows(reader.schema, _batches(reader, statement, tables))


def _batches(reader: pa.RecordBatchReader, statement: Statement, tables: TableNames) -> Iterator[pa.RecordBatch]:
    try:
        for batch in reader:
            # DuckDB may return larger batches than requested.
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)
    except (OSError, pa.ArrowException) as error:
        raise translate_failure(error, statement, tables) from None


def _check(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: TableNames) -> None:
    """Raise ConfigError unless the SQL is one valid statement that only reads."""
    import duckdb

    checked = statement
    try:
        kinds = [found.type.name for found in connection.extract_statements(statement.sql)]
        select, checked = _select_and_explain(statement, kinds)
        _check_nodes(connection, select, statement.label)
        connection.execute(checked.sql)
    except duckdb.Error as error:
        raise translate_rejection(error, checked, tables) from None


def _select_and_explain(statement: Statement, kinds: list[str]) -> tuple[str, Statement]:
    """Return the SELECT, and an EXPLAIN of it, which checks names and types and runs nothing."""
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
            raise ConfigError(f"{statement.label}: {kind.replace('_', ' ')} isn't accepted; {_ACCEPTED}")


def _check_nodes(connection: duckdb.DuckDBPyConnection, sql: str, label: str) -> None:
    """Raise ConfigError unless the SQL is a SELECT in which no part writes or runs SQL from a string."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree = str(found[0]) if found else ""
    if not tree.startswith('{"error":false'):
        raise ConfigError(f"{label} isn't accepted in this form; {_ACCEPTED}")
    if set(_NODE.findall(tree)) - _READING_NODES:
        raise ConfigError(f"{label} has a part that writes; {_ACCEPTED}")
    if running := {name.lower() for name in _FUNCTION.findall(tree)} & _RUNNING_FUNCTIONS:
        raise ConfigError(f"{label}: {min(running)}() runs SQL from a string, which could write; {_ACCEPTED}")


def _tables_to_open(snapshot: OpenSnapshot, sql: str) -> list[str] | None:
    """Return the tables that a statement reads; None for all. No other table is opened or fetched."""
    names = mentioned_tables(sql)
    # No name, or an unknown one: the statement may be about the tables themselves (SHOW TABLES).
    if not names or not names <= {*snapshot.manifest.tables, SCOPES_VIEW} or "query_table" in sql.lower():
        return None
    return sorted(names - {SCOPES_VIEW})
