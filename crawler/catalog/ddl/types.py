"""The SQL type of an Arrow type, for each dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from crawler.catalog.ddl.reserved import quoted
from crawler.errors import CatalogError


@dataclass(frozen=True, slots=True)
class TypeNames:
    """How a dialect writes types. `{0}` is the type inside; a struct's fields are the name, `field` and the type."""

    string: str
    integer: str
    number: str
    boolean: str
    instant: str
    array: str = "ARRAY<{0}>"
    mapping: str = "MAP<STRING,{0}>"
    struct: str = "STRUCT<{0}>"
    field: str = ":"
    quote: str = "`"
    has_nested_lists: bool = True


HIVE_TYPES = TypeNames("STRING", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP")
SPARK_TYPES = TypeNames("STRING", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", mapping="MAP<STRING, {0}>", field=": ")
TRINO_TYPES = TypeNames(
    "VARCHAR",
    "BIGINT",
    "DOUBLE",
    "BOOLEAN",
    "TIMESTAMP",
    array="ARRAY({0})",
    mapping="MAP(VARCHAR, {0})",
    struct="ROW({0})",
    field=" ",
    quote='"',
)
STARROCKS_TYPES = TypeNames("STRING", "BIGINT", "DOUBLE", "BOOLEAN", "DATETIME", mapping="MAP<STRING, {0}>", field=" ")
# A Parquet map is a list of pairs there, as the files have it. A list whose items are lists doesn't exist.
BIGQUERY_TYPES = TypeNames(
    "STRING",
    "INT64",
    "FLOAT64",
    "BOOL",
    "TIMESTAMP",
    mapping="STRUCT<key_value ARRAY<STRUCT<key STRING, value {0}>>>",
    field=" ",
    has_nested_lists=False,
)


def sql_type(kind: pa.DataType, names: TypeNames, where: str) -> str:
    """Return the SQL type of an Arrow type. Raises CatalogError, which begins with `where`, for one without any."""
    if pa.types.is_struct(kind):
        fields = (
            f"{quoted(field.name, names.quote)}{names.field}{sql_type(field.type, names, f'{where}.{field.name}')}"
            for field in kind
        )
        return names.struct.format(", ".join(fields))
    if pa.types.is_list(kind):
        if pa.types.is_list(kind.value_type) and not names.has_nested_lists:
            raise CatalogError(f"{where} is a list of lists, which this dialect can't declare; leave the table out.")
        return names.array.format(sql_type(kind.value_type, names, where))
    if pa.types.is_map(kind):
        return names.mapping.format(sql_type(kind.item_type, names, where))
    return _scalars(names)[kind]


def _scalars(names: TypeNames) -> Mapping[pa.DataType, str]:
    from crawler.catalog.columns import TIMESTAMP

    return {
        pa.string(): names.string,
        pa.int64(): names.integer,
        pa.float64(): names.number,
        pa.bool_(): names.boolean,
        TIMESTAMP: names.instant,
    }
