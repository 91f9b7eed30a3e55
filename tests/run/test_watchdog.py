"""F24, P10: a crawl without progress ends and names the waiting tasks; a crawl that waits for something continues."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from math import inf

import anyio
import pytest

from crawler.client.transport import Transport
from crawler.clock import SystemClock
from crawler.run.progress import CrawlMonitor
from crawler.run.run import crawl
from crawler.run.watchdog import StuckError, TrackedClock, task_stacks, watch_progress
from crawler.telemetry import logs as log
from tests.support.crawl_runner import site


def never() -> float:
    return -inf


@pytest.fixture
def logged():
    stream = io.StringIO()
    log.configure("json", "info", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.looptime
async def test_no_movement_ends_it_after_the_patience_and_not_before(logged):
    calls = []
    began_at = anyio.current_time()
    with pytest.raises(StuckError, match=r"^The crawl made no progress for 300 s; "):
        await watch_progress(lambda: 0, never, SystemClock(), lambda: calls.append("stuck"))
    assert 300 <= anyio.current_time() - began_at <= 315
    assert calls == ["stuck"]
    (line,) = logged()
    assert (line["event"], line["level"], line["seconds"]) == ("stuck", "error", 300)


@pytest.mark.looptime
async def test_whatever_moves_starts_the_patience_anew():
    clock = SystemClock()

    def marks():
        return min(clock.monotonic() - began_at, 1000) // 290  # the last change comes after 870 s

    began_at = clock.monotonic()
    with pytest.raises(StuckError):
        await watch_progress(marks, never, clock, lambda: None)
    assert 1170 <= clock.monotonic() - began_at <= 1200


@pytest.mark.looptime
async def test_a_wait_that_has_an_end_is_no_standstill_until_it_is_over():
    clock = TrackedClock(SystemClock())
    ended_at = []

    async def watched():
        with pytest.raises(StuckError):
            await watch_progress(lambda: 0, clock.last_wakeup, clock.inner, lambda: None)
        ended_at.append(clock.monotonic() - began_at)

    began_at = clock.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watched)
        for duration_s in (900, 5):
            tasks.start_soon(clock.sleep, duration_s)
    assert 1200 - 15 <= ended_at[0] <= 1215, "it looks every 15 s"
    assert clock.last_wakeup() == -inf


async def test_stacks_name_places_and_no_value():
    async def inner(secret):
        await anyio.Event().wait()

    async def outer():
        await inner("c4n4ryS3cretValue")

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(outer)
        await anyio.sleep(0)
        stacks = task_stacks()
        tasks.cancel_scope.cancel()
    (found,) = (stack for stack in stacks if "inner" in stack)
    assert found.startswith("3 × ")
    assert found.index("outer") < found.index("inner") < found.index("wait")
    assert "test_watchdog.py:" in found
    assert "c4n4ry" not in found


class Leaping(SystemClock):
    """A clock that runs on to a sleep's end once `leaps` is set."""

    def __init__(self):
        self.leaps = False
        self.ahead_s = 0.0

    def monotonic(self):
        return super().monotonic() + self.ahead_s

    async def sleep(self, duration_s):
        due = self.monotonic() + duration_s
        while (left_s := due - self.monotonic()) > 0:
            await anyio.sleep(0.001)
            if self.leaps:
                self.ahead_s += left_s


async def test_a_lost_answer_ends_the_crawl_which_another_can_go_on_with(tmp_path, monkeypatch, logged):
    """F24: a task waits for an event that never comes, outside of every timeout."""
    send, clock = Transport.send, Leaping()

    async def lost(self, request):
        if (request.headers["x-acs-action"], request.headers["x-acs-version"]) == ("ListFunctions", "2023-03-30"):
            clock.leaps = True
            await anyio.Event().wait()
        return await send(self, request)

    monkeypatch.setattr(Transport, "send", lost)
    calls = []
    watch = CrawlMonitor(on_stuck=lambda: calls.append("stuck"))
    async with site(tmp_path) as place:
        config = place.config(tables=["fc_functions", "fc2_services"], regions=["cn-hangzhou"])
        with pytest.raises(StuckError):
            await crawl(config, replace(place.surroundings(), clock=clock), watch)
        assert not list(place.output.glob("_snapshots/*.json"))
        (line,) = (line for line in logged() if line["event"] == "stuck")
        assert any("lost" in stack for stack in line["waiting"])
        assert (calls, watch.can_resume) == (["stuck"], True)
        monkeypatch.setattr(Transport, "send", send)
        result = await crawl(config, place.surroundings(), resume=True)
        assert (result.exit_code, result.snapshot_id) == (0, watch.snapshot_id)
