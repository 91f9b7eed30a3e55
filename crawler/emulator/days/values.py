"""Makes a record of another day: with one changed field, or a copy with a new name."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson

from crawler.emulator.apis.operation import EmulatedOperation
from crawler.emulator.data import seeded
from crawler.emulator.data.ram_policies import widened
from crawler.emulator.data.seeded import SeededRandom, epoch_s, iso_offset, iso_z
from crawler.emulator.days.rules import DESCRIPTIONS, FIELDS, NAMED
from crawler.emulator.keyring import ALPHABET
from crawler.emulator.records import Record

Copy = Callable[[Any], Any]

MARKER = re.compile("canary[0-9a-f]{24}")
FIRST_DAY = datetime(2026, 11, 21, tzinfo=UTC)
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_NAME_LENGTH = 30  # the maximum length of an app group's name, the shortest maximum of all names
# Shorter names may occur in other texts by chance.
_MIN_REPLACED_LENGTH = 6

# Fields with few values take the next value of their chain.
_CHAINS = (
    ("python3.10", "python3.12", "python3.13"),
    ("nodejs20", "nodejs22"),
    ("java11", "java17"),
    ("go1", "custom.debian12"),
    ("custom.debian10", "custom.debian12"),
    ("Running", "Destroyed"),
    ("HTTP", "HTTPS", "HTTP,HTTPS", "HTTPS"),
    ("Random", "Policy", "Random"),
    ("HIGH", "MIDDLE", "LOW", "HIGH"),
    ("available", "unavailable", "available"),
    ("running", "success", "failed"),
    ("PENDING_ACTIVE", "ACTIVE", "ACTIVE_PENDING", "ACTIVE"),
    ("add", "delete", "add"),
    ("Active", "Inactive", "Active"),
    ("chn_ecommerce", "chn_standard"),
    ("configurable", "compile successful", "released"),
    ("active", "inactive", "active"),
    ("eco", "std", "pro"),
    ("CREATING", "AVAILABLE", "DELETING"),
    ("InProgress", "Success", "Evicted"),
    ("new", "publish", "trash"),
    ("NEW", "PUBLISH", "IN_USE", "NOT_USE", "STOP_USE", "RESTORE_USE", "IN_USE"),
    ("10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/8"),
)
_NEXT: Mapping[str, str] = dict(pair for chain in _CHAINS for pair in pairwise(chain))
_SIZES = frozenset({"memorySize", "diskSizeMB"})
_ONE_OR_NONE = frozenset({"acl", "status", "produced"})
_KEY_ID = re.compile("LTAI5t[0-9A-Za-z]{18}")
_VERSION_ID = re.compile("v[0-9]+")
_MODIFIED = ("UpdateDate", "lastModifiedTime", "LastModifiedTime", "ModifyTime", "updated", "updatedAt")


def with_changed_field(operation: EmulatedOperation, record: Record, rng: SeededRandom, day: int, turn: int) -> Record:
    """Return a copy of the record with another value in one field, and a new time of its last change.

    Returns the record itself if it has none of the fields. `turn` selects the field that is tried first.
    """
    copy: Record = orjson.loads(orjson.dumps(record))
    for path in _fields(operation, turn):
        found = _holder(copy, path)
        if found is None:
            continue
        holder, last = found
        before = holder[last]
        holder[last] = _next_value(last, before, rng, day)
        if holder[last] != before:
            _set_modified(copy, FIRST_DAY + timedelta(days=day - 1, seconds=rng.integer(0, 80_000)))
            return copy
    return record


def has_first_field(operation: EmulatedOperation, record: Any, turn: int) -> bool:
    """Return whether the record has the field that is tried first in this turn."""
    return isinstance(record, dict) and _holder(record, _fields(operation, turn)[0]) is not None


def _fields(operation: EmulatedOperation, turn: int) -> tuple[str, ...]:
    fields = FIELDS.get(operation.name, DESCRIPTIONS)
    start = turn % len(fields)
    return fields[start:] + fields[:start]


def _holder(record: Record, path: str) -> tuple[Record, str] | None:
    """Return the object that has a path's last field, and that field; None if the field is empty."""
    *outer, last = path.split(".")
    holder: Any = record
    for name in outer:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return (holder, last) if isinstance(holder, dict) and holder.get(last) not in (None, "") else None


def renew_signature(record: Record, rng: SeededRandom) -> Record:
    """Return a copy of a layer with another signature in the URL of its code."""
    copy: Record = orjson.loads(orjson.dumps(record))
    copy["code"]["location"] = MARKER.sub(lambda _: f"canary{rng.hex(24)}", copy["code"]["location"])
    return copy


