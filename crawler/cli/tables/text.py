"""The text of `tables`: the tree of all tables, the description of one, and differences from the SDK.

On a terminal the text fits its width. Elsewhere lines are as long as needed, so that they can be searched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crawler.catalog.model import Catalog, Operation, Product
from crawler.catalog.sdk.check import SdkDifference
from crawler.cli.render import console, print_aligned, rule_text, safe
from crawler.cli.screen import Screen
from crawler.cli.tables.describe import (
    BY_PREFIX,
    ColumnRow,
    TreeRow,
    column_rows,
    counts_text,
    facts,
    selection_text,
    selection_word,
    tree_rows,
)

if TYPE_CHECKING:
    from crawler.client.rate_limit import LimitRule

# The width between two columns.
_GAP = 2
_LEAST_DESCRIPTION = 30
_SELECTION_STYLES = {"default": "green", "opt-in": "yellow", "out": "red"}
_ASSUMED = "? after a RAM action: the documentation doesn't disclose it; the name follows its siblings."


@dataclass(frozen=True, slots=True)
class _TableList:
    """A list of tables: the `chosen` ones and their parents. `layout` names the optional columns that fit.

    With `is_list`, not even the other columns fit.
    """

    catalog: Catalog
    chosen: Collection[str]
    rules: Mapping[str, LimitRule]
    layout: Sequence[str]
    is_list: bool


def print_tables(catalog: Catalog, tables: Collection[str], rules: Mapping[str, LimitRule]) -> None:
    """Print tables as a tree, by product. Their parents are included and marked as such."""
    out, shown = console(), catalog.with_parents(tables)
    layout, is_list = _layout(catalog, tree_rows(catalog, shown), out.width)
    listed = _TableList(catalog, tables, rules, layout, is_list)
    for product in catalog.products.values():
        own = [table for table in shown if catalog.operations[table].product == product.key]
        if own:
            _print_product(out, listed, product, own)
    if any(catalog.operations[table].is_ram_assumed for table in shown):
        out.print(_ASSUMED, style="dim")
    out.print("Details of a table: acs-inventory tables TABLE", style="dim")


def _print_product(out: Screen, tables: _TableList, product: Product, shown: Sequence[str]) -> None:
    listed = [table for table in shown if table in tables.chosen]
    out.print(safe(product.title, "bold"), safe(f"({product.key} {product.version})"))
    rule = tables.rules.get(product.key, tables.rules["default"])
    limit = f"{rule.rate:g} requests/s per account and region, all operations together"
    counted = f"{counts_text(tables.catalog, listed)}; " if listed else ""
    out.print(safe(counted + limit, "dim"))
    if not product.is_default:
        out.print(
            safe(f"not among the default tables: a pattern that begins with {product.prefix} chooses them", "dim")
        )
    rows = [_row(tables, node) for node in tree_rows(tables.catalog, shown)]
    if tables.is_list:
        _print_list(out, rows)
    else:
        print_aligned(out, ("table", "crawled", "columns", *tables.layout), rows, numbers=("columns",))
    _print_notes(out, tables.catalog, listed, tables.rules)


def _print_list(out: Screen, rows: Iterable[Sequence[Text | str]]) -> None:
    """Print each table as two lines, for terminals that are too narrow for a name and its values."""
    out.print()
    for label, crawled, *_ in rows:
        out.print(Text(" · ").join(cell if isinstance(cell, Text) else safe(cell) for cell in (label, crawled)))
    out.end_block()


def _row(tables: _TableList, node: TreeRow) -> tuple[Text | str, ...]:
    operation = tables.catalog.operations[node.table]
    cells, style, crawled = _cells(operation), "dim", safe("parent", "dim")
    if node.table in tables.chosen:
        style = "bold" if operation.selection == "default" else ""
        crawled = safe(selection_word(tables.catalog, operation), _SELECTION_STYLES[operation.selection])
    label = Text(node.lead, "dim") + safe(node.table, style)
    if not tables.layout:
        label += Text(f"\n{node.rest}", "dim") + safe(cells["RAM action"], "dim")
    return (label, crawled, cells["columns"], *(cells[name] for name in tables.layout))


def _cells(operation: Operation) -> dict[str, str]:
    return {
        "columns": f"{len(operation.row_columns)}",
        "operation": operation.action,
        "paging": operation.paging.style,
        "RAM action": operation.ram + (" ?" if operation.is_ram_assumed else ""),
    }


def _layout(catalog: Catalog, shown: Iterable[TreeRow], width: int) -> tuple[tuple[str, ...], bool]:
    """Return the optional columns that fit, and whether no other column fits beside the names.

    Without optional columns, RAM actions are printed below the names.
    """
    rows = [(len(node.lead + node.table), _cells(catalog.operations[node.table])) for node in shown]
    least = max(length for length, _ in rows) + len(BY_PREFIX) + len("columns") + 2 * _GAP
    for names in (("RAM action", "operation", "paging"), ("RAM action", "operation"), ("RAM action",)):
        if least + sum(_GAP + max(len(cells[name]) for _, cells in rows) for name in names) <= width:
            return names, False
    return (), least > width


def _print_notes(out: Screen, catalog: Catalog, tables: Iterable[str], rules: Mapping[str, LimitRule]) -> None:
    """Print the reasons of tables that aren't crawled by default, and the limits of single operations."""
    operations = [catalog.operations[table] for table in tables]
    for operation in operations:
        if operation.reason:
            _print_note(out, operation.table, selection_text(catalog, operation))
        if f"{operation.product}.{operation.action}" in rules:
            _print_note(out, operation.table, f"own rate limit: {rule_text(catalog, operation.table, rules)}")
    out.print()


