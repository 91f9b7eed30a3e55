"""Values as received → values as declared, one compiled function per column.

Whatever the schema doesn't know, or knows with another type, is reported to a `Drift` with its path; the value in
the column is then null. Nothing is rounded and nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from crawler import timestamps
from crawler.columns import Column
from crawler.redaction import Redaction
from crawler.wire_json import InvalidJsonError, WireFloat, has_repeated, is_encodable, to_text

_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1


@dataclass(slots=True)
class Entry:
    """A node that stays out of its column: `path` is exact (`layers[2].size`), `pattern` general (`layers[].size`)."""

    path: str
    pattern: str
    value: Any
    is_unknown: bool


@dataclass(slots=True)
class Drift:
    """What one record had beside the schema, and how many values were read from another type without loss."""

    entries: list[Entry] = field(default_factory=list)
    coerced: int = 0

    def prefix(self, start: int, path: str, pattern: str) -> None:
        """Put a parent's name before the entries from `start` on."""
        for entry in self.entries[start:]:
            entry.path = _join(path, entry.path)
            entry.pattern = _join(pattern, entry.pattern)


Convert = Callable[[Any, Drift], Any]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a field of an object goes. Values of exactly the type `fits` need no reading: they are as declared."""

    name: str
    convert: Convert
    misfit: Convert
    fits: type | None


def path_name(name: str) -> str:
    """A wire name as a step of a path: quoted where it holds a dot, a bracket or nothing, or isn't text in UTF-8."""
    is_plain = name and name != "$" and not any(c in name for c in '.[]"') and is_encodable(name)
    return name if is_plain else json.dumps(name)


def _join(name: str, rest: str) -> str:
    return name + rest if not rest or rest.startswith("[") else f"{name}.{rest}"


def swap_case(name: str) -> str:
    """The name with its first letter in the other case: the documentation shows both."""
    return name[:1].swapcase() + name[1:]


def find(value: dict[str, Any], name: str) -> str | None:
    """The key under which a JSON object has this name, in either case of its first letter; None where it hasn't."""
    return next((key for key in (name, swap_case(name)) if key in value), None)


class Compiler:
    """Makes the functions for one way with secrets. `careful` also looks into every text (see `needs_care`)."""

    def __init__(self, redaction: Redaction, *, careful: bool) -> None:
        self._redaction = redaction
        self._careful = careful

    def convert(self, column: Column) -> Convert:
        """The function for a column and everything below it."""
        match column.kind:
            case "struct":
                return self.struct({child.wire: child for child in column.children}, misfit=self._misfit(column))
            case "list":
                return self._list(column)
            case "map":
                return self._map(column)
            case _:
                return self._secret(column) if column.secret else self._scalar(column)

    def struct(
        self, columns: dict[str, Column], *, misfit: Convert, names: dict[str, str] | None = None
    ) -> Callable[[Any, Drift], dict[str, Any] | None]:
        """The function for an object with these fields, by wire name; `names` overrides the columns' own."""
        known = {wire: self._target(column, (names or {}).get(wire)) for wire, column in columns.items()}
        by_wire = {swap_case(wire): target for wire, target in known.items()} | known
        unknown = self._redaction.unknown

        def convert(value: Any, drift: Drift) -> dict[str, Any] | None:
            if type(value) is not dict:
                misfit(value, drift)
                return None
            row: dict[str, Any] = {}
            for wire, item in value.items():
                target = by_wire.get(wire)
                if target is None:
                    step = path_name(wire)
                    drift.entries.append(Entry(step, step, unknown(item), is_unknown=True))
                elif item is not None:
                    name = target.name
                    if type(item) is target.fits and name not in row:
                        row[name] = item
                        continue
                    start = len(drift.entries)
                    if row.get(name) is None:
                        row[name] = target.convert(item, drift)
                    else:  # the same field in both cases of its first letter
                        target.misfit(item, drift)
                    if len(drift.entries) > start:
                        step = path_name(wire)
                        drift.prefix(start, step, step)
            return row

        return convert

    def _target(self, column: Column, name: str | None) -> _Target:
        fits: type | None = None
        if not column.secret:
            fits = {"string": None if self._careful else str, "boolean": bool}.get(column.kind)
        return _Target(name or column.name, self.convert(column), self._misfit(column), fits)

    def _list(self, column: Column) -> Convert:
        item, misfit = self.convert(column.children[0]), self._misfit(column)

        def convert(value: Any, drift: Drift) -> Any:
            if type(value) is not list:
                return misfit(value, drift)
            row = []
            for index, element in enumerate(value):
                start = len(drift.entries)
                row.append(None if element is None else item(element, drift))
                if len(drift.entries) > start:
                    drift.prefix(start, f"[{index}]", "[]")
            return row

        return convert

    def _map(self, column: Column) -> Convert:
        item, misfit, careful = self.convert(column.children[0]), self._misfit(column), self._careful

        def convert(value: Any, drift: Drift) -> Any:
            if type(value) is not dict or (careful and not all(map(is_encodable, value))):
                return misfit(value, drift)
            row = []
            for name, element in value.items():
                start = len(drift.entries)
                row.append((name, None if element is None else item(element, drift)))
                if len(drift.entries) > start:
                    drift.prefix(start, path_name(name), "*")
            return row

        return convert

    def _misfit(self, column: Column) -> Convert:
        keep = self._redaction.secret_node if column.has_secret else self._redaction.guarded_tree

        def misfit(value: Any, drift: Drift) -> None:
            if value is not None:
                drift.entries.append(Entry("", "", keep(value), is_unknown=False))

        return misfit

    def _secret(self, column: Column) -> Convert:
        """A secret is read as any value, to see whether it fits; what is written is what stands for it."""
        misfit, redaction = self._misfit(column), self._redaction
        if column.kind == "json":
            return partial(_json, misfit, redaction.secret_tree)
        read = _reader(column, misfit)

        def convert(value: Any, drift: Drift) -> Any:
            if read(value, drift) is None and value != "":
                return None
            if redaction.mode == "keep" and isinstance(value, str) and not is_encodable(value):
                return misfit(value, drift)
            return redaction.secret(value)

        return convert

    def _scalar(self, column: Column) -> Convert:
        misfit = self._misfit(column)
        if column.kind == "json":
            return partial(_json, misfit, self._redaction.guarded_tree if self._careful else None)
        if column.kind == "string" and self._careful:
            return self._careful_string(misfit)
        return _reader(column, misfit)

    def _careful_string(self, misfit: Convert) -> Convert:
        guarded = self._redaction.guarded

        def convert(value: Any, drift: Drift) -> Any:
            if isinstance(value, str) and not is_encodable(value):
                return misfit(value, drift)
            return _string(misfit, guarded(value), drift)

        return convert


