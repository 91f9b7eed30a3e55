"""Compare two snapshots: rows added, removed and changed, and scopes where this is unknown.

`compare` yields one `TableDiff` per table, which reads rows only for its differences. DuckDB joins one batch of scopes
at a time, so memory doesn't grow with the snapshots. Related: `scopes` (where an absent row was removed), `parts` (the
rows of a batch), `columns` (columns of both sides) and `values` (differences of two values).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, groupby, islice, repeat
from typing import TYPE_CHECKING, Any, Literal, cast

from crawler.audit.column_order import SCOPE_COLUMNS
from crawler.audit.database import OpenSnapshot
from crawler.audit.diff.columns import ComparedColumns, TableKey, match_columns
from crawler.audit.diff.join import JoinReader, RowCounts, RowPair, SideRows, open_reader
from crawler.audit.diff.parts import TableParts, batch_rows, scope_batches
from crawler.audit.diff.scopes import ScopePair, TargetKey, kept_tables, pair_scopes, unknown_scopes
from crawler.audit.diff.values import OTHER_KEY, OTHER_SCOPE, SnapshotSide, ValueComparer, json_scalar
from crawler.errors import OutputError

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog
    from crawler.snapshot import Manifest

ChangeKind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """An added, removed or changed row. `key` includes account and region; without a usable key, it has all columns.

    `columns`: path → old and new value, of a changed row.
    """

    kind: ChangeKind
    key: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableChanges:
    """The differences of a table: the number of each kind, and the first ones."""

    table: str
    counts: Mapping[ChangeKind, int]
    shown: Sequence[Difference]
    unknown_scopes: Sequence[ScopePair]
    unknown_columns: Mapping[str, str]
    not_compared: Mapping[str, str]

    @property
    def total(self) -> int:
        """The number of differences."""
        return sum(self.counts.values())

    @property
    def has_unknown(self) -> bool:
        """Whether some scopes or columns can't be compared."""
        return bool(self.unknown_scopes or self.unknown_columns)


def table_keys(catalog: Catalog) -> dict[str, TableKey]:
    """Return the keys of the tables of a catalog."""
    return {
        table: TableKey(operation.key, operation.optional_key, frozenset(operation.volatile), operation.schema)
        for table, operation in catalog.operations.items()
    }


@contextmanager
def compare(
    old: OpenSnapshot, new: OpenSnapshot, keys: Mapping[str, TableKey], tables: Collection[str] | None = None
) -> Iterator[dict[str, TableDiff]]:
    """Yield the tables of both snapshots, or those of `tables`, by name. Read them in turn, within the block.

    A table that isn't in `keys` is compared by its rows' content. Reading raises OutputError for an unreadable file.
    """
    chosen = [table for table in kept_tables(old.ledger, new.ledger) if tables is None or table in tables]
    for snapshot in (old, new):
        snapshot.fetch(chosen)
    with open_reader(old, new) as reader:
        yield {table: TableDiff(table, keys.get(table, TableKey()), (old, new), reader) for table in chosen}


