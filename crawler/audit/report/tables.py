"""Sortable tables with a filter: the first rows as HTML, all rows as JSON for the page's script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crawler.audit.report.markup import Html, breakable, element, is_address, joined, printable_text, verbatim

OWNER = "owner"

CellValue = str | int | float | bool | None
Row = tuple[CellValue, ...]

# Rows that are shown at first, and all that is shown without the script; rows of a table in print.
FIRST_ROWS = 10
PRINTED_ROWS = 1000
# The largest exact integer in JavaScript.
_LARGEST_EXACT = 2**53 - 1
_LABELS = {"account_id": "account", "region_id": "region"}
# Columns with short values, shown without line breaks.
_TIGHT = frozenset({"account_id", "region_id", "what", "status", "product", "runtime", "severity"})
# Columns of findings whose https addresses are links.
_LINKED = re.compile(r"(?:.*_)?(?:address|url)")
# Characters that could end a script element, or that some parsers take for line ends.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table's columns and rows. `total` is larger than the number of rows if only the first are in the file.

    `has_heading`: whether the caption is shown above the table; otherwise only screen readers have it. `is_finding`:
    the rows are those of a finding, with links and owners.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[CellValue]]
    total: int = 0
    has_heading: bool = True
    is_finding: bool = False

    @property
    def left_out(self) -> int:
        """The number of rows that aren't in the file."""
        return max(0, self.total - len(self.rows))


def data_table(table: DataTable) -> Html:
    """Return the table with its first rows, and its data for the script."""
    kinds = [_column_class(table, at) for at in range(len(table.columns))]
    labels = [label(column) for column in table.columns]
    head = [element("th", name, scope="col", class_=kind) for name, kind in zip(labels, kinds, strict=True)]
    body = [_row(row, labels, kinds) for row in table.rows[:FIRST_ROWS]]
    grid = element(
        "table",
        element("caption", table.caption),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    return element(
        "div",
        element("h3", table.caption) if table.has_heading else None,
        element("div", grid, class_="scroll", tabindex=0, role="region", aria_label=table.caption),
        _row_note(table),
        _data_script(table, labels, kinds),
        class_="data",
        data_table=table.name,
        data_first=FIRST_ROWS,
        data_printed=PRINTED_ROWS,
    )


def optional_table(
    name: str,
    caption: str,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[CellValue]],
    max_rows: int,
    missing: int = 0,
) -> Html | None:
    """Return a table of at most `max_rows` rows, None without rows; `missing` counts rows that weren't read."""
    return data_table(DataTable(name, caption, columns, rows[:max_rows], len(rows) + missing)) if rows else None


def label(column: str) -> str:
    """Return a column's heading: `function_name` → `function name`."""
    return _LABELS.get(column, column.replace("_", " "))


def display_text(value: CellValue) -> str:
    """Return a value as shown; the script shows it in the same way."""
    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def json_text(value: Any) -> str:
    """Return JSON that is safe inside a script element."""
    import msgspec

    return msgspec.json.encode(value).decode().translate(_ESCAPES)


def _row(row: Sequence[CellValue], labels: Sequence[str], kinds: Sequence[str | None]) -> Html:
    cells = [
        element("td", _cell(value, kind), data_label=name, class_=kind)
        for value, name, kind in zip(row, labels, kinds, strict=True)
    ]
    return element("tr", *cells)


def _cell(value: CellValue, kind: str | None) -> Html:
    shown = breakable(display_text(value))
    if kind == "address" and is_address(value):
        return element("a", shown, href=str(value), rel="noopener noreferrer", target="_blank")
    return shown


def _row_note(table: DataTable) -> Html | None:
    hidden = len(table.rows) - FIRST_ROWS
    parts = []
    if hidden > 0:
        parts.append(
            element("span", f"The first {FIRST_ROWS} of {len(table.rows):,} rows.", class_="count"),
        )
    if table.left_out:
        parts.append(
            element("strong", f"This file has {len(table.rows):,} of {table.total:,} rows; `query` has all of them."),
        )
    return element("p", joined(parts, " "), class_="note") if parts else None


def _data_script(table: DataTable, labels: Sequence[str], kinds: Sequence[str | None]) -> Html:
    columns = [[name, kind or ""] for name, kind in zip(labels, kinds, strict=True)]
    rows = [[_json_cell(value) for value in row] for row in table.rows]
    return verbatim("script", json_text({"columns": columns, "rows": rows}), type="application/json")


def _json_cell(value: CellValue) -> CellValue:
    if isinstance(value, str):
        return printable_text(value)
    if isinstance(value, int) and abs(value) > _LARGEST_EXACT:
        return f"{value:,}"
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value


def _column_class(table: DataTable, at: int) -> str | None:
    """Return a column's class: `number` (right-aligned), `tight` (no line breaks), `address` (links), or `owner`."""
    values = [row[at] for row in table.rows if row[at] is not None]
    if values and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return "number"
    name = table.columns[at]
    if name in _TIGHT:
        return "tight"
    if table.is_finding and (name == OWNER or _LINKED.fullmatch(name)):
        return OWNER if name == OWNER else "address"
    return None
