"""A crawl's ledger while it grows: its rows packed, a hundred bytes in place of the thousand that an object takes.

A million scopes are rows to the end of a crawl, and nothing looks at them before. A table's rows are encoded and
compressed some hundred at a time, and made anew each time that somebody asks for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import overload

import msgspec
import pyarrow as pa

from crawler.snapshot.ledger import ScopeRow, Status, is_whole, sorted_ledger

_BLOCK_ROWS = 256
_CODEC = "zstd"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[ScopeRow]).decode


class _Pack:
    """Rows in the order in which they came: full blocks packed, each with its size unpacked, then the latest."""

    __slots__ = ("_blocks", "_latest")

    def __init__(self) -> None:
        self._blocks: list[tuple[int, bytes]] = []
        self._latest: list[ScopeRow] = []

    def append(self, row: ScopeRow) -> None:
        self._latest.append(row)
        if len(self._latest) == _BLOCK_ROWS:
            text = _encode(self._latest)
            self._blocks.append((len(text), pa.compress(text, _CODEC, asbytes=True)))
            self._latest.clear()

    def __iter__(self) -> Iterator[ScopeRow]:
        for size, block in self._blocks:
            yield from _decode(pa.decompress(block, size, _CODEC, asbytes=True))
        yield from self._latest


class Ledger(Sequence[ScopeRow]):
    """A row a scope, table by table; of one table, those that leave nothing unknown first, then as they came.

    A row must not change once it was appended. `by_status` counts them. Each walk decodes every row again, a few
    microseconds each: whoever needs several things of all rows asks for them in one.
    """

    def __init__(self, rows: Iterable[ScopeRow] = ()) -> None:
        self.by_status: Counter[Status] = Counter()
        self._packs: dict[str, tuple[_Pack, _Pack]] = {}
        for row in rows:
            self.append(row)

    @classmethod
    def of(cls, rows: Sequence[ScopeRow]) -> Ledger:
        """The rows as a ledger, which they may be already."""
        return rows if isinstance(rows, Ledger) else cls(rows)

    def append(self, row: ScopeRow) -> None:
        """Add a row, which must not change any more."""
        packs = self._packs.get(row.table)
        if packs is None:
            packs = self._packs[row.table] = (_Pack(), _Pack())
        packs[not is_whole(row.status)].append(row)
        self.by_status[row.status] += 1

    @property
    def tables(self) -> list[str]:
        """The tables of all rows, sorted."""
        return sorted(self._packs)

    def of_table(self, table: str) -> Iterator[ScopeRow]:
        """The rows of a table."""
        for pack in self._packs[table]:
            yield from pack

    def in_order(self) -> Iterator[ScopeRow]:
        """By table, account and region. One table's rows are in memory at a time."""
        for table in self.tables:
            yield from sorted(self.of_table(table), key=attrgetter("account_id", "region_id"))

    def not_whole(self) -> list[ScopeRow]:
        """The rows that leave something unknown, by table, account and region."""
        return sorted_ledger(row for _, rest in self._packs.values() for row in rest)

    @property
    def is_whole(self) -> bool:
        """Whether no row leaves anything unknown."""
        return all(is_whole(status) for status in self.by_status)

    def __len__(self) -> int:
        """How many rows there are."""
        return self.by_status.total()

    def __iter__(self) -> Iterator[ScopeRow]:
        """All rows, table by table."""
        for table in self._packs:
            yield from self.of_table(table)

    @overload
    def __getitem__(self, index: int) -> ScopeRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[ScopeRow]: ...
    def __getitem__(self, index: int | slice) -> ScopeRow | list[ScopeRow]:
        """Rows by their place; it takes a walk from the first one."""
        if isinstance(index, slice):
            return list(self)[index]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"a ledger of {len(self)} rows has none at {index}")
        return next(islice(self, at, None))
