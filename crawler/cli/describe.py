"""The catalog for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from crawler.catalog import EXTRA_COLUMN, Catalog
from crawler.cli.render import console, rule_text, safe, table_of
from crawler.columns import Column
from crawler.session import DEFAULT_LIMITS


def table_value(catalog: Catalog, table: str) -> dict[str, Any]:
    """All that the catalog says of a table, as JSON values."""
    operation = catalog.operations[table]
    return {
        "table": table,
        "title": operation.title,
        "product": operation.product,
        "version": operation.version,
        "operation": operation.action,
        "path": operation.path,
        "query": dict(operation.query),
        "paging": {"style": operation.paging.style, "limit": operation.paging.limit},
        "parents": list(operation.parent_tables),
        "depth": catalog.depth(table),
        "key": list(operation.key),
        "selection": operation.selection,
        "reason": operation.reason,
        "ram_action": operation.ram,
        "rate_limit": rule_text(catalog, table, DEFAULT_LIMITS),
        "source": operation.source,
        "checked": operation.checked,
        "columns": [_column_value(row) for row in column_rows(catalog, table)],
    }


def _column_value(row: Sequence[str]) -> dict[str, str]:
    return dict(zip(("name", "type", "wire", "description"), row, strict=True))


def column_rows(catalog: Catalog, table: str) -> list[tuple[str, str, str, str]]:
    """Every column and the fields below it: name, type, wire name, description; names below are dotted paths."""
    operation = catalog.operations[table]
    by_name = {operation.column_names[column.wire]: column for column in operation.columns}
    rows: list[tuple[str, str, str, str]] = []
    for field in operation.schema:
        if field.name in by_name:
            rows += _rows_below(by_name[field.name], field.name)
        else:
            rows.append((field.name, _plain_type(field), "", _fixed(field.name)))
    return rows


def _plain_type(field: Any) -> str:
    return "timestamp" if str(field.type).startswith("timestamp") else str(field.type)


def _fixed(name: str) -> str:
    return "what the schema doesn't know or that doesn't fit, as JSON" if name == EXTRA_COLUMN else ""


def _rows_below(column: Column, path: str) -> Iterable[tuple[str, str, str, str]]:
    yield path, column.type_text, column.wire, column.description
    inner = column
    while inner.kind in {"list", "map"}:
        inner, path = inner.children[0], f"{path}[]"
    if inner.kind == "struct":
        for child in inner.children:
            yield from _rows_below(child, f"{path}.{child.name}")


def print_tables(catalog: Catalog, tables: Iterable[str]) -> None:
    """Every table in a line."""
    rows = []
    for name in catalog.with_parents(tables):
        operation = catalog.operations[name]
        rows.append(
            (
                safe(name, "bold" if operation.selection == "default" else "dim"),
                f"{operation.product} {operation.action}",
                operation.paging.style,
                " ".join(operation.parent_tables),
                rule_text(catalog, name, DEFAULT_LIMITS),
                f"{len(operation.schema.names)}",
                "" if not operation.reason else f"{operation.selection}: {operation.reason}",
            )
        )
    columns = ("table", "operation", "paging", "parents", "rate limit", "columns", "")
    out = console()
    out.print(table_of(columns, rows, numbers=("columns",)))
    out.print("All about one: acs-inventory tables TABLE", style="dim")


def print_table(catalog: Catalog, table: str) -> None:
    """All about one table."""
    value, out = table_value(catalog, table), console()
    out.print(safe(table, "bold"), safe(value["title"]))
    paging = value["paging"]
    facts = {
        "operation": f"{value['product']} {value['version']} {value['operation']}",
        "request": f"GET {value['path']}" + "".join(f" {k}={v}" for k, v in value["query"].items()),
        "paging": paging["style"] + (f", {paging['limit']} a page" if paging["limit"] else ""),
        "parents": ", ".join(value["parents"]) or "none",
        "key": ", ".join(value["key"]),
        "RAM action": value["ram_action"],
        "rate limit": f"{value['rate_limit']} (per account and region, all {value['product']} operations together)",
        "source": f"{value['source']} ({value['checked']})",
    }
    for name, fact in facts.items():
        out.print(Text(f"{name:<11}", "dim") + safe(fact), soft_wrap=True)
    rows = [tuple(column.values()) for column in value["columns"]]
    out.print(table_of(("column", "type", "wire name", "description"), rows))
