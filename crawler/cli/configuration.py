"""The configuration's part of docs/reference.md: every key, what it takes and its default from the code.

What a key is for is said once, in config.example.toml, and taken from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from crawler.client.credentials import CredentialSpec
from crawler.config.sections import Account, OrganizationSection, RateLimit, Section, Settings
from crawler.validation import Secret, accepted

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
# Sections by the way they are written; those whose keys are names of one's own take theirs from the example.
_SECTIONS: dict[str, tuple[str, Any]] = {
    "accounts": ("[[accounts]]", Account),
    "accounts.credentials": ("[accounts.credentials]", CredentialSpec),
    "organization": ("[organization]", OrganizationSection),
}
_HEAD = """## Configuration

A TOML file, found at `--config`, else `$ACS_INVENTORY_CONFIG`, else `./config.toml`;
[config.example.toml](../config.example.toml) is one to begin with. `${NAME}` in any text is replaced from the
environment. An unknown key is an error that names the nearest known one, and `acs-inventory doctor` says
what else is wrong.
"""
_TABLE = "| key | takes | default | |\n| --- | --- | --- | --- |\n"
_HEADER = re.compile(r"(?:# )?\[{1,2}([\w.]+)\]{1,2} *(?:# (.*))?")
_KEY = re.compile(r'(?:# )?("[\w.-]+"|[\w-]+) = (.*?)(?: +# (.*))?')


@dataclass(frozen=True, slots=True)
class Said:
    """What config.example.toml says of a key or a section: the value that it shows, and the comment behind it."""

    value: str
    comment: str


def section_page(example: str) -> str:
    """The configuration's section in Markdown. `example` is the text of config.example.toml."""
    said: dict[str, Said] = {}
    for path, found in _read(example):
        if path not in said or not said[path].comment:
            said[path] = found
    return "\n".join([_HEAD, *(_section(path, title, kind, said) for path, title, kind in sections())])


def sections() -> Iterator[tuple[str, str, Any]]:
    """Every section: its path, how it is written, and its struct, or its values' type where the keys are free."""
    for path, (title, kind) in _SECTIONS.items():
        yield path, title, kind
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        if field.name not in _SECTIONS:
            yield from _with_inner(field.name, hints[field.name])


def _with_inner(path: str, kind: Any) -> Iterator[tuple[str, str, Any]]:
    yield path, f"[{path}]", get_args(kind)[1] if get_origin(kind) is dict else kind
    for name, inner in get_type_hints(kind).items() if _is_section(kind) else ():
        for option in (inner, *get_args(inner)):
            if _is_section(option):
                yield f"{path}.{name}", f"[{path}.{name}]", option


def _section(path: str, title: str, kind: Any, said: dict[str, Said]) -> str:
    words = said[path].comment if path in said else ""
    is_free = (kind is not CredentialSpec and not _is_section(kind)) or kind is RateLimit
    rows = _free_rows(path, kind, said) if is_free else _rows(path, kind, said)
    return f"### `{title}`\n\n" + (f"{_linked(_plain(words))}\n\n" if words else "") + _TABLE + "".join(rows)


def _rows(path: str, kind: Any, said: dict[str, Said]) -> Iterator[str]:
    structs = get_args(kind) or (kind,)
    fields = {field.encode_name: field for struct in structs for field in msgspec.structs.fields(struct)}
    if tag := structs[0].__struct_config__.tag_field:
        yield _row(tag, accepted(kind), "needed", said[f"{path}.{tag}"].comment)
    for key, field in fields.items():
        options = (field.default, *get_args(field.type))
        if key == "credentials" or any(isinstance(option, Section) or _is_section(option) for option in options):
            continue
        default = "" if tag else _default(field)
        yield _row(key, accepted(field.type), default, said.get(f"{path}.{key}", Said("", "")).comment)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _free_rows(path: str, kind: Any, said: dict[str, Said]) -> Iterator[str]:
    takes = "{ rate = requests per second, burst = a whole number }" if kind is RateLimit else accepted(kind)
    for name, found in said.items():
        if name.startswith(f"{path}."):
            shown = f"such as `{found.value}`" if found.value else ""
            yield _row(name.removeprefix(f"{path}."), takes, shown, found.comment)


def _row(key: str, takes: str, default: str, words: str) -> str:
    cells = (f"`{key}`", _plain(takes), default, _linked(_plain(words)))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _plain(words: str) -> str:
    """Without what Markdown would take for its own."""
    return words.replace("*", r"\*").replace("<", r"\<")


def _linked(words: str) -> str:
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", words)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    value = field.default
    if value is None or isinstance(value, Secret):
        return ""
    return f"`{json.dumps(value)}`"


def _read(example: str) -> Iterator[tuple[str, Said]]:
    """Keys and sections with their comments, by their path, in the order of the file."""
    path = ""
    for line in example.splitlines():
        if found := _HEADER.fullmatch(line):
            path = found[1]
            yield path, Said("", found[2] or "")
        elif found := _KEY.fullmatch(line):
            yield f"{path}.{found[1]}", Said(found[2], found[3] or "")
