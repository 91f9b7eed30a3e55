"""The snapshots that a retention policy keeps, with the terms and the rules of restic. Pure functions, in UTC.

A snapshot is kept if any rule keeps it. A calendar rule goes back from the newest snapshot and keeps the newest one of
each period that has any, for the given number of periods. If there are fewer such periods, the oldest snapshot is kept,
too. `within` counts back from the newest snapshot that isn't in the future. A snapshot in the future is always kept,
and no rule counts it. Source: restic's documentation, "Removing backup snapshots" (read 2026-11-22).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from crawler.errors import ConfigError

_DURATION = re.compile(r"(?:([0-9]{1,4})y)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})d)?(?:([0-9]{1,7})h)?")
_FIRST_DAY = datetime(1, 1, 1, tzinfo=UTC)

_PERIODS: Mapping[str, Callable[[datetime], object]] = {
    "hourly": lambda at: (at.date(), at.hour),
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


@dataclass(frozen=True, slots=True)
class Duration:
    """Restic's `2y5m7d3h`: calendar years and months, days and hours."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a duration. Raises ConfigError for another text, and for a duration of 0."""
        found = _DURATION.fullmatch(text)
        numbers = [int(number or 0) for number in found.groups()] if found else []
        if not any(numbers):
            raise ConfigError(f"invalid duration {text[:80]!r}; write years, months, days and hours such as 2y5m7d3h")
        return cls(*numbers)

    def before(self, moment: datetime) -> datetime:
        """Return the instant before `moment` by this duration. A day that the month doesn't have is in the next one."""
        months = moment.year * 12 + moment.month - 1 - self.years * 12 - self.months
        year, month = divmod(months, 12)
        rest = timedelta(days=moment.day - 1 - self.days, hours=-self.hours)
        try:
            return moment.replace(year=year, month=month + 1, day=1) + rest
        except (ValueError, OverflowError):
            return _FIRST_DAY


@dataclass(frozen=True, slots=True)
class KeepRules:
    """The number of snapshots that each rule keeps; `inf` for all, 0 for a rule that isn't given."""

    last: float = 0
    hourly: float = 0
    daily: float = 0
    weekly: float = 0
    monthly: float = 0
    yearly: float = 0
    within: Duration | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no rule is given. Then nothing would be kept, which is never intended."""
        return self == KeepRules()


def keep(rules: KeepRules, snapshots: Mapping[str, datetime], now: datetime) -> dict[str, list[str]]:
    """Return ID → reasons, of the snapshots that are kept. `snapshots`: ID → start, timezone-aware."""
    reasons: dict[str, list[str]] = {}

    def note(ids: Iterable[str], reason: str) -> None:
        for snapshot_id in ids:
            reasons.setdefault(snapshot_id, []).append(reason)

    starts = {snapshot_id: start.astimezone(UTC) for snapshot_id, start in snapshots.items()}
    ordered = sorted(starts, key=lambda snapshot_id: (starts[snapshot_id], snapshot_id), reverse=True)
    past = [snapshot_id for snapshot_id in ordered if starts[snapshot_id] <= now]
    note(ordered[: len(ordered) - len(past)], "in the future")
    note((name for place, name in enumerate(past) if place < rules.last), "last")
    if rules.within is not None and past:
        since = rules.within.before(starts[past[0]])
        note((snapshot_id for snapshot_id in past if starts[snapshot_id] > since), "within")
    for name, period in _PERIODS.items():
        count = getattr(rules, name)
        newest = _newest_of_each({snapshot_id: period(starts[snapshot_id]) for snapshot_id in past})
        note((snapshot_id for place, snapshot_id in enumerate(newest) if place < count), name)
        if len(newest) < count and past and past[-1] not in newest:
            note(past[-1:], f"oldest {name}")
    return reasons


def _newest_of_each(periods: Mapping[str, object]) -> list[str]:
    """Return the first ID of each period. `periods`: ID → period, newest first."""
    found: dict[object, str] = {}
    for snapshot_id, period in periods.items():
        found.setdefault(period, snapshot_id)
    return list(found.values())
