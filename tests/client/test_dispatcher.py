"""When requests are let go, under virtual time: places, rates, and that neither is ever lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import repeat
from typing import Self

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.client.dispatcher import Dispatcher
from crawler.client.rate_limit import LimitRule, TokenBuckets
from crawler.client.request_queue import RequestLane
from crawler.clock import SystemClock
from tests.support.examples import examples

pytestmark = pytest.mark.looptime


class Traffic:
    """Requests through a dispatcher: when each left, and how many were under way at once."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.left: dict[object, list[float]] = {}
        self.under_way = 0
        self.most = 0

    async def one(self, lane: RequestLane, name: object, duration_s: float) -> None:
        await self.dispatcher.acquire(lane)
        await self.begun(name, duration_s)

    async def begun(self, name: object, duration_s: float) -> None:
        self.left.setdefault(name, []).append(anyio.current_time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await anyio.sleep(duration_s)
        finally:
            self.under_way -= 1
            self.dispatcher.release()


class Running:
    """A running dispatcher and a task group; on exit, the dispatcher is cancelled when the tasks are done."""

    def __init__(self, concurrency: int) -> None:
        self.dispatcher = Dispatcher(concurrency, SystemClock())
        self.traffic = Traffic(self.dispatcher)

    async def __aenter__(self) -> Self:
        self._outer = anyio.create_task_group()
        await self._outer.__aenter__()
        self._outer.start_soon(self.dispatcher.run)
        self.tasks = anyio.create_task_group()
        await self.tasks.__aenter__()
        return self

    async def __aexit__(self, *error) -> None:
        await self.tasks.__aexit__(*error)
        self._outer.cancel_scope.cancel()
        await self._outer.__aexit__(None, None, None)


def free_places(dispatcher: Dispatcher) -> int:
    return dispatcher._free


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_than_so_many_requests_are_under_way(concurrency):
    async with Running(concurrency) as running:
        for n in range(20):
            running.tasks.start_soon(running.traffic.one, RequestLane(()), n, 1.0)
    assert running.traffic.most == concurrency
    assert anyio.current_time() == pytest.approx(-(-20 // concurrency), abs=0.1)
    assert free_places(running.dispatcher) == concurrency


def most_in_any_window(times, window_s):
    return max(sum(start <= at < start + window_s for at in times) for start in times)


async def test_no_window_holds_more_than_the_burst_and_the_rate_allow():
    """P9, with the real buckets: two operations within one product, requests of every length."""
    buckets = TokenBuckets(LimitRule(20, 5), {"fc": LimitRule(10, 4), "fc.B": LimitRule(3, 2)})
    async with Running(50) as running:
        for action in "AB":
            lane = RequestLane(buckets.pair("1", "r", "fc", action))
            for n in range(60):
                running.tasks.start_soon(running.traffic.one, lane, action, n % 7 / 10)
    left = running.traffic.left
    everything = sorted(left["A"] + left["B"])
    assert len(everything) == 120
    for window_s in (0.1, 0.5, 1, 2, 5, 10):
        assert most_in_any_window(everything, window_s) <= 4 + 10 * window_s
        assert most_in_any_window(left["B"], window_s) <= 2 + 3 * window_s
    assert len(left["A"]) / (max(left["A"]) - min(left["A"])) > 5, "and the limit is made use of"


async def leaving_times(*, throttled: bool):
    """When the requests of three calm accounts leave; optionally a fourth account is throttled on every request."""
    buckets = TokenBuckets(LimitRule(10, 2))
    async with Running(8) as running:

        async def refused(lane, bucket):
            for _ in range(20):
                await running.dispatcher.acquire(lane)
                sent_at = anyio.current_time()
                running.dispatcher.release()
                bucket.throttled(anyio.current_time(), sent_at, 5.0)

        if throttled:
            operation, product = buckets.pair("bad", "r", "fc", "A")
            for _ in range(30):
                running.tasks.start_soon(refused, RequestLane((operation, product)), product)
        for account in "xyz":
            lane = RequestLane(buckets.pair(account, "r", "fc", "A"))
            for _ in range(20):
                running.tasks.start_soon(running.traffic.one, lane, account, 0.05)
    return running.traffic.left


async def test_an_account_that_is_throttled_all_the_time_slows_no_other():
    """F01, F05."""
    started = anyio.current_time()
    calm = await leaving_times(throttled=False)
    between = anyio.current_time()
    beside = await leaving_times(throttled=True)
    for account, times in calm.items():
        assert [at - between for at in beside[account]] == pytest.approx([at - started for at in times], abs=1e-6)


async def test_admissions_are_asked_for_only_when_a_place_is_free_and_nothing_may_go():
    asked = []
    async with Running(2) as running:
        traffic, lane = running.traffic, RequestLane(())

        def admissions():
            for n in range(3):
                asked.append((anyio.current_time(), free_places(running.dispatcher), lane.is_empty))
                for _ in range(2):
                    running.dispatcher.submit(lane, lambda n=n: running.tasks.start_soon(traffic.begun, n, 1.0))
                yield True
            yield from repeat(False)

        started = anyio.current_time()
        running.dispatcher.feed(admissions())
        await anyio.sleep(10)
    assert [round(at - started, 3) for at, _, _ in asked] == [0, 1, 2]
    assert all(free > 0 and is_empty for _, free, is_empty in asked)
    assert sum(map(len, traffic.left.values())) == 6


async def test_a_lane_that_is_blocked_lets_more_be_admitted():
    bucket = TokenBuckets(LimitRule(0.1)).pair("1", "r", "fc", "A")
    admitted = []
    async with Running(2) as running:
        slow = RequestLane(bucket)
        for _ in range(2):
            running.tasks.start_soon(running.traffic.one, slow, "slow", 0.1)

        def admissions():
            admitted.append(anyio.current_time())
            running.dispatcher.submit(
                RequestLane(()), lambda: running.tasks.start_soon(running.traffic.begun, "new", 0.1)
            )
            yield True
            yield from repeat(False)

        await anyio.sleep(1)
        started = anyio.current_time()
        running.dispatcher.feed(admissions())
    assert admitted == [pytest.approx(started, abs=0.01)]


async def test_a_waiter_that_is_cancelled_leaves_its_lane_and_takes_no_place():
    async with Running(1) as running:
        lane = RequestLane(())
        running.tasks.start_soon(running.traffic.one, lane, "first", 5)
        await anyio.sleep(1)
        with anyio.move_on_after(1):
            await running.dispatcher.acquire(lane)
        assert lane.is_empty
        running.tasks.start_soon(running.traffic.one, lane, "second", 1)
    assert [len(times) for times in running.traffic.left.values()] == [1, 1]
    assert free_places(running.dispatcher) == 1


async def test_a_waiter_that_is_cancelled_when_its_place_was_granted_gives_it_back():
    """The grant and the cancellation come in one turn of the loop: first the one, then the other."""
    async with Running(1) as running:
        lane = RequestLane(())
        waiter = asyncio.get_running_loop().create_task(running.dispatcher.acquire(lane))
        while lane.is_empty:
            await anyio.sleep(0)
        grant = lane.in_progress.popleft()
        lane.in_progress.append(lambda: (grant(), waiter.cancel()))
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert free_places(running.dispatcher) == 1


requests = st.tuples(
    st.integers(0, 2), st.floats(0, 3), st.floats(0, 2), st.one_of(st.none(), st.floats(0, 3)), st.booleans()
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(requests, min_size=1, max_size=25), st.integers(1, 4))
def test_no_place_is_ever_lost(drawn, concurrency):
    """P10: Requests that begin at any time, take any time, fail, or are cancelled at any time, waiting or under way."""
    import looptime

    async def main():
        buckets = TokenBuckets(LimitRule(4, 2))
        lanes = [RequestLane(buckets.pair(f"{n}", "r", "fc", "A")) for n in range(3)]
        async with Running(concurrency) as running:

            async def one(which, begin_s, duration_s, cancel_s, fails):
                await anyio.sleep(begin_s)
                with anyio.move_on_after(cancel_s):
                    with suppress(ZeroDivisionError):
                        await running.traffic.one(lanes[which], which, duration_s)
                        assert 1 / (not fails)

            for request in drawn:
                running.tasks.start_soon(one, *request)
        assert free_places(running.dispatcher) == concurrency
        assert running.traffic.most <= concurrency
        assert all(lane.is_empty for lane in lanes)

    loop = looptime.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
