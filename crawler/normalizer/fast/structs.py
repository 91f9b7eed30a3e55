"""The msgspec Structs of an operation's records, and the trails from a record to the values in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Optional, Union

import msgspec

from crawler.catalog.columns import Column
from crawler.normalizer.extra import join, path_name
from crawler.normalizer.fast.variants import Path, SchemaVariant

INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# The last second and the last millisecond of the year 9999.
_SECONDS = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
_MILLISECONDS = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
_EPOCHS = {"s": _SECONDS, "ms": _MILLISECONDS, "": _MILLISECONDS}
_SCALARS: dict[str, Any] = {"string": str, "integer": INT64, "boolean": bool}


@dataclass(frozen=True, slots=True)
class Step:
    """One step down: into a field by its attribute (`name` is the wire name), or to all items or values of a node."""

    kind: str
    attribute: str = ""
    name: str = ""
    get: Callable[[Any], Any] = repr  # for a field: gets its value from the node

    @classmethod
    def field(cls, attribute: str, name: str) -> Step:
        """Return the step into a field."""
        return cls("field", attribute, name, attrgetter(attribute))

    def down(self, nodes: Sequence[Any]) -> list[Any]:
        """Return the values one step below these nodes, without null, absent and empty ones."""
        if self.kind == "field":
            get = self.get
            return [found for node in nodes if (found := get(node))]
        if self.kind == "items":
            return [found for node in nodes for found in node if found]
        return [found for node in nodes for found in node.values() if found]


Trail = tuple[Step, ...]
Check = Callable[[Sequence[Any]], bool]


@dataclass(frozen=True, slots=True)
class Watched:
    """A location whose values need another check: timestamps, numbers, JSON in text."""

    trail: Trail
    column: Column

    def values(self, records: Sequence[Any]) -> Sequence[Any]:
        """Return all its values in no particular order, without nulls and empty texts."""
        for step in self.trail:
            records = step.down(records)
        return records


@dataclass(frozen=True, slots=True)
class Learned:
    """An unknown field that the gate accepts as it is. The trail ends with the field's own step."""

    trail: Trail

    @property
    def pattern(self) -> str:
        """The path, with `[]` for any item and `*` for any value."""
        general = {"items": "[]", "values": "*"}
        return _joined([general.get(step.kind) or path_name(step.name) for step in self.trail])

    def found(self, record: Any) -> Iterator[tuple[str, Any, str]]:
        """Yield the locations of the field in a record: exact path, object and attribute."""
        yield from _locations(record, self.trail, [])


def _locations(node: Any, trail: Trail, steps: list[str]) -> Iterator[tuple[str, Any, str]]:
    step, below = trail[0], trail[1:]
    if step.kind == "field":
        value = getattr(node, step.attribute)
        if not below:
            if value is not msgspec.UNSET:
                yield _joined([*steps, path_name(step.name)]), node, step.attribute
            return
        inner = [(path_name(step.name), value)]
    elif step.kind == "items":
        inner = [(f"[{index}]", value) for index, value in enumerate(node)]
    else:
        inner = [(path_name(name), value) for name, value in node.items()]
    for name, value in inner:
        if value:
            yield from _locations(value, below, [*steps, name])


def _joined(steps: Sequence[str]) -> str:
    path = ""
    for step in reversed(steps):
        path = join(step, path)
    return path


class StructTree:
    """Makes the Structs of one variant, and collects the locations to check (`watched`) and accepted (`learned`) ones.

    Fields are sorted by name, so that the JSON of a record doesn't depend on the order received. `names` has the
    attributes of a record by wire name.
    """

    def __init__(self, variant: SchemaVariant) -> None:
        self.names: dict[str, str] = {}
        self.watched: list[Watched] = []
        self.learned: list[Learned] = []
        self._variant = variant
        self._count = 0

    def record(self, columns: Sequence[Column]) -> type[Any]:
        """Return the Struct of a record."""
        return self._struct(columns, (), ())

    def embedded(self, column: Column) -> Any:
        """Return the type of the content of an embedded column."""
        return optional(self._value(column, (), ()))

    def define(self, fields: Mapping[str, Any]) -> type[Any]:
        """Return a Struct with these fields by wire name, all optional, and no others."""
        self._count += 1
        names = attributes(fields)
        ordered = [(names[name], fields[name], msgspec.UNSET) for name in names]
        rename = {attribute: name for name, attribute in names.items()}
        return msgspec.defstruct(
            f"Node{self._count}", ordered, rename=rename, forbid_unknown_fields=True, gc=False, kw_only=True
        )

    def _struct(self, columns: Sequence[Column], path: Path, trail: Trail) -> type[Any]:
        spelled = {self._variant.spelled((*path, column.wire), column): column for column in columns}
        unknown = self._variant.unknown_below(path)
        names = attributes([*spelled, *unknown])
        if not trail:
            self.names = names
        fields: dict[str, Any] = dict.fromkeys(unknown, msgspec.Raw)
        self.learned += [Learned((*trail, Step.field(names[name], name))) for name in unknown]
        for name, column in spelled.items():
            kind = self._value(column, (*path, column.wire), (*trail, Step.field(names[name], name)))
            fields[name] = kind if kind is msgspec.Raw else Union[kind, None, msgspec.UnsetType]  # noqa: UP007
        return self.define(fields)

    def _value(self, column: Column, path: Path, trail: Trail) -> Any:
        if column.is_embedded:
            self.watched.append(Watched(trail, column))
            return str
        match column.kind:
            case "struct":
                return self._struct(column.children, path, trail)
            case "list":
                inner = self._value(column.children[0], (*path, "[]"), (*trail, Step("items")))
                return list[optional(inner)]  # type: ignore[misc]
            case "map":
                inner = self._value(column.children[0], (*path, "[]"), (*trail, Step("values")))
                return dict[str, optional(inner)]  # type: ignore[misc]
            case _:
                return self._scalar(column, path, trail)

    def _scalar(self, column: Column, path: Path, trail: Trail) -> Any:
        if column.kind in _SCALARS:
            return _SCALARS[column.kind]
        if column.kind == "json" or column.secret:  # kept as received text, which no Arrow column can give
            return None
        if column.kind == "timestamp" and path in self._variant.numeric:
            return _EPOCHS[column.unit]
        self.watched.append(Watched(trail, column))
        return str if column.kind == "timestamp" else msgspec.Raw


def attributes(names: Mapping[str, Any] | Sequence[str]) -> dict[str, str]:
    """Return the attribute of each wire name in a Struct, sorted by the bytes of the names."""
    return {name: f"f{index}" for index, name in enumerate(sorted(names, key=str.encode))}


def optional(kind: Any) -> Any:
    """Return the type or null. `Raw` covers both."""
    return kind if kind is msgspec.Raw else Optional[kind]  # noqa: UP045
