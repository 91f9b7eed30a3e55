"""How a configuration file becomes frozen structs: TOML, `${NAME}`, types, and one sentence for whatever is wrong.

What the sections are is `config`'s matter. Each field's `Meta(description=…)` is the sentence's end: what is accepted.
Values are shown as the file writes them, so that nothing from the environment ever is, and not at all where the
caller says that they are secret.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from crawler.errors import ConfigError

KeyPath = tuple[str | int, ...]
T = TypeVar("T", bound=msgspec.Struct)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
_WHOLLY_REFERENCES = re.compile(r"(?:\$\{[A-Za-z_][A-Za-z0-9_]*\})+")
_SECRET_TEXT = re.compile(r"[!-~]+")
_ITEM = re.compile(r"\[(\d+)\]")
_LONGEST_SHOWN = 60
# tomllib takes a time that grows with the square of a dotted key's length: minutes for 200 KB.
_MOST_DOTS = 200
_TEXT_OR_COMMENT = re.compile(r"""#.*|"(?:[^"\\]|\\.)*"|'[^']*'""")


class Secret:
    """A text that shows itself only when asked: `str`, `repr` and f-strings give `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text. For the moment of use only."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret can't be pickled or copied")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: `raw` as it is written, `values` with the environment's variables put in."""

    source: str
    raw: Mapping[str, Any]
    values: Mapping[str, Any]
    is_secret: Callable[[KeyPath], bool]

    def error(self, path: KeyPath, sentence: str) -> ConfigError:
        """The error at a key. `sentence` goes on from the key's name: `is 0, but must be …`."""
        return ConfigError(f"{self.source}: {dotted(path)} {sentence}")

    def refuse(self, path: KeyPath, accepted: str) -> ConfigError:
        """The error of a value that isn't what is accepted there."""
        return self.error(path, f"is {self._found(path)}, but must be {accepted}")

    def is_literal(self, path: KeyPath) -> bool:
        """Whether the file itself, rather than the environment, holds the text at a key (false: nothing is there)."""
        value = _at(self.raw, path)
        return isinstance(value, str) and not _WHOLLY_REFERENCES.fullmatch(value)

    def has_reference(self, path: KeyPath) -> bool:
        """Whether the environment has a part in the text at a key."""
        value = _at(self.raw, path)
        return isinstance(value, str) and "${" in value

    def _found(self, path: KeyPath) -> str:
        """What stands at a key, in words that a message may hold."""
        raw, value = _at(self.raw, path), _at(self.values, path)
        is_secret = self.is_secret(path)
        if isinstance(raw, str) and "${" in raw and (not is_secret or _WHOLLY_REFERENCES.fullmatch(raw)):
            return f"{_shown(raw)}, {'which is empty' if value == '' else 'whose value does not fit'}"
        if value == "":
            return "empty"
        return f"{_kind(value)} that does not fit" if is_secret else _shown(value)


def read_document(
    text: str, *, source: str, environ: Mapping[str, str], is_secret: Callable[[KeyPath], bool]
) -> Document:
    """Parse the text and put in the environment. Raises ConfigError: malformed TOML, an unset or malformed `${NAME}`,
    a key of hundreds of steps.

    `$${` is a literal `${`. A lone `$`, or `$NAME`, is itself.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and _TEXT_OR_COMMENT.sub("", line).count(".") > _MOST_DOTS:
            raise ConfigError(f"{source}: line {number} has a key of more than {_MOST_DOTS} steps: no setting has that")
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: {_why_not_toml(error, text)}") from None
    document = Document(source, raw, raw, is_secret)
    try:
        values = {key: _expanded(document, environ, value, (key,)) for key, value in raw.items()}
    except RecursionError:
        raise ConfigError(f"{source}: its tables are nested too deeply") from None
    return Document(source, raw, values, is_secret)


def convert(document: Document, cls: type[T]) -> T:
    """The document as a struct of structs. Raises ConfigError for the first key or value that doesn't belong."""
    return _table(document, cls, document.values, ())


