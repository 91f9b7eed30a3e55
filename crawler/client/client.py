"""One API call: credentials, signature, exchange, error rules and retry. Each attempt is signed again.

This is the only retry layer. A call returns the result of its `read`, or raises the ApiError of its last attempt, whose
type says what the error means.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from crawler.client.clock_skew import SignatureDates
from crawler.client.credentials import Credentials, Provider
from crawler.client.error_parsing import error_from_response
from crawler.client.error_rules import ErrorRules
from crawler.client.rate_limit import LimitRule, TokenBucket, TokenBuckets, throttled_bucket
from crawler.client.request import STS, ApiRequest, RequestBuilder
from crawler.client.request_queue import RequestLane
from crawler.client.retry import Retries, RetryPolicy, RetryQuota
from crawler.client.transport import HttpRequest, HttpResponse
from crawler.errors import ApiError, CredentialsError, FatalError, ReauthError, ResignError, ThrottledError

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class SignedAccount:
    """The account that a call is made for, and the provider of its credentials. `provider` None: no signature."""

    account_id: str
    provider: Provider | None


@dataclass(slots=True)
class RequestCounts:
    """Counts of HTTP attempts. `requests` includes retries."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RequestChannel:
    """The request lane, the token buckets and the retry quota of one operation in one target."""

    lane: RequestLane
    operation: TokenBucket
    product: TokenBucket
    quota: RetryQuota


class RequestLimiter(Protocol):
    """Bounds the requests in flight and decides which starts next."""

    async def acquire(self, lane: RequestLane) -> None:
        """Wait for a slot."""
        ...

    def release(self) -> None:
        """Give the slot back."""
        ...


class Sender(Protocol):
    """Makes one HTTP exchange; `transport.Transport` is the real one."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send once. Raises ApiError."""
        ...


