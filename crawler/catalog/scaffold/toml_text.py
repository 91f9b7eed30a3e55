"""Writes schema files as TOML in the form of the built-in ones. A doubt becomes `# check: …` at the end of its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_WIDTH = 118
_LONGEST_DOUBT = 160

Path = tuple[str, ...]


def key_text(key: str) -> str:
    """Return a key, in quotes if it needs them."""
    return key if _BARE.fullmatch(key) else string_text(key)


def string_text(text: str) -> str:
    """Return a basic string. Control characters and lone surrogates become escapes."""
    return '"' + "".join(_character(c) for c in text) + '"'


def _character(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if 0xD800 <= ord(c) <= 0xDFFF:
        return "\\uFFFD"
    return c if c.isprintable() else f"\\u{ord(c):04X}" if ord(c) < 0x10000 else f"\\U{ord(c):08X}"


def value_text(value: Any) -> str:
    """Return a value in one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return string_text(value)
        case dict():
            inner = ", ".join(f"{key_text(key)} = {value_text(found)}" for key, found in value.items())
            return f"{{ {inner} }}" if inner else "{}"
    return f"[{', '.join(value_text(found) for found in value)}]"


def doubt_text(doubts: Iterable[str]) -> str:
    """Return the end of a line with doubts: each one once, in one printable line."""
    text = "; ".join(dict.fromkeys(filter(None, doubts)))
    text = "".join(c if c.isprintable() else " " for c in text)
    text = text if len(text) <= _LONGEST_DOUBT else text[: _LONGEST_DOUBT - 1] + "…"
    return f" # check: {text}" if text else ""


def line(key: str, value: Any, *doubts: str) -> str:
    """Return `key = value`. A list of texts that is too long for the line has one text in each."""
    text = f"{key_text(key)} = {value_text(value)}"
    if isinstance(value, list) and len(text) > _WIDTH:
        items = "".join(f"    {value_text(item)},\n" for item in value)
        text = f"{key_text(key)} = [\n{items}]"
    return text + doubt_text(doubts)


def comment_lines(text: str) -> Iterator[str]:
    """Yield a comment in lines of the files' width."""
    current = "#"
    for word in "".join(c if c.isprintable() else " " for c in text).split():
        if len(current) + len(word) + 1 > _WIDTH and current != "#":
            yield current
            current = "#"
        current += f" {word}"
    yield current


def columns_text(tree: Mapping[str, Any], doubts: Mapping[Path, str]) -> str:
    """Return `[columns]` and the sections below it: what fits in a line is inline, the rest has a section."""
    return "\n\n".join(_sections(("columns",), dict(tree), (), doubts, is_list=False)) + "\n"


def _sections(
    section: Path, tree: dict[str, Any], path: Path, doubts: Mapping[Path, str], *, is_list: bool
) -> Iterator[str]:
    """Yield the text of a table, then of those below it. `path` is the wire path of the table."""
    lines, below = [], []
    for wire, node in tree.items():
        inner = (*path, wire)
        text = f"{key_text(wire)} = {value_text(node)}"
        if _can_be_section(node) and len(text) > _WIDTH:
            below.append((wire, node))
        else:
            lines.append(text + doubt_text(_below(inner, doubts)))
    name = ".".join(key_text(step) for step in section)
    head = f"[[{name}]]" if is_list else f"[{name}]"
    if lines or is_list or len(section) == 1 or not below:
        yield "\n".join([head, *lines])
    for wire, node in below:
        inner = (*path, wire)
        if isinstance(node, list):
            yield from _sections((*section, wire), node[0], (*inner, "[]"), doubts, is_list=True)
        else:
            yield from _sections((*section, wire), node, inner, doubts, is_list=False)


def _can_be_section(node: Any) -> bool:
    return isinstance(node, dict) or (isinstance(node, list) and isinstance(node[0], dict))


def _below(path: Path, doubts: Mapping[Path, str]) -> Iterator[str]:
    """Yield the doubts of a path and of all below it, each with its name below the line's own key."""
    for other, doubt in doubts.items():
        if other[: len(path)] == path:
            rest = ".".join(step for step in other[len(path) :] if step not in {"[]", "*"})
            yield f"{rest}: {doubt}" if rest else doubt
