"""The ledger: one row per scope, packed in memory while a crawl runs, and as a table."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, repeat
from operator import attrgetter
from typing import Any, overload

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.errors import OutputError
from crawler.snapshot.layout import is_table
from crawler.snapshot.limits import LEDGER_ROWS, LEDGER_UNCOMPRESSED_BYTES, TEXT_CHARACTERS, is_instant
from crawler.snapshot.status import Status, is_whole

_BLOCK_ROWS = 256
_CODEC = "zstd"


@dataclass(slots=True)
class ScopeRow:
    """One row of the ledger: one table in one account and region.

    The fields are the columns of the ledger's file. `written`: the user requested the table. `rows` counts rows in the
    snapshot, `rows_seen` records of the API; `requests` counts attempts. `lists` and `pages` count those that were
    read, `misfits` type mismatches, `vanished` lists whose parent was gone. `walk` says how the lists were paged. Texts
    may be empty; times are UTC, None if no list was begun.
    """

    account_id: str
    region_id: str
    table: str
    status: Status
    written: bool = True
    rows: int = 0
    rows_seen: int = 0
    lists: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    duplicates: int = 0
    conflicts: int = 0
    coerced: int = 0
    misfits: int = 0
    vanished: int = 0
    walk: str = ""
    error_code: str = ""
    error_message: str = ""
    request_id: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


_BATCH_ROWS = 10_000
_INSTANT = pa.timestamp("us", tz="UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_ARROW_TYPES = {
    "str": pa.string(),
    "Status": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "datetime | None": _INSTANT,
}


LEDGER_SCHEMA = pa.schema(
    [
        pa.field(field.name, _ARROW_TYPES[str(field.type)], nullable=field.type == "datetime | None")
        for field in dataclasses.fields(ScopeRow)
    ]
)


_TEXTS = frozenset(field.name for field in LEDGER_SCHEMA if pa.types.is_string(field.type))


def sorted_ledger(rows: Iterable[ScopeRow]) -> list[ScopeRow]:
    """Return the rows by table, account and region: the order in the file and in the manifest."""
    return sorted(rows, key=lambda row: (row.table, row.account_id, row.region_id))


def ledger_batch(rows: Sequence[ScopeRow]) -> pa.RecordBatch:
    """Return the rows as a batch of `LEDGER_SCHEMA`, in the order given."""
    columns = [pa.array([getattr(row, field.name) for row in rows], type=field.type) for field in LEDGER_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=LEDGER_SCHEMA)


_ODD_INSTANT = "the start or the end of a scope is not in the years 1900 to 9998"


def _odd_table(name: str) -> str:
    return f"{name[:80]!a} can't be a table's name"


def odd_row(row: ScopeRow) -> str:
    """Return what no row of a crawl has, as a part of a sentence; empty if there is nothing."""
    if not is_table(row.table):
        return _odd_table(row.table)
    if not all(moment is None or is_instant(moment) for moment in (row.started_at, row.finished_at)):
        return _ODD_INSTANT
    return ""


def decode_ledger(content: bytes, name: str) -> list[ScopeRow]:
    """Return the rows of a ledger's file. Columns of later versions are ignored; missing ones have their defaults.

    Raises OutputError, which names `name`, for content that isn't a ledger or is too large for one.
    """
    try:
        metadata = pq.read_metadata(pa.BufferReader(content))
        columns = _known_columns(metadata)
        texts = [name for name in columns if name in _TEXTS]
        file = pq.ParquetFile(pa.BufferReader(content), metadata=metadata, read_dictionary=texts)
        rows: list[ScopeRow] = []
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
            rows += _rows_of(batch)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # msgspec's are ValueErrors
        raise OutputError(f"{name} is not a readable ledger: {' '.join(str(error).split())}") from error
    return rows


def _known_columns(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns to read. Raises ValueError for a file that compression makes look smaller than it is."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if metadata.num_rows > LEDGER_ROWS or sum(group.total_byte_size for group in groups) > LEDGER_UNCOMPRESSED_BYTES:
        raise ValueError(f"it has {metadata.num_rows:,} rows, more than any crawl's, or too long texts")
    found = metadata.schema.to_arrow_schema()
    columns = [field.name for field in LEDGER_SCHEMA if field.name in found.names]
    if not columns:
        raise ValueError("it has none of a ledger's columns")
    for name in columns:
        if found.field(name).type != LEDGER_SCHEMA.field(name).type:
            raise ValueError(f"its column {name} has another type")
    return columns


def _rows_of(batch: pa.RecordBatch) -> Iterator[ScopeRow]:
    """Return the rows of a batch whose columns have the types of `LEDGER_SCHEMA`. Raises ValueError for a null."""
    found = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = [
        _values(field, found[field.name]) if field.name in found else repeat(_default(field.name), batch.num_rows)
        for field in LEDGER_SCHEMA
    ]
    return map(ScopeRow, *columns)


def _default(name: str) -> Any:
    field = ScopeRow.__dataclass_fields__[name]
    if field.default is dataclasses.MISSING:
        raise ValueError(f"it has no column {name}")
    return field.default


def _values(field: pa.Field, column: pa.Array) -> list[Any]:
    """Return a column's values. Equal texts of a dictionary are one object, so that they take memory only once."""
    if column.null_count and not field.nullable:
        raise ValueError(f"its column {field.name} has an empty place")
    if field.type == _INSTANT:
        # pyarrow takes ten times as long, since it asks for the time zone again each time.
        moments = column.cast(pa.int64()).to_pylist()
        found = [None if moment is None else _EPOCH + timedelta(0, 0, moment) for moment in moments]
        ends = pc.min_max(column.cast(pa.int64())).as_py().values()
        if not all(end is None or is_instant(_EPOCH + timedelta(0, 0, end)) for end in ends):
            raise ValueError(_ODD_INSTANT)
        return found
    if not pa.types.is_dictionary(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    if longest > TEXT_CHARACTERS:
        raise ValueError(f"a text in it has {longest:,} bytes")
    texts: list[Any] = column.dictionary.to_pylist()
    if field.name == "status":
        texts = [Status(text) for text in texts]
    if field.name == "table" and (odd := [text for text in texts if not is_table(text)]):
        raise ValueError(_odd_table(odd[0]))
    return [texts[index] for index in column.indices.to_pylist()]


class _Pack:
    """Rows in the order of their arrival: compressed blocks, each with its uncompressed size, then the latest rows."""

    __slots__ = ("_blocks", "_latest")

    def __init__(self) -> None:
        self._blocks: list[tuple[int, bytes]] = []
        self._latest: list[ScopeRow] = []

    def append(self, row: ScopeRow) -> None:
        self._latest.append(row)
        if len(self._latest) == _BLOCK_ROWS:
            text = _encode(self._latest)
            self._blocks.append((len(text), pa.compress(text, _CODEC, asbytes=True)))
            self._latest.clear()

    def __iter__(self) -> Iterator[ScopeRow]:
        for size, block in self._blocks:
            yield from _decode(pa.decompress(block, size, _CODEC, asbytes=True))
        yield from self._latest


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[ScopeRow]).decode


