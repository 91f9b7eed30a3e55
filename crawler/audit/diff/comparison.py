"""Two snapshots compared: what was added, removed and changed, and where nobody can tell.

`compare` gives one `TableDiff` a table, which reads its rows when it is asked for its differences: a batch of scopes
after the other, joined by DuckDB, so that memory doesn't grow with the snapshots. Read `diff_scopes` (where a row that
is absent is gone), `diff_columns` (what both sides have) and `diff_values` (what differs) with it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, groupby, islice, repeat
from typing import TYPE_CHECKING, Any, Literal, cast

from crawler.audit.database import OpenSnapshot
from crawler.audit.diff.columns import SCOPE_COLUMNS, ComparedColumns, TableKey, match_columns
from crawler.audit.diff.join import Batch, Files, JoinReader, Pair, RowCounts, open_reader
from crawler.audit.diff.scopes import ScopePair, Where, pair_scopes, unknown
from crawler.audit.diff.values import Side, ValueComparer, plain

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.snapshot import PartFile

Kind = Literal["added", "removed", "changed"]

BATCH_ROWS = 50_000
_BATCH_SCOPES = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that came, went or changed. `key` has account and region too; of rows that no key tells apart it is all
    that they hold. `columns`: path → old and new value, of a changed row.
    """

    kind: Kind
    key: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableChanges:
    """A table's differences, read: how many of each kind, and the first of them."""

    table: str
    counts: Mapping[Kind, int]
    shown: Sequence[Difference]
    unknown_scopes: Sequence[ScopePair]
    unknown_columns: Mapping[str, str]
    not_compared: Mapping[str, str]

    @property
    def total(self) -> int:
        """How many differences there are."""
        return sum(self.counts.values())

    @property
    def has_unknown(self) -> bool:
        """Whether there is something in both snapshots' plans that can't be told."""
        return bool(self.unknown_scopes or self.unknown_columns)


def keyings(catalog: Catalog) -> dict[str, TableKey]:
    """How the tables of a catalog are compared."""
    return {
        table: TableKey(operation.key, operation.optional_key, frozenset(operation.volatile))
        for table, operation in catalog.operations.items()
    }


@contextmanager
def compare(
    old: OpenSnapshot, new: OpenSnapshot, keying: Mapping[str, TableKey], tables: Collection[str] | None = None
) -> Iterator[dict[str, TableDiff]]:
    """The tables of both snapshots, or those of `tables`, by name. Read one after the other, while the block lasts.

    A table that `keying` doesn't have is compared by what its rows hold. Reading raises OutputError where a file isn't
    there or isn't whole.
    """
    pairs = pair_scopes(old.ledger, new.ledger)
    chosen = [table for table in pairs if tables is None or table in tables]
    with open_reader(old, new) as reader:
        yield {
            table: TableDiff(table, pairs[table], keying.get(table, TableKey()), (old, new), reader) for table in chosen
        }


