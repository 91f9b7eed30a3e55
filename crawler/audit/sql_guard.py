"""Refuse SQL that could do more than compute rows from the views, before DuckDB binds any part of it.

DuckDB parses the statement and returns the parse tree as JSON. Each kind of node and each called function must be
known. A list of forbidden names would not be enough: releases of DuckDB add functions that run SQL from a text.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from crawler.audit.sql_functions import ALLOWED_FUNCTIONS
from crawler.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.statement import Statement

ACCEPTED = "only SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN of a SELECT are accepted (read-only)"

_SCOPE = "a query can only read the snapshot"

# Quotation marks in names and texts are escaped, so a text of the user can't look like a member of the tree.
_KIND = re.compile(r'"type":"([^"]*)"')
_CALL = re.compile(r'"class":"(?:FUNCTION|WINDOW)"')
_FUNCTION = re.compile(r'"function_name":"((?:[^"\\]|\\.)*)"')
_TABLE = re.compile(r'"table_name":"((?:[^"\\]|\\.)*)"')
# A position beyond twelve digits means that the node has none; then the enclosing node's is used.
_POSITION = re.compile(r'"query_location":(\d{1,12}),')

_KNOWN_KIND = re.compile(
    # Queries, and what they read from.
    r"(SELECT|SET_OPERATION|RECURSIVE_CTE|CTE)_NODE|BASE_TABLE|EMPTY|EXPRESSION_LIST|JOIN|PIVOT|SHOW_REF|SUBQUERY"
    r"|TABLE_FUNCTION|(DISTINCT|LIMIT|LIMIT_PERCENT|ORDER)_MODIFIER|ASCENDING|DESCENDING"
    # Expressions. Operators, comparisons and windows compute a value, whatever their name.
    r"|(ARRAY|COMPARE|CONJUNCTION|OPERATOR|ORDER|STRUCT|VALUE|WINDOW)_[A-Z_]+|CASE_EXPR|CAST|COLLATE|COLUMN_REF"
    r"|FUNCTION|GROUPING_FUNCTION|LAMBDA|LAMBDA_REF|POSITIONAL_REFERENCE|STAR|TYPE"
)


def check_only_reads(connection: duckdb.DuckDBPyConnection, sql: str, statement: Statement) -> None:
    """Raise ConfigError unless `sql`, the last part of the statement, is a SELECT of which each part is known to read.

    Opens and runs nothing. Raises duckdb.Error if DuckDB can't parse the SQL.
    """
    rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    tree = str(rows[0][0])
    calls = list(_FUNCTION.finditer(tree))
    if not tree.startswith('{"error":false') or len(calls) != len(_CALL.findall(tree)):
        raise ConfigError(f"{statement.label} isn't accepted in this form; {ACCEPTED}")
    if any(not _KNOWN_KIND.fullmatch(kind) for kind in set(_KIND.findall(tree))):
        raise ConfigError(f"{statement.label} has a part that writes or isn't known to only read; {ACCEPTED}")
    offset = len(statement.sql.encode()) - len(sql.encode())
    for call in calls:
        if call[1].lower() not in ALLOWED_FUNCTIONS:
            raise ConfigError(f"{statement.label}: {_place(statement, tree, call, offset)}{_refusal(call[1])}")
    state = _views_of_state(connection)
    for table in _TABLE.finditer(tree):
        if "/" in table[1] or table[1].lower() in state:  # a name with a slash is a file's path
            place = _place(statement, tree, table, offset)
            raise ConfigError(f"{statement.label}: {place}there is no table {table[1][:80]!r}; {_SCOPE}")


def names_its_columns(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Return whether a SELECT names each of its columns: no `*`, and no DESCRIBE or SUMMARIZE."""
    [(tree,)] = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    node = json.loads(tree)["statements"][0]["node"]
    while node and "select_list" not in node:  # a UNION has the columns of its first SELECT
        node = (node.get("children") or [node.get("left")])[0]
    return bool(node) and '"STAR"' not in json.dumps(node["select_list"])


def _views_of_state(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return DuckDB's own views that show settings and the like: those of functions that a query may not use."""
    sql = "SELECT lower(view_name) FROM duckdb_views() WHERE internal AND schema_name <> 'information_schema'"
    return {name for (name,) in connection.execute(sql).fetchall()} - ALLOWED_FUNCTIONS


def _place(statement: Statement, tree: str, found: re.Match[str], offset: int) -> str:
    """Return where a member of the tree is in the user's SQL. The tree's first byte is byte `offset` of the SQL."""
    positions = _POSITION.findall(tree, 0, found.start())
    place = statement.locate(int(positions[-1]) + offset) if positions else ""
    return f"{place}: " if place else ""


def _refusal(name: str) -> str:
    near = get_close_matches(name.lower(), ALLOWED_FUNCTIONS, n=2, cutoff=0.75)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"{name[:80]}() isn't a function that a query may use{hint}; {_SCOPE}"
