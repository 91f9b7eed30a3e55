"""The clock of a snapshot: this machine's, corrected by the date of STS."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from crawler.client.clock_skew import MAX_SKEW_S, MIN_SKEW_S
from crawler.clock import Clock
from crawler.text import http_date


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
        said = http_date(date)
        if said is None:
            return
        skew_s = (said - self._now()).total_seconds()
        self._has_observed = True
        if MIN_SKEW_S < abs(skew_s) <= MAX_SKEW_S:
            self.skew_s = skew_s
            structlog.get_logger().warning(
                "snapshot_clock_corrected",
                skew_s=round(skew_s),
                reason="this machine's clock is off: the snapshot has the time of STS; set the clock",
            )
