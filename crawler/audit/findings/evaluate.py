"""Run the SQL of findings over a snapshot and determine the coverage of each result."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from crawler.audit.database import create_view, session, unreadable_file
from crawler.audit.findings.coverage import Assessment, Coverage, accepted_scopes, assess_coverage, fingerprint_note
from crawler.audit.findings.files import shared_names
from crawler.audit.findings.found_rows import FOUND, NO_ROWS, FoundRows, read_rows
from crawler.audit.findings.owners import OWNER_TABLES, OWNER_TAGS, create_owners
from crawler.audit.findings.subjects import FindingValue
from crawler.audit.sql_guard import check_only_reads
from crawler.audit.statement import Statement
from crawler.errors import ConfigError
from crawler.snapshot import schema_sha256

if TYPE_CHECKING:
    import duckdb

    from crawler.audit.database import OpenSnapshot
    from crawler.audit.findings.acceptance import Acceptances
    from crawler.audit.findings.files import Finding
    from crawler.catalog.model import Catalog

MAX_ROWS = 2000

# A column of a finding's SQL: why a row is undecided, null for a row that is found.
UNDECIDED = "_unknown"
_MAX_REASONS = 10

_LONGEST_REASON = 600
_MISSING_TABLE = re.compile(r"Table with name (\w+) does not exist")

# DuckDB spills more memory to the session's temporary folder. What it can't spill is computed again without the limit.
# Each thread has buffers for the columns that it reads.
_WITHOUT_LIMIT = {"threads": str(min(2, os.cpu_count() or 1))}
_SETTINGS = {"memory_limit": "280MB", **_WITHOUT_LIMIT}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How findings are evaluated. `max_rows` of each are kept, all with None.

    `owner_tags` are the keys of tags that name an owner, the first one first. `acceptances` judges rows; None: all are
    open.
    """

    max_rows: int | None = MAX_ROWS
    owner_tags: Sequence[str] = OWNER_TAGS
    acceptances: Acceptances | None = None


BY_DEFAULT = Evaluation()


@dataclass(frozen=True, slots=True)
class FindingResult:
    """The result of one finding: its open rows, and those that the user accepted.

    `gaps` lists the missing data; `has_unread`: the crawl asked for some of it. `note` is a sentence about the snapshot
    that the result depends on; empty for none.
    """

    finding: Finding
    coverage: Coverage
    gaps: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    found: FoundRows = NO_ROWS
    note: str = ""
    has_unread: bool = False

    @property
    def rows(self) -> tuple[tuple[FindingValue, ...], ...]:
        """The cells of the first open rows."""
        return tuple(row.cells for row in self.found.open)

    @property
    def total(self) -> int:
        """The number of open rows."""
        return self.found.total


def evaluate_findings(
    snapshot: OpenSnapshot, findings: Sequence[Finding], catalog: Catalog, evaluation: Evaluation = BY_DEFAULT
) -> list[FindingResult]:
    """Return the results of `iterate_findings`."""
    return list(iterate_findings(snapshot, findings, catalog, evaluation))


def iterate_findings(
    snapshot: OpenSnapshot, findings: Sequence[Finding], catalog: Catalog, evaluation: Evaluation = BY_DEFAULT
) -> Iterator[FindingResult]:
    """Yield the result of each finding, in the given order.

    For the SQL, a table of the catalog that the snapshot doesn't have is empty, and a missing column is null. Raises
    ConfigError for a user's finding that names an unknown table, or whose SQL doesn't run, and OutputError if a file of
    the snapshot can't be read.
    """
    for finding in findings:
        if finding.is_own:
            _check_tables(snapshot, finding, catalog)
    accepted, tables = accepted_scopes(snapshot), _known_tables(snapshot, catalog)
    with _prepared(snapshot, findings, catalog, evaluation, _SETTINGS) as connection:
        for finding in findings:
            assessed = assess_coverage(snapshot, finding, accepted)
            result = _evaluate_one(connection, snapshot, finding, assessed, evaluation, tables, has_limit=True)
            if result is None:
                with _prepared(snapshot, [finding], catalog, evaluation, _WITHOUT_LIMIT) as unlimited:
                    result = _evaluate_one(unlimited, snapshot, finding, assessed, evaluation, tables, has_limit=False)
            if result is not None:
                yield result


def _check_tables(snapshot: OpenSnapshot, finding: Finding, catalog: Catalog) -> None:
    """Raise ConfigError for a table that neither the catalog nor the snapshot has: the finding could find nothing."""
    known = _known_tables(snapshot, catalog)
    for table in (*finding.tables, *finding.lookups):
        if table not in known:
            raise _table_error(finding, table, known)


def _known_tables(snapshot: OpenSnapshot, catalog: Catalog) -> set[str]:
    return {*catalog.operations, *snapshot.manifest.tables, *snapshot.ledger.by_table}


def _table_error(finding: Finding, table: str, known: set[str]) -> ConfigError:
    """Return the error for a table that doesn't exist, or that the SQL reads and the header doesn't name."""
    subject = f"the finding {finding.name}"
    if table.lower() in known:
        hint = "add it to `-- tables:`, or to `-- lookups:` if rows are only looked up in it"
        return ConfigError(f"{subject} reads the table {table}, which its header doesn't name; {hint}")
    if table.lower() in shared_names():
        return ConfigError(f"{subject} reads {table}, which its header doesn't name; add it to `-- with:`")
    near = get_close_matches(table, known, 1)
    hint = f"did you mean {near[0]}?" if near else "`acs-inventory tables` lists all tables"
    return ConfigError(f"{subject} names the table {table}, which doesn't exist; {hint}")


