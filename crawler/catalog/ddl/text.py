"""Texts and names in SQL that several dialects share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crawler.catalog.ddl.model import DescribedTable, ScriptRequest
from crawler.catalog.ddl.reserved import quoted
from crawler.catalog.ddl.types import TypeNames, sql_type

LATEST_FILE = "_snapshots/LATEST"


class InDatabase:
    """A dialect whose tables lie in a database of the script's schema, which the script creates."""

    def setup(self, request: ScriptRequest) -> Iterator[str]:
        """See `Dialect.setup`."""
        if request.schema:
            yield f"CREATE DATABASE IF NOT EXISTS {quoted(request.schema, '`')}"


def plain_text(text: str) -> str:
    """Return a text as an SQL string in which a quote is doubled."""
    return "'" + text.replace("'", "''") + "'"


def escaped_text(text: str) -> str:
    """Return a text as an SQL string in which backslashes escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def double_text(text: str) -> str:
    """Return a text between double quotes in which backslashes escape."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def full_name(request: ScriptRequest, name: str, quote: str) -> str:
    """Return the name of a table or view with its schema, if it has one."""
    parts = [request.schema, name] if request.schema else [name]
    return ".".join(quoted(part, quote) for part in parts)


def column_lines(
    table: DescribedTable, types: TypeNames, comment: str, text: Callable[[str], str] = escaped_text
) -> list[str]:
    """Return a line per column: name, type, and `comment` filled with the description as SQL text."""
    lines = []
    for field in table.schema:
        line = f"{quoted(field.name, types.quote)} {sql_type(field.type, types, f'{table.name}.{field.name}')}"
        if described := table.comments.get(field.name, ""):
            line += comment.format(text(described))
        lines.append(line)
    return lines


def in_parentheses(lines: list[str]) -> str:
    """Return lines in parentheses, with commas between them."""
    return "(\n  " + ",\n  ".join(lines) + "\n)"


def view_statement(request: ScriptRequest, table: DescribedTable, condition: str, quote: str) -> str:
    """Return the statement of the view of one snapshot, whose first columns identify a row."""
    names = ", ".join(quoted(name, quote) for name in table.order)
    view, base = full_name(request, f"{table.name}_latest", quote), full_name(request, table.name, quote)
    return f"CREATE OR REPLACE VIEW {view} AS\nSELECT {names}\nFROM {base}\nWHERE {condition}"


def partition_text(request: ScriptRequest, joint: str, *, date_prefix: str = "") -> str:
    """Return the snapshot's partition: two equations with `joint` between them."""
    date = f"snapshot_date = {date_prefix}'{request.snapshot_date}'"
    return f"{date}{joint}snapshot = '{request.snapshot_id}'"
