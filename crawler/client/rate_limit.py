"""Pacing: keyed buckets that never let more through than their limit, and that find a lower one that nobody told.

A bucket is a GCRA (two instants, no queue, no timer): each request moves the bucket's due time on by one interval, and
a request may leave once the due time is at most a burst ahead. Time is an argument everywhere: seconds of one
monotonic clock. Waiting is the caller's work: sleep until `ready_at`, then `take` without another await in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal, NamedTuple

from crawler.errors import ApiError, ConfigError

# Requests bunch up on their way, so that a server counts more in some second than left in any. Where the way takes up
# to BUNCH_S longer for some than for others, PACE makes up for it in a second, and that much less in a burst.
PACE = 0.97
BUNCH_S = 0.03
# A loop wakes up late by a few milliseconds; that much is caught up with, within the rule.
LATE_S = 0.005
FLOOR_SHARE = 0.02
FLOOR_RATE = 0.05
# A cut goes down to what was taken since the last one; at least by LEAST_CUT, so that it doesn't end at once where it
# began, and to no less than MOST_CUT, where too little was sent to tell.
LEAST_CUT, MOST_CUT = 0.97, 0.7
# What was let through after a refusal is all there is if the next one comes so soon.
SOON_S = 2.0
# From a cut the rate is after so long where it was refused (sooner while the limit isn't known), and then at the cap.
SEARCH_S, CLIMB_S, REACH_S = 20.0, 45.0, 58.0
# Fast at first and then ever slower up to where it was refused; ever faster after that.
APPROACH, DEPART = 3.0, 1.5
FIRST_BLOCK_S = 0.5
NEAR_BLOCK_S = 0.25
LONGEST_BLOCK_S = 30.0
# More than a pair, so that what was put back is worked off.
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class LimitRule:
    """In any t seconds at most `burst` + `rate` × t requests. `rate` in requests per second. Raises ConfigError.

    `lead_s` is how far a bucket's due time may be ahead: in seconds and not in requests, so that a slowed bucket
    bursts less. `bound_s` is the same at the full rate, where `PACE` and what bunches up aren't taken off.
    """

    rate: float
    burst: int = 1
    lead_s: float = field(init=False, repr=False, compare=False)
    bound_s: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (isfinite(self.rate) and self.rate > 0):
            raise ConfigError(f"a rate limit's rate is {self.rate}: give requests per second, above 0")
        if self.burst < 1:
            raise ConfigError(f"a rate limit's burst is {self.burst}: give 1 or more")
        object.__setattr__(self, "bound_s", (self.burst - 1) / self.rate)
        object.__setattr__(self, "lead_s", max(0.0, self.bound_s / PACE - BUNCH_S))


class BucketKey(NamedTuple):
    """Whose requests count together. `action` None: all operations of the product."""

    account_id: str
    region_id: str
    product: str
    action: str | None


def least_time_s(requests: int, rule: LimitRule) -> float:
    """The least seconds in which a bucket of `rule` lets `requests` leave, from a full burst on; to about `BUNCH_S`."""
    return max(0, requests - rule.burst) / (rule.rate * PACE)


def throttled_bucket(error: ApiError) -> Literal["operation", "product"]:
    """Which of a call's two buckets an answer slows: `Throttling.User` is about all calls of a user to a product."""
    code = error.code.lower()
    return "product" if code == "throttling.user" or code.startswith("throttling.user.") else "operation"


