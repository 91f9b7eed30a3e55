"""Rate limits: keyed token buckets that never exceed their limit and that adapt to a lower, undocumented one.

A bucket is a GCRA (two instants, no queue, no timer): each request advances the bucket's due time by one interval, and
a request may start once the due time is at most a burst ahead. Time is always an argument, in seconds of one monotonic
clock. The caller waits: sleep until `ready_at`, then `charge` without another await in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal, NamedTuple

from crawler.errors import ApiError, ConfigError

# Latency varies, so a server may count more requests in a second than were sent in any. If latencies differ by up to
# BUNCH_S, PACE makes up for it within a second, and so does a burst that is smaller by BUNCH_S.
PACE = 0.97
BUNCH_S = 0.03
# An event loop wakes up late by a few milliseconds. A bucket makes up for that much, within the rule.
LATE_S = 0.005
FLOOR_SHARE = 0.02
FLOOR_RATE = 0.05
# A cut lowers the rate to what the server accepted since the last cut: at least by LEAST_CUT, so that it has an effect,
# and to no less than MOST_CUT if too few requests were sent to tell.
LEAST_CUT, MOST_CUT = 0.97, 0.7
# If the next throttling response comes so soon, the requests accepted in between are all that the server allows.
SOON_S = 2.0
# The time from a cut until the rate reaches the throttled one (shorter while the limit is unknown), and then the cap.
SEARCH_S, CLIMB_S, REACH_S = 20.0, 45.0, 58.0
# The rate rises fast at first and ever slower up to the throttled rate, and ever faster beyond it.
APPROACH, DEPART = 3.0, 1.5
FIRST_BLOCK_S = 0.5
NEAR_BLOCK_S = 0.25
LONGEST_BLOCK_S = 30.0
# Unused buckets that are checked per released pair: more than two, so that the backlog shrinks.
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Allows at most `burst` + `rate` × t requests in any t seconds; `rate` in requests per second. Raises ConfigError.

    `lead_s` is how far a bucket's due time may be ahead: in seconds and not in requests, so that a slowed bucket has
    smaller bursts. `bound_s` is the same for the full rate, without the margins of `PACE` and `BUNCH_S`.
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
    """The key of requests that count together. `action` None: all operations of the product."""

    account_id: str
    region_id: str
    product: str
    action: str | None


def least_time_s(requests: int, rule: LimitRule) -> float:
    """Return the least seconds in which a bucket allows `requests`, starting with a full burst; to about `BUNCH_S`."""
    return max(0, requests - rule.burst) / (rule.rate * PACE)


def throttled_bucket(error: ApiError) -> Literal["operation", "product"]:
    """Return which bucket a throttling response slows: `Throttling.User` is about all calls of a user to a product."""
    code = error.code.lower()
    return "product" if code == "throttling.user" or code.startswith("throttling.user.") else "operation"


class TokenBucket:
    """The state of one limit. Never faster than its rule; after throttling, about as fast as the server accepts.

    A throttling response to a request that was sent after the last cut begins an epoch: the rate is cut once, however
    many older requests are throttled, too. A server that throttles has used up its tokens, whatever its burst. So the
    requests accepted between two throttling responses are its limit for that time, or fewer if fewer were sent. The
    limit lies between that and the throttled rate. The rate climbs from the one to the other, slowly at the end, so
    that throttling is rare and close to the limit; and then faster, up to the rule's rate, a minute after the cut.
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

    def __init__(self, rule: LimitRule, key: BucketKey | None = None, spent_at: float = -inf) -> None:
        """`key` and `users`, the number of channels that use it, are for `TokenBuckets`, as is `spent_at`."""
        self.rule = rule
        self.key = key
        self.users = 0
        self._due = spent_at + rule.lead_s + 1 / (rule.rate * PACE)
        self._bound = spent_at + rule.bound_s + 1 / rule.rate
        self._blocked_until = -inf
        self._cut_at = -inf
        self._low = self._high = rule.rate
        self._climb_s = SEARCH_S
        self._taken = 0
        self._strikes = 0

    def change(self, rule: LimitRule) -> None:
        """Follow another rule from now on. What throttling has taught about the server's limit stays."""
        if self._high >= self.rule.rate:
            self._high = rule.rate
        self._low = min(self._low if self._low < self.rule.rate else rule.rate, rule.rate)
        self.rule = rule

    def ready_at(self, now: float) -> float:
        """Return the earliest time at which a request may start, `now` at the earliest."""
        return max(now, self._due - self.rule.lead_s, self._bound - self.rule.bound_s, self._blocked_until)

    def charge(self, now: float) -> None:
        """Count a request that starts `now`. A request that starts too early counts as well: later ones wait for it."""
        due = self._due if self._due >= now - LATE_S else now
        self._due = due + 1 / (self.rate(now) * PACE)
        self._bound = max(now, self._bound) + 1 / self.rule.rate

    def rate(self, now: float) -> float:
        """Return the requests per second at `now`, without the margin of `PACE`; fewer after throttling."""
        passed_s, cap, high = max(0.0, now - self._cut_at), self.rule.rate, self._high
        if passed_s >= REACH_S:
            return cap
        left = 1 - passed_s / self._climb_s
        if left > 0:
            return max(self._low, high * float((self._low / high) ** left**APPROACH))
        beyond = (passed_s - self._climb_s) / (REACH_S - self._climb_s)
        return min(cap, high * float((cap / high) ** beyond**DEPART))

    def throttled(self, now: float, sent_at: float, hint_s: float | None) -> None:
        """Record that the server throttled, at `now`, a request of `sent_at`. `hint_s`: its hint to wait, or None.

        No request starts before `now` + `hint_s`. Without a hint the block doubles with each epoch without a success:
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
        """Whether the bucket is as a new one: with a full burst, at the rule's rate, and not blocked."""
        last = max(self._due + LATE_S, self._bound, self._blocked_until, self._cut_at + REACH_S)
        return last < now and not self._strikes

    def succeeded(self, now: float) -> None:
        """Record a response without throttling at `now`. After a block it resets the length of the next block."""
        self._taken += 1
        if now >= self._blocked_until:
            self._strikes = 0

    def _cut(self, now: float, sent_at: float) -> bool:
        """Begin an epoch. Returns whether the server's limit must be near, because the last cut was long ago."""
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
        # The burst is used up as well: requests that waited for the end of the block start one by one.
        self._due = max(self._due, self._blocked_until + self.rule.lead_s)


