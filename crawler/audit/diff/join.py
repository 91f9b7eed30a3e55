"""Find the rows of two snapshots that differ, with DuckDB: rows with a key by a join, others by counting.

In the queries, key columns are called k0, k1 … (account and region first), and compared columns c0, c1 …
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.audit.column_order import SCOPE_COLUMNS
from crawler.audit.database import OpenSnapshot, open_result, quote_name, scan_sql, session, unreadable_file
from crawler.audit.diff.columns import ComparedColumns, column_sql
from crawler.catalog.model import DETAILS_COLUMN
from crawler.errors import OutputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Each thread has buffers for all columns of a row group.
_WITHOUT_LIMIT = {"threads": str(min(2, os.cpu_count() or 1))}
# DuckDB spills more memory to the session's temporary folder. What it can't spill is read again without the limit. It
# would keep what it has read of the files, which no later batch reads again.
_SETTINGS = {"memory_limit": "400MB", "enable_external_file_cache": "false", **_WITHOUT_LIMIT}
_BATCH_ROWS = 2_000  # at most this many rows of a result are Python objects at a time
_SIDES = ("old_rows", "new_rows")
_OUT_OF_MEMORY = "Out of Memory Error"  # in the text, since a result's errors are pyarrow's


@dataclass(frozen=True, slots=True)
class SideRows:
    """The rows of a batch on one side: the SQL after FROM, empty for none, and one file of the table for its schema."""

    sql: str
    schema_file: str


@dataclass(frozen=True, slots=True)
class RowPair:
    """A row that is on one side only (`kind` added or removed) or differs. `values`: part's number → both values.

    `old_details`, `new_details`: the rows' `details_status`.
    """

    kind: str
    key: tuple[Any, ...]
    values: Mapping[int, tuple[Any, Any]]
    old_details: str | None = None
    new_details: str | None = None


@dataclass(frozen=True, slots=True)
class RowCounts:
    """A row that occurs more often on one side: `surplus` times, negative if on the older side."""

    key: tuple[Any, ...]
    values: Sequence[Any]
    surplus: int


class JoinReader:
    """Reads differences: first `load` a batch, then `pairs` or `rows`. Raises OutputError for an unreadable file.

    `connect` opens a connection with some settings. A batch that needs more memory than `_SETTINGS` allow, such as a
    scope of a million rows, is read by a second connection without a limit.
    """

    def __init__(self, connect: Callable[[Mapping[str, str]], duckdb.DuckDBPyConnection]) -> None:
        self._connect = connect
        self._limited = self._connection = connect(_SETTINGS)
        self._unlimited: duckdb.DuckDBPyConnection | None = None
        self._views: list[str] = []
        self._keys: tuple[ComparedColumns, Sequence[tuple[Any, ...]]] | None = None

    def load(self, old: SideRows, new: SideRows, columns: ComparedColumns) -> None:
        """Set the rows of both sides for the following calls, in place of the previous ones."""
        sides = zip(_SIDES, (old, new), strict=True)
        self._views = [f"CREATE OR REPLACE TEMP VIEW {side} AS {_side_sql(rows, columns)}" for side, rows in sides]
        self._connection, self._keys = self._limited, None
        self._create()

    def pairs(self, columns: ComparedColumns) -> Iterator[RowPair]:
        """Yield the rows that differ, by key. For a key with a null part, or repeated on a side, use `rows`."""
        parts = range(len(columns.parts))
        is_same = [f"o.{key} {_equality(columns, number)} n.{key}" for number, key in enumerate(_key_names(columns))]
        is_other = [f"o.c{n} IS DISTINCT FROM n.c{n}" for n in parts]
        is_both = "o.k0 IS NOT NULL AND n.k0 IS NOT NULL"
        shown = [
            *(f"coalesce(o.{key}, n.{key}) AS {key}" for key in _key_names(columns)),
            "CASE WHEN o.k0 IS NULL THEN 'added' WHEN n.k0 IS NULL THEN 'removed' ELSE 'changed' END AS kind",
            *(["o.d AS old_details", "n.d AS new_details"] if columns.has_details else []),
            *(f"CASE WHEN {is_both} AND {is_other[n]} THEN {{'o': o.c{n}, 'n': n.c{n}}} END AS c{n}" for n in parts),
        ]
        query = f"""
            SELECT {", ".join(shown)} FROM old_rows AS o FULL JOIN new_rows AS n ON {" AND ".join(is_same)}
            WHERE {" OR ".join(["o.k0 IS NULL", "n.k0 IS NULL", *is_other])} ORDER BY {", ".join(_key_names(columns))}
        """  # noqa: S608 - names are quoted, all else is ours
        for rows in self._run(query):
            yield from _row_pairs(rows, columns)

    def rows(self, columns: ComparedColumns, keys: Sequence[tuple[Any, ...]] | None = None) -> Iterator[RowCounts]:
        """Yield the rows that one side has more often, compared by content; optionally only those of some keys."""
        if keys is None:
            return self._count_rows(columns, "")
        self._keys = columns, keys
        self._create_keys()
        is_same = " AND ".join(f"kept.{key} IS NOT DISTINCT FROM keys.{key}" for key in _key_names(columns))
        return self._count_rows(columns, f"AS kept SEMI JOIN keys ON {is_same}")

    def _count_rows(self, columns: ComparedColumns, chosen: str) -> Iterator[RowCounts]:
        keys, parts = _key_names(columns), [f"c{n}" for n in range(len(columns.parts))]
        names = ", ".join([*keys, *parts])
        query = f"""
            WITH sides AS (
                SELECT {names}, -1 AS w FROM old_rows {chosen} UNION ALL SELECT {names}, 1 AS w FROM new_rows {chosen}
            )
            SELECT {names}, CAST(sum(w) AS BIGINT) AS surplus FROM sides
            GROUP BY {names} HAVING sum(w) <> 0 ORDER BY k0, k1
        """  # noqa: S608 - ours
        for rows in self._run(query):
            values = [rows.column(name).to_pylist() for name in (*keys, *parts)]
            for surplus, *row in zip(rows.column("surplus").to_pylist(), *values, strict=True):
                yield RowCounts(tuple(row[: len(keys)]), row[len(keys) :], surplus)

    def _create(self) -> None:
        """Create the views of the batch, and the table of keys if there is one."""
        with _file_errors():
            for view in self._views:
                self._connection.execute(view)
        self._create_keys()

    def _create_keys(self) -> None:
        if self._keys is None:
            return
        columns, keys = self._keys
        wanted, places = ", ".join(_key_names(columns)), ", ".join("?" for _ in columns.key)
        none = f"SELECT {wanted} FROM old_rows LIMIT 0"  # noqa: S608 - ours
        with _file_errors():
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE keys AS {none}")
            self._connection.executemany(f"INSERT INTO keys VALUES ({places})", keys)  # noqa: S608 - ours

    def _run(self, query: str) -> Iterator[pa.RecordBatch]:
        """Yield the result of a query that sorts, so that no row comes before all memory was needed."""
        try:
            with _file_errors():
                reader = open_result(self._connection, self._connection.sql(query), _BATCH_ROWS)
                rows = next(reader, None)
        except _LimitError:
            if self._connection is self._unlimited:
                raise
            self._unlimited = self._unlimited or self._connect(_WITHOUT_LIMIT)
            self._connection = self._unlimited
            self._create()
            yield from self._run(query)
            return
        while rows is not None:
            for start in range(0, rows.num_rows, _BATCH_ROWS):
                yield rows.slice(start, _BATCH_ROWS)
            with _file_errors():
                rows = next(reader, None)


def _row_pairs(rows: pa.RecordBatch, columns: ComparedColumns) -> Iterator[RowPair]:
    keys = list(zip(*(rows.column(name).to_pylist() for name in _key_names(columns)), strict=True))
    kinds, nothing = rows.column("kind").to_pylist(), [None] * rows.num_rows
    names = ("old_details", "new_details")
    statuses = [rows.column(name).to_pylist() if columns.has_details else nothing for name in names]
    differing = {n: rows.column(f"c{n}") for n in range(len(columns.parts))}
    values = {n: found.to_pylist() for n, found in differing.items() if found.null_count < rows.num_rows}
    for number, (key, kind, old, new) in enumerate(zip(keys, kinds, *statuses, strict=True)):
        found = {n: (pair["o"], pair["n"]) for n, pairs in values.items() if (pair := pairs[number]) is not None}
        yield RowPair(kind, key, found, old, new)


def _key_names(columns: ComparedColumns) -> list[str]:
    return [f"k{n}" for n in range(len(columns.key or SCOPE_COLUMNS))]


def _equality(columns: ComparedColumns, number: int) -> str:
    return "IS NOT DISTINCT FROM" if columns.key[number] in columns.optional else "="


def _side_sql(side: SideRows, columns: ComparedColumns) -> str:
    """Return SQL for one side's rows."""
    keys = zip(columns.key or SCOPE_COLUMNS, _key_names(columns), strict=True)
    shown = [f"{quote_name(name)} AS {key}" for name, key in keys]
    shown += [f"{column_sql(part)} AS c{n}" for n, part in enumerate(columns.parts)]
    shown += [f"{DETAILS_COLUMN} AS d"] if columns.has_details else []
    rows = side.sql or f"{scan_sql([side.schema_file])} WHERE false"
    return f"SELECT {', '.join(shown)} FROM {rows}"  # noqa: S608 - quoted


@contextmanager
def open_reader(old: OpenSnapshot, new: OpenSnapshot) -> Iterator[JoinReader]:
    """Yield a reader of two snapshots."""
    # Each batch opens the files again. Their decoded footers take a quarter of a megabyte for each row group of 140
    # columns, which is too much for the many files of format 1.
    has_few_files = all(snapshot.manifest.format >= 2 for snapshot in (old, new))
    kept = {"parquet_metadata_cache": "true"} if has_few_files else {}
    with ExitStack() as sessions:
        yield JoinReader(lambda settings: sessions.enter_context(session(new, (), {**settings, **kept}, (old,))))


class _LimitError(OutputError):
    """A query needs more memory than it may have."""


@contextmanager
def _file_errors() -> Iterator[None]:
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if _OUT_OF_MEMORY in str(error):
            raise _LimitError(f"the comparison needs more memory: {error}") from None
        raise unreadable_file(str(error)) from None
