"""Choose what an export contains: tables by patterns, columns by names, rows by SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.audit.column_order import reader_columns
from crawler.audit.database import SCOPES_VIEW, quote_name, quote_text
from crawler.audit.statement import Statement
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from crawler.audit.sql_errors import TableNames

_MOST_NAMED = 12
_PATTERN_MARKS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class ExportSelection:
    """Chosen tables. `columns` are names or paths into structs (`vpc_config.vpc_id`), empty for all; `where` is SQL."""

    tables: tuple[str, ...]
    columns: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class TableSelection:
    """One table of a selection: its SQL, and the schema of its rows in the snapshot."""

    statement: Statement
    schema: pa.Schema


def choose(patterns: Sequence[str], tables: TableNames) -> tuple[str, ...]:
    """Return the tables that match the patterns, each once. Raises ConfigError for a pattern without a match."""
    own = sorted(tables.snapshot.manifest.tables)
    chosen: dict[str, None] = {}
    for pattern in patterns:
        if pattern == SCOPES_VIEW:
            raise ConfigError(f"{SCOPES_VIEW} is part of every export; for the whole ledger use `query 'FROM _scopes'`")
        found = [table for table in own if fnmatchcase(table, pattern)]
        if not found and _PATTERN_MARKS & set(pattern):
            raise ConfigError(f"{pattern!r} matches no table of the snapshot; `query 'SHOW TABLES'` lists them")
        if not found:
            raise ConfigError(tables.explain_missing(pattern))
        chosen.update(dict.fromkeys(found))
    return tuple(chosen)


def column_paths(text: str) -> tuple[str, ...]:
    """Return the columns of `a,b.c`. Raises ConfigError for an empty or repeated one."""
    paths = tuple(part.strip() for part in text.split(","))
    if not all(paths) or len(set(paths)) < len(paths):
        raise ConfigError(f"--columns {text[:80]!r} must be different names, separated by commas")
    return paths


def select_table(selection: ExportSelection, table: str, tables: TableNames) -> TableSelection:
    """Return one table's part of the selection, all columns in the order for readers.

    Raises ConfigError for an unknown column.
    """
    stored = pq.read_schema(tables.snapshot.files(table)[0])
    paths = selection.columns or tuple(reader_columns(stored.names, tables.catalog().get(table, ())))
    schema = pa.schema([_resolve_field(stored, path, table) for path in paths], stored.metadata)
    items = ", ".join(_column_sql(path, stored) for path in paths)
    lead = f'SELECT {items} FROM "{table}"'  # noqa: S608 - names of the snapshot's own, quoted
    if not selection.where:
        return TableSelection(Statement(lead, f"the SQL for {table}"), schema)
    # The line break ends a comment at the end of the user's text.
    where = Statement(selection.where, f"--where for {table}", f"{lead} WHERE (", "\n)")
    return TableSelection(where, schema)


def _resolve_field(stored: pa.Schema, path: str, table: str) -> pa.Field:
    """Return the field at a path, named by the path."""
    name, *rest = [path] if path in stored.names else path.split(".")
    found = _find_field(stored, name, f"{table} has no column")
    for step in rest:
        if not pa.types.is_struct(found.type):
            raise ConfigError(f"--columns: {found.name!r} of {table} isn't a struct, so there is no {path!r}")
        found = _find_field(found.type, step, f"{path.rpartition('.')[0]!r} of {table} has no field")
    return found.with_name(path)


def _find_field(parent: pa.Schema | pa.StructType, name: str, absent: str) -> pa.Field:
    count = len(parent) if isinstance(parent, pa.Schema) else parent.num_fields
    fields = {parent.field(number).name: parent.field(number) for number in range(count)}
    if name in fields:
        return fields[name]
    near = get_close_matches(name, fields, n=3)
    some = ", ".join(list(fields)[:_MOST_NAMED]) + (" …" if len(fields) > _MOST_NAMED else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {some}"
    raise ConfigError(f"--columns: {absent} {name[:80]!r}: {hint}")


def _column_sql(path: str, stored: pa.Schema) -> str:
    """Return SQL for the column at an existing path."""
    name, *rest = [path] if path in stored.names else path.split(".")
    item = quote_name(name)
    for step in rest:
        item = f"struct_extract({item}, {quote_text(step)})"
    return f"{item} AS {quote_name(path)}"
