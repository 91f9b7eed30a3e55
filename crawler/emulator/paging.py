"""One page of a list: what a request's parameters ask for, cut out of the records."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crawler.emulator.answers import invalid
from crawler.emulator.effects import PageTweak
from crawler.emulator.operation import Bounds, End, Operation, Paging, order
from crawler.emulator.tokens import Position, Tokens

Record = dict[str, Any]
TOKEN = "nextToken"  # noqa: S105 - the name of a parameter
NUMBER = Bounds("pageNumber", 1, 2**31 - 1, 1)
START = Position((), 1)


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page, and what the answer carries beside them."""

    records: list[Record]
    extra: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for one page: the parameters, and the identity of the list for its tokens."""

    operation: Operation
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


def page_number(operation: Operation, query: Mapping[str, str], list_id: str, tokens: Tokens) -> int:
    """The number of the page that a request asks for, 1 where it says nothing usable: for fault rules."""
    if operation.paging is Paging.TOKEN:
        return (tokens.open(list_id, query.get(TOKEN, "")) or START).page
    text = query.get("pageNumber", "") if operation.paging is Paging.NUMBER else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 1


def cut(ask: Ask, records: list[Record], tokens: Tokens) -> Page:
    """The page that was asked for. Raises `InvalidArgument` for a bad size, number or token."""
    if ask.operation.paging is Paging.NONE:
        return Page(records, {})
    size = integer(ask.query, _bounds(ask))
    most = size if ask.tweak.rows is None else min(size, ask.tweak.rows)
    if ask.operation.paging is Paging.LIMIT:
        return Page(records[:most], {})
    if ask.operation.paging is Paging.NUMBER:
        return _numbered(ask, records, size, most)
    return _after_token(ask, records, most, tokens)


def _bounds(ask: Ask) -> Bounds:
    bounds = ask.operation.bounds
    return bounds if ask.tweak.caps is None else replace(bounds, high=min(bounds.high, ask.tweak.caps))


def _numbered(ask: Ask, records: list[Record], size: int, most: int) -> Page:
    first = (integer(ask.query, NUMBER) - 1) * size
    total = ask.tweak.total if ask.tweak.has_total else len(records)
    return Page(records[first : first + size][:most], {"totalCount": total})


def _after_token(ask: Ask, records: list[Record], most: int, tokens: Tokens) -> Page:
    token = ask.query.get(TOKEN, "")
    position = tokens.open(ask.list_id, token) if token else START
    if position is None:
        raise invalid(f"{TOKEN} is not a token of this list")
    start = bisect_right(records, position.after, key=lambda record: order(ask.operation, record))
    rows = records[start : start + most]
    if start + most >= len(records) and not ask.tweak.is_endless:
        return Page(rows, _last(ask.operation.end))
    after = order(ask.operation, rows[-1]) if rows else position.after
    return Page(rows, {TOKEN: tokens.seal(ask.list_id, Position(after, position.page + 1))})


def _last(end: End) -> dict[str, object]:
    if end is End.ABSENT:
        return {}
    return {TOKEN: {End.EMPTY: "", End.NULL: None, End.QUOTES: '""'}[end]}
