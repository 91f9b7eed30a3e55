"""The states of a page's rows between the event loop and a batch: undecoded, being decoded, ready.

All of them are `PendingRows` of the snapshot package, which buffers them without knowing how they are decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pyarrow as pa

from crawler.snapshot.rows.blocks import count_columns

if TYPE_CHECKING:
    from crawler.snapshot.rows.pending_rows import PendingRows

# Pages with so many bytes together become one batch. Smaller batches cost more: with wide tables a single page takes
# twice as long as one of four pages. Larger batches gain nothing.
RUN_BYTES = 1024 * 1024
# The memory of an undecoded page in addition to its bytes, of each parameter of its path, and of each cell of it, empty
# or not, once it is decoded.
_PAGE_BYTES = 300
_PARAMETER_BYTES = 120
_CELL_BYTES = 5


@dataclass(frozen=True, slots=True)
class RowContext:
    """Values that all rows of a page share. `parameters` are those of the path, by wire name."""

    account_id: str
    region_id: str
    fetched_at: datetime
    parameters: Mapping[str, str]


class DecodePool:
    """One thread that decodes pages in the background. One is enough: decoding only computes."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def submit(
        self, decode: Callable[[], pa.RecordBatch], pack: Callable[[pa.RecordBatch], PendingRows]
    ) -> Future[PendingRows]:
        """Begin to decode and pack; the thread is started by the first call."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "decode")
        return self._executor.submit(lambda: pack(decode()))


class PageDecoder(ABC):
    """Makes one batch of several pages: the `RowSource` of undecoded pages."""

    def __init__(self, schema: pa.Schema, pool: DecodePool) -> None:
        self.schema = schema
        self._pool = pool
        self._row_bytes = _CELL_BYTES * count_columns(schema)

    @abstractmethod
    def decode(self, pages: Sequence[UndecodedPage]) -> pa.RecordBatch:
        """Return the rows of pages of any scopes, in their order. May take long; safe in any thread."""

    def page(self, body: bytes, num_rows: int, context: RowContext, extra: Sequence[str | None]) -> UndecodedPage:
        """Return a page's rows, undecoded. `extra` is their `_extra`, empty if no row has any."""
        size = len(body) + (sum(len(text) for text in extra if text) if extra else 0)
        nbytes = size + _PAGE_BYTES + _PARAMETER_BYTES * len(context.parameters) + num_rows * self._row_bytes
        return UndecodedPage(self, body, num_rows, context, extra, size, nbytes)

    def prepare(self, rows: Sequence[Any], pack: Callable[[pa.RecordBatch], PendingRows]) -> Iterator[DecodeTask]:
        """See `RowSource.prepare`. The rows are pages of this decoder."""
        for pages in _runs(rows):
            future = self._pool.submit(partial(self.decode, pages), pack)
            yield DecodeTask(
                self.schema, future, sum(page.num_rows for page in pages), sum(page.nbytes for page in pages)
            )

    def to_batches(self, rows: Sequence[Any]) -> list[pa.RecordBatch]:
        """See `RowSource.to_batches`. The rows are pages of this decoder."""
        return [self.decode(pages) for pages in _runs(rows)]


def _runs(pages: Iterable[UndecodedPage]) -> Iterator[list[UndecodedPage]]:
    """Yield the pages in lists to be decoded together."""
    run: list[UndecodedPage] = []
    size = 0
    for page in pages:
        if size >= RUN_BYTES:
            yield run
            run, size = [], 0
        run.append(page)
        size += page.batch_bytes
    yield run


class UndecodedPage(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A page's rows as received, proven to be in schema.

    A crawl of many scopes holds thousands of small ones: a Struct takes less memory than a dataclass, half the time to
    make, and none of the garbage collector's.
    """

    source: PageDecoder
    body: bytes
    num_rows: int
    context: RowContext
    extra: Sequence[str | None]
    batch_bytes: int
    nbytes: int

    future: ClassVar[None] = None

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batch."""
        return self.source.schema

    def to_batch(self) -> pa.RecordBatch:
        """Decode the page now."""
        return self.source.decode([self])


@dataclass(frozen=True, slots=True, eq=False)
class DecodeTask:
    """Rows that are being decoded. `nbytes` is the estimate of their pages."""

    schema: pa.Schema
    future: Future[PendingRows]
    num_rows: int
    nbytes: int

    source = None

    @property
    def batch_bytes(self) -> int:
        """The size of the batch. Waits for it."""
        return self.future.result().batch_bytes

    def to_batch(self) -> pa.RecordBatch:
        """Wait for the rows. Raises the errors of decoding."""
        return self.future.result().to_batch()


@dataclass(frozen=True, slots=True, eq=False)
class ReadyBatch:
    """Rows that are a batch already."""

    batch: pa.RecordBatch

    source = None
    future = None

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return int(self.batch.num_rows)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batch."""
        return self.batch.schema

    @property
    def nbytes(self) -> int:
        """The size of the batch in bytes."""
        return int(self.batch.nbytes)

    batch_bytes = nbytes

    def to_batch(self) -> pa.RecordBatch:
        """Return the batch."""
        return self.batch
