"""`tables --ddl` and `tables --dbt`: the tables described for SQL engines and for dbt, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import warn
from crawler.cli.inputs import load, open_tables
from crawler.cli.options import CommonOptions
from crawler.cli.targets import STDOUT, declare_target, is_stream, open_text
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from crawler.catalog import Catalog
    from crawler.catalog.ddl.model import DescribedTable
    from crawler.snapshot.manifest import Manifest

DIALECT_NAMES = ("athena", "bigquery", "duckdb", "hive", "maxcompute", "spark", "starrocks", "trino")


@dataclass(frozen=True, slots=True)
class ScriptOptions:
    """The options of `--ddl` and `--dbt`. `snapshot_id` is None for all snapshots; `schema` None for the default."""

    dialect: str | None
    is_dbt: bool
    location: str | None
    schema: str | None
    snapshot_id: str | None
    path: Path | None
    uri: str | None
    config_file: Path | None

    def check(self) -> None:
        """Raise UsageError for options that don't fit together."""
        if self.dialect and self.is_dbt:
            raise click.UsageError("--ddl and --dbt are two kinds of result; give one.")
        if self.is_dbt:
            for option, value in {"--location": self.location, "--snapshot": self.snapshot_id}.items():
                if value is not None:
                    raise click.UsageError(f"{option} is for --ddl; dbt's sources are the views that --ddl creates.")
        elif not self.dialect:
            target = None if self.path is None else str(self.path)
            given = {"--location": self.location, "--snapshot": self.snapshot_id, "--schema": self.schema}
            for option, value in {**given, "--to": target}.items():
                if value is not None:
                    raise click.UsageError(f"{option} needs --ddl DIALECT or --dbt.")


def write_script(common: CommonOptions, catalog: Catalog, patterns: Sequence[str], options: ScriptOptions) -> None:
    """Write the script of the chosen tables to stdout or to a file. Raises ConfigError, CatalogError, OutputError."""
    from crawler.audit.export.atomic_files import check_free

    if options.path is not None:
        declare_target(options.path, "sql")
        if not is_stream(options.path):
            check_free([options.path], may_replace=True)
    text = _dbt_text(catalog, patterns, options) if options.is_dbt else _ddl_text(common, catalog, patterns, options)
    _write(options.path or STDOUT, text)


def _dbt_text(catalog: Catalog, patterns: Sequence[str], options: ScriptOptions) -> str:
    from crawler import __version__
    from crawler.catalog.ddl.dbt import sources_text
    from crawler.catalog.ddl.model import DEFAULT_SCHEMA

    return sources_text(
        described_tables(catalog, _chosen(catalog, patterns)), options.schema or DEFAULT_SCHEMA, __version__
    )


def _ddl_text(common: CommonOptions, catalog: Catalog, patterns: Sequence[str], options: ScriptOptions) -> str:
    from crawler import __version__
    from crawler.catalog.ddl.model import DEFAULT_SCHEMA, ScriptRequest
    from crawler.catalog.ddl.script import WITHOUT_SCHEMA, script_text

    dialect = options.dialect or ""
    schema = options.schema if options.schema is not None else "" if dialect in WITHOUT_SCHEMA else DEFAULT_SCHEMA
    location = _location(options, dialect)
    if options.snapshot_id is None:
        tables = described_tables(catalog, _chosen(catalog, patterns))
        return script_text(dialect, ScriptRequest(tables, location, schema, version=__version__))
    from crawler.snapshot.layout import snapshot_date

    with open_tables(common, options.config_file, options.uri, options.snapshot_id) as opened:
        manifest = opened.snapshot.manifest
    if manifest.format == 1 and dialect != "duckdb":
        raise ConfigError(
            f"snapshot {manifest.snapshot_id} has the layout of version 0.1, a folder per account and region; "
            "--ddl describes newer snapshots, except for duckdb"
        )
    request = ScriptRequest(
        described_tables(catalog, _in_snapshot(common, catalog, patterns, manifest), manifest),
        location,
        schema,
        manifest.snapshot_id,
        snapshot_date(manifest.snapshot_id),
        manifest.ledger.path,
        __version__,
    )
    return script_text(dialect, request)


def _chosen(catalog: Catalog, patterns: Sequence[str]) -> Sequence[str]:
    """Return the tables of the patterns; by default all but those that can't be crawled."""
    if patterns:
        return catalog.matching(*patterns)
    return [name for name, operation in catalog.operations.items() if operation.selection != "out"]


def _in_snapshot(common: CommonOptions, catalog: Catalog, patterns: Sequence[str], manifest: Manifest) -> Sequence[str]:
    matching = catalog.matching(*patterns) if patterns else tuple(catalog.operations)
    unknown = [name for name in manifest.tables if name not in catalog.operations]
    if not patterns and unknown:
        warn(
            common,
            f"left out, since the catalog doesn't have them: {', '.join(unknown)}; --config names the configuration "
            "with tables of your own",
        )
    found = [name for name in matching if name in manifest.tables]
    if not found:
        named = " or ".join(repr(pattern) for pattern in patterns or ["*"])
        raise ConfigError(f"snapshot {manifest.snapshot_id} has no table that matches {named}")
    return found


def described_tables(catalog: Catalog, names: Iterable[str], manifest: Manifest | None = None) -> list[DescribedTable]:
    """Return tables of the catalog as scripts need them, with their files if they are those of a snapshot."""
    from crawler.audit.column_order import reader_columns
    from crawler.catalog.ddl.model import DescribedTable
    from crawler.cli.tables.describe import column_rows

    tables = []
    for name in names:
        operation = catalog.operations[name]
        rows = [row for row in column_rows(catalog, name) if row.depth == 0]
        files = [file.path for file in manifest.tables[name].files] if manifest is not None else []
        tables.append(
            DescribedTable(
                name,
                _one_line(operation.title),
                operation.schema,
                {row.name: _comment(row.description, row.unit, is_secret=row.is_secret) for row in rows},
                reader_columns(operation.row_columns, operation.key),
                operation.key,
                operation.optional_key,
                files,
            )
        )
    return tables


def _comment(description: str, unit: str, *, is_secret: bool) -> str:
    notes = ", ".join(note for note in (unit, "secret: stored as a fingerprint" if is_secret else "") if note)
    return _one_line(f"{description} ({notes})" if description and notes else description or notes)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _location(options: ScriptOptions, dialect: str) -> str:
    """Return the output as the engine reaches it. A local path is absolute; all engines but DuckDB take it as a URI."""
    location = options.location or options.uri
    if not location and (options.snapshot_id is not None or options.config_file is not None):
        location = load(options.config_file).output.uri
    if not location:
        raise click.UsageError("--ddl needs --location URI, the output as the engine reaches it; or --output URI.")
    if "://" in location:
        return location.rstrip("/")
    path = Path(location).absolute()
    return str(path) if dialect == "duckdb" else path.as_uri()


def _write(target: Path, text: str) -> None:
    from crawler.audit.export.atomic_files import move_into_place, new_file, staging

    if is_stream(target):
        with open_text(target, "sql") as emit:
            emit(text)
        return
    with staging(target.parent) as folder:
        staged = folder / target.name
        with new_file(staged) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        move_into_place([staged], target.parent)
