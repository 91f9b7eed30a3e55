"""The gateway in front of the services: which operation, whose request, may it pass; then the answer and the log."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from email.utils import format_datetime

from crawler.emulator import directory
from crawler.emulator.answers import JSON, Answer, RefusedError, Style, dump, error_answer, refuse_at_gateway
from crawler.emulator.apis.operation import VERSIONS, EmulatedOperation
from crawler.emulator.apis.operations import find
from crawler.emulator.cloud import Cloud
from crawler.emulator.faults.effects import (
    Body,
    Delay,
    Deny,
    Drop,
    Effect,
    Error,
    HtmlFault,
    Redirect,
    Refuse,
    RepeatToken,
    Throttle,
    tweak,
)
from crawler.emulator.faults.script import Subject
from crawler.emulator.keyring import Key
from crawler.emulator.request_log import LoggedRequest
from crawler.emulator.server.paging import page_number
from crawler.emulator.server.received import Received, decode
from crawler.emulator.server.service import ReceivedCall, Service
from crawler.emulator.server.signature import Verifier, claim_of
from crawler.emulator.server.sts import ACTIONS, UNSIGNED, TokenService
from crawler.emulator.server.throttle import Throttler, throttled
from crawler.emulator.tokens import Tokens

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Listener:
    """One port: the region that it serves (empty: the central services) and the Host headers that reach it."""

    region: str
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send: None is a connection that closes without an answer."""

    answer: Answer | None
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class _Request:
    """A request with what is known of it before anything is checked."""

    received: Received
    listener: Listener
    subject: Subject
    operation: EmulatedOperation | None
    segments: tuple[str, ...]  # of the path, as they came
    request_id: str
    parent: tuple[str, ...] = ()  # the same, decoded
    list_id: str = ""


