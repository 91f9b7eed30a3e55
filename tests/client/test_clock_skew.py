"""Hosts whose clocks differ: each has its own correction, and none changes the signatures for another."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.client.client import RequestCounts, SignedAccount
from crawler.client.clock_skew import ClockSkews, SignatureDates
from crawler.client.request import ApiRequest
from crawler.errors import ApiError, FatalError, ResignError, TransientError
from crawler.testing import FakeClock, FakeProvider, FakeSender, answer, client_over
from crawler.text import http_date
from tests.support.examples import examples

ACCOUNT = "1000000000000001"
HOSTS = {"fc": "{region}.fc.aliyuncs.com", "sts": "https://sts.aliyuncs.com"}
STRICT = timedelta(minutes=15)
HOUR_S = 3600.0
EXPIRED = b'{"Code": "InvalidTimeStamp.Expired", "Message": "x"}'


class Cloud:
    """Hosts with clocks of their own, by the first label of their names; `ahead_s` is 0 for a host that it lacks.

    A strict host takes a signature whose date is at most 15 minutes away. Those of `never` reject every signature.
    """

    def __init__(self, never: frozenset[str] = frozenset(), **ahead_s: float) -> None:
        self.clock = FakeClock()
        self.ahead_s = ahead_s
        self.never = never
        self.rejected: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.dates: dict[str, list[float]] = {}
        self.status = 200
        self.client = client_over(FakeSender(self._answer), HOSTS, clock=self.clock)

    def _answer(self, request):
        host = request.headers["host"].split(".")[0]
        self.asked[host] += 1
        now = self.clock.now() + timedelta(seconds=self.ahead_s.get(host, 0.0))
        sent = datetime.strptime(request.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        self.dates.setdefault(host, []).append(round((sent - self.clock.now()).total_seconds() / HOUR_S, 1))
        headers = {"Date": format_datetime(now, usegmt=True)}
        if host in self.never or abs(sent - now) > STRICT:
            self.rejected[host] += 1
            return answer(400, EXPIRED, headers)
        return answer(self.status, b"{}", headers)

    async def call(self, host: str) -> None:
        product, region = ("sts", "") if host == "sts" else ("fc", host)
        request = ApiRequest(product, "1", "A", region, "/")
        channel = self.client.channel(ACCOUNT, region, product, "A")
        await self.client.call(request, SignedAccount(ACCOUNT, FakeProvider()), channel, bytes, RequestCounts())

    async def fails(self, host: str) -> ApiError:
        with pytest.raises(ApiError) as caught:
            await self.call(host)
        return caught.value


async def test_a_host_with_a_wrong_clock_changes_nothing_for_the_others():
    """F86, P23: its own date is tried once per call and taken back; the others never see a wrong date."""
    cloud = Cloud(never=frozenset({"cn-bad"}), **{"cn-bad": 6 * HOUR_S})
    for _ in range(5):
        await cloud.call("sts")
        await cloud.call("cn-good")
        assert (await cloud.fails("cn-bad")).code == "InvalidTimeStamp.Expired"
    assert (cloud.rejected["sts"], cloud.rejected["cn-good"]) == (0, 0)
    assert cloud.dates["cn-bad"][:3] == [0.0, 6.0, 0.0]
    assert cloud.asked["cn-bad"] == 15
    assert cloud.client.clock_skew_s == 0


async def test_hosts_with_different_clocks_are_each_corrected_once():
    """F13, F86: one more request for each host, and none after."""
    ahead = {"cn-one": 1 * HOUR_S, "cn-two": -2 * HOUR_S, "cn-three": 11 * HOUR_S}
    cloud = Cloud(**ahead)
    for _ in range(4):
        for host in ("sts", "cn-right", *ahead):
            await cloud.call(host)
    assert cloud.rejected == dict.fromkeys(ahead, 1)
    assert {host: cloud.client.clock.of(f"{host}.fc.aliyuncs.com") for host in ahead} == pytest.approx(ahead, abs=1)
    assert cloud.client.clock_skew_s == 0


async def test_the_correction_that_sts_needed_is_where_other_hosts_begin():
    """F13: a clock that is off costs one request, not one per host."""
    cloud = Cloud(**dict.fromkeys(("sts", "cn-one", "cn-two"), HOUR_S), **{"cn-odd": 3 * HOUR_S})
    for host in ("sts", "cn-one", "cn-two", "cn-odd", "cn-odd", "cn-one"):
        await cloud.call(host)
    assert cloud.rejected == {"sts": 1, "cn-odd": 1}
    assert cloud.client.clock_skew_s == HOUR_S
    assert cloud.client.clock.now() == cloud.clock.now() + timedelta(hours=1)


async def test_a_later_correction_by_sts_leaves_hosts_alone_that_answered_well():
    """F86: STS has a bad moment; a host that accepted a date goes on with it."""
    cloud = Cloud()
    await cloud.call("sts")
    await cloud.call("cn-one")
    cloud.ahead_s["sts"] = 6 * HOUR_S
    await cloud.call("sts")
    await cloud.call("cn-one")
    assert cloud.rejected == {"sts": 1}
    await cloud.call("cn-new")
    assert cloud.rejected == {"sts": 1, "cn-new": 1}


async def test_a_clock_that_is_set_right_during_a_crawl_is_followed():
    """F13: NTP corrects this machine by an hour."""
    cloud = Cloud(**{"sts": HOUR_S, "cn-one": HOUR_S})
    await cloud.call("sts")
    await cloud.call("cn-one")
    cloud.clock.start += timedelta(hours=1)
    cloud.ahead_s.clear()
    for _ in range(3):
        await cloud.call("cn-one")
        await cloud.call("sts")
    assert cloud.rejected == {"sts": 2, "cn-one": 1}
    assert cloud.client.clock_skew_s == pytest.approx(0, abs=1)


async def test_a_host_that_is_days_away_fails_alone_after_another_accepted_a_date():
    """F86: only the first host that judges a date can say that this machine's clock is wrong."""
    cloud = Cloud(**{"cn-bad": 50 * HOUR_S})
    await cloud.call("sts")
    error = await cloud.fails("cn-bad")
    assert (type(error), error.code) == (ResignError, "InvalidTimeStamp.Expired")
    assert cloud.dates["cn-bad"] == [0.0, 0.0, 0.0]
    await cloud.call("cn-good")
    first = Cloud(sts=50 * HOUR_S)
    error = await first.fails("sts")
    assert (type(error), error.code) == (FatalError, "ClockWrong")


