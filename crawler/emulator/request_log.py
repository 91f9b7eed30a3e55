"""The bounded log of the requests to the cloud, and counters of all requests. It has no headers and no secrets."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request. `outcome`: `OK`, the error code, or `fault:` and the effect. Both times are those of the cloud."""

    at: datetime
    monotonic_s: float
    account: str
    region: str
    product: str
    action: str
    parent: tuple[str, ...]
    query: Mapping[str, str]
    page: int
    outcome: str
    status: int


class RequestLog:
    """The newest entries, and the number of requests by account, region, product, action and outcome."""

    def __init__(self, size: int) -> None:
        self.entries: deque[LoggedRequest] = deque(maxlen=size)
        self.counts: Counter[tuple[str, str, str, str, str]] = Counter()

    def add(self, entry: LoggedRequest) -> None:
        """Add one request, unless the size is 0."""
        if self.entries.maxlen == 0:
            return
        self.entries.append(entry)
        self.counts[entry.account, entry.region, entry.product, entry.action, entry.outcome] += 1

    def count(
        self,
        *,
        account: str | None = None,
        region: str | None = None,
        product: str | None = None,
        action: str | None = None,
        outcome: str | None = None,
    ) -> int:
        """Return the number of requests; None matches all values."""
        wanted = (account, region, product, action, outcome)
        return sum(
            number
            for found, number in self.counts.items()
            if all(want is None or want == part for want, part in zip(wanted, found, strict=True))
        )

    def clear(self) -> None:
        """Remove all entries and counts."""
        self.entries.clear()
        self.counts.clear()
