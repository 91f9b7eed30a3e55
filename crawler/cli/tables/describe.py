"""What the catalog says of a table: as JSON values, as facts in words, and column by column.

Facts are text in which names of the API stand between backticks; who shows them turns those into what fits its medium.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.catalog.columns import Column
from crawler.catalog.model import (
    DETAILS_COLUMN,
    EXTRA_COLUMN,
    FIXED_COLUMNS,
    Catalog,
    DeclaredDifference,
    Operation,
    Paging,
    Parent,
)
from crawler.cli.render import rule_text
from crawler.client.rate_limit import LimitRule

Rules = Mapping[str, LimitRule]

FIXED_DESCRIPTIONS = {
    "account_id": "the account that was asked",
    "region_id": "the region that was asked",
    "snapshot_id": "the snapshot that the row belongs to",
    "fetched_at": "when the answer with this record came",
    DETAILS_COLUMN: "what became of asking for the record's details; null where nobody asked",
    EXTRA_COLUMN: "what the schema doesn't know or that doesn't fit, as JSON",
}


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column, or a field below one. `path` is dotted; `[]` in it is each item of a list, `.*` each value of a map."""

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
class Branch:
    """A table's place in its product's tree. `lead` stands before its name, `rest` before lines below the name."""

    table: str
    lead: str
    rest: str


def counts_text(catalog: Catalog, tables: Iterable[str]) -> str:
    """How many tables there are: `17 tables: 14 by default, 3 opt-in`."""
    selections = [catalog.operations[table].selection for table in tables]
    parts = [(selections.count("default"), "by default"), (selections.count("opt-in"), "opt-in")]
    parts.append((selections.count("out"), "out"))
    said = ", ".join(f"{number} {word}" for number, word in parts if number)
    return f"{len(selections)} table{'' if len(selections) == 1 else 's'}: {said}"


def column_rows(catalog: Catalog, table: str) -> list[ColumnRow]:
    """Every column of a table and the fields below it, in order."""
    operation = catalog.operations[table]
    by_name = {operation.column_names[column.wire]: column for column in operation.columns}
    parameters = {column: wire for wire, column in operation.parameter_columns.items()}
    rows: list[ColumnRow] = []
    for name in operation.row_columns:
        if name in by_name:
            rows += _below(by_name[name], name, name, 0)
        elif name in parameters:
            said = "parameter of the request, from the parent's row"
            rows.append(ColumnRow(name, name, 0, "string", wire=parameters[name], description=said))
        else:
            kind = "timestamp" if name == "fetched_at" else "string"
            rows.append(ColumnRow(name, name, 0, kind, description=FIXED_DESCRIPTIONS[name]))
    return rows


def own_column_rows(catalog: Catalog, table: str) -> list[ColumnRow]:
    """The columns that other tables don't have as well: without those that every table begins and ends with."""
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


def branches(catalog: Catalog, tables: Iterable[str]) -> list[Branch]:
    """These tables as a tree of parents and children; a table with several parents hangs from the deepest."""
    below: dict[str, list[str]] = {}
    shown = tuple(tables)
    for table in shown:
        near = [parent for parent in catalog.operations[table].parent_tables if parent in shown]
        below.setdefault(max(near, key=catalog.depth, default=""), []).append(table)
    return list(_branches(below, "", ""))


def _branches(below: Mapping[str, Sequence[str]], parent: str, indent: str) -> Iterator[Branch]:
    children = below.get(parent, ())
    for table in children:
        lead, rest = ("└ ", "  ") if table == children[-1] else ("├ ", "│ ")
        lead, rest = (indent + lead, indent + rest) if parent else ("", "")
        yield Branch(table, lead, rest + ("│ " if table in below else "  "))
        yield from _branches(below, table, rest)


def table_value(catalog: Catalog, table: str, rules: Rules) -> dict[str, Any]:
    """All that the catalog says of a table, as JSON values."""
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
        "selection": operation.selection,
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
    return {"operation": details.action, "path": details.path, "ram_action": details.ram, "bind": dict(details.bind)}


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


