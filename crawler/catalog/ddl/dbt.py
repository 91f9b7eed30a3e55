"""A dbt `sources.yml` of the tables: descriptions of tables and columns, and tests of their keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crawler.catalog.ddl.model import DescribedTable

_IN_ACCOUNT = ("account_id", "region_id")
# The separator of a joined key: no ID has one.
_JOINT = "'|'"


def sources_text(tables: Sequence[DescribedTable], schema: str, version: str) -> str:
    """Return the file. Each source is a view `TABLE_latest`, as DDL creates it, under the table's name."""
    source = {
        "name": schema,
        "schema": schema,
        "description": "Inventory of Alibaba Cloud accounts; each table has the rows of one snapshot",
        "tables": [_table(table) for table in tables],
    }
    head = f"# acs-inventory {version}\n"
    return head + "\n".join(_lines({"version": 2, "sources": [source]})) + "\n"


def _table(table: DescribedTable) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": table.name,
        "identifier": f"{table.name}_latest",
        "description": table.title,
        "columns": [_column(table, name) for name in table.order],
    }
    if table.key:
        found["data_tests"] = [
            {"unique": {"name": f"unique_key_of_{table.name}", "arguments": {"column_name": _joined_key(table)}}}
        ]
    return found


def _column(table: DescribedTable, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    if described := table.comments.get(name, ""):
        found["description"] = described
    if name in _IN_ACCOUNT:
        found["data_tests"] = ["not_null"]
    elif name in table.key and name not in table.optional_key:
        # A record without its key is kept with a null, since the service has sent it so: a warning.
        found["data_tests"] = [{"not_null": {"config": {"severity": "warn"}}}]
    return found


def _joined_key(table: DescribedTable) -> str:
    """Return an SQL expression of the key; it is null where a part is null, which dbt's test `unique` leaves out.

    dbt doesn't render this argument, so a number is cast by the type's name in most dialects.
    """
    import pyarrow as pa

    parts = [
        name if pa.types.is_string(table.schema.field(name).type) else f"cast({name} as string)"
        for name in (*_IN_ACCOUNT, *table.key)
    ]
    return f"concat({f', {_JOINT}, '.join(parts)})"


def _lines(value: Mapping[str, Any] | Sequence[Any], indent: str = "") -> Iterator[str]:
    """Yield YAML of mappings, lists and scalars. A text is between double quotes, as in JSON, which YAML contains."""
    items = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, found in items:
        lead = f"{indent}-" if key is None else f"{indent}{key}:"
        if key is None and isinstance(found, Mapping):
            first, *rest = _lines(found, f"{indent}  ")
            yield f"{lead} {first.strip()}"
            yield from rest
        elif isinstance(found, Mapping | list):
            yield lead
            yield from _lines(found, f"{indent}  ")
        else:
            yield f"{lead} {json.dumps(found, ensure_ascii=False)}"
