"""What a store holds: batches, pages that wait as bytes to become some, those on their way, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeGuard

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

# As many bytes of pages become one batch. Fewer cost more: of wide tables one page alone takes twice as long as one of
# four, and more than these gain nothing.
RUN_BYTES = 1024 * 1024
# As many bytes of rows become one row group at most: what is packed takes so much memory while it is written.
GROUP_BYTES = 16 * 1024 * 1024


class Decoder(Protocol):
    """Makes one batch of pages."""

    def decode(self, pages: Sequence[Waiting]) -> pa.RecordBatch:
        """The pages' rows in their order. It may take long, and may be called in any thread."""
        ...


class Waiting(Protocol):
    """One page's rows as bytes."""

    @property
    def decoder(self) -> Decoder:
        """Who makes the batch. Pages in a row with the same one become a batch together."""
        ...

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """The schema that the rows will have."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class CompressedBatch:
    """A batch, compressed until it is written: five times as many rows wait in the same memory, for larger row groups.

    `unpacked_bytes` is what the batch takes.
    """

    schema: pa.Schema
    num_rows: int
    unpacked_bytes: int
    _data: bytes

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> CompressedBatch:
        """Pack a batch."""
        message = batch.serialize()
        return cls(batch.schema, batch.num_rows, message.size, _codec().compress(message, asbytes=True))

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return len(self._data)

    def batch(self) -> pa.RecordBatch:
        """The batch again."""
        return pa.ipc.read_record_batch(_codec().decompress(self._data, self.unpacked_bytes), self.schema)


@cache
def _codec() -> pa.Codec:
    return pa.Codec("zstd", compression_level=1)


@dataclass(slots=True, eq=False)
class DecodeTask:
    """Rows that are being decoded. `cost_bytes` is an estimate until it is done and counted."""

    future: Future[CompressedBatch]
    num_rows: int
    cost_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class RowSelection:
    """Some of the rows of a chunk that isn't decoded yet, by position."""

    chunk: Chunk
    rows: Sequence[int]

    @property
    def num_rows(self) -> int:
        """How many rows were chosen."""
        return len(self.rows)


Chunk: TypeAlias = "pa.RecordBatch | Waiting | DecodeTask | RowSelection"


def is_waiting(chunk: Chunk) -> TypeGuard[Waiting]:
    """Whether a chunk is a page as bytes that nobody decodes yet."""
    return not isinstance(chunk, pa.RecordBatch | DecodeTask | RowSelection)


def choose(chunk: Chunk, rows: Sequence[int]) -> Chunk:
    """These rows of a chunk, by position: a copy of a batch's, a note of another's."""
    return (
        chunk.take(pa.array(rows, type=pa.int64())) if isinstance(chunk, pa.RecordBatch) else RowSelection(chunk, rows)
    )


def runs(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """The chunks in their order: pages to be decoded together as one list, every other chunk as a list of its own."""
    run: list[Chunk] = []
    decoder: Decoder | None = None
    size = 0
    for chunk in chunks:
        its = chunk.decoder if is_waiting(chunk) else None
        if run and (its is None or its is not decoder or size >= RUN_BYTES):
            yield run
            run, size = [], 0
        run.append(chunk)
        decoder = its
        size += chunk.nbytes if is_waiting(chunk) else 0
    if run:
        yield run


def groups(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """The chunks in their order, about as many bytes of rows in each group, `GROUP_BYTES` at most but for one chunk."""
    sizes = list(map(_unpacked_bytes, chunks))
    share = sum(sizes) / max(1, -(-sum(sizes) // GROUP_BYTES))
    group: list[Chunk] = []
    held = 0
    for chunk, size in zip(chunks, sizes, strict=True):
        if group and held + size > GROUP_BYTES:
            yield group
            group, held = [], 0
        group.append(chunk)
        held += size
        if held >= share:
            yield group
            group, held = [], 0
    if group:
        yield group


def _unpacked_bytes(chunk: Chunk) -> int:
    if isinstance(chunk, RowSelection):
        return _unpacked_bytes(chunk.chunk)
    if isinstance(chunk, DecodeTask):
        return chunk.future.result().unpacked_bytes
    return int(chunk.nbytes)


def decoded(pages: Sequence[Waiting]) -> CompressedBatch:
    """Pages of one decoder, decoded and packed. Takes long: for worker threads."""
    return CompressedBatch.of(pages[0].decoder.decode(pages))


def resolved(chunks: Iterable[Chunk]) -> list[pa.RecordBatch]:
    """The chunks as batches, decoded here or waited for. Blocks: for worker threads."""
    return [_resolved(run) for run in runs(chunks)]


def _resolved(run: Sequence[Chunk]) -> pa.RecordBatch:
    first = run[0]
    if is_waiting(first):
        return first.decoder.decode([page for page in run if is_waiting(page)])
    if isinstance(first, DecodeTask):
        return first.future.result().batch()
    if isinstance(first, RowSelection):
        return choose(_resolved([first.chunk]), first.rows)
    return first


def started(
    chunks: Iterable[Chunk],
    submit: Callable[[Sequence[Waiting]], Future[CompressedBatch]],
    cost_of: Callable[[Chunk], int],
) -> Iterator[Chunk]:
    """The chunks, with decoding begun for the pages among them."""
    for run in runs(chunks):
        if pages := [page for page in run if is_waiting(page)]:
            yield DecodeTask(submit(pages), sum(page.num_rows for page in pages), sum(map(cost_of, pages)))
        else:
            yield from run
