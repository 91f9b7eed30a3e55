"""The statements of Spark, Hive, MaxCompute and Athena, whose DDL descends from Hive's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crawler.catalog.ddl.model import DescribedTable, ScriptRequest
from crawler.catalog.ddl.reserved import quoted
from crawler.catalog.ddl.text import (
    LATEST_FILE,
    InDatabase,
    column_lines,
    escaped_text,
    full_name,
    in_parentheses,
    partition_text,
    view_statement,
)
from crawler.catalog.ddl.types import HIVE_TYPES, SPARK_TYPES
from crawler.errors import ConfigError

_COMMENT = " COMMENT {0}"


@dataclass(frozen=True)
class SparkDialect(InDatabase):
    """Spark SQL: a data source table. The view follows the file LATEST, which Spark can read as a table."""

    notes: tuple[str, ...] = (
        "Run it again after each crawl: it makes the new partitions known.",
        "Without --snapshot, each view reads the snapshot that _snapshots/LATEST names at that time.",
    )

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        name = full_name(request, table.name, "`")
        columns = [*column_lines(table, SPARK_TYPES, _COMMENT), "snapshot_date DATE", "snapshot STRING"]
        yield (
            f"CREATE TABLE IF NOT EXISTS {name} {in_parentheses(columns)}\nUSING PARQUET\n"
            f"PARTITIONED BY (snapshot_date, snapshot)\nLOCATION {escaped_text(f'{request.location}/{table.name}')}\n"
            f"COMMENT {escaped_text(table.title)}"
        )
        if request.snapshot_id:
            partition = partition_text(request, ", ", date_prefix="DATE")
            yield f"ALTER TABLE {name} ADD IF NOT EXISTS PARTITION ({partition})"
            yield view_statement(request, table, partition_text(request, " AND ", date_prefix="DATE"), "`")
        else:
            yield f"MSCK REPAIR TABLE {name} SYNC PARTITIONS"
            latest = f"{request.location}/{LATEST_FILE}".replace("`", "``")
            newest = f"snapshot = (SELECT first(trim(value)) FROM text.`{latest}`)"  # noqa: S608 - quoted
            yield view_statement(request, table, newest, "`")


@dataclass(frozen=True)
class HiveDialect(InDatabase):
    """Hive's DDL. The view needs a snapshot, since Hive reads folders only."""

    notes: tuple[str, ...] = (
        "Hive 2 and 3 can't read these files: their times are INT64, which Hive reads as of version 4 (HIVE-21215).",
        "Run it again after each crawl, with --snapshot latest: it adds the partition, and the views show it.",
    )
    storage: str = "STORED AS PARQUET"
    repair: str = " SYNC PARTITIONS"

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        name = full_name(request, table.name, "`")
        columns = in_parentheses(column_lines(table, HIVE_TYPES, _COMMENT))
        yield (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {name} {columns}\nCOMMENT {escaped_text(table.title)}\n"
            f"PARTITIONED BY (snapshot_date STRING, snapshot STRING)\n{self.storage}\n"
            f"LOCATION {escaped_text(f'{request.location}/{table.name}/')}"
        )
        if request.snapshot_id:
            yield f"ALTER TABLE {name} ADD IF NOT EXISTS PARTITION ({partition_text(request, ', ')})"
            yield view_statement(request, table, partition_text(request, " AND "), "`")
        else:
            yield f"MSCK REPAIR TABLE {name}{self.repair}"


@dataclass(frozen=True)
class MaxComputeDialect(HiveDialect):
    """MaxCompute: an external table over OSS, whose location has the endpoint in it."""

    notes: tuple[str, ...] = (
        "The project and the bucket must be in one region. A file may have 2 GB; [output] part_size is far below.",
        "If the project has no default role for OSS, add to each table, before STORED AS PARQUET:",
        "  WITH SERDEPROPERTIES ('odps.properties.rolearn' = 'acs:ram::ACCOUNT:role/ROLE')",
        "Run it again after each crawl, with --snapshot latest: it adds the partition, and the views show it.",
    )
    storage: str = "ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'\nSTORED AS PARQUET"
    repair: str = " ADD PARTITIONS"

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""
        host = request.location.removeprefix("oss://").partition("/")[0]
        if not request.location.startswith("oss://") or "." not in host:
            raise ConfigError(
                "MaxCompute needs the endpoint in the location: --location "
                "oss://oss-REGION-internal.aliyuncs.com/BUCKET/PREFIX"
            )

    def setup(self, request: ScriptRequest) -> Iterator[str]:
        """See `Dialect.setup`. The types BIGINT, TIMESTAMP and STRUCT need MaxCompute's data types 2.0."""
        yield "SET odps.sql.type.system.odps2 = true"
        if request.schema:
            yield "SET odps.namespace.schema = true"
            yield f"CREATE SCHEMA IF NOT EXISTS {quoted(request.schema, '`')}"


@dataclass(frozen=True)
class AthenaDialect(InDatabase):
    """Athena: partition projection by date, so that it needs no crawler and no repair.

    Only the date is a partition: IDs of snapshots can't be projected, and `snapshot_id` is a column of the files.
    Athena reads the folders below a partition's. A view is written in Trino's dialect, a table in Hive's.
    """

    notes: tuple[str, ...] = (
        "The partitions are computed (partition projection): don't let a Glue crawler make or change these tables.",
        "A query that names no snapshot_date asks for the folder of each day of three years.",
        "Run the views again after each crawl, with --snapshot latest.",
    )

    def check(self, request: ScriptRequest) -> None:
        """See `Dialect.check`."""
        if not request.location.startswith("s3://"):
            raise ConfigError("Athena reads Amazon S3 only: --location s3://BUCKET/PREFIX")

    def table(self, request: ScriptRequest, table: DescribedTable) -> Iterator[str]:
        """See `Dialect.table`."""
        place = f"{request.location}/{table.name}"
        properties = {
            "projection.enabled": "true",
            "projection.snapshot_date.type": "date",
            "projection.snapshot_date.format": "yyyy-MM-dd",
            "projection.snapshot_date.range": "NOW-3YEARS,NOW",
            "projection.snapshot_date.interval": "1",
            "projection.snapshot_date.interval.unit": "DAYS",
            "storage.location.template": f"{place}/snapshot_date=${{snapshot_date}}/",
        }
        listed = [f"{escaped_text(key)} = {escaped_text(value)}" for key, value in properties.items()]
        yield (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS {full_name(request, table.name, '`')} "
            f"{in_parentheses(column_lines(table, HIVE_TYPES, _COMMENT))}\nCOMMENT {escaped_text(table.title)}\n"
            f"PARTITIONED BY (snapshot_date STRING)\nSTORED AS PARQUET\nLOCATION {escaped_text(f'{place}/')}\n"
            f"TBLPROPERTIES {in_parentheses(listed)}"
        )
        if request.snapshot_id:
            condition = f"snapshot_date = '{request.snapshot_date}' AND snapshot_id = '{request.snapshot_id}'"
            yield view_statement(request, table, condition, '"')
