"""Pair the scopes of two snapshots: additions and removals are known only where both sides are complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, repeat
from typing import TYPE_CHECKING

from crawler.snapshot import ScopeRow, is_whole

if TYPE_CHECKING:
    from crawler.snapshot import LedgerView

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


def kept_tables(*ledgers: LedgerView) -> list[str]:
    """Return the tables whose rows one of the snapshots keeps, sorted."""
    return sorted({table for ledger in ledgers for table, figures in ledger.by_table.items() if figures.written})


def pair_scopes(old: Iterable[ScopeRow], new: Iterable[ScopeRow]) -> dict[TargetKey, ScopePair]:
    """Return (account, region) → both sides, of the scopes of one table that have rows or are unknown, in order.

    The rows of a side are those of the table, in the order of a ledger. A row on the newer side only was added if the
    older side is complete. A row on the older side only was removed if both sides are complete: an incomplete list may
    omit existing rows or contain others.
    """
    pairs: dict[TargetKey, ScopePair] = {}
    both = merge(zip(repeat(0), old), zip(repeat(1), new), key=lambda found: _target(found[1]))
    for target, found in groupby(both, key=lambda found: _target(found[1])):
        sides: dict[int, ScopeRow] = dict(found)
        pair = _pair_scope(target, sides.get(0), sides.get(1))
        if pair.old_rows or pair.new_rows or not pair.is_known:
            pairs[target] = pair
    return pairs


def _target(row: ScopeRow) -> TargetKey:
    return row.account_id, row.region_id


def _pair_scope(target: TargetKey, old: ScopeRow | None, new: ScopeRow | None) -> ScopePair:
    was_whole, is_now_whole = _is_kept_whole(old), _is_kept_whole(new)
    statuses, rows = (_status_word(old), _status_word(new)), (_kept_rows(old), _kept_rows(new))
    return ScopePair(*target, *statuses, was_whole, was_whole and is_now_whole, *rows)


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
