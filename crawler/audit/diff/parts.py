"""Choose the files and the rows of a batch of scopes. Rows are chosen by their columns, in both layouts of a snapshot.

A path of format 1 and the footer of a part of format 2 say only which files can be skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.audit.database import quote_text, scan_sql, unreadable_file
from crawler.audit.diff.scopes import ScopePair, TargetKey
from crawler.snapshot.layout import scope_in_path

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.snapshot import PartFile

# Of both sides together. The memory of a join grows with the columns of a file, so a wide table has smaller batches.
BATCH_ROWS = 250_000
_BATCH_VALUES = 16_000_000
_BATCH_SCOPES = 5_000
# After every account and region, which are ASCII.
_END = "\x7f"


@dataclass(slots=True)
class ScopeBatch:
    """Neighbouring scopes, from `first` to `last` in the order of account and region.

    `skipped` are those between them whose rows can't become a difference.
    """

    first: TargetKey
    last: TargetKey
    skipped: list[TargetKey] = field(default_factory=list)


def scope_batches(scopes: Mapping[TargetKey, ScopePair], most_rows: int) -> Iterator[ScopeBatch]:
    """Yield the scopes with possible differences, which are in order, in batches of about `most_rows` rows.

    A scope with more rows is a batch of its own.
    """
    batch, rows, number, skipped = None, 0, 0, list[TargetKey]()
    for where, pair in scopes.items():
        if not pair.old_rows and not pair.new_rows:
            continue
        if not pair.may_differ:
            skipped.append(where)
            continue
        size = pair.old_rows + pair.new_rows
        if batch is None or rows + size > most_rows or number == _BATCH_SCOPES:
            if batch is not None:
                yield batch
            batch, rows, number = ScopeBatch(where, where), 0, 0
        else:
            batch.skipped += skipped
        batch.last, skipped = where, []
        rows, number = rows + size, number + 1
    if batch is not None:
        yield batch


def batch_rows(schema_files: Iterable[str]) -> int:
    """Return how many rows of these files a batch may have."""
    widest: int = max(_read_footer(path).num_columns for path in schema_files)
    return min(BATCH_ROWS, _BATCH_VALUES // widest)


class TableParts:
    """The files of a table in one snapshot; a file's footer is read at most once.

    `schema_file` has the columns of the table; empty if the snapshot doesn't have the table.
    """

    def __init__(self, snapshot: OpenSnapshot, table: str) -> None:
        entry = snapshot.manifest.tables.get(table)
        self._snapshot = snapshot
        self._files: Sequence[PartFile] = entry.files if entry else ()
        self._ranges: list[tuple[TargetKey, TargetKey, PartFile]] | None = None

    @property
    def schema_file(self) -> str:
        """The path of the first file."""
        return self._snapshot.local_path(self._files[0]) if self._files else ""

    def rows_sql(self, batch: ScopeBatch) -> str:
        """Return the SQL after FROM for the rows of a batch; empty if no file can have one."""
        if self._ranges is None:
            self._ranges = [(*self._scope_range(file), file) for file in self._files if file.rows]
        files = [file for first, last, file in self._ranges if first <= batch.last and batch.first <= last]
        if not files:
            return ""
        conditions = _conditions(batch.first, batch.last)
        if batch.skipped:
            listed = ", ".join(f"({quote_text(account)}, {quote_text(region)})" for account, region in batch.skipped)
            conditions.append(f"(account_id, region_id) NOT IN (VALUES {listed})")
        return f"{scan_sql(map(self._snapshot.local_path, files))} WHERE {' AND '.join(conditions)}"

    def _scope_range(self, file: PartFile) -> tuple[TargetKey, TargetKey]:
        """Return the first and the last scope of which a file may have rows."""
        if scope := scope_in_path(file.path):
            return scope, scope
        lowest, highest = _accounts(self._snapshot.local_path(file))
        return (lowest, ""), (highest, _END)


def _accounts(path: str) -> tuple[str, str]:
    """Return the lowest and the highest account in a file, by the statistics of its footer."""
    metadata = _read_footer(path)
    at = metadata.schema.names.index("account_id")
    found = [metadata.row_group(number).column(at).statistics for number in range(metadata.num_row_groups)]
    if not all(statistics is not None and statistics.has_min_max for statistics in found):
        return "", _END
    return min(statistics.min for statistics in found), max(statistics.max for statistics in found)


def _read_footer(path: str) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable_file(str(error)) from None


def _conditions(first: TargetKey, last: TargetKey) -> list[str]:
    """Return the conditions on the rows of these scopes. DuckDB skips row groups by the simple comparisons."""
    (low, low_region), (high, high_region) = (tuple(map(quote_text, where)) for where in (first, last))
    if low == high:
        return [f"account_id = {low}", f"region_id >= {low_region}", f"region_id <= {high_region}"]
    return [
        f"account_id >= {low}",
        f"account_id <= {high}",
        f"(account_id > {low} OR region_id >= {low_region})",
        f"(account_id < {high} OR region_id <= {high_region})",
    ]