class Gateway:
    """Handles requests one by one; any number may be under way."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._verifier = Verifier(cloud.keys, cloud.clock)
        self._throttler = Throttler(cloud.spec, cloud.clock)
        self._tokens = Tokens(cloud.spec.seed)
        self._service = Service(cloud, self._tokens)
        self._sts = TokenService(cloud.spec, cloud.keys)
        self._numbers = itertools.count(1)
        self._cycles: dict[tuple[RepeatToken, str], list[str]] = {}

    async def handle(self, received: Received, listener: Listener) -> Reply:
        """The reply to one request, after the waits that the fault script wants."""
        request = self._identify(received, listener)
        effects = self._cloud.faults.effects(request.subject)
        for effect in effects:
            if isinstance(effect, Delay):
                await self._cloud.clock.sleep(effect.seconds)
        if any(isinstance(effect, Refuse) or effect == Drop(when="before") for effect in effects):
            self._note(request, "fault:drop", 0)
            return Reply(None, effects)
        style = Style(request.subject.product, self._cloud.is_older(request.subject.account))
        try:
            answer = self._answer(request, effects)
        except RefusedError as refusal:
            answer = error_answer(refusal, style, request.request_id, received.header("host"))
        self._stamp(answer, request)
        self._note(request, answer.code or "OK", answer.status)
        return Reply(None if Drop(when="after") in effects else answer, effects)

    def _identify(self, received: Received, listener: Listener) -> _Request:
        claim = claim_of(received)
        key = self._cloud.keys.find(claim.key_id) if claim else None
        account = key.account_id if key else ""
        request_id = self._cloud.request_id(next(self._numbers))
        action = _rpc_parameter(received, "x-acs-action", "Action")
        found = find(received.path, action) if listener.region and received.method == "GET" else None
        if found is None:
            subject = Subject(account, listener.region, "", "") if listener.region else _central(received, account)
            return _Request(received, listener, subject, None, (), request_id)
        operation, segments = found
        subject = Subject(account, listener.region, operation.product, operation.action)
        request = _Request(received, listener, subject, operation, segments, request_id)
        try:
            call = self._call(request, operation)
        except RefusedError:
            return request
        page = page_number(operation, call.query, call.list_id, self._tokens)
        return replace(request, subject=replace(subject, page=page), parent=call.parent, list_id=call.list_id)

    def _call(self, request: _Request, operation: EmulatedOperation) -> ReceivedCall:
        account, region, query = request.subject.account, request.subject.region, request.received.query()
        named = [decode(segment) for segment in request.segments]
        parent = (*named, *(query.get(name, "") for name in operation.asks))
        return ReceivedCall(operation, account, region, parent, query, request.request_id)

    def _answer(self, request: _Request, effects: tuple[Effect, ...]) -> Answer:
        received, operation = request.received, request.operation
        if received.header("host") not in request.listener.hosts or not received.target.startswith("/"):
            raise refuse_at_gateway(400, "InvalidHost", "The Host header names another endpoint than this one.")
        if not received.target.isascii():
            raise refuse_at_gateway(400, "InvalidParameter", "The request target isn't percent-encoded.")
        if not request.listener.region:
            return self._answer_central(request, effects)
        if operation is None or (operation.product == "opensearch" and not self._has_opensearch(request)):
            raise refuse_at_gateway(404, "InvalidAction.NotFound", "Specified api is not found.")
        _check_api(received, operation.action, operation.version)
        key = self._verifier.verify(received)
        self._check_account(received, key)
        faulty = _faulty(effects, request.subject, operation.ram)
        if faulty is not None:
            return faulty
        self._throttler.take(key.account_id, request.listener.region, operation.product, operation.action)
        call = self._call(request, operation)
        return self._service.answer(call, tweak(effects), lambda token: self._repeat(token, call.list_id, effects))

    def _answer_central(self, request: _Request, effects: tuple[Effect, ...]) -> Answer:
        """STS, or the resource directory."""
        received, product, action = request.received, request.subject.product, request.subject.action
        is_directory = product == directory.PRODUCT
        if received.path != "/" or received.method not in {"GET", "POST"} or not (is_directory or action in ACTIONS):
            raise refuse_at_gateway(404, "InvalidAction.NotFound", "Specified api is not found.")
        version = directory.VERSION if is_directory else VERSIONS["sts"]
        if _rpc_parameter(received, "x-acs-version", "Version") != version:
            raise refuse_at_gateway(400, "InvalidVersion", "Specified parameter Version is not valid.")
        is_unsigned = action in UNSIGNED and not received.header("authorization")
        key = None if is_unsigned else self._verifier.verify(received)
        faulty = _faulty(effects, request.subject, directory.RAM if is_directory else f"sts:{action}")
        if faulty is not None:
            return faulty
        self._throttler.take(request.subject.account, "", product, action)
        parameters = {**received.query(), **received.form()}
        if is_directory and key is not None:
            body = self._cloud.directory.page(key.account_id, parameters, tweak(effects))
        else:
            body = self._sts.answer(action, parameters, key)
        return Answer(200, dump({"RequestId": request.request_id, **body}), {"Content-Type": JSON})

    def _has_opensearch(self, request: _Request) -> bool:
        return self._cloud.spec.has_opensearch(request.listener.region)

    def _check_account(self, received: Received, key: Key) -> None:
        named = received.header("x-fc-account-id")
        if named not in {"", key.account_id}:
            raise RefusedError(403, "AccessDenied", "X-Fc-Account-Id is another account than the caller's.")

    def _repeat(self, token: str, list_id: str, effects: tuple[Effect, ...]) -> str:
        for effect in effects:
            if isinstance(effect, RepeatToken):
                given = self._cycles.setdefault((effect, list_id), [])
                if len(given) >= effect.cycle:
                    return given[0]
                given.append(token)
        return token

    def _stamp(self, answer: Answer, request: _Request) -> None:
        answer.headers["Date"] = format_datetime(self._cloud.clock.now(), usegmt=True)
        answer.headers["x-acs-request-id"] = request.request_id
        if request.subject.product in {"fc", "fc-open"}:
            answer.headers["x-fc-request-id"] = request.request_id

    def _note(self, request: _Request, outcome: str, status: int) -> None:
        subject, clock = request.subject, self._cloud.clock
        has_query = request.operation is not None or subject.product == directory.PRODUCT
        try:
            query = request.received.query() if has_query else {}
        except RefusedError:
            query = {}
        self._cloud.requests.add(
            LoggedRequest(
                at=clock.now(),
                monotonic_s=clock.monotonic(),
                account=subject.account,
                region=subject.region,
                product=subject.product,
                action=subject.action,
                parent=request.parent,
                query=query,
                page=subject.page,
                outcome=outcome,
                status=status,
            )
        )


def _central(received: Received, account: str) -> Subject:
    """What an RPC request is about: it has no path to tell."""
    action = _rpc_parameter(received, "x-acs-action", "Action")
    if action != directory.ACTION:
        return Subject(account, "", "sts", action)
    number = _rpc_parameter(received, "", "PageNumber")
    return Subject(account, "", directory.PRODUCT, action, directory.page_number(number))


def _rpc_parameter(received: Received, header: str, parameter: str) -> str:
    """An RPC request names its action and version in headers, an unsigned one also in its parameters."""
    try:
        return received.header(header) or received.query().get(parameter) or received.form().get(parameter, "")
    except RefusedError:
        return ""


def _check_api(received: Received, action: str, version: str) -> None:
    if received.header("x-acs-version") != version:
        raise refuse_at_gateway(400, "InvalidVersion", "Specified parameter Version is not valid.")
    if received.header("x-acs-action") != action:
        raise refuse_at_gateway(404, "InvalidAction.NotFound", "x-acs-action is another api than the path's.")


def _faulty(effects: tuple[Effect, ...], subject: Subject, ram: str) -> Answer | None:
    for effect in effects:
        if isinstance(effect, Throttle):
            raise throttled(effect, subject.product)
        if isinstance(effect, Error):
            raise RefusedError(effect.status, effect.code, effect.message)
        if isinstance(effect, Deny):
            raise denied(subject, ram)
        if isinstance(effect, HtmlFault):
            return Answer(effect.status, HTML, {"Content-Type": "text/html"}, "fault:html")
        if isinstance(effect, Body):
            return Answer(effect.status, effect.body, {"Content-Type": effect.content_type}, "fault:body")
        if isinstance(effect, Redirect):
            return Answer(effect.status, b"", {"Location": effect.location}, "fault:redirect")
    return None


def denied(subject: Subject, ram: str) -> RefusedError:
    """403, naming the missing action as each product does."""
    if subject.product in {"fc", "fc-open"}:
        resource = f"acs:fc:{subject.region}:{subject.account}:*"
        return RefusedError(
            403, "AccessDenied", f"the caller is not authorized to perform '{ram}' on resource '{resource}'"
        )
    return refuse_at_gateway(403, "Forbidden.RAM", f"User is not authorized to perform {ram} on the resource.")
