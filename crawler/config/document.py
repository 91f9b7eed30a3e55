"""Reads a configuration file: TOML with `${NAME}` in its texts, which the environment fills in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

from crawler.errors import ConfigError
from crawler.validation import Document, KeyPath

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")
# tomllib needs time that grows with the square of a dotted key's length: minutes for 200 KB.
_MOST_DOTS = 200
_TEXT_OR_COMMENT = re.compile(r"""#.*|"(?:[^"\\]|\\.)*"|'[^']*'""")


def read_document(
    text: str, *, source: str, environ: Mapping[str, str], is_secret: Callable[[KeyPath], bool]
) -> Document:
    """Parse the text and fill in the environment variables. `$${` is a literal `${`; a lone `$`, or `$NAME`, stays.

    White space around a variable's value is left out: files and secrets of Kubernetes often end with a line break.

    Raises ConfigError: malformed TOML, an unset or malformed `${NAME}`, a key of more than 200 steps.
    """
    return filled_in(parse_document(text, source=source, is_secret=is_secret), environ)


def parse_document(text: str, *, source: str, is_secret: Callable[[KeyPath], bool]) -> Document:
    """Parse the text, with `${NAME}` as written. Raises ConfigError."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and _TEXT_OR_COMMENT.sub("", line).count(".") > _MOST_DOTS:
            raise ConfigError(f"{source}: line {number} has a key of more than {_MOST_DOTS} steps: no setting has that")
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: {_why_not_toml(error, text)}") from None
    return Document(source, raw, raw, is_secret)


def filled_in(document: Document, environ: Mapping[str, str]) -> Document:
    """Return a document as written with its environment variables filled in. Raises ConfigError."""
    try:
        values = {key: _expanded(document, environ, value, (key,)) for key, value in document.raw.items()}
    except RecursionError:
        raise ConfigError(f"{document.source}: its tables are nested too deeply") from None
    return Document(document.source, document.raw, values, document.is_secret)


def referenced(value: Any) -> set[str]:
    """Return the names of all `${NAME}` in a value of the file."""
    if isinstance(value, str):
        return {match[1] for match in _REFERENCE.finditer(value) if match[1]}
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return {name for item in items for name in referenced(item)}


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
    return environ[name].strip()


def _why_not_toml(error: Exception, text: str) -> str:
    """The reason and the place that tomllib gives. Texts that it quotes are removed: they may be part of a secret."""
    said = str(error) if isinstance(error, tomllib.TOMLDecodeError) else ""
    place = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)$", said)
    if place is None:
        return "it isn't TOML that can be read: a value is too long, or nested too deeply"
    last = text.split("\n")
    line, column = (place[1], place[2]) if place[1] else (str(len(last)), str(len(last[-1]) + 1))
    reason = re.sub(r"\s*\(.*\)|'[^']{2,}'|\"[^\"]{2,}\"", "", said[: place.start()]).strip().lower()
    return f"line {line}, column {column} isn't TOML: {reason}"