def _next_value(field: str, value: Any, rng: SeededRandom, day: int) -> Any:
    if isinstance(value, bool):
        return not value
    if field in _ONE_OR_NONE and value in (0, 1, "0", "1"):
        return type(value)(1 - int(value))
    if isinstance(value, int | float):
        return value + 1 if field not in _SIZES else value * 2 if value < 16_384 else value // 2
    if not isinstance(value, str):
        return value
    if MARKER.search(value) and field != "triggerConfig":
        return MARKER.sub(lambda _: f"canary{rng.hex(24)}", value)
    if field == "triggerConfig":
        return _next_config(value)
    if value.isdecimal():
        return str(int(value) + 1)
    return _NEXT.get(value) or f"{value} (day {day})".strip()


def _next_config(text: str) -> str:
    """Return a trigger's configuration with one flag inverted. Text that isn't JSON stays as it is."""
    try:
        config = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    flags = [name for name, value in config.items() if isinstance(value, bool)] if isinstance(config, dict) else []
    if not flags:
        return text
    config[flags[0]] = not config[flags[0]]
    return orjson.dumps(config, option=orjson.OPT_INDENT_2).decode()


def _set_modified(record: Record, moment: datetime) -> None:
    """Set the time of the last change, in the notation that the record has."""
    for name in _MODIFIED:
        match record.get(name):
            case str(text) if text.endswith("Z"):
                record[name] = iso_z(moment)
            case str(text) if text.endswith("+0000"):
                record[name] = iso_offset(moment, 0)
            case str(text) if text.isdecimal():
                record[name] = str(epoch_s(moment))
            case int(number) if number > 10**11:
                record[name] = epoch_s(moment) * 1000
            case int(number) if number:
                record[name] = epoch_s(moment)


def make_copier(rng: SeededRandom, renamed: Collection[tuple[Any, Any]], parents: Collection[str]) -> Copy:
    """Return a function that copies a record, with new markers, new IDs, and new names instead of the old ones.

    The IDs of `parents` stay, unless they are renamed. An ID in several records gets one new ID.
    """
    ids = {**{name: name for name in parents}, **{old: new for old, new in renamed if isinstance(old, str)}}

    def copy(record: Any) -> Any:
        text = orjson.dumps(record).decode()
        text = MARKER.sub(lambda _: f"canary{rng.hex(24)}", text)
        text = _UUID.sub(lambda match: ids.setdefault(match[0], rng.uuid()), text)
        text = _KEY_ID.sub(lambda _: _fresh_key_id(rng), text)
        for old, new in renamed:
            if isinstance(old, str) and len(old) >= _MIN_REPLACED_LENGTH:
                text = text.replace(orjson.dumps(old).decode()[1:-1], orjson.dumps(new).decode()[1:-1])
        return orjson.loads(text)

    return copy


def fresh_key(operation: EmulatedOperation, rng: SeededRandom, day: int, value: Any, taken: Collection[str]) -> Any:
    """Return a value that no other record of the list has: a number, a name, or a variant of the given value."""
    if isinstance(value, int):
        return max(map(int, taken)) + 1
    if operation.name == "ram.ListPolicyVersions":
        return _next_version(value, day, taken)
    if _KEY_ID.fullmatch(value):
        return _fresh_key_id(rng)
    if value.isdecimal():
        return str(max(int(other) for other in taken if other.isdecimal()) + 1)
    for attempt in range(1000 * day, 1000 * day + 1000):
        fresh = _fresh_name(operation, rng, value, attempt)
        if fresh not in taken:
            return fresh
    raise RuntimeError(f"{operation.name} has no name left for day {day}")


def _fresh_key_id(rng: SeededRandom) -> str:
    return f"LTAI5t{rng.text(18, ALPHABET)}"


def _next_version(value: str, day: int, taken: Collection[str]) -> str:
    """Return the ID of a policy's next version, or its document."""
    if not _VERSION_ID.fullmatch(value):
        return widened(value, day)
    return f"v{1 + max(int(other[1:]) for other in taken)}"


def _fresh_name(operation: EmulatedOperation, rng: SeededRandom, value: str, attempt: int) -> str:
    if operation.name in NAMED:
        return seeded.name(rng, attempt, longest=_MAX_NAME_LENGTH)
    if _UUID.search(value):
        return _UUID.sub(lambda _: rng.uuid(), value)
    mark = f"d{attempt}"
    return f"{mark}.{value}" if "." in value else f"{value}-{mark}"
