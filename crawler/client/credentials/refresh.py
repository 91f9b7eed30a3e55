"""Credentials that expire: fetched when needed, renewed before they expire, with a single fetch in flight."""

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

# Renewal starts when a fifth of the lifetime is left, at most 300 s: a request that is signed just before still has
# minutes to arrive, including retries. A fixed 15 minutes would renew a 900 s token at every call.
EARLY_SHARE = 0.2
EARLY_AT_MOST_S = 300.0
# The time from one failed early renewal to the next.
EARLY_RETRY_S = 30.0
# So long a failure is raised for the next callers, too: thousands of scopes must not cause thousands of AssumeRoles.
FAILURE_HELD_S = 5.0
# Credentials that seem expired on arrival are kept so long: probably the local clock is ahead, and the cloud decides.
EXPIRED_ON_ARRIVAL_S = 60.0


class SingleFlight(Generic[T]):
    """Makes one attempt at a time and shares its outcome with all callers that waited for it.

    A caller that is cancelled during its attempt leaves no outcome; the next caller makes an attempt of its own.
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
        """Whether an attempt is in progress."""
        return self._lock.locked()

    async def join(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return the outcome of an attempt that ended after this call began, or of one that failed shortly before.

        Raises a copy of the attempt's CredentialsError.
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
            # A copy has no traceback, which would keep the frames of the attempt alive.
            self._failure, self._failed_at = copy(error), self._clock.monotonic()
        self._landed += 1


class RefreshingProvider:
    """A provider that fetches and renews. Lifetimes are measured with the monotonic clock from the arrival."""

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
        """See `Provider.get`. While the old credentials are valid, only the caller that renews them waits."""
        held, now = self._held, self._clock.monotonic()
        if held is None or now >= self._ends_at:
            return await self._flight.join(self._renew)
        if now < self._early_at or self._flight.is_under_way:
            return held
        self._early_at = now + EARLY_RETRY_S
        try:
            return await self._flight.join(self._renew)
        except CredentialsError:
            # Still valid for some minutes, unless they were rejected meanwhile. The next try is EARLY_RETRY_S later.
            if self._refused == held:
                raise
            return held

    def ready(self) -> Credentials | None:
        """See `Provider.ready`. None also if a renewal is due and not in progress."""
        now = self._clock.monotonic()
        is_renewed = now < self._early_at or self._flight.is_under_way
        return self._held if is_renewed and now < self._ends_at else None

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Provider.refresh`. A late caller with the same stale credentials gets those that were fetched since."""
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
        # Metadata may return the same ones until it rotates them: a fifth of the remaining lifetime is left each time.
        self._early_at = now + life_s - min(EARLY_AT_MOST_S, EARLY_SHARE * life_s)
        self._held, self._ends_at = fetched, now + life_s
        return fetched

    def _life_s(self, fetched: Credentials) -> float:
        left_s = (fetched.expires_at - self._clock.now()).total_seconds() if fetched.expires_at else 0.0
        return left_s if left_s > 0 else EXPIRED_ON_ARRIVAL_S


class DiscoveredProvider:
    """A provider that is found once (in a file, by a chain) and then delegates to the found one."""

    def __init__(self, name: str, find: Callable[[], Awaitable[Provider]], clock: Clock) -> None:
        self._name = name
        self._find = find
        self._flight: SingleFlight[Provider] = SingleFlight(clock)
        self._provider: Provider | None = None

    @property
    def name(self) -> str:
        """See `Provider.name`. Names the found provider, too, once it is found."""
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
