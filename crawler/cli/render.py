"""What people see: tables on stdout, aligned and in colour on a terminal, plain and wide elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawler.catalog.model import Catalog
from crawler.cli.options import (
    OutputOptions,
)
from crawler.client.rate_limit import LimitRule
from crawler.text import printable

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.client.rate_limit import LimitRule

_PLAIN_WIDTH = 160


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


def console() -> Console:
    """Stdout. Width and colours are the terminal's; elsewhere there are no colours and room for long lines."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def safe(value: object, style: str = "") -> Text:
    """Text from outside, shown as it is: no markup in it counts, no control character reaches the terminal."""
    return Text(printable(str(value)), style=style)


def status_text(status: str) -> Text:
    """A status in its colour."""
    return safe(status.replace("_", " "), _STATUS_STYLES.get(status, ""))


def table_of(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", numbers: Iterable[str] = ()
) -> Table:
    """A table of texts; the columns named in `numbers` are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    right = set(numbers)
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=column in {*right, "table"}
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else safe(cell) for cell in row))
    return table


def size_text(size: int) -> str:
    """Bytes for people: 1.2 MB."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def duration_text(seconds: float) -> str:
    """Seconds for people: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rule_text(catalog: Catalog, table: str, rules: Mapping[str, LimitRule]) -> str:
    """A table's rate limit for people: `20/s, burst 5`, the operation's own or its product's."""
    operation = catalog.operations[table]
    rule = rules.get(f"{operation.product}.{operation.action}") or rules.get(operation.product) or rules["default"]
    return f"{rule.rate:g}/s, burst {rule.burst}"


def warn_of_guarded(output: OutputOptions, name: str, cells: int) -> None:
    """Say how many texts aren't as they were."""
    if cells:
        what = "1 text begins" if cells == 1 else f"{cells:,} texts begin"
        warn(output, f"{name}: {what} like a formula, and got an apostrophe; --raw-csv leaves it out")


def warn(output: OutputOptions, sentence: str) -> None:
    """A line on stderr, for people or for programs."""
    import orjson

    from crawler.text import printable

    if output.log_format == "json":
        click.echo(orjson.dumps({"event": "warning", "level": "warning", "message": sentence}).decode(), err=True)
    elif not output.is_quiet:
        click.echo(f"acs-inventory: warning: {printable(sentence)}", err=True)


def show_json(value: Any) -> None:
    """One JSON value on stdout."""
    import orjson

    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
