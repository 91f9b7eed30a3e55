"""Proves that a page is exactly in schema: all fields known, all values of their types, no name twice.

Rejected pages are read by the exact path. So the gate may reject too much and must never accept too much.
msgspec rejects other types, text that isn't UTF-8, and lone surrogates. Later checks cover the rest: numbers with more
digits than a float, invalid timestamps, JSON in text, and a name that comes twice in one object, of which msgspec takes
the last.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Union

import msgspec

from crawler.catalog.columns import Column
from crawler.catalog.model import ENVELOPE, Operation, Paging
from crawler.json_bounds import excess_of
from crawler.normalizer.exact_json import parse, toggle_initial_case
from crawler.normalizer.extra import path_name
from crawler.normalizer.fast.structs import INT64, StructTree, Watched, attributes
from crawler.normalizer.fast.variants import SchemaVariant

# Escapes that arro3 0.9 misreads: surrogate pairs, and the escaped backslash that may hide them in embedded JSON.
_MISREAD = re.compile(rb"\\u(?:[dD][89abAB]|005[cC])")


# Fields of an envelope by which `error_parsing` recognizes an error.
_ERROR_FIELDS = frozenset({"code", "success", "errorCode", "errors", "accessDeniedDetail"})
_SCALAR = Union[str, bool, INT64, float, None]  # noqa: UP007 - a type for msgspec
_TOKEN = Union[str, INT64, None]  # noqa: UP007


_encode = msgspec.json.Encoder(
    order="deterministic", enc_hook=lambda number: msgspec.Raw(number.literal.encode())
).encode


# A page may have so many records, or ten times as many as were asked for: a service may ignore the page size that it is
# given. A list without a page size comes whole.
_MOST_RECORDS = 10_000
_TIMES_ASKED = 10
_MOST_UNPAGED = 100_000


def most_records(paging: Paging) -> int:
    """Return how many records a page of a list may have."""
    return max(_MOST_RECORDS, _TIMES_ASKED * paging.limit) if paging.limit_key else _MOST_UNPAGED


# Up to 15 digits: each such decimal has a distinct float, which is written back as the same number.
_NUMBER = r"(?=[^,]{1,16}(?:,|\Z))(?:-(?=[\d.]*[1-9]))?(?:0|[1-9]\d{0,14})(?:\.\d+)?"
_NUMBERS = re.compile(rf"(?:(?:null|{_NUMBER})(?:,|\Z))*".encode())
_ZONE = r"(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
_INSTANT = re.compile(rf"\d{{4}}-\d\d-\d\d[T ]{_TIME}{_ZONE}", re.ASCII)
_TO_ZERO = str.maketrans("123456789", "000000000")


_ENDS = ("", ":00", *(f":00.{'0' * digits}" for digits in range(1, 7)))
_SHAPES = frozenset(f"0000-00-00{between}00:00{end}Z" for between in "T " for end in _ENDS)


def are_numbers(literals: Sequence[Any]) -> bool:
    """Whether JSON literals are null, or numbers without an exponent that a float represents exactly."""
    return _NUMBERS.fullmatch(b",".join(map(bytes, literals))) is not None


def are_timestamps(texts: Sequence[str]) -> bool:
    """Whether texts are valid timestamps with a zone, to the microsecond, away from the ends of the calendar."""
    whole = "".join(texts)
    shape = texts[0].translate(_TO_ZERO)
    is_same = shape in _SHAPES and whole.translate(_TO_ZERO) == shape * len(texts)
    if not is_same and not all(map(_INSTANT.fullmatch, texts)):
        return False
    if is_same and ("T24" in whole or " 24" in whole):  # the end of a day, which newer Python versions accept
        return False
    if min(texts) < "0002" or max(texts) >= "9999":
        return False
    try:
        deque(map(datetime.fromisoformat, texts), maxlen=0)
    except ValueError:  # the 30th of February
        return False
    return True


@dataclass(frozen=True, slots=True)
class UnknownField:
    """An unknown field in one record: its exact path, its general path and its parsed value."""

    path: str
    pattern: str
    value: Any


@dataclass(slots=True)
class GatedPage:
    """A page that is in schema. `texts` are the records as JSON with sorted names, for their digests.

    `found` has the learned fields of each record, and is empty if the variant has none; `unknown` has the paths of
    unknown fields of the envelope. `list_name` is the name of the list as received.
    """

    records: Sequence[Any]
    texts: Sequence[bytes]
    token: Any
    total: Any
    list_name: str
    found: Sequence[Sequence[UnknownField]]
    unknown: Sequence[str]


class SchemaGate:
    """The gate of one operation for one variant of its pages. Making one takes some milliseconds."""

    def __init__(self, operation: Operation, variant: SchemaVariant) -> None:
        paging = operation.paging
        tree = StructTree(variant)
        record = tree.record(operation.columns)
        [name] = operation.records
        self._unknown_envelope = variant.unknown_below(("$",))
        fields: dict[str, Any] = dict.fromkeys(_both({*ENVELOPE, *operation.envelope}), _SCALAR)
        fields |= dict.fromkeys(_both({paging.output_key, paging.total_key} - {""}), _TOKEN)
        fields |= dict.fromkeys(_both({name}), list[record])  # type: ignore[valid-type]
        fields |= dict.fromkeys(self._unknown_envelope, msgspec.Raw)
        self._names = attributes(fields)
        self._decode = msgspec.json.Decoder(tree.define(fields)).decode
        self._most = most_records(paging)
        self._list = (name, toggle_initial_case(name))
        self._lists, self._tokens, self._totals = (
            self._getter(each) for each in (name, paging.output_key, paging.total_key)
        )
        error_fields = [self._names[name] for name in _both(_ERROR_FIELDS) if name in self._names]
        self._error_fields: Callable[[Any], Sequence[Any]] = attrgetter(*error_fields)
        self._no_error = (msgspec.UNSET,) * len(error_fields)
        self.attributes = {c.wire: tree.names[variant.spelled((c.wire,), c)] for c in operation.columns}
        self._learned = tree.learned
        self._checks = [_check(watched) for watched in tree.watched]

    def open(self, body: bytes) -> GatedPage | None:
        """Return the page; None if it isn't in schema, or may be an error.

        Raises msgspec.ValidationError with the reason why a page isn't in schema, and other errors of msgspec and
        Python for bytes that are not JSON.
        """
        if excess_of(body) or (b"\\" in body and _MISREAD.search(body)):
            return None
        answer = self._decode(body)
        one, other = self._lists(answer)
        token, total = _either(self._tokens(answer)), _either(self._totals(answer))
        is_one = (one is msgspec.UNSET) is not (other is msgspec.UNSET)
        if not is_one or token is _TWICE or total is _TWICE:
            return None
        errors = self._error_fields(answer)
        if errors != self._no_error and not all(map(_is_no_error, errors)):
            return None
        records, list_name = (other, self._list[1]) if one is msgspec.UNSET else (one, self._list[0])
        if len(records) > self._most:
            return None
        if records and not all(check(records) for check in self._checks):
            return None
        found = [self._find(record) for record in records] if self._learned else []
        texts = [_encode(record) for record in records]
        setattr(answer, self._names[list_name], [])
        if not has_all(body, [_encode(answer), b"," * max(len(texts) - 1, 0), *texts]):
            return None
        unknown = self._find_unknown(answer) if self._unknown_envelope else ()
        return GatedPage(records, texts, token, total, list_name, found, unknown)

    def _getter(self, name: str) -> Callable[[Any], tuple[Any, Any]]:
        """Return a getter of an envelope's values of a name, in both cases of its first letter."""
        return attrgetter(*(self._names[each] for each in (name, toggle_initial_case(name)))) if name else _nothing

    def _find_unknown(self, answer: Any) -> list[str]:
        found = []
        for name in self._unknown_envelope:
            if (raw := getattr(answer, self._names[name])) is not msgspec.UNSET:
                parse(bytes(raw))
                found.append(f"$.{path_name(name)}")
        return found

    def _find(self, record: Any) -> list[UnknownField]:
        """Return the learned fields of a record, which get their parsed values in the record, to sort their names."""
        found = []
        for learned in self._learned:
            for path, node, attribute in list(learned.found(record)):
                value = parse(bytes(getattr(node, attribute)))
                setattr(node, attribute, value)
                found.append(UnknownField(path, learned.pattern, value))
        return found