class Client:
    """Calls APIs for all accounts of a crawl. Its clock and its literal secrets are those of the request builder.

    `total` counts the attempts of all calls. `deadline_at`, in monotonic seconds, bounds the waits before retries.
    `fence` is called before each request is sent, and raises an error if none may be sent any more. `success_codes`:
    product → codes in lower case that mean no error.
    """

    def __init__(
        self,
        sender: Sender,
        limiter: RequestLimiter,
        builder: RequestBuilder,
        rules: ErrorRules,
        buckets: TokenBuckets,
        policy: RetryPolicy,
        random: Callable[[], float],
        success_codes: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.clock = builder.clock
        self.secrets = builder.secrets
        self.deadline_at: float | None = None
        self.fence: Callable[[], None] | None = None
        self.total = RequestCounts()
        self._sender = sender
        self._limiter = limiter
        self._builder = builder
        self._rules = rules
        self._buckets = buckets
        self._policy = policy
        self._random = random
        self._success_codes = success_codes or {}
        self._log = structlog.get_logger().bind()
        self._logs_requests = self._log.is_enabled_for(logging.DEBUG)

    @property
    def clock_skew_s(self) -> float:
        """The correction of the local clock in seconds that STS needed."""
        return self.clock.default_s

    def spend_bursts(self) -> None:
        """Begin with empty buckets: another process may have sent all that they allow. Call it before any request."""
        self._buckets.spend(self.clock.monotonic())

    def channel(self, account_id: str, region_id: str, product: str, action: str, depth: int = 0) -> RequestChannel:
        """Return a new channel. It shares its buckets with all other channels of the same keys."""
        operation, whole = self._buckets.pair(account_id, region_id, product, action)
        return RequestChannel(RequestLane((operation, whole), depth), operation, whole, RetryQuota())

    def limit(self, product: str, rule: LimitRule) -> None:
        """Change the limit of a product, see `TokenBuckets.limit`."""
        self._buckets.limit(product, rule)

    def close(self, channel: RequestChannel) -> None:
        """End the use of a channel. Buckets that no channel uses are forgotten once they have recovered."""
        self._buckets.release((channel.operation, channel.product), self.clock.monotonic())

    def call(
        self,
        request: ApiRequest,
        account: SignedAccount,
        channel: RequestChannel,
        read: Callable[[bytes], _Result],
        counts: RequestCounts,
        *,
        has_slot: bool = False,
    ) -> Awaitable[_Result]:
        """Exchange, with a `read` of the body alone: the response is checked for errors first. Await it at once."""

        def read_checked(response: HttpResponse) -> _Result:
            self.check(request.product, response, request.parents)
            return read(response.body)

        return self.exchange(request, account, channel, read_checked, counts, has_slot=has_slot)

    async def exchange(
        self,
        request: ApiRequest,
        account: SignedAccount,
        channel: RequestChannel,
        read: Callable[[HttpResponse], _Result],
        counts: RequestCounts,
        *,
        has_slot: bool = False,
    ) -> _Result:
        """Repeat a request until `read` accepts its response or the policy gives up; return the result of `read`.

        `read` gets a response of any status and must `check` it for an error. Its ApiErrors are retried as those of
        the service are. `has_slot`: the slot of the first attempt was acquired before. Raises ApiError, and the other
        errors of `read`.
        """
        retries = Retries(self._policy, channel.quota)
        dates = SignatureDates(self.clock, request.product == STS)
        while True:
            credentials = await self._enter(account, channel.lane, has_slot=has_slot)
            has_slot = False
            sent_at = self.clock.monotonic()
            try:
                try:
                    if self.fence is not None:
                        self.fence()
                    counts.requests += 1
                    self.total.requests += 1
                    signed = self._builder.build(request, account.account_id, credentials, dates)
                    result = read(await self._sender.send(signed))
                finally:
                    self._limiter.release()
            except ApiError as error:
                if self._logs_requests:
                    self._log_request(request, account, sent_at, error.code)
                self._report_throttling(error, channel, sent_at, counts)
                failure = dates.rejected(error) if isinstance(error, ResignError) else error
                await self._recover(failure, retries, account, credentials)
                counts.retries += 1
                self.total.retries += 1
            else:
                if self._logs_requests:
                    self._log_request(request, account, sent_at, "OK")
                now = self.clock.monotonic()
                if dates.is_news and credentials is not None:
                    dates.accepted()
                channel.operation.succeeded(now)
                channel.product.succeeded(now)
                retries.succeeded()
                return result

    def check(self, product: str, response: HttpResponse, parents: Collection[str] = ()) -> None:
        """Raise the ApiError that a response is, if it is one.

        `parents`: the kinds of the resources that the request names.
        """
        error = error_from_response(
            self._rules,
            product=product,
            parents=parents,
            status=response.status,
            headers=response.headers,
            body=response.body,
            now=self.clock.now,
            success_codes=self._success_codes.get(product, ()),
            hide=self.secrets.hide,
        )
        if error is None:
            return
        if isinstance(error, ResignError):
            error.server_date = response.headers.get("Date", "")
        raise error

    async def _enter(self, account: SignedAccount, lane: RequestLane, *, has_slot: bool) -> Credentials | None:
        """Acquire a slot, with credentials that are valid at this moment.

        A call that waits for credentials holds no slot and queues again: fetching them needs a slot, too. Otherwise
        all calls that waited would leave at the same moment, in addition to those that were let in meanwhile.
        """
        while True:
            if not has_slot:
                await self._wait_for_credentials(account)
                await self._limiter.acquire(lane)
            has_slot = False
            credentials = account.provider.ready() if account.provider else None
            if credentials is not None or account.provider is None:
                return credentials
            self._limiter.release()

    async def _wait_for_credentials(self, account: SignedAccount) -> None:
        """Wait until the account has credentials, renewed where that is due."""
        try:
            if account.provider is not None:
                await account.provider.get()
        except CredentialsError as error:
            raise FatalError("InvalidCredentials", self.secrets.hide(str(error))) from None

    def _log_request(self, request: ApiRequest, account: SignedAccount, sent_at: float, outcome: str) -> None:
        """Log one debug line per request. Paths, queries and headers are never logged."""
        self._log.debug(
            "request",
            product=request.product,
            action=request.action,
            account_id=account.account_id,
            region_id=request.region_id,
            outcome=outcome,
            ms=round((self.clock.monotonic() - sent_at) * 1000),
        )

    def _report_throttling(
        self, error: ApiError, channel: RequestChannel, sent_at: float, counts: RequestCounts
    ) -> None:
        if not isinstance(error, ThrottledError):
            return
        counts.throttled += 1
        self.total.throttled += 1
        bucket = channel.product if throttled_bucket(error) == "product" else channel.operation
        bucket.throttled(self.clock.monotonic(), sent_at, self._hint_s(error))

    def _hint_s(self, error: ApiError) -> float | None:
        """Return the server's hint. None if it is longer than the maximum wait: it fails this call and no other."""
        time_left_s = self._time_left_s()
        longest_s = self._policy.longest_wait_s if time_left_s is None else time_left_s
        return error.retry_after_s if (error.retry_after_s or 0.0) <= longest_s else None

    def _time_left_s(self) -> float | None:
        return None if self.deadline_at is None else self.deadline_at - self.clock.monotonic()

    async def _recover(
        self, error: ApiError, retries: Retries, account: SignedAccount, credentials: Credentials | None
    ) -> None:
        """Wait, or refresh the credentials, before another attempt. Raises `error` to give up."""
        delay_s = retries.next_delay_s(error, self._random, self._time_left_s())
        if delay_s is None:
            raise error
        if isinstance(error, ReauthError):
            await self._refresh(error, account, credentials)
        await self.clock.sleep(delay_s)

    async def _refresh(self, error: ApiError, account: SignedAccount, credentials: Credentials | None) -> None:
        if account.provider is None or credentials is None:
            raise error
        try:
            await account.provider.refresh(credentials)
        except CredentialsError as failure:
            raise FatalError(
                error.code, self.secrets.hide(str(failure)), http_status=error.http_status, request_id=error.request_id
            ) from None
