"""Descriptions of a table in the catalog: as JSON values, as facts in words, and as rows of columns.

In facts, names of the API are between backticks; the caller renders these for its medium.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.catalog.columns import Column
from crawler.catalog.model import (
    DETAILS_COLUMN,
    EXTRA_COLUMN,
    FIXED_COLUMNS,
    WHOLE_ANSWER,
    WHOLE_LIST,
    Catalog,
    DeclaredDifference,
    Operation,
    Paging,
    Parent,
)
from crawler.cli.render import rule_text

if TYPE_CHECKING:
    from crawler.client.rate_limit import LimitRule

# The selection of a default table whose product a pattern must name by its prefix.
BY_PREFIX = "by prefix"

FIXED_DESCRIPTIONS = {
    "account_id": "ID of the account",
    "region_id": "ID of the region",
    "snapshot_id": "ID of the snapshot",
    "fetched_at": "time of the response with this record",
    DETAILS_COLUMN: "result of the request for the record's details; null without such a request",
    EXTRA_COLUMN: "values that aren't in the schema or don't fit it, as JSON",
}


_WHOLE: Mapping[tuple[str, ...], str] = {
    WHOLE_ANSWER: "the answer is the one record",
    WHOLE_LIST: "the answer is the list of records",
}


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column or a field in it. `path` is dotted; `[]` is each item of a list, `.*` each value of a map."""

    path: str
    name: str
    depth: int
    type: str
    wire: str = ""
    unit: str = ""
    description: str = ""
    is_secret: bool = False
    is_embedded: bool = False


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A table in the tree of its product. `lead` is the indent before its name, `rest` before the lines below."""

    table: str
    lead: str
    rest: str


def counts_text(catalog: Catalog, tables: Iterable[str]) -> str:
    """Return the number of tables by selection: `17 tables: 14 by default, 3 opt-in`."""
    selections = [selection_word(catalog, catalog.operations[table]) for table in tables]
    words = {"default": "by default", BY_PREFIX: BY_PREFIX, "opt-in": "opt-in", "out": "out"}
    parts = [(selections.count(selection), word) for selection, word in words.items()]
    counts = ", ".join(f"{number} {word}" for number, word in parts if number)
    return f"{len(selections)} table{'' if len(selections) == 1 else 's'}: {counts}"


def column_rows(catalog: Catalog, table: str) -> list[ColumnRow]:
    """Return all columns of a table and the fields in them, in order."""
    operation = catalog.operations[table]
    by_name = {operation.column_names[column.wire]: column for column in operation.columns}
    parameters = {column: wire for wire, column in operation.parameter_columns.items()}
    rows: list[ColumnRow] = []
    for name in operation.row_columns:
        if name in by_name:
            rows += _below(by_name[name], name, name, 0)
        elif name in parameters:
            description = "parameter of the request, from the parent's row"
            rows.append(ColumnRow(name, name, 0, "string", wire=parameters[name], description=description))
        else:
            kind = "timestamp" if name == "fetched_at" else "string"
            rows.append(ColumnRow(name, name, 0, kind, description=FIXED_DESCRIPTIONS[name]))
    return rows


def own_column_rows(catalog: Catalog, table: str) -> list[ColumnRow]:
    """Return the columns of a table without those that every table has."""
    common = {*FIXED_COLUMNS, EXTRA_COLUMN}
    return [row for row in column_rows(catalog, table) if row.path not in common]


def _below(column: Column, path: str, name: str, depth: int) -> Iterator[ColumnRow]:
    inner, inner_path, is_embedded = column, path, column.is_embedded
    while inner.kind in {"list", "map"}:
        inner_path += "[]" if inner.kind == "list" else ".*"
        inner = inner.children[0]
        is_embedded = is_embedded or inner.is_embedded
    yield ColumnRow(
        path,
        name,
        depth,
        column.type_text,
        column.wire,
        inner.unit,
        column.description or inner.description,
        inner.secret,
        is_embedded,
    )
    if inner.kind == "struct":
        for child in inner.children:
            yield from _below(child, f"{inner_path}.{child.name}", child.name, depth + 1)


def tree_rows(catalog: Catalog, tables: Iterable[str]) -> list[TreeRow]:
    """Return the tables as a tree of parents and children. A table with several parents is below the deepest one."""
    below: dict[str, list[str]] = {}
    shown = tuple(tables)
    for table in shown:
        near = [parent for parent in catalog.operations[table].parent_tables if parent in shown]
        below.setdefault(max(near, key=catalog.depth, default=""), []).append(table)
    return list(_tree_rows(below, "", ""))


def _tree_rows(below: Mapping[str, Sequence[str]], parent: str, indent: str) -> Iterator[TreeRow]:
    children = below.get(parent, ())
    for table in children:
        lead, rest = ("└ ", "  ") if table == children[-1] else ("├ ", "│ ")
        lead, rest = (indent + lead, indent + rest) if parent else ("", "")
        yield TreeRow(table, lead, rest + ("│ " if table in below else "  "))
        yield from _tree_rows(below, table, rest)


def table_value(catalog: Catalog, table: str, rules: Mapping[str, LimitRule]) -> dict[str, Any]:
    """Return the description of a table as JSON values."""
    operation, rows = catalog.operations[table], column_rows(catalog, table)
    return {
        "table": table,
        "title": operation.title,
        "product": operation.product,
        "version": operation.version,
        **_request_value(operation),
        "parents": list(operation.parent_tables),
        "parent_bindings": [_parent_value(parent) for parent in operation.parents],
        "children": list(catalog.children(table)),
        "depth": catalog.depth(table),
        "key": list(operation.key),
        "optional_key": [name for name in operation.key if name in operation.optional_key],
        "volatile": list(operation.volatile),
        "short_lived": operation.short_lived,
        "selection": operation.selection,
        "asked_for_by": asked_for_by(catalog, operation),
        "reason": operation.reason,
        "ram_action": operation.ram,
        "ram_assumed": operation.is_ram_assumed,
        "rate_limit": rule_text(catalog, table, rules),
        "rate_limit_of": "operation" if _own_rule(operation, rules) else "product",
        "details": _details_value(operation),
        "differences": {
            path: {"sdk": found.sdk, "reason": found.reason} for path, found in operation.differences.items()
        },
        "source": operation.source,
        "checked": operation.checked,
        "secrets": [row.path for row in rows if row.is_secret],
        "embedded": [row.path for row in rows if row.is_embedded],
        "columns": [_column_value(row) for row in rows],
    }


def _request_value(operation: Operation) -> dict[str, Any]:
    paging, window = operation.paging, operation.window
    return {
        "operation": operation.action,
        "method": operation.method,
        "path": operation.path,
        "query": dict(operation.query),
        "filters": list(operation.filters),
        "window": {"begin": window.begin_key, "end": window.end_key, "hours": window.hours} if window else None,
        "records": ".".join(operation.records),
        "item": operation.item,
        "accepts": sorted(operation.accepts),
        "empty_codes": sorted(operation.empty_codes),
        "envelope": sorted(operation.envelope),
        "paging": {
            "style": paging.style,
            "limit": paging.limit,
            "limit_key": paging.limit_key,
            "input_key": paging.input_key,
            "output_key": paging.output_key,
            "total_key": paging.total_key,
            "more_key": paging.more_key,
        },
    }


def _parent_value(parent: Parent) -> dict[str, Any]:
    return {
        "table": parent.table,
        "bind": dict(parent.bind),
        "values": {name: list(values) for name, values in parent.values.items()},
        "setting": parent.setting,
    }


def _details_value(operation: Operation) -> dict[str, Any] | None:
    details = operation.details
    if details is None:
        return None
    return {
        "operation": details.action,
        "method": details.method,
        "path": details.path,
        "query": dict(details.query),
        "records": ".".join(details.records),
        "ram_action": details.ram,
        "bind": dict(details.bind),
        "always": details.is_always,
    }


def _column_value(row: ColumnRow) -> dict[str, Any]:
    return {
        "name": row.path,
        "type": row.type,
        "wire": row.wire,
        "description": row.description,
        "unit": row.unit,
        "secret": row.is_secret,
        "embedded": row.is_embedded,
    }


def facts(catalog: Catalog, table: str, rules: Mapping[str, LimitRule]) -> dict[str, list[str]]:
    """Return the facts about a table except its columns: one or more lines per label."""
    operation, rows = catalog.operations[table], column_rows(catalog, table)
    found = {
        "crawled": [selection_text(catalog, operation), _asked_text(catalog, operation)],
        "operation": [f"{operation.product} {operation.version} `{operation.action}`"],
        "path": [f"`{operation.path}`" if operation.method == "GET" else f"`{operation.method} {operation.path}`"],
        "query": [query_text(operation)],
        "window": _window_lines(operation),
        "never sent": [_names(operation.filters)],
        "answer": [_answer_text(operation)],
        "paging": [_paging_text(operation.paging)],
        "parents": [_parent_text(parent) for parent in operation.parents] or ["none"],
        "children": [_names(catalog.children(table))],
        "key": [key_text(operation)],
        "volatile": [_volatile_text(operation)],
        "lifetime": [_SHORT_LIVED if operation.short_lived else ""],
        "RAM action": [ram_text(operation)],
        "details": _details_lines(operation),
        "rate limit": [limit_text(catalog, operation, rules)],
        "secrets": [_count_text(rows, "is_secret", "whose values become fingerprints")],
        "embedded": [_count_text(rows, "is_embedded", "parsed from JSON text inside a string")],
        "differences": [_difference_text(path, found) for path, found in operation.differences.items()],
    }
    return {label: lines for label, texts in found.items() if (lines := [text for text in texts if text])}


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def selection_word(catalog: Catalog, operation: Operation) -> str:
    """Return `default`, `by prefix`, `opt-in` or `out`: `*` chooses only the tables that say `default`."""
    is_aside = operation.selection == "default" and asked_for_by(catalog, operation)
    return BY_PREFIX if is_aside else operation.selection


def selection_text(catalog: Catalog, operation: Operation) -> str:
    """Return the selection of a table with its reason: `default`, `opt-in: telemetry`."""
    word = selection_word(catalog, operation)
    return f"{word}: {operation.reason}" if operation.reason else word


def asked_for_by(catalog: Catalog, operation: Operation) -> str:
    """Return the text that a pattern must begin with to choose a table; empty if any pattern that matches does."""
    product = catalog.products[operation.product]
    return "" if product.is_default else product.prefix


def _asked_text(catalog: Catalog, operation: Operation) -> str:
    prefix = asked_for_by(catalog, operation)
    return f"chosen only by a pattern that begins with `{prefix}`" if prefix else ""


def query_text(operation: Operation) -> str:
    """Return the constant parameters of the query."""
    return ", ".join(f"`{name}={value}`" for name, value in operation.query.items())


def key_text(operation: Operation) -> str:
    """Return the columns of the key."""
    names = [f"`{name}`{' (may be null)' if name in operation.optional_key else ''}" for name in operation.key]
    return ", ".join(names) or "none: no field identifies its records"


_SHORT_LIVED = "its resources exist for minutes; `diff` counts their differences apart"


def _volatile_text(operation: Operation) -> str:
    return f"{_names(operation.volatile)}, generated for each response" if operation.volatile else ""


def ram_text(operation: Operation) -> str:
    """Return the RAM action, and whether it is assumed."""
    return f"`{operation.ram}`" + (" (assumed: the documentation discloses none)" if operation.is_ram_assumed else "")


def _own_rule(operation: Operation, rules: Mapping[str, LimitRule]) -> LimitRule | None:
    return rules.get(f"{operation.product}.{operation.action}")


def limit_text(catalog: Catalog, operation: Operation, rules: Mapping[str, LimitRule]) -> str:
    """Return the rate limit, and the operations that share it."""
    shared = f"all `{operation.product}` operations together"
    if _own_rule(operation, rules):
        shared = f"this operation, and within the limit of {shared}"
    return f"{rule_text(catalog, operation.table, rules)} per account and region, {shared}"


def _window_lines(operation: Operation) -> list[str]:
    window = operation.window
    if window is None:
        return []
    keys = f"`{window.begin_key}` and `{window.end_key}`"
    return [f"{keys}: the {window.hours} hours before the start of the crawl, in epoch seconds"]


def _answer_text(operation: Operation) -> str:
    parts = [_WHOLE.get(operation.records) or f"records in `{'.'.join(operation.records)}`"]
    if operation.item:
        parts.append(f"each one is a value of the column `{operation.columns[0].name}`")
    if "object" in operation.accepts:
        parts.append("an object in place of the list is a single record")
    if "absent" in operation.accepts:
        parts.append("a missing list means no records")
    if operation.empty_codes:
        parts.append(f"the error {_names(sorted(operation.empty_codes))} means that the list doesn't exist")
    return "; ".join(parts)


def _paging_text(paging: Paging) -> str:
    parts = [paging.style]
    if paging.output_key:
        parts.append(f"`{paging.output_key}` is sent as `{paging.input_key}`")
    elif paging.input_key:
        parts.append(f"by `{paging.input_key}`")
    if paging.limit_key:
        parts.append(f"{paging.limit} per page (`{paging.limit_key}`)")
    if paging.total_key:
        parts.append(f"total in `{paging.total_key}`")
    if paging.more_key:
        parts.append(f"`{paging.more_key}` says whether there is another page")
    return ", ".join(parts)


def _parent_text(parent: Parent) -> str:
    parts = [f"`{wire}` is its `{path}`" for wire, path in parent.bind.items()]
    for wire, values in parent.values.items():
        also = f", and the values of [{parent.setting.replace('.', '] ')}" if parent.setting else ""
        each = "each of " if len(values) > 1 else ""
        parts.append(f"`{wire}` is {each}{', '.join(values)}{also}")
    return f"`{parent.table}`: " + "; ".join(parts)


def _details_lines(operation: Operation) -> list[str]:
    details = operation.details
    if details is None:
        return []
    given = ", ".join(f"`{name}={value}`" for name, value in details.query.items())
    place = f"`{details.path}`" + (f" with {given}" if given else "")
    when = "for each record" if details.is_always else "per record, with [crawl] details only"
    return [f"`{details.action}` at {place}, RAM action `{details.ram}`: {when}"]


def _count_text(rows: Iterable[ColumnRow], attribute: str, meaning: str) -> str:
    number = sum(1 for row in rows if getattr(row, attribute))
    return f"{number} column{'' if number == 1 else 's'}, {meaning}" if number else ""


def _difference_text(path: str, found: DeclaredDifference) -> str:
    return f"`{path}`: the SDK has {found.sdk or 'nothing'}; {found.reason}"
