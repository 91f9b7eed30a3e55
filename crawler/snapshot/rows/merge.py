"""Merges blocks of rows into the row groups of a part, in the table's order. The rows in memory are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.snapshot.rows.blocks import comparable, is_ascending
from crawler.snapshot.rows.parquet import ROW_GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crawler.snapshot.rows.blocks import Block, Key, TableLayout
    from crawler.snapshot.rows.parquet import PartWriter

# The maximum bytes of rows in a row group, as Arrow counts them.
GROUP_BYTES = 8 * 1024 * 1024
# With so many bytes of rows in memory, a row group may be smaller: the rows of very many blocks overlap.
_MOST_BYTES = 2 * GROUP_BYTES
# A part of less than the wanted size is given up early only if it would clearly be smaller.
_SMALLER = 0.95


class SortedRows:
    """The rows of blocks in the table's order. Blocks are read when the first of their rows may be next."""

    def __init__(self, layout: TableLayout, blocks: Iterable[Block]) -> None:
        self._layout = layout
        # The next one is the last. Of equal ones, the first comes first.
        self._waiting = sorted(blocks, key=lambda block: comparable(block.least))[::-1]
        self._rows = layout.schema.empty_table()

    @property
    def has_more(self) -> bool:
        """Whether there is another row group."""
        return bool(self._waiting or self._rows.num_rows)

    def stop(self) -> list[Block]:
        """Return the blocks that weren't read; only the rows that were are in the next groups."""
        left, self._waiting = self._waiting, []
        return left

    def next_group(self) -> pa.Table:
        """Return the next row group. Blocking. Raises OutputError if the rows can't be read."""
        wanted = GROUP_BYTES
        while True:
            self._read(wanted)
            rows, weight = self._rows, _weight(self._rows)
            order = self._layout.sort_indices(rows)
            full = max(1, rows.num_rows * GROUP_BYTES // max(GROUP_BYTES, weight))
            count = full if not self._waiting else min(full, self._count_up_to(order, self._waiting[-1].least))
            # Small blocks are estimated by their IPC messages, whose padding may be most of them: then there is room.
            has_room = bool(self._waiting) and weight < GROUP_BYTES // 2
            if (count == full and not has_room) or (count and weight >= _MOST_BYTES):
                break
            wanted = weight + _weight(self._waiting[-1]) + GROUP_BYTES // 2
        if not is_ascending(order):
            rows = rows.take(order)
        self._rows = rows.slice(count) if count < rows.num_rows else rows.schema.empty_table()
        return rows.slice(0, count)

    def _read(self, wanted: int) -> None:
        """Read the next blocks, so that the rows in memory have about `wanted` weight; at least one block."""
        batches = self._rows.to_batches()
        weight = _weight(self._rows)
        while self._waiting:
            # Without a part of a block that is left for the next group: it would hold the memory of all its rows.
            more = _weight(self._waiting[-1])
            if batches and weight + more > wanted:
                break
            batches.append(self._waiting.pop().to_batch())
            weight += more
        self._rows = pa.Table.from_batches(batches)

    def _count_up_to(self, order: pa.Array, limit: Key) -> int:
        """Return the number of rows whose key isn't larger than `limit`: no block that waits has a smaller one."""
        least, most, bound = 0, self._rows.num_rows, comparable(limit)
        while least < most:
            middle = (least + most + 1) // 2
            if comparable(self._layout.key_at(self._rows, order[middle - 1].as_py())) <= bound:
                least = middle
            else:
                most = middle - 1
        return least


def _weight(rows: pa.Table | Block) -> int:
    """Return the bytes of rows, or what so many rows are of a row group if that is more."""
    nbytes = rows.nbytes if isinstance(rows, pa.Table) else rows.batch_bytes
    return int(max(nbytes, rows.num_rows * GROUP_BYTES // ROW_GROUP_ROWS))


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part that was written, or not. `left` are the blocks that aren't in it.

    `ratio` is the size of the part for each byte of the compressed blocks.
    """

    is_finished: bool
    left: list[Block]
    ratio: float


def write_part(
    part: PartWriter,
    layout: TableLayout,
    blocks: list[Block],
    size: int,
    *,
    may_be_small: bool,
    is_stopped: Callable[[], bool] = bool,
) -> PartResult:
    """Write the rows of blocks into a part of about `size` bytes, and finish it.

    Without `may_be_small`, a part that would be smaller is abandoned, and so is one when the crawl is stopped. Raises
    OutputError, after which the part is abandoned. Blocking.
    """
    rows = SortedRows(layout, blocks)
    total, packed_bytes = sum(block.num_rows for block in blocks), sum(block.length for block in blocks)
    left: list[Block] = []
    ratio = 1.0
    while rows.has_more:
        part.append(rows.next_group())
        # Else the heap grows with each row group, since small blocks remain between the large ones: 253 instead of 213
        # MB for 300,000 functions.
        pa.default_memory_pool().release_unused()
        estimate = part.bytes / max(1, part.rows) * total
        ratio = estimate / max(1, packed_bytes)
        if part.bytes >= size:
            left += rows.stop()
        elif is_stopped() or (not may_be_small and estimate < _SMALLER * size):
            part.abandon()
            return PartResult(is_finished=False, left=blocks, ratio=ratio)
    part.finish()
    return PartResult(is_finished=True, left=left, ratio=ratio)
