"""The differences of two snapshots as text: counts by table, the first differences, and unknown scopes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crawler.audit.column_order import SCOPE_COLUMNS
from crawler.audit.diff.comparison import ChangeKind, Difference, TableChanges
from crawler.cli.gap_text import print_scopes
from crawler.cli.render import console, print_aligned, safe
from crawler.cli.screen import Screen
from crawler.snapshot import Manifest
from crawler.text import account_label

MOST_READ = 500  # differences per table; `choose` distributes the shown ones over the tables
_MOST_SHOWN = 120
_LONGEST = 80
_WIDEST_PATH = 40
_GAP = 2
_INDENT = 8
# The width of a fingerprint and an arrow: less would break values.
_LEAST_VALUE = 24
_MARKS: Mapping[ChangeKind, tuple[str, str]] = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
}
# Text that can't be confused with a number, null, true, false or several words, and needs no quotes.
_UNQUOTED = re.compile(r"(?!(?:null|true|false|-?[\d.]+(?:[eE][+-]?\d+)?)$)[\w.:/@+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference to print, with its table."""

    table: str
    difference: Difference

    @property
    def target(self) -> tuple[str, str]:
        """Account and region."""
        key = self.difference.key
        return str(key["account_id"]), str(key["region_id"])


def choose(changes: Sequence[TableChanges], most: int) -> list[ShownDifference]:
    """Choose at most `most` differences, evenly from all tables, sorted by account, region and table."""
    each = most
    while each > 1 and sum(min(each, len(table.shown)) for table in changes) > most:
        each -= 1
    chosen = [ShownDifference(table.table, difference) for table in changes for difference in table.shown[:each]]
    return sorted(chosen, key=lambda shown: (shown.target, shown.table))


def value_text(value: Any, longest: int = _LONGEST) -> str:
    """Return a value as JSON, single words without quotes, cut after `longest` characters."""
    is_unquoted = isinstance(value, str) and _UNQUOTED.fullmatch(value) is not None
    text = value if is_unquoted else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def key_text(key: Mapping[str, Any], longest: int = _LONGEST) -> str:
    """Return the key of a row within its account and region."""
    return (
        " / ".join(value_text(value, longest) for name, value in key.items() if name not in SCOPE_COLUMNS) or "the row"
    )


def sentence(changes: Sequence[TableChanges]) -> str:
    """Return a sentence with the number of differences and tables."""
    total = {kind: sum(table.counts.get(kind, 0) for table in changes) for kind in _MARKS}
    tables = "1 table" if len(changes) == 1 else f"{len(changes)} tables"
    if not any(total.values()):
        return f"No {'known ' if has_unknown(changes) else ''}differences in {tables}."
    counts = ", ".join(f"{number:,} {kind}" for kind, number in total.items() if number)
    return f"{counts} in {tables}."


def has_unknown(changes: Iterable[TableChanges]) -> bool:
    """Return whether any change is unknown."""
    return any(table.has_unknown for table in changes)


def rest_text(changes: Sequence[TableChanges], shown: Sequence[ShownDifference]) -> str:
    """Return a note on the differences that aren't shown, or an empty text."""
    left = sum(table.total for table in changes) - len(shown)
    return f"… and {left:,} more; --table shows more of one table, --json lists all." if left else ""


def names_of(old: Manifest, new: Manifest) -> dict[str, str]:
    """Return account ID → name, the newer one if both snapshots have one."""
    return {**old.account_names, **{account_id: name for account_id, name in new.account_names.items() if name}}


