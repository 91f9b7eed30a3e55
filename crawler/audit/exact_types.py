"""Convert result columns whose type Arrow can't hold exactly into text, within DuckDB.

Arrow has no unsigned integer of 128 bits, no time with an offset, no string of bits, and its intervals overflow.
DuckDB's export would change such values without an error. A type that isn't listed as exact becomes text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crawler.audit.database import quote_name

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_EXACT = frozenset(
    {
        "bigint",
        "blob",
        "boolean",
        "date",
        "decimal",
        "double",
        "enum",
        "float",
        "hugeint",
        "integer",
        "null",
        "smallint",
        "time",
        "time_ns",
        "timestamp",
        "timestamp with time zone",
        "timestamp_ms",
        "timestamp_ns",
        "timestamp_s",
        "timestamptz_ns",
        "tinyint",
        "ubigint",
        "uinteger",
        "usmallint",
        "utinyint",
        "uuid",
        "varchar",
    }
)
_NESTED = frozenset({"array", "list", "map", "struct", "tuple", "union"})


def exact_columns(names: Sequence[str], types: Sequence[DuckDBPyType]) -> str:
    """Return the SQL after SELECT that converts the columns by their positions; empty if all are exact."""
    if all(map(_is_exact, types)):
        return ""
    values = (
        f"#{place}" if _is_exact(kind) else f"CAST(#{place} AS {_target(kind)})" for place, kind in enumerate(types, 1)
    )
    return ", ".join(f"{value} AS {quote_name(name)}" for value, name in zip(values, names, strict=True))


def _is_exact(kind: DuckDBPyType) -> bool:
    return kind.id in _EXACT or (kind.id in _NESTED and all(_is_exact(child) for _, child in _members(kind)))


def _target(kind: DuckDBPyType) -> str:
    """Return the SQL of the nearest type that Arrow holds exactly; the type itself if it is one."""
    if _is_exact(kind):
        return str(kind)
    if kind.id not in _NESTED:
        return "JSON" if kind.id == "variant" else "VARCHAR"
    members = [(name, _target(child)) for name, child in _members(kind)]
    match kind.id:
        case "list":
            return f"{members[0][1]}[]"
        case "array":
            return f"{members[0][1]}[{dict(kind.children)['size']}]"
        case "map" | "tuple":
            return f"{kind.id}({', '.join(member for _, member in members)})"
        case name:
            return f"{name}({', '.join(f'{quote_name(field)} {member}' for field, member in members)})"


def _members(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """Return the names and types of the members of a nested type. A union's tag and an array's size are none."""
    children = [(name, child) for name, child in kind.children if not isinstance(child, int | list)]
    return children[1:] if kind.id == "union" else children
