"""Blocks of rows: a batch, its compressed form, or that form in a file. And the order of a table's rows in a part."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from crawler.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

# The values of a row by which rows are ordered.
Key = tuple[str | int | None, ...]

# A batch takes its buffers and about this much for each of its columns, nested ones included. Measured with pyarrow 26
# on batches of one row, where it is nearly all of the memory.
_COLUMN_BYTES = 700
# The memory of a block whose rows are in a file.
_PLACED_BYTES = 400


def count_columns(kind: pa.Schema | pa.DataType) -> int:
    """Count the columns of a schema or a nested type on all levels."""
    length = len(kind) if isinstance(kind, pa.Schema) else kind.num_fields
    return sum(1 + count_columns(kind.field(i).type) for i in range(length))


class TableLayout:
    """A table's schema and the order of its rows in a part: account, region, its key. Null is the largest value.

    `column_bytes` is the memory that the columns of a batch take in addition to their values.
    """

    def __init__(self, table: str, schema: pa.Schema, key: Sequence[str] = ()) -> None:
        names = [name for name in ("account_id", "region_id", *key) if name in schema.names]
        self.table = table
        self.schema = schema
        self.column_bytes = count_columns(schema) * _COLUMN_BYTES
        self.order = tuple(dict.fromkeys(names))
        self._sort_keys = [(name, "ascending") for name in self.order]

    def least(self, batch: pa.RecordBatch) -> Key:
        """Return the smallest key of a batch's rows."""
        return self.key_at(batch, self.sort_indices(batch)[0].as_py()) if self.order else ()

    def key_at(self, rows: pa.RecordBatch | pa.Table, row: int) -> Key:
        """Return the key of one row."""
        return tuple(rows.column(name)[row].as_py() for name in self.order)

    def sort_indices(self, rows: pa.RecordBatch | pa.Table) -> pa.Array:
        """Return the positions of rows in order. Rows of equal keys stay as they are."""
        if not self.order:
            return pa.array(range(rows.num_rows), pa.uint64())
        return pc.sort_indices(rows.select(list(self.order)), sort_keys=self._sort_keys)


def comparable(key: Key) -> tuple[tuple[bool, str | int], ...]:
    """Return a key in a form that Python compares in the order of the rows."""
    return tuple((value is None, "" if value is None else value) for value in key)


def is_ascending(order: pa.Array) -> bool:
    """Return whether sorted positions are those of rows that are in order already."""
    return len(order) < 2 or bool(pc.all(pc.equal(pc.pairwise_diff(order.cast(pa.int64())), 1)).as_py())


class RowFile(Protocol):
    """A file that has the rows of blocks. `number` tells it apart from others."""

    number: int

    def read(self, offset: int, length: int) -> bytes:
        """Return these bytes. Raises OutputError. Blocks; safe in any thread."""
        ...


class BlockHolder(Protocol):
    """A row store, as a block sees it: it counts the memory of its blocks."""

    def count_placed(self, less_nbytes: int, more_packed: int) -> None:
        """Count a block whose rows are in a file now: the memory and the compressed size that this changes."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a block's compressed rows."""

    file: RowFile
    offset: int


@dataclass(slots=True, eq=False)
class Block:
    """Rows of one table in one of three forms: `batch`, compressed `data`, or data at a `place`.

    It is one of the `PendingRows`. `least` is the smallest key of its rows, `length` the size of the compressed rows in
    bytes, `checksum` their CRC-32; a batch has none of the three yet. `store` is the row store that holds the block.
    """

    layout: TableLayout
    num_rows: int
    batch_bytes: int
    batch: pa.RecordBatch | None = None
    data: bytes | None = None
    place: Place | None = None
    least: Key = ()
    length: int = 0
    checksum: int = 0
    store: BlockHolder | None = None

    source: ClassVar[None] = None
    future: ClassVar[None] = None

    @classmethod
    def of(cls, layout: TableLayout, batch: pa.RecordBatch) -> Block:
        """Return a block of a batch, as it is."""
        return cls(layout, batch.num_rows, batch.nbytes, batch=batch)

    @classmethod
    def packed(cls, layout: TableLayout, batch: pa.RecordBatch) -> Block:
        """Return a block of a batch, compressed, so that five times as many rows fit into memory.

        Takes long for many rows; safe in any thread.
        """
        message = batch.serialize()
        data = _codec().compress(message, asbytes=True)
        block = cls(layout, batch.num_rows, message.size, data=data, least=layout.least(batch))
        block.length, block.checksum = len(data), zlib.crc32(data)
        return block

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batch."""
        return self.layout.schema

    @property
    def nbytes(self) -> int:
        """The approximate memory of the rows, in bytes."""
        if self.batch is not None:
            return self.batch_bytes + self.layout.column_bytes
        return self.length if self.data is not None else _PLACED_BYTES

    @property
    def is_placed(self) -> bool:
        """Whether the rows are in a file."""
        return self.place is not None

    def put(self, place: Place, packed: Block | None = None) -> None:
        """Record that the compressed rows are at this place, and forget them. `packed` is the block of a batch."""
        before, length = self.nbytes, self.length
        if packed is not None:
            self.batch_bytes, self.least = packed.batch_bytes, packed.least
            self.length, self.checksum = packed.length, packed.checksum
        # In this order, because another thread may be reading the rows.
        self.place = place
        self.batch = self.data = None
        if self.store is not None:
            self.store.count_placed(before - self.nbytes, self.length - length)

    def to_batch(self) -> pa.RecordBatch:
        """Return the rows as a batch. Raises OutputError if the file can't be read or has changed."""
        batch, data = self.batch, self.data
        if batch is not None:
            return batch
        if data is None:
            if self.place is None:
                raise RuntimeError("a block without rows")
            data = self.place.file.read(self.place.offset, self.length)
            if zlib.crc32(data) != self.checksum:
                raise OutputError("staged rows aren't what was written: the disk or another program changed them")
        return pa.ipc.read_record_batch(_codec().decompress(data, self.batch_bytes), self.layout.schema)


@cache
def _codec() -> pa.Codec:
    return pa.Codec("zstd", compression_level=1)
