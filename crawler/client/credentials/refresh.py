"""Credentials that run out: fetched when needed, renewed before they end, one fetch in flight however many ask."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from crawler.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from crawler.client.credentials.base import Credentials, Provider
    from crawler.clock import Clock

T = TypeVar("T")

# Renewal starts with a fifth of the life left, but never more than 300 s: a request signed just before it still has
# minutes to arrive, retries included, while a 900 s token isn't renewed at every call, as a fixed 15 minutes would.
EARLY_SHARE = 0.2
EARLY_AT_MOST_S = 300.0
# From one early try that failed to the next.
EARLY_RETRY_S = 30.0
# How long a failure answers for the next callers too: thousands of scopes must not become thousands of AssumeRoles.
FAILURE_HELD_S = 5.0
# What looks expired when it arrives is kept this long: more likely our clock is ahead, and the cloud is the judge.
EXPIRED_ON_ARRIVAL_S = 60.0


class SingleFlight(Generic[T]):
    """One attempt at a time, its outcome shared by all who waited for it.

    A caller that is cancelled in the middle of its attempt leaves no outcome; the next one in line makes its own.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = anyio.Lock()
        self._landed = 0
        self._value: T | None = None
        self._failure: CredentialsError | None = None
        self._failed_at = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether an attempt is being made."""
        return self._lock.locked()

    async def join(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The outcome of an attempt that ended after this call began, or of a failed one not long before.

        Raises the attempt's CredentialsError, as a new one each time.
        """
        landed_before = self._landed
        async with self._lock:
            if self._landed == landed_before and not self._has_just_failed():
                await self._make(attempt)
        if self._failure is not None:
            raise copy(self._failure)
        assert self._value is not None
        return self._value

    def _has_just_failed(self) -> bool:
        return self._failure is not None and self._clock.monotonic() < self._failed_at + FAILURE_HELD_S

    async def _make(self, attempt: Callable[[], Awaitable[T]]) -> None:
        try:
            self._value, self._failure = await attempt(), None
        except CredentialsError as error:
            # A copy is without the traceback, which would keep the frames of the attempt alive.
            self._failure, self._failed_at = copy(error), self._clock.monotonic()
        self._landed += 1


class RefreshingProvider:
    """A provider around one function that fetches. Lives are measured on the monotonic clock from their arrival."""

    def __init__(self, name: str, fetch: Callable[[], Awaitable[Credentials]], clock: Clock) -> None:
        self.name = name
        self._fetch = fetch
        self._clock = clock
        self._flight: SingleFlight[Credentials] = SingleFlight(clock)
        self._held: Credentials | None = None
        self._refused: Credentials | None = None
        self._early_at = 0.0
        self._ends_at = 0.0

    async def get(self) -> Credentials:
        """See `Provider.get`. While the old ones are valid, nobody but the one who renews them waits."""
        held, now = self._held, self._clock.monotonic()
        if held is None or now >= self._ends_at:
            return await self._flight.join(self._renew)
        if now < self._early_at or self._flight.is_under_way:
            return held
        self._early_at = now + EARLY_RETRY_S
        try:
            return await self._flight.join(self._renew)
        except CredentialsError:
            # Good for some minutes yet; the next try is EARLY_RETRY_S away. Unless they were refused meanwhile.
            if self._refused == held:
                raise
            return held

    def ready(self) -> Credentials | None:
        """See `Provider.ready`. None also where a renewal is due that nobody has begun."""
        now = self._clock.monotonic()
        is_renewed = now < self._early_at or self._flight.is_under_way
        return self._held if is_renewed and now < self._ends_at else None

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Provider.refresh`. Callers that come late with the same stale ones get what was fetched meanwhile."""
        if self._held is not None and self._held != stale:
            return await self.get()
        self._refused, self._ends_at = stale, 0.0
        return await self._flight.join(self._renew)

    async def _renew(self) -> Credentials:
        fetched = await self._fetch()
        if fetched == self._refused:
            raise CredentialsError(
                f"{self.name} still hands out the credentials that the cloud refused as expired: "
                "check the clock of this machine, and try again in some minutes"
            )
        now, life_s = self._clock.monotonic(), self._life_s(fetched)
        # Metadata may hand out the same ones until it rotates them: each time a fifth of what is left remains.
        self._early_at = now + life_s - min(EARLY_AT_MOST_S, EARLY_SHARE * life_s)
        self._held, self._ends_at = fetched, now + life_s
        return fetched

    def _life_s(self, fetched: Credentials) -> float:
        left_s = (fetched.expires_at - self._clock.now()).total_seconds() if fetched.expires_at else 0.0
        return left_s if left_s > 0 else EXPIRED_ON_ARRIVAL_S


class DiscoveredProvider:
    """A provider that must first be found (in a file, along a chain), once; from then on it is that one."""

    def __init__(self, name: str, find: Callable[[], Awaitable[Provider]], clock: Clock) -> None:
        self._name = name
        self._find = find
        self._flight: SingleFlight[Provider] = SingleFlight(clock)
        self._provider: Provider | None = None

    @property
    def name(self) -> str:
        """See `Provider.name`. Says what was found, once it is."""
        return self._name if self._provider is None else f"{self._name} ({self._provider.name})"

    async def get(self) -> Credentials:
        """See `Provider.get`."""
        return await (await self._found()).get()

    def ready(self) -> Credentials | None:
        """See `Provider.ready`."""
        return self._provider.ready() if self._provider is not None else None

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Provider.refresh`."""
        return await (await self._found()).refresh(stale)

    async def _found(self) -> Provider:
        if self._provider is None:
            self._provider = await self._flight.join(self._find)
        return self._provider
