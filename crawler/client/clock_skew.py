"""The difference between the clocks of this machine and of the services."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog

from crawler.clock import Clock
from crawler.errors import FatalError

CLOCK_WRONG = "ClockWrong"

# A larger offset means that the local clock is wrong. Timestamps in the snapshot would be wrong, too, so fail.
_MAX_SKEW_S = 12 * 3600.0
# A smaller offset can't explain a rejected signature (the service accepts ±15 minutes).
_MIN_SKEW_S = 60.0


class ClockSkew:
    """A clock whose date is corrected by the date of a service. `seconds` is the correction, 0 at first."""

    def __init__(self, clock: Clock) -> None:
        self.seconds = 0.0
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep
        self._now = clock.now

    def now(self) -> datetime:
        """See `Clock.now`."""
        now = self._now()
        return now + timedelta(seconds=self.seconds) if self.seconds else now

    def correct(self, date: str) -> None:
        """Adopt the Date header of a response that rejected a signature. Raises FatalError beyond 12 hours.

        A malformed date, and a difference of less than a minute, change nothing.
        """
        try:
            skew_s = (parsedate_to_datetime(date) - self._now()).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        if abs(skew_s) > _MAX_SKEW_S:
            hours = skew_s / 3600
            raise FatalError(CLOCK_WRONG, f"This machine's clock is off by {hours:.1f} hours; set it right.")
        if abs(skew_s - self.seconds) > _MIN_SKEW_S:
            self.seconds = skew_s
            structlog.get_logger().warning(
                "clock_corrected", skew_s=round(skew_s), reason="this machine's clock is off"
            )
