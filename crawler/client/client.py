"""One call: credentials → place → signature → exchange → judgement → retry. Each attempt is signed anew.

This is the only retry layer. A call ends with what `read` made of the answer, or with the ApiError of its last
attempt, whose type says what it means.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Protocol, TypeVar

import structlog

from crawler.client.clock_skew import _LEAST_SKEW_S, _MAX_SKEW_S, CLOCK_WRONG
from crawler.client.credentials import Credentials, Provider
from crawler.client.endpoints import Endpoint, Endpoints
from crawler.client.error_parsing import error_from_response
from crawler.client.error_rules import ErrorRules
from crawler.client.rate_limit import TokenBucket, TokenBuckets, slows
from crawler.client.request import ApiRequest
from crawler.client.request_queue import RequestLane
from crawler.client.retry import Retries, RetryPolicy, RetryQuota
from crawler.client.signing import canonical_query, new_nonce, sign
from crawler.client.transport import HttpRequest, HttpResponse
from crawler.clock import Clock
from crawler.errors import (
    ApiError,
    CredentialsError,
    FatalError,
    ReauthError,
    ResignError,
    ThrottledError,
)

_Result = TypeVar("_Result")


# Those of the targets that are crawled at the same time, not of all.
_MAX_ENDPOINTS = 4096


@dataclass(frozen=True, slots=True)
class SignedAccount:
    """Who calls: the account, and where its credentials come from. `provider` None: the call isn't signed."""

    account_id: str
    provider: Provider | None


@dataclass(slots=True)
class RequestCounts:
    """What calls cost: `requests` are HTTP attempts, retries included."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RequestChannel:
    """The way of one operation in one account and region: its lane, its buckets, its allowance for retries."""

    lane: RequestLane
    operation: TokenBucket
    product: TokenBucket
    quota: RetryQuota


class RequestLimiter(Protocol):
    """Who lets requests go."""

    async def acquire(self, lane: RequestLane) -> None:
        """Wait for a place."""
        ...

    def release(self) -> None:
        """Give the place back."""
        ...


class Sender(Protocol):
    """One HTTP exchange; `transport.Transport` is the real one."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send once. Raises ApiError."""
        ...


