"""`tables` for people: the tree of tables, all about one of them, and what differs from the SDK.

A terminal gets what fits its width; elsewhere a line is as long as it must be, so that it can be searched.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crawler.catalog.model import Catalog, Operation, Product
from crawler.catalog.sdk_check import SdkDifference
from crawler.cli.render import console, rule_text, safe, table_of
from crawler.cli.tables.describe import (
    Branch,
    ColumnRow,
    Rules,
    branches,
    column_rows,
    counts_text,
    facts,
    selection_text,
)

_WIDE = 1000
# What a table needs besides its cells: between two columns, and at its edges.
_GAP = 3
_EDGES = 2
_LEAST_DESCRIPTION = 30
_SELECTION_STYLES = {"default": "green", "opt-in": "yellow", "out": "red"}
_ASSUMED = "? behind a RAM action: the documentation discloses none, this is what its siblings are called."


def _console() -> Console:
    out = console()
    return out if sys.stdout.isatty() else Console(file=sys.stdout, highlight=False, width=_WIDE)


@dataclass(frozen=True, slots=True)
class _View:
    """What is listed: `chosen` tables, among their parents; `layout` names the cells that there is room for."""

    catalog: Catalog
    chosen: Collection[str]
    rules: Rules
    layout: Sequence[str]


def print_tables(catalog: Catalog, tables: Collection[str], rules: Rules) -> None:
    """Tables as a tree, by product. Parents that aren't among them are there too, and said to be just that."""
    out, shown = _console(), catalog.with_parents(tables)
    view = _View(catalog, tables, rules, _layout(catalog, branches(catalog, shown), out.width))
    for product in catalog.products.values():
        own = [table for table in shown if catalog.operations[table].product == product.key]
        if own:
            _print_product(out, view, product, own)
    if any(catalog.operations[table].is_ram_assumed for table in shown):
        out.print(_ASSUMED, style="dim")
    out.print("All about one: acs-inventory tables TABLE", style="dim")


def _print_product(out: Console, view: _View, product: Product, shown: Sequence[str]) -> None:
    listed = [table for table in shown if table in view.chosen]
    out.print(safe(product.title, "bold"), safe(f"({product.key} {product.version})"))
    limit = (
        f"{view.rules.get(product.key, view.rules['default']).rate:g} requests/s per account and region, all together"
    )
    counted = f"{counts_text(view.catalog, listed)}; " if listed else ""
    out.print(safe(counted + limit, "dim"))
    rows = [_row(view, branch) for branch in branches(view.catalog, shown)]
    out.print(_tight(table_of(("table", "crawled", "columns", *view.layout), rows, numbers=("columns",))))
    _print_notes(out, view.catalog, listed, view.rules)


def _row(view: _View, branch: Branch) -> tuple[Text | str, ...]:
    operation = view.catalog.operations[branch.table]
    cells, style, crawled = _cells(operation), "dim", safe("parent", "dim")
    if branch.table in view.chosen:
        style = "bold" if operation.selection == "default" else ""
        crawled = safe(operation.selection, _SELECTION_STYLES[operation.selection])
    label = Text(branch.lead, "dim") + safe(branch.table, style)
    if not view.layout:
        label += Text(f"\n{branch.rest}", "dim") + safe(cells["RAM action"], "dim")
    return (label, crawled, cells["columns"], *(cells[name] for name in view.layout))


def _tight(table: Table) -> Table:
    """Only where not even the names have room is anything broken, and then those."""
    for column in table.columns:
        column.no_wrap = column.header != "table"
    return table


def _cells(operation: Operation) -> dict[str, str]:
    return {
        "columns": f"{len(operation.row_columns)}",
        "operation": operation.action,
        "paging": operation.paging.style,
        "RAM action": operation.ram + (" ?" if operation.is_ram_assumed else ""),
    }


