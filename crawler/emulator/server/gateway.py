"""The gateway in front of the services: routes, authenticates and throttles requests, applies faults, and logs."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from email.utils import format_datetime

from crawler.emulator import directory
from crawler.emulator.apis.operation import GLOBAL, VERSIONS, EmulatedOperation
from crawler.emulator.apis.operations import find
from crawler.emulator.cloud import Cloud
from crawler.emulator.faults import effects as faults
from crawler.emulator.faults.script import RequestIdentity
from crawler.emulator.keyring import Key
from crawler.emulator.request_log import LoggedRequest
from crawler.emulator.responses import (
    JSON,
    EnvelopeStyle,
    RefusedError,
    Response,
    error_response,
    gateway_refusal,
    to_json,
)
from crawler.emulator.server.echo import echo_refusal
from crawler.emulator.server.paging import page_number
from crawler.emulator.server.request import ReceivedRequest, decode
from crawler.emulator.server.service import ReceivedCall, Service
from crawler.emulator.server.signature import Verifier, parse_authorization
from crawler.emulator.server.sts import ACTIONS, UNSIGNED, TokenService
from crawler.emulator.server.throttle import Throttler, throttling_refusal
from crawler.emulator.tokens import Tokens

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


@dataclass(frozen=True, slots=True)
class Listener:
    """One port: the region that it serves (empty: the central services) and the accepted Host headers."""

    region: str
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class GatewayReply:
    """The response to send; None closes the connection without one."""

    response: Response | None
    effects: tuple[faults.Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class _Request:
    """A request with the facts that are known before any check."""

    received: ReceivedRequest
    listener: Listener
    identity: RequestIdentity
    operation: EmulatedOperation | None
    segments: tuple[str, ...]  # of the path, still encoded
    request_id: str
    parent: tuple[str, ...] = ()  # the same, decoded
    list_id: str = ""


class Gateway:
    """Handles requests, any number of them concurrently."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._verifier = Verifier(cloud.keys, cloud.clock)
        self._throttler = Throttler(cloud.spec, cloud.clock)
        self._tokens = Tokens(cloud.spec.seed)
        self._service = Service(cloud, self._tokens)
        self._sts = TokenService(cloud.spec, cloud.keys)
        self._numbers = itertools.count(1)
        self._cycles: dict[tuple[faults.RepeatToken, str], list[str]] = {}

    async def handle(self, received: ReceivedRequest, listener: Listener) -> GatewayReply:
        """Return the reply to one request, after the delays of the fault script."""
        request = self._identify(received, listener)
        effects = self._cloud.faults.effects(request.identity)
        for effect in effects:
            if isinstance(effect, faults.Delay):
                await self._cloud.clock.sleep(effect.seconds)
        is_closed = listener.region in self._cloud.spec.closed_regions
        if is_closed or any(
            isinstance(effect, faults.Refuse) or effect == faults.Drop(when="before") for effect in effects
        ):
            self._log(request, "fault:drop", 0)
            return GatewayReply(None, effects)
        style = EnvelopeStyle(request.identity.product, self._cloud.is_older(request.identity.account))
        try:
            response = self._respond(request, effects)
        except RefusedError as refusal:
            response = error_response(refusal, style, request.request_id, received.header("host"))
        self._add_headers(response, request)
        self._log(request, response.code or "OK", response.status)
        return GatewayReply(None if faults.Drop(when="after") in effects else response, effects)

    def _identify(self, received: ReceivedRequest, listener: Listener) -> _Request:
        authorization = parse_authorization(received)
        key = self._cloud.keys.find(authorization.key_id) if authorization else None
        account = key.account_id if key else ""
        request_id = self._cloud.request_id(next(self._numbers))
        action = _rpc_parameter(received, "x-acs-action", "Action")
        methods = {"GET"} if listener.region else {"GET", "POST"}
        found = find(received.path, action, is_global=not listener.region) if received.method in methods else None
        if found is None:
            identity = RequestIdentity(account, listener.region, "", "")
            if not listener.region:
                identity = _central_request(received, account)
            return _Request(received, listener, identity, None, (), request_id)
        operation, segments = found
        identity = RequestIdentity(account, listener.region or GLOBAL, operation.product, operation.action)
        request = _Request(received, listener, identity, operation, segments, request_id)
        try:
            call = self._call(request, operation)
        except RefusedError:
            return request
        page = page_number(operation, call.query, call.list_id, self._tokens)
        return replace(request, identity=replace(identity, page=page), parent=call.parent, list_id=call.list_id)

    def _call(self, request: _Request, operation: EmulatedOperation) -> ReceivedCall:
        account, region, query = request.identity.account, request.identity.region, request.received.query()
        named = [decode(segment) for segment in request.segments]
        usual = {name: values[0] for name, values in operation.choices.items()}
        parent = (*named, *(query.get(name) or usual.get(name, "") for name in operation.parent_query))
        return ReceivedCall(operation, account, region, parent, query, request.request_id)

    def _respond(self, request: _Request, effects: tuple[faults.Effect, ...]) -> Response:
        received, operation = request.received, request.operation
        if received.header("host") not in request.listener.hosts or not received.target.startswith("/"):
            raise gateway_refusal(400, "InvalidHost", "The Host header names another endpoint than this one.")
        if not received.target.isascii():
            raise gateway_refusal(400, "InvalidParameter", "The request target isn't percent-encoded.")
        if operation is None and not request.listener.region:
            return self._respond_centrally(request, effects)
        region = request.identity.region
        if operation is None or not self._cloud.spec.has_product(operation.product, region):
            raise gateway_refusal(404, "InvalidAction.NotFound", "Specified api is not found.")
        _check_api(received, operation.action, operation.version)
        key = self._verifier.verify(received)
        self._check_account(received, key)
        fault_response = _fault_response(effects, request, operation.ram)
        if fault_response is not None:
            return fault_response
        self._throttler.take(key.account_id, region, operation.product, operation.action)
        call = self._call(request, operation)
        try:
            return self._service.respond(
                call, faults.page_fault(effects), lambda token: self._repeat(token, call.list_id, effects)
            )
        except RefusedError as refusal:
            raise _named_parameter(refusal) if operation.is_global else refusal from None

    def _respond_centrally(self, request: _Request, effects: tuple[faults.Effect, ...]) -> Response:
        """Respond as STS or the resource directory."""
        received, product, action = request.received, request.identity.product, request.identity.action
        is_directory = product == directory.PRODUCT
        if received.path != "/" or received.method not in {"GET", "POST"} or not (is_directory or action in ACTIONS):
            raise gateway_refusal(404, "InvalidAction.NotFound", "Specified api is not found.")
        version = directory.VERSION if is_directory else VERSIONS["sts"]
        if _rpc_parameter(received, "x-acs-version", "Version") != version:
            raise gateway_refusal(400, "InvalidVersion", "Specified parameter Version is not valid.")
        is_unsigned = action in UNSIGNED and not received.header("authorization")
        key = None if is_unsigned else self._verifier.verify(received)
        fault_response = _fault_response(effects, request, directory.ram(action) if is_directory else f"sts:{action}")
        if fault_response is not None:
            return fault_response
        self._throttler.take(request.identity.account, "", product, action)
        parameters = {**received.query(), **received.form()}
        if is_directory and key is not None:
            body = self._cloud.directory.page(action, key.account_id, parameters, faults.page_fault(effects))
        else:
            body = self._sts.respond(action, parameters, key)
        return Response(200, to_json({"RequestId": request.request_id, **body}), {"Content-Type": JSON})

    def _check_account(self, received: ReceivedRequest, key: Key) -> None:
        named = received.header("x-fc-account-id")
        if named not in {"", key.account_id}:
            raise RefusedError(403, "AccessDenied", "X-Fc-Account-Id is another account than the caller's.")

    def _repeat(self, token: str, list_id: str, effects: tuple[faults.Effect, ...]) -> str:
        for effect in effects:
            if isinstance(effect, faults.RepeatToken):
                given = self._cycles.setdefault((effect, list_id), [])
                if len(given) >= effect.cycle:
                    return given[0]
                given.append(token)
        return token

    def _add_headers(self, response: Response, request: _Request) -> None:
        response.headers["Date"] = format_datetime(self._cloud.clock.now(), usegmt=True)
        response.headers["x-acs-request-id"] = request.request_id
        if request.identity.product in {"fc", "fc-open"}:
            response.headers["x-fc-request-id"] = request.request_id

    def _log(self, request: _Request, outcome: str, status: int) -> None:
        identity, clock = request.identity, self._cloud.clock
        has_query = request.operation is not None or identity.product == directory.PRODUCT
        try:
            query = request.received.query() if has_query else {}
        except RefusedError:
            query = {}
        self._cloud.requests.add(
            LoggedRequest(
                at=clock.now(),
                monotonic_s=clock.monotonic(),
                **asdict(identity),
                parent=request.parent,
                query=query,
                outcome=outcome,
                status=status,
            )
        )


