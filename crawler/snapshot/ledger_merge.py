"""Merges sorted ledgers, such as those of the shards of a run, into one: in batches, with bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from crawler.errors import OutputError
from crawler.snapshot.ledger import LEDGER_SCHEMA, ScopeRow
from crawler.snapshot.status import Status, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from crawler.snapshot.ledger import LedgerView

# In memory at once, over all ledgers; but at least a batch of each ledger.
_ROWS_AT_ONCE = 64 * 1024
_KEY = ("table", "account_id", "region_id")
_Key = tuple[str, ...]
# The columns of a scope that isn't whole that are known when the ledger of the whole crawl is.
_GAP_COLUMNS = ("accepted_reason", "accepted_until", "incomplete_since")
_NOT_WHOLE = pa.array([str(status) for status in Status if not is_whole(status)])


def merge_ledgers(ledgers: Sequence[LedgerView]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all ledgers by table, account and region, as batches of `LEDGER_SCHEMA`.

    Raises OutputError if two rows are of one scope, if a ledger isn't sorted, and if one can't be read.
    """
    runs = [_Run(ledger, _ROWS_AT_ONCE // len(ledgers)) for ledger in ledgers]
    last: _Key = ()
    while runs := [run for run in runs if run.fill()]:
        # No row that is still to be read comes before the least of the last rows in memory.
        bound = min((run.last for run in runs if not run.is_ended), default=None)
        parts = [run.take(bound) for run in runs if bound is None or run.first <= bound]
        merged = pa.concat_tables(parts).sort_by([(name, "ascending") for name in _KEY]).combine_chunks()
        _raise_unless_ascending(merged, last)
        last = _key(merged, merged.num_rows - 1)
        yield from merged.to_batches()


def revised(batches: Iterable[pa.RecordBatch], mark: Callable[[ScopeRow], None]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a ledger after `mark` has changed the gap's columns of the scopes that aren't whole."""
    for batch in batches:
        open_rows = pc.indices_nonzero(pc.is_in(batch.column("status"), _NOT_WHOLE)).to_pylist()
        yield _revised(batch, open_rows, mark) if open_rows else batch


def _revised(batch: pa.RecordBatch, places: Sequence[int], mark: Callable[[ScopeRow], None]) -> pa.RecordBatch:
    keys = [batch.column(name).take(places).to_pylist() for name in ("account_id", "region_id", "table", "status")]
    found = {name: batch.column(name).to_pylist() for name in _GAP_COLUMNS}
    for place, account_id, region_id, table, status in zip(places, *keys, strict=True):
        row = ScopeRow(account_id, region_id, table, Status(status))
        mark(row)
        for name, values in found.items():
            values[place] = getattr(row, name)
    for name, values in found.items():
        at = batch.schema.get_field_index(name)
        batch = batch.set_column(at, batch.schema.field(at), pa.array(values, batch.schema.field(at).type))
    return batch


class _Run:
    """The rows of one ledger that are in memory: those that `take` hasn't returned."""

    def __init__(self, ledger: LedgerView, rows: int) -> None:
        self._batches = ledger.batches()
        self._least = rows
        self._rows = LEDGER_SCHEMA.empty_table()
        self.is_ended = False

    @property
    def first(self) -> _Key:
        """The scope of the first row."""
        return _key(self._rows, 0)

    @property
    def last(self) -> _Key:
        """The scope of the last row."""
        return _key(self._rows, self._rows.num_rows - 1)

    def fill(self) -> bool:
        """Read until there are enough rows. Return whether there are any."""
        tables = [self._rows]
        missing = self._least - self._rows.num_rows
        while not self.is_ended and (missing > 0 or not any(table.num_rows for table in tables)):
            batch = next(self._batches, None)
            self.is_ended = batch is None
            if batch is not None:
                tables.append(pa.Table.from_batches([batch]))
                missing -= batch.num_rows
        if len(tables) > 1:
            self._rows = pa.concat_tables(tables).combine_chunks()
        return bool(self._rows.num_rows)

    def take(self, bound: _Key | None) -> pa.Table:
        """Remove and return the rows up to a scope, all without one."""
        number = self._rows.num_rows
        if bound is not None:
            number = bisect_right(range(number), bound, key=lambda at: _key(self._rows, at))
        taken, self._rows = self._rows.slice(0, number), self._rows.slice(number)
        return taken


def _key(rows: pa.Table, at: int) -> _Key:
    return tuple(rows.column(name)[at].as_py() for name in _KEY)


def _raise_unless_ascending(rows: pa.Table, last: _Key) -> None:
    """Raise OutputError unless each row is of a later scope than the one before it; `last` is before the first."""
    first = _key(rows, 0)
    before, after = rows.slice(0, rows.num_rows - 1), rows.slice(1)
    equal = [pc.equal(before.column(name), after.column(name)) for name in _KEY]
    same = pc.and_(pc.and_(equal[0], equal[1]), equal[2])
    if first == last or pc.any(same).as_py():
        twice = first if first == last else _key(rows, same.index(pa.scalar(True)).as_py())
        raise OutputError(f"two ledgers have a row of the scope {' '.join(twice)}: they are not of one run")
    if first < last:
        raise OutputError(f"a ledger is not sorted by table, account and region: see {' '.join(first)}")
