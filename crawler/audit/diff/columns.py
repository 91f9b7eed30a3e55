"""Choose the columns in which two snapshots can be compared, from the Arrow schemas of their files.

Columns that exist on one side only, or whose types differ, are excluded: a release that adds one doesn't change rows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.audit.column_order import SCOPE_COLUMNS
from crawler.audit.database import quote_name, unreadable_file
from crawler.catalog.model import DETAILS_COLUMN, EXTRA_COLUMN, FIXED_COLUMNS

ValueKind = Literal["scalar", "struct", "list", "map", "extra"]

VOLATILE_COLUMNS = frozenset(FIXED_COLUMNS) - frozenset(SCOPE_COLUMNS)

ONLY_OLD, ONLY_NEW, OTHER_TYPE = "only the older snapshot has it", "only the newer snapshot has it", "its type differs"


@dataclass(frozen=True, slots=True)
class TableKey:
    """The key columns of a table within a scope, those that may be null, and the paths of the volatile columns.

    `declared`: the schema of the catalog. Its fields' metadata hold for files whose fields have none.
    """

    key: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    volatile: frozenset[str] = frozenset()
    declared: pa.Schema | None = None


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A column or nested field of both sides, with a dotted `path`: `[]` for list items, `.*` for map values.

    `children` are a struct's fields, or a list's or map's only child.
    """

    name: str
    path: str
    kind: ValueKind
    is_secret: bool = False
    is_same: bool = True
    children: tuple[FieldPath, ...] = ()


@dataclass(slots=True)
class ComparedColumns:
    """How a table is compared. `key`: its columns, account and region first; empty to compare rows by content.

    `excluded`: path → why it isn't compared. `present_on_one_side` matches keys of `_extra` that are a column on the
    other side.
    """

    key: tuple[str, ...]
    optional: frozenset[str]
    parts: tuple[FieldPath, ...]
    excluded: dict[str, str] = field(default_factory=dict)
    present_on_one_side: re.Pattern[str] | None = None
    has_details: bool = False


def match_columns(old_file: str, new_file: str, table: TableKey) -> ComparedColumns:
    """Return the columns that two Parquet files share. Raises OutputError for an unreadable file."""
    old, new = (_described_schema(_read_schema(path), table.declared) for path in (old_file, new_file))
    key = (*SCOPE_COLUMNS, *table.key)
    is_keyed = bool(table.key) and all(_column_type(old, name) == _column_type(new, name) is not None for name in key)
    matcher = _Matcher({*VOLATILE_COLUMNS, *SCOPE_COLUMNS, DETAILS_COLUMN, *table.volatile, *(key if is_keyed else ())})
    parts = matcher.fields(list(old), list(new), "", "")
    has_details = DETAILS_COLUMN in old.names and DETAILS_COLUMN in new.names
    finder = _extra_key_pattern(matcher.present_on_one_side)
    return ComparedColumns(key if is_keyed else (), table.optional, tuple(parts), matcher.excluded, finder, has_details)


def _read_schema(path: str) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable_file(str(error)) from None


def _described_schema(stored: pa.Schema, declared: pa.Schema | None) -> pa.Schema:
    return stored if declared is None else pa.schema(_described_fields(list(stored), list(declared)))


def _described_fields(stored: Sequence[pa.Field], declared: Sequence[pa.Field]) -> list[pa.Field]:
    """Return the fields with the metadata of the declared fields of the same name, in addition to their own."""
    known = {field.name: field for field in declared}
    return [_described(field, known[field.name]) if field.name in known else field for field in stored]


def _described(field: pa.Field, declared: pa.Field) -> pa.Field:
    kind, other = field.type, declared.type
    if pa.types.is_struct(kind) and pa.types.is_struct(other):
        kind = pa.struct(_described_fields(_struct_fields(kind), _struct_fields(other)))
    elif pa.types.is_list(kind) and pa.types.is_list(other):
        kind = pa.list_(_described(kind.value_field, other.value_field))
    elif pa.types.is_map(kind) and pa.types.is_map(other):
        kind = pa.map_(kind.key_field, _described(kind.item_field, other.item_field))
    return pa.field(field.name, kind, field.nullable, {**(declared.metadata or {}), **(field.metadata or {})})


def _column_type(schema: pa.Schema, name: str) -> pa.DataType | None:
    return schema.field(name).type if name in schema.names else None


