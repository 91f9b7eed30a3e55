"""Read the rows that a finding's SQL has found: their cells, their subjects, and which of them are accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crawler.audit.database import quote_name
from crawler.audit.findings.owners import OWNERS, owner_join
from crawler.audit.findings.subjects import FindingValue, Subject, resource_columns, subject_of

if TYPE_CHECKING:
    import datetime as dt

    import duckdb

    from crawler.audit.findings.acceptance import Acceptances
    from crawler.audit.findings.files import Finding

FOUND = "_found"

_CELL_TYPES = ("VARCHAR", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE")
_INSTANT = "TIMESTAMP WITH TIME ZONE"
_BATCH_ROWS = 2048


@dataclass(frozen=True, slots=True)
class FoundRow:
    """One row of a finding. `reason` and `until` are those of its entry in `[[accepted_findings]]`; None if open."""

    cells: tuple[FindingValue, ...]
    subject: Subject
    reason: str | None = None
    until: dt.date | None = None


@dataclass(frozen=True, slots=True)
class FoundRows:
    """The open and the accepted rows of a finding: the first ones, and the numbers of all."""

    open: tuple[FoundRow, ...] = ()
    accepted: tuple[FoundRow, ...] = ()
    total: int = 0
    accepted_total: int = 0


NO_ROWS = FoundRows()


def read_rows(
    connection: duckdb.DuckDBPyConnection,
    finding: Finding,
    kinds: Mapping[str, str],
    max_rows: int | None,
    acceptances: Acceptances | None,
) -> FoundRows:
    """Return the rows of the table `FOUND`, in its order. `kinds` has the type of each column by its name.

    Keeps at most `max_rows` open and as many accepted rows; all with None. The table `OWNERS` must exist.
    """
    if acceptances is None or not acceptances.concerns(finding.name):
        [(total,)] = connection.execute(f"SELECT count(*) FROM {FOUND}").fetchall()  # noqa: S608 - our own name
        return FoundRows(open=tuple(_rows(connection, finding, kinds, max_rows)), total=total)
    kept: dict[bool, list[FoundRow]] = {False: [], True: []}
    totals = {False: 0, True: 0}
    for row in _rows(connection, finding, kinds, None):
        entry = acceptances.judge(finding.name, row.subject)
        is_accepted = entry is not None
        totals[is_accepted] += 1
        if max_rows is None or len(kept[is_accepted]) < max_rows:
            kept[is_accepted].append(
                row if entry is None else FoundRow(row.cells, row.subject, entry.reason, entry.until)
            )
    return FoundRows(tuple(kept[False]), tuple(kept[True]), totals[False], totals[True])


def _rows(
    connection: duckdb.DuckDBPyConnection, finding: Finding, kinds: Mapping[str, str], max_rows: int | None
) -> Iterator[FoundRow]:
    columns = tuple(kinds)
    names = resource_columns(finding, columns)
    cells = ", ".join(_cell_sql(name, kind) for name, kind in kinds.items())
    limit = "" if max_rows is None else f" LIMIT {max_rows:d}"
    found = f"(SELECT rowid AS __row, * FROM {FOUND} ORDER BY rowid{limit}) f"  # noqa: S608 - our own names
    condition = owner_join(columns)
    owner = "o.owner, coalesce(o.is_known, false)" if condition else "NULL, false"
    join = f" LEFT JOIN {OWNERS} o ON {condition}" if condition else ""
    result = connection.execute(f"SELECT {cells}, {owner} FROM {found}{join} ORDER BY f.__row")  # noqa: S608
    own = columns.index("owner") if "owner" in columns else None
    while batch := result.fetchmany(_BATCH_ROWS):
        yield from (_row(columns, names, own, values) for values in batch)


def _row(columns: tuple[str, ...], names: tuple[str, ...], own: int | None, values: tuple[Any, ...]) -> FoundRow:
    """Return a row. A column `owner` of the finding's own SQL replaces the owner by tags."""
    *listed, owner, is_known = values
    cells = tuple(listed)
    if own is not None:
        owner, is_known = None if cells[own] in (None, "") else str(cells[own]), True
    return FoundRow(cells, subject_of(columns, names, cells, owner, is_owner_known=is_known))


def _cell_sql(name: str, kind: str) -> str:
    """Return SQL that makes a column a cell: instants as a query writes them, lists of text joined, others as JSON."""
    column = f"f.{quote_name(name)}"
    if kind in _CELL_TYPES:
        return column
    if kind == _INSTANT:
        return f"replace(strftime({column}, '%Y-%m-%dT%H:%M:%S.%f'), '.000000', '') || 'Z'"
    if kind == "VARCHAR[]":
        return f"array_to_string({column}, ', ')"
    if kind.startswith(("STRUCT", "MAP", "LIST")) or kind.endswith("]"):
        return f"to_json({column})::VARCHAR"
    return f"{column}::VARCHAR"
