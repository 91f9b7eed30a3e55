"""A script of DDL for many tables in one dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from crawler.catalog.ddl.duckdb import DuckDBDialect
from crawler.catalog.ddl.hive_family import AthenaDialect, HiveDialect, MaxComputeDialect, SparkDialect
from crawler.catalog.ddl.model import DescribedTable, ScriptRequest
from crawler.catalog.ddl.warehouses import BigQueryDialect, StarRocksDialect, TrinoDialect


class Dialect(Protocol):
    """A dialect. Statements have no semicolon at their end. `notes` are the comments at the top of a script."""

    @property
    def notes(self) -> tuple[str, ...]:
        """See the class."""
        ...

    def check(self, request: ScriptRequest) -> None:
        """Raise ConfigError if the engine can't read this location, or needs a schema."""
        ...

    def setup(self, request: ScriptRequest) -> Iterator[str]:
        """Yield the statements that come first."""
        ...

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """Yield the statements of one table: the table, its partitions, and the view of one snapshot."""
        ...


DIALECTS: Mapping[str, Dialect] = {
    "athena": AthenaDialect(),
    "bigquery": BigQueryDialect(),
    "duckdb": DuckDBDialect(),
    "hive": HiveDialect(),
    "maxcompute": MaxComputeDialect(),
    "spark": SparkDialect(),
    "starrocks": StarRocksDialect(),
    "trino": TrinoDialect(),
}
# Dialects whose names have no schema unless the user gives one.
WITHOUT_SCHEMA = frozenset({"duckdb", "maxcompute"})


def script_text(dialect: str, request: ScriptRequest) -> str:
    """Return the script. Raises ConfigError for a location that the engine can't read, CatalogError for a type."""
    shown = f"snapshot {request.snapshot_id}" if request.snapshot_id else "all snapshots"
    number = len(request.tables)
    head = f"acs-inventory {request.version}: {dialect}, {number} table{'' if number == 1 else 's'}, {shown}"
    lines = [f"-- {line}" for line in (head, *DIALECTS[dialect].notes)]
    return "\n".join(lines) + "\n\n" + "\n\n".join(f"{statement};" for statement in statements(dialect, request)) + "\n"


def statements(dialect: str, request: ScriptRequest) -> Iterator[str]:
    """Yield the statements of the script without their semicolons. Raises ConfigError and CatalogError."""
    chosen = DIALECTS[dialect]
    chosen.check(request)
    yield from chosen.setup(request)
    for table in request.tables:
        yield from chosen.table(request, table)
