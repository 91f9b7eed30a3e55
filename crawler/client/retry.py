"""Decides whether and when to retry: attempts, full jitter, the server's hints, and a quota against retry storms.

No I/O, no clock, no sleeping. `RetryPolicy` is the rule, `RetryQuota` is shared by all calls of a channel, `Retries`
counts the attempts of one call:

    retries = Retries(policy, quota)
    … on an error:   delay_s = retries.next_delay_s(error, random)     # None: raise the error
    … on a response: retries.succeeded()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crawler.errors import ApiError, ReauthError, ResignError, ThrottledError, TransientError

BASE_DELAY_S = 0.5
LONGEST_JITTER_ON_HINT_S = 5.0
LONGEST_RESIGN_DELAY_S = 0.1
# If a second signature or token is rejected for the same reason, more of them won't help.
REPEATS = 2
QUOTA = 500
THROTTLE_COST = 5
TRANSIENT_COST = 14


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The rule for retries. `max_attempts` per call includes the first; `max_delay_s` bounds the jitter, not the hint.

    A hint beyond `longest_wait_s` gives up if there is no deadline.
    """

    max_attempts: int = 8
    max_delay_s: float = 60.0
    longest_wait_s: float = 900.0

    def delay_s(
        self,
        error: ApiError,
        attempt: int,
        random: Callable[[], float],
        *,
        repeats: int = 1,
        time_left_s: float | None = None,
    ) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        `attempt` counts the attempts made, from 1. `random` returns [0, 1). `repeats` counts the call's errors of the
        same class, including this one. `time_left_s` is the time to the deadline, which bounds the wait.
        """
        if attempt >= self.max_attempts or (time_left_s is not None and time_left_s <= 0):
            return None
        match error:
            case ThrottledError() | TransientError():
                return self._backoff_s(max(0.0, error.retry_after_s or 0.0), attempt, random, time_left_s)
            case ResignError() if repeats <= REPEATS:
                return random() * LONGEST_RESIGN_DELAY_S
            case ReauthError() if repeats <= REPEATS:
                return 0.0
            case _:
                return None

    def _backoff_s(
        self, hint_s: float, attempt: int, random: Callable[[], float], time_left_s: float | None
    ) -> float | None:
        longest_s = self.longest_wait_s if time_left_s is None else time_left_s
        if hint_s > longest_s:
            return None
        jitter_s = min(self.max_delay_s, BASE_DELAY_S * 2.0 ** min(attempt - 1, 62))
        if hint_s > 0:
            jitter_s = min(jitter_s, LONGEST_JITTER_ON_HINT_S)
        return hint_s + random() * min(jitter_s, longest_s - hint_s)


def retry_tokens(error: ApiError) -> int:
    """Return the tokens that a retry after `error` takes. A new signature or token is free: `REPEATS` bounds them."""
    match error:
        case ThrottledError():
            return THROTTLE_COST
        case TransientError():
            return TRANSIENT_COST
        case _:
            return 0


@dataclass(slots=True)
class RetryQuota:
    """Tokens for retries. If all calls fail the tokens run out, and each call has a single attempt from then on.

    500 tokens allow 100 retries after throttling, or 35 after transient errors, without any success.
    """

    capacity: int = QUOTA
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.capacity

    def spend(self, amount: int) -> bool:
        """Take `amount`. Returns False, and takes nothing, if fewer tokens are left."""
        if amount > self.tokens:
            return False
        self.tokens -= amount
        return True

    def give_back(self, amount: int) -> None:
        """Put `amount` back, up to the capacity."""
        self.tokens = min(self.capacity, self.tokens + amount)


class Retries:
    """Counts the attempts of one call against the policy and the quota of its channel. For a single call."""

    __slots__ = ("_met", "_policy", "_quota", "_spent", "attempts")

    def __init__(self, policy: RetryPolicy, quota: RetryQuota) -> None:
        self.attempts = 0
        self._policy = policy
        self._quota = quota
        self._spent = 0
        self._met: dict[type[ApiError], int] = {}

    def next_delay_s(
        self, error: ApiError, random: Callable[[], float], time_left_s: float | None = None
    ) -> float | None:
        """Count an attempt that ended in `error`. Returns the seconds until the next one, or None to give up."""
        self.attempts += 1
        self._met[type(error)] = self._met.get(type(error), 0) + 1
        delay_s = self._policy.delay_s(
            error, self.attempts, random, repeats=self._met[type(error)], time_left_s=time_left_s
        )
        if delay_s is None or not self._quota.spend(retry_tokens(error)):
            return None
        self._spent += retry_tokens(error)
        return delay_s

    def succeeded(self) -> None:
        """Count a successful attempt. The quota gets back the tokens of this call's retries, or 1."""
        self.attempts += 1
        self._quota.give_back(self._spent or 1)
