"""The columns of a record: names, nesting, types, units, secrets, and the facts of comments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from crawler.catalog.columns import snake_case
from crawler.catalog.scaffold import comments
from crawler.catalog.scaffold.names import plain, words
from crawler.catalog.scaffold.secrets import KnownSecrets, secret_reason
from crawler.catalog.sdk.models import Field, TypeNode

Path = tuple[str, ...]

_TIME = re.compile(
    r"(?:Time|Date|Timestamp|TimeMs|Created|Updated|Modified|At)$|^(?:gmt|Gmt|created|updated|modified)|_(?:time|date|at)$|^(?:time|date|timestamp|Timestamp|Time|Date)$"
)
_SPAN = re.compile(
    r"time_?out|max|min|retention|interval|duration|period|ttl|delay|window|zone|cost|idle|keep|expire_?after"
    r"|times$|wait|backup_?time|maintain|preferred|cool|scale|flat$|format|lasting|retry|effective_?time"
)
_MILLISECONDS = re.compile(r"(?:Ms|Millis|InMillis|_ms|TimeMs)$")
_NAME_UNITS = (
    (re.compile(r"(?:InSeconds?|Seconds|_seconds)$"), "s"),
    (re.compile(r"(?:Ms|Millis|Milliseconds|InMS|MS)$"), "ms"),
    (re.compile(r"(?:InBytes?|SizeBytes|_bytes)$"), "bytes"),
    (re.compile(r"(?:InMB|SizeMB|_mb)$"), "MB"),
    (re.compile(r"(?:InGB|SizeGB|_gb)$"), "GB"),
    (re.compile(r"(?:InDays?|Days|_days)$"), "days"),
    (re.compile(r"(?:InHours?|Hours)$"), "hours"),
    (re.compile(r"(?:InMinutes?|Minutes)$"), "minutes"),
)
_SCALARS = {"string", "integer", "number", "boolean", "json"}
_OBJECTS = {"config", "configuration", "configurations", "conf", "settings", "params", "parameters", "document"}
_UNNAMED = "the SDK doesn't describe it"


@dataclass(slots=True)
class ColumnsDraft:
    """`[columns]` as a tree of texts, dictionaries and lists; `doubts` and `descriptions` by wire path.

    In a path, `[]` is the item of a list and `*` a value of a map. `left_out`: sentences on fields that no column can
    hold.
    """

    known: KnownSecrets = frozenset()
    tree: dict[str, Any] = field(default_factory=dict)
    doubts: dict[Path, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def text_type(self, wire: str) -> str:
        """Return the type of a top-level column, "" if it is no scalar."""
        found = self.tree.get(wire)
        return found if isinstance(found, str) else ""


def draft_columns(record: TypeNode, known: KnownSecrets = frozenset()) -> ColumnsDraft:
    """Return the columns of a record of named fields. `known`: see `secrets.known_secrets`."""
    draft = ColumnsDraft(known)
    draft.tree = _struct(draft, record, ())
    return draft


def draft_item(record: TypeNode, name: str) -> ColumnsDraft:
    """Return the one column of a list of values without names."""
    draft = ColumnsDraft()
    draft.tree = {name: _value(draft, Field(name, name, record), record, (name,), frozenset())}
    if record.kind not in _SCALARS or record.kind == "json":
        draft.doubts[(name,)] = f"{_UNNAMED}: declare the fields of a record that you have seen"
    return draft


def _struct(draft: ColumnsDraft, node: TypeNode, path: Path) -> dict[str, Any]:
    siblings = frozenset(plain(found.wire) for found in node.fields)
    names: dict[str, str] = {}
    tree: dict[str, Any] = {}
    for found in sorted(node.fields, key=lambda found: found.wire):
        name = snake_case(found.wire)
        inner = (*path, found.wire)
        if not re.search("[a-z0-9]", name):
            draft.left_out.append(f"{_shown(inner)}: its name can't be a column's")
        elif name in names:
            draft.left_out.append(f"{_shown(inner)}: {names[name]} has the same column name")
        else:
            names[name] = found.wire
            tree[found.wire] = _value(draft, found, found.node, inner, siblings)
    return tree


def _shown(path: Path) -> str:
    return ".".join(path).replace(".[]", "[]")


def _value(draft: ColumnsDraft, found: Field, node: TypeNode, path: Path, siblings: frozenset[str]) -> Any:
    """Return the type of a field, or of the items below it; `found` is the field with the comment."""
    if node.is_cut:
        draft.doubts[path] = "the SDK's model goes deeper or contains itself"
    if node.kind == "struct" and node.fields:
        tree = _struct(draft, node, path)
        return tree or _leaf(draft, found, TypeNode("json"), path, siblings)
    if node.kind == "list" and node.item is not None:
        return [_value(draft, found, node.item, (*path, "[]"), siblings)]
    if node.kind == "map" and node.item is not None:
        if node.item.kind in _SCALARS or not (node.item.fields or node.item.item):
            kind = node.item.kind if node.item.kind in _SCALARS else "json"
            return _leaf(draft, found, TypeNode(f"map<{kind}>"), path, siblings)
        return {"*": _value(draft, found, node.item, (*path, "*"), siblings)}
    return _leaf(draft, found, node, path, siblings)


def _leaf(draft: ColumnsDraft, found: Field, node: TypeNode, path: Path, siblings: frozenset[str]) -> str:
    kind = node.kind if node.kind in _SCALARS or node.kind.startswith("map<") else "json"
    names = tuple("" if step in {"[]", "*"} else step for step in path)
    is_text = kind not in {"boolean", "integer", "number"}
    if text := comments.description(found.comment) if is_text else "":
        draft.descriptions[_shown(path).removesuffix("[]")] = text
    reason = secret_reason(names, siblings, draft.known, is_map=kind.startswith("map<")) if is_text else ""
    if not reason and kind == "string" and _is_json_text(found):
        if words(found.wire)[-1] == "document":
            draft.doubts.setdefault(path, "JSON in a string? see [operation] embedded")
            return kind
        reason = "JSON in a string, see [operation] embedded"
    if reason:
        draft.doubts.setdefault(path, f"secret? {reason}")
        return f"{kind} secret"
    if kind in {"string", "integer"} and _is_time(found):
        return _time(draft, found, kind, path)
    if kind in {"integer", "number"} and (unit := _unit(found)):
        return f"{kind}({unit})"
    return kind


def _is_json_text(found: Field) -> bool:
    """Whether a string may hold JSON: its comment says so, or it is named like an object of settings."""
    return comments.is_json_text(found.comment) or bool(_OBJECTS & set(words(found.wire)[-1:]))


def _is_time(found: Field) -> bool:
    name = snake_case(found.wire)
    return bool(_TIME.search(found.wire)) and not _SPAN.search(name)


def _time(draft: ColumnsDraft, found: Field, kind: str, path: Path) -> str:
    form = comments.time_form(found.comment)
    if kind == "string":
        if form != "iso":
            draft.doubts.setdefault(path, "a time with its zone?")
        return "timestamp"
    if _MILLISECONDS.search(found.wire):
        form = "ms"
    if form in {"s", "ms"}:
        return f"timestamp({form})"
    draft.doubts.setdefault(path, "s or ms?")  # without a unit, each number is read as the likelier one
    return "timestamp"


def _unit(found: Field) -> str:
    by_name = (unit for pattern, unit in _NAME_UNITS if pattern.search(found.wire))
    return next(by_name, "") or comments.unit(found.comment)
