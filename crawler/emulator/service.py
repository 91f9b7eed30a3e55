"""The services behind the gateway: a verified request for a list → its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crawler.emulator.answers import JSON, Answer, RefusedError, Style, camel_keys, dump, function_envelope, invalid
from crawler.emulator.cloud import Cloud
from crawler.emulator.effects import PageTweak
from crawler.emulator.operation import Operation
from crawler.emulator.paging import TOKEN, Ask, Page, cut
from crawler.emulator.place import Parent
from crawler.emulator.tokens import Tokens

Record = dict[str, Any]

COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "prefix": lambda value, wanted: value.startswith(wanted),
    "from": lambda value, wanted: value >= wanted,
    "equal": lambda value, wanted: value == wanted,
    "contains": lambda value, wanted: wanted in value,
}
BASIC = ("InstanceName", "FunctionName", "FunctionType", "ModelType", "VersionId", "Status", "Source", "Description")
SIMPLE = (*BASIC, "CreateTime", "Belongs")
NORMAL = (*SIMPLE, "Cron", "CreateParameters", "UsageParameters")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has passed the gateway."""

    operation: Operation
    account: str
    region: str
    parent: Parent
    query: Mapping[str, str]
    request_id: str

    @property
    def list_id(self) -> str:
        """What makes a list that list: a token of one isn't good for another. The page's size isn't part of it."""
        pager = {self.operation.bounds.parameter, TOKEN}
        filters = sorted((name, value) for name, value in self.query.items() if name not in pager)
        return repr((self.account, self.region, self.operation.name, self.parent, filters))


class Service:
    """Serves lists from a cloud."""

    def __init__(self, cloud: Cloud, tokens: Tokens) -> None:
        self._cloud = cloud
        self._tokens = tokens

    def answer(self, call: Call, tweak: PageTweak, next_token: Callable[[str], str]) -> Answer:
        """One page. `next_token` may put another token in place of the one given. Raises `RefusedError`."""
        page = cut(Ask(call.operation, call.query, call.list_id, tweak), self._records(call), self._tokens)
        extra = dict(page.extra)
        if extra.get(TOKEN) not in {None, "", '""'}:
            extra[TOKEN] = next_token(str(extra[TOKEN]))
        return Answer(200, dump(self._envelope(call, Page(page.records, extra))), {"Content-Type": JSON})

    def _records(self, call: Call) -> list[Record]:
        self._check_parent(call)
        _check_choices(call)
        records = self._cloud.source(call.operation, call.account, call.region, call.parent, call.query)
        for parameter, (field, how) in call.operation.filters.items():
            wanted = call.query.get(parameter)
            if wanted:
                records = [record for record in records if COMPARE[how](str(record.get(field) or ""), wanted)]
        source = call.query.get("source", "user")
        if call.operation.select == "source" and source != "all":
            records = [record for record in records if record["Source"] == source]
        return records

    def _check_parent(self, call: Call) -> None:
        names = self._cloud.place(call.account, call.region).names
        for depth, code in enumerate(call.operation.missing, start=1):
            path = call.parent[:depth]
            if (call.operation.product, *path) in names:
                continue
            # A name under an app group that has no such function comes as an error inside a 200, as its page shows.
            status = 200 if call.operation.envelope == "function" and depth == 2 else 404
            raise RefusedError(status, code, f"{code.partition('.')[0]} '{path[-1]}' does not exist.")

    def _envelope(self, call: Call, page: Page) -> Any:
        if call.operation.envelope == "function":
            fields = {"simple": SIMPLE, "detail": None}.get(call.query.get("output", "normal"), NORMAL)
            records = [_only(record, fields) for record in page.records]
            style = Style(call.operation.product, self._cloud.is_older(call.account))
            total = page.extra["totalCount"]
            wire = camel_keys(records) if style.is_older else records
            return function_envelope(wire, total, style, call.request_id)
        key, _, inner = call.operation.records.partition(".")
        records_value: Any = {inner: page.records} if inner else page.records
        body = {key: records_value, **page.extra}
        return {"requestId": call.request_id, **body} if call.operation.envelope == "result" else body


def _check_choices(call: Call) -> None:
    choices = {"fc_version": {"fcVersion": ("", "v2", "v3")}}.get(call.operation.select, {})
    if call.operation.select == "source":
        choices = {"source": ("user", "builtin", "all"), "output": ("normal", "simple", "detail")}
    for parameter, accepted in choices.items():
        if call.query.get(parameter, accepted[0]) not in accepted:
            raise invalid(f"{parameter} must be one of {', '.join(filter(None, accepted))}")


def _only(record: Record, fields: tuple[str, ...] | None) -> Record:
    return record if fields is None else {name: record[name] for name in fields if name in record}
