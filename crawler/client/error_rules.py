"""The rules that say what an error code means, and the files under `schemas/` that hold them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from crawler.errors import (
    ApiError,
    CatalogError,
    DeniedError,
    FatalError,
    InvalidArgumentError,
    ReauthError,
    ResignError,
    ThrottledError,
    TransientError,
    UnsupportedError,
    VanishedError,
)

_T = TypeVar("_T")

CLASSES: dict[str, type[ApiError]] = {
    "throttle": ThrottledError,
    "transient": TransientError,
    "resign": ResignError,
    "reauth": ReauthError,
    "denied": DeniedError,
    "unsupported": UnsupportedError,
    "vanished": VanishedError,
    "invalid_argument": InvalidArgumentError,
    "fatal": FatalError,
}


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """These codes are of this class, where product, status and message fit. Empty `products` or `statuses`: any."""

    error: type[ApiError]
    codes: tuple[str, ...]
    products: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    message: re.Pattern[str] | None = None

    def fits(self, product: str, code: str, message: str, status: int) -> bool:
        """Whether the rule decides about this error. `code` in lower case, as `codes` are."""
        return (
            any(fnmatchcase(code, pattern) for pattern in self.codes)
            and (not self.products or product in self.products)
            and (not self.statuses or status in self.statuses)
            and (self.message is None or self.message.search(message) is not None)
        )


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """Rules in the order in which they are asked: the first that fits decides."""

    rules: tuple[ErrorRule, ...] = ()

    def error_type(self, product: str, code: str, message: str, status: int) -> type[ApiError]:
        """The class of an error; by its status where no rule knows the code."""
        lowered = code.lower()
        for rule in self.rules if code else ():
            if rule.fits(product, lowered, message, status):
                return rule.error
        if status == 429:
            return ThrottledError
        if status == 408 or (status >= 500 and status not in {501, 505}):
            return TransientError
        return DeniedError if status == 403 and not code else FatalError


def load_rules(*paths: Path) -> ErrorRules:
    """Read rule files; what a later file says comes before what an earlier one says.

    Raises CatalogError, naming the file, where one can't be read or holds anything that isn't a rule.
    """
    return ErrorRules(tuple(rule for path in reversed(paths) for rule in _read_rules(path)))


def _read_rules(path: Path) -> Iterator[ErrorRule]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CatalogError(f"{path}: not a readable TOML file: {reason}") from None
    _known(f"{path}", "key", document, ("rules",))
    rules = _list(f"{path}: rules", document.get("rules", []), dict)
    for number, table in enumerate(rules, 1):
        yield _rule(f"{path}: rule {number}", table)


def _rule(where: str, table: Mapping[str, Any]) -> ErrorRule:
    _known(where, "key", table, ("class", "codes", "products", "statuses", "message"))
    name, message = table.get("class"), table.get("message")
    if not isinstance(name, str):
        raise CatalogError(f"{where}: class is missing or not a text: give one of {', '.join(CLASSES)}")
    if not isinstance(message, str | None):
        raise CatalogError(f"{where}: message is not a text: give a regular expression")
    _known(where, "class", (name,), CLASSES)
    codes = _list(f"{where}: codes", table.get("codes", []), str)
    if not codes or "" in codes:
        raise CatalogError(f"{where}: codes is missing or holds an empty one: name at least one error code")
    try:
        pattern = None if message is None else re.compile(message, re.IGNORECASE)
    except re.error as error:
        raise CatalogError(f"{where}: message is not a regular expression: {error}") from None
    return ErrorRule(
        CLASSES[name],
        tuple(code.lower().replace("[", "[[]") for code in codes),
        frozenset(_list(f"{where}: products", table.get("products", []), str)),
        frozenset(_list(f"{where}: statuses", table.get("statuses", []), int)),
        pattern,
    )


def _known(where: str, what: str, found: Iterable[str], known: Collection[str]) -> None:
    for word in found:
        if word not in known:
            near = get_close_matches(word, known, 1, 0.0)[0]
            raise CatalogError(f"{where}: unknown {what} {word!r}: did you mean {near!r}? Known: {', '.join(known)}")


def _list(where: str, value: object, kind: type[_T]) -> list[_T]:
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise CatalogError(f"{where} must be a list of {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {str: "texts", int: "whole numbers", dict: "tables: write [[rules]]"}
