"""F137, P8: no account is asked more often than its limit while processes are added, stopped, go on and are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import defaultdict

import pytest

from crawler.emulator import Rate
from tests.support.run_processes import ACCOUNTS, fleet_cloud, fleet_spec, folder_output, last_line, until

LIMIT = Rate(rate=4, burst=24)
# Requests arrive late where the machine is busy: those of so many seconds may come together.
LATE_S = 1.0
FUNCTIONS = 60
_RULE = f'"fc.ListTriggers" = {{ rate = {LIMIT.rate}, burst = {LIMIT.burst} }}'


def with_triggers(text):
    """A configuration with the table that the limit is for."""
    return text.replace('"fc_layers"', '"fc_layers", "fc_triggers"')


@pytest.fixture(scope="module")
def limited_fleet(tmp_path_factory):
    """Four accounts whose triggers take half a minute by the limit: a list for each function.

    The cloud itself throttles nothing: what it counts is what was sent.
    """
    spec = fleet_spec(accounts=ACCOUNTS[:4], regions=("cn-hangzhou",), scale=FUNCTIONS)
    with fleet_cloud(tmp_path_factory.mktemp("limited"), spec, with_triggers) as fleet:
        text = fleet.config.read_text()
        fleet.config.write_text(text.replace("[rate_limits]\n", f"[rate_limits]\n{_RULE}\n"))
        yield fleet


class Lateness:
    """Measures in a thread how late this process is at most, whose other threads are the cloud."""

    def __enter__(self):
        self.most_s, self._is_over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._measure)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _measure(self):
        while not self._is_over.is_set():
            before = time.monotonic()
            time.sleep(0.02)
            self.most_s = max(self.most_s, time.monotonic() - before - 0.02)


def excess(entries, late_s):
    """By how many requests an account and list was asked above its limit in any window, by the cloud's own log."""
    times = defaultdict(list)
    for entry in entries:
        if entry.action == "ListTriggers":
            times[entry.account].append(entry.monotonic_s)
    most = {}
    for account, found in times.items():
        found.sort()
        over = 0.0
        # The largest sum of a stretch: each request adds one, each second takes the rate away.
        level = 0.0
        for place, at in enumerate(found):
            passed_s = at - found[place - 1] if place else 0.0
            level = max(0.0, level - passed_s * LIMIT.rate) + 1
            over = max(over, level - LIMIT.burst - late_s * LIMIT.rate)
        most[account] = over
    return most


@pytest.mark.trust
def test_no_account_is_asked_above_its_limit_whatever_happens_to_processes(limited_fleet, tmp_path):
    fleet, output = limited_fleet, folder_output(tmp_path / "out")
    fleet.cloud.requests.clear()
    with Lateness() as late:
        processes = {0: fleet.shard(output, 0, 4)}
        until(lambda: "plan.json" in output.run_names())
        processes |= {number: fleet.shard(output, number, 4) for number in (1, 2)}
        until(lambda: {f"s0000{number}-a001.lease" for number in range(3)} <= output.run_names())
        until(lambda: fleet.cloud.requests.count(action="ListTriggers") > 3 * LIMIT.burst + 10)
        processes[0].signal(signal.SIGSTOP)  # for 20 s
        processes[1].signal(signal.SIGSTOP)  # for longer than its lease lasts
        processes[2].signal(signal.SIGKILL)
        stopped_at = time.monotonic()
        added = [fleet.shard(output, number, 4) for number in (3, 1, 2)]
        time.sleep(20)
        processes[0].signal(signal.SIGCONT)
        # Those that replace others wait until the leases are a minute old.
        until(lambda: "s00001-a002.lease" in output.run_names())
        assert time.monotonic() - stopped_at > 44
        until(lambda: fleet.cloud.requests.count(action="ListTriggers", outcome="OK") and added[1].code is None)
        time.sleep(3)
        processes[1].signal(signal.SIGCONT)
        assert processes[1].wait() == 11, processes[1].stderr
        assert "is lost" in last_line(processes[1].stderr)["error"]
        assert [process.wait() for process in (processes[0], *added)] == [0] * 4, [p.stderr for p in added]
    fleet.assert_equal(output)
    most = excess(fleet.cloud.requests.entries, LATE_S + late.most_s)
    assert set(most) == set(ACCOUNTS[:4])
    assert max(most.values()) <= 0, (most, late.most_s)


@pytest.mark.trust
def test_workers_that_are_replaced_keep_the_limits(limited_fleet, tmp_path):
    """A coordinator replaces a killed worker at once: the next one begins as if the burst were used up."""
    fleet, output = limited_fleet, folder_output(tmp_path / "out")
    fleet.cloud.requests.clear()
    with Lateness() as late:
        process = fleet.start(output, "--workers", "4")
        children = until(lambda: len(found := process.children()) >= 4 and found)
        until(lambda: fleet.cloud.requests.count(action="ListTriggers") > 4 * LIMIT.burst + 20)
        first, second, *_ = sorted(children)
        os.kill(first, signal.SIGSTOP)
        os.kill(second, signal.SIGKILL)
        time.sleep(5)
        os.kill(first, signal.SIGCONT)
        assert process.wait() == 0, process.stderr
    fleet.assert_equal(output)
    most = excess(fleet.cloud.requests.entries, LATE_S + late.most_s)
    assert max(most.values()) <= 0, (most, late.most_s)


@pytest.mark.trust
def test_control_two_crawls_at_a_time_are_seen_to_exceed_the_limit(limited_fleet, tmp_path):
    """Without a run, two processes ask for the same accounts."""
    limited_fleet.cloud.requests.clear()
    outputs = [folder_output(tmp_path / name / "out") for name in "ab"]
    processes = [limited_fleet.start(output) for output in outputs]
    time.sleep(8)
    for process in processes:
        process.end()
    assert max(excess(limited_fleet.cloud.requests.entries, LATE_S).values()) > LIMIT.rate