class Ledger(Sequence[ScopeRow]):
    """One row per scope, table by table; within a table, whole scopes first, then by arrival.

    A row must not change after `append`. `by_status` counts the rows. Each iteration decodes every row again, a few
    microseconds per row: take several figures of all rows in one iteration.
    """

    def __init__(self, rows: Iterable[ScopeRow] = ()) -> None:
        self.by_status: Counter[Status] = Counter()
        self._packs: dict[str, tuple[_Pack, _Pack]] = {}
        for row in rows:
            self.append(row)

    @classmethod
    def of(cls, rows: Sequence[ScopeRow]) -> Ledger:
        """Return the rows as a ledger, unchanged if they are one."""
        return rows if isinstance(rows, Ledger) else cls(rows)

    def append(self, row: ScopeRow) -> None:
        """Add a row."""
        packs = self._packs.get(row.table)
        if packs is None:
            packs = self._packs[row.table] = (_Pack(), _Pack())
        packs[not is_whole(row.status)].append(row)
        self.by_status[row.status] += 1

    @property
    def tables(self) -> list[str]:
        """The tables of all rows, sorted."""
        return sorted(self._packs)

    def of_table(self, table: str) -> Iterator[ScopeRow]:
        """Yield the rows of a table."""
        for pack in self._packs[table]:
            yield from pack

    def in_order(self) -> Iterator[ScopeRow]:
        """Yield the rows by table, account and region. Only one table's rows are in memory at a time."""
        for table in self.tables:
            yield from sorted(self.of_table(table), key=attrgetter("account_id", "region_id"))

    def not_whole(self) -> list[ScopeRow]:
        """Return the rows of scopes that aren't whole, by table, account and region."""
        return sorted_ledger(row for _, rest in self._packs.values() for row in rest)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.by_status.total()

    def __iter__(self) -> Iterator[ScopeRow]:
        """Yield all rows, table by table."""
        for table in self._packs:
            yield from self.of_table(table)

    @overload
    def __getitem__(self, index: int) -> ScopeRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[ScopeRow]: ...
    def __getitem__(self, index: int | slice) -> ScopeRow | list[ScopeRow]:
        """Return rows by their position; this iterates from the first one."""
        if isinstance(index, slice):
            return list(self)[index]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"a ledger of {len(self)} rows has none at {index}")
        return next(islice(self, at, None))
