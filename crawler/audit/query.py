"""One statement of SQL over a snapshot: what may be asked, and asking it.

What may be asked is judged by DuckDB's own parser and not by the text: one statement that reads, all the way down. A
WITH may hold a COPY that writes into the output, and EXPLAIN ANALYZE runs what it explains.
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
from crawler.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.sql_errors import TableNames

BATCH_ROWS = 1000

# Errors as data, since that is where their place in the text is.
ERROR_SETTINGS = {"errors_as_json": "true"}

_EXPLAIN = re.compile(r"\s*EXPLAIN(?P<analyze>\s+ANALYZE)?\s+(?P<explained>.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
_NODE = re.compile(r'"type":"([A-Z_]+_NODE)"')
_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_FUNCTION = re.compile(r'"function_name":"([^"]*)"')
# They run what a text or a parsed tree says, which could be anything.
_RUNNING_FUNCTIONS = frozenset({"query", "json_execute_serialized_sql"})
_ACCEPTED = "only SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of a SELECT are taken, for nothing here writes"


_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as it is run. The user's own text in it begins after `lead`; messages name it by `label`.

    Raises ConfigError for what no SQL can be.
    """

    text: str
    label: str = "the SQL"
    lead: str = ""
    tail: str = ""

    def __post_init__(self) -> None:
        if _NO_TEXT.search(self.text):
            raise ConfigError(f"{self.label} isn't text: it has bytes that aren't UTF-8, or a NUL")

    @property
    def sql(self) -> str:
        """What DuckDB gets."""
        return f"{self.lead}{self.text}{self.tail}"

    def locate(self, position_bytes: int) -> str:
        """The line and column that a position in the SQL has in the user's text; empty where it isn't in there."""
        own = self.text.encode()
        at = position_bytes - len(self.lead.encode())
        if not 0 <= at <= len(own):
            return ""
        before = own[:at].decode(errors="ignore")
        return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer on its way, read once: batches of at most `BATCH_ROWS`.

    The statement runs while they are read, and so that raises what `run_query` raises.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def run_query(snapshot: OpenSnapshot, sql: str, tables: TableNames) -> Iterator[Rows]:
    """The rows of one reading statement, for a block.

    Raises ConfigError for SQL that can't be run or that would write, QueryError for what fails on the way, OutputError
    where the snapshot's files can't be read.
    """
    statement = Statement(sql)
    with session(snapshot, _tables_to_open(snapshot, sql), ERROR_SETTINGS) as connection:
        yield execute(connection, statement, tables)


def execute(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: TableNames) -> Rows:
    """See `run_query`; the connection must have been made with `ERROR_SETTINGS`."""
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
            # There may be more in it than was asked for.
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)
    except (OSError, pa.ArrowException) as error:
        raise translate_failure(error, statement, tables) from None


def _check(connection: duckdb.DuckDBPyConnection, statement: Statement, tables: TableNames) -> None:
    """Raise ConfigError for anything but one statement that can be run and only reads."""
    import duckdb

    judged = statement
    try:
        kinds = [found.type.name for found in connection.extract_statements(statement.sql)]
        read, judged = _explained(statement, kinds)
        _check_nodes(connection, read, statement.label)
        connection.execute(judged.sql)
    except duckdb.Error as error:
        raise translate_rejection(error, judged, tables) from None


def _explained(statement: Statement, kinds: list[str]) -> tuple[str, Statement]:
    """The SELECT that would be run, and the EXPLAIN of it, which judges names and types and runs nothing."""
    if len(kinds) != 1:
        raise ConfigError(f"{statement.label} must be one statement, and this is {len(kinds) or 'none'}")
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
            raise ConfigError(f"{statement.label}: {kind.replace('_', ' ')} isn't taken; {_ACCEPTED}")


def _check_nodes(connection: duckdb.DuckDBPyConnection, sql: str, label: str) -> None:
    """Refuse all but a SELECT, and one that has something in it that writes or that runs a text."""
    found = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree = str(found[0]) if found else ""
    if not tree.startswith('{"error":false'):
        raise ConfigError(f"{label} isn't taken as it stands; {_ACCEPTED}")
    if set(_NODE.findall(tree)) - _READING_NODES:
        raise ConfigError(f"{label} has a part that writes; {_ACCEPTED}")
    if running := {name.lower() for name in _FUNCTION.findall(tree)} & _RUNNING_FUNCTIONS:
        raise ConfigError(f"{label}: {min(running)}() runs what a text says, which could write; {_ACCEPTED}")


def _tables_to_open(snapshot: OpenSnapshot, sql: str) -> list[str] | None:
    """The tables that a statement reads, so that no others need be opened or fetched; None for all of them."""
    names = mentioned_tables(sql)
    # With none, or with a name that is no table's, it may be about the tables themselves.
    if not names or not names <= {*snapshot.manifest.tables, SCOPES_VIEW} or "query_table" in sql.lower():
        return None
    return sorted(names - {SCOPES_VIEW})
