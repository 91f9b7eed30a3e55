"""Sets of scopes, of which a crawl may have a million: a bit each in place of a tuple."""

from __future__ import annotations


class ScopeSet:
    """Scopes: table, account and region. They can be added and asked for."""

    __slots__ = ("_places", "_tables")

    def __init__(self) -> None:
        self._tables: dict[str, int] = {}
        self._places: dict[tuple[str, str], int] = {}

    def add(self, scope: tuple[str, str, str]) -> None:
        """Add a scope, which may be there."""
        table, account_id, region_id = scope
        bit = 1 << self._tables.setdefault(table, len(self._tables))
        self._places[account_id, region_id] = self._places.get((account_id, region_id), 0) | bit

    def __contains__(self, scope: tuple[str, str, str]) -> bool:
        table, account_id, region_id = scope
        number = self._tables.get(table)
        return number is not None and bool(self._places.get((account_id, region_id), 0) >> number & 1)
