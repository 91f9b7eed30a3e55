"""Which snapshots a policy keeps: restic's documented examples, and a model of its words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import ConfigError
from crawler.snapshot.retention import Duration, KeepRules, keep

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = datetime(9000, 1, 1, tzinfo=UTC)


def named(starts):
    """Snapshots called by their start."""
    return {f"{start:%Y%m%dT%H%M%S}": start for start in starts}


def kept(rules, starts, now=NOW):
    """The starts that are kept, newest first."""
    snapshots = named(starts)
    return sorted((snapshots[name] for name in keep(rules, snapshots, now)), reverse=True)


SUNDAYS = [datetime(2019, 9, 1, 11, tzinfo=UTC) + timedelta(weeks=week) for week in range(12)]


def test_four_days_of_weekly_snapshots_are_the_last_four_sundays():
    assert kept(KeepRules(daily=4), SUNDAYS) == SUNDAYS[:-5:-1]


def test_a_century_of_days_keeps_what_the_documentation_counts():
    """7 days, 4 more weeks, 12 or 11 more months, 75 or 74 more years."""
    days = [datetime(2026, 11, 22, tzinfo=UTC) - timedelta(days=day) for day in range(36525)]
    found = kept(KeepRules(daily=7, weekly=5, monthly=12, yearly=75), days)
    assert found[:7] == days[:7]
    sundays = [day for day in days if day.isoweekday() == 7][1:5]
    assert set(found[7:]) >= set(sundays)
    month_ends = [day for day in days if (day + timedelta(days=1)).day == 1][:11]
    year_ends = [day for day in days if (day.month, day.day) == (12, 31)][:74]
    assert set(found) == {*days[:7], *sundays, *month_ends, *year_ends}


def test_within_counts_back_from_the_newest_snapshot_and_not_from_now():
    assert kept(KeepRules(within=Duration.parse("15d")), SUNDAYS, LATER) == SUNDAYS[:-4:-1]


def test_where_there_are_fewer_periods_than_asked_for_the_oldest_is_kept_besides():
    day = datetime(2026, 11, 1, tzinfo=UTC)
    starts = [day + timedelta(hours=hours) for hours in (1, 5, 9, 30, 33)]
    snapshots = named(starts)
    assert keep(KeepRules(daily=3), snapshots, NOW) == {
        "20261102T090000": ["daily"],
        "20261101T090000": ["daily"],
        "20261101T010000": ["oldest daily"],
    }
    assert kept(KeepRules(daily=2), starts) == [starts[4], starts[2]]


def test_each_reason_is_given():
    reasons = keep(KeepRules(last=1, weekly=1, yearly=inf), named(SUNDAYS), NOW)
    assert reasons == {"20191117T110000": ["last", "weekly", "yearly"], "20190901T110000": ["oldest yearly"]}


def test_one_in_the_future_is_kept_and_counts_for_nothing():
    starts = [NOW - timedelta(days=2), NOW - timedelta(days=1), NOW + timedelta(days=1)]
    reasons = keep(KeepRules(last=1, within=Duration.parse("1h")), named(starts), NOW)
    assert list(reasons.values()) == [["in the future"], ["last", "within"]]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("2y5m7d3h", Duration(2, 5, 7, 3)),
        ("7d", Duration(days=7)),
        ("1y", Duration(years=1)),
        ("18m", Duration(months=18)),
        ("1h", Duration(hours=1)),
    ],
)
def test_durations_are_restics(text, duration):
    assert Duration.parse(text) == duration


@pytest.mark.parametrize("text", ["", "7", "1w", "3h2d", "-1d", "1.5d", " 1d", "0d", "1d ", "d", "１d", "99999y"])
def test_other_durations_are_a_sentence(text):
    with pytest.raises(ConfigError, match=r"invalid duration .*; write years"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("moment", "duration", "before"),
    [
        ("2026-11-22T02:00", "7d", "2026-11-15T02:00"),
        ("2024-02-29T02:00", "1y", "2023-03-01T02:00"),
        ("2026-03-31T02:00", "1m", "2026-03-03T02:00"),
        ("2026-01-15T02:00", "1m3h", "2025-12-14T23:00"),
        ("2026-11-22T02:00", "9999y", "0001-01-01T00:00"),
        ("0001-01-02T02:00", "5d", "0001-01-01T00:00"),
    ],
)
def test_durations_go_by_the_calendar(moment, duration, before):
    start = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert Duration.parse(duration).before(start) == datetime.fromisoformat(before).replace(tzinfo=UTC)


MOMENTS = st.datetimes(datetime(2023, 12, 20), datetime(2026, 12, 31), timezones=st.just(UTC))
COUNTS = st.integers(0, 6) | st.just(inf)


@st.composite
def histories(draw):
    """Bursts of snapshots, so that many share an hour, a day, a week."""
    starts = set()
    for start in draw(st.lists(MOMENTS, max_size=8)):
        gap = timedelta(minutes=draw(st.integers(1, 4000)))
        starts |= {start.replace(microsecond=0) + gap * n for n in range(draw(st.integers(1, 6)))}
    return sorted(starts)


def words_of(rules, starts):
    """The documentation's meaning of these rules, one sentence per rule, for snapshots that aren't in the future."""
    wanted = set(starts[len(starts) - int(min(rules.last, len(starts))) :])
    if rules.within is not None:
        since = rules.within.before(starts[-1])
        wanted |= {start for start in starts if start > since}
    periods = {
        "hourly": lambda at: at.strftime("%Y-%j-%H"),
        "daily": lambda at: at.strftime("%Y-%j"),
        "weekly": lambda at: (at - timedelta(days=at.weekday())).strftime("%Y-%j"),
        "monthly": lambda at: at.strftime("%Y-%m"),
        "yearly": lambda at: at.strftime("%Y"),
    }
    for name, period in periods.items():
        count = getattr(rules, name)
        with_any = sorted({period(start) for start in starts}, reverse=True)
        for one in with_any[: int(min(count, len(with_any)))]:
            wanted.add(max(start for start in starts if period(start) == one))
        if count > len(with_any):
            wanted.add(starts[0])
    return wanted


@given(
    histories(),
    st.builds(
        KeepRules,
        last=COUNTS,
        hourly=COUNTS,
        daily=COUNTS,
        weekly=COUNTS,
        monthly=COUNTS,
        yearly=COUNTS,
        within=st.none() | st.builds(Duration, st.integers(0, 2), st.integers(0, 14), st.integers(0, 40), st.just(1)),
    ),
    MOMENTS,
)
def test_the_rules_keep_what_their_words_say(starts, rules, now):
    past = [start for start in starts if start <= now]
    wanted = {start for start in starts if start > now} | (words_of(rules, past) if past else set())
    assert set(kept(rules, starts, now)) == wanted
