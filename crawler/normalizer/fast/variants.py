"""Slight differences between the pages of an operation and its schema, which the fast path supports.

The first letter of a field may be in the other case, timestamps may be numbers, and there may be unknown fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from crawler.catalog.columns import Column
from crawler.catalog.model import Operation
from crawler.normalizer.exact_json import toggle_initial_case

# The wire names from the record down; `[]` for a list's item, `*` for a map's value.
Path = tuple[str, ...]

# A bound: a map with data as its names always has new ones.
MAX_LEARNED = 16
_MAX_SPELLED = 32

_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`(?: - at `\$(.*)`)?")
_NUMBER = re.compile(r"Expected `str \| null`, got `int` - at `\$(.*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class SchemaVariant:
    """The differences of an operation's pages from its schema.

    `swapped` columns have their first letter in the other case, `numeric` timestamps are numbers, `learned` are unknown
    fields. `changes` counts the variants before this one.
    """

    swapped: frozenset[Path] = frozenset()
    numeric: frozenset[Path] = frozenset()
    learned: frozenset[Path] = frozenset()
    changes: int = 0

    def spelled(self, path: Path, column: Column) -> str:
        """Return the name of a column in these pages."""
        return toggle_initial_case(column.wire) if path in self.swapped else column.wire

    def unknown_below(self, path: Path) -> list[str]:
        """Return the unknown fields of the object at a path."""
        return sorted(found[-1] for found in self.learned if found[:-1] == path)


def widen(variant: SchemaVariant, operation: Operation, refusal: str, unknown: Iterable[str]) -> SchemaVariant:
    """Return the variant that accepts the next page, from the refusal of one and the unknown fields in it.

    It is the same variant if the page has no supported difference, or if the variant has changed too often.
    """
    if variant.changes >= _MAX_SPELLED:
        return variant
    found = _widen_names(variant, operation, unknown)
    if match := _UNKNOWN.match(refusal):
        found = _widen_case(found, operation, match[1], match[2] or "")
    elif match := _NUMBER.match(refusal):
        at = _resolve(found, operation, match[1])
        if at is not None and at[1] is not None and at[1].kind == "timestamp":
            found = replace(found, numeric=found.numeric ^ {at[0]})
    return found if found == variant else replace(found, changes=variant.changes + 1)


def _widen_names(variant: SchemaVariant, operation: Operation, unknown: Iterable[str]) -> SchemaVariant:
    learned = set(variant.learned)
    for pattern in unknown:
        *steps, name = re.findall(r"\[\]|[^.\[\]]+", pattern)
        if '"' in pattern or not _NAME.fullmatch(name):
            continue
        if steps == ["$"] and len(learned) < MAX_LEARNED:
            learned.add(("$", name))
            continue
        at = _resolve_steps(variant, operation, steps)
        if at is not None and len(learned) < MAX_LEARNED:
            learned.add((*at[0], name))
    return replace(variant, learned=frozenset(learned))


def _widen_case(variant: SchemaVariant, operation: Operation, name: str, where: str) -> SchemaVariant:
    at = _resolve(variant, operation, where)
    if at is None:
        return variant
    path, column = at
    for child in column.children if column else operation.columns:
        inner = (*path, child.wire)
        if name in (child.wire, toggle_initial_case(child.wire)) and name != variant.spelled(inner, child):
            return replace(variant, swapped=variant.swapped ^ {inner})
    return variant


def _resolve(variant: SchemaVariant, operation: Operation, where: str) -> tuple[Path, Column | None] | None:
    """Return the path and the column of a location in msgspec's notation, `.functions[3].vpcConfig`."""
    matches = list(_STEP.finditer(where))
    if "".join(match[0] for match in matches) != where or len(matches) < 2 or matches[1][2] is None:
        return None
    return _resolve_steps(variant, operation, [match[1] or "[]" for match in matches[2:]])


def _resolve_steps(
    variant: SchemaVariant, operation: Operation, steps: Iterable[str]
) -> tuple[Path, Column | None] | None:
    """Return the path and the column below the record, None for the record itself; None if there is no such column."""
    path: Path = ()
    column: Column | None = None
    for step in steps:
        if column is not None and (column.is_embedded or column.kind in ("list", "map")):
            if column.is_embedded or (step == "[]") != (column.kind == "list" or step == "[]"):
                return None
            path, column = (*path, "[]"), column.children[0]
            continue
        children = column.children if column is not None else operation.columns
        found = next((c for c in children if variant.spelled((*path, c.wire), c) == step), None)
        if found is None:
            return None
        path, column = (*path, found.wire), found
    if column is not None and column.is_embedded:
        return None
    return path, column
