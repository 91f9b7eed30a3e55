"""One page of a list: what a request's parameters ask for, cut out of the records."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crawler.emulator.answers import invalid
from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, End, order
from crawler.emulator.faults.effects import PageTweak
from crawler.emulator.tokens import Position, Tokens

Record = Any
NUMBER = Bounds("pageNumber", 1, 2**31 - 1, 1)
START = Position((), 1)


@dataclass(frozen=True, slots=True)
class ServedPage:
    """The records of one page, and what the answer carries beside them."""

    records: list[Record]
    extra: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one page: the parameters, and the identity of the list for its tokens."""

    operation: EmulatedOperation
    query: Mapping[str, str]
    list_id: str
    tweak: PageTweak


def integer(query: Mapping[str, str], bounds: Bounds) -> int:
    """A numeric parameter. Raises `InvalidArgument` where it is not an integer or out of its range."""
    text = query.get(bounds.parameter)
    if text is None:
        return bounds.default
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not bounds.low <= int(text) <= bounds.high:
        raise invalid(f"{bounds.parameter} must be an integer from {bounds.low} to {bounds.high}")
    return int(text)


def page_number(operation: EmulatedOperation, query: Mapping[str, str], list_id: str, tokens: Tokens) -> int:
    """The number of the page that a request asks for, 1 where it says nothing usable: for fault rules.

    A list by version is counted as if no version were missing.
    """
    if operation.paging is EmulatedPaging.TOKEN:
        return (tokens.open(list_id, query.get(operation.token, "")) or START).page
    if operation.paging is EmulatedPaging.NUMBER:
        return _digits(query.get("pageNumber")) or 1
    if operation.paging is EmulatedPaging.VERSION:
        size = _digits(query.get(operation.bounds.parameter)) or operation.bounds.default
        return 1 + max(0, _digits(query.get(operation.token)) - 1) // size
    return 1


def _digits(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else 0


def cut(ask: Ask, records: list[Record], tokens: Tokens) -> ServedPage:
    """The page that was asked for. Raises `InvalidArgument` for a bad size, number or token."""
    operation = ask.operation.turned(ask.query)
    if operation is not ask.operation:
        ask, records = replace(ask, operation=operation), sorted(records, key=lambda record: order(operation, record))
    page = _cut(ask, records, tokens)
    if operation.turn is None or not operation.turn.is_told:
        return page
    told = ask.query.get(operation.turn.parameter) or operation.turn.usual
    return ServedPage(page.records, {**page.extra, operation.turn.parameter: told})


def _cut(ask: Ask, records: list[Record], tokens: Tokens) -> ServedPage:
    if ask.operation.paging is EmulatedPaging.NONE:
        return ServedPage(records, {})
    size = integer(ask.query, _bounds(ask))
    most = size if ask.tweak.rows is None else min(size, ask.tweak.rows)
    if ask.operation.paging is EmulatedPaging.LIMIT:
        return ServedPage(records[:most], {})
    if ask.operation.paging is EmulatedPaging.NUMBER:
        return _numbered(ask, records, size, most)
    if ask.operation.paging is EmulatedPaging.VERSION:
        return _from_version(ask, records, most)
    return _after_token(ask, records, most, tokens)


def _bounds(ask: Ask) -> Bounds:
    bounds = ask.operation.bounds
    return bounds if ask.tweak.caps is None else replace(bounds, high=min(bounds.high, ask.tweak.caps))


def _numbered(ask: Ask, records: list[Record], size: int, most: int) -> ServedPage:
    first = (integer(ask.query, NUMBER) - 1) * size
    rows = records[first : first + size][:most]
    if not ask.operation.total:
        return ServedPage(rows, {})
    return ServedPage(rows, {ask.operation.total: ask.tweak.total if ask.tweak.has_total else len(records)})


def _from_version(ask: Ask, records: list[Record], most: int) -> ServedPage:
    """From the version that was asked for, included; the next page's version is that of its first record."""
    first = integer(ask.query, Bounds(ask.operation.token, 1, 2**31 - 1, 1))
    place: tuple[str | int, ...] = (first,)
    start = bisect_left(records, place, key=lambda record: order(ask.operation, record))
    rows, rest = records[start : start + most], records[start + most :]
    if rest:
        return ServedPage(rows, {ask.operation.next_name: int(rest[0][ask.operation.key[0]])})
    if ask.tweak.is_endless:
        return ServedPage(rows, {ask.operation.next_name: first + max(1, len(rows))})
    return ServedPage(rows, _last(ask.operation))


def _after_token(ask: Ask, records: list[Record], most: int, tokens: Tokens) -> ServedPage:
    token = ask.query.get(ask.operation.token, "")
    position = tokens.open(ask.list_id, token) if token else START
    if position is None:
        raise invalid(f"{ask.operation.token} is not a token of this list")
    start = bisect_right(records, position.after, key=lambda record: order(ask.operation, record))
    rows = records[start : start + most]
    if start + most >= len(records) and not ask.tweak.is_endless:
        return ServedPage(rows, _last(ask.operation))
    after = order(ask.operation, rows[-1]) if rows else position.after
    return ServedPage(rows, {ask.operation.next_name: tokens.seal(ask.list_id, Position(after, position.page + 1))})


def _last(operation: EmulatedOperation) -> dict[str, object]:
    if operation.end is End.ABSENT:
        return {}
    ends: Mapping[End, object] = {End.EMPTY: "", End.NULL: None, End.QUOTES: '""', End.ZERO: 0}
    return {operation.next_name: ends[operation.end]}
