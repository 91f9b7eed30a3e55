"""The scopes that a writer has begun and ended, and the check that the ledger and the files agree with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.status import has_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.snapshot.ledger import LedgerView

# Table, account and region.
Scope = tuple[str, str, str]


class KeptScopes:
    """The scopes of one snapshot: those being written, and the number of rows of those that were kept with rows.

    Most scopes of a large crawl have no rows: they take one bit each.
    """

    def __init__(self) -> None:
        self._rows: dict[Scope, int] = {}
        self._open: set[Scope] = set()
        self._ended = ScopeSet()
        self._dropped = ScopeSet()

    def begin(self, scope: Scope) -> None:
        """Record that a scope is being written. Raises RuntimeError if it was begun before."""
        if scope in self._open or scope in self._ended:
            raise RuntimeError(f"the scope {scope} was begun before")
        self._open.add(scope)

    def keep(self, scope: Scope, rows: int) -> None:
        """Record that a scope ended with so many rows."""
        self._end(scope)
        if rows:
            self._rows[scope] = rows

    def drop(self, scope: Scope) -> None:
        """Record that a scope ended without its rows."""
        self._end(scope)
        self._dropped.add(scope)

    def raise_unless_consistent(self, ledger: LedgerView, written: Mapping[str, int]) -> None:
        """Raise OutputError unless the ledger has as many rows for each scope as were kept, and the files have all.

        `written` has the number of rows in the files of each table.
        """
        if not len(ledger):
            raise OutputError("a snapshot without any scope is not committed")
        # Of a million scopes only those with rows or with an inconsistency are held.
        rows: dict[Scope, int] = {}
        wrong = {*self._open}
        for row in ledger:
            if row.written and has_rows(row.status):
                scope = (row.table, row.account_id, row.region_id)
                if row.rows or scope in self._dropped:
                    rows[scope] = row.rows
                if scope in self._dropped:
                    wrong.add(scope)
        wrong |= {scope for scope in rows.keys() | self._rows.keys() if rows.get(scope, 0) != self._rows.get(scope, 0)}
        if wrong:
            first = min(wrong)
            raise OutputError(
                f"the ledger and the files disagree about {len(wrong)} scopes, nothing is committed; the first is "
                f"{first}, with {rows.get(first, 'no')} rows in the ledger and {self._rows.get(first, 'no')} kept"
            )
        self._raise_unless_written(written)

    def _raise_unless_written(self, written: Mapping[str, int]) -> None:
        kept = dict.fromkeys(written, 0)
        for (table, _, _), rows in self._rows.items():
            kept[table] += rows
        for table, rows in written.items():
            if rows != kept[table]:
                raise OutputError(
                    f"the files of {table} have {rows} rows and its scopes {kept[table]}, nothing is committed; "
                    "please report it"
                )

    def _end(self, scope: Scope) -> None:
        self._open.discard(scope)
        self._ended.add(scope)


class ScopeSet:
    """A set of scopes. A crawl may have a million of them, so each takes one bit instead of a tuple."""

    __slots__ = ("_places", "_tables")

    def __init__(self) -> None:
        self._tables: dict[str, int] = {}
        self._places: dict[tuple[str, str], int] = {}

    def add(self, scope: Scope) -> None:
        """Add a scope, which may be in the set already."""
        table, account_id, region_id = scope
        bit = 1 << self._tables.setdefault(table, len(self._tables))
        self._places[account_id, region_id] = self._places.get((account_id, region_id), 0) | bit

    def __contains__(self, scope: Scope) -> bool:
        table, account_id, region_id = scope
        number = self._tables.get(table)
        return number is not None and bool(self._places.get((account_id, region_id), 0) >> number & 1)
