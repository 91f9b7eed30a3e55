"""A comparison for people: counts by table, the first differences by account and region, and what nobody can tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crawler.audit.diff.columns import SCOPE_COLUMNS
from crawler.audit.diff.comparison import Difference, Kind, TableChanges
from crawler.cli.crawl_summary import print_scopes
from crawler.cli.render import console, safe, table_of
from crawler.snapshot import Manifest

MOST_READ = 500  # differences of one table, so that the shown ones can be shared out
_MOST_SHOWN = 120
_LONGEST = 80
_WIDEST_PATH = 40
_GAP, _EDGES = 3, 2
_MARKS: Mapping[Kind, tuple[str, str]] = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
# Text that nobody takes for a number, null, true or false, nor for several words.
_BARE = re.compile(r"(?!(?:null|true|false|-?[\d.]+(?:[eE][+-]?\d+)?)$)[\w.:/@+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shown:
    """One difference that is shown, with its table."""

    table: str
    difference: Difference

    @property
    def where(self) -> tuple[str, str]:
        """Account and region."""
        key = self.difference.key
        return str(key["account_id"]), str(key["region_id"])


def choose(changes: Sequence[TableChanges], most: int) -> list[Shown]:
    """So many differences that each table has its share, by account, region and table."""
    each = most
    while each > 1 and sum(min(each, len(table.shown)) for table in changes) > most:
        each -= 1
    chosen = [Shown(table.table, difference) for table in changes for difference in table.shown[:each]]
    return sorted(chosen, key=lambda shown: (shown.where, shown.table))


def value_text(value: Any, longest: int = _LONGEST) -> str:
    """A value as JSON, words without their quotation marks; cut where it is long."""
    is_bare = isinstance(value, str) and _BARE.fullmatch(value) is not None
    text = value if is_bare else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def key_text(key: Mapping[str, Any], longest: int = _LONGEST) -> str:
    """What tells a row apart within its account and region."""
    return (
        " / ".join(value_text(value, longest) for name, value in key.items() if name not in SCOPE_COLUMNS) or "the row"
    )


def sentence(changes: Sequence[TableChanges]) -> str:
    """How much differs in how many tables."""
    total = {kind: sum(table.counts.get(kind, 0) for table in changes) for kind in _MARKS}
    tables = "1 table" if len(changes) == 1 else f"{len(changes)} tables"
    if not any(total.values()):
        return f"No differences in {tables}" + (", as far as that is known." if has_unknown(changes) else ".")
    counts = ", ".join(f"{number:,} {kind}" for kind, number in total.items() if number)
    return f"{counts} in {tables}."


def has_unknown(changes: Iterable[TableChanges]) -> bool:
    """Whether anything isn't known."""
    return any(table.has_unknown for table in changes)


def rest_text(changes: Sequence[TableChanges], shown: Sequence[Shown]) -> str:
    """What is left out of what is shown; empty where nothing is."""
    left = sum(table.total for table in changes) - len(shown)
    return f"… and {left:,} more; --table shows more of one table, --json has them all." if left else ""


def reasons(changes: Iterable[TableChanges]) -> list[dict[str, str]]:
    """The scopes that aren't known, with what they were on both sides, as `outcome.print_scopes` takes them."""
    return [
        {
            "account_id": pair.account_id,
            "region_id": pair.region_id,
            "table": table.table,
            "status": pair.status,
            "error_code": "",
            "error_message": f"{pair.old} → {pair.new}".replace("_", " "),
        }
        for table in changes
        for pair in table.unknown_scopes
    ]


def column_notes(changes: Iterable[TableChanges]) -> Iterator[tuple[str, str, str]]:
    """Table, path and why it isn't known or compared."""
    for table in changes:
        for path, why in sorted({**table.not_compared, **table.unknown_columns}.items()):
            yield table.table, path, why


def print_differences(old: Manifest, new: Manifest, changes: Sequence[TableChanges], most: int = _MOST_SHOWN) -> None:
    """All of it on stdout, but at most so many differences one by one."""
    out = console()
    out.print(
        Text.assemble((old.snapshot_id, "bold"), f" ({old.status}) → ", (new.snapshot_id, "bold"), f" ({new.status})")
    )
    _print_counts(out, changes)
    shown = choose(changes, most)
    for (account, region), of_target in groupby(shown, key=lambda one: one.where):
        out.print(Text.assemble(("\n" + account, "bold"), " in ", (region, "bold")))
        for table, of_table in groupby(of_target, key=lambda one: one.table):
            out.print(Padding(safe(table, "cyan"), (0, 0, 0, 2), expand=False))
            for one in of_table:
                _print_difference(out, one.difference)
    if rest := rest_text(changes, shown):
        out.print(safe(rest, "dim"))
    if shown:
        out.print()
    print_scopes(out, reasons(changes), "Not known what came and went")
    for table, path, why in column_notes(changes):
        out.print(Text.assemble(("not compared ", "yellow"), safe(f"{table}.{path}: {why}")))
    out.print(safe(sentence(changes), "bold"))


def _print_counts(out: Console, changes: Sequence[TableChanges]) -> None:
    rows = [
        (table.table, *(_number(table.counts.get(kind, 0)) for kind in _MARKS), _number(len(table.unknown_scopes)))
        for table in changes
        if table.total or table.has_unknown
    ]
    if not rows:
        return
    heads: tuple[str, ...] = (*_MARKS, "scopes not known")
    longest = max(len(row[0]) for row in rows)
    is_narrow = longest + sum(map(len, heads)) + _GAP * len(heads) + _EDGES > out.width
    if is_narrow:
        heads = (*(mark for mark, _ in _MARKS.values()), "?")
    table = table_of(("table", *heads), rows, numbers=heads)
    for number, column in enumerate(table.columns):
        # A number that is cut would be another one.
        column.no_wrap, column.min_width = number > 0, max(len(row[number]) for row in rows) if number else None
    out.print(table)
    if is_narrow:
        out.print(safe("+ added, - removed, ~ changed, ? scopes where that isn't known", "dim"))


def _number(number: int) -> str:
    return f"{number:,}" if number else ""


def _print_difference(out: Console, difference: Difference) -> None:
    mark, style = _MARKS[difference.kind]
    line = Text.assemble((f"{mark} ", style), safe(key_text(difference.key), style))
    out.print(Padding(line, (0, 0, 0, 4), expand=False))
    if difference.columns:
        grid = Table.grid(padding=(0, 2, 0, 0))
        longest = max(map(len, difference.columns))
        grid.add_column(overflow="fold", style="dim", min_width=min(longest, _WIDEST_PATH), max_width=_WIDEST_PATH)
        grid.add_column(overflow="fold")
        for path, (before, after) in difference.columns.items():
            grid.add_row(safe(path), safe(f"{value_text(before)} → {value_text(after)}"))
        out.print(Padding(grid, (0, 0, 0, 8), expand=False))
