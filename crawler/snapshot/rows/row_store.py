"""The rows of a list, or of the finished lists of a scope, on their way to a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.rows.blocks import Block
from crawler.snapshot.rows.pending_rows import SelectedRows, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from crawler.snapshot.rows.blocks import TableLayout
    from crawler.snapshot.rows.parquet import PartWriter
    from crawler.snapshot.rows.pending_rows import PendingRows

# The number of small batches in a row that are joined. With fewer, the joins take a visible part of a page's time. With
# more, a store holds mostly the overhead of its batches.
_SMALL_BATCHES = 16


class RowStore:
    """Rows in their order: those in `parts`, then those in `chunks`.

    `parts` are parts of the list's own. `nbytes` is the approximate memory of the chunks, `unprepared_bytes` the size
    of those that a source could decode, `packed_bytes` that of the compressed blocks, in memory or not. `preparing` are
    the chunks that are being decoded, by their futures. No method waits or touches the disk.
    """

    __slots__ = (
        "_small",
        "chunks",
        "layout",
        "nbytes",
        "packed_bytes",
        "parts",
        "preparing",
        "unprepared_bytes",
    )

    def __init__(self, layout: TableLayout) -> None:
        self.layout = layout
        self.chunks: list[PendingRows] = []
        self.parts: list[PartWriter] = []
        self.preparing: dict[Future[PendingRows], PendingRows] = {}
        self.nbytes = 0
        self.unprepared_bytes = 0
        self.packed_bytes = 0
        self._small = 0

    def append(self, chunk: PendingRows) -> None:
        """Hold one more chunk. Consecutive small batches are joined: each would take more memory than its rows."""
        nbytes = chunk.nbytes
        self.chunks.append(chunk)
        self.nbytes += nbytes
        if isinstance(chunk, Block):
            self._adopt(chunk)
            self._small = self._small + 1 if chunk.batch is not None and nbytes < 2 * self.layout.column_bytes else 0
            if self._small == _SMALL_BATCHES:
                self._join_small()
            return
        self._small = 0
        if chunk.source is not None:
            self.unprepared_bytes += chunk.batch_bytes
        elif chunk.future is not None:
            self.preparing[chunk.future] = chunk

    def extend(self, chunks: Iterable[PendingRows]) -> None:
        """Hold more chunks."""
        for chunk in chunks:
            self.append(chunk)

    def count_placed(self, less_nbytes: int, more_packed: int) -> None:
        """Count a block of the store whose rows are in a file now."""
        self.nbytes -= less_nbytes
        self.packed_bytes += more_packed

    def drain(self) -> list[PendingRows]:
        """Return the chunks and forget them. The store keeps its parts."""
        chunks, self.chunks = self.chunks, []
        for chunk in chunks:
            if isinstance(chunk, Block):
                chunk.store = None
        self.preparing = {}
        self.nbytes = self.unprepared_bytes = self.packed_bytes = self._small = 0
        return chunks

    def prepare(self) -> None:
        """Begin to decode all pending rows in the background."""
        self.extend(list(prepare(self.drain(), self.layout)))

    def replace_prepared(self) -> None:
        """Replace the chunks that were decoded by the results. Chunks that failed stay, and fail later."""
        prepared: dict[int, Block] = {}
        for future in [future for future in self.preparing if future.done()]:
            chunk = self.preparing.pop(future)
            if not future.exception() and isinstance(result := future.result(), Block):
                prepared[id(chunk)] = result
        for at, chunk in enumerate(self.chunks if prepared else ()):
            if (found := prepared.get(id(chunk))) is not None:
                self.chunks[at] = found
                self.nbytes += found.nbytes - chunk.nbytes
                self._adopt(found)

    def blocks_in_memory(self) -> list[Block]:
        """Return the blocks whose rows could be moved to a file."""
        return [chunk for chunk in self.chunks if isinstance(chunk, Block) and not chunk.is_placed]

    def adopt(self, other: RowStore) -> None:
        """Take over all chunks and parts of another store, which is empty afterwards."""
        self.extend(other.drain())
        self.parts += other.parts
        other.parts = []

    def leave_out(self, unwanted: Sequence[int]) -> None:
        """Remove rows by their position among those of all chunks."""
        rest, first = set(unwanted), 0
        for chunk in self.drain():
            rows = [row for row in range(chunk.num_rows) if first + row not in rest]
            first += chunk.num_rows
            if rows:
                self.append(chunk if len(rows) == chunk.num_rows else select(chunk, rows, self.layout))

    def _adopt(self, block: Block) -> None:
        block.store = self
        self.packed_bytes += block.length

    def _join_small(self) -> None:
        small = self.chunks[-_SMALL_BATCHES:]
        joined = Block.of(self.layout, pa.concat_batches([chunk.to_batch() for chunk in small]))
        joined.store = self
        self.nbytes += joined.nbytes - sum(chunk.nbytes for chunk in small)
        self.chunks[-_SMALL_BATCHES:] = [joined]
        self._small = 1 if joined.nbytes < 2 * self.layout.column_bytes else 0


def select(chunk: PendingRows, positions: Sequence[int], layout: TableLayout) -> PendingRows:
    """Return only the rows of a chunk at these positions, in ascending order. Rows in a file stay there."""
    if isinstance(chunk, Block) and chunk.is_placed:
        return SelectedRows(chunk, positions)
    return Block.packed(layout, chunk.to_batch().take(pa.array(positions, type=pa.int64())))
