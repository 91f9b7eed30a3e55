"""A cloud that answers any List or Describe operation of an official SDK package from the SDK's own models.

An answer's lists outside of other lists have three items, and a page two of them, if the operation can be paged. The
rest is random, but the same for the same parameters. Requests must be as the SDK sends them: method, path, version,
signature, names of parameters, required ones, page sizes within the bounds that the SDK states.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from crawler.clock import SystemClock
from crawler.emulator import CloudSpec
from crawler.emulator.keyring import Keyring
from crawler.emulator.responses import RefusedError
from crawler.emulator.server.request import ReceivedRequest, decode
from crawler.emulator.server.signature import Verifier
from crawler.emulator.server.sts import TokenService
from tests.support.model_values import ModelValues, plain
from tests.support.official_clients import OfficialCall, official_calls

# Packages that no built-in table was made from: RPC but for cs, which is ROA.
PACKAGES = (
    *("alibabacloud_actiontrail20200706", "alibabacloud_alb20200616", "alibabacloud_cr20181201"),
    *("alibabacloud_cs20151215", "alibabacloud_dds20151201", "alibabacloud_kms20160120", "alibabacloud_nas20170626"),
    *("alibabacloud_r_kvstore20150101", "alibabacloud_slb20140515", "alibabacloud_vpc20160428"),
)
ACCOUNT, REGION = "1000000000000001", "cn-hangzhou"
REGIONS = (REGION, "cn-shanghai", "cn-beijing")
RECORDS, PAGE = 3, 2

# Names in lower case without underscores, of parameters and of fields outside of lists.
NUMBERS = ("page", "pageno", "pagenum", "pagenumber", "pagenumbers", "currentpage")
SIZES = ("pagesize", "maxresults", "maxresult", "maxitems", "limit")
TOKENS = ("nexttoken", "marker", "nextmarker")
TOTALS = ("totalcount", "totalrecordcount", "total", "totalrecords", "totalsize")
ON_PAGE = ("pagerecordcount", "itemscounts", "count")
FLAGS = ("istruncated", "hasmore")


def folded(name: str) -> str:
    return name.lower().replace("_", "")


@dataclass(frozen=True, slots=True)
class ServedList:
    """One list that was asked for: its operation, its parameters without those of paging, and its whole answer."""

    action: str
    parameters: Mapping[str, str]
    answer: Any


@dataclass
class ModelCloud:
    """The operations of one package, and what was asked for. `code`: what `Code` says of success in an answer.

    `edit` may change a page before it is sent: it gets the call, the parameters and the page.
    """

    package: str
    code: str = "200"
    seed: int = 7
    records: int = RECORDS
    edit: Callable[[OfficialCall, Mapping[str, str], Any], Any] = lambda call, parameters, page: page
    lists: dict[tuple[Any, ...], ServedList] = field(default_factory=dict)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    _tokens: dict[str, tuple[tuple[Any, ...], int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = SystemClock()
        spec = CloudSpec(accounts=(ACCOUNT,), regions=(REGION,))
        self.keys = Keyring(spec, clock)
        self.key = self.keys.lasting[ACCOUNT]
        self.calls = official_calls(self.package)
        self._verifier = Verifier(self.keys, clock)
        self._sts = TokenService(spec, self.keys)

    def respond(self, received: ReceivedRequest) -> tuple[int, Any]:
        """Return the status and the JSON of the answer to a request."""
        action = received.header("x-acs-action")
        try:
            key = self._verifier.verify(received)
            parameters = {**received.query(), **received.form()}
            if (action, received.header("x-acs-version")) == ("GetCallerIdentity", "2015-04-01"):
                return 200, self._sts.respond(action, {}, key)
            return 200, self._answer(action, received, parameters)
        except RefusedError as refusal:
            self.refused.append((action, refusal.code, refusal.message))
            return refusal.status, {"RequestId": "0", "Code": refusal.code, "Message": refusal.message}

    def _answer(self, action: str, received: ReceivedRequest, parameters: dict[str, str]) -> Any:
        call = self.calls.get(action)
        path = call.pattern.fullmatch(received.path) if call else None
        if call is None or path is None or call.version != received.header("x-acs-version"):
            raise RefusedError(404, "InvalidAction.NotFound", f"{received.path} isn't a path of {action}.")
        if call.method != received.method:
            raise RefusedError(405, "UnsupportedHTTPMethod", f"{action} is sent as {call.method}.")
        _check_parameters(call, parameters)
        self.requests.append((action, parameters))
        own = {name: value for name, value in parameters.items() if folded(name) not in NUMBERS + SIZES + TOKENS}
        names = re.findall(r"\{(\w+)\}", call.path)
        own |= dict(zip(names, (decode(step) for step in path.groups()), strict=True))
        identity = (action, *sorted(own.items()))
        if identity not in self.lists:
            self.lists[identity] = ServedList(action, own, self._whole(call, identity))
        page = self._page(call, identity, parameters)
        return self.edit(call, parameters, page)

    def _whole(self, call: OfficialCall, identity: tuple[Any, ...]) -> Any:
        values = ModelValues(f"{self.seed} {identity}", self.records)
        asked = {folded(name): value for name, value in identity[1:]}
        answer = with_names(plain(values.make(call.body)), call.action, asked)
        return edited(answer, slice(None), self._fields({}, "", 1, self.records, is_last=True))

    def _page(self, call: OfficialCall, identity: tuple[Any, ...], parameters: Mapping[str, str]) -> Any:
        whole, given = self.lists[identity].answer, {folded(name): value for name, value in parameters.items()}
        if not is_paged(call, whole):
            return whole
        start = 0
        number = next((given[name] for name in NUMBERS if name in given), "")
        token = next((given[name] for name in TOKENS if name in given), "")
        if token:
            if self._tokens.get(token, ("", 0))[0] != identity:
                raise RefusedError(400, "InvalidParameter", "The token isn't one of this list.")
            start = self._tokens[token][1]
        elif number:
            start = (int(number) - 1) * PAGE
        has_next = start + PAGE < self.records
        following = ""
        if has_next and not number:
            following = secrets.token_urlsafe(12)
            self._tokens[following] = (identity, start + PAGE)
        shown = max(0, min(PAGE, self.records - start))
        values = self._fields(given, following, int(number or 1), shown, is_last=not has_next)
        return edited(whole, slice(start, start + PAGE), values)

    def _fields(
        self, given: Mapping[str, str], token: str, number: int, shown: int, *, is_last: bool
    ) -> dict[str, Any]:
        """Return the fields of an answer that say which page it is, by their folded names."""
        size = next((int(given[name]) for name in SIZES if name in given), PAGE)
        return {
            **dict.fromkeys(NUMBERS, number),
            **dict.fromkeys(SIZES, size),
            **dict.fromkeys(TOKENS, token),
            **dict.fromkeys(TOTALS, self.records),
            **dict.fromkeys(ON_PAGE, shown),
            **dict.fromkeys(FLAGS, not is_last),
            **dict.fromkeys(("success", "issuccess"), True),
            "code": self.code,
        }


def _check_parameters(call: OfficialCall, parameters: Mapping[str, str]) -> None:
    names = {re.sub(r"\.\d+", ".N", name): value for name, value in parameters.items()}
    if unknown := sorted(names.keys() - call.query):
        raise RefusedError(400, "InvalidParameter", f"{call.action} has no parameter {unknown[0]}.")
    given = {name.partition(".")[0] for name, value in names.items() if value}
    if missing := sorted(call.required & {name.partition(".")[0] for name in call.query} - given):
        raise RefusedError(400, f"Missing{missing[0]}", f"{missing[0]} is mandatory for this action.")
    for name, value in names.items():
        if folded(name) in NUMBERS + SIZES and not (value.isdigit() and int(value) > 0):
            raise RefusedError(400, "InvalidParameter", f"{name} must be a number.")
        if folded(name) in SIZES and int(value) > (call.bound(name) or int(value)):
            raise RefusedError(400, "InvalidParameter", f"{name} must be at most {call.bound(name)}.")


def is_paged(call: OfficialCall, whole: Any) -> bool:
    """Whether the operation takes a page's number, or takes a token and returns one."""
    names = {folded(name) for name in call.query}
    returned = {folded(name) for name, _ in outside_lists(whole)}
    return bool(names & set(NUMBERS)) or bool(names & set(TOKENS) and returned & set(TOKENS))


