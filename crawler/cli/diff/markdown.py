"""A comparison as Markdown, for an issue, a ticket or a wiki. Whatever comes from data stands in code spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from crawler.audit.diff.comparison import TableChanges
from crawler.cli.crawl_summary import causes
from crawler.cli.diff.text import (
    Shown,
    choose,
    column_notes,
    has_unknown,
    key_text,
    reasons,
    rest_text,
    sentence,
    value_text,
)
from crawler.snapshot import Manifest
from crawler.text import printable

MOST_READ = 1000
_MOST_SHOWN = 500
_LONGEST = 200


def page(old: Manifest, new: Manifest, changes: Sequence[TableChanges]) -> str:
    """The whole comparison."""
    return "\n".join(_lines(old, new, changes)) + "\n"


def _lines(old: Manifest, new: Manifest, changes: Sequence[TableChanges]) -> Iterator[str]:
    yield f"## {code(old.snapshot_id)} ({old.status}) → {code(new.snapshot_id)} ({new.status})"
    yield from ("", sentence(changes), "")
    rows = [
        (code(table.table), *(f"{table.counts.get(kind, 0):,}" for kind in ("added", "removed", "changed")), scopes)
        for table in changes
        if table.total or table.has_unknown
        for scopes in [f"{len(table.unknown_scopes):,}"]
    ]
    if rows:
        yield from _table(("table", "added", "removed", "changed", "scopes not known"), rows, numbers=4)
    shown = choose(changes, _MOST_SHOWN)
    for (account, region), found in groupby(shown, key=lambda one: one.where):
        yield from ("", f"### {code(account)} in {code(region)}", "")
        yield from _table(("table", "", "resource", "column", "before", "after"), _rows(found))
    if rest := rest_text(changes, shown):
        yield from ("", rest)
    yield from _unknown(changes)


def _rows(shown: Iterable[Shown]) -> Iterator[Sequence[str]]:
    for one in shown:
        difference = one.difference
        start = (code(one.table), difference.kind, code(key_text(difference.key, _LONGEST)))
        if not difference.columns:
            yield (*start, "", "", "")
        for path, values in difference.columns.items():
            yield (*start, code(path), *(code(value_text(value, _LONGEST)) for value in values))


def _unknown(changes: Sequence[TableChanges]) -> Iterator[str]:
    if not has_unknown(changes) and not any(table.not_compared for table in changes):
        return
    yield from ("", "### Not known", "")
    for accounts, regions, tables, _, (why,) in causes(reasons(changes)):
        where = f"{_codes(accounts)} in {_codes(regions)}"
        yield f"- {why}: {where}: {_codes(tables)}. What came and went there isn't known."
    for table, path, why in column_notes(changes):
        yield f"- {code(f'{table}.{path}')}: not compared, {why}."


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> Iterator[str]:
    """A table; its last `numbers` columns are aligned to the right."""
    marks = ["---"] * (len(columns) - numbers) + ["---:"] * numbers
    for cells in (columns, marks, *rows):
        yield f"| {' | '.join(cells)} |"


def code(text: str) -> str:
    """A code span that shows just this text, whatever is in it; control characters as their escapes.

    A bar would end a table's cell even in code, and a backtick the code.
    """
    shown = code_text(text).replace("|", "\\|")
    marks = "`"
    while marks in shown:
        marks += "`"
    blank = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{marks}{blank}{shown}{blank}{marks}" if shown else ""


def code_text(text: str) -> str:
    """What a code span shows of a text: no blank at either end, where Markdown might take it away."""
    return printable(text).strip(" ")
