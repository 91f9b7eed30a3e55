"""The statements of Trino, StarRocks and BigQuery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crawler.catalog.ddl.model import DescribedTable, ScriptRequest
from crawler.catalog.ddl.reserved import quoted
from crawler.catalog.ddl.text import (
    InDatabase,
    column_lines,
    double_text,
    escaped_text,
    full_name,
    in_parentheses,
    partition_text,
    plain_text,
    view_statement,
)
from crawler.catalog.ddl.types import BIGQUERY_TYPES, STARROCKS_TYPES, TRINO_TYPES
from crawler.errors import ConfigError


@dataclass(frozen=True)
class TrinoDialect:
    """Trino's Hive connector. The catalog is that of the session."""

    notes: tuple[str, ...] = (
        "Run it in a catalog of the Hive connector (USE hive.default). Times have milliseconds there.",
        "Run it again after each crawl, with --snapshot latest: it makes the partitions known, and the views show it.",
    )

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`. The procedure that finds partitions takes the name of a schema."""
        if not request.schema:
            raise ConfigError("Trino needs a schema: --schema NAME")

    def setup(self, request: ScriptRequest) -> Iterator[str]:
        """See `Dialect.setup`."""
        yield f"CREATE SCHEMA IF NOT EXISTS {quoted(request.schema, TRINO_TYPES.quote)}"

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        columns = column_lines(table, TRINO_TYPES, " COMMENT {0}", plain_text)
        columns += ["snapshot_date VARCHAR", "snapshot VARCHAR"]
        properties = [
            "format = 'PARQUET'",
            f"external_location = {plain_text(f'{request.location}/{table.name}')}",
            "partitioned_by = ARRAY['snapshot_date', 'snapshot']",
        ]
        yield (
            f"CREATE TABLE IF NOT EXISTS {full_name(request, table.name, TRINO_TYPES.quote)} "
            f"{in_parentheses(columns)}\nCOMMENT {plain_text(table.title)}\nWITH {in_parentheses(properties)}"
        )
        yield f"CALL system.sync_partition_metadata({plain_text(request.schema)}, {plain_text(table.name)}, 'FULL')"
        if request.snapshot_id:
            yield view_statement(request, table, partition_text(request, " AND "), TRINO_TYPES.quote)


@dataclass(frozen=True)
class StarRocksDialect(InDatabase):
    """StarRocks: file external tables, which need no catalog. `X_latest` is one over the folder of a snapshot."""

    notes: tuple[str, ...] = (
        'Add the keys of the store to the PROPERTIES of each table, for OSS: "aliyun.oss.access_key",',
        '"aliyun.oss.secret_key", "aliyun.oss.endpoint"; or use an Iceberg catalog, which is faster.',
        "Run it again after each crawl, with --snapshot latest: it drops each table X_latest and creates it over the",
        "folder of that snapshot. The files stay.",
    )

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        place = f"{request.location}/{table.name}/"
        yield self._external(request, table, table.name, place, '"enable_recursive_listing" = "true"')
        if request.snapshot_id:
            yield f"DROP TABLE IF EXISTS {full_name(request, f'{table.name}_latest', '`')}"
            place += f"snapshot_date={request.snapshot_date}/snapshot={request.snapshot_id}/"
            yield self._external(request, table, f"{table.name}_latest", place)

    def _external(self, request: ScriptRequest, table: DescribedTable, name: str, place: str, *more: str) -> str:
        properties = [f'"path" = {double_text(place)}', '"format" = "parquet"', *more]
        columns = column_lines(table, STARROCKS_TYPES, " COMMENT {0}", double_text)
        return (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {full_name(request, name, '`')} {in_parentheses(columns)}\n"
            f"ENGINE = file\nCOMMENT {double_text(table.title)}\nPROPERTIES {in_parentheses(properties)}"
        )


@dataclass(frozen=True)
class BigQueryDialect:
    """BigQuery: external tables over Cloud Storage, with declared partition columns (mode CUSTOM)."""

    notes: tuple[str, ...] = (
        "Copy the output to Cloud Storage first. The columns are declared, so that no ID becomes a number.",
        "A map is a list of pairs: UNNEST(column.key_value).",
        "Run it again after each crawl, with --snapshot latest: the views show that snapshot.",
    )

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""
        if not request.location.startswith("gs://"):
            raise ConfigError("BigQuery reads Cloud Storage: --location gs://BUCKET/PREFIX")
        if not request.schema:
            raise ConfigError("BigQuery needs a dataset: --schema NAME")

    def setup(self, request: ScriptRequest) -> Iterator[str]:
        """See `Dialect.setup`."""
        yield f"CREATE SCHEMA IF NOT EXISTS {quoted(request.schema, '`')}"

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        place = f"{request.location}/{table.name}"
        options = [
            "format = 'PARQUET'",
            "enable_list_inference = true",
            f"uris = [{escaped_text(f'{place}/snapshot_date=*')}]",
            f"hive_partition_uri_prefix = {escaped_text(place)}",
            f"description = {escaped_text(table.title)}",
        ]
        columns = column_lines(table, BIGQUERY_TYPES, " OPTIONS (description = {0})")
        yield (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {full_name(request, table.name, '`')} {in_parentheses(columns)}\n"
            f"WITH PARTITION COLUMNS (snapshot_date DATE, snapshot STRING)\nOPTIONS {in_parentheses(options)}"
        )
        if request.snapshot_id:
            yield view_statement(request, table, partition_text(request, " AND ", date_prefix="DATE "), "`")
