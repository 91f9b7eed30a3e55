"""Proves that a page is exactly in schema: every field known, every value of its type, nothing twice, nothing odd.

Whatever is refused here is read the slow way, so the gate may refuse too much and must never let too much through.
msgspec lets through neither another type, nor text that is no UTF-8, nor a lone surrogate; what it can't see is looked
at afterwards: numbers with more digits than a float has, instants that are none, JSON inside text, and names that come
twice in one object, of which it takes the last.
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
from crawler.catalog.model import Operation
from crawler.normalizer.exact_json import parse, swap_case
from crawler.normalizer.extra import path_name
from crawler.normalizer.fast.structs import INT64, Tree, Watched, attributes
from crawler.normalizer.fast.variants import SchemaVariant

# Escapes that arro3 0.9 reads wrongly, characters beyond U+FFFF in two halves, and the one that may hide them in text
# that is JSON itself.
_MISREAD = re.compile(rb"\\u(?:[dD][89abAB]|005[cC])")


# What every envelope of these APIs may have beside its list (Alibaba Cloud's references, checked 2026-11-22).
ENVELOPE = frozenset({"requestId", "code", "message", "status", "httpCode", "latency", "success", "hostId"})


# What beside a list may say that the answer is an error, as `classify` reads it.
_TELLING = frozenset({"code", "success", "errorCode", "errors", "accessDeniedDetail"})
_SCALAR = Union[str, bool, INT64, float, None]  # noqa: UP007 - a type for msgspec
_TOKEN = Union[str, INT64, None]  # noqa: UP007


_encode = msgspec.json.Encoder(
    order="deterministic", enc_hook=lambda number: msgspec.Raw(number.literal.encode())
).encode


# Up to 15 digits: each such decimal has a float of its own, which is written back as the same number.
_NUMBER = r"(?=[^,]{1,16}(?:,|\Z))(?:-(?=[\d.]*[1-9]))?(?:0|[1-9]\d{0,14})(?:\.\d+)?"
_NUMBERS = re.compile(rf"(?:(?:null|{_NUMBER})(?:,|\Z))*".encode())
_ZONE = r"(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)"
_INSTANT = re.compile(rf"\d{{4}}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{{1,6}})?{_ZONE}", re.ASCII)
_TO_ZERO = str.maketrans("123456789", "000000000")


_SHAPES = frozenset(
    f"0000-00-00{between}00:00:00{'.' * bool(digits)}{'0' * digits}Z" for between in "T " for digits in range(7)
)


def are_numbers(literals: Sequence[Any]) -> bool:
    """Whether JSON literals are nulls, or numbers that a float holds exactly, written without an exponent."""
    return _NUMBERS.fullmatch(b",".join(map(bytes, literals))) is not None


def are_instants(texts: Sequence[str]) -> bool:
    """Whether texts are instants of the calendar to the microsecond, with their zone, far from its first and last day.

    Most have one shape: it is compared for all at once.
    """
    whole = "".join(texts)
    shape = texts[0].translate(_TO_ZERO)
    is_same = shape in _SHAPES and whole.translate(_TO_ZERO) == shape * len(texts)
    if not is_same and not all(map(_INSTANT.fullmatch, texts)):
        return False
    if is_same and ("T24" in whole or " 24" in whole):  # midnight at the day's end, which newer Pythons take
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
    """A field that nobody knows, in one record: its exact path, its path in general, and its value, parsed."""

    path: str
    pattern: str
    value: Any


@dataclass(slots=True)
class GatedPage:
    """A page that is in schema. `texts` are the records as JSON, their names in order, as digests are made of.

    `found` has the learned fields of each record, and is empty where nothing was learned; `beside` the names beside the
    list that nobody knows. `list_name` is the list's name as received.
    """

    records: Sequence[Any]
    texts: Sequence[bytes]
    token: Any
    total: Any
    list_name: str
    found: Sequence[Sequence[UnknownField]]
    beside: Sequence[str]


class SchemaGate:
    """The gate of one operation for one variant of its pages. Made when first needed: it takes some milliseconds."""

    def __init__(self, operation: Operation, variant: SchemaVariant) -> None:
        paging = operation.paging
        tree = Tree(variant)
        record = tree.record(operation.columns)
        [name] = operation.records
        self._beside = variant.unknown_below(("$",))
        fields: dict[str, Any] = dict.fromkeys(_both({*ENVELOPE, *operation.envelope}), _SCALAR)
        fields |= dict.fromkeys(_both({paging.output_key, paging.total_key} - {""}), _TOKEN)
        fields |= dict.fromkeys(_both({name}), list[record])  # type: ignore[valid-type]
        fields |= dict.fromkeys(self._beside, msgspec.Raw)
        self._names = attributes(fields)
        self._decode = msgspec.json.Decoder(tree.define(fields)).decode
        self._list = (name, swap_case(name))
        self._lists, self._tokens, self._totals = (
            self._getter(each) for each in (name, paging.output_key, paging.total_key)
        )
        telling = [self._names[name] for name in _both(_TELLING) if name in self._names]
        self._telling: Callable[[Any], Sequence[Any]] = attrgetter(*telling)
        self._untold = (msgspec.UNSET,) * len(telling)
        self.attributes = {c.wire: tree.names[variant.spelled((c.wire,), c)] for c in operation.columns}
        self._learned = tree.learned
        self._checks = [_check(watched) for watched in tree.watched]

    def open(self, body: bytes) -> GatedPage | None:
        """The page; None where it isn't in schema, or may be an error.

        Raises msgspec.ValidationError where msgspec says why it isn't, and other errors of msgspec and Python for what
        is no JSON.
        """
        if b"\\" in body and _MISREAD.search(body):
            return None
        answer = self._decode(body)
        one, other = self._lists(answer)
        token, total = _either(self._tokens(answer)), _either(self._totals(answer))
        is_one = (one is msgspec.UNSET) is not (other is msgspec.UNSET)
        if not is_one or token is _TWICE or total is _TWICE:
            return None
        told = self._telling(answer)
        if told != self._untold and not all(map(_is_silent, told)):
            return None
        records, list_name = (other, self._list[1]) if one is msgspec.UNSET else (one, self._list[0])
        if records and not all(check(records) for check in self._checks):
            return None
        found = [self._find(record) for record in records] if self._learned else []
        texts = [_encode(record) for record in records]
        setattr(answer, self._names[list_name], [])
        if not has_all(body, [_encode(answer), b"," * max(len(texts) - 1, 0), *texts]):
            return None
        beside = self._unknown_beside(answer) if self._beside else ()
        return GatedPage(records, texts, token, total, list_name, found, beside)

    def _getter(self, name: str) -> Callable[[Any], tuple[Any, Any]]:
        """What the envelope has under a name in both cases of its first letter."""
        return attrgetter(*(self._names[each] for each in (name, swap_case(name)))) if name else _nothing

    def _unknown_beside(self, answer: Any) -> list[str]:
        found = []
        for name in self._beside:
            if (raw := getattr(answer, self._names[name])) is not msgspec.UNSET:
                parse(bytes(raw))
                found.append(f"$.{path_name(name)}")
        return found

    def _find(self, record: Any) -> list[UnknownField]:
        """A record's learned fields. In the record each becomes what it says, so that its names get in order too."""
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


