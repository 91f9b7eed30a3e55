"""The services behind the gateway: a verified request for a list → its page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crawler.emulator.answers import JSON, Answer, RefusedError, Style, dump, invalid
from crawler.emulator.apis.operation import EmulatedOperation
from crawler.emulator.cloud import Cloud
from crawler.emulator.data.region import Parent
from crawler.emulator.faults.effects import PageTweak
from crawler.emulator.server import opensearch_rules
from crawler.emulator.server.opensearch_envelopes import ENVELOPES, Around
from crawler.emulator.server.paging import Ask, ServedPage, cut
from crawler.emulator.tokens import Tokens

Record = Any

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
}


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A request that has passed the gateway."""

    operation: EmulatedOperation
    account: str
    region: str
    parent: Parent
    query: Mapping[str, str]
    request_id: str

    @property
    def list_id(self) -> str:
        """What makes a list that list: a token of one isn't good for another. The page's size isn't part of it."""
        pager = {self.operation.bounds.parameter, self.operation.token}
        filters = sorted((name, value) for name, value in self.query.items() if name not in pager)
        return repr((self.account, self.region, self.operation.name, self.parent, filters))


class Service:
    """Serves lists from a cloud."""

    def __init__(self, cloud: Cloud, tokens: Tokens) -> None:
        self._cloud = cloud
        self._tokens = tokens

    def answer(self, call: ReceivedCall, tweak: PageTweak, next_token: Callable[[str], str]) -> Answer:
        """One page. `next_token` may put another token in place of the one given. Raises `RefusedError`."""
        if call.operation.product == "opensearch":
            call = replace(call, operation=opensearch_rules.settled(call.operation, call.parent, call.query))
        records = self._records(call)
        page = cut(Ask(call.operation, call.query, call.list_id, tweak), records, self._tokens)
        extra = dict(page.extra)
        name, given = call.operation.next_name, page.extra.get(call.operation.next_name)
        if given not in {None, "", '""', 0}:
            token = next_token(str(given))
            extra[name] = int(token) if isinstance(given, int) else token
        if call.operation.request_id:
            extra[call.operation.request_id] = call.request_id
        body = self._envelope(call, ServedPage(page.records, extra), len(records))
        return Answer(200, dump(body), {"Content-Type": JSON})

    def _records(self, call: ReceivedCall) -> list[Record]:
        self._check_parent(call)
        _check_choices(call)
        if call.operation.product == "opensearch":
            opensearch_rules.check(call.operation.action, call.query, is_older=self._cloud.is_older(call.account))
        records = self._cloud.source(call.operation, call.account, call.region, call.parent, call.query)
        for parameter, (field, how) in call.operation.filters.items():
            wanted = call.query.get(parameter)
            if wanted:
                records = [record for record in records if COMPARE[how](_text(record, field), wanted)]
        for parameter, fields in call.operation.hides.items():
            if call.query.get(parameter, "").lower() == "false":
                records = [{name: record[name] for name in record if name not in fields} for record in records]
        sift = opensearch_rules.SIFT.get(call.operation.name)
        return records if sift is None else sift(records, call.query)

    def _check_parent(self, call: ReceivedCall) -> None:
        operation, place = call.operation, self._cloud.place(call.account, call.region)
        for depth, (name, code) in enumerate(zip(operation.ancestors(call.parent), operation.missing, strict=False)):
            if name in place.names:
                continue
            # A name under an app group that has no such function comes as an error inside a 200, as its page shows.
            status = 200 if operation.envelope == "function" and depth > 0 else 404
            raise RefusedError(status, code, f"{code.partition('.')[0]} '{name[-1]}' does not exist.")
        if operation.without and call.parent not in place.lists.get(operation.name, {}):
            raise RefusedError(400, operation.without, f"There is no {operation.records} of {operation.action} here.")

    def _envelope(self, call: ReceivedCall, page: ServedPage, total: int) -> Any:
        operation = call.operation
        if operation.envelope == "object":
            return page.records[0]
        if operation.envelope in ENVELOPES:
            style = Style(operation.product, self._cloud.is_older(call.account))
            names = (operation.request_id or "requestId", call.request_id)
            return ENVELOPES[operation.envelope](Around(page.records, page.extra, total, call.query, style, *names))
        key, _, inner = operation.records.partition(".")
        return {key: {inner: page.records} if inner else page.records, **page.extra}


def _check_choices(call: ReceivedCall) -> None:
    operation = call.operation
    needed = [name for parameter, name in operation.needs.items() if call.query.get(parameter)]
    for parameter in (*operation.required, *needed):
        if not call.query.get(parameter):
            raise invalid(f"{parameter} is required")
    given = {**call.query, **dict(zip(operation.parameters, call.parent, strict=True))}
    choices = dict(operation.choices)
    if operation.turn is not None:
        choices[operation.turn.parameter] = (operation.turn.usual, operation.turn.other)
    for parameter, accepted in choices.items():
        if given.get(parameter, accepted[0]) not in accepted:
            raise invalid(f"{parameter} must be one of {', '.join(filter(None, accepted))}")


def _text(record: Record, field: str) -> str:
    """A field as a filter sees it; what isn't an object has none."""
    value = record.get(field) if isinstance(record, dict) else None
    return "" if value is None else str(value)
