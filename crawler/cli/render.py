"""Text for people on stdout: aligned and coloured on a terminal, plain and wide elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from crawler.cli.screen import Screen, TextTable
from crawler.text import escape_control

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule

_STATUS_STYLES = {
    "complete": "green",
    "partial": "yellow",
    "unsupported": "dim",
    "truncated": "yellow",
    "unstable": "yellow",
    "not_attempted": "yellow",
    "denied": "red",
    "failed": "red",
    "none": "red",
}


def console() -> Screen:
    """Return a console for stdout."""
    return Screen(sys.stdout)


def safe(value: object, style: str = "") -> Text:
    """Return external text with control characters escaped and without interpreting markup."""
    return Text(shown_text(str(value)), style=style)


def shown_text(text: str) -> str:
    """Return external text with the escapes of control characters, and of characters that stdout's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    return escape_control(text).encode(encoding, "backslashreplace").decode(encoding)


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return safe(status.replace("_", " "), _STATUS_STYLES.get(status, ""))


def print_aligned(
    out: Screen,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    numbers: Iterable[str] = (),
    folding: Iterable[str] = (),
    expendable: Sequence[str] = (),
    names: Iterable[str] = ("table",),
) -> None:
    """Print a table that fits the terminal, see `TextTable`. Without rows it prints nothing."""
    cells = [[cell if isinstance(cell, Text) else safe(cell) for cell in row] for row in rows]
    out.print_table(TextTable(columns, cells, title, tuple(numbers), tuple(folding), expendable, tuple(names)))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, such as `1 table` and `1,200 tables`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size_text(size: int) -> str:
    """Return a number of bytes as text such as 1.2 MB."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def duration_text(seconds: float) -> str:
    """Return seconds as text such as 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rule_text(catalog: Catalog, table: str, rules: Mapping[str, LimitRule]) -> str:
    """Return the rate limit of a table's operation, or else of its product, as text such as `20/s, burst 5`."""
    operation = catalog.operations[table]
    rule = rules.get(f"{operation.product}.{operation.action}") or rules.get(operation.product) or rules["default"]
    return f"{rule.rate:g}/s, burst {rule.burst}"
