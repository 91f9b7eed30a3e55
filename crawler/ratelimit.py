"""Pacing: keyed buckets that never let more through than their limit, and that slow down when the server says so.

A bucket is a GCRA (one instant, no queue, no timer): each request moves the bucket's due time on by one interval, and
a request may leave once the due time is at most a burst ahead. Time is an argument everywhere: seconds of one
monotonic clock. Waiting is the caller's work: sleep until `ready_at`, then `take` without another await in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal, NamedTuple

from crawler.errors import ApiError, ConfigError

# Requests bunch up on their way, so that a server counts more in some second than left in any.
PACE = 0.97
CUT = 0.7
FLOOR_SHARE = 0.02
FLOOR_RATE = 0.05
# From the floor, 80 % of the cap is back within 60 s: 0.02 + 60 × this is 0.82.
RECOVERY_SHARE_PER_S = 0.8 / 60
FIRST_BLOCK_S = 0.5
LONGEST_BLOCK_S = 30.0


@dataclass(frozen=True, slots=True)
class LimitRule:
    """In any t seconds at most `burst` + `rate` × t requests. `rate` in requests per second. Raises ConfigError.

    `lead_s` is how far a bucket's due time may be ahead: in intervals of the full rate, so that a slowed bucket
    bursts less.
    """

    rate: float
    burst: int = 1
    lead_s: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isfinite(self.rate) and self.rate > 0):
            raise ConfigError(f"a rate limit's rate is {self.rate}: give requests per second, above 0")
        if self.burst < 1:
            raise ConfigError(f"a rate limit's burst is {self.burst}: give 1 or more")
        object.__setattr__(self, "lead_s", (self.burst - 1) / (self.rate * PACE))


class BucketKey(NamedTuple):
    """Whose requests count together. `action` None: all operations of the product."""

    account_id: str
    region_id: str
    product: str
    action: str | None


def least_time_s(requests: int, rule: LimitRule) -> float:
    """The least seconds in which a bucket of `rule` lets `requests` leave, from a full burst on."""
    return max(0, requests - rule.burst) / (rule.rate * PACE)


def slows(error: ApiError) -> Literal["operation", "product"]:
    """Which of a call's two buckets an answer slows: `Throttling.User` is about all calls of a user to a product."""
    code = error.code.lower()
    return "product" if code == "throttling.user" or code.startswith("throttling.user.") else "operation"


class Bucket:
    """One limit's state. Never faster than its rule; slower for a while after each throttling answer.

    A throttling answer to a request that left after the last cut begins an epoch: the rate is cut once, whatever number
    of older requests come back throttled too. It then recovers by the second to the rule's rate.
    """

    __slots__ = ("_blocked_until", "_cut_at", "_cut_rate", "_due", "_strikes", "rule")

    def __init__(self, rule: LimitRule) -> None:
        self.rule = rule
        self._due = -inf
        self._blocked_until = -inf
        self._cut_at = -inf
        self._cut_rate = rule.rate
        self._strikes = 0

    def ready_at(self, now: float) -> float:
        """The first instant from `now` on at which a request may leave, as things stand. Never earlier than `now`."""
        return max(now, self._due - self.rule.lead_s, self._blocked_until)

    def take(self, now: float) -> None:
        """Count a request that leaves `now`. One that leaves too early counts as well: later ones wait for it."""
        self._due = max(now, self._due) + 1 / (self.rate(now) * PACE)

    def rate(self, now: float) -> float:
        """Requests per second at `now`: the rule's, or less after throttling; `PACE` is not in it."""
        if self._cut_at == -inf:
            return self.rule.rate
        recovered = self.rule.rate * RECOVERY_SHARE_PER_S * max(0.0, now - self._cut_at)
        return min(self.rule.rate, self._cut_rate + recovered)

    def throttled(self, now: float, sent_at: float, hint_s: float | None) -> None:
        """The server refused, at `now`, a request that left at `sent_at`. `hint_s`: how long it said to wait, or None.

        Nothing leaves before `now` + `hint_s`. Without a hint the block grows with each epoch that no success ended:
        0.5 s, 1 s, 2 s … 30 s.
        """
        is_new_epoch = sent_at > self._cut_at
        if is_new_epoch:
            floor = min(self.rule.rate, max(FLOOR_SHARE * self.rule.rate, FLOOR_RATE))
            self._cut_rate = max(floor, CUT * self.rate(now))
            self._cut_at = now
        if hint_s:
            self._block_until(now + hint_s)
        elif is_new_epoch:
            self._block_until(now + min(LONGEST_BLOCK_S, FIRST_BLOCK_S * 2.0 ** min(self._strikes, 10)))
            self._strikes += 1

    def succeeded(self, now: float) -> None:
        """A request was answered without throttling at `now`. After the block that ends the growth of blocks."""
        if now >= self._blocked_until:
            self._strikes = 0

    def _block_until(self, at: float) -> None:
        self._blocked_until = max(self._blocked_until, at)
        # The burst is spent as well: what has waited for the block to end leaves one by one.
        self._due = max(self._due, self._blocked_until + self.rule.lead_s)


class Buckets:
    """All buckets of a crawl, made when first asked for.

    `rules` are by product (`fc`) or product and operation (`fc-open.ListInstances`); `default` is for a product
    without one. An operation without a rule has its product's limit, and still a bucket of its own, so that it can
    be slowed alone.
    """

    def __init__(self, default: LimitRule, rules: Mapping[str, LimitRule] | None = None) -> None:
        self._default = default
        self._rules = dict(rules or {})
        self._buckets: dict[BucketKey, Bucket] = {}

    def rule(self, product: str, action: str | None = None) -> LimitRule:
        """The limit of an operation, or of all operations of a product together."""
        of_product = self._rules.get(product, self._default)
        return of_product if action is None else self._rules.get(f"{product}.{action}", of_product)

    def bucket(self, key: BucketKey) -> Bucket:
        """The one bucket of `key`."""
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = Bucket(self.rule(key.product, key.action))
        return found

    def pair(self, account_id: str, region_id: str, product: str, action: str) -> tuple[Bucket, Bucket]:
        """The operation's bucket and its product's: a request waits for both and is taken from both."""
        operation = BucketKey(account_id, region_id, product, action)
        return self.bucket(operation), self.bucket(operation._replace(action=None))
