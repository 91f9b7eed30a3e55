"""Scripts of DDL over all tables of the catalog, in each dialect, and what a parser understood of them as Arrow."""

from __future__ import annotations

import pyarrow as pa
import sqlglot
from sqlglot import exp

from crawler.catalog import load_catalog
from crawler.catalog.columns import TIMESTAMP
from crawler.catalog.ddl.model import DEFAULT_SCHEMA, ScriptRequest
from crawler.catalog.ddl.script import WITHOUT_SCHEMA, statements
from crawler.cli.tables.scripts import described_tables

CATALOG = load_catalog()
TABLES = list(CATALOG.operations)
ID, DATE = "20261121T020000Z-7f3a", "2026-11-21"
LOCATIONS = {
    "athena": "s3://bucket/prefix",
    "bigquery": "gs://bucket/prefix",
    "duckdb": "/bucket/prefix",
    "hive": "oss://bucket/prefix",
    "maxcompute": "oss://oss-cn-hangzhou-internal.aliyuncs.com/bucket/prefix",
    "spark": "oss://bucket/prefix",
    "starrocks": "oss://bucket/prefix",
    "trino": "s3://bucket/prefix",
}
# The parsers' names of the dialects. MaxCompute's DDL is Hive's; a view of Athena is in Trino's dialect.
SQLGLOT = {"maxcompute": "hive"}
SQLFLUFF = {"bigquery": "bigquery", "duckdb": "duckdb", "hive": "hive", "spark": "sparksql", "trino": "trino"}

_SCALARS = {
    exp.DataType.Type.BIGINT: pa.int64(),
    exp.DataType.Type.BOOLEAN: pa.bool_(),
    exp.DataType.Type.DOUBLE: pa.float64(),
    exp.DataType.Type.TEXT: pa.string(),
    exp.DataType.Type.VARCHAR: pa.string(),
    # An instant has microseconds in every file, whatever an engine calls its type.
    exp.DataType.Type.DATETIME: TIMESTAMP,
    exp.DataType.Type.TIMESTAMP: TIMESTAMP,
    exp.DataType.Type.TIMESTAMPTZ: TIMESTAMP,
}


def request(dialect, tables=TABLES, *, pinned=False, location=None, files=()):
    """A request for a script of these tables; `pinned` to one snapshot."""
    described = described_tables(CATALOG, tables)
    schema = "" if dialect in WITHOUT_SCHEMA else DEFAULT_SCHEMA
    snapshot = (ID, DATE, f"_snapshots/{ID}.scopes.parquet") if pinned else ()
    return ScriptRequest(described, location or LOCATIONS[dialect], schema, *snapshot)


def script(dialect, tables=TABLES, *, pinned=False):
    """The statements of a script."""
    return list(statements(dialect, request(dialect, tables, pinned=pinned)))


def parsed(statement, dialect):
    """A statement as sqlglot understands it. An opaque command is an error."""
    found = sqlglot.parse_one(statement, dialect=SQLGLOT.get(dialect, dialect))
    assert not isinstance(found, exp.Command), statement
    return found


def arrow_columns(create, without=()):
    """The columns of a parsed CREATE TABLE as an Arrow schema."""
    found = [column for column in create.this.expressions if isinstance(column, exp.ColumnDef)]
    return pa.schema([(c.name, arrow_type(c.args["kind"])) for c in found if c.name not in without])


def arrow_type(kind):
    """The Arrow type of a parsed type."""
    inner = kind.expressions
    match kind.this:
        case exp.DataType.Type.ARRAY | exp.DataType.Type.LIST:
            return pa.list_(arrow_type(inner[0]))
        case exp.DataType.Type.MAP:
            assert arrow_type(inner[0]) == pa.string()
            return pa.map_(pa.string(), arrow_type(inner[1]))
        case exp.DataType.Type.STRUCT:
            fields = [(field.name, arrow_type(field.args["kind"])) for field in inner]
            if [name for name, _ in fields] == ["key_value"]:  # BigQuery's form of a map
                key, value = fields[0][1].value_type
                assert (key.name, value.name, key.type) == ("key", "value", pa.string())
                return pa.map_(pa.string(), value.type)
            return pa.struct(fields)
        case scalar:
            return _SCALARS[scalar]


def bare(schema):
    """An Arrow schema without metadata, with Arrow's own names of list items and map parts, and instants in UTC."""
    return pa.schema([(field.name, _bare(field.type)) for field in schema])


def _bare(kind):
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _bare(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_bare(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(pa.string(), _bare(kind.item_type))
    return TIMESTAMP if pa.types.is_timestamp(kind) and kind.tz else kind
