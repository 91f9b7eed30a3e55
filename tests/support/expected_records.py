"""Compares the crawler's rows with the records of the cloud, field by field, without reading `schemas/`.

A record's field must be in the column of its wire name in snake case: with the same value, as the same instant, as the
JSON in its text, or, for a secret, as its fingerprint. The paths in `_extra` are returned, so that a test can state
which of them it expects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crawler.catalog.columns import snake_case
from crawler.normalizer.redaction import Redaction

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIXED = ("account_id", "region_id", "snapshot_id", "fetched_at", "_extra", "details_status")
ZONES = {"Asia/Shanghai": "+08:00"}
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)")


class DifferentError(AssertionError):
    """A value isn't where it should be; the message has the path."""


class Comparison:
    """Compares one table's rows with records. `redaction` makes a text's fingerprint, `is_secret` knows the markers."""

    def __init__(self, redaction: Redaction, is_secret: Callable[[str], bool]) -> None:
        self._redaction = redaction
        self._hidden = redaction.fingerprint
        self._is_secret = is_secret
        self.in_extra: dict[str, int] = {}

    def check(self, record: Any, row: Mapping[str, Any], parameters: Iterable[str]) -> None:
        """Raise DifferentError if the row isn't the record; count the general paths in `_extra`."""
        self._hidden = self._redaction.for_account(row["account_id"]).fingerprint
        extra = json.loads(row["_extra"]) if row["_extra"] else {}
        taken: set[str] = set()
        if not isinstance(record, dict) or self._is_item(record, row, parameters):
            self._check_item(record, row, extra, parameters)
            return
        for wire, value in record.items():
            name = snake_case(wire)
            name = f"record_{name}" if name in FIXED else name
            taken.add(name)
            if name in row:
                self._value(value, row[name], extra, wire)
            else:
                self._kept(value, extra, wire)
        for name, cell in row.items():
            if name not in taken and name not in FIXED and name not in parameters and cell is not None:
                raise DifferentError(f"{name}: the row has {cell!r}, the record nothing")
        if extra:
            raise DifferentError(f"_extra has {sorted(extra)}, which the record hasn't")

    def _is_item(self, record: dict[str, Any], row: Mapping[str, Any], parameters: Iterable[str]) -> bool:
        """Whether an object without declared fields is in the only column."""
        columns = [name for name in row if name not in FIXED and name not in parameters]
        return len(columns) == 1 and not any(snake_case(wire) in row for wire in record)

    def _check_item(
        self, record: Any, row: Mapping[str, Any], extra: dict[str, Any], parameters: Iterable[str]
    ) -> None:
        columns = [name for name in row if name not in FIXED and name not in parameters]
        if extra:
            if len(extra) > 1 or any(row[name] is not None for name in columns):
                raise DifferentError(f"the row has {extra!r} in addition to its columns, the record is {record!r}")
            [path] = extra
            self._kept(record, extra, path)
            return
        [column] = columns
        self._value(record, row[column], extra, column)

    def _value(self, value: Any, cell: Any, extra: dict[str, Any], path: str) -> None:
        if value is None:
            if cell is not None:
                raise DifferentError(f"{path}: {cell!r} in place of null")
        elif path_in(extra, path):
            if cell is not None:
                raise DifferentError(f"{path}: in its column and in _extra as well")
            self._kept(value, extra, path)
        elif isinstance(value, dict):
            self._object(value, cell, extra, path)
        elif isinstance(value, list):
            self._list(value, cell, extra, path)
        else:
            self._scalar(value, cell, extra, path)

    def _object(self, value: dict[str, Any], cell: Any, extra: dict[str, Any], path: str) -> None:
        if isinstance(cell, str):
            self._json(value, json.loads(cell), path)
            return
        if not isinstance(cell, dict):
            raise DifferentError(f"{path}: {cell!r} in place of an object")
        taken = set()
        if value.get("timeZone") in ZONES:
            offset = ZONES[value["timeZone"]]
            value = {
                wire: f"{item}{offset}" if isinstance(item, str) and _LOCAL.fullmatch(item) else item
                for wire, item in value.items()
            }
        for wire, item in value.items():
            name = wire if wire in cell else snake_case(wire)
            taken.add(name)
            if name in cell:
                self._value(item, cell[name], extra, f"{path}.{step(wire)}")
            else:
                self._kept(item, extra, f"{path}.{step(wire)}")
        if odd := [name for name, item in cell.items() if name not in taken and item is not None]:
            raise DifferentError(f"{path}: the row has {odd}, the record hasn't")

    def _list(self, value: list[Any], cell: Any, extra: dict[str, Any], path: str) -> None:
        if isinstance(cell, str):
            self._json(value, json.loads(cell), path)
            return
        if not isinstance(cell, list) or len(cell) != len(value):
            raise DifferentError(f"{path}: {cell!r} in place of {len(value)} items")
        for index, (item, found) in enumerate(zip(value, cell, strict=True)):
            self._value(item, found, extra, f"{path}[{index}]")

    def _scalar(self, value: Any, cell: Any, extra: dict[str, Any], path: str) -> None:
        if value is None and cell is None:
            return
        if isinstance(value, str) and isinstance(cell, dict | list):
            self._value(json.loads(value), cell, extra, path)  # JSON in a string
        elif isinstance(value, str) and self._is_secret(value):
            if cell not in (self._hidden(value), json.dumps(self._hidden(value))) and not self._is_hidden_json(
                value, cell
            ):
                raise DifferentError(f"{path}: {cell!r} is not the fingerprint of a secret")
        elif not is_same(value, cell) and not self._is_json_of(value, cell):
            text = value if isinstance(value, str) else json.dumps(value)
            if cell not in (self._hidden(text), json.dumps(self._hidden(text))):
                raise DifferentError(f"{path}: {cell!r} in place of {value!r}")

    def _is_json_of(self, value: Any, cell: Any) -> bool:
        """Whether a cell of JSON text has the value; JSON in a string is equal without its white space."""
        if not isinstance(cell, str):
            return False
        try:
            found = json.loads(cell)
            return bool(found == value or (isinstance(value, str) and found == json.loads(value)))
        except ValueError:
            return False

    def _is_hidden_json(self, value: str, cell: Any) -> bool:
        """Whether a cell has a secret of JSON in a string: the same JSON with fingerprints as leaves."""
        try:
            self._json(json.loads(value), json.loads(cell), "")
        except (ValueError, TypeError, DifferentError):
            return False
        return True

    def _json(self, value: Any, found: Any, path: str) -> None:
        """Whether JSON text is the same except for fingerprints."""
        if isinstance(value, dict) and isinstance(found, dict) and value.keys() == found.keys():
            for wire, item in value.items():
                self._json(item, found[wire], f"{path}.{wire}")
        elif isinstance(value, list) and isinstance(found, list) and len(value) == len(found):
            for index, (item, other) in enumerate(zip(value, found, strict=True)):
                self._json(item, other, f"{path}[{index}]")
        else:
            self._scalar(value, found, {}, path)

    def _kept(self, value: Any, extra: dict[str, Any], path: str) -> None:
        """Whether `_extra` has the value, unchanged or as fingerprints."""
        if path not in extra:
            below = {name: kept for name, kept in extra.items() if name.startswith((f"{path}.", f"{path}["))}
            if value is not None and not below:
                raise DifferentError(f"{path}: neither in a column nor in _extra: {value!r}")
            return
        kept = extra.pop(path)
        self._count(re.sub(r"\[\d+\]", "[]", path))
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if kept not in (value, self._hidden(text)):
            self._json(value, kept, path)

    def _count(self, path: str) -> None:
        self.in_extra[path] = self.in_extra.get(path, 0) + 1


