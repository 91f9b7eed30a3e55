"""Converts a document of plain values, such as a TOML file, to msgspec Structs. msgspec judges the values.

An error is one sentence in the terms of the file: the key, the value there, and the accepted values. A field's
`Meta(description=…)` names them: it completes the sentence "must be …".
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from crawler.errors import ConfigError, CrawlError

KeyPath = tuple[str | int, ...]
T = TypeVar("T", bound=msgspec.Struct)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_WHOLLY_REFERENCES = re.compile(r"(?:\$\{[A-Za-z_][A-Za-z0-9_]*\})+")
_SECRET_TEXT = re.compile(r"[!-~]+")
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_LONGEST_SHOWN = 60
# The words for the values of a plain type.
_PLAIN: dict[Any, str] = {
    bool: "true or false",
    date: "a date, as in 2026-12-31, without quotes",
    float: "a number",
    int: "a whole number",
    int | float: "a number",
    str: "text, in quotes",
}


class Secret:
    """A text that only `reveal` shows: `str`, `repr` and f-strings give `***`. Pickling and copying are refused."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text. Call it only where the text is used."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret can't be pickled or copied")


class SecretName(Secret):
    """A text that is hidden like a secret, and that opens nothing by itself, such as an access key ID."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. `raw` has the texts as written, `values` with the environment variables of `${NAME}` filled in.

    Messages show a value as written, and no value at a key for which `is_secret` is true.
    """

    source: str
    raw: Mapping[str, Any]
    values: Mapping[str, Any]
    is_secret: Callable[[KeyPath], bool] = lambda _: False
    error_type: type[CrawlError] = ConfigError

    def convert(self, kind: type[T]) -> T:
        """Return the document as a Struct of Structs. Raises `error_type` for the first wrong key or value."""
        try:
            converted: T = _convert(self.values, kind)
        except msgspec.ValidationError as invalid:
            raise self._explain(str(invalid), kind) from None
        return converted

    def error(self, path: KeyPath, sentence: str) -> CrawlError:
        """Return the error about a key. `sentence` continues after the key's name: `is 0, but must be …`."""
        return self.error_type(f"{self.source}: {dotted(path)} {sentence}")

    def refuse(self, path: KeyPath, accepted: str, choices: Sequence[str] = ()) -> CrawlError:
        """Return the error about a value that isn't accepted at its key. It names the nearest of the `choices`."""
        value = _at(self.values, path)
        is_shown = isinstance(value, str) and not self.is_secret(path)
        near = difflib.get_close_matches(value, choices, n=1) if is_shown else []
        hint = f'; did you mean "{near[0]}"?' if near else ""
        return self.error(path, f"is {self._found(path)}, but must be {accepted}{hint}")

    def is_literal(self, path: KeyPath) -> bool:
        """Whether the file itself, and not the environment, holds the text at a key. False if there is no text."""
        value = _at(self.raw, path)
        return isinstance(value, str) and not _WHOLLY_REFERENCES.fullmatch(value)

    def has_reference(self, path: KeyPath) -> bool:
        """Whether the text at a key has a `${NAME}` in it."""
        return "${" in self.text(path)

    def text(self, path: KeyPath) -> str:
        """Return the text at a key as written; "" if there is no text."""
        value = _at(self.raw, path)
        return value if isinstance(value, str) else ""

    def _found(self, path: KeyPath) -> str:
        """The words for the value at a key."""
        raw, value, is_secret = _at(self.raw, path), _at(self.values, path), self.is_secret(path)
        if self.has_reference(path) and (not is_secret or _WHOLLY_REFERENCES.fullmatch(raw)):
            return f"{_shown(raw)}, {'which is empty' if value == '' else 'whose value does not fit'}"
        if value == "":
            return "empty"
        return f"{_kind(value)} that does not fit" if is_secret else _shown(value)

    def _explain(self, message: str, kind: Any) -> CrawlError:
        """The error for msgspec's message. Types and values are followed to the place that ends the message."""
        said, _, place = message.rpartition(" - at `$[0]")
        path: KeyPath = ()
        for name, index in _STEP.findall(place):
            step: str | int = name or index
            if name and name not in _fields(kind):
                return self.refuse((*path, name), accepted(kind), _tags(kind))  # the tag of a union
            if name:
                kind = _fields(kind)[name].type
            elif index != "...":
                step, kind = int(index), _item_type(kind)
            elif get_origin(kind) is dict:  # msgspec doesn't name the key: it is the first with a wrong value
                kind = get_args(kind)[1]
                step = next(key for key, item in _at(self.values, path).items() if not _fits(item, kind))
            else:
                break
            path = (*path, step)
        table = _at(self.values, path)
        if _structs(kind) and isinstance(table, Mapping):
            return self._explain_table(said, kind, table, path)
        if _structs(kind) or get_origin(kind) is dict:
            return self.refuse(path, f"a table, [{dotted(path)}]")
        is_list = bool(_structs(_item_type(kind)))
        return self.refuse(
            path, f"a list of tables, each under [[{dotted(path)}]]" if is_list else accepted(kind), _choices(kind)
        )

    def _explain_table(self, said: str, kind: Any, table: Mapping[str, Any], path: KeyPath) -> CrawlError:
        """The error about a key that is unknown or missing, or that begins the message of a `__post_init__`."""
        known, tag_field = list(_fields(kind)), _structs(kind)[0].__struct_config__.tag_field
        if tag_field:
            known.insert(0, tag_field)
        if tag_field and tag_field not in table:
            return self.error((*path, tag_field), f"is missing: it must be {accepted(kind)}")
        tag = table[tag_field] if tag_field else None
        by_tag = {struct.__struct_config__.tag: _fields(struct) for struct in _structs(kind)}
        for key in table:
            if key not in known:
                return self.error((*path, key), f"isn't a known key: {nearest(key, known)}")
            if key != tag_field and key not in by_tag[tag]:
                others = " or ".join(f'"{other}"' for other, fields in by_tag.items() if key in fields)
                sentence = f'isn\'t used with {tag_field} = "{tag}", only with {others}'
                return self.error((*path, key), f"{sentence}: remove it or change the {tag_field}")
        for key, field in by_tag[tag].items():
            if field.required and key not in table:
                need = f'{tag_field} = "{tag}" needs it' if tag_field else f"it must be {accepted(field.type)}"
                return self.error((*path, key), f"is missing: {need}")
        key, _, sentence = said.partition(" ")
        return self.error((*path, key), sentence)