@pytest.mark.parametrize("ahead_s", [6 * HOUR_S, -6 * HOUR_S, 50 * HOUR_S, 9e9])
async def test_one_wrong_gateway_among_several_of_a_host_loses_no_call(ahead_s):
    """F86: every third answer of a host that answers well is a rejection with a wrong date."""
    cloud = Cloud()
    right = cloud.client._sender._script

    def some_wrong(request):
        cloud.asked["all"] += 1
        if cloud.asked["all"] % 3 == 0 and not request.headers["host"].startswith("sts"):
            cloud.rejected["wrong gateway"] += 1
            with suppress(OverflowError):
                date = format_datetime(cloud.clock.now() + timedelta(seconds=ahead_s), usegmt=True)
                return answer(400, EXPIRED, {"Date": date})
            return answer(400, EXPIRED, {"Date": "Fri, 31 Dec 9999 23:59:59 GMT"})
        return right(request)

    cloud.client._sender._script = some_wrong
    await cloud.call("sts")
    for _ in range(100):
        await cloud.call("cn-one")
    assert cloud.rejected["wrong gateway"] > 40
    assert cloud.client.clock.of("cn-one.fc.aliyuncs.com") == 0


async def test_a_host_that_rejects_its_own_date_after_it_accepted_one_has_bounded_attempts():
    """F86, P8: like any other passing fault of a gateway."""
    cloud = Cloud()
    await cloud.call("sts")
    await cloud.call("cn-one")
    cloud.never, cloud.ahead_s["cn-one"] = frozenset({"cn-one"}), 6 * HOUR_S
    error = await cloud.fails("cn-one")
    assert (type(error), error.code) == (TransientError, "InvalidTimeStamp.Expired")
    assert cloud.dates["cn-one"] == [0.0] + [0.0, 6.0] + [0.0] * 6
    assert cloud.client.clock.of("cn-one.fc.aliyuncs.com") == 0


async def test_a_trial_goes_on_through_another_failure():
    """F86: a 503 says nothing about the date."""
    cloud = Cloud(**{"cn-one": HOUR_S})
    await cloud.call("sts")
    cloud.status = 503
    await cloud.fails("cn-one")
    assert cloud.dates["cn-one"] == [0.0] + [1.0] * 7
    cloud.status = 200
    await cloud.call("cn-one")
    assert cloud.client.clock.of("cn-one.fc.aliyuncs.com") == pytest.approx(HOUR_S, abs=1)


DAYS = st.floats(-40, 40).map(lambda hours: hours * HOUR_S)


@given(st.lists(st.tuples(st.sampled_from(["accepted", "rejected"]), DAYS), max_size=20))
@settings(max_examples=examples(200), deadline=None)
def test_whatever_one_host_says_another_keeps_its_date(answers):
    """F86, P23."""
    clock = FakeClock()
    skews = ClockSkews(clock)
    good = SignatureDates(skews, True)
    assert good.next("good") == clock.now()
    good.accepted()
    dates = SignatureDates(skews, False)
    for kind, ahead_s in answers:
        used = (dates.next("bad") - clock.now()).total_seconds()
        assert abs(used) <= 12 * HOUR_S
        if kind == "accepted":
            dates.accepted()
            continue
        error = ResignError("InvalidTimeStamp.Expired", "")
        error.server_date = format_datetime(clock.now() + timedelta(seconds=ahead_s), usegmt=True)
        assert dates.rejected(error).code == error.code
    assert (skews.of("good"), skews.default_s) == (0, 0)


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,6} [A-Z][a-z]{2} \d{1,9} \d\d?:\d\d:\d\d( GMT| [+-]\d{1,9})?"))
@settings(max_examples=examples(300), deadline=None)
def test_no_text_of_a_date_raises(text):
    """F87."""
    found = http_date(text)
    assert found is None or (found.tzinfo is UTC and 1970 < found.year < 9000)
