"""Plants markers in a cloud: in all fields that a schema marks as secret, and wherever the service may add one.

In the first record of each list all secrets are in their fields, with unknown fields at every depth. In the second one,
the fields of secrets have other types. In the third one, names have another case, and JSON is nested, doubled or
broken.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from typing import Any

from crawler.catalog.columns import Column
from crawler.catalog.model import Operation
from crawler.emulator import Cloud

KEPT = 3
_NEVER = re.compile(r"PRIVATE KEY|Signature=|security-token=", re.IGNORECASE)
_MARKER = re.compile("canary[0-9a-f]{24}")


class Planter:
    """Makes markers. `never` are those that must never be stored: in private keys and in signed URLs."""

    def __init__(self, seed: int = 0) -> None:
        self._dice = random.Random(seed)
        self.planted: set[str] = set()
        self.never: set[str] = set()

    def marker(self) -> str:
        marker = f"canary{self._dice.getrandbits(96):024x}"
        self.planted.add(marker)
        return marker

    def key(self) -> str:
        marker = self.marker()
        self.never.add(marker)
        return f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{marker}\n-----END RSA PRIVATE KEY-----\n"

    def url(self) -> str:
        first, second = self.marker(), self.marker()
        self.never |= {first, second}
        return f"https://bucket.oss-cn-hangzhou.aliyuncs.com/a?Expires=1&Signature={first}%3D&security-token={second}"

    # --- values of columns ---

    def secret(self, column: Column) -> Any:
        """Return a value of the column's type, with a marker in each place that may have a secret."""
        value = self._value(column)
        return json.dumps(value) if column.is_embedded else value

    def _value(self, column: Column) -> Any:
        match column.kind:
            case "struct":
                inner = {child.wire: self.secret(child) for child in column.children if child.has_secret}
                return {**inner, **self.unknown()}
            case "list":
                return [self.secret(column.children[0]), self.secret(column.children[0])]
            case "map":
                child = column.children[0]
                return {"NAME": self.secret(child), "KEY": self.key(), "URL": self.url()}
            case "json":
                return {"deep": [{"er": self.marker()}], "key": self.key(), "number": 7}
            case _:
                return self.marker()

    def unknown(self) -> dict[str, Any]:
        """Return unknown fields: text, a tree, JSON in a string and twice so, a private key."""
        tree = {"a": [{"b": self.marker()}, [self.marker()]], "n": 5}
        return {
            "brandNewField": self.marker(),
            "brandNewTree": tree,
            "brandNewJson": json.dumps({"password": self.marker(), "in": json.dumps([self.marker()])}),
            "brandNewKey": self.key(),
        }

    # --- records ---

    def whole(self, operation: Operation, record: Any) -> Any:
        """Return a record with all secrets in their fields, and unknown fields in all declared objects."""
        planted = self._with_unknown(operation.columns, record)
        for column in operation.columns:
            if column.has_secret:
                planted[column.wire] = self._merged(planted.get(column.wire), self.secret(column))
        return planted

    def _with_unknown(self, columns: tuple[Column, ...], record: dict[str, Any]) -> dict[str, Any]:
        planted = dict(record)
        for column in columns:
            inner = planted.get(column.wire)
            if column.kind == "struct" and isinstance(inner, dict):
                planted[column.wire] = self._with_unknown(column.children, inner)
            elif column.kind == "list" and column.children[0].kind == "struct" and isinstance(inner, list):
                items = [item for item in inner if isinstance(item, dict)]
                planted[column.wire] = [self._with_unknown(column.children[0].children, item) for item in items]
        return {**planted, **self.unknown()}

    def _merged(self, old: Any, new: Any) -> Any:
        if isinstance(old, dict) and isinstance(new, dict):
            return {**old, **{name: self._merged(old.get(name), value) for name, value in new.items()}}
        return new

    def wrong(self, operation: Operation, record: Any) -> Any:
        """Return a record with other types instead of secrets, and a key and a signed URL in plain text."""
        planted = {**record}
        for column in operation.columns:
            if column.has_secret and operation.column_names[column.wire] not in operation.key:
                value = self._value(column)
                planted[column.wire] = [{"x": [self.marker(), 5]}] if isinstance(value, dict | str) else self.marker()
            elif column.wire == "description":
                planted[column.wire] = self.key() + self.url()
        return planted

    def odd(self, operation: Operation, record: Any, number: int) -> Any:
        """Return a record with names in other cases, and JSON that is doubled, broken, or a list."""
        planted = {**record}
        for column in operation.columns:
            if not column.has_secret:
                continue
            value = self._value(column)
            other = column.wire[:1].swapcase() + column.wire[1:]
            planted[column.wire.upper() + "_"] = self._value(column)
            planted[other] = self._value(column)
            if column.is_embedded:
                choices = (
                    json.dumps(json.dumps(value)),
                    json.dumps(value)[:-1],
                    json.dumps([value]),
                    json.dumps({name.swapcase(): inner for name, inner in value.items()}),
                    f"password={self.marker()}",
                )
                del planted[other]
                planted[column.wire] = choices[number % len(choices)]
        return planted


def plant(cloud: Cloud, where: tuple[str, str], operations: dict[str, Operation], planter: Planter) -> None:
    """Keep the first records of each list of an account in a region, and plant in them; the emulator's markers stay.

    Lists of IDs and of objects without declared fields have no unknown fields.
    """
    numbers, place = itertools.count(), cloud.place(*where)
    for text in _leaves(place.lists):
        markers = set(_MARKER.findall(text))
        planter.planted |= markers
        if _NEVER.search(text):
            planter.never |= markers
    for operation in sorted(operations.values(), key=lambda operation: len(operation.parameters)):
        name = f"{operation.product}.{operation.action}"
        for parent, records in list(place.lists.get(name, {}).items()):
            kept = records[:KEPT]
            planted = kept if operation.item else _planted(planter, operation, kept, numbers)
            cloud.edit(*where, name, planted, parent)


def _planted(planter: Planter, operation: Operation, records: list[Any], numbers: Any) -> list[Any]:
    if not all(isinstance(record, dict) for record in records):
        return records
    kinds = [
        lambda record: planter.whole(operation, record),
        lambda record: planter.wrong(operation, record),
        lambda record: planter.odd(operation, record, next(numbers)),
    ]
    return [kind(record) for kind, record in zip(kinds, records, strict=False)]


def _leaves(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