def reasons(changes: Iterable[TableChanges], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the unknown scopes with their status in both snapshots, for `gap_text.print_scopes`."""
    return [
        {
            "account_id": pair.account_id,
            "account_name": names.get(pair.account_id, ""),
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
    """Yield the table, the path and the reason of each column that isn't compared or is unknown."""
    for table in changes:
        for path, reason in sorted({**table.not_compared, **table.unknown_columns}.items()):
            yield table.table, path, reason


def status_note(manifest: Manifest) -> str:
    """Return a snapshot's status and the options that narrowed its crawl."""
    return f"{manifest.status}, only {manifest.selection.options}" if manifest.selection else manifest.status


def split_short_lived(
    changes: Sequence[TableChanges], short_lived: Collection[str]
) -> tuple[list[TableChanges], list[TableChanges]]:
    """Return the tables whose differences are listed, and the short-lived ones, whose differences are counted."""
    listed = [table for table in changes if table.table not in short_lived]
    return listed, [table for table in changes if table.table in short_lived]


def short_lived_note(aside: Sequence[TableChanges]) -> str:
    """Return the number of differences of short-lived tables as a sentence; empty without any."""
    number = sum(table.total for table in aside)
    if not number:
        return ""
    counted = "1 difference" if number == 1 else f"{number:,} differences"
    options = " ".join(f"--table {table.table}" for table in aside if table.total)
    return f"{counted} of resources that exist for minutes not listed; {options} lists them."


def print_differences(
    old: Manifest,
    new: Manifest,
    changes: Sequence[TableChanges],
    most: int = _MOST_SHOWN,
    short_lived: Collection[str] = (),
) -> None:
    """Print the differences, at most `most` of them one by one. Those of `short_lived` tables are counted only."""
    listed, aside = split_short_lived(changes, short_lived)
    out, names = console(), names_of(old, new)
    sides = [Text(side.snapshot_id, "bold") + safe(f" ({status_note(side)})") for side in (old, new)]
    out.print(sides[0] + " → " + sides[1], soft_wrap=True)
    _print_counts(out, [*listed, *aside])
    shown = choose(listed, most)
    for (account, region), of_target in groupby(shown, key=lambda one: one.target):
        heading = account_label(account, names.get(account, ""))
        out.print()
        out.print(Text.assemble(safe(heading, "bold"), " in ", (region, "bold")))
        for table, of_table in groupby(of_target, key=lambda one: one.table):
            out.print_indented(safe(table, "cyan"), 2)
            for one in of_table:
                _print_difference(out, one.difference)
    if rest := rest_text(listed, shown):
        out.print(safe(rest, "dim"))
    if shown:
        out.print()
    print_scopes(out, reasons(changes, names), "Changes unknown", known={table.table for table in changes})
    for table, path, reason in column_notes(changes):
        out.print(Text.assemble(("not compared ", "yellow"), safe(f"{table}.{path}: {reason}")))
    out.print(safe(sentence(listed), "bold"))
    if note := short_lived_note(aside):
        out.print(safe(note), soft_wrap=True)


def _print_counts(out: Screen, changes: Sequence[TableChanges]) -> None:
    rows = [
        (table.table, *(_number(table.counts.get(kind, 0)) for kind in _MARKS), _number(len(table.unknown_scopes)))
        for table in changes
        if table.total or table.has_unknown
    ]
    if not rows:
        return
    heads: tuple[str, ...] = (*_MARKS, "unknown scopes")
    longest = max(len(row[0]) for row in rows)
    is_narrow = longest + sum(map(len, heads)) + _GAP * len(heads) > out.width
    if is_narrow:
        heads = (*(mark for mark, _ in _MARKS.values()), "?")
    print_aligned(out, ("table", *heads), rows, numbers=heads)
    if is_narrow:
        out.print(safe("+ added, - removed, ~ changed, ? unknown scopes", "dim"))


def _number(number: int) -> str:
    return f"{number:,}" if number else ""


def _print_difference(out: Screen, difference: Difference) -> None:
    mark, style = _MARKS[difference.kind]
    out.print_indented(Text.assemble((f"{mark} ", style), safe(key_text(difference.key), style)), 4)
    if not difference.columns:
        return
    values = {path: safe(f"{value_text(old)} → {value_text(new)}") for path, (old, new) in difference.columns.items()}
    longest = min(max(map(len, values)), _WIDEST_PATH)
    if _INDENT + longest + _GAP + _LEAST_VALUE > out.width:
        for path, value in values.items():
            out.print_indented(safe(path, "dim"), _INDENT)
            out.print_indented(value, _INDENT + _GAP)
        return
    grid = Table.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(overflow="fold", style="dim", min_width=longest, max_width=_WIDEST_PATH)
    grid.add_column(overflow="fold")
    for path, value in values.items():
        grid.add_row(safe(path), value)
    out.print(Padding(grid, (0, 0, 0, _INDENT), expand=False))
