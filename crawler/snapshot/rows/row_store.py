"""Rows on their way to the disk: buffered chunks, and the parts with the rows before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.rows.pending_rows import Chunk, PendingRows, prepare, select

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from crawler.snapshot.rows.parquet import PartWriter

# The number of small batches in a row that are joined. With fewer, the joins take a visible part of a page's time. With
# more, a store holds mostly the overhead of its batches: stores that share the buffer would write tiny row groups.
_SMALL_BATCHES = 16
# A batch takes its buffers and about this much for each of its columns, nested ones included. Measured with pyarrow 26
# on batches of one row, where it is nearly all of the memory.
_COLUMN_BYTES = 700


def count_columns(kind: pa.Schema | pa.DataType) -> int:
    """Count the columns of a schema or a nested type on all levels."""
    length = len(kind) if isinstance(kind, pa.Schema) else kind.num_fields
    return sum(1 + count_columns(kind.field(i).type) for i in range(length))


class RowStore:
    """Rows of one list, or of the finished lists of a scope, in their order: those in `parts`, then those in `chunks`.

    `nbytes` is the approximate memory of the chunks, `unprepared_bytes` that of the chunks that a source could decode.
    `preparing` are the chunks that are being decoded, by their futures. No method waits or touches the disk.
    """

    __slots__ = (
        "_column_bytes",
        "_new_part",
        "_small",
        "chunks",
        "current",
        "nbytes",
        "parts",
        "preparing",
        "rows",
        "unprepared_bytes",
    )

    def __init__(self, columns: int, new_part: Callable[[], PartWriter]) -> None:
        self._column_bytes = columns * _COLUMN_BYTES
        self._new_part = new_part
        self._small = 0
        self.preparing: dict[Future[PendingRows], PendingRows] = {}
        self.chunks: list[Chunk] = []
        self.rows = 0
        self.nbytes = 0
        self.unprepared_bytes = 0
        self.parts: list[PartWriter] = []
        self.current: PartWriter | None = None

    def estimated_bytes(self, chunk: Chunk) -> int:
        """Return the approximate memory of a chunk, in bytes."""
        return int(chunk.nbytes) + self._column_bytes if isinstance(chunk, pa.RecordBatch) else chunk.nbytes

    def append(self, chunk: Chunk) -> None:
        """Hold one more chunk. Consecutive small batches are joined: each would take more memory than its rows."""
        nbytes = self.estimated_bytes(chunk)
        self.chunks.append(chunk)
        self.rows += chunk.num_rows
        self.nbytes += nbytes
        if isinstance(chunk, pa.RecordBatch):
            self._small = self._small + 1 if nbytes < 2 * self._column_bytes else 0
            if self._small == _SMALL_BATCHES:
                self._join_small()
            return
        self._small = 0
        if chunk.source is not None:
            self.unprepared_bytes += chunk.batch_bytes
        elif chunk.future is not None:
            self.preparing[chunk.future] = chunk

    def drain(self) -> list[Chunk]:
        """Return the chunks and forget them. The store keeps its parts."""
        chunks, self.chunks = self.chunks, []
        self.preparing = {}
        self.rows = self.nbytes = self.unprepared_bytes = self._small = 0
        return chunks

    def prepare(self) -> None:
        """Begin to decode all pending rows in the background."""
        for chunk in list(prepare(self.drain())):
            self.append(chunk)

    def replace_prepared(self) -> None:
        """Replace the chunks that were decoded by the results. Chunks that failed stay, and fail later."""
        prepared: dict[int, PendingRows] = {}
        for future in [future for future in self.preparing if future.done()]:
            chunk = self.preparing.pop(future)
            if not future.exception():
                prepared[id(chunk)] = future.result()
        for at, chunk in enumerate(self.chunks if prepared else ()):
            if (found := prepared.get(id(chunk))) is not None:
                self.chunks[at] = found
                self.nbytes += found.nbytes - chunk.nbytes

    def reserve_part(self) -> PartWriter:
        """Return the part that takes the next rows: the open one or a new one."""
        if self.current is None or not self.current.takes_rows:
            self.current = self._new_part()
            self.parts.append(self.current)
        return self.current

    def adopt(self, other: RowStore) -> None:
        """Take over all chunks and parts of another store, which is empty afterwards."""
        for chunk in other.drain():
            self.append(chunk)
        self.parts += other.parts
        if self.current is None or not self.current.takes_rows:
            self.current = other.current
        other.parts, other.current = [], None

    def close(self) -> None:
        """End the store. It drops the maker of parts, which holds the store, so that no reference cycle remains."""
        self.parts, self.current = [], None
        self._new_part = _no_part

    def leave_out(self, positions: Sequence[int]) -> None:
        """Remove rows by their position among all rows, parts first. Rows on the disk are only marked."""
        start = 0
        for part in self.parts:
            part.left_out.update(at - start for at in positions if start <= at < start + part.reserved_rows)
            start += part.reserved_rows
        unwanted = {at - start for at in positions if at >= start}
        if not unwanted:
            return
        kept, first = [], 0
        for chunk in self.drain():
            rows = [row for row in range(chunk.num_rows) if first + row not in unwanted]
            first += chunk.num_rows
            if rows:
                kept.append(chunk if len(rows) == chunk.num_rows else select(chunk, rows))
        for chunk in kept:
            self.append(chunk)

    def _join_small(self) -> None:
        small = self.chunks[-_SMALL_BATCHES:]
        joined = pa.concat_batches(small)
        self.nbytes += self.estimated_bytes(joined) - sum(map(self.estimated_bytes, small))
        self.chunks[-_SMALL_BATCHES:] = [joined]
        self._small = 1 if self.estimated_bytes(joined) < 2 * self._column_bytes else 0


def _no_part() -> PartWriter:
    raise RuntimeError("a closed store takes no rows")
