"""The configuration's part of docs/reference.md: values, default and purpose of every key.

Values and defaults come from the code, purposes from the comments of config.example.toml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from crawler.client.credentials import CredentialSpec
from crawler.config.example import ExampleEntry, example_entries
from crawler.config.sections import (
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
}
_HEAD = """## Configuration

A TOML file, at the first of these places that has one:

1. the value of `--config`
2. the value of `$ACS_INVENTORY_CONFIG`
3. `./config.toml`
4. `$XDG_CONFIG_HOME/acs-inventory/config.toml`, by default `~/.config/acs-inventory/config.toml`
5. `/etc/acs-inventory/config.toml`

All commands find the files 4 and 5, wherever they are started. So their `[output] uri` must be an absolute path or the
URI of a bucket. In every file, a relative path starts at the working directory and not at the file's folder: a
configuration of cron needs absolute paths.

`acs-inventory config init` writes [an example](../config.example.toml) with every key. `acs-inventory config check`
checks a file without a network, `acs-inventory doctor` with one. `acs-inventory config schema` prints the JSON Schema,
by which editors check the file while it is written.

`${NAME}` in any string is replaced by that environment variable. An unknown key is an error that names the nearest
known key.
"""
_TABLE = "| key | value | default | purpose |\n| --- | --- | --- | --- |\n"


def section_page(example: str) -> str:
    """Return the configuration's section in Markdown. `example` is the text of config.example.toml."""
    entries = example_entries(example)
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


def _section(path: str, title: str, kind: Any, entries: Mapping[str, ExampleEntry]) -> str:
    purpose = entries[path].comment if path in entries else ""
    has_free_keys = (kind is not CredentialSpec and not _is_section(kind)) or kind is RateLimit
    rows = _free_rows(path, kind, entries) if has_free_keys else _rows(path, kind, entries)
    return f"### `{title}`\n\n" + (f"{_linked(_escaped(purpose))}\n\n" if purpose else "") + _TABLE + "".join(rows)


def _rows(path: str, kind: Any, entries: Mapping[str, ExampleEntry]) -> Iterator[str]:
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


def _free_rows(path: str, kind: Any, entries: Mapping[str, ExampleEntry]) -> Iterator[str]:
    for name, entry in entries.items():
        if name.startswith(f"{path}."):
            value = _free_value(kind, name.removeprefix(f"{path}."))
            example = f"for example `{entry.value}`" if entry.value else ""
            key = name.removeprefix(f"{path}.")
            inner, _, last = ("", "", key) if key.startswith('"') else key.rpartition(".")
            yield _row(last, value, example, entry.comment, f"[{path}.{inner}]" if inner else "")


def _free_value(kind: Any, name: str) -> str:
    """Return the words for the values of a key that the user may name."""
    if kind is RateLimit:
        return "{ rate = requests per second, burst = a whole number }"
    if name == "allow":
        return "a list of host patterns"
    return "an https URL" if "." in name else "an https URL, or a table of one URL per region"


def _row(key: str, value: str, default: str, purpose: str, table: str = "") -> str:
    """Return the row of a key. `table` is the table that has it, if it isn't that of the section."""
    cells = (f"`{key}` in `{table}`" if table else f"`{key}`", _escaped(value), default, _linked(_escaped(purpose)))
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
