"""Rows on their way to the disk: buffered batches, and the parts that hold the rows before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.parts import PartWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SMALL_BATCHES = 64
# A batch costs its buffers, and about this much for each of its columns, nested ones included: measured with
# pyarrow 26 on batches of one row, where it is nearly all of it.
_COLUMN_BYTES = 700


def count_columns(kind: pa.Schema | pa.DataType) -> int:
    """The columns of a schema or a nested type, all levels of nesting counted."""
    length = len(kind) if isinstance(kind, pa.Schema) else kind.num_fields
    return sum(1 + count_columns(kind.field(i).type) for i in range(length))


class Store:
    """Rows of one list, or of a scope's finished lists, in their order: first those in `parts`, then `batches`.

    `cost_bytes` is what the batches take in memory, about. Nothing here waits or touches the disk.
    """

    __slots__ = ("_column_bytes", "_new_part", "_small", "batches", "cost_bytes", "current", "parts", "rows")

    def __init__(self, columns: int, new_part: Callable[[], PartWriter]) -> None:
        self._column_bytes = columns * _COLUMN_BYTES
        self._new_part = new_part
        self._small = 0
        self.batches: list[pa.RecordBatch] = []
        self.rows = 0
        self.cost_bytes = 0
        self.parts: list[PartWriter] = []
        self.current: PartWriter | None = None

    def cost_of(self, batch: pa.RecordBatch) -> int:
        """What holding the batch takes, in bytes, about."""
        return int(batch.nbytes) + self._column_bytes

    def append(self, batch: pa.RecordBatch) -> None:
        """Hold one more batch. Many small ones in a row are joined: each would cost more than its rows."""
        cost = self.cost_of(batch)
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.cost_bytes += cost
        self._small = self._small + 1 if cost < 2 * self._column_bytes else 0
        if self._small == _SMALL_BATCHES:
            self._join_small()

    def take(self) -> list[pa.RecordBatch]:
        """Give the batches away; the store holds none afterwards, and its parts still."""
        batches, self.batches = self.batches, []
        self.rows = self.cost_bytes = self._small = 0
        return batches

    def reserve_part(self) -> PartWriter:
        """The part that takes the next rows: the open one, else a new one."""
        if self.current is None or not self.current.takes_rows:
            self.current = self._new_part()
            self.parts.append(self.current)
        return self.current

    def adopt(self, other: Store) -> None:
        """Take over all that the other has; it is empty afterwards."""
        for batch in other.take():
            self.append(batch)
        self.parts += other.parts
        if self.current is None or not self.current.takes_rows:
            self.current = other.current
        other.parts, other.current = [], None

    def leave_out(self, positions: Sequence[int]) -> None:
        """Take rows back by their position among all rows, parts first. Those on the disk are only marked."""
        start = 0
        for part in self.parts:
            part.left_out.update(at - start for at in positions if start <= at < start + part.reserved_rows)
            start += part.reserved_rows
        unwanted = {at - start for at in positions if at >= start}
        if not unwanted:
            return
        kept, first = [], 0
        for batch in self.take():
            rows = [row for row in range(batch.num_rows) if first + row not in unwanted]
            first += batch.num_rows
            if rows:
                kept.append(batch if len(rows) == batch.num_rows else take_rows(batch, rows))
        for batch in kept:
            self.append(batch)

    def _join_small(self) -> None:
        small = self.batches[-_SMALL_BATCHES:]
        joined = pa.concat_batches(small)
        self.cost_bytes += self.cost_of(joined) - sum(map(self.cost_of, small))
        self.batches[-_SMALL_BATCHES:] = [joined]
        self._small = 1 if self.cost_of(joined) < 2 * self._column_bytes else 0


def take_rows(batch: pa.RecordBatch, rows: Sequence[int]) -> pa.RecordBatch:
    """A copy of these rows, by position."""
    return batch.take(pa.array(rows, type=pa.int64()))
