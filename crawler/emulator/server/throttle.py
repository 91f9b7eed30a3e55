"""The cloud's rate limits: a token bucket per account, region and operation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crawler.clock import Clock
from crawler.emulator.faults.effects import Throttle
from crawler.emulator.responses import RefusedError, gateway_refusal
from crawler.emulator.spec import CloudSpec, Rate

# The number of buckets from which full ones are dropped.
SWEEP = 4096


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    level: float
    filled_at: float

    def is_full(self, now: float) -> bool:
        return self.level + (now - self.filled_at) * self.rate.rate >= self.rate.burst


class Throttler:
    """Takes one token per request; a throttled request takes none."""

    def __init__(self, spec: CloudSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._buckets: dict[tuple[str, str, str, str], _Bucket] = {}
        self._next_sweep = SWEEP

    def take(self, account: str, region: str, product: str, action: str) -> None:
        """Take one token. Raises the product's throttling `RefusedError` if the bucket is empty."""
        now = self._clock.monotonic()
        rate = self._spec.rate_of(product, action)
        bucket = self._buckets.setdefault((account, region, product, action), _Bucket(rate, rate.burst, now))
        bucket.level = min(rate.burst, bucket.level + (now - bucket.filled_at) * rate.rate)
        bucket.filled_at = now
        if bucket.level < 1:
            wait_ms = max(1, math.ceil((1 - bucket.level) / rate.rate * 1000))
            raise throttling_refusal(_default_throttle(product, wait_ms), product)
        bucket.level -= 1
        if len(self._buckets) >= self._next_sweep:
            self._drop_full(now)

    def _drop_full(self, now: float) -> None:
        """Forget the buckets that are full again: a new one is the same."""
        self._buckets = {key: kept for key, kept in self._buckets.items() if not kept.is_full(now)}
        self._next_sweep = max(SWEEP, 2 * len(self._buckets))


def _default_throttle(product: str, wait_ms: int) -> Throttle:
    if product == "opensearch":
        return Throttle(status=400, code="Throttling", retry_after_ms=wait_ms, hint="ratelimit")
    if product == "fc-open":
        return Throttle(code="ResourceExhausted", message="Too many requests.", retry_after_ms=wait_ms)
    return Throttle(retry_after_ms=wait_ms)


def throttling_refusal(effect: Throttle, product: str) -> RefusedError:
    """Return the refusal, with the header that gives the wait."""
    wait_ms = effect.retry_after_ms
    headers = {
        "acs": {"x-acs-retry-after": str(wait_ms)},
        "ratelimit": {"x-ratelimit-user-api": f"Limit:1,Remain:0,TimeLeft:{wait_ms},Reset:{wait_ms}"},
        "http": {"Retry-After": str(math.ceil(wait_ms / 1000))},
        "none": {},
    }[effect.hint]
    if product == "fc-open":
        return RefusedError(effect.status, effect.code, effect.message, headers=headers)
    return gateway_refusal(effect.status, effect.code, effect.message, headers)