def _print_note(out: Screen, table: str, text: str) -> None:
    style = _SELECTION_STYLES.get(text.partition(":")[0], "")
    out.print(Padding(Text.assemble((f"{table} ", style), safe(text)), (0, 0, 0, 2), expand=False))


def print_table(catalog: Catalog, table: str, rules: Mapping[str, LimitRule]) -> None:
    """Print the description of a table."""
    operation, out = catalog.operations[table], console()
    out.print(safe(table, "bold"), safe(operation.title))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, lines in facts(catalog, table, rules).items():
        grid.add_row(label, Text("\n").join(_plain(line) for line in lines))
    out.print(grid)
    # Not in the grid, because a URL must not be broken into lines.
    out.print(Text(f"source, {operation.checked}: ", "dim") + safe(operation.source), soft_wrap=True)
    _print_columns(out, column_rows(catalog, table))


def _plain(text: str) -> Text:
    """Return a fact as text, with backticks rendered as a colour."""
    parts = text.split("`")
    return Text.assemble(*(safe(part, "cyan" if number % 2 else "") for number, part in enumerate(parts)))


def _print_columns(out: Screen, rows: Sequence[ColumnRow]) -> None:
    """Print the columns of a table. Fields are indented on a terminal, and have their full path elsewhere."""
    names = [f"{'  ' * row.depth}{row.name}" if out.fits_terminal else row.path for row in rows]
    longest = [max(map(len, texts)) for texts in (names, [row.type for row in rows], [row.wire for row in rows])]
    if sum(longest) + 3 * _GAP + _LEAST_DESCRIPTION <= out.width:
        cells = [(name, _type(row), row.wire, row.description) for name, row in zip(names, rows, strict=True)]
        print_aligned(out, ("column", "type", "wire name", "description"), cells, folding=("description",))
        return
    short = [
        (name, Text(" · ").join(filter(None, (_type(row), safe(row.wire, "cyan"), safe(row.description, "dim")))))
        for name, row in zip(names, rows, strict=True)
    ]
    rest = "type · wire name · description"
    print_aligned(out, ("column", rest), short, folding=(rest,), names=("column",))


def _type(row: ColumnRow) -> Text:
    return safe(row.type, "magenta" if row.is_secret else "")


def print_check(versions: Mapping[str, str], differences: Sequence[SdkDifference], number: int) -> None:
    """Print the differences between the catalog and the SDK packages."""
    out = console()
    for package, version in versions.items():
        out.print(safe(package), safe(version, "bold"))
    if not differences:
        out.print(safe(f"{_counted(number)} with the SDK, except for the [differences] of their files.", "green"))
        return
    rows = [(row.subject, row.where, row.ours or "nothing", row.sdk or "nothing") for row in differences]
    columns = ("table", "where", "the catalog has", "the SDK has")
    print_aligned(out, columns, rows, folding=columns[1:])
    word = "difference" if len(differences) == 1 else "differences"
    out.print(safe(f"{len(differences)} {word}. Intended ones belong in [differences] of the table's file.", "red"))


def _counted(number: int) -> str:
    return "1 table agrees" if number == 1 else f"{number} tables agree"