class _Matcher:
    """Walks two schemas in parallel; collects excluded paths, and the wire paths of fields on one side only."""

    def __init__(self, skipped: Collection[str]) -> None:
        self.excluded: dict[str, str] = {}
        self.present_on_one_side: list[str] = []
        self._skipped = skipped

    def fields(self, old: Sequence[pa.Field], new: Sequence[pa.Field], path: str, wire: str) -> list[FieldPath]:
        """Return the fields that both structs have, in the newer one's order."""
        before = {field.name: field for field in old}
        names = {field.name for field in new}
        for one in old:
            if one.name not in names:
                self._exclude(one, path, wire, ONLY_OLD)
        found = []
        for one in new:
            at = f"{path}{one.name}"
            if at in self._skipped:
                continue
            if one.name not in before:
                self._exclude(one, path, wire, ONLY_NEW)
                continue
            is_secret = any(_is_secret(side) for side in (before[one.name], one))
            part = self._match_field(
                one.name, at, wire + _wire_name(one), before[one.name].type, one.type, is_secret=is_secret
            )
            if part is not None:
                found.append(part)
        return found

    def _exclude(self, one: pa.Field, path: str, wire: str, why: str) -> None:
        if f"{path}{one.name}" not in self._skipped:
            self.excluded[f"{path}{one.name}"] = why
            self.present_on_one_side.append(wire + _wire_name(one))

    def _match_field(
        self, name: str, path: str, wire: str, old: pa.DataType, new: pa.DataType, *, is_secret: bool
    ) -> FieldPath | None:
        kind = _value_kind(new)
        if kind != _value_kind(old) or (kind == "scalar" and old != new):
            self.excluded[path] = OTHER_TYPE
            return None
        if kind == "scalar":
            return FieldPath(name, path, "extra" if path == EXTRA_COLUMN else kind, is_secret)
        children: list[FieldPath] = []
        if kind == "struct":
            children = self.fields(_struct_fields(old), _struct_fields(new), f"{path}.", f"{wire}.")
        else:
            mark, values = ("[]", "value_type") if kind == "list" else (".*", "item_type")
            inner = (getattr(old, values), getattr(new, values))
            item = self._match_field("", path + mark, wire + mark, *inner, is_secret=is_secret)
            children = [] if item is None else [item]
        is_same = len(children) == _size(old) == _size(new) and all(child.is_same for child in children)
        return FieldPath(name, path, kind, is_secret, is_same, tuple(children)) if children else None


def _value_kind(kind: pa.DataType) -> ValueKind:
    if pa.types.is_struct(kind):
        return "struct"
    if pa.types.is_map(kind):
        return "map"
    return "list" if pa.types.is_list(kind) or pa.types.is_large_list(kind) else "scalar"


def _struct_fields(kind: pa.DataType) -> list[pa.Field]:
    return [kind.field(number) for number in range(kind.num_fields)]


def _size(kind: pa.DataType) -> int:
    return int(kind.num_fields) if pa.types.is_struct(kind) else 1


def _is_secret(one: pa.Field) -> bool:
    return (one.metadata or {}).get(b"secret") == b"true"


def _wire_name(one: pa.Field) -> str:
    return (one.metadata or {}).get(b"wire", b"").decode() or str(one.name)


def _extra_key_pattern(paths: Sequence[str]) -> re.Pattern[str] | None:
    """Return a pattern for keys of `_extra` at or below these wire paths; case is ignored.

    A column of another release may be known by its own name only, so each `_` is optional: `v_switch_id`, `vSwitchId`.
    """
    if not paths:
        return None
    patterns = [
        re.escape(path)
        .replace("_", "_?")
        .replace(r"\[\]", r"\[\d+\]")
        .replace(r"\.\*", r'\.(?:"(?:[^"\\]|\\.)*"|[^.\[]+)')
        for path in paths
    ]
    return re.compile(rf"(?:{'|'.join(patterns)})(?=[.\[]|$)", re.IGNORECASE)


def column_sql(part: FieldPath) -> str:
    """Return SQL for the fields of a column that both sides have, with the same type on both."""
    return _projected(quote_name(part.name), part, 0)


def _projected(value: str, part: FieldPath, depth: int) -> str:
    if part.is_same:
        return value
    if part.kind == "struct":
        inner = ", ".join(
            f"{quote_name(child.name)}: {_projected(f'{value}.{quote_name(child.name)}', child, depth)}"
            for child in part.children
        )
        return f"CASE WHEN {value} IS NOT NULL THEN {{{inner}}} END"
    name, (item,) = f"x{depth}", part.children
    changed = f"lambda {name}: {_projected(name, item, depth + 1)}"
    if part.kind == "list":
        return f"list_transform({value}, {changed})"
    return (
        f"CASE WHEN {value} IS NOT NULL THEN map(map_keys({value}), list_transform(map_values({value}), {changed})) END"
    )


def walk(parts: Sequence[FieldPath]) -> Iterator[FieldPath]:
    """Yield every part, parents first."""
    for part in parts:
        yield part
        yield from walk(part.children)
