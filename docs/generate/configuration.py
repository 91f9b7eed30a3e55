"""The configuration's part of docs/reference.md: values, default and purpose of every key.

Values and defaults come from the code, purposes from the comments of config.example.toml.
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
from crawler.config.sections import (
    AcceptedFinding,
    AcceptedSection,
    Account,
    EngineSection,
    OrganizationSection,
    RateLimit,
    Section,
    Settings,
)
from crawler.validation import Secret, accepted

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
# Path → header and struct, for sections whose header isn't simply `[path]`.
_SECTIONS: dict[str, tuple[str, Any]] = {
    "accounts": ("[[accounts]]", Account),
    "accounts.credentials": ("[accounts.credentials]", CredentialSpec),
    "organization": ("[organization]", OrganizationSection),
    "accepted": ("[[accepted]]", AcceptedSection),
    "engine": ("[engine]", EngineSection),
    "accepted_findings": ("[[accepted_findings]]", AcceptedFinding),
}
_HEAD = """## Configuration

A TOML file: the value of `--config`, else of `$ACS_INVENTORY_CONFIG`, else `./config.toml`. Start from
[config.example.toml](../config.example.toml). `${NAME}` in any string is replaced by that environment variable. An
unknown key is an error that names the nearest known key. `acs-inventory doctor` finds other problems.
"""
_TABLE = "| key | value | default | purpose |\n| --- | --- | --- | --- |\n"
_HEADER = re.compile(r"(?:# )?\[{1,2}([\w.]+)\]{1,2} *(?:# (.*))?")
_KEY = re.compile(r'(?:# )?("[\w.-]+"|[\w-]+) = (.*?)(?: +# (.*))?')


@dataclass(frozen=True, slots=True)
class ExampleEntry:
    """A key or a section in config.example.toml: its example value and its comment."""

    value: str
    comment: str


def section_page(example: str) -> str:
    """Return the configuration's section in Markdown. `example` is the text of config.example.toml."""
    entries: dict[str, ExampleEntry] = {}
    for path, entry in _read_example(example):
        if path not in entries or not entries[path].comment:
            entries[path] = entry
    return "\n".join([_HEAD, *(_section(path, title, kind, entries) for path, title, kind in sections())])


def sections() -> Iterator[tuple[str, str, Any]]:
    """Yield the path, the header and the struct of each section; with free keys, the type of the values."""
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


def _section(path: str, title: str, kind: Any, entries: dict[str, ExampleEntry]) -> str:
    purpose = entries[path].comment if path in entries else ""
    has_free_keys = (kind is not CredentialSpec and not _is_section(kind)) or kind is RateLimit
    rows = _free_rows(path, kind, entries) if has_free_keys else _rows(path, kind, entries)
    return f"### `{title}`\n\n" + (f"{_linked(_escaped(purpose))}\n\n" if purpose else "") + _TABLE + "".join(rows)


def _rows(path: str, kind: Any, entries: dict[str, ExampleEntry]) -> Iterator[str]:
    structs = get_args(kind) or (kind,)
    fields = {field.encode_name: field for struct in structs for field in msgspec.structs.fields(struct)}
    if tag := structs[0].__struct_config__.tag_field:
        yield _row(tag, accepted(kind), "required", entries[f"{path}.{tag}"].comment)
    for key, field in fields.items():
        options = (field.default, *get_args(field.type))
        if key == "credentials" or any(isinstance(option, Section) or _is_section(option) for option in options):
            continue
        default = "" if tag else _default(field)
        yield _row(key, accepted(field.type), default, entries.get(f"{path}.{key}", ExampleEntry("", "")).comment)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _free_rows(path: str, kind: Any, entries: dict[str, ExampleEntry]) -> Iterator[str]:
    value = "{ rate = requests per second, burst = a whole number }" if kind is RateLimit else accepted(kind)
    for name, entry in entries.items():
        if name.startswith(f"{path}."):
            example = f"for example `{entry.value}`" if entry.value else ""
            yield _row(name.removeprefix(f"{path}."), value, example, entry.comment)


def _row(key: str, value: str, default: str, purpose: str) -> str:
    cells = (f"`{key}`", _escaped(value), default, _linked(_escaped(purpose)))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def _escaped(text: str) -> str:
    return text.replace("*", r"\*").replace("<", r"\<")


def _linked(text: str) -> str:
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is None or isinstance(value, Secret):
        return ""
    return f"`{json.dumps(value)}`"


def _read_example(example: str) -> Iterator[tuple[str, ExampleEntry]]:
    """Yield the path and the entry of each key and section, in the order of the file."""
    path = ""
    for line in example.splitlines():
        if found := _HEADER.fullmatch(line):
            path = found[1]
            yield path, ExampleEntry("", found[2] or "")
        elif found := _KEY.fullmatch(line):
            yield f"{path}.{found[1]}", ExampleEntry(found[2], found[3] or "")
