"""Whether to try a call again, and when: attempts, full jitter, the server's hints, and a quota that ends storms.

No I/O, no clock, no sleeping. `RetryPolicy` is the rule, `RetryQuota` what all calls of a limiter key share,
`Retries` one call's own count:

    retries = Retries(policy, quota)
    … on an error:   delay_s = retries.next_delay_s(error, random)     # None: raise the error
    … on an answer:  retries.succeeded()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crawler.errors import ApiError, ReauthError, ResignError, ThrottledError, TransientError

BASE_DELAY_S = 0.5
LONGEST_JITTER_ON_HINT_S = 5.0
LONGEST_RESIGN_DELAY_S = 0.1
# A second signature or token that is refused for the same reason says that ours isn't the one at fault.
REPEATS = 2
QUOTA = 500
THROTTLE_COST = 5
TRANSIENT_COST = 14


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` for one call, the first included; `max_delay_s` bounds the jitter, never the server's hint.

    `longest_wait_s`: a hint beyond it gives up, where there is no deadline to measure it by.
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
        """Seconds to wait before the next attempt, or None to give up.

        `attempt` counts those made, from 1. `random` returns [0, 1). `repeats` counts the errors of this one's class
        that the call has met, this one included. `time_left_s` is the time to the deadline; the wait stays within it.
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
    """What a retry after `error` takes from the quota. A new signature or token is free: `REPEATS` bounds them."""
    match error:
        case ThrottledError():
            return THROTTLE_COST
        case TransientError():
            return TRANSIENT_COST
        case _:
            return 0


@dataclass(slots=True)
class RetryQuota:
    """Tokens for retries: where everything fails they run out, and each call has one attempt from then on.

    500 allow 100 retries after throttling, or 35 after transient errors, that no success pays back.
    """

    capacity: int = QUOTA
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.capacity

    def spend(self, amount: int) -> bool:
        """Take `amount`, whole or not at all. False: there isn't as much left."""
        if amount > self.tokens:
            return False
        self.tokens -= amount
        return True

    def give_back(self, amount: int) -> None:
        """Put `amount` back, up to the capacity."""
        self.tokens = min(self.capacity, self.tokens + amount)


class Retries:
    """One call's attempts against the policy and the quota of its key. Not to be reused for a second call."""

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
        """Count an attempt that ended in `error`; seconds to wait before the next one, or None to give up."""
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
        """Count an attempt that was answered: the quota gets back what this call's retries cost, or 1."""
        self.attempts += 1
        self._quota.give_back(self._spent or 1)