_TWICE = object()


def _nothing(_: Any) -> tuple[Any, Any]:
    return None, None


def _is_no_error(value: Any) -> bool:
    """Whether the value of an error field means no error: absent, null, empty or true."""
    return value is True or value in (None, msgspec.UNSET, "")


def _either(pair: tuple[Any, Any]) -> Any:
    """Return the one of two values that is present and not null; `_TWICE` if both are."""
    one, other = pair
    if one is None or one is msgspec.UNSET:
        return None if other is msgspec.UNSET else other
    return one if other is None or other is msgspec.UNSET else _TWICE


def _both(names: Iterable[str]) -> list[str]:
    return [each for name in names for each in (name, toggle_initial_case(name))]


def has_all(received: bytes, parts: Sequence[bytes]) -> bool:
    """Whether these parts of a document have all that was received: a repeated name would be lost.

    JSON that is encoded again is never longer, and has the same length only if nothing is lost. Otherwise quotation
    marks are counted: white space and escapes don't change their number, but each lost name does.
    """
    if len(received.strip()) == sum(map(len, parts)):
        return True
    return _quotes(received) == _quotes(b"".join(parts))


def _quotes(text: bytes) -> int:
    return text.count(b'"') - (text.count(b'\\"') if b"\\" in text else 0)


def _check(watched: Watched) -> Callable[[Sequence[Any]], bool]:
    """Return the check of all values of a location."""
    if watched.column.is_embedded:
        judge: Callable[[Sequence[Any]], bool] = _Embedded(watched.column).are_in_schema
    else:
        judge = are_timestamps if watched.column.kind == "timestamp" else are_numbers

    def check(judge: Callable[[Sequence[Any]], bool], records: Sequence[Any]) -> bool:
        values = watched.values(records)
        return not values or judge(values)

    return partial(check, judge)


class _Embedded:
    """The gate of JSON text in a string."""

    def __init__(self, column: Column) -> None:
        tree = StructTree(SchemaVariant())
        self._decode = msgspec.json.Decoder(tree.embedded(replace(column, is_embedded=False))).decode
        self._checks = [_check(watched) for watched in tree.watched]

    def are_in_schema(self, texts: Sequence[str]) -> bool:
        try:
            found = [self._decode(text) for text in texts]
        except (msgspec.MsgspecError, UnicodeError):
            return False
        if not all(has_all(text.encode(), [_encode(value)]) for text, value in zip(texts, found, strict=True)):
            return False
        values = [value for value in found if value is not None]
        return all(check(values) for check in self._checks)
