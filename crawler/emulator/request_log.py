"""What the cloud was asked: a bounded log and counters that never forget. No header, signature or secret is in it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request. `outcome`: `OK`, the error's code, or `fault:` and the effect. Both times are the cloud's."""

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
    """The newest entries, and how many there were of each kind."""

    def __init__(self, size: int) -> None:
        self.entries: deque[LoggedRequest] = deque(maxlen=size)
        self.counts: Counter[tuple[str, str, str, str, str]] = Counter()

    def add(self, entry: LoggedRequest) -> None:
        """Note one request."""
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
        """How many requests there were; a part that is None matches all."""
        wanted = (account, region, product, action, outcome)
        return sum(
            number
            for found, number in self.counts.items()
            if all(want is None or want == part for want, part in zip(wanted, found, strict=True))
        )

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.counts.clear()
