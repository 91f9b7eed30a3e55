"""The differences of two snapshots as Markdown, for a ticket or a wiki. All data is in code spans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from crawler.audit.diff.comparison import TableChanges
from crawler.cli.diff.text import (
    ShownDifference,
    choose,
    column_notes,
    has_unknown,
    key_text,
    names_of,
    reasons,
    rest_text,
    sentence,
    short_lived_note,
    split_short_lived,
    value_text,
)
from crawler.cli.gap_text import causes
from crawler.cli.markdown import code
from crawler.snapshot import Manifest
from crawler.text import account_label

MOST_READ = 1000
_MOST_SHOWN = 500
_LONGEST = 200


def page(old: Manifest, new: Manifest, changes: Sequence[TableChanges], short_lived: Collection[str] = ()) -> str:
    """Return the page. The differences of `short_lived` tables are counted only."""
    return "\n".join(_lines(old, new, changes, *split_short_lived(changes, short_lived))) + "\n"


def _lines(
    old: Manifest,
    new: Manifest,
    changes: Sequence[TableChanges],
    listed: Sequence[TableChanges],
    aside: Sequence[TableChanges],
) -> Iterator[str]:
    yield f"## {_side(old)} → {_side(new)}"
    yield from ("", " ".join(filter(None, (sentence(listed), short_lived_note(aside)))), "")
    rows = [
        (code(table.table), *(f"{table.counts.get(kind, 0):,}" for kind in ("added", "removed", "changed")), scopes)
        for table in (*listed, *aside)
        if table.total or table.has_unknown
        for scopes in [f"{len(table.unknown_scopes):,}"]
    ]
    if rows:
        yield from _table(("table", "added", "removed", "changed", "unknown scopes"), rows, numbers=4)
    shown, names = choose(listed, _MOST_SHOWN), names_of(old, new)
    for (account, region), found in groupby(shown, key=lambda one: one.target):
        yield from ("", f"### {code(account_label(account, names.get(account, '')))} in {code(region)}", "")
        yield from _table(("table", "", "resource", "column", "before", "after"), _rows(found))
    if rest := rest_text(listed, shown):
        yield from ("", rest)
    yield from _unknown(changes, names)


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


def _unknown(changes: Sequence[TableChanges], names: Mapping[str, str]) -> Iterator[str]:
    if not has_unknown(changes) and not any(table.not_compared for table in changes):
        return
    yield from ("", "### Unknown", "")
    for accounts, regions, tables, _, (reason,), _ in causes(reasons(changes, names)):
        labels = (account_label(account, names.get(account, "")) for account in accounts)
        targets = f"{_codes(labels)} in {_codes(regions)}"
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
