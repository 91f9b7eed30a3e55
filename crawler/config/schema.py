"""The JSON Schema of the configuration, by which editors check and complete a file.

msgspec makes it of the sections. TOML has no null, and any text may hold `${NAME}`, which the schema can't judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from crawler.config.example import ExampleEntry, example_entries, example_text
from crawler.config.sections import Settings
from crawler.validation import Secret

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_NULL = {"type": "null"}


def config_schema() -> dict[str, Any]:
    """Return the schema as JSON values. Each key has its purpose and its accepted values as a description."""
    entries = example_entries(example_text())
    (root,), definitions = msgspec.json.schema_components(
        [Settings], schema_hook=_custom, ref_template="#/$defs/{name}"
    )
    sections = {name: _converted(section) for name, section in definitions.items()}
    for name, path in _section_paths(sections).items():
        _describe(sections[name], path, entries)
    for section in sections.values():
        section["description"] = section.get("description", "").split("\n\n")[0]
    settings = sections.pop(root["$ref"].rpartition("/")[2])
    return {"$schema": _DIALECT, **settings, "title": "Configuration of acs-inventory", "$defs": sections}


def _custom(kind: type[Any]) -> dict[str, Any]:
    """The schema of a type that msgspec doesn't know."""
    if kind is Path:
        return {"type": "string", "minLength": 1}
    if issubclass(kind, Secret):
        return {"type": "string", "pattern": r"\A[!-~]+\Z"}
    raise NotImplementedError(kind)


def _converted(node: Any) -> Any:
    """A node of the schema without nulls, with patterns as ECMA-262 has them, and with `${NAME}` in any text."""
    if isinstance(node, list):
        return [_converted(item) for item in node if item != _NULL]
    if not isinstance(node, Mapping):
        return node
    found = {key: _converted(value) for key, value in node.items() if not _is_dropped(key, value)}
    if isinstance(node.get("pattern"), str):
        found["pattern"] = node["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if len(options := found.get("anyOf", ())) == 1:
        del found["anyOf"]
        found = options[0] | found
    return _with_reference(found)


def _is_dropped(key: str, value: Any) -> bool:
    """Whether a keyword says nothing to a user of TOML: the names of classes, null, and sections as values."""
    return (key == "title" and isinstance(value, str)) or (
        key == "default" and (value is None or isinstance(value, Mapping))
    )


def _with_reference(node: dict[str, Any]) -> dict[str, Any]:
    """Accept a text with `${NAME}` in place of a text that must have a form."""
    choices = node.get("enum", ())
    is_choice = len(choices) > 1 and all(isinstance(value, str) for value in choices)
    if not ("pattern" in node or is_choice):
        return node
    outer = {key: node.pop(key) for key in ("description", "default") if key in node}
    return outer | {"anyOf": [node, _REFERENCE]}


def _section_paths(sections: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of each section's definition → its path in the example."""
    found = {target: key for key, value in sections["Settings"]["properties"].items() for target in _targets(value)}
    for name, path in list(found.items()):
        for key, value in sections[name]["properties"].items():
            found |= dict.fromkeys(_targets(value), f"{path}.{key}")
    return found


def _targets(value: Any) -> list[str]:
    """Return the names of the definitions to which a property refers."""
    if isinstance(value, list):
        return [name for item in value for name in _targets(item)]
    if not isinstance(value, Mapping):
        return []
    own = [value["$ref"].rpartition("/")[2]] if "$ref" in value else []
    return own + [name for key, item in value.items() if key != "discriminator" for name in _targets(item)]


def _describe(section: dict[str, Any], path: str, entries: Mapping[str, ExampleEntry]) -> None:
    """Put the purpose of each key, from the example's comments, before the description of its values."""
    for key, value in section["properties"].items():
        comment = entries[f"{path}.{key}"].comment if f"{path}.{key}" in entries else ""
        accepted = value.get("description", "")
        text = ". ".join(part for part in (comment, f"Must be {accepted}" if accepted else "") if part)
        if text:
            value["description"] = f"{text}."
