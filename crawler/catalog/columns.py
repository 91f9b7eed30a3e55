"""The column tree of a table: the syntax of `[columns]` in a schema file, and the Arrow type of every node.

A type is text: `string`, `integer`, `number`, `boolean`, `timestamp`, `json`, `map<TYPE>`; a unit may follow in
parentheses and the word `secret` after it (`integer(MB)`, `timestamp(ms)`, `map<string> secret`). The local times of
`timestamp(in FIELD)` are in the time zone that the field beside it names. `string access-key-id` is an access key ID,
which stays as it is even if the crawl signs with that key. A TOML table is a struct, or a map of any
values if its only key is `*`. An array with one item is a list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from crawler.errors import CatalogError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["string", "integer", "number", "boolean", "timestamp", "json", "struct", "list", "map"]

_SCALARS = tuple(kind for kind in get_args(Kind) if kind not in {"struct", "list", "map"})
_TYPE = re.compile(r"(?P<type>[a-z]+(?:<[a-z]+>)?)(?:\((?P<unit>[^()]+)\))?(?P<mark> secret| access-key-id)?")
_TIMESTAMP_UNITS = {"", "s", "ms"}
_IN_ZONE = "in "
_MAP = re.compile(r"map<([a-z]+)>")
# A word begins at a capital after a small letter or digit, and at the last capital before a small letter. The `s` of a
# plural doesn't count as one: `availableAZs` ends in one word.
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z](?:[a-rt-z]|s[a-z]))")


def __getattr__(name: str) -> Any:
    """Load `TIMESTAMP`, the Arrow type of every instant, on first use: reading the tree doesn't need Arrow."""
    if name != "TIMESTAMP":
        raise AttributeError(f"module 'crawler.catalog.columns' has no attribute {name!r}")
    return _scalar_types()["timestamp"]


@cache
def _scalar_types() -> Mapping[str, pa.DataType]:
    import pyarrow as pa

    return {
        "string": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "json": pa.string(),
    }


def snake_case(wire: str) -> str:
    """Return the column name of a wire name: `customDNS` → `custom_dns`, `vSwitchId` → `v_switch_id`."""
    return re.sub(r"[^a-z0-9]+", "_", _WORD.sub("_", wire).lower())


