"""The ledger: one row per scope, with their sums, and its form in memory while a crawl runs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from operator import attrgetter
from typing import Protocol

import msgspec
import pyarrow as pa

from crawler.snapshot.causes import Cause, Causes
from crawler.snapshot.layout import is_table
from crawler.snapshot.limits import is_instant
from crawler.snapshot.status import Status, is_whole

_BLOCK_ROWS = 256
_CODEC = "zstd"


@dataclass(slots=True)
class ScopeRow:
    """One row of the ledger: one table in one account and region.

    The fields are the columns of the ledger's file. `written`: the user requested the table. `rows` counts rows in the
    snapshot, `rows_seen` records of the API; `requests` counts attempts. `lists` and `pages` count those that were
    read, `misfits` type mismatches, `vanished` lists whose parent was gone. `walk` says how the lists were paged. Texts
    may be empty; times are UTC, None if no list was begun. `accepted_reason` and `accepted_until` (a date as
    YYYY-MM-DD) are those of the `[[accepted]]` rule that covers a scope that isn't whole. `incomplete_since` is the
    start of the first of the consecutive snapshots in which the scope wasn't whole; None for a whole one.
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
    account_name: str = ""
    accepted_reason: str = ""
    accepted_until: str = ""
    incomplete_since: datetime | None = None


# Of a batch of a ledger in memory and of its file.
BATCH_ROWS = 4096
_INSTANT = pa.timestamp("us", tz="UTC")


_ARROW_TYPES = {
    "str": pa.string(),
    "Status": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "datetime | None": _INSTANT,
}


LEDGER_SCHEMA = pa.schema(
    [
        pa.field(column.name, _ARROW_TYPES[str(column.type)], nullable=column.type == "datetime | None")
        for column in dataclasses.fields(ScopeRow)
    ]
)


def ledger_batch(rows: Sequence[ScopeRow]) -> pa.RecordBatch:
    """Return the rows as a batch of `LEDGER_SCHEMA`, in the order given."""
    columns = [pa.array([getattr(row, column.name) for row in rows], type=column.type) for column in LEDGER_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=LEDGER_SCHEMA)


ODD_INSTANT = "the start or the end of a scope is not in the years 1900 to 9998"


def odd_table(name: str) -> str:
    """Return what is wrong with a name that is no table's, as a part of a sentence."""
    return f"{name[:80]!a} can't be a table's name"


def odd_row(row: ScopeRow) -> str:
    """Return what no row of a crawl has, as a part of a sentence; empty if there is nothing."""
    if not is_table(row.table):
        return odd_table(row.table)
    if not all(
        moment is None or is_instant(moment) for moment in (row.started_at, row.finished_at, row.incomplete_since)
    ):
        return ODD_INSTANT
    return ""


@dataclass(slots=True)
class TableFigures:
    """Sums over the scopes of one table. `written` counts those whose rows the user requested, by status.

    `rows` are those of written scopes; `requests`, `retries` and `throttled` are of all.
    """

    by_status: Counter[Status] = field(default_factory=Counter)
    written: Counter[Status] = field(default_factory=Counter)
    rows: int = 0
    requests: int = 0
    retries: int = 0
    throttled: int = 0

    @property
    def not_whole(self) -> int:
        """The number of scopes that aren't whole."""
        return sum(number for status, number in self.by_status.items() if not is_whole(status))


