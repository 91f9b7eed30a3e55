"""Fakes for tests of the crawler and of programs that use it. The crawler itself never imports this module."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel

from crawler.catalog import schemas_folder
from crawler.client.client import Client, RequestLimiter, Sender
from crawler.client.clock_skew import ClockSkews
from crawler.client.credentials import Credentials
from crawler.client.endpoints import Endpoints, ProductHosts
from crawler.client.error_rules import load_rules
from crawler.client.rate_limit import LimitRule, TokenBuckets
from crawler.client.request import RequestBuilder
from crawler.client.request_queue import RequestLane
from crawler.client.retry import RetryPolicy
from crawler.client.transport import HttpRequest, HttpResponse
from crawler.clock import Clock, SystemClock
from crawler.errors import CredentialsError

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


class FakeClock:
    """A clock that moves only in `sleep` and `advance`. `slept` has every wait in seconds, in order."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self.elapsed_s = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self.start + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.elapsed_s

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`. Moves the time and returns at once."""
        self.slept.append(duration_s)
        self.advance(duration_s)
        await anyio.lowlevel.checkpoint()

    def advance(self, duration_s: float) -> None:
        """Move the time forward."""
        self.elapsed_s += max(0.0, duration_s)


class LoopClock(SystemClock):
    """A clock with the event loop's time for both readings, so that a loop with virtual time controls dates too."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self.start + timedelta(seconds=self.monotonic())


@dataclass(slots=True)
class FakePage:
    """A page whose records are their own keys. `token`, `total` and `more` are as received."""

    keys: Sequence[Hashable | None]
    token: Any = None
    total: Any = None
    more: Any = None
    digests: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        self.digests = [hash(key) for key in self.keys]

    @property
    def seen(self) -> int:
        """The number of records."""
        return len(self.keys)


class FakeGate:
    """A `RequestLimiter` without limits. `held` counts the slots in use, `entered` all that were ever acquired."""

    def __init__(self) -> None:
        self.held = 0
        self.entered = 0

    async def acquire(self, lane: RequestLane) -> None:  # noqa: ARG002 - the protocol's
        """See `RequestLimiter.acquire`."""
        await anyio.lowlevel.checkpoint()
        self.held += 1
        self.entered += 1

    def release(self) -> None:
        """See `RequestLimiter.release`."""
        self.held -= 1


Answer = HttpResponse | Exception


class FakeSender:
    """A `Sender` that answers from a script and repeats its last entry, or that calls a function of the request.

    `sent` has every request. An exception in the script is raised.
    """

    def __init__(self, script: Sequence[Answer] | Callable[[HttpRequest], Answer]) -> None:
        self.sent: list[HttpRequest] = []
        self._script = script

    async def send(self, request: HttpRequest) -> HttpResponse:
        """See `Sender.send`."""
        self.sent.append(request)
        await anyio.lowlevel.checkpoint()
        if callable(self._script):
            answer = self._script(request)
        else:
            answer = self._script[min(len(self.sent), len(self._script)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int = 200, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a response as the transport does."""
    return HttpResponse(status, headers or {}, body)


def client_over(
    sender: Sender,
    hosts: Mapping[str, str],
    *,
    limiter: RequestLimiter | None = None,
    clock: Clock | None = None,
    buckets: TokenBuckets | None = None,
    policy: RetryPolicy | None = None,
    random: float = 0.5,
) -> Client:
    """Return a client that sends through `sender`; `hosts` has a host or URL for each product.

    By default there are no limits, time is a `FakeClock`, and retries follow the default policy. Jitter is always
    `random` of its range. The error rules are those of the package.
    """
    endpoints = Endpoints({product: ProductHosts(host) for product, host in hosts.items()})
    builder = RequestBuilder(endpoints, ClockSkews(clock or FakeClock()), timeout_s=30.0, user_agent="test")
    return Client(
        sender,
        limiter or FakeGate(),
        builder,
        load_rules(schemas_folder() / "errors.toml"),
        buckets or TokenBuckets(LimitRule(1e6, 10**6)),
        policy or RetryPolicy(),
        lambda: random,
    )


class FakeProvider:
    """A provider that can refresh its credentials `refreshable` times."""

    name = "fake"

    def __init__(self, refreshable: int = 0) -> None:
        self.credentials = Credentials("LTAI5tFakeFakeFake1234", "fake-secret")
        self.refreshed = 0
        self._refreshable = refreshable

    async def get(self) -> Credentials:
        """See `Provider.get`."""
        return self.credentials

    def ready(self) -> Credentials | None:
        """See `Provider.ready`."""
        return self.credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Provider.refresh`."""
        await anyio.lowlevel.checkpoint()
        if self.refreshed == self._refreshable:
            raise CredentialsError("the credentials have expired and can't be renewed")
        if stale == self.credentials:
            self.refreshed += 1
            self.credentials = Credentials(f"STS.Fake{self.refreshed}", f"fake-secret-{self.refreshed}", "fake-token")
        return self.credentials
