"""Compare two values of a column: differences by dotted path, and differences that can't be known.

Paths lead into structs and maps (`vpc_config.vpc_id`, `environment_variables.TOKEN`) and into lists of equal length
(`layers[0].arn`). Lists of different length are one difference, and so is a struct on one side only. The order of a map
is ignored. `_extra` is compared by its keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from crawler.audit.diff.columns import FieldPath
from crawler.normalizer.redaction import MASK

OTHER_SECRETS = "secrets are kept in another way"
OTHER_KEY = "secrets are fingerprints by another key"
OTHER_SCOPE = "secrets are fingerprints of another scope"
MISSING_DETAILS = "details were fetched on one side only"

# A fingerprint, by itself or in JSON text; a mask.
_HIDDEN_SECRET = re.compile(r'hmac:[0-9a-f]{16}(?![0-9a-f])|\A\*\*\*\Z|"\*\*\*"')
_PLAIN_NAME = re.compile(r'[^.\[\]"]+')

ValueChange = tuple[str, Any, Any]
SnapshotSide = Literal["", "old", "new"]


@dataclass(slots=True)
class ValueComparer:
    """Compares values of one table. `is_same_mode`: whether both snapshots hide secrets in the same way.
    `other_fingerprints`: why equal secrets may have other fingerprints; empty if they have the same.

    `unknown`, filled by comparisons: path of the schema (no list positions, no map keys) → why a difference is unknown.
    """

    is_same_mode: bool = True
    other_fingerprints: str = ""
    present_on_one_side: re.Pattern[str] | None = None
    unknown: dict[str, str] = field(default_factory=dict)

    def differences(
        self, part: FieldPath, old: Any, new: Any, details_missing_in: SnapshotSide = ""
    ) -> Iterator[ValueChange]:
        """Yield the paths below a column at which two values differ, with both values.

        `details_missing_in`: the side whose details weren't fetched; its nulls may have a value in the service.
        """
        return self._compare(part, part.path, old, new, details_missing_in)

    def content(self, part: FieldPath, value: Any) -> Any:
        """Return the comparable part of a value, which identifies rows without a key."""
        match part.kind:
            case _ if value is None:
                return None
            case "struct":
                return {child.name: self.content(child, value[child.name]) for child in part.children}
            case "list":
                return [self.content(part.children[0], item) for item in value]
            case "map":
                return {name: self.content(part.children[0], item) for name, item in as_map(value).items()}
            case "extra":
                entries = parse_extra(value) or {"": value}
                kept = {name: self._masked(part, entries[name]) for name in entries if not self._is_on_one_side(name)}
                return kept or None
            case _:
                return self._masked(part, json_scalar(value))

    def _masked(self, part: FieldPath, value: Any) -> Any:
        why = self._why_unknown(part, value, value)
        if why:
            self.unknown[part.path] = why
        return MASK if why else value

    def _compare(self, part: FieldPath, path: str, old: Any, new: Any, side: SnapshotSide) -> Iterator[ValueChange]:
        if old == new:
            return
        if (old is None and side == "old") or (new is None and side == "new"):
            self.unknown[part.path] = MISSING_DETAILS
        elif part.kind == "extra":
            yield from self._compare_extra(part, path, old, new)
        elif old is None or new is None or part.kind == "scalar":
            yield from self._value_change(part, path, old, new)
        elif part.kind == "struct":
            for child in part.children:
                yield from self._compare(child, f"{path}.{child.name}", old[child.name], new[child.name], side)
        elif part.kind == "map":
            yield from self._compare_maps(part, path, as_map(old), as_map(new), side)
        else:
            yield from self._compare_lists(part, path, old, new, side)

    def _compare_maps(
        self, part: FieldPath, path: str, old: Mapping[str, Any], new: Mapping[str, Any], side: SnapshotSide
    ) -> Iterator[ValueChange]:
        for name in [*old, *(name for name in new if name not in old)]:
            at = f"{path}.{path_step(name)}"
            if name in old and name in new:
                yield from self._compare(part.children[0], at, old[name], new[name], side)
            else:
                yield from self._value_change(part.children[0], at, old.get(name), new.get(name))

    def _compare_lists(
        self, part: FieldPath, path: str, old: Sequence[Any], new: Sequence[Any], side: SnapshotSide
    ) -> Iterator[ValueChange]:
        if len(old) != len(new) or part.children[0].kind == "scalar":
            yield from self._value_change(part, path, old, new)
            return
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from self._compare(part.children[0], f"{path}[{number}]", before, after, side)

    def _compare_extra(self, part: FieldPath, path: str, old: str | None, new: str | None) -> Iterator[ValueChange]:
        before, after = parse_extra(old), parse_extra(new)
        if before is None or after is None:
            yield from self._value_change(part, path, old, new)
            return
        for name in sorted(before.keys() | after.keys()):
            if _entry_text(before, name) != _entry_text(after, name) and not self._is_on_one_side(name):
                yield from self._value_change(part, f"{path}.{name}", before.get(name), after.get(name))

    def _is_on_one_side(self, name: str) -> bool:
        return self.present_on_one_side is not None and self.present_on_one_side.match(name) is not None

    def _value_change(self, part: FieldPath, path: str, old: Any, new: Any) -> Iterator[ValueChange]:
        if part.kind == "list" and len(old or ()) == len(new or ()) and self._are_items_unknown(part, old, new):
            return
        why = "" if part.kind == "list" else self._why_unknown(part, old, new)
        if why:
            self.unknown[part.path] = why
        else:
            yield path, json_value(part, old), json_value(part, new)

    def _are_items_unknown(self, part: FieldPath, old: Any, new: Any) -> bool:
        """Return whether two lists of scalars differ only in items that can't be known."""
        item, whys = part.children[0], []
        for before, after in zip(old or (), new or (), strict=True):
            if before != after:
                whys.append(self._why_unknown(item, before, after))
        if not whys or not all(whys):
            return False
        self.unknown[item.path] = whys[0]
        return True

    def _why_unknown(self, part: FieldPath, old: Any, new: Any) -> str:
        """Return why two different values may be equal, or an empty text. Empty values are empty in every mode."""
        if (self.is_same_mode and not self.other_fingerprints) or _is_empty(old) or _is_empty(new):
            return ""
        is_hidden = _is_hidden(old) or _is_hidden(new)
        if not self.is_same_mode:
            return OTHER_SECRETS if is_hidden or part.is_secret else ""
        return self.other_fingerprints if is_hidden else ""


