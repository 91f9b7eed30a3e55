"""Time as an argument: whatever waits or stamps takes a `Clock`, so that tests need no real second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

import anyio


def iso_utc(instant: datetime) -> str:
    """Return an aware instant as ISO 8601 in UTC with Z, to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Clock(Protocol):
    """Two readings and one wait. Instants are aware and UTC; durations are seconds."""

    def now(self) -> datetime:
        """The wall clock: for stamps and signatures, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow: for durations and rates."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait; a checkpoint for cancellation even at 0."""
        ...


class SystemClock:
    """The real clock. `monotonic` is the event loop's own time, so a loop with virtual time drives it whole."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock.monotonic`. Only inside a running event loop, asked directly: that is ten times per request."""
        return asyncio.get_running_loop().time()

    async def sleep(self, duration_s: float) -> None:
        """See `Clock.sleep`."""
        await anyio.sleep(max(0.0, duration_s))