def _central_request(received: ReceivedRequest, account: str) -> RequestIdentity:
    """Return the identity of an RPC request, which has no path."""
    action = _rpc_parameter(received, "x-acs-action", "Action")
    if action not in directory.PARAMETERS:
        return RequestIdentity(account, "", "sts", action)
    number = _rpc_parameter(received, "", "PageNumber")
    return RequestIdentity(account, "", directory.PRODUCT, action, directory.page_number(number))


def _rpc_parameter(received: ReceivedRequest, header: str, parameter: str) -> str:
    """Return the action or version of an RPC request: from a header, or from a parameter of an unsigned request."""
    try:
        return received.header(header) or received.query().get(parameter) or received.form().get(parameter, "")
    except RefusedError:
        return ""


def _check_api(received: ReceivedRequest, action: str, version: str) -> None:
    if received.header("x-acs-version") != version:
        raise gateway_refusal(400, "InvalidVersion", "Specified parameter Version is not valid.")
    if received.header("x-acs-action") != action:
        raise gateway_refusal(404, "InvalidAction.NotFound", "x-acs-action is another api than the path's.")


def _fault_response(effects: tuple[faults.Effect, ...], request: _Request, ram: str) -> Response | None:
    identity = request.identity
    for effect in effects:
        if isinstance(effect, faults.Throttle | faults.Error | faults.Deny):
            refusal = _refusal_of(effect, identity, ram)
            refusal.is_xml = effect.form == "xml"
            raise refusal
        if isinstance(effect, faults.Echo):
            raise echo_refusal(effect, request.received)
        if isinstance(effect, faults.HtmlFault):
            return Response(effect.status, HTML, {"Content-Type": "text/html"}, "fault:html")
        if isinstance(effect, faults.Body):
            return Response(effect.status, effect.body, {"Content-Type": effect.content_type}, "fault:body")
        if isinstance(effect, faults.Redirect):
            return Response(effect.status, b"", {"Location": effect.location}, "fault:redirect")
    return None