def _reader(column: Column, misfit: Convert) -> Convert:
    if column.kind == "timestamp":
        return partial(_timestamp, misfit, column.unit)
    return partial(_READERS[column.kind], misfit)


def _string(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is str:
        return value
    if type(value) is int or type(value) is WireFloat:
        drift.coerced += 1
        return to_text(value)
    return misfit(value, drift)


def _integer(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is int:
        return value if _MIN_INT64 <= value <= _MAX_INT64 else misfit(value, drift)
    number = None
    if type(value) is str and _INTEGER.fullmatch(value):
        number = int(value)
    elif type(value) is WireFloat and abs(value) < 2.0**64:  # int(Decimal("1e999999999")) would never end
        exact = _decimal(value)
        number = int(exact) if exact is not None and exact == exact.to_integral_value() else None
    if number is None or not _MIN_INT64 <= number <= _MAX_INT64:
        return misfit(value, drift)
    drift.coerced += 1
    return number


def _decimal(value: WireFloat) -> Decimal | None:
    """The number exactly; None where its exponent is beyond what can be (18 digits)."""
    try:
        return Decimal(value.literal)
    except InvalidOperation:
        return None


def _number(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is WireFloat:
        shortest = repr(float(value))
        is_exact = shortest == value.literal or (abs(value) < float("inf") and Decimal(shortest) == _decimal(value))
        return float(value) if is_exact else misfit(value, drift)
    if type(value) is int and abs(value) <= _MAX_INT64 and int(float(value)) == value:
        return float(value)
    return misfit(value, drift)


def _boolean(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is bool:
        return value
    if type(value) is str and value in {"true", "false"}:
        drift.coerced += 1
        return value == "true"
    return misfit(value, drift)


def _timestamp(misfit: Convert, unit: str, value: Any, drift: Drift) -> Any:
    found: tuple[int | None, bool] | None = None
    if type(value) is str:
        found = timestamps.from_text(value, unit)
    elif type(value) is int and abs(value) < 10**18:
        found = timestamps.from_number(Decimal(value), unit)
    elif type(value) is WireFloat and abs(value) < 1e18 and (exact := _decimal(value)) is not None:
        found = timestamps.from_number(exact, unit)
    if found is None:
        return misfit(value, drift)
    drift.coerced += found[1]
    return found[0]


def _json(misfit: Convert, change: Callable[[Any], Any] | None, value: Any, drift: Drift) -> Any:
    """The JSON text of a value, after `change`, which makes a name that an object has twice look like a list."""
    if change is not None and has_repeated(value):
        return misfit(value, drift)
    try:
        return to_text(change(value) if change else value)
    except InvalidJsonError:
        return misfit(value, drift)


_READERS: dict[str, Callable[[Convert, Any, Drift], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