def _reason(message: str) -> str:
    """Return DuckDB's reason with its candidates as one line, without the SQL that it repeats."""
    return " ".join(message.partition("\n\nLINE ")[0].split())[:_LONGEST_REASON]


@contextmanager
def _prepared(
    snapshot: OpenSnapshot,
    findings: Sequence[Finding],
    catalog: Catalog,
    evaluation: Evaluation,
    settings: Mapping[str, str],
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with a view of each table of these findings, and the table of owners."""
    import duckdb

    with session(snapshot, (), settings) as connection:
        wanted = {table for finding in findings for table in (*finding.tables, *finding.lookups)}
        owning = {table for table in OWNER_TABLES if table in snapshot.manifest.tables}
        tables = sorted(wanted | owning)
        snapshot.fetch(tables)
        for table in tables:
            _create_table_view(connection, snapshot, catalog, table)
        try:
            create_owners(connection, owning, evaluation.owner_tags)
        except duckdb.Error as error:
            snapshot.checked.check_hashes()
            raise unreadable_file(str(error)) from None
        yield connection


def _create_table_view(
    connection: duckdb.DuckDBPyConnection, snapshot: OpenSnapshot, catalog: Catalog, table: str
) -> None:
    """Create a view of the table, with all columns of the catalog."""
    entry, operation = snapshot.manifest.tables.get(table), catalog.operations.get(table)
    is_as_declared = (
        entry is not None and operation is not None and entry.schema_sha256 == schema_sha256(operation.schema)
    )
    if entry is not None and (operation is None or is_as_declared):
        create_view(connection, table, snapshot.files(table))
        return
    parts = []
    if entry is not None:
        create_view(connection, f"_stored_{table}", snapshot.files(table))
        parts.append(f'SELECT * FROM "_stored_{table}"')  # noqa: S608 - a table's name is letters, digits and _
    if operation is not None:
        connection.register(f"_declared_{table}", operation.schema.empty_table())
        parts.append(f'SELECT * FROM "_declared_{table}"')  # noqa: S608 - as above
    if parts:
        connection.execute(f'CREATE VIEW "{table}" AS {" UNION ALL BY NAME ".join(parts)}')


def _evaluate_one(
    connection: duckdb.DuckDBPyConnection,
    snapshot: OpenSnapshot,
    finding: Finding,
    assessed: Assessment,
    evaluation: Evaluation,
    tables: set[str],
    *,
    has_limit: bool,
) -> FindingResult | None:
    """Return the result of a finding; None if it needs more memory than the connection's limit allows.

    `tables` are those that a finding may name.
    """
    import duckdb

    if assessed.coverage is Coverage.UNKNOWN:
        return FindingResult(finding, assessed.coverage, assessed.gaps, has_unread=assessed.has_unread)
    try:
        check_only_reads(connection, finding.sql, Statement(finding.sql, f"the finding {finding.name}"))
        kinds, undecided = _run_sql(connection, finding.sql)
        found = read_rows(connection, finding, kinds, evaluation.max_rows, evaluation.acceptances)
    except duckdb.IOException as error:
        snapshot.checked.check_hashes()
        raise unreadable_file(str(error)) from None
    except duckdb.Error as error:
        if has_limit and isinstance(error, duckdb.OutOfMemoryException):
            return None
        if not isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)):
            snapshot.checked.check_hashes()
        reason = _reason(str(error))
        if finding.is_own:
            if (table := _MISSING_TABLE.search(reason)) is not None:
                raise _table_error(finding, table[1], tables) from None
            raise ConfigError(f"the finding {finding.name} doesn't run on this snapshot: {reason}") from None
        gaps = (*assessed.gaps, f"its SQL doesn't run on this snapshot: {reason}")
        return FindingResult(finding, Coverage.UNKNOWN, gaps, has_unread=True)
    if undecided:
        assessed = Assessment(Coverage.PARTIAL, (*assessed.gaps, *undecided), has_unread=True)
    note = fingerprint_note(snapshot.manifest, finding)
    return FindingResult(
        finding, assessed.coverage, assessed.gaps, tuple(kinds), found, note, has_unread=assessed.has_unread
    )


def _run_sql(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Make the table `FOUND`. Return the type of each of its columns by name, and what it says is undecided."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {FOUND} AS {sql}")
    columns = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {FOUND}").fetchall()}
    if UNDECIDED not in columns:
        return columns, ()
    counted = f"SELECT count(*), {UNDECIDED}::VARCHAR AS reason FROM {FOUND} WHERE reason IS NOT NULL GROUP BY reason"  # noqa: S608
    reasons = connection.execute(f"{counted} ORDER BY 1 DESC, 2").fetchall()
    connection.execute(f"DELETE FROM {FOUND} WHERE {UNDECIDED} IS NOT NULL")  # noqa: S608
    connection.execute(f"ALTER TABLE {FOUND} DROP COLUMN {UNDECIDED}")
    del columns[UNDECIDED]
    shown = [f"{number:,} undecided: {reason}" for number, reason in reasons[:_MAX_REASONS]]
    others = sum(number for number, _ in reasons[_MAX_REASONS:])
    return columns, (*shown, *[f"{others:,} undecided for other reasons"] * bool(others))