def as_map(value: Any) -> dict[str, Any]:
    """Return an Arrow map value as a dictionary."""
    return dict(value)


def parse_extra(text: str | None) -> dict[str, Any] | None:
    """Return `_extra` by its keys; empty for null, None if it isn't a JSON object."""
    try:
        found = {} if text is None else json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def path_step(name: str) -> str:
    """Return a map key as a step of a path, in JSON quotes if it has a dot, a bracket or a quotation mark."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def json_value(part: FieldPath, value: Any) -> Any:
    """Return a value for JSON: maps as objects, timestamps as ISO 8601 with Z."""
    match part.kind:
        case _ if value is None:
            return None
        case "struct":
            return {child.name: json_value(child, value[child.name]) for child in part.children}
        case "list":
            return [json_value(part.children[0], item) for item in value]
        case "map":
            return {name: json_value(part.children[0], item) for name, item in as_map(value).items()}
        case _:
            return json_scalar(value)


def json_scalar(value: Any) -> Any:
    """Return a scalar for JSON."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return value


def _entry_text(entries: Mapping[str, Any], name: str) -> str:
    """Return an entry as text with sorted names; 1, 1.0 and true differ."""
    return json.dumps(entries[name], sort_keys=True) if name in entries else ""


def _is_hidden(value: Any) -> bool:
    if not isinstance(value, str):
        value = json.dumps(value, default=str) if isinstance(value, dict | list) else ""
    return _HIDDEN_SECRET.search(value) is not None


def _is_empty(value: Any) -> bool:
    return value is None or value == ""
