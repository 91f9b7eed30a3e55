"""Which snapshots a retention policy keeps, in restic's words and by its rules; pure, and all in UTC.

Rules add up: what any of them keeps is kept. A calendar rule goes from the newest snapshot back and keeps the newest
one of each period, for as many periods as it says that have any; where there are fewer, the oldest snapshot is kept
besides. `within` counts back from the newest snapshot that isn't in the future. One in the future is always kept and
counts for nothing. Source: restic's documentation, "Removing backup snapshots" (read 2026-11-22).
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
        """The duration that a text says. Raises ConfigError for another text, and for no time at all."""
        found = _DURATION.fullmatch(text)
        numbers = [int(number or 0) for number in found.groups()] if found else []
        if not any(numbers):
            raise ConfigError(f"{text[:80]!r} is no duration: write years, months, days and hours such as 2y5m7d3h")
        return cls(*numbers)

    def before(self, moment: datetime) -> datetime:
        """The instant so long before. A day that the month doesn't have runs over into the next month."""
        months = moment.year * 12 + moment.month - 1 - self.years * 12 - self.months
        year, month = divmod(months, 12)
        rest = timedelta(days=moment.day - 1 - self.days, hours=-self.hours)
        try:
            return moment.replace(year=year, month=month + 1, day=1) + rest
        except (ValueError, OverflowError):
            return _FIRST_DAY


@dataclass(frozen=True, slots=True)
class KeepRules:
    """How many to keep of the last ones and of each period's; `inf` for all, 0 where the rule isn't given."""

    last: float = 0
    hourly: float = 0
    daily: float = 0
    weekly: float = 0
    monthly: float = 0
    yearly: float = 0
    within: Duration | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no rule is given: then nothing would be kept, which nobody means."""
        return self == KeepRules()


def keep(rules: KeepRules, snapshots: Mapping[str, datetime], now: datetime) -> dict[str, list[str]]:
    """ID → why it is kept, of those that are. `snapshots`: ID → its start, aware."""
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
    """ID → period, newest first: the first ID of each period."""
    found: dict[object, str] = {}
    for snapshot_id, period in periods.items():
        found.setdefault(period, snapshot_id)
    return list(found.values())
