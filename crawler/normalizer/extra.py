"""What a record has beside the schema, and where: the entries of `_extra`, with their paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crawler.normalizer.exact_json import to_text
from crawler.text import is_encodable


def path_name(name: str) -> str:
    """A wire name as a step of a path: quoted where it holds a dot, a bracket or nothing, or isn't text in UTF-8."""
    is_plain = name and name != "$" and not any(c in name for c in '.[]"') and is_encodable(name)
    return name if is_plain else json.dumps(name)


def join(name: str, rest: str) -> str:
    """A step and the path below it."""
    return name + rest if not rest or rest.startswith("[") else f"{name}.{rest}"


@dataclass(slots=True)
class ExtraEntry:
    """A node that stays out of its column: `path` is exact (`layers[2].size`), `pattern` general (`layers[].size`)."""

    path: str
    pattern: str
    value: Any
    is_unknown: bool


@dataclass(slots=True)
class ExtraFields:
    """What one record had beside the schema, and how many values were read from another type without loss."""

    entries: list[ExtraEntry] = field(default_factory=list)
    coerced: int = 0

    def prefix(self, start: int, path: str, pattern: str) -> None:
        """Put a parent's name before the entries from `start` on."""
        for entry in self.entries[start:]:
            entry.path = join(path, entry.path)
            entry.pattern = join(pattern, entry.pattern)


def extra_text(drift: ExtraFields) -> str | None:
    """A record's `_extra`: one JSON object, its paths in order. None where there is nothing to say."""
    if not drift.entries:
        return None
    return to_text({entry.path: entry.value for entry in sorted(drift.entries, key=lambda entry: entry.path)})


Convert = Callable[[Any, ExtraFields], Any]
