"""What people see: tables on stdout, aligned and in colour on a terminal, plain and wide elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crawler.catalog import Catalog
from crawler.log import printable
from crawler.ratelimit import LimitRule

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
_MAX_REASONS = 40
_PARENT = re.compile(r"Its parent \w+ is \w+: ")


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


def print_summary(summary: Mapping[str, Any]) -> None:
    """How a crawl came out: tables, what isn't complete and why, unknown fields, and one line of figures."""
    out = console()
    _print_tables(out, summary)
    print_scopes(out, summary["scopes"]["not_complete"])
    _print_unknown(out, summary["unknown_fields"])
    for warning in summary["warnings"]:
        out.print(Text("warning ", "yellow") + safe(warning))
    _print_verdict(out, summary)


def _print_tables(out: Console, summary: Mapping[str, Any]) -> None:
    if not summary["tables"]:
        return
    rows = [
        (
            table,
            f"{entry['rows']:,}",
            entry["files"],
            size_text(entry["bytes"]),
            safe(f"{entry['scopes_complete']}/{entry['scopes']}", _share_style(entry)),
        )
        for table, entry in sorted(summary["tables"].items())
    ]
    columns = ("table", "rows", "files", "size", "scopes complete")
    out.print(table_of(columns, rows, numbers=columns[1:]))


def _share_style(entry: Mapping[str, int]) -> str:
    return "green" if entry["scopes_complete"] == entry["scopes"] else "yellow"


def print_scopes(out: Console, reasons: Sequence[Mapping[str, str]]) -> None:
    """The scopes that aren't complete, and why."""
    if not reasons:
        return
    # One cause often takes several tables of a target along: they share a line.
    causes: dict[tuple[str, ...], list[str]] = {}
    for row in sorted(reasons, key=lambda row: (row["account_id"], row["region_id"])):
        why = f"{row['error_code']}: {_root_cause(row)}" if row["error_code"] else row["error_message"]
        causes.setdefault((row["account_id"], row["region_id"], row["status"], why), []).append(row["table"])
    rows = [
        (account, region, Text("\n").join(safe(table) for table in tables), status_text(status), why)
        for (account, region, status, why), tables in list(causes.items())[:_MAX_REASONS]
    ]
    out.print(table_of(("account", "region", "table", "status", "why"), rows, title="Not complete"))
    if len(causes) > _MAX_REASONS:
        out.print(f"… and {len(causes) - _MAX_REASONS} more causes; the manifest has them all.")


def _root_cause(row: Mapping[str, str]) -> str:
    """The message without the words that a child's scope puts before its parent's."""
    message = row["error_message"]
    found = _PARENT.match(message)
    return message[found.end() :] if found else message


def _print_unknown(out: Console, unknown: Mapping[str, Mapping[str, int]]) -> None:
    rows = [(table, name, f"{count:,}") for table, names in sorted(unknown.items()) for name, count in names.items()]
    if rows:
        title = "Fields that the schemas don't know (kept in _extra)"
        out.print(table_of(("table", "field", "records"), rows[:_MAX_REASONS], title=title, numbers=("records",)))


def _print_verdict(out: Console, summary: Mapping[str, Any]) -> None:
    by_status = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in _statuses(summary))
    figures = (
        f"{summary['rows']:,} rows · {summary['requests']:,} requests · {summary['retries']:,} retries · "
        f"{summary['throttled']:,} throttled · {duration_text(summary['seconds'])}"
    )
    status = summary["status"]
    if status == "none":
        out.print(Text("Nothing was committed.", "bold red"), safe(f"{summary['scopes']['total']} scopes: {by_status}"))
    else:
        out.print(
            Text("snapshot ", "bold") + safe(summary["snapshot_id"], "bold") + " is " + status_text(status),
            safe(f"· {summary['scopes']['total']} scopes: {by_status}"),
        )
    out.print(safe(figures), soft_wrap=True)
    if status != "none":
        out.print(safe(f"in {summary['uri']}"), soft_wrap=True)


def _statuses(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
    found: Mapping[str, int] = summary["scopes"]["by_status"]
    return sorted(found.items(), key=lambda item: -item[1])


def rule_text(catalog: Catalog, table: str, rules: Mapping[str, LimitRule]) -> str:
    """A table's rate limit for people: `20/s, burst 5`, the operation's own or its product's."""
    operation = catalog.operations[table]
    rule = rules.get(f"{operation.product}.{operation.action}") or rules.get(operation.product) or rules["default"]
    return f"{rule.rate:g}/s, burst {rule.burst}"