def dotted(path: KeyPath) -> str:
    """A key path as TOML users write it: `accounts[1].credentials.type`, `rate_limits."fc.ListFunctions".rate`."""
    parts = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            name = part if _BARE_KEY.fullmatch(part) else json.dumps(part)
            parts.append(f".{name[:_LONGEST_SHOWN]}" if parts else name[:_LONGEST_SHOWN])
    return "".join(parts)


def nearest(name: str, known: list[str]) -> str:
    """`did you mean "x"?`, or all that is known where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"


def _table(document: Document, cls: type[T], value: Any, path: KeyPath) -> T:
    if not isinstance(value, Mapping):
        raise document.refuse(path, f"a table, [{dotted(path)}]")
    fields = {field.encode_name: field for field in msgspec.structs.fields(cls)}
    for key in value:
        if key not in fields:
            raise document.error((*path, key), f"isn't a known key: {nearest(key, list(fields))}")
    for name, field in fields.items():
        if field.required and name not in value:
            raise document.error((*path, name), f"is missing: it must be {_accepted(field.type)}")
    return cls(
        **{
            field.name: _field(document, field.type, value[name], (*path, name))
            for name, field in fields.items()
            if name in value
        }
    )


def _field(document: Document, annotation: Any, value: Any, path: KeyPath) -> Any:
    """A field's value: a table, a list or a map of tables, or anything that msgspec can judge by itself."""
    plain = _without_none(annotation)
    origin, args = get_origin(plain), get_args(plain)
    if _is_struct(plain):
        return _table(document, plain, value, path)
    if origin is tuple and _is_struct(args[0]):
        if not isinstance(value, list):
            raise document.refuse(path, f"a list of tables, each under [[{dotted(path)}]]")
        return tuple(_table(document, args[0], item, (*path, index)) for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise document.refuse(path, f"a table, [{dotted(path)}]")
        return {key: _field(document, args[1], item, (*path, key)) for key, item in value.items()}
    try:
        return msgspec.convert(value, annotation, strict=True, dec_hook=_custom)
    except (msgspec.ValidationError, RecursionError) as error:
        item = _ITEM.search(str(error))
        raise document.refuse((*path, int(item[1])) if item else path, _accepted(annotation)) from None


def _custom(cls: type[Any], value: Any) -> Any:
    """msgspec's hook for the types that it doesn't know. No secret of ours has white space or more than ASCII."""
    if cls is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    if cls is Secret and isinstance(value, str) and _SECRET_TEXT.fullmatch(value):
        return Secret(value)
    raise ValueError


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        return options[0] if len(options) == 1 else annotation
    return annotation


def _accepted(annotation: Any) -> str:
    return next(_descriptions(annotation), "of another type")


def _descriptions(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Annotated:
        yield from (meta.description for meta in annotation.__metadata__ if getattr(meta, "description", None))
    for option in get_args(annotation):
        yield from _descriptions(option)


def _expanded(document: Document, environ: Mapping[str, str], value: Any, path: KeyPath) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _replacement(document, environ, match, path), value)
    if isinstance(value, Mapping):
        return {key: _expanded(document, environ, item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(document, environ, item, (*path, index)) for index, item in enumerate(value)]
    return value


def _replacement(document: Document, environ: Mapping[str, str], match: re.Match[str], path: KeyPath) -> str:
    name = match[1]
    if match[0] == "$${":
        return "${"
    if name is None:
        raise document.error(path, "has a ${ without a name and a } after it: write ${NAME}, or $${ for the characters")
    if name not in environ:
        raise document.error(path, f"needs the environment variable {name}, which isn't set")
    return environ[name]


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


def _why_not_toml(error: Exception, text: str) -> str:
    """tomllib's reason and place, without anything that it quotes from the file: that may be part of a secret."""
    said = str(error) if isinstance(error, tomllib.TOMLDecodeError) else ""
    place = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)$", said)
    if place is None:
        return "it isn't TOML that can be read: a value is too long, or nested too deeply"
    last = text.split("\n")
    line, column = (place[1], place[2]) if place[1] else (str(len(last)), str(len(last[-1]) + 1))
    reason = re.sub(r"\s*\(.*\)|'[^']{2,}'|\"[^\"]{2,}\"", "", said[: place.start()]).strip().lower()
    return f"line {line}, column {column} isn't TOML: {reason}"