def dotted(path: KeyPath) -> str:
    """Return a key path as TOML users write it: `accounts[1].name`, `rate_limits."fc.ListFunctions".rate`."""
    parts = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            name = part if _BARE_KEY.fullmatch(part) else json.dumps(part)
            parts.append(f".{name[:_LONGEST_SHOWN]}" if parts else name[:_LONGEST_SHOWN])
    return "".join(parts)


def nearest(name: str, known: list[str]) -> str:
    """Return `did you mean "x"?`, or all known names if none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"


def accepted(kind: Any) -> str:
    """Return the words for the values that a type accepts: its first description, or the tags of a tagged union."""
    if tags := _tags(kind):
        return f"{', '.join(tags[:-1])} or {tags[-1]}, in quotes"
    return next(_descriptions(kind), "") or _plain(kind)


def _plain(kind: Any) -> str:
    """The words for the values of a type without a description."""
    if choices := _choices(kind):
        return " or ".join(f'"{choice}"' for choice in choices)
    if get_origin(kind) in (list, dict):
        return "a list" if get_origin(kind) is list else "a table"
    return _PLAIN.get(kind, "of another type")


def _tags(kind: Any) -> list[str]:
    """The tags of a tagged union."""
    return [str(struct.__struct_config__.tag) for struct in _structs(kind) if struct.__struct_config__.tag]


def _choices(kind: Any) -> list[str]:
    """The texts that a type accepts, if it accepts some texts only."""
    if get_origin(kind) is Literal:
        return [choice for choice in get_args(kind) if isinstance(choice, str)]
    return [choice for option in get_args(kind) for choice in _choices(option)]


def _descriptions(kind: Any) -> Iterator[str]:
    if get_origin(kind) is Annotated:
        yield from (meta.description for meta in kind.__metadata__ if getattr(meta, "description", None))
    for option in get_args(kind):
        yield from _descriptions(option)


def _convert(values: Any, kind: Any) -> Any:
    """Inside a tuple: then each message ends with a path, and a key can't pass for one."""
    return msgspec.convert([values], GenericAlias(tuple, (kind,)), dec_hook=_custom)[0]


def _custom(kind: type[Any], value: Any) -> Any:
    """Convert the types that msgspec doesn't know. No secret of the cloud has white space or non-ASCII characters."""
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    if issubclass(kind, Secret) and isinstance(value, str) and _SECRET_TEXT.fullmatch(value):
        return kind(value)
    raise ValueError


def _fits(value: Any, kind: Any) -> bool:
    try:
        _convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    """The Structs that a field of this type may hold itself, not inside a list or a map."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return [option for option in options if isinstance(option, type) and issubclass(option, msgspec.Struct)]


def _fields(kind: Any) -> dict[str, msgspec.structs.FieldInfo]:
    """The fields of all these Structs by their keys."""
    return {field.encode_name: field for struct in _structs(kind) for field in msgspec.structs.fields(struct)}


def _item_type(kind: Any) -> Any:
    """The type of a list's items. A tuple of anything but TOML tables keeps its own type, which has the description."""
    if get_origin(kind) is list:
        return get_args(kind)[0]
    items = get_args(kind) if get_origin(kind) is tuple else ()
    return items[0] if items and _structs(items[0]) else kind


def _at(root: Any, path: KeyPath) -> Any:
    for part in path:
        try:
            root = root[part]
        except (LookupError, TypeError):
            return None
    return root


def _kind(value: Any) -> str:
    if value in ([], {}):
        return "an empty list" if value == [] else "an empty table"
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "text", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or time")


def _shown(value: Any) -> str:
    if not isinstance(value, str | bool | int | float) or (isinstance(value, int) and abs(value) > 2**64):
        return _kind(value)
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