def facts(catalog: Catalog, table: str, rules: Rules) -> dict[str, list[str]]:
    """What is worth knowing of a table beside its columns: a label, and a line or several."""
    operation, rows = catalog.operations[table], column_rows(catalog, table)
    found = {
        "crawled": [selection_text(operation)],
        "operation": [f"{operation.product} {operation.version} `{operation.action}`"],
        "path": [f"`{operation.path}`"],
        "query": [query_text(operation)],
        "window": _window_lines(operation),
        "never sent": [_names(operation.filters)],
        "answer": [_answer_text(operation)],
        "paging": [_paging_text(operation.paging)],
        "parents": [_parent_text(parent) for parent in operation.parents] or ["none"],
        "children": [_names(catalog.children(table))],
        "key": [key_text(operation)],
        "volatile": [_volatile_text(operation)],
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


def selection_text(operation: Operation) -> str:
    """Whether a table is crawled, and why not: `default`, `opt-in: telemetry`."""
    return f"{operation.selection}: {operation.reason}" if operation.reason else operation.selection


def query_text(operation: Operation) -> str:
    """What the query always says, before a parent's values are filled in."""
    return ", ".join(f"`{name}={value}`" for name, value in operation.query.items())


def key_text(operation: Operation) -> str:
    """The columns that tell rows apart."""
    names = [f"`{name}`{' (may be null)' if name in operation.optional_key else ''}" for name in operation.key]
    return ", ".join(names) or "none: no field tells its records apart"


def _volatile_text(operation: Operation) -> str:
    return f"{_names(operation.volatile)}, made anew for every answer" if operation.volatile else ""


def ram_text(operation: Operation) -> str:
    """The RAM action, and whether it is a guess."""
    return f"`{operation.ram}`" + (" (assumed: the documentation discloses none)" if operation.is_ram_assumed else "")


def _own_rule(operation: Operation, rules: Rules) -> LimitRule | None:
    return rules.get(f"{operation.product}.{operation.action}")


def limit_text(catalog: Catalog, operation: Operation, rules: Rules) -> str:
    """The rate limit, and what counts together."""
    whose = f"all `{operation.product}` operations together"
    if _own_rule(operation, rules):
        whose = f"this operation, and within the limit of {whose}"
    return f"{rule_text(catalog, operation.table, rules)} per account and region, {whose}"


def _window_lines(operation: Operation) -> list[str]:
    window = operation.window
    if window is None:
        return []
    keys = f"`{window.begin_key}` and `{window.end_key}`"
    return [f"{keys}: the {window.hours} hours before the crawl began, as epoch seconds"]


def _answer_text(operation: Operation) -> str:
    parts = [f"records in `{'.'.join(operation.records)}`"]
    if operation.item:
        parts.append(f"each a value for the column `{operation.columns[0].name}`")
    if "object" in operation.accepts:
        parts.append("an object in place of the list is the one record")
    if "absent" in operation.accepts:
        parts.append("a missing list means no record")
    if operation.empty_codes:
        parts.append(f"the error {_names(sorted(operation.empty_codes))} means that there is no such list")
    return "; ".join(parts)


def _paging_text(paging: Paging) -> str:
    parts = [paging.style]
    if paging.output_key:
        parts.append(f"`{paging.output_key}` goes back as `{paging.input_key}`")
    elif paging.input_key:
        parts.append(f"by `{paging.input_key}`")
    if paging.limit_key:
        parts.append(f"{paging.limit} a page (`{paging.limit_key}`)")
    if paging.total_key:
        parts.append(f"the total is in `{paging.total_key}`")
    return ", ".join(parts)


def _parent_text(parent: Parent) -> str:
    parts = [f"`{wire}` is its `{path}`" for wire, path in parent.bind.items()]
    for wire, values in parent.values.items():
        also = f", and what [{parent.setting.replace('.', '] ')} adds" if parent.setting else ""
        each = "each of " if len(values) > 1 else ""
        parts.append(f"`{wire}` is {each}{', '.join(values)}{also}")
    return f"`{parent.table}`: " + "; ".join(parts)


def _details_lines(operation: Operation) -> list[str]:
    details = operation.details
    if details is None:
        return []
    asked = f"`{details.action}` at `{details.path}`, RAM action `{details.ram}`"
    return [f"{asked}: for each record, with [crawl] details only"]


def _count_text(rows: Iterable[ColumnRow], attribute: str, what: str) -> str:
    number = sum(1 for row in rows if getattr(row, attribute))
    return f"{number} column{'' if number == 1 else 's'}, {what}" if number else ""


def _difference_text(path: str, found: DeclaredDifference) -> str:
    return f"`{path}`: the SDK has {found.sdk or 'nothing'}; {found.reason}"
