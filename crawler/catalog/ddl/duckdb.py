"""DuckDB's statements: views of the files of one snapshot, or table macros that follow LATEST.

A view needs its files when it is created, and its list of files is fixed. A table macro needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crawler.catalog.ddl.model import DescribedTable, ScriptRequest
from crawler.catalog.ddl.reserved import quoted
from crawler.catalog.ddl.text import LATEST_FILE, full_name, plain_text
from crawler.catalog.model import FIXED_COLUMNS
from crawler.errors import ConfigError

_OPTIONS = "hive_partitioning = false, union_by_name = true"
_QUOTE = '"'


@dataclass(frozen=True)
class DuckDBDialect:
    """DuckDB. The types of the columns are those of the files."""

    notes: tuple[str, ...] = (
        "With --snapshot: views for a database file, X_latest; run it again after each crawl.",
        "Without: table macros, FROM X() and FROM X_latest(); run it at the start of each session (duckdb -init FILE).",
    )

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""
        if request.location.startswith("oss://"):
            raise ConfigError("DuckDB reads OSS at its S3-compatible endpoint: --location s3://BUCKET/PREFIX")

    def setup(self, request: ScriptRequest) -> Iterator[str]:
        """See `Dialect.setup`."""
        if request.schema:
            yield f"CREATE SCHEMA IF NOT EXISTS {quoted(request.schema, _QUOTE)}"
        if request.snapshot_id:
            ledger = plain_text(f"{request.location}/{request.ledger}")
            name = full_name(request, "scopes_latest", _QUOTE)
            yield f"CREATE OR REPLACE VIEW {name} AS\nSELECT *\nFROM read_parquet([{ledger}], {_OPTIONS})"
            return
        root = plain_text(f"{request.location}/")
        latest = plain_text(f"{request.location}/{LATEST_FILE}")
        manifests = plain_text(f"{request.location}/_snapshots/")
        yield f"SET VARIABLE latest = (SELECT trim(content, chr(10)) FROM read_text({latest}))"  # noqa: S608 - quoted
        yield (
            "SET VARIABLE files = (\n"  # noqa: S608 - quoted
            "  SELECT map(list(key), list(list_transform("
            f"json_extract_string(value, '$.files[*].path'), lambda path: {root} || path)))\n"
            f"  FROM read_text({manifests} || getvariable('latest') || '.json'), json_each(content, '$.tables')\n)"
        )
        ledger = full_name(request, "scopes_latest", _QUOTE)
        file = "__folder || getvariable('latest') || '.scopes.parquet'"
        yield (
            f"CREATE OR REPLACE MACRO {ledger}(__folder := {manifests}) AS TABLE\n"
            f"SELECT *\nFROM read_parquet({file}, {_OPTIONS})"
        )

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        latest = full_name(request, f"{table.name}_latest", _QUOTE)
        if request.snapshot_id:
            files = ", ".join(plain_text(f"{request.location}/{path}") for path in table.files)
            yield f"CREATE OR REPLACE VIEW {latest} AS\n{_select(table, f'[{files}]')}"
            return
        # A parameter puts off the search for files until the macro is used: a snapshot doesn't have every table. No
        # column has two underscores in its name, which a parameter would hide.
        name, root = full_name(request, table.name, _QUOTE), plain_text(request.location)
        pattern = f"__root || {plain_text(f'/{table.name}/snapshot_date=*/**/*.parquet')}"
        yield f"CREATE OR REPLACE MACRO {name}(__root := {root}) AS TABLE\n{_select(table, pattern)}"
        newest, own = "getvariable('files')[__table]", plain_text(table.name)
        yield f"CREATE OR REPLACE MACRO {latest}(__table := {own}) AS TABLE\n{_select(table, newest)}"


def _select(table: DescribedTable, files: str) -> str:
    """Return a SELECT whose first columns identify the row. Files of an older release may lack others."""
    first = {*FIXED_COLUMNS, *table.key}
    names = ", ".join(quoted(name, _QUOTE) for name in table.order if name in first)
    return f"SELECT {names}, * EXCLUDE ({names})\nFROM read_parquet({files}, {_OPTIONS})"