class Client:
    """Calls APIs for every account of a crawl."""

    def __init__(
        self,
        sender: Sender,
        gate: RequestLimiter,
        endpoints: Endpoints,
        rules: ErrorRules,
        buckets: TokenBuckets,
        policy: RetryPolicy,
        clock: Clock,
        *,
        timeout_s: float,
        user_agent: str,
        random: Callable[[], float],
    ) -> None:
        self._sender = sender
        self._gate = gate
        self._resolve = lru_cache(_MAX_ENDPOINTS)(endpoints.resolve)
        self._rules = rules
        self._buckets = buckets
        self._policy = policy
        self._clock = clock
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._random = random
        self.clock_skew_s = 0.0
        self.deadline_at: float | None = None
        self.total = RequestCounts()
        self._log = structlog.get_logger().bind()
        self._is_noting = self._log.is_enabled_for(logging.DEBUG)

    def channel(self, account_id: str, region_id: str, product: str, action: str, depth: int = 0) -> RequestChannel:
        """A new channel; its buckets are shared with every other channel of the same keys."""
        operation, whole = self._buckets.pair(account_id, region_id, product, action)
        return RequestChannel(RequestLane((operation, whole), depth), operation, whole, RetryQuota())

    def close(self, channel: RequestChannel) -> None:
        """Nothing more will be asked through the channel: its buckets may be forgotten once they have rested."""
        self._buckets.let_go((channel.operation, channel.product), self._clock.monotonic())

    async def call(
        self,
        request: ApiRequest,
        caller: SignedAccount,
        channel: RequestChannel,
        read: Callable[[bytes], _Result],
        tally: RequestCounts,
        *,
        quick: Callable[[bytes], _Result | None] | None = None,
        has_place: bool = False,
    ) -> _Result:
        """Call until it succeeds or the policy gives up; `read` makes the result of the answer's body.

        `read` may raise ApiErrors of its own, which are retried as the service's are. `quick` is tried before an answer
        is judged: it gives None for a body that isn't beyond doubt an answer without an error. `has_place` says that
        the first attempt's place was taken already. Raises ApiError, and what else `read` raises.
        """
        retries = Retries(self._policy, channel.quota)
        while True:
            credentials = await self._enter(caller, channel.lane, has_place=has_place)
            has_place = False
            sent_at = self._clock.monotonic()
            try:
                try:
                    result = await self._attempt(request, caller, credentials, quick, read, tally)
                finally:
                    self._gate.release()
            except ApiError as error:
                if self._is_noting:
                    self._note(request, caller, sent_at, error.code)
                self._report(error, channel, sent_at, tally)
                await self._recover(error, retries, caller, credentials)
                tally.retries += 1
                self.total.retries += 1
            else:
                if self._is_noting:
                    self._note(request, caller, sent_at, "OK")
                now = self._clock.monotonic()
                channel.operation.succeeded(now)
                channel.product.succeeded(now)
                retries.succeeded()
                return result

    async def _enter(self, caller: SignedAccount, lane: RequestLane, *, has_place: bool) -> Credentials | None:
        """Take a place, with credentials that are good at this moment.

        Whoever has to wait for credentials holds no place meanwhile, and queues again: fetching them needs a place
        too, and what has waited must not leave beside what was let go meanwhile.
        """
        while True:
            if not has_place:
                await self._credentials(caller)
                await self._gate.acquire(lane)
            has_place = False
            credentials = caller.provider.ready() if caller.provider else None
            if credentials is not None or caller.provider is None:
                return credentials
            self._gate.release()

    async def _credentials(self, caller: SignedAccount) -> None:
        """Wait until there are credentials, renewed where that is due."""
        try:
            if caller.provider is not None:
                await caller.provider.get()
        except CredentialsError as error:
            raise FatalError("InvalidCredentials", str(error)) from None

    async def _attempt(
        self,
        request: ApiRequest,
        caller: SignedAccount,
        credentials: Credentials | None,
        quick: Callable[[bytes], _Result | None] | None,
        read: Callable[[bytes], _Result],
        tally: RequestCounts,
    ) -> _Result:
        tally.requests += 1
        self.total.requests += 1
        endpoint = self._resolve(request.product, request.region_id, caller.account_id)
        response = await self._sender.send(self._signed(request, endpoint, credentials))
        if quick is not None and response.status // 100 == 2 and (result := quick(response.body)) is not None:
            return result
        error = error_from_response(
            self._rules,
            product=request.product,
            status=response.status,
            headers=response.headers,
            body=response.body,
            now=self._now(),
        )
        if error is None:
            return read(response.body)
        if isinstance(error, ResignError):
            self._correct_clock(response.headers.get("Date", ""))
        raise error

    def _signed(self, request: ApiRequest, endpoint: Endpoint, credentials: Credentials | None) -> HttpRequest:
        query = canonical_query(request.query)
        body = canonical_query(request.form).encode() if request.form is not None else b""
        method = "GET" if request.form is None else "POST"
        headers = {"accept": "application/json", "user-agent": self._user_agent}
        if request.form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        try:
            signed = sign(
                method,
                endpoint.authority,
                request.path,
                query,
                headers,
                body,
                credentials,
                action=request.action,
                version=request.version,
                now=self._now(),
                nonce=new_nonce(),
            )
        except CredentialsError as error:
            raise FatalError("InvalidCredentials", str(error)) from None
        url = f"{endpoint.url}{request.path}" + (f"?{query}" if query else "")
        return HttpRequest(method, url, signed, body, self._timeout_s)

    def _now(self) -> datetime:
        """The wall clock, corrected by what a service said of it."""
        now = self._clock.now()
        return now + timedelta(seconds=self.clock_skew_s) if self.clock_skew_s else now

    def _correct_clock(self, date: str) -> None:
        """Go by the service's date where a signature was refused and ours differs."""
        try:
            skew_s = (parsedate_to_datetime(date) - self._clock.now()).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        if abs(skew_s) > _MAX_SKEW_S:
            hours = skew_s / 3600
            raise FatalError(CLOCK_WRONG, f"This machine's clock is off by {hours:.1f} hours; set it right.")
        if abs(skew_s - self.clock_skew_s) > _LEAST_SKEW_S:
            self.clock_skew_s = skew_s
            self._log.warning("clock_corrected", skew_s=round(skew_s), reason="this machine's clock is off")

    def _note(self, request: ApiRequest, caller: SignedAccount, sent_at: float, outcome: str) -> None:
        """One line a request for whoever looks into a night: no path, no query, no header."""
        self._log.debug(
            "request",
            product=request.product,
            action=request.action,
            account_id=caller.account_id,
            region_id=request.region_id,
            outcome=outcome,
            ms=round((self._clock.monotonic() - sent_at) * 1000),
        )

    def _report(self, error: ApiError, channel: RequestChannel, sent_at: float, tally: RequestCounts) -> None:
        if not isinstance(error, ThrottledError):
            return
        tally.throttled += 1
        self.total.throttled += 1
        bucket = channel.product if slows(error) == "product" else channel.operation
        bucket.throttled(self._clock.monotonic(), sent_at, self._hint_s(error))

    def _hint_s(self, error: ApiError) -> float | None:
        """How long the server said to wait; None for longer than anyone here would: it fails who got it, no others."""
        time_left_s = self._time_left_s()
        longest_s = self._policy.longest_wait_s if time_left_s is None else time_left_s
        return error.retry_after_s if (error.retry_after_s or 0.0) <= longest_s else None

    def _time_left_s(self) -> float | None:
        return None if self.deadline_at is None else self.deadline_at - self._clock.monotonic()

    async def _recover(
        self, error: ApiError, retries: Retries, caller: SignedAccount, credentials: Credentials | None
    ) -> None:
        """Wait, or refresh, for another attempt. Raises `error` to give up."""
        delay_s = retries.next_delay_s(error, self._random, self._time_left_s())
        if delay_s is None:
            raise error
        if isinstance(error, ReauthError):
            await self._refresh(error, caller, credentials)
        await self._clock.sleep(delay_s)

    async def _refresh(self, error: ApiError, caller: SignedAccount, credentials: Credentials | None) -> None:
        if caller.provider is None or credentials is None:
            raise error
        try:
            await caller.provider.refresh(credentials)
        except CredentialsError as failure:
            raise FatalError(
                error.code, str(failure), http_status=error.http_status, request_id=error.request_id
            ) from None
