"""Rows that become a batch when they are needed, and the blocks that they become."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from crawler.snapshot.rows.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from crawler.snapshot.rows.blocks import TableLayout

# A store that holds this many bytes of pending rows has them decoded.
PREPARE_FROM_BYTES = 1024 * 1024
# Small batches are joined to blocks of about this size. Merging reads whole blocks, of which many may overlap.
BLOCK_BYTES = 1024 * 1024


class PendingRows(Protocol):
    """Rows in a fixed order that become one batch when they are needed. Safe to use in any thread."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batch."""
        ...

    @property
    def nbytes(self) -> int:
        """The approximate memory, in bytes, that the rows take."""
        ...

    @property
    def batch_bytes(self) -> int:
        """The approximate size of the batch, in bytes. May wait for rows that are being decoded."""
        ...

    @property
    def source(self) -> RowSource | None:
        """The source that decodes the rows; None if they are decoded."""
        ...

    @property
    def future(self) -> Future[PendingRows] | None:
        """The future of the rows that replace these; None if they are not being decoded."""
        ...

    def to_batch(self) -> pa.RecordBatch:
        """Return the rows as a batch. May take long."""
        ...


class RowSource(Protocol):
    """Decodes rows in the background, or at once into batches. Consecutive rows of one source are handled together."""

    def prepare(self, rows: Sequence[PendingRows], pack: Callable[[pa.RecordBatch], Block]) -> Iterable[PendingRows]:
        """Begin to decode and pack rows in the background. Returns at once the rows that replace them, in order."""
        ...

    def to_batches(self, rows: Sequence[PendingRows]) -> list[pa.RecordBatch]:
        """Return the rows as batches, in their order. May take long."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SelectedRows:
    """Some rows of others, by their positions in ascending order. It holds all of them. One of the `PendingRows`."""

    rows: PendingRows
    positions: Sequence[int]

    source = None
    future = None

    @property
    def num_rows(self) -> int:
        """The number of selected rows."""
        return len(self.positions)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batch."""
        return self.rows.schema

    @property
    def nbytes(self) -> int:
        """The memory of all rows."""
        return self.rows.nbytes

    @property
    def batch_bytes(self) -> int:
        """The size of the batch with all rows."""
        return self.rows.batch_bytes

    def to_batch(self) -> pa.RecordBatch:
        """Copy the selected rows of the batch."""
        return self.rows.to_batch().take(pa.array(self.positions, type=pa.int64()))


def prepare(rows: Iterable[PendingRows], layout: TableLayout) -> Iterator[PendingRows]:
    """Begin to decode all rows that a source decodes. Yields the rows that replace them, in their order."""
    for source, found in groupby(rows, _source):
        if source is not None:
            yield from source.prepare(list(found), partial(Block.packed, layout))
        else:
            yield from found


def to_blocks(rows: Iterable[PendingRows], layout: TableLayout) -> Iterator[Block]:
    """Yield the rows as packed blocks, in their order; small ones are joined. Blocking: for worker threads."""
    loose: list[pa.RecordBatch] = []
    size = 0
    for found in _decoded(rows):
        is_packed = isinstance(found, Block) and found.batch is None
        if loose and (is_packed or size >= BLOCK_BYTES):
            yield Block.packed(layout, pa.concat_batches(loose))
            loose, size = [], 0
        if isinstance(found, Block) and is_packed:
            yield found
        else:
            loose.append(found if isinstance(found, pa.RecordBatch) else found.to_batch())
            size += loose[-1].nbytes
    if loose:
        yield Block.packed(layout, pa.concat_batches(loose))


def _decoded(rows: Iterable[PendingRows]) -> Iterator[pa.RecordBatch | PendingRows]:
    for source, found in groupby(rows, _source):
        if source is not None:
            yield from source.to_batches(list(found))
        else:
            yield from (one.future.result() if one.future is not None else one for one in found)


_source = attrgetter("source")
