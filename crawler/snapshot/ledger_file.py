"""The ledger of a snapshot as a file, which is read in batches: its rows may be more than memory holds."""

from __future__ import annotations

import dataclasses
import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice, repeat
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.errors import OutputError
from crawler.snapshot.causes import Cause, Causes
from crawler.snapshot.layout import is_table
from crawler.snapshot.ledger import (
    BATCH_ROWS,
    LEDGER_SCHEMA,
    ODD_INSTANT,
    ScopeRow,
    TableFigures,
    odd_table,
)
from crawler.snapshot.limits import LEDGER_GROUP_BYTES, LEDGER_ROWS, TEXT_CHARACTERS, is_instant
from crawler.snapshot.status import Status, is_known, is_whole

NOT_WHOLE = frozenset(status for status in Status if not is_whole(status))
KNOWN = frozenset(status for status in Status if is_known(status))
_KEY = ("table", "account_id", "region_id")
_TEXTS = frozenset(field.name for field in LEDGER_SCHEMA if pa.types.is_string(field.type))
_SUMS = ("requests", "retries", "throttled", "rows")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError)


class StoredLedger:
    """A ledger's file, sorted by table, account and region: a `LedgerView`. `name` is its path in messages.

    Nothing is read before it is asked for, and a batch of rows is in memory at a time. Columns of later versions are
    ignored; missing ones have their defaults. Threads may share it. Reading raises OutputError for content that isn't a
    ledger or is too large for one: a batch is checked before its rows are used.
    """

    def __init__(self, file: BinaryIO | pa.NativeFile, name: str) -> None:
        self.name = name
        self._file = file if isinstance(file, pa.NativeFile) else pa.PythonFile(file, mode="r")
        # The file is closed when the last reference to the ledger goes.
        self.close = weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._metadata.num_rows)

    def __iter__(self) -> Iterator[ScopeRow]:
        """Yield the rows in the order of the file."""
        return self.rows()

    def rows(
        self, columns: Collection[str] = LEDGER_SCHEMA.names, statuses: Collection[Status] = (), table: str = ""
    ) -> Iterator[ScopeRow]:
        """Yield the rows of scopes with one of the statuses, all without any, and of one table if it is given.

        Columns that aren't named have their defaults, except for the scope and its status: fewer take less time.
        """
        wanted = [name for name in LEDGER_SCHEMA.names if name in {*_KEY, "status", *columns}]
        for batch in self._checked(wanted, table):
            kept = batch
            if table:
                kept = kept.filter(_is_one_of(kept.column("table"), [table]))
            if statuses:
                kept = kept.filter(_is_one_of(kept.column("status"), statuses))
            yield from _rows_of(kept)

    def not_whole(self, limit: int | None = None) -> list[ScopeRow]:
        """See `LedgerView.not_whole`."""
        return list(islice(self.rows(statuses=NOT_WHOLE), limit))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See `LedgerView.batches`."""
        for batch in self._checked(LEDGER_SCHEMA.names):
            yield batch.cast(LEDGER_SCHEMA)

    @cached_property
    def by_status(self) -> Counter[Status]:
        """See `LedgerView.by_status`."""
        return sum((figures.by_status for figures in self.by_table.values()), Counter[Status]())

    @cached_property
    def by_table(self) -> Mapping[str, TableFigures]:
        """See `LedgerView.by_table`."""
        found: dict[str, TableFigures] = {}
        for batch in self._checked(("table", "status", "written", *_SUMS)):
            for part in _sums(batch, ["table", "status", "written"], _SUMS):
                figures = found.setdefault(part["table"], TableFigures())
                status, number = Status(part["status"]), part["count_all"]
                figures.by_status[status] += number
                if part["written"]:
                    figures.written[status] += number
                    figures.rows += part["rows_sum"]
                figures.requests += part["requests_sum"]
                figures.retries += part["retries_sum"]
                figures.throttled += part["throttled_sum"]
        return found

    @cached_property
    def accepted(self) -> Counter[Status]:
        """See `LedgerView.accepted`."""
        found: Counter[Status] = Counter()
        if "accepted_until" not in self._metadata.schema.names:
            return found
        for batch in self._checked(("status", "accepted_until")):
            accepted = batch.filter(pc.invert(_is_one_of(batch.column("accepted_until"), [""])))
            for part in _sums(accepted, ["status"]) if accepted.num_rows else ():
                found[Status(part["status"])] += part["count_all"]
        return found

    @cached_property
    def open_by_account(self) -> Counter[str]:
        """See `LedgerView.open_by_account`."""
        found: Counter[str] = Counter()
        for batch in self._checked(("account_id", "status")):
            open_scopes = batch.filter(_is_one_of(batch.column("status"), NOT_WHOLE))
            for part in _sums(open_scopes, ["account_id"]):
                found[part["account_id"]] += part["count_all"]
        return found

    @cached_property
    def causes(self) -> Sequence[Cause]:
        """See `LedgerView.causes`."""
        columns = ("error_code", "error_message", "account_name", "accepted_until", "incomplete_since")
        return list(Causes(self.rows(columns, NOT_WHOLE)))

    def check(self) -> None:
        """Read all rows. Raises OutputError as any reading."""
        for _ in self._checked(LEDGER_SCHEMA.names):
            pass

    @cached_property
    def _metadata(self) -> pq.FileMetaData:
        """The footer. Raises OutputError for a file that compression makes look smaller than it is."""
        try:
            self._file.seek(0)
            metadata = pq.read_metadata(self._file)
            _check_footer(metadata)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        return metadata

    def _checked(self, columns: Collection[str], table: str = "") -> Iterator[pa.RecordBatch]:
        """Yield batches of the columns, texts as dictionaries, from row groups that may have rows of the table."""
        metadata = self._metadata
        known = [name for name in columns if name in metadata.schema.names]
        try:
            with pq.ParquetFile(self._file, metadata=metadata, read_dictionary=_TEXTS.intersection(known)) as file:
                # One row group at a time: pyarrow would keep what it has read of each until the end.
                for number in range(file.num_row_groups):
                    if _may_have(metadata, number, table):
                        for batch in file.iter_batches(BATCH_ROWS, row_groups=[number], columns=known):
                            yield _completed(batch, columns)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> OutputError:
        return OutputError(f"{self.name} is not a readable ledger: {' '.join(str(error).split())}")


def _check_footer(metadata: pq.FileMetaData) -> None:
    sizes = (metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if metadata.num_rows > LEDGER_ROWS or max(sizes, default=0) > LEDGER_GROUP_BYTES:
        raise ValueError(f"it has {metadata.num_rows:,} rows, more than any crawl's, or too long texts")
    found = metadata.schema.to_arrow_schema()
    columns = [field for field in LEDGER_SCHEMA if field.name in found.names]
    if not columns:
        raise ValueError("it has none of a ledger's columns")
    for field in columns:
        if found.field(field.name).type != field.type:
            raise ValueError(f"its column {field.name} has another type")


def _may_have(metadata: pq.FileMetaData, number: int, table: str) -> bool:
    """Return whether a row group may have rows of a table, by its statistics."""
    if not table:
        return True
    group = metadata.row_group(number)
    column = group.column(metadata.schema.names.index("table"))
    found = column.statistics
    return found is None or not found.has_min_max or found.min <= table <= found.max


def _completed(batch: pa.RecordBatch, columns: Collection[str]) -> pa.RecordBatch:
    """Return the batch with these columns, in this order. Raises ValueError for what no ledger has."""
    found = dict(zip(batch.schema.names, batch.columns, strict=True))
    arrays = []
    for field in (LEDGER_SCHEMA.field(name) for name in columns):
        if field.name in found:
            _check(field, found[field.name])
            arrays.append(found[field.name])
        else:
            arrays.append(pa.repeat(pa.scalar(_default(field.name), field.type), batch.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _check(field: pa.Field, column: pa.Array) -> None:
    """Raise ValueError for values that no ledger has."""
    if column.null_count and not field.nullable:
        raise ValueError(f"its column {field.name} has an empty place")
    if pa.types.is_timestamp(field.type):
        ends = pc.min_max(column.cast(pa.int64())).as_py().values()
        if not all(end is None or is_instant(_EPOCH + timedelta(0, 0, end)) for end in ends):
            raise ValueError(ODD_INSTANT)
    if not pa.types.is_dictionary(column.type):
        return
    longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    if longest > TEXT_CHARACTERS:
        raise ValueError(f"a text in it has {longest:,} bytes")
    if field.name == "status":
        for text in column.dictionary.to_pylist():
            Status(text)
    if field.name == "table" and (odd := [text for text in column.dictionary.to_pylist() if not is_table(text)]):
        raise ValueError(odd_table(odd[0]))


def _default(name: str) -> Any:
    field = ScopeRow.__dataclass_fields__[name]
    if field.default is dataclasses.MISSING:
        raise ValueError(f"it has no column {name}")
    return field.default


def _rows_of(batch: pa.RecordBatch) -> Iterator[ScopeRow]:
    found = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = [
        _values(field.name, found[field.name]) if field.name in found else repeat(_default(field.name), batch.num_rows)
        for field in LEDGER_SCHEMA
    ]
    return map(ScopeRow, *columns)


def _values(name: str, column: pa.Array) -> list[Any]:
    """Return a column's values. Equal texts of a dictionary are one object, so that they take memory only once."""
    if pa.types.is_timestamp(column.type):
        # pyarrow takes ten times as long, since it asks for the time zone again each time.
        moments = column.cast(pa.int64()).to_pylist()
        return [None if moment is None else _EPOCH + timedelta(0, 0, moment) for moment in moments]
    if not pa.types.is_dictionary(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    texts: list[Any] = column.dictionary.to_pylist()
    if name == "status":
        texts = [Status(text) for text in texts]
    return [texts[index] for index in column.indices.to_pylist()]


def _is_one_of(column: pa.Array, texts: Collection[str]) -> pa.Array:
    """Return which values of a text column are among the texts."""
    wanted = pa.array(map(str, texts), pa.string())
    if not pa.types.is_dictionary(column.type):
        return pc.is_in(column, wanted)
    return pc.is_in(column.dictionary, wanted).take(column.indices)


def _sums(batch: pa.RecordBatch, keys: list[str], columns: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the number of rows for each combination of keys as `count_all`, and sums of columns as `NAME_sum`."""
    groups = pa.Table.from_batches([batch]).group_by(keys, use_threads=False)
    return groups.aggregate([([], "count_all"), *((name, "sum") for name in columns)]).to_pylist()  # type: ignore[no-any-return]
