"""The differences between the clock of this machine and those of the services, one per host.

A host that rejects the date of a signature sends its own. The next attempt of the same call is dated by it, and all
calls to this host are as soon as the host has accepted one. So a host with a wrong clock changes nothing for others.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import structlog

from crawler.clock import Clock
from crawler.errors import ApiError, FatalError, ResignError, TransientError
from crawler.text import http_date

CLOCK_WRONG = "ClockWrong"

# A larger offset can't be corrected: the service refuses the signatures of such a machine, and the crawl ends.
MAX_SKEW_S = 12 * 3600.0
# A smaller offset is no fault, and can't explain a rejected signature (the service accepts ±15 minutes).
MIN_SKEW_S = 60.0
_CLOCK_WRONG = "This machine's clock is off by {:.1f} hours; set it right."


class ClockSkews:
    """A clock that is corrected by the date of STS, and that knows the correction of every host.

    `default_s` is the correction in seconds that STS needed, 0 at first. Hosts start with it. `accepted_s` has the
    corrections that hosts accepted last.
    """

    def __init__(self, clock: Clock) -> None:
        self.default_s = 0.0
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep
        self.local_now = clock.now
        self.accepted_s: dict[str, float] = {}

    def now(self) -> datetime:
        """See `Clock.now`. Corrected by the date of STS."""
        now = self.local_now()
        return now + timedelta(seconds=self.default_s) if self.default_s else now

    def of(self, host: str) -> float:
        """Return the correction in seconds that a host accepted last; `default_s` before it accepted any."""
        return self.accepted_s.get(host, self.default_s)

    def accept(self, host: str, skew_s: float, *, is_default: bool) -> None:
        """Note that a host accepted a signature with this correction; the other hosts start with it if `is_default`."""
        if abs(skew_s - self.of(host)) > MIN_SKEW_S:
            reason = "this machine's clock is off" if is_default else "the clocks of this machine and the host differ"
            structlog.get_logger().warning("clock_corrected", skew_s=round(skew_s), host=host, reason=reason)
        self.accepted_s[host] = skew_s
        if is_default:
            self.default_s = skew_s


class SignatureDates(msgspec.Struct):
    """The dates of the signatures of one call, whose attempts all go to one host.

    `is_news`: the host hasn't accepted the date of the last signature before. `is_default`: other hosts start with the
    correction that this host accepts.
    """

    skews: ClockSkews
    is_default: bool
    is_news: bool = False
    _host: str = ""
    _signed_s: float = 0.0
    _trial_s: float | None = None
    _has_tried: bool = False

    def next(self, host: str) -> datetime:
        """Return the date of the next signature."""
        skews, skew_s = self.skews, self._trial_s
        if skew_s is None:
            skew_s = skews.accepted_s.get(host)
            self.is_news = skew_s is None
            if skew_s is None:
                skew_s = skews.default_s
        else:
            self.is_news = True
        self._host, self._signed_s = host, skew_s
        now = skews.local_now()
        return now + timedelta(seconds=skew_s) if skew_s else now

    def accepted(self) -> None:
        """Note that the host accepted the last signature. Needed only if that `is_news`."""
        if self._trial_s is not None or self.skews.of(self._host) == self._signed_s:
            self.skews.accept(self._host, self._signed_s, is_default=self.is_default)

    def rejected(self, error: ResignError) -> ApiError:
        """Choose the date of the next signature: the host's own, or the last accepted one if its own didn't help.

        Returns the error of the attempt. It is FatalError `ClockWrong` if the first host that judges a date of this
        machine is more than 12 hours away. It is transient if a host has accepted a date before, and rejects its own:
        one of its gateways is wrong. A malformed date, and a difference of less than a minute, change nothing.
        """
        had_trial, self._trial_s = self._trial_s is not None, None
        self._has_tried |= had_trial
        date = http_date(error.server_date)
        if date is None:
            return error
        skew_s = (date - self.skews.local_now()).total_seconds()
        if not had_trial and abs(skew_s - self._signed_s) <= MIN_SKEW_S:  # the date wasn't the reason
            return error
        is_usable = abs(skew_s) <= MAX_SKEW_S
        if is_usable and not self._has_tried:
            self._trial_s = skew_s
            return error
        if not self.skews.accepted_s:
            return error if is_usable else FatalError(CLOCK_WRONG, _CLOCK_WRONG.format(skew_s / 3600))
        if self._host not in self.skews.accepted_s:
            return error
        return TransientError(error.code, error.message, http_status=error.http_status, request_id=error.request_id)