class TokenBuckets:
    """All buckets of a crawl, made on first use. Unused ones are forgotten once recovered: a crawl may have a million.

    `rules` are by product (`fc`) or product and operation (`fc-open.ListInstances`); `default` is for a product
    without a rule. An operation without a rule has the limit of its product, but a bucket of its own, so that it can
    be slowed alone.
    """

    def __init__(self, default: LimitRule, rules: Mapping[str, LimitRule] | None = None) -> None:
        self._default = default
        self._rules = dict(rules or {})
        self._buckets: dict[BucketKey, TokenBucket] = {}
        self._unused: deque[TokenBucket] = deque()
        self._spent_at = -inf

    def spend(self, now: float) -> None:
        """Take the bursts of all buckets as used up `now`, by a process that this one replaces. Call it before all."""
        self._spent_at = now

    def rule(self, product: str, action: str | None = None) -> LimitRule:
        """Return the limit of an operation, or of all operations of a product together."""
        of_product = self._rules.get(product, self._default)
        return of_product if action is None else self._rules.get(f"{product}.{action}", of_product)

    def limit(self, product: str, rule: LimitRule) -> None:
        """Change the limit of a product without rules of its operations, also of the buckets that are in use."""
        self._rules[product] = rule
        for key, bucket in self._buckets.items():
            if key.product == product:
                bucket.change(rule)

    def bucket(self, key: BucketKey) -> TokenBucket:
        """Return the bucket of `key`."""
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = TokenBucket(self.rule(key.product, key.action), key, self._spent_at)
        return found

    def pair(self, account_id: str, region_id: str, product: str, action: str) -> tuple[TokenBucket, TokenBucket]:
        """Return the buckets of an operation and of its product. A request waits for both and charges both."""
        operation = self.bucket(BucketKey(account_id, region_id, product, action))
        whole = self.bucket(BucketKey(account_id, region_id, product, None))
        operation.users += 1
        whole.users += 1
        return operation, whole

    def release(self, pair: tuple[TokenBucket, TokenBucket], now: float) -> None:
        """End the use of a pair. Each call checks a few unused buckets: a slowed one doesn't delay the others."""
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
