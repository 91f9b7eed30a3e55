"""Which request comes next, as a function of what waits and what time it is. No I/O, no waiting: time is an argument.

A lane is one operation in one account and region: what waits there waits for the same two buckets, the operation's
and its product's. Lanes whose buckets allow a request go in the order of `precedence`; all others are asked again
when the first of them may go.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class BucketLike(Protocol):
    """What a lane needs of a rate limit's bucket. Times are monotonic seconds."""

    def ready_at(self, now: float) -> float:
        """The earliest time at which a request may leave."""
        ...

    def take(self, now: float) -> None:
        """A request leaves now."""
        ...


@dataclass(slots=True, eq=False)
class RequestLane:
    """One operation in one account and region. `depth`: its table's levels of parents.

    `going` holds walks that wait for their next page, `waiting` lists that haven't begun.
    """

    buckets: Sequence[BucketLike]
    depth: int = 0
    going: deque[Any] = field(default_factory=deque)
    waiting: deque[Any] = field(default_factory=deque)
    is_queued: bool = False

    def ready_at(self, now: float) -> float:
        """When the next request of this lane may leave: when every bucket allows it."""
        ready_at = now
        for bucket in self.buckets:
            ready_at = max(ready_at, bucket.ready_at(now))
        return ready_at

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not self.going and not self.waiting

    def take(self, now: float) -> Any:
        """What may go now; a walk that has begun before a list that hasn't. The buckets are charged."""
        for bucket in self.buckets:
            bucket.take(now)
        return self.going.popleft() if self.going else self.waiting.popleft()


def precedence(lane: RequestLane, ready_at: float, order: int) -> tuple[int, float, int]:
    """Parents before children, since a parent's chain of pages is what takes longest; else who could go first."""
    return lane.depth, ready_at, order


class ReadyQueue:
    """The lanes in which something waits, each once."""

    def __init__(self) -> None:
        self._ready: list[tuple[tuple[int, float, int], RequestLane]] = []
        self._blocked: list[tuple[float, int, RequestLane]] = []
        self._order = 0

    def push(self, lane: RequestLane, now: float) -> None:
        """Queue a lane in which something waits; one that is queued already stays where it is."""
        if lane.is_queued or lane.is_empty:
            return
        lane.is_queued = True
        self._order += 1
        self._place(lane, lane.ready_at(now), self._order, now)

    def pop(self, now: float) -> RequestLane | None:
        """The lane that goes next, no longer queued; None where none may go yet."""
        while self._blocked and self._blocked[0][0] <= now:
            ready_at, order, lane = heapq.heappop(self._blocked)
            self._place(lane, ready_at, order, now)
        while self._ready:
            (_, _, order), lane = heapq.heappop(self._ready)
            if lane.is_empty:
                lane.is_queued = False
                continue
            ready_at = lane.ready_at(now)  # another lane may have charged the product's bucket since
            if ready_at <= now:
                lane.is_queued = False
                return lane
            # It keeps its order: else whoever has just gone would be ahead of it in their bucket, again and again.
            self._place(lane, ready_at, order, now)
        return None

    def next_at(self) -> float | None:
        """When to ask again: the earliest time at which a blocked lane may go; None where none waits."""
        return self._blocked[0][0] if self._blocked else None

    def _place(self, lane: RequestLane, ready_at: float, order: int, now: float) -> None:
        if ready_at <= now:
            heapq.heappush(self._ready, (precedence(lane, ready_at, order), lane))
        else:
            heapq.heappush(self._blocked, (ready_at, order, lane))
