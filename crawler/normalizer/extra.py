"""Unknown fields and type mismatches, with their paths. They become `_extra`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crawler.normalizer.exact_json import to_text
from crawler.normalizer.redaction import Redaction, distinct
from crawler.text import is_encodable


def path_name(name: str) -> str:
    """Return a wire name as a step of a path, quoted if it is empty, has a dot or a bracket, or isn't valid UTF-8."""
    is_plain = name and name != "$" and not any(c in name for c in '.[]"') and is_encodable(name)
    return name if is_plain else json.dumps(name)


def join(name: str, rest: str) -> str:
    """Join a step and the path below it."""
    return name + rest if not rest or rest.startswith("[") else f"{name}.{rest}"


@dataclass(slots=True)
class ExtraEntry:
    """A value that is not in a column: `path` is exact (`layers[2].size`), `pattern` general (`layers[].size`)."""

    path: str
    pattern: str
    value: Any
    is_unknown: bool


@dataclass(slots=True)
class ExtraFields:
    """The extra fields of one record, and the number of values that were converted from another type without loss.

    `redaction` is that of the record's account and page.
    """

    redaction: Redaction
    entries: list[ExtraEntry] = field(default_factory=list)
    coerced: int = 0

    def prefix(self, start: int, path: str, pattern: str) -> None:
        """Put the name of a parent before the paths of the entries from `start` on."""
        for entry in self.entries[start:]:
            entry.path = join(path, entry.path)
            entry.pattern = join(pattern, entry.pattern)


def extra_text(extra: ExtraFields) -> str | None:
    """Return the `_extra` of a record: one JSON object with sorted paths. None without entries."""
    if not extra.entries:
        return None
    entries = sorted(extra.entries, key=lambda entry: entry.path)
    paths = distinct(entry.path for entry in entries)  # two names with secrets may both have become ***
    return to_text(dict(zip(paths, (entry.value for entry in entries), strict=True)))


Convert = Callable[[Any, ExtraFields], Any]
