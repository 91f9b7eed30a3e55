"""The clock of a snapshot: this machine's, corrected by the date of STS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog

from crawler.clock import Clock

# The header's resolution and the time of the answer on its way are far below; a smaller difference is no fault.
_MIN_SKEW_S = 60.0
# A larger difference isn't a skew: STS refuses the signatures of such a machine, and the crawl ends.
_MAX_SKEW_S = 12 * 3600.0


class SnapshotClock:
    """Stamps rows and the snapshot. `skew_s` is added to this machine's time: 0 until STS has said another time.

    STS is asked once per account before the first list, over TLS. Signatures have corrections of their own, per host.
    """

    def __init__(self, clock: Clock) -> None:
        self.skew_s = 0.0
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep
        self._now = clock.now
        self._has_observed = False

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._now() + timedelta(seconds=self.skew_s)

    def observe(self, date: str) -> None:
        """Take the Date header of the first answer of STS. A malformed one, and one out of range, change nothing."""
        if self._has_observed:
            return
        try:
            said = parsedate_to_datetime(date)
            skew_s = ((said if said.tzinfo else said.replace(tzinfo=UTC)) - self._now()).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        self._has_observed = True
        if _MIN_SKEW_S < abs(skew_s) <= _MAX_SKEW_S:
            self.skew_s = skew_s
            structlog.get_logger().warning(
                "snapshot_clock_corrected",
                skew_s=round(skew_s),
                reason="this machine's clock is off: the snapshot has the time of STS; set the clock",
            )
