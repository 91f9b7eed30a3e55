"""The services behind the gateway: return the page of a verified request for a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from crawler.emulator.apis.operation import Bounds, EmulatedOperation, EmulatedPaging
from crawler.emulator.cloud import Cloud
from crawler.emulator.faults.effects import PageFault
from crawler.emulator.records import Item, Parent
from crawler.emulator.responses import JSON, EnvelopeStyle, RefusedError, Response, invalid_argument, to_json
from crawler.emulator.server import opensearch_rules, searchengine_rules
from crawler.emulator.server.opensearch_envelopes import ENVELOPES, EnvelopeContext
from crawler.emulator.server.paging import LAST_PAGE, PageQuery, ServedPage, cut_page, integer
from crawler.emulator.tokens import Tokens

RECORD_FILTERS = {**opensearch_rules.RECORD_FILTERS, **searchengine_rules.RECORD_FILTERS}
COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "prefix": lambda value, wanted: value.startswith(wanted),
    "from": lambda value, wanted: value >= wanted,
    "equal": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
    "part": lambda value, wanted: wanted in re.split("[:/#]", value),  # of an ARN
    "flag": lambda value, wanted: wanted.lower() != "true" or value == "1",
    "same": lambda value, wanted: value.lower() == wanted.lower(),
    "since": lambda value, wanted: int(value or 0) >= int(wanted),
    "until": lambda value, wanted: 0 < int(value or 0) <= int(wanted),  # 0: not yet
    "among": lambda value, wanted: value in orjson.loads(wanted),  # a list as JSON text
}


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A request for an operation, as the gateway passes it to a service."""

    operation: EmulatedOperation
    account: str
    region: str
    parent: Parent
    query: Mapping[str, str]
    request_id: str

    @property
    def list_id(self) -> str:
        """The list's identity for its tokens, which are invalid for other lists. It doesn't contain the page size."""
        pager = {self.operation.bounds.parameter, self.operation.token}
        filters = sorted((name, value) for name, value in self.query.items() if name not in pager)
        return repr((self.account, self.region, self.operation.name, self.parent, filters))


class Service:
    """Serves lists from a cloud."""

    def __init__(self, cloud: Cloud, tokens: Tokens) -> None:
        self._cloud = cloud
        self._tokens = tokens

    def respond(self, call: ReceivedCall, fault: PageFault, next_token: Callable[[str], str]) -> Response:
        """Return one page. `next_token` may replace the next page's token. Raises `RefusedError`."""
        if call.operation.product == "opensearch":
            call = replace(call, operation=opensearch_rules.resolve_operation(call.operation, call.parent, call.query))
        records = self._records(call)
        page = cut_page(PageQuery(call.operation, call.query, call.list_id, fault), records, self._tokens)
        extra = dict(page.extra)
        name, given = call.operation.next_name, page.extra.get(call.operation.next_name)
        if given not in {None, "", '""', 0}:
            token = next_token(str(given))
            extra[name] = int(token) if isinstance(given, int) else token
        if call.operation.request_id:
            extra[call.operation.request_id] = call.request_id
        body = self._envelope(call, ServedPage(page.records, extra), len(records))
        return Response(200, to_json(body), {"Content-Type": JSON})

    def _records(self, call: ReceivedCall) -> list[Item]:
        self._check_parent(call)
        _check_choices(call)
        if call.operation.product == "opensearch":
            opensearch_rules.check(call.operation.action, call.query, is_older=self._cloud.is_older(call.account))
        records = self._cloud.source(call.operation, call.account, call.region, call.parent, call.query)
        for parameter, (field, how) in call.operation.filters.items():
            wanted = call.query.get(parameter)
            if wanted:
                records = [record for record in records if COMPARE[how](_text(record, field), wanted)]
        for parameter, fields in call.operation.hidden_fields.items():
            if call.query.get(parameter, "").lower() == "false":
                records = [{name: record[name] for name in record if name not in fields} for record in records]
        filter_records = RECORD_FILTERS.get(call.operation.name)
        return records if filter_records is None else filter_records(records, call.query)

    def _check_parent(self, call: ReceivedCall) -> None:
        operation, data = call.operation, self._cloud.place(call.account, call.region)
        for parameter in operation.parent_query:
            if not call.query.get(parameter) and parameter not in operation.choices:
                raise invalid_argument(f"{parameter} is required")
        codes = zip(operation.ancestors(call.parent), operation.not_found_codes, strict=False)
        for depth, (name, code) in enumerate(codes):
            if name in data.names:
                continue
            # An unknown function of a known app group is an error with status 200, as its page shows.
            status = 200 if operation.envelope == "function" and depth > 0 else operation.not_found_status
            raise RefusedError(status, code, f"{code.partition('.')[0]} '{name[-1]}' does not exist.")
        if operation.absent_code and call.parent not in data.lists.get(operation.name, {}):
            message = f"There is no {operation.records} of {operation.action} here."
            raise RefusedError(400, operation.absent_code, message)

    def _envelope(self, call: ReceivedCall, page: ServedPage, total: int) -> Any:
        operation = call.operation
        if operation.envelope == "object":
            return page.records[0]
        if operation.envelope == "detail":
            return {operation.records: page.records[0], **page.extra}
        if operation.envelope == "whole":
            return {**page.records[0], **page.extra}
        if operation.envelope in ENVELOPES:
            style = EnvelopeStyle(operation.product, self._cloud.is_older(call.account))
            names = (operation.request_id or "requestId", call.request_id)
            context = EnvelopeContext(page.records, page.extra, total, call.query, style, *names)
            return ENVELOPES[operation.envelope](context)
        if operation.envelope == "sandbox":
            return _sandbox_envelope(call, page)
        key, _, inner = operation.records.partition(".")
        beside = {name: value for name, value in page.extra.items() if inner and name.startswith(f"{key}.")}
        listed = {inner: page.records, **{name.removeprefix(f"{key}."): value for name, value in beside.items()}}
        outside = {name: value for name, value in page.extra.items() if name not in beside}
        return {key: listed if inner else page.records, **outside}


def _sandbox_envelope(call: ReceivedCall, page: ServedPage) -> dict[str, Any]:
    """Wrap a list with a code of success, as the examples of the SDK for Java have it, and with the requested page."""
    operation = call.operation
    body: dict[str, Any] = {
        "code": "200",
        "message": "success",
        "requestId": call.request_id,
        operation.records: page.records,
    }
    if operation.paging is EmulatedPaging.NUMBER:
        body["pageNumber"] = integer(call.query, Bounds(operation.page_parameter, 1, LAST_PAGE, 1))
    return {**body, operation.bounds.parameter: integer(call.query, operation.bounds), **page.extra}


def _check_choices(call: ReceivedCall) -> None:
    operation = call.operation
    needed = [name for parameter, name in operation.required_with.items() if call.query.get(parameter)]
    for parameter in (*operation.required, *needed):
        if not call.query.get(parameter):
            raise invalid_argument(f"{parameter} is required")
    given = {**call.query, **dict(zip(operation.parameters, call.parent, strict=True))}
    choices = dict(operation.choices)
    if (order := operation.order_parameter) is not None:
        choices[order.parameter] = (order.usual, order.other)
    for parameter, accepted in choices.items():
        if given.get(parameter, accepted[0]) not in accepted:
            raise invalid_argument(f"{parameter} must be one of {', '.join(filter(None, accepted))}")


def _text(record: Item, field: str) -> str:
    """Return a field as text for a filter; empty if the item isn't an object."""
    value = record.get(field) if isinstance(record, dict) else None
    return "" if value is None else str(value)
