"""The difference between the clocks of this machine and of the service."""

from __future__ import annotations

CLOCK_WRONG = "ClockWrong"


# Beyond this the clock isn't off, it is wrong, and every stamp in the snapshot would be too.
_MAX_SKEW_S = 12 * 3600.0


# The service takes 15 minutes to either side; what differs by less than this isn't why a signature was refused.
_LEAST_SKEW_S = 60.0
