"""Time as an argument: code that waits or reads the time takes a `Clock`, so that tests need no real seconds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

import anyio


def iso_utc(instant: datetime) -> str:
    """Return an aware instant as ISO 8601 in UTC with Z, to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Clock(Protocol):
    """Two readings and a wait. Instants are aware and UTC; durations are in seconds."""

    def now(self) -> datetime:
        """Return the wall clock's time: for timestamps and signatures, never for durations."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never decrease: for durations and rates."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait. A checkpoint for cancellation, even at 0."""
        ...


class SystemClock:
    """The real clock. `monotonic` is the event loop's time, so that a loop with virtual time controls it."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock.monotonic`. Needs a running event loop, called directly since each request reads it ten times."""
        return asyncio.get_running_loop().time()

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`."""
        await anyio.sleep(max(0.0, duration_s))