def _is_silent(value: Any) -> bool:
    """Whether a code, or what says that all went well, says nothing of an error: absent, null, empty or true."""
    return value is True or value in (None, msgspec.UNSET, "")


def _either(pair: tuple[Any, Any]) -> Any:
    """The one of two that is there and not null; `_TWICE` where both are."""
    one, other = pair
    if one is None or one is msgspec.UNSET:
        return None if other is msgspec.UNSET else other
    return one if other is None or other is msgspec.UNSET else _TWICE


def _both(names: Iterable[str]) -> list[str]:
    return [each for name in names for each in (name, swap_case(name))]


def has_all(received: bytes, parts: Sequence[bytes]) -> bool:
    """Whether these parts of a document have all that was received: what had a name twice would have lost one.

    Written anew, JSON is never longer, and as long only where nothing is gone. Else its quotation marks are counted,
    which neither white space nor another escape makes more or fewer: each name that is gone takes its own along.
    """
    if len(received.strip()) == sum(map(len, parts)):
        return True
    return _quotes(received) == _quotes(b"".join(parts))


def _quotes(text: bytes) -> int:
    return text.count(b'"') - (text.count(b'\\"') if b"\\" in text else 0)


def _check(watched: Watched) -> Callable[[Sequence[Any]], bool]:
    """The second look at a place: whether all values there are what they must be."""
    if watched.column.is_embedded:
        judge: Callable[[Sequence[Any]], bool] = _Embedded(watched.column).are_in_schema
    else:
        judge = are_instants if watched.column.kind == "timestamp" else are_numbers

    def check(judge: Callable[[Sequence[Any]], bool], records: Sequence[Any]) -> bool:
        values = watched.values(records)
        return not values or judge(values)

    return partial(check, judge)


class _Embedded:
    """The gate of JSON text inside a string."""

    def __init__(self, column: Column) -> None:
        tree = Tree(SchemaVariant())
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
