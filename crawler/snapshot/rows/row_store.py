"""Rows on their way to the disk: buffered chunks, and the parts that hold the rows before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.rows.chunks import Chunk, DecodeTask, RowSelection, choose, started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from crawler.snapshot.rows.chunks import CompressedBatch, Waiting
    from crawler.snapshot.rows.parquet import PartWriter

# Fewer, and joining shows in the time that a page takes; more, and a store holds little but the cost of its batches:
# where many share the buffer, their rows came to the disk by the dozen, in row groups that are nothing but columns.
_SMALL_BATCHES = 16
# A batch costs its buffers, and about this much for each of its columns, nested ones included: measured with
# pyarrow 26 on batches of one row, where it is nearly all of it.
_COLUMN_BYTES = 700
# What a page costs beside its bytes, and each cell of it once it is decoded, empty ones included.
_PAGE_BYTES = 500
_CELL_BYTES = 5


def count_columns(kind: pa.Schema | pa.DataType) -> int:
    """The columns of a schema or a nested type, all levels of nesting counted."""
    length = len(kind) if isinstance(kind, pa.Schema) else kind.num_fields
    return sum(1 + count_columns(kind.field(i).type) for i in range(length))


class RowStore:
    """Rows of one list, or of a scope's finished lists, in their order: first those in `parts`, then `chunks`.

    `cost_bytes` is what the chunks take in memory, about; `waiting_bytes` counts the pages among them that nobody has
    begun to decode, `decoding` are those that somebody has. Nothing here waits or touches the disk.
    """

    __slots__ = (
        "_column_bytes",
        "_columns",
        "_new_part",
        "_small",
        "chunks",
        "cost_bytes",
        "current",
        "decoding",
        "parts",
        "rows",
        "waiting_bytes",
    )

    def __init__(self, columns: int, new_part: Callable[[], PartWriter]) -> None:
        self._columns = columns
        self._column_bytes = columns * _COLUMN_BYTES
        self._new_part = new_part
        self._small = 0
        self.decoding: list[DecodeTask] = []
        self.chunks: list[Chunk] = []
        self.rows = 0
        self.cost_bytes = 0
        self.waiting_bytes = 0
        self.parts: list[PartWriter] = []
        self.current: PartWriter | None = None

    def cost_of(self, chunk: Chunk) -> int:
        """What holding the chunk takes, in bytes, about. A page costs its bytes and what it will be."""
        if isinstance(chunk, pa.RecordBatch):
            return int(chunk.nbytes) + self._column_bytes
        if isinstance(chunk, DecodeTask):
            return chunk.cost_bytes
        if isinstance(chunk, RowSelection):
            return self.cost_of(chunk.chunk)
        cells = chunk.num_rows * self._columns
        return chunk.nbytes + _PAGE_BYTES + cells * _CELL_BYTES

    def append(self, chunk: Chunk) -> None:
        """Hold one more chunk. Many small batches in a row are joined: each would cost more than its rows."""
        cost = self.cost_of(chunk)
        self.chunks.append(chunk)
        self.rows += chunk.num_rows
        self.cost_bytes += cost
        if isinstance(chunk, pa.RecordBatch):
            self._small = self._small + 1 if cost < 2 * self._column_bytes else 0
            if self._small == _SMALL_BATCHES:
                self._join_small()
            return
        self._small = 0
        if isinstance(chunk, DecodeTask):
            self.decoding.append(chunk)
        elif not isinstance(chunk, RowSelection):
            self.waiting_bytes += chunk.nbytes

    def take(self) -> list[Chunk]:
        """Give the chunks away; the store holds none afterwards, and its parts still."""
        chunks, self.chunks = self.chunks, []
        self.decoding = []
        self.rows = self.cost_bytes = self.waiting_bytes = self._small = 0
        return chunks

    def decode(self, submit: Callable[[Sequence[Waiting]], Future[CompressedBatch]]) -> None:
        """Have all waiting pages decoded."""
        for chunk in list(started(self.take(), submit, self.cost_of)):
            self.append(chunk)

    def settle(self) -> None:
        """Count what has been decoded as what it is now."""
        for chunk in self.decoding:
            if chunk.future.done() and not chunk.future.exception():
                cost = chunk.future.result().nbytes
                self.cost_bytes += cost - chunk.cost_bytes
                chunk.cost_bytes = cost
        self.decoding = [chunk for chunk in self.decoding if not chunk.future.done()]

    def reserve_part(self) -> PartWriter:
        """The part that takes the next rows: the open one, else a new one."""
        if self.current is None or not self.current.takes_rows:
            self.current = self._new_part()
            self.parts.append(self.current)
        return self.current

    def adopt(self, other: RowStore) -> None:
        """Take over all that the other has; it is empty afterwards."""
        for chunk in other.take():
            self.append(chunk)
        self.parts += other.parts
        if self.current is None or not self.current.takes_rows:
            self.current = other.current
        other.parts, other.current = [], None

    def close(self) -> None:
        """Nothing more will come. It lets go of whoever makes parts, who holds the store: neither waits for the
        garbage collector then.
        """
        self.parts, self.current = [], None
        self._new_part = _no_part

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
        for chunk in self.take():
            rows = [row for row in range(chunk.num_rows) if first + row not in unwanted]
            first += chunk.num_rows
            if rows:
                kept.append(chunk if len(rows) == chunk.num_rows else choose(chunk, rows))
        for chunk in kept:
            self.append(chunk)

    def _join_small(self) -> None:
        small = self.chunks[-_SMALL_BATCHES:]
        joined = pa.concat_batches(small)
        self.cost_bytes += self.cost_of(joined) - sum(map(self.cost_of, small))
        self.chunks[-_SMALL_BATCHES:] = [joined]
        self._small = 1 if self.cost_of(joined) < 2 * self._column_bytes else 0


def _no_part() -> PartWriter:
    raise RuntimeError("a store that was closed takes no rows")