class LedgerView(Protocol):
    """The rows of a ledger, which may be more than memory holds, and their sums. Methods of a file raise OutputError.

    Iteration yields the rows by table, account and region, and decodes each of them again: take sums where they do.
    """

    @property
    def by_status(self) -> Counter[Status]:
        """The number of scopes by status."""
        ...

    @property
    def by_table(self) -> Mapping[str, TableFigures]:
        """The sums of each table."""
        ...

    @property
    def accepted(self) -> Counter[Status]:
        """The number of scopes that a rule of `[[accepted]]` covers, by status."""
        ...

    @property
    def open_by_account(self) -> Counter[str]:
        """The number of scopes that aren't whole, by account; accounts without any are left out."""
        ...

    @property
    def causes(self) -> Sequence[Cause]:
        """The causes of the scopes that aren't whole and that no rule accepts, the most scopes first."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def __iter__(self) -> Iterator[ScopeRow]:
        """Yield the rows in order."""
        ...

    def not_whole(self, limit: int | None = None) -> list[ScopeRow]:
        """Return the rows of scopes that aren't whole, in order, at most the first `limit`."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order as batches of `LEDGER_SCHEMA`."""
        ...


def judged_statuses(ledger: LedgerView) -> set[Status]:
    """Return the statuses by which a snapshot is judged: those of the scopes that no rule accepts."""
    return {status for status, number in ledger.by_status.items() if number > ledger.accepted[status]}


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


class Ledger:
    """A ledger that grows in memory, a `LedgerView`. A row must not change after `append`.

    Its rows are compressed: a few dozen bytes each, and some microseconds to decode one.
    """

    def __init__(self, rows: Iterable[ScopeRow] = ()) -> None:
        self.by_status: Counter[Status] = Counter()
        self.accepted: Counter[Status] = Counter()
        self.by_table: dict[str, TableFigures] = {}
        self.open_by_account: Counter[str] = Counter()
        self._causes = Causes()
        # By table: the whole scopes and the others.
        self._packs: dict[str, tuple[_Pack, _Pack]] = {}
        for row in rows:
            self.append(row)

    def append(self, row: ScopeRow) -> None:
        """Add a row."""
        status, figures = row.status, self.by_table.get(row.table)
        if figures is None:
            figures = self.by_table[row.table] = TableFigures()
            self._packs[row.table] = _Pack(), _Pack()
        is_open = not is_whole(status)
        self._packs[row.table][is_open].append(row)
        self.by_status[status] += 1
        if is_open:
            self.open_by_account[row.account_id] += 1
            self._judge(row)
        figures.by_status[status] += 1
        if row.written:
            figures.written[status] += 1
            figures.rows += row.rows
        figures.requests += row.requests
        figures.retries += row.retries
        figures.throttled += row.throttled

    def _judge(self, row: ScopeRow) -> None:
        """Collect the cause of a scope that isn't whole, and count it if it is accepted."""
        self._causes.add(row)
        if row.accepted_until:
            self.accepted[row.status] += 1

    def revise(self, mark: Callable[[ScopeRow], None]) -> None:
        """Let `mark` change the gap's columns of each row of a scope that isn't whole, in order."""
        self.accepted.clear()
        self._causes = Causes()
        for table in sorted(self._packs):
            whole, others = self._packs[table]
            revised = _Pack()
            for row in _in_order(others):
                mark(row)
                revised.append(row)
                self._judge(row)
            self._packs[table] = whole, revised

    @property
    def causes(self) -> Sequence[Cause]:
        """See `LedgerView.causes`."""
        return list(self._causes)

    def not_whole(self, limit: int | None = None) -> list[ScopeRow]:
        """See `LedgerView.not_whole`."""
        rows = (row for table in sorted(self._packs) for row in _in_order(self._packs[table][1]))
        return list(islice(rows, limit))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See `LedgerView.batches`."""
        rows = iter(self)
        while some := list(islice(rows, BATCH_ROWS)):
            yield ledger_batch(some)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.by_status.total()

    def __iter__(self) -> Iterator[ScopeRow]:
        """Yield the rows by table, account and region. Only one table's rows are in memory at a time."""
        for table in sorted(self._packs):
            yield from _in_order(chain(*self._packs[table]))


def _in_order(rows: Iterable[ScopeRow]) -> list[ScopeRow]:
    return sorted(rows, key=attrgetter("account_id", "region_id"))
