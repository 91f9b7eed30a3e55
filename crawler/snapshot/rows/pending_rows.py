"""Rows that become a batch when they are written, and the groups in which buffered rows are written."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

# A store that holds this many bytes of pending rows has them decoded.
PREPARE_FROM_BYTES = 1024 * 1024
# The maximum bytes of rows in a row group. Decompressed rows take that much memory while they are written.
GROUP_BYTES = 16 * 1024 * 1024


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
        """The approximate memory, in bytes, that the rows take until they are written. It never changes."""
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

    def select(self, positions: Sequence[int]) -> PendingRows:
        """Return only the rows at these positions, in ascending order."""
        ...

    def to_batch(self) -> pa.RecordBatch:
        """Return the rows as a batch. May take long."""
        ...


class RowSource(Protocol):
    """Decodes rows in the background, or at once into batches. Consecutive rows of one source are handled together."""

    def prepare(self, rows: Sequence[PendingRows]) -> Iterable[PendingRows]:
        """Begin to decode rows in the background. Returns at once the rows that replace them, in their order."""
        ...

    def to_batches(self, rows: Sequence[PendingRows]) -> list[pa.RecordBatch]:
        """Return the rows as batches, in their order. May take long."""
        ...


Chunk: TypeAlias = "pa.RecordBatch | PendingRows"


def source_of(chunk: Chunk) -> RowSource | None:
    """Return the source that decodes a chunk; None for a batch and for rows without one."""
    return None if isinstance(chunk, pa.RecordBatch) else chunk.source


def select(chunk: Chunk, positions: Sequence[int]) -> Chunk:
    """Return only the rows of a chunk at these positions, in ascending order."""
    if isinstance(chunk, pa.RecordBatch):
        return chunk.take(pa.array(positions, type=pa.int64()))
    return chunk.select(positions)


def prepare(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Begin to decode all pending rows among the chunks. Yields the chunks that replace them, in their order."""
    for source, rows in groupby(chunks, source_of):
        if source is not None:
            yield from source.prepare(list(rows))
        else:
            yield from rows


def to_batches(chunks: Iterable[Chunk]) -> Iterator[pa.RecordBatch]:
    """Yield the chunks as batches, in their order. Blocking: for worker threads."""
    for source, rows in groupby(chunks, source_of):
        if source is not None:
            yield from source.to_batches(list(rows))
        else:
            yield from (chunk if isinstance(chunk, pa.RecordBatch) else chunk.to_batch() for chunk in rows)


def groups(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Yield the chunks in groups of about equal size, in their order. Blocking: for worker threads.

    A group has at most `GROUP_BYTES` bytes of rows, unless it is a single chunk. A chunk of 0 bytes joins the group
    before it.
    """
    sizes = [int(chunk.nbytes) if isinstance(chunk, pa.RecordBatch) else chunk.batch_bytes for chunk in chunks]
    share = sum(sizes) / max(1, -(-sum(sizes) // GROUP_BYTES))
    group: list[Chunk] = []
    held = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        if held and size and (held >= share or held + size > GROUP_BYTES):
            yield group
            group, held = [], 0
        group.append(chunk)
        held += size
    if group:
        yield group
