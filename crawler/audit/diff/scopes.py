"""Pair the scopes of two snapshots: additions and removals are known only where both sides are complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crawler.snapshot import ScopeRow, is_whole

# In place of a status: the snapshot has no such scope, or read it without keeping its rows.
NOT_PLANNED, NOT_WRITTEN = "not_planned", "not_written"

TargetKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ScopePair:
    """One scope in both snapshots, with its status and its number of rows on each side."""

    account_id: str
    region_id: str
    old: str
    new: str
    shows_added: bool
    shows_removed: bool
    old_rows: int = 0
    new_rows: int = 0

    @property
    def may_differ(self) -> bool:
        """Whether the rows of the scope can show a difference."""
        if self.old_rows and self.new_rows:
            return True
        return bool((self.new_rows and self.shows_added) or (self.old_rows and self.shows_removed))

    @property
    def is_known(self) -> bool:
        """Whether both sides are complete, so all additions and removals are reported."""
        return self.shows_removed

    @property
    def status(self) -> str:
        """Why the scope is unknown: the newer side's status if that is incomplete, else the older's."""
        return self.old if self.new in {"complete", "unsupported"} else self.new


def pair_scopes(old: Iterable[ScopeRow], new: Iterable[ScopeRow]) -> dict[str, dict[TargetKey, ScopePair]]:
    """Return table → (account, region) → both sides, of every table whose rows a snapshot keeps.

    A row on the newer side only was added if the older side is complete. A row on the older side only was removed if
    both sides are complete: an incomplete list may omit existing rows or contain others.
    """
    before, after = _by_scope(old), _by_scope(new)
    kept = {table for rows in (before, after) for (table, *_), row in rows.items() if row.written}
    pairs: dict[str, dict[TargetKey, ScopePair]] = {table: {} for table in sorted(kept)}
    for table, *where in sorted(before.keys() | after.keys()):
        if table in kept:
            account, region = where
            pairs[table][account, region] = _pair_scope(before, after, (table, account, region))
    return pairs


_LedgerIndex = Mapping[tuple[str, str, str], ScopeRow]


def _by_scope(rows: Iterable[ScopeRow]) -> dict[tuple[str, str, str], ScopeRow]:
    return {(row.table, row.account_id, row.region_id): row for row in rows}


def _pair_scope(before: _LedgerIndex, after: _LedgerIndex, scope: tuple[str, str, str]) -> ScopePair:
    old, new = before.get(scope), after.get(scope)
    was_whole, is_now_whole = _is_kept_whole(old), _is_kept_whole(new)
    statuses, rows = (_status_word(old), _status_word(new)), (_kept_rows(old), _kept_rows(new))
    return ScopePair(*scope[1:], *statuses, was_whole, was_whole and is_now_whole, *rows)


def _is_kept_whole(row: ScopeRow | None) -> bool:
    return row is not None and row.written and is_whole(row.status)


def _kept_rows(row: ScopeRow | None) -> int:
    return row.rows if row is not None and row.written else 0


def _status_word(row: ScopeRow | None) -> str:
    if row is None:
        return NOT_PLANNED
    return str(row.status) if row.written or not is_whole(row.status) else NOT_WRITTEN


def unknown_scopes(scopes: Mapping[TargetKey, ScopePair]) -> Sequence[ScopePair]:
    """Return the unknown scopes, by account and region."""
    return [pair for pair in scopes.values() if not pair.is_known]
