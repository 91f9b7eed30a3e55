"""The differences between the clock of this machine and those of the services, one per host.

A host that rejects the date of a signature sends its own. The next attempt of the same call is dated by it, and all
calls to this host are as soon as the host has accepted one. So a host with a wrong clock changes nothing for others.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from crawler.clock import Clock
from crawler.errors import ApiError, FatalError, ResignError
from crawler.text import http_date

CLOCK_WRONG = "ClockWrong"

# A larger offset can't be corrected: timestamps in the snapshot would be wrong, too.
_MAX_SKEW_S = 12 * 3600.0
# A smaller offset can't explain a rejected signature (the service accepts ±15 minutes).
_MIN_SKEW_S = 60.0


class ClockSkews:
    """A clock that is corrected by the date of STS, and that knows the correction of every host.

    `default_s` is the correction in seconds that STS needed, 0 at first. Hosts start with it.
    """

    def __init__(self, clock: Clock) -> None:
        self.default_s = 0.0
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep
        self.local_now = clock.now
        self._accepted: dict[str, float] = {}

    def now(self) -> datetime:
        """See `Clock.now`. Corrected by the date of STS."""
        return self.now_by(self.default_s)

    def now_by(self, skew_s: float) -> datetime:
        """Return the date with a correction in seconds."""
        now = self.local_now()
        return now + timedelta(seconds=skew_s) if skew_s else now

    def of(self, host: str) -> float:
        """Return the correction in seconds that a host accepted last; `default_s` before it accepted any."""
        return self._accepted.get(host, self.default_s)

    @property
    def has_accepted(self) -> bool:
        """Whether any host has accepted a date."""
        return bool(self._accepted)

    def accept(self, host: str, skew_s: float, *, is_default: bool) -> None:
        """Note that a host accepted a signature with this correction; the other hosts start with it if `is_default`."""
        if self._accepted.get(host) == skew_s:
            return
        if abs(skew_s - self.of(host)) > _MIN_SKEW_S:
            reason = "this machine's clock is off" if is_default else "the clocks of this machine and the host differ"
            structlog.get_logger().warning("clock_corrected", skew_s=round(skew_s), host=host, reason=reason)
        self._accepted[host] = skew_s
        if is_default:
            self.default_s = skew_s


class SignatureDates:
    """The dates of the signatures of one call, whose attempts all go to one host."""

    __slots__ = ("_host", "_is_default", "_signed_s", "_skews", "_trial_s")

    def __init__(self, skews: ClockSkews, *, is_default: bool) -> None:
        self._skews = skews
        self._is_default = is_default
        self._host = ""
        self._signed_s = 0.0
        self._trial_s: float | None = None

    def next(self, host: str) -> datetime:
        """Return the date of the next signature."""
        self._host = host
        self._signed_s = self._skews.of(host) if self._trial_s is None else self._trial_s
        return self._skews.now_by(self._signed_s)

    def accepted(self) -> None:
        """Note that the host accepted the last signature."""
        if self._trial_s is not None or self._skews.of(self._host) == self._signed_s:
            self._skews.accept(self._host, self._signed_s, is_default=self._is_default)

    def rejected(self, error: ResignError) -> ApiError:
        """Choose the date of the next signature: the host's own, or the last accepted one if its own didn't help.

        Returns the error of the attempt. It is FatalError `ClockWrong` if the first host that judges a date of this
        machine is more than 12 hours away. A malformed date, and a difference of less than a minute, change nothing.
        """
        had_trial, self._trial_s = self._trial_s is not None, None
        date = http_date(error.server_date)
        if had_trial or date is None:
            return error
        skew_s = (date - self._skews.local_now()).total_seconds()
        if abs(skew_s) > _MAX_SKEW_S:
            if self._skews.has_accepted:
                return error
            hours = skew_s / 3600
            return FatalError(CLOCK_WRONG, f"This machine's clock is off by {hours:.1f} hours; set it right.")
        if abs(skew_s - self._signed_s) > _MIN_SKEW_S:
            self._trial_s = skew_s
        return error
