"""Cuts the requested page out of a list."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging, LastToken, order
from crawler.emulator.faults.effects import PageFault
from crawler.emulator.records import Item
from crawler.emulator.responses import invalid_argument
from crawler.emulator.tokens import Position, Tokens

START = Position((), 1)
LAST_PAGE = 2**31 - 1
LAST_TOKENS: Mapping[LastToken, object] = {
    LastToken.EMPTY: "",
    LastToken.NULL: None,
    LastToken.QUOTES: '""',
    LastToken.ZERO: 0,
}


@dataclass(frozen=True, slots=True)
class ServedPage:
    """The records of one page, and the additional fields of the response."""

    records: list[Item]
    extra: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A request for one page: the parameters, and the ID of the list for its tokens."""

    operation: EmulatedOperation
    query: Mapping[str, str]
    list_id: str
    fault: PageFault


def integer(query: Mapping[str, str], bounds: Bounds) -> int:
    """Return a numeric parameter. Raises `InvalidArgument` if it isn't an integer or is out of range."""
    text = query.get(bounds.parameter)
    if text is None:
        return bounds.default
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not bounds.low <= int(text) <= bounds.high:
        raise invalid_argument(f"{bounds.parameter} must be an integer from {bounds.low} to {bounds.high}")
    return int(text)


def page_number(operation: EmulatedOperation, query: Mapping[str, str], list_id: str, tokens: Tokens) -> int:
    """Return the requested page number for fault rules; 1 if the request has no valid one.

    For a list by version, the number assumes that no version is missing.
    """
    if operation.paging is EmulatedPaging.TOKEN:
        return (tokens.open(list_id, query.get(operation.token, "")) or START).page
    if operation.paging is EmulatedPaging.NUMBER:
        return _digits(query.get(operation.page_parameter)) or 1
    if operation.paging is EmulatedPaging.VERSION:
        size = _digits(query.get(operation.bounds.parameter)) or operation.bounds.default
        return 1 + max(0, _digits(query.get(operation.token)) - 1) // size
    return 1


def _digits(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else 0


def cut_page(request: PageQuery, records: list[Item], tokens: Tokens) -> ServedPage:
    """Return the requested page. Raises `InvalidArgument` for an invalid size, number or token."""
    operation = request.operation.with_requested_order(request.query)
    if operation is not request.operation:
        request = replace(request, operation=operation)
        records = sorted(records, key=lambda record: order(operation, record))
    page = _cut(request, records, tokens)
    if operation.order_parameter is None or not operation.order_parameter.is_echoed:
        return page
    value = request.query.get(operation.order_parameter.parameter) or operation.order_parameter.usual
    return ServedPage(page.records, {**page.extra, operation.order_parameter.parameter: value})


def _cut(request: PageQuery, records: list[Item], tokens: Tokens) -> ServedPage:
    if request.operation.paging is EmulatedPaging.NONE:
        return ServedPage(records, {})
    size = integer(request.query, _bounds(request))
    most = size if request.fault.rows is None else min(size, request.fault.rows)
    if request.operation.paging is EmulatedPaging.LIMIT:
        return ServedPage(records[:most], {})
    if request.operation.paging is EmulatedPaging.NUMBER:
        return _numbered(request, records, size, most)
    if request.operation.paging is EmulatedPaging.VERSION:
        return _from_version(request, records, most)
    return _after_token(request, records, most, tokens)


def _bounds(request: PageQuery) -> Bounds:
    bounds = request.operation.bounds
    return bounds if request.fault.caps is None else replace(bounds, high=min(bounds.high, request.fault.caps))


def _numbered(request: PageQuery, records: list[Item], size: int, most: int) -> ServedPage:
    number = Bounds(request.operation.page_parameter, 1, LAST_PAGE, 1)
    first = (integer(request.query, number) - 1) * size
    rows = records[first : first + size][:most]
    if not request.operation.total:
        return ServedPage(rows, {})
    return ServedPage(rows, {request.operation.total: request.fault.total_of(records)})


def _from_version(request: PageQuery, records: list[Item], most: int) -> ServedPage:
    """Return the page from the requested version on; the next page's token is the version of its first record."""
    first = integer(request.query, Bounds(request.operation.token, 1, 2**31 - 1, 1))
    key: tuple[str | int, ...] = (first,)
    start = bisect_left(records, key, key=lambda record: order(request.operation, record))
    rows, rest = records[start : start + most], records[start + most :]
    if rest:
        return ServedPage(rows, {request.operation.next_name: int(rest[0][request.operation.key[0]])})
    if request.fault.endless:
        return ServedPage(rows, {request.operation.next_name: first + max(1, len(rows))})
    return ServedPage(rows, _last(request.operation))


def _after_token(request: PageQuery, records: list[Item], most: int, tokens: Tokens) -> ServedPage:
    token = request.query.get(request.operation.token, "")
    position = tokens.open(request.list_id, token) if token else START
    if position is None:
        raise invalid_argument(f"{request.operation.token} is not a token of this list")
    start = bisect_right(records, position.after, key=lambda record: order(request.operation, record))
    rows = records[start : start + most]
    if start + most >= len(records) and not request.fault.endless:
        return ServedPage(rows, _last(request.operation))
    after = order(request.operation, rows[-1]) if rows else position.after
    next_token = tokens.seal(request.list_id, Position(after, position.page + 1))
    return ServedPage(rows, {**_flag(request.operation, is_last=False), request.operation.next_name: next_token})


def _last(operation: EmulatedOperation) -> dict[str, object]:
    flag = _flag(operation, is_last=True)
    if operation.last_token is LastToken.ABSENT:
        return flag
    return {**flag, operation.next_name: LAST_TOKENS[operation.last_token]}


def _flag(operation: EmulatedOperation, *, is_last: bool) -> dict[str, object]:
    return {operation.more: not is_last} if operation.more else {}
