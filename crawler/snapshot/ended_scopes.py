"""The scopes that a writer has begun and ended, their files, and the check that the ledger agrees with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.layout import account_folder
from crawler.snapshot.status import has_rows

if TYPE_CHECKING:
    from crawler.snapshot.ledger import Ledger
    from crawler.snapshot.manifest import PartFile

# Table, account and region.
Scope = tuple[str, str, str]


class EndedScopes:
    """The scopes of one snapshot: those being written, and the files of those that ended.

    `files` has the files of each scope that was kept with rows. `emptied_folders` has the accounts' folders from which
    a scope's parts were removed. Most scopes of a large crawl have no file: they take one bit each.
    """

    def __init__(self, snapshot_id: str) -> None:
        self.files: dict[Scope, list[PartFile]] = {}
        self.emptied_folders: set[str] = set()
        self._snapshot_id = snapshot_id
        self._ended = ScopeSet()
        self._dropped = ScopeSet()
        self._open: set[Scope] = set()

    def begin(self, scope: Scope) -> None:
        """Record that a scope is being written. Raises RuntimeError if it was begun before."""
        if scope in self._open or scope in self._ended:
            raise RuntimeError(f"the scope {scope} was begun before")
        self._open.add(scope)

    def end(self, scope: Scope, files: list[PartFile] | None, had_parts: bool) -> None:
        """Record that a scope was kept with these files, or dropped (None)."""
        self._open.discard(scope)
        self._ended.add(scope)
        if files is None:
            self._dropped.add(scope)
        if files:
            self.files[scope] = files
        elif had_parts:
            self.emptied_folders.add(account_folder(scope[0], self._snapshot_id, scope[1]))

    def raise_unless_consistent(self, ledger: Ledger) -> None:
        """Raise OutputError unless the ledger has as many rows for each scope as its files."""
        if not ledger:
            raise OutputError("a snapshot without any scope is not committed")
        kept = {scope: sum(file.rows for file in files) for scope, files in self.files.items()}
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
        wrong |= {scope for scope in rows.keys() | kept.keys() if rows.get(scope, 0) != kept.get(scope, 0)}
        if wrong:
            first = min(wrong)
            raise OutputError(
                f"the ledger and the files disagree about {len(wrong)} scopes, nothing is committed; the first is "
                f"{first}, with {rows.get(first, 'no')} rows in the ledger and {kept.get(first, 'no')} kept"
            )


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
