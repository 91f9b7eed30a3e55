"""Decides which request starts next, from the queued requests and the time. No I/O, no waiting: time is an argument.

A request lane is one operation in one target. Its requests wait for the same two buckets, those of the operation
and of its product. Lanes whose buckets allow a request are ordered by `sort_key`; the others are blocked and checked
again when the first of them may start.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class BucketLike(Protocol):
    """The part of a token bucket that a lane uses. Times are monotonic seconds."""

    def ready_at(self, now: float) -> float:
        """Return the earliest time at which a request may start."""
        ...

    def charge(self, now: float) -> None:
        """Count a request that starts now."""
        ...


@dataclass(slots=True, eq=False)
class RequestLane:
    """The queued requests of one operation in one account and region. `depth`: the levels of parents of its table.

    `in_progress` has the lists that wait for their next page, `not_started` the other lists.
    """

    buckets: Sequence[BucketLike]
    depth: int = 0
    in_progress: deque[Any] = field(default_factory=deque)
    not_started: deque[Any] = field(default_factory=deque)
    is_queued: bool = False

    def ready_at(self, now: float) -> float:
        """Return the earliest time at which all buckets allow a request of this lane."""
        ready_at = now
        for bucket in self.buckets:
            ready_at = max(ready_at, bucket.ready_at(now))
        return ready_at

    @property
    def is_empty(self) -> bool:
        """Whether no request is queued."""
        return not self.in_progress and not self.not_started

    def pop(self, now: float) -> Any:
        """Remove and return the next request, of a list in progress first. The buckets are charged."""
        for bucket in self.buckets:
            bucket.charge(now)
        return self.in_progress.popleft() if self.in_progress else self.not_started.popleft()


def sort_key(lane: RequestLane, ready_at: float, order: int) -> tuple[int, float, int]:
    """Sort parents first, because their pages form the longest chain; then by the earliest ready time."""
    return lane.depth, ready_at, order


class ReadyQueue:
    """A queue of the lanes with queued requests, each once."""

    def __init__(self) -> None:
        self._ready: list[tuple[tuple[int, float, int], RequestLane]] = []
        self._blocked: list[tuple[float, int, RequestLane]] = []
        self._order = 0

    def push(self, lane: RequestLane, now: float) -> None:
        """Queue a lane that has requests. A lane that is queued keeps its position."""
        if lane.is_queued or lane.is_empty:
            return
        lane.is_queued = True
        self._order += 1
        self._place(lane, lane.ready_at(now), self._order, now)

    def pop(self, now: float) -> RequestLane | None:
        """Remove and return the lane that is next; None if no lane may start a request yet."""
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
            # Keep its position. Otherwise a lane that has just been served would be served again before the others.
            self._place(lane, ready_at, order, now)
        return None

    def next_at(self) -> float | None:
        """Return the earliest time at which a blocked lane may start a request; None if no lane is blocked."""
        return self._blocked[0][0] if self._blocked else None

    def _place(self, lane: RequestLane, ready_at: float, order: int, now: float) -> None:
        if ready_at <= now:
            heapq.heappush(self._ready, (sort_key(lane, ready_at, order), lane))
        else:
            heapq.heappush(self._blocked, (ready_at, order, lane))