class TableDiff:
    """One table of two snapshots. `unknown_scopes`: those with possibly unreported additions or removals.

    `unknown_columns`: path → why values can't be compared; complete once `differences` has been read.
    """

    def __init__(
        self,
        table: str,
        key: TableKey,
        snapshots: tuple[OpenSnapshot, OpenSnapshot],
        reader: JoinReader,
    ) -> None:
        self.table = table
        self.unknown_columns: dict[str, str] = {}
        # Those of one table at a time: while its differences are read.
        self._scopes: Mapping[TargetKey, ScopePair] = {}
        self._unknown_scopes: Sequence[ScopePair] | None = None
        self._key = key
        self._snapshots = snapshots
        self._reader = reader
        self._parts = [TableParts(snapshot, table) for snapshot in snapshots]
        self._columns: ComparedColumns | None = None

    @property
    def unknown_scopes(self) -> Sequence[ScopePair]:
        """See `TableDiff`."""
        if self._unknown_scopes is None:
            self._unknown_scopes = unknown_scopes(self._pairs())
        return self._unknown_scopes

    @property
    def not_compared(self) -> Mapping[str, str]:
        """Path → why a column isn't compared in any row; complete once `differences` has been read."""
        return self._columns.excluded if self._columns else {}

    def differences(self) -> Iterator[Difference]:
        """Yield the differences by account, region and key; reads one batch of scopes at a time."""
        self._scopes = self._pairs()
        self._unknown_scopes = unknown_scopes(self._scopes)
        try:
            if any(pair.may_differ for pair in self._scopes.values()):
                yield from self._compare()
        finally:
            self._scopes = {}

    def _pairs(self) -> Mapping[TargetKey, ScopePair]:
        sides = (snapshot.ledger.rows(("written", "rows"), table=self.table) for snapshot in self._snapshots)
        return pair_scopes(*sides)

    def _compare(self) -> Iterator[Difference]:
        schema_files = self._schema_files()
        columns = self._columns = match_columns(schema_files[0], schema_files[1], self._key)
        comparer = self._value_comparer(columns)
        for batch in scope_batches(self._scopes, batch_rows(schema_files)):
            old, new = (
                SideRows(parts.rows_sql(batch), schema_file)
                for parts, schema_file in zip(self._parts, schema_files, strict=True)
            )
            self._reader.load(old, new, columns)
            if columns.key:
                yield from self._compare_by_key(columns, comparer)
            else:
                yield from self._compare_by_content(self._reader.rows(columns), columns, comparer)

    def read(self, most: int) -> TableChanges:
        """Read and count all differences, and keep the first `most`."""
        found, counts = self.differences(), Counter[ChangeKind]()
        shown = list(islice(found, most))
        for difference in chain(shown, found):
            counts[difference.kind] += 1
        return TableChanges(self.table, counts, shown, self.unknown_scopes, self.unknown_columns, self.not_compared)

    def _compare_by_key(self, columns: ComparedColumns, comparer: ValueComparer) -> Iterator[Difference]:
        ambiguous = []
        for key, pairs in groupby(self._reader.pairs(columns), key=lambda pair: pair.key):
            first, *more = islice(pairs, 2)
            if more or _lacks_key_part(key, columns):
                ambiguous.append(key)
            else:
                yield from self._pair_changes(first, columns, comparer)
        if ambiguous:
            yield from self._compare_by_content(self._reader.rows(columns, ambiguous), columns, comparer)

    def _pair_changes(self, pair: RowPair, columns: ComparedColumns, comparer: ValueComparer) -> Iterator[Difference]:
        key = dict(zip(columns.key, map(json_scalar, pair.key), strict=True))
        if pair.kind != "changed":
            if self._is_reported(pair.kind, pair.key):
                yield Difference(cast("ChangeKind", pair.kind), key)
            return
        was_fetched, is_fetched = (status == "fetched" for status in (pair.old_details, pair.new_details))
        side: SnapshotSide = "" if was_fetched == is_fetched else "old" if is_fetched else "new"
        found = {
            path: (old, new)
            for number, values in pair.values.items()
            for path, old, new in comparer.differences(columns.parts[number], *values, side)
        }
        if found:
            yield Difference("changed", key, found)

    def _compare_by_content(
        self, rows: Iterator[RowCounts], columns: ComparedColumns, comparer: ValueComparer
    ) -> Iterator[Difference]:
        for where, found in groupby(rows, key=lambda row: row.key[:2]):
            surplus: Counter[str] = Counter()
            for row in found:
                surplus[_content_text(row, columns, comparer)] += row.surplus
            for text, number in sorted(surplus.items()):
                kind: ChangeKind = "added" if number > 0 else "removed"
                if self._is_reported(kind, where):
                    content = json.loads(text)
                    ordered = {name: content[name] for name in _column_names(columns) if name in content}
                    yield from repeat(Difference(kind, ordered), abs(number))

    def _is_reported(self, kind: str, key: tuple[Any, ...]) -> bool:
        scope = self._scopes.get((key[0], key[1]))
        if scope is None:
            raise OutputError(f"{self.table} has rows of a scope that no ledger of the two snapshots has")
        return scope.shows_added if kind == "added" else scope.shows_removed

    def _value_comparer(self, columns: ComparedColumns) -> ValueComparer:
        old, new = (snapshot.manifest for snapshot in self._snapshots)
        other = _other_fingerprints(old, new)
        return ValueComparer(old.secrets == new.secrets, other, columns.present_on_one_side, self.unknown_columns)

    def _schema_files(self) -> list[str]:
        """Return one file per side, for its columns. A side without files (no such product) uses the other side's."""
        own = [parts.schema_file for parts in self._parts]
        return [path or own[1 - side] for side, path in enumerate(own)]


def _other_fingerprints(old: Manifest, new: Manifest) -> str:
    """Return why equal secrets of two snapshots may have other fingerprints, or an empty text."""
    if old.fingerprint_key_id != new.fingerprint_key_id:
        return OTHER_KEY
    return OTHER_SCOPE if old.fingerprint_scope != new.fingerprint_scope else ""


def _lacks_key_part(key: tuple[Any, ...], columns: ComparedColumns) -> bool:
    """Return whether a required part of the key is null, so the key doesn't identify the row."""
    return any(part is None and name not in columns.optional for part, name in zip(key, columns.key, strict=True))


def _content_text(row: RowCounts, columns: ComparedColumns, comparer: ValueComparer) -> str:
    """Return a row without nulls as JSON text; equal for equal content."""
    values = [comparer.content(part, value) for part, value in zip(columns.parts, row.values, strict=True)]
    pairs = zip(_column_names(columns), (*map(json_scalar, row.key), *values), strict=True)
    return json.dumps({name: value for name, value in pairs if value is not None}, sort_keys=True)


def _column_names(columns: ComparedColumns) -> tuple[str, ...]:
    return (*(columns.key or SCOPE_COLUMNS), *(part.name for part in columns.parts))