def outside_lists(node: Any) -> list[tuple[str, Any]]:
    """Return name and value of all fields that aren't below a list."""
    if not isinstance(node, dict):
        return []
    return [*node.items(), *(found for value in node.values() for found in outside_lists(value))]


def edited(node: Any, shown: slice, values: Mapping[str, Any]) -> Any:
    """Return an answer with a part of each list, and with values in place of the fields of these names."""
    if isinstance(node, list):
        return node[shown]
    if not isinstance(node, dict):
        return node
    page = {}
    for name, value in node.items():
        said = values.get(folded(name))
        if name == "error" and isinstance(value, dict):
            page[name] = None  # of a task that was done; one that failed would look like a refusal
            continue
        if said is None or isinstance(value, dict | list):
            page[name] = edited(value, shown, values)
        else:
            page[name] = _as(type(value), said)
    return page


def _as(kind: type, value: Any) -> Any:
    """Return a value as a field's type has it; a code of success in words is 200 where a number is due."""
    if kind is int and isinstance(value, str) and not value.isdigit():
        return 200
    return kind(value)


def with_names(node: Any, action: str, asked: Mapping[str, str], number: int = 0, own: str = "") -> Any:
    """Return an answer whose texts are those that were asked for, where they have the name of a parameter.

    `own`: the name of a record's own ID, which stays. Region IDs are those of regions; each record of an operation on
    regions has another one.
    """
    if isinstance(node, list):
        return [with_names(item, action, asked, number, own) for number, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    region = REGIONS[number % len(REGIONS)] if re.search("Regions?$", action) else REGION
    texts = {**{name: text for name, text in asked.items() if name != own}, "regionid": region}
    return {
        name: texts.get(folded(name), value)
        if isinstance(value, str)
        else with_names(value, action, asked, number, own=f"{_singular(folded(name))}id")
        for name, value in node.items()
    }


def _singular(name: str) -> str:
    return re.sub("ies$", "y", name) if name.endswith("ies") else name.removesuffix("s")


@asynccontextmanager
async def serve_models(*clouds: ModelCloud) -> AsyncIterator[Sequence[str]]:
    """Serve each cloud on a port of its own, with STS; yield the URLs."""
    runners, urls = [], []
    try:
        for cloud in clouds:
            runner = web.ServerRunner(web.Server(_handler(cloud), access_log=None), shutdown_timeout=0.2)
            runners.append(runner)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield urls
    finally:
        for runner in runners:
            await runner.cleanup()


def _handler(cloud: ModelCloud):
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        received = ReceivedRequest(request.method, request.raw_path, headers, await request.read())
        status, answer = cloud.respond(received)
        return web.Response(status=status, text=json.dumps(answer), content_type="application/json")

    return handle
