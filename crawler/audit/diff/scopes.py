"""Where two snapshots can tell that something is gone or new: in scopes that both of them read whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crawler.snapshot import ScopeRow, is_whole

# What stands in place of a status where the snapshot has no such scope, or has walked it without keeping its rows.
NOT_PLANNED, NOT_WRITTEN = "not_planned", "not_written"

TargetKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ScopePair:
    """One table in one account and region, in both snapshots: how each of them came out there."""

    account_id: str
    region_id: str
    old: str
    new: str
    shows_added: bool
    shows_removed: bool

    @property
    def is_known(self) -> bool:
        """Whether both sides are whole: nothing came or went there that isn't told."""
        return self.shows_removed

    @property
    def status(self) -> str:
        """Why the scope isn't known: the newer side's status where that one isn't whole, else the older's."""
        return self.old if self.new in {"complete", "unsupported"} else self.new


def pair_scopes(old: Iterable[ScopeRow], new: Iterable[ScopeRow]) -> dict[str, dict[TargetKey, ScopePair]]:
    """Table → (account, region) → both sides, of every table whose rows either snapshot keeps.

    A row that only the newer side has was added where the older one was whole. One that only the older side has was
    removed where both were: a list that wasn't read whole may show what it shouldn't, and that must not look gone.
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
    return ScopePair(scope[1], scope[2], _status_word(old), _status_word(new), was_whole, was_whole and is_now_whole)


def _is_kept_whole(row: ScopeRow | None) -> bool:
    return row is not None and row.written and is_whole(row.status)


def _status_word(row: ScopeRow | None) -> str:
    if row is None:
        return NOT_PLANNED
    return str(row.status) if row.written or not is_whole(row.status) else NOT_WRITTEN


def unknown_scopes(scopes: Mapping[TargetKey, ScopePair]) -> Sequence[ScopePair]:
    """Those that aren't known, by account and region."""
    return [pair for pair in scopes.values() if not pair.is_known]