def path_in(extra: Mapping[str, Any], path: str) -> bool:
    return path in extra


def step(wire: str) -> str:
    return wire if wire and not any(character in wire for character in '.[]"') else json.dumps(wire)


def is_same(value: Any, cell: Any) -> bool:
    """Whether a cell is a scalar, read by the rules that the documentation of the tables states."""
    if isinstance(cell, datetime):
        return moment(value) == cell
    if cell is None:
        return value in ("", 0)  # a missing instant
    if isinstance(cell, bool) or isinstance(value, bool):
        return cell is value or value == json.dumps(cell)
    if isinstance(cell, str) and not isinstance(value, str):
        return cell == json.dumps(value)
    if isinstance(value, str) and isinstance(cell, int | float):
        return value == str(cell)
    return bool(value == cell)


def moment(value: Any) -> datetime | None:
    """Parse an instant of the wire format: ISO 8601 with a zone, or seconds or milliseconds since 1970."""
    text = str(value).strip()
    if match := _ISO.fullmatch(text):
        day, time, seconds, fraction, zone = match.groups()
        zone = "+00:00" if zone == "Z" else zone
        zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
        return datetime.fromisoformat(f"{day}T{time}{seconds or ':00'}{(fraction or '.0')[:7].ljust(7, '0')}{zone}")
    if text.isdigit():
        number = int(text)
        return EPOCH + timedelta(milliseconds=number if number >= 10**11 else number * 1000)
    return None