@dataclass(frozen=True, slots=True)
class Column:
    """One node of the tree. `children` are a struct's fields, or the one item type of a list or map.

    `is_embedded`: the API sends JSON text inside a string; kind and children describe that text. `zone`: the wire name
    of the field beside a timestamp that names the time zone of its local times. `is_key_id`: an access key ID.
    """

    wire: str
    name: str
    kind: Kind
    unit: str = ""
    secret: bool = False
    children: tuple[Column, ...] = ()
    description: str = ""
    is_embedded: bool = False
    zone: str = ""
    is_key_id: bool = False

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type. A secret scalar is a string, whatever its wire type: its fingerprint is stored."""
        import pyarrow as pa

        match self.kind:
            case "struct":
                return pa.struct([child.arrow_field for child in self.children])
            case "list":
                return pa.list_(self.children[0].arrow_type)
            case "map":
                return pa.map_(pa.string(), self.children[0].arrow_type)
            case scalar:
                return pa.string() if self.secret else _scalar_types()[scalar]

    @property
    def arrow_field(self) -> pa.Field:
        """The Arrow field, nullable, with wire name, unit, secrecy and description as metadata."""
        import pyarrow as pa

        metadata = {
            "wire": self.wire,
            "unit": self.unit,
            "secret": "true" if self.is_all_secret else "",
            "embedded": "json" if self.is_embedded else "",
            "description": self.description,
        }
        return pa.field(self.name, self.arrow_type, metadata={k: v for k, v in metadata.items() if v} or None)

    @property
    def is_all_secret(self) -> bool:
        """Whether the value is secret, or each item of it. Items have no field of their own in a schema."""
        return self.secret or (self.kind in {"list", "map"} and self.children[0].is_all_secret)

    @property
    def has_secret(self) -> bool:
        """Whether this node or any below it is secret."""
        return self.secret or any(child.has_secret for child in self.children)

    @property
    def type_text(self) -> str:
        """Display text: `list<struct>`, `map<string>`, `integer(MB)`, `string secret`, `struct in JSON text`."""
        text: str = self.kind
        if self.kind in {"list", "map"}:
            text = f"{self.kind}<{self.children[0].type_text}>"
        if self.is_embedded:
            text += " in JSON text"
        unit = f"{_IN_ZONE}{self.zone}" if self.zone else self.unit
        mark = " secret" if self.secret else " access-key-id" if self.is_key_id else ""
        return text + (f"({unit})" if unit else "") + mark


def build_columns(
    tree: object, descriptions: Mapping[str, str], embedded: Collection[str] = (), *, where: str
) -> tuple[Column, ...]:
    """Return the columns of a schema file's `[columns]` table, in its order.

    `descriptions` maps wire paths (`vpcConfig.vpcId`, `layers[].arn`) to a line of text. `embedded` names the paths
    whose values are JSON text inside a string. Raises CatalogError for an unknown type, two wire names with one column
    name, or a path without a column.
    """
    builder = _Builder(descriptions, embedded, where)
    columns = builder.struct_fields(tree, "")
    for key, unused in (("[descriptions]", builder.undescribed), ("[operation] embedded", builder.unembedded)):
        if unused:
            raise CatalogError(f"{where}: {key} names {min(unused)!r}, which is not a column of the file.")
    return columns


class _Builder:
    """Builds one file's tree. `undescribed` and `unembedded` are the paths without a column so far."""

    def __init__(self, descriptions: Mapping[str, str], embedded: Collection[str], where: str) -> None:
        self.undescribed = set(descriptions)
        self.unembedded = set(embedded)
        self._descriptions = descriptions
        self._embedded = frozenset(embedded)
        self._where = where

    def struct_fields(self, tree: object, path: str) -> tuple[Column, ...]:
        """Return the fields of a TOML table."""
        if not isinstance(tree, dict) or not tree:
            raise CatalogError(
                f"{self._where}: {path or 'columns'} must be a table of wire names and types, and not empty."
            )
        fields: dict[str, Column] = {}
        for wire, node in tree.items():
            column = self._column(wire, node, f"{path}.{wire}" if path else wire)
            self._check_name(column, fields, path or "columns")
            fields[column.name] = column
        zones = {column.wire for column in fields.values() if column.kind == "string"}
        for column in fields.values():
            if column.zone and column.zone not in zones:
                raise CatalogError(
                    f"{self._where}: {path or 'columns'}.{column.wire} names {column.zone!r} as its time zone, which "
                    "is not a string beside it."
                )
        return tuple(fields.values())

    def _check_name(self, column: Column, fields: Mapping[str, Column], path: str) -> None:
        if not re.search("[a-z0-9]", column.name):
            raise CatalogError(f"{self._where}: {column.wire!r} under {path} has no letter for a column's name.")
        if other := fields.get(column.name):
            raise CatalogError(
                f"{self._where}: {other.wire!r} and {column.wire!r} under {path} are both {column.name!r}."
            )

    def _column(self, wire: str, node: object, path: str) -> Column:
        column = self._node(wire, node, path)
        self.undescribed.discard(path)
        self.unembedded.discard(path)
        description, is_embedded = self._descriptions.get(path, ""), path in self._embedded
        if not description and not is_embedded:
            return column
        return replace(column, description=description, is_embedded=is_embedded)

    def _node(self, wire: str, node: object, path: str) -> Column:
        name = snake_case(wire)
        if isinstance(node, dict):
            if set(node) == {"*"}:
                values = self._column("", node["*"], f"{path}.*")
                return Column(wire, name, "map", children=(replace(values, name="value"),))
            return Column(wire, name, "struct", children=self.struct_fields(node, path))
        if isinstance(node, list):
            if len(node) != 1:
                raise CatalogError(
                    f"{self._where}: {path} is a list and must hold exactly one item, the type of its items."
                )
            return Column(wire, name, "list", children=(self._column("", node[0], f"{path}[]"),))
        return self._typed(wire, name, node, path)

    def _typed(self, wire: str, name: str, node: object, path: str) -> Column:
        match = _TYPE.fullmatch(node) if isinstance(node, str) else None
        if match is None:
            raise CatalogError(f"{self._where}: {path} has the type {node!r}; write TYPE, TYPE(unit) or TYPE secret.")
        text, unit, secret = match["type"], match["unit"] or "", match["mark"] == " secret"
        if match["mark"] == " access-key-id":
            if text != "string" or unit:
                raise CatalogError(f"{self._where}: {path} has the type {node!r}; an access key ID is a string.")
            return Column(wire, name, "string", is_key_id=True)
        inner = _MAP.fullmatch(text)
        if text == "timestamp" and unit.startswith(_IN_ZONE):
            return Column(wire, name, "timestamp", secret=secret, zone=unit.removeprefix(_IN_ZONE))
        if text == "timestamp" and unit not in _TIMESTAMP_UNITS:
            raise CatalogError(
                f"{self._where}: {path} has the unit {unit!r}; a timestamp's is s, ms, none, or `in FIELD` for a field "
                "beside it with the time zone."
            )
        if inner and inner[1] in _SCALARS:
            item = Column("", "value", cast("Kind", inner[1]), unit, secret)
            return Column(wire, name, "map", children=(item,))
        if text not in _SCALARS:
            raise CatalogError(
                f"{self._where}: {path} has the unknown type {text!r}, not one of {', '.join(_SCALARS)}, map<TYPE>."
            )
        return Column(wire, name, cast("Kind", text), unit, secret)