class TableDiff:
    """One table of two snapshots.

    `unknown_scopes`: where something may have come or gone that isn't told. `unknown_columns`, right once
    `differences` has been read: path → why values there can't be compared.
    """

    def __init__(
        self,
        table: str,
        scopes: Mapping[Where, ScopePair],
        keying: TableKey,
        snapshots: tuple[OpenSnapshot, OpenSnapshot],
        reader: JoinReader,
    ) -> None:
        self.table = table
        self.unknown_scopes: Sequence[ScopePair] = unknown(scopes)
        self.unknown_columns: dict[str, str] = {}
        self._scopes = scopes
        self._keying = keying
        self._snapshots = snapshots
        self._reader = reader
        self._sides = [_files_by_scope(snapshot, table) for snapshot in snapshots]
        self._columns: ComparedColumns | None = None

    @property
    def not_compared(self) -> Mapping[str, str]:
        """Path → why a column isn't compared in any row; known once `differences` has been read."""
        return self._columns.apart if self._columns else {}

    def differences(self) -> Iterator[Difference]:
        """What differs, by account, region and key; in some thousand scopes at a time."""
        batches = list(self._batches())
        if not batches:
            return
        patterns = self._patterns()
        columns = self._columns = match_columns(patterns[0], patterns[1], self._keying)
        weigher = self._weigher(columns)
        for scopes in batches:
            old, new = (self._files(side, scopes, pattern) for side, pattern in enumerate(patterns))
            self._reader.load(Batch(old, new), columns)
            if columns.key:
                yield from self._keyed(columns, weigher)
            else:
                yield from self._by_content(self._reader.rows(columns), columns, weigher)

    def read(self, most: int) -> TableChanges:
        """Read all differences, and keep the first so many."""
        found, counts = self.differences(), Counter[Kind]()
        shown = list(islice(found, most))
        for difference in chain(shown, found):
            counts[difference.kind] += 1
        return TableChanges(self.table, counts, shown, self.unknown_scopes, self.unknown_columns, self.not_compared)

    def _keyed(self, columns: ComparedColumns, weigher: ValueComparer) -> Iterator[Difference]:
        odd = []
        for key, pairs in groupby(self._reader.pairs(columns), key=lambda pair: pair.key):
            first, *more = islice(pairs, 2)
            if more or _has_hole(key, columns):
                odd.append(key)
            else:
                yield from self._by_key(first, columns, weigher)
        if odd:
            yield from self._by_content(self._reader.rows(columns, odd), columns, weigher)

    def _by_key(self, pair: Pair, columns: ComparedColumns, weigher: ValueComparer) -> Iterator[Difference]:
        key = dict(zip(columns.key, map(plain, pair.key), strict=True))
        if pair.kind != "changed":
            if self._is_told(pair.kind, pair.key):
                yield Difference(cast("Kind", pair.kind), key)
            return
        was_fetched, is_fetched = (status == "fetched" for status in (pair.old_details, pair.new_details))
        side: Side = "" if was_fetched == is_fetched else "old" if is_fetched else "new"
        found = {
            path: (old, new)
            for number, values in pair.values.items()
            for path, old, new in weigher.differences(columns.parts[number], *values, side)
        }
        if found:
            yield Difference("changed", key, found)

    def _by_content(
        self, rows: Iterator[RowCounts], columns: ComparedColumns, weigher: ValueComparer
    ) -> Iterator[Difference]:
        for where, found in groupby(rows, key=lambda row: row.key[:2]):
            surplus: Counter[str] = Counter()
            for row in found:
                surplus[_content(row, columns, weigher)] += row.surplus
            for text, number in sorted(surplus.items()):
                kind: Kind = "added" if number > 0 else "removed"
                if self._is_told(kind, where):
                    content = json.loads(text)
                    ordered = {name: content[name] for name in _names(columns) if name in content}
                    yield from repeat(Difference(kind, ordered), abs(number))

    def _is_told(self, kind: str, key: tuple[Any, ...]) -> bool:
        scope = self._scopes[key[0], key[1]]
        return scope.tells_added if kind == "added" else scope.tells_removed

    def _weigher(self, columns: ComparedColumns) -> ValueComparer:
        old, new = (snapshot.manifest for snapshot in self._snapshots)
        is_same_key = old.fingerprint_key_id == new.fingerprint_key_id
        return ValueComparer(old.secrets == new.secrets, is_same_key, columns.one_sided, self.unknown_columns)

    def _patterns(self) -> list[str]:
        """A file of each side, for its columns; the other's where a side has none: it may have no such product."""
        own = [
            snapshot.local(next(iter(side.values()))[0]) if side else ""
            for snapshot, side in zip(self._snapshots, self._sides, strict=True)
        ]
        return [path or own[1 - side] for side, path in enumerate(own)]

    def _files(self, side: int, scopes: Iterable[Where], pattern: str) -> Files:
        snapshot, files = self._snapshots[side], self._sides[side]
        parts = [file for where in scopes for file in files.get(where, ()) if file.rows]
        return Files([snapshot.local(file) for file in parts], pattern)

    def _batches(self) -> Iterator[list[Where]]:
        """The scopes that something can be told of, in their order, in batches of a bounded number of rows."""
        scopes, rows = list[Where](), 0
        for where, pair in self._scopes.items():
            old, new = (sum(file.rows for file in side.get(where, ())) for side in self._sides)
            if not ((old and new) or (new and pair.tells_added) or (old and pair.tells_removed)):
                continue
            if scopes and (rows + old + new > BATCH_ROWS or len(scopes) == _BATCH_SCOPES):
                yield scopes
                scopes, rows = [], 0
            scopes.append(where)
            rows += old + new
        if scopes:
            yield scopes


def _files_by_scope(snapshot: OpenSnapshot, table: str) -> dict[Where, list[PartFile]]:
    """The table's files by the account and region that their paths name; see `snapshot.paths`."""
    entry = snapshot.manifest.tables.get(table)
    found: dict[Where, list[PartFile]] = {}
    for file in entry.files if entry else ():
        *_, account, region, _ = file.path.split("/")
        found.setdefault((account.removeprefix("account="), region.removeprefix("region=")), []).append(file)
    return found


def _has_hole(key: tuple[Any, ...], columns: ComparedColumns) -> bool:
    """Whether a part of the key that no row should lack is null: nobody knows which row it is."""
    return any(part is None and name not in columns.optional for part, name in zip(key, columns.key, strict=True))


def _content(row: RowCounts, columns: ComparedColumns, weigher: ValueComparer) -> str:
    """All that a row holds, less its nulls, as JSON text: the same for the same content."""
    values = [weigher.content(part, value) for part, value in zip(columns.parts, row.values, strict=True)]
    pairs = zip(_names(columns), (*map(plain, row.key), *values), strict=True)
    return json.dumps({name: value for name, value in pairs if value is not None}, sort_keys=True)


def _names(columns: ComparedColumns) -> tuple[str, ...]:
    return (*(columns.key or SCOPE_COLUMNS), *(part.name for part in columns.parts))