class TokenBucket:
    """One limit's state. Never faster than its rule; slower after throttling answers, at about what the server takes.

    A throttling answer to a request that left after the last cut begins an epoch: the rate is cut once, whatever number
    of older requests come back throttled too. At a refusal a server has nothing left, whatever its burst. So what it
    took between two refusals is what it gives in that time, or less where less was asked of it; and its limit lies
    between that and the rate that was refused. The rate climbs from the one to the other, slowly at the end, so that
    it's refused seldom and little above the limit; and then faster, up to the rule's, a minute after the cut.
    """

    __slots__ = (
        "_blocked_until",
        "_bound",
        "_climb_s",
        "_cut_at",
        "_due",
        "_high",
        "_low",
        "_strikes",
        "_taken",
        "key",
        "rule",
        "users",
    )

    def __init__(self, rule: LimitRule, key: BucketKey | None = None) -> None:
        """`key` and `users`, whoever still asks through it, are for `TokenBuckets`."""
        self.rule = rule
        self.key = key
        self.users = 0
        self._due = -inf
        self._bound = -inf
        self._blocked_until = -inf
        self._cut_at = -inf
        self._low = self._high = rule.rate
        self._climb_s = SEARCH_S
        self._taken = 0
        self._strikes = 0

    def ready_at(self, now: float) -> float:
        """The first instant from `now` on at which a request may leave, as things stand. Never earlier than `now`."""
        return max(now, self._due - self.rule.lead_s, self._bound - self.rule.bound_s, self._blocked_until)

    def take(self, now: float) -> None:
        """Count a request that leaves `now`. One that leaves too early counts as well: later ones wait for it."""
        due = self._due if self._due >= now - LATE_S else now
        self._due = due + 1 / (self.rate(now) * PACE)
        self._bound = max(now, self._bound) + 1 / self.rule.rate

    def rate(self, now: float) -> float:
        """Requests per second at `now`: the rule's, or less after throttling; `PACE` is not in it."""
        passed_s, cap, high = max(0.0, now - self._cut_at), self.rule.rate, self._high
        if passed_s >= REACH_S:
            return cap
        left = 1 - passed_s / self._climb_s
        if left > 0:
            return max(self._low, high * float((self._low / high) ** left**APPROACH))
        beyond = (passed_s - self._climb_s) / (REACH_S - self._climb_s)
        return min(cap, high * float((cap / high) ** beyond**DEPART))

    def throttled(self, now: float, sent_at: float, hint_s: float | None) -> None:
        """The server refused, at `now`, a request that left at `sent_at`. `hint_s`: how long it said to wait, or None.

        Nothing leaves before `now` + `hint_s`. Without a hint the block grows with each epoch that no success ended:
        0.5 s, 1 s, 2 s … 30 s.
        """
        is_new_epoch = sent_at > self._cut_at
        is_near = is_new_epoch and self._cut(now, sent_at)
        if is_near and not self._strikes:
            self._block_until(now + max(NEAR_BLOCK_S, hint_s or 0.0))
        elif hint_s:
            self._block_until(now + max(NEAR_BLOCK_S if is_new_epoch else 0.0, hint_s))
        elif is_new_epoch:
            self._block_until(now + min(LONGEST_BLOCK_S, FIRST_BLOCK_S * 2.0 ** min(self._strikes, 10)))
        self._strikes += is_new_epoch and not hint_s

    def has_rested(self, now: float) -> bool:
        """Whether a new bucket would do the same: the burst is whole, the rate the rule's, and nothing blocked."""
        last = max(self._due + LATE_S, self._bound, self._blocked_until, self._cut_at + REACH_S)
        return last < now and not self._strikes

    def succeeded(self, now: float) -> None:
        """A request was answered without throttling at `now`. After the block that ends the growth of blocks."""
        self._taken += 1
        if now >= self._blocked_until:
            self._strikes = 0

    def _cut(self, now: float, sent_at: float) -> bool:
        """Begin an epoch. Returns whether the server's limit can't be far below: some while passed since the last."""
        refused, passed_s = self.rate(now), now - self._cut_at
        is_soon = sent_at - max(self._cut_at, self._blocked_until) < SOON_S
        is_near = self._cut_at > -inf and not is_soon
        low = min(LEAST_CUT * refused, self._taken / passed_s)
        if not (is_soon and self._taken):
            low = max(low, MOST_CUT * refused)
        self._low = max(low, min(self.rule.rate, max(FLOOR_SHARE * self.rule.rate, FLOOR_RATE)))
        self._high = max(self._low, refused)
        self._climb_s = CLIMB_S if is_near else SEARCH_S
        self._cut_at, self._taken = now, 0
        return is_near

    def _block_until(self, at: float) -> None:
        self._blocked_until = max(self._blocked_until, at)
        # The burst is spent as well: what has waited for the block to end leaves one by one.
        self._due = max(self._due, self._blocked_until + self.rule.lead_s)


class TokenBuckets:
    """All buckets of a crawl, made when first asked for. Those of targets that are done are forgotten once they have
    rested, since a crawl may have a million.

    `rules` are by product (`fc`) or product and operation (`fc-open.ListInstances`); `default` is for a product
    without one. An operation without a rule has its product's limit, and still a bucket of its own, so that it can
    be slowed alone.
    """

    def __init__(self, default: LimitRule, rules: Mapping[str, LimitRule] | None = None) -> None:
        self._default = default
        self._rules = dict(rules or {})
        self._buckets: dict[BucketKey, TokenBucket] = {}
        self._unused: deque[TokenBucket] = deque()

    def rule(self, product: str, action: str | None = None) -> LimitRule:
        """The limit of an operation, or of all operations of a product together."""
        of_product = self._rules.get(product, self._default)
        return of_product if action is None else self._rules.get(f"{product}.{action}", of_product)

    def bucket(self, key: BucketKey) -> TokenBucket:
        """The one bucket of `key`."""
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = TokenBucket(self.rule(key.product, key.action), key)
        return found

    def pair(self, account_id: str, region_id: str, product: str, action: str) -> tuple[TokenBucket, TokenBucket]:
        """The operation's bucket and its product's: a request waits for both and is taken from both."""
        operation = self.bucket(BucketKey(account_id, region_id, product, action))
        whole = self.bucket(BucketKey(account_id, region_id, product, None))
        operation.users += 1
        whole.users += 1
        return operation, whole

    def release(self, pair: tuple[TokenBucket, TokenBucket], now: float) -> None:
        """Whoever was given a pair won't ask for it any more.

        Each time a few that nobody uses are looked at, in turn, so that one that was slowed doesn't hold up the others.
        """
        for bucket in pair:
            bucket.users -= 1
            if not bucket.users:
                self._unused.append(bucket)
        for _ in range(min(_LOOKS, len(self._unused))):
            bucket = self._unused.popleft()
            if bucket.users or bucket.key is None or self._buckets.get(bucket.key) is not bucket:
                continue
            if bucket.has_rested(now):
                del self._buckets[bucket.key]
            else:
                self._unused.append(bucket)