def _layout(catalog: Catalog, shown: Iterable[Branch], width: int) -> tuple[str, ...]:
    """What there is room for beside table, selection and columns; nothing: RAM actions stand below the names."""
    rows = [(len(branch.lead + branch.table), _cells(catalog.operations[branch.table])) for branch in shown]
    least = max(length for length, _ in rows) + len("crawled") + len("columns") + 2 * _GAP + _EDGES
    for names in (("RAM action", "operation", "paging"), ("RAM action", "operation"), ("RAM action",)):
        if least + sum(_GAP + max(len(cells[name]) for _, cells in rows) for name in names) <= width:
            return names
    return ()


def _print_notes(out: Console, catalog: Catalog, tables: Iterable[str], rules: Rules) -> None:
    """Why tables aren't crawled by default, and whose operation has a limit of its own."""
    operations = [catalog.operations[table] for table in tables]
    for operation in operations:
        if operation.reason:
            _print_note(out, operation.table, selection_text(operation))
        if f"{operation.product}.{operation.action}" in rules:
            _print_note(out, operation.table, f"its own rate limit: {rule_text(catalog, operation.table, rules)}")
    out.print()


def _print_note(out: Console, table: str, text: str) -> None:
    style = _SELECTION_STYLES.get(text.partition(":")[0], "")
    out.print(Padding(Text.assemble((f"{table} ", style), safe(text)), (0, 0, 0, 2), expand=False))


def print_table(catalog: Catalog, table: str, rules: Rules) -> None:
    """All about one table."""
    operation, out = catalog.operations[table], _console()
    out.print(safe(table, "bold"), safe(operation.title))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, lines in facts(catalog, table, rules).items():
        grid.add_row(label, Text("\n").join(_plain(line) for line in lines))
    out.print(grid)
    # Not in the grid: an address that is broken into lines can't be followed.
    out.print(Text(f"source, {operation.checked}: ", "dim") + safe(operation.source), soft_wrap=True)
    out.print(_columns(column_rows(catalog, table), out.width))


def _plain(text: str) -> Text:
    """A fact, whose backticks become a style."""
    parts = text.split("`")
    return Text.assemble(*(safe(part, "cyan" if number % 2 else "") for number, part in enumerate(parts)))


def _columns(rows: Sequence[ColumnRow], width: int) -> Table:
    """The columns: fields are indented below their struct on a terminal, and have their whole path elsewhere."""
    names = [row.path if width == _WIDE else f"{'  ' * row.depth}{row.name}" for row in rows]
    longest = [max(map(len, texts)) for texts in (names, [row.type for row in rows], [row.wire for row in rows])]
    if sum(longest) + 3 * _GAP + _EDGES + _LEAST_DESCRIPTION <= width:
        cells = [(name, _type(row), row.wire, row.description) for name, row in zip(names, rows, strict=True)]
        return _wrapping_last(table_of(("column", "type", "wire name", "description"), cells))
    short = [
        (name, Text(" · ").join(filter(None, (_type(row), safe(row.wire, "cyan"), safe(row.description, "dim")))))
        for name, row in zip(names, rows, strict=True)
    ]
    return _wrapping_last(table_of(("column", "type · wire name · description"), short))


def _type(row: ColumnRow) -> Text:
    return safe(row.type, "magenta" if row.is_secret else "")


def _wrapping_last(table: Table) -> Table:
    for column in table.columns[:-1]:
        column.no_wrap = True
    return table


def print_check(versions: Mapping[str, str], findings: Sequence[SdkDifference], number: int) -> None:
    """How the catalog's tables compare with the SDK packages."""
    out = _console()
    for package, version in versions.items():
        out.print(safe(package), safe(version, "bold"))
    if not findings:
        out.print(safe(f"{number} tables are as the SDK has them, but for what their [differences] say.", "green"))
        return
    rows = [(row.subject, row.where, row.ours or "nothing", row.sdk or "nothing") for row in findings]
    out.print(table_of(("table", "where", "the catalog has", "the SDK has"), rows))
    word = "difference" if len(findings) == 1 else "differences"
    out.print(safe(f"{len(findings)} {word}. What is meant is written down in the file's [differences].", "red"))
