"""The differences of two snapshots as Markdown, for a ticket or a wiki. All data is in code spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from crawler.audit.diff.comparison import TableChanges
from crawler.cli.crawl_summary import causes
from crawler.cli.diff.text import (
    ShownDifference,
    choose,
    column_notes,
    has_unknown,
    key_text,
    reasons,
    rest_text,
    sentence,
    value_text,
)
from crawler.cli.markdown import code
from crawler.snapshot import Manifest

MOST_READ = 1000
_MOST_SHOWN = 500
_LONGEST = 200


def page(old: Manifest, new: Manifest, changes: Sequence[TableChanges]) -> str:
    """Return the page."""
    return "\n".join(_lines(old, new, changes)) + "\n"


def _lines(old: Manifest, new: Manifest, changes: Sequence[TableChanges]) -> Iterator[str]:
    yield f"## {_side(old)} → {_side(new)}"
    yield from ("", sentence(changes), "")
    rows = [
        (code(table.table), *(f"{table.counts.get(kind, 0):,}" for kind in ("added", "removed", "changed")), scopes)
        for table in changes
        if table.total or table.has_unknown
        for scopes in [f"{len(table.unknown_scopes):,}"]
    ]
    if rows:
        yield from _table(("table", "added", "removed", "changed", "unknown scopes"), rows, numbers=4)
    shown = choose(changes, _MOST_SHOWN)
    for (account, region), found in groupby(shown, key=lambda one: one.target):
        yield from ("", f"### {code(account)} in {code(region)}", "")
        yield from _table(("table", "", "resource", "column", "before", "after"), _rows(found))
    if rest := rest_text(changes, shown):
        yield from ("", rest)
    yield from _unknown(changes)


def _side(manifest: Manifest) -> str:
    only = f", only {code(manifest.selection.options)}" if manifest.selection else ""
    return f"{code(manifest.snapshot_id)} ({manifest.status}{only})"


def _rows(shown: Iterable[ShownDifference]) -> Iterator[Sequence[str]]:
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
    yield from ("", "### Unknown", "")
    for accounts, regions, tables, _, (reason,) in causes(reasons(changes)):
        targets = f"{_codes(accounts)} in {_codes(regions)}"
        yield f"- {reason}: {targets}: {_codes(tables)}. Additions and removals are unknown."
    for table, path, reason in column_notes(changes):
        yield f"- {code(f'{table}.{path}')}: not compared, {reason}."


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> Iterator[str]:
    """Yield the lines of a table. Its last `numbers` columns are right-aligned."""
    marks = ["---"] * (len(columns) - numbers) + ["---:"] * numbers
    for cells in (columns, marks, *rows):
        yield f"| {' | '.join(cells)} |"
