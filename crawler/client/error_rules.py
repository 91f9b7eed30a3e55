"""Rules that map an error code to a class of errors, read from files such as `schemas/errors.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

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
from crawler.validation import Document, nearest

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
    """Gives codes a class if product, status, message and parents match. Empty ones match any.

    `parents`: the rule is only for requests below one of these resources, such as `functions`.
    """

    error: type[ApiError]
    codes: tuple[str, ...]
    products: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()
    message: re.Pattern[str] | None = None
    parents: frozenset[str] = frozenset()

    def fits(self, product: str, code: str, message: str, status: int, parents: Collection[str]) -> bool:
        """Whether the rule matches this error. `code` is in lower case, like `codes`."""
        return (
            any(fnmatchcase(code, pattern) for pattern in self.codes)
            and (not self.products or product in self.products)
            and (not self.statuses or status in self.statuses)
            and (self.message is None or self.message.search(message) is not None)
            and (not self.parents or not self.parents.isdisjoint(parents))
        )


@dataclass(frozen=True, slots=True)
class ErrorRules:
    """Rules in the order in which they are tried: the first that matches decides."""

    rules: tuple[ErrorRule, ...] = ()

    def error_type(
        self, product: str, code: str, message: str, status: int, parents: Collection[str] = ()
    ) -> type[ApiError]:
        """Return the class of an error. Without a matching rule the HTTP status decides.

        `parents`: the kinds of the resources that the request names.
        """
        lowered = code.lower()
        for rule in self.rules if code else ():
            if rule.fits(product, lowered, message, status, parents):
                return rule.error
        if status == 429:
            return ThrottledError
        if status == 408 or (status >= 500 and status not in {501, 505}):
            return TransientError
        return DeniedError if status == 403 and not code else FatalError


def load_rules(*paths: Path) -> ErrorRules:
    """Read rule files. The rules of a later file come before those of an earlier one.

    Raises CatalogError with the file's name for an unreadable file and for a key or value that isn't part of a rule.
    """
    return ErrorRules(tuple(rule for path in reversed(paths) for rule in _read_rules(path)))


class _RuleTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(description=f"one of {', '.join(CLASSES)}")] = msgspec.field(name="class")
    codes: Annotated[
        tuple[Annotated[str, Meta(min_length=1)], ...],
        Meta(min_length=1, description="a list of texts, with at least one error code"),
    ]
    products: Annotated[frozenset[str], Meta(description="a list of texts")] = frozenset()
    statuses: Annotated[frozenset[int], Meta(description="a list of whole numbers")] = frozenset()
    message: Annotated[str | None, Meta(description="text: a regular expression")] = None
    parents: Annotated[frozenset[str], Meta(description="a list of texts")] = frozenset()


class _RulesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: tuple[_RuleTable, ...] = ()


def _read_rules(path: Path) -> Iterator[ErrorRule]:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CatalogError(f"{path}: not a readable TOML file: {reason}") from None
    document = Document(str(path), raw, raw, error_type=CatalogError)
    for index, table in enumerate(document.convert(_RulesFile).rules):
        if table.name not in CLASSES:
            raise document.refuse(("rules", index, "class"), f"a class: {nearest(table.name, list(CLASSES))}")
        try:
            message = None if table.message is None else re.compile(table.message, re.IGNORECASE)
        except re.error as error:
            raise document.refuse(("rules", index, "message"), f"a regular expression: {error}") from None
        codes = tuple(code.lower().replace("[", "[[]") for code in table.codes)
        yield ErrorRule(CLASSES[table.name], codes, table.products, table.statuses, message, table.parents)