def _named_parameter(refusal: RefusedError) -> RefusedError:
    """Return the refusal of a parameter as RAM names it: its code ends with the parameter."""
    if refusal.code != "InvalidArgument":
        return refusal
    name = refusal.message.partition(" ")[0]
    return RefusedError(400, f"InvalidParameter.{name}", f'The parameter - "{name}" is incorrect: {refusal.message}.')


def _refusal_of(
    effect: faults.Throttle | faults.Error | faults.Deny, identity: RequestIdentity, ram: str
) -> RefusedError:
    if isinstance(effect, faults.Throttle):
        return throttling_refusal(effect, identity.product)
    if isinstance(effect, faults.Error):
        return RefusedError(effect.status, effect.code, effect.message)
    return access_refusal(identity, ram)


def access_refusal(identity: RequestIdentity, ram: str) -> RefusedError:
    """Return a 403 that names the missing action in the product's own words."""
    if identity.product in {"fc", "fc-open"}:
        resource = f"acs:fc:{identity.region}:{identity.account}:*"
        message = f"the caller is not authorized to perform '{ram}' on resource '{resource}'"
        return RefusedError(403, "AccessDenied", message)
    if identity.product == "ram":
        return RefusedError(403, "NoPermission", f"You are not authorized to do this action. Action: {ram}.")
    return gateway_refusal(403, "Forbidden.RAM", f"User is not authorized to perform {ram} on the resource.")
