"""Shards in worker processes: what becomes of a run whose children work, die, lie, and fall silent."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from crawler.clock import SystemClock
from crawler.errors import ConfigError, OutputError, unwrap_group
from crawler.run.engine import coordinate, processes
from crawler.run.engine.base import LaunchError
from crawler.run.engine.coordinate import run_shards
from crawler.run.engine.processes import ProcessLauncher
from crawler.run.progress import CrawlMonitor
from crawler.telemetry import logs
from crawler.testing import FakeClock

CHILD = Path(__file__).parents[2] / "support" / "protocol_child.py"


class SteppedClock(SystemClock):
    """A clock that moves by so many seconds as a test allows. `pass_` returns when they have passed."""

    def __init__(self):
        self.left_s = 0.0

    async def sleep(self, duration_s):
        while self.left_s < duration_s:
            await anyio.sleep(0.001)
        self.left_s -= duration_s

    async def pass_(self, seconds):
        self.left_s += seconds
        while self.left_s:
            await anyio.sleep(0.001)
        await anyio.sleep(0.005)  # for what the sleeper does then


class Run:
    """One run over children that follow a script, with what it logged and how its children ended."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.folder.mkdir()
        self.monitor = CrawlMonitor(snapshot_id="20261130T020000Z-7f3a")
        self.log = StringIO()
        self.dead = []
        self.launcher = None
        logs.configure("json", "info", self.log)
        # A child that can't be heard is given little time.
        monkeypatch.setattr(processes, "_PATIENCE_S", 0.2)
        monkeypatch.setattr(processes, "_SELDOM_S", 0.05)

    def script(self, *shards):
        for number, actions in enumerate(shards):
            (self.folder / str(number)).write_text("\n".join([actions] if isinstance(actions, str) else actions))
        return list(range(len(shards)))

    def pids(self, shard):
        file = self.folder / f"{shard}.begun"
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def lines(self, event=None):
        found = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in found if event in (None, line["event"])]

    async def on_dead(self, shard):
        self.dead.append(shard)

    def start(self, shards, *, workers=1, uvloop=True, total=None, clock=None, grace=None, during=None, command=None):
        command = command or [sys.executable, "-S", "-E", str(CHILD), str(self.folder)]

        async def main():
            self.launcher = ProcessLauncher(command, os.environ, workers, grace)
            async with anyio.create_task_group() as tasks:
                if during:
                    tasks.start_soon(during, tasks)
                try:
                    return await run_shards(
                        self.launcher,
                        shards,
                        self.monitor,
                        total=total or len(shards),
                        on_dead=self.on_dead,
                        clock=clock,
                    )
                finally:
                    tasks.cancel_scope.cancel()

        try:
            return anyio.run(main, backend_options={"use_uvloop": uvloop})
        except BaseExceptionGroup as group:  # of the test's own task group
            raise unwrap_group(group) from None

    async def begun(self, shard, attempts=1):
        """Wait until a shard's child has begun."""
        while len(self.pids(shard)) < attempts:
            await anyio.sleep(0.005)


@pytest.fixture
def run(tmp_path, monkeypatch):
    run = Run(tmp_path / "script", monkeypatch)
    yield run
    left = [pid for number in range(20) for pid in run.pids(number) if exists(pid)]
    assert left == [], "a child or a zombie is left"


def exists(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


both_loops = pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])


@both_loops
def test_all_shards_are_run_by_as_many_children_as_there_are_places(run, uvloop):
    shards = run.script(*["work"] * 6)
    assert run.start(shards, workers=2, uvloop=uvloop) == {}
    assert [len(run.pids(shard)) for shard in shards] == [1] * 6
    assert len({run.pids(shard)[0] for shard in shards}) == 2
    progress, requests = run.monitor.progress, run.monitor.requests
    assert (progress.scopes, progress.scopes_done, progress.rows, progress.not_complete) == (60, 60, 600, 6)
    assert (requests.requests, requests.throttled, requests.retries) == (120, 12, 6)
    assert progress.done_by_account == {"1": 60}
    assert (run.monitor.shards.done, run.monitor.shards.running, run.dead) == (6, {}, [])


def test_no_more_children_are_started_than_there_are_shards(run):
    run.start(run.script("work"), workers=4)
    assert len(run.pids(0)) == 1


def test_shards_are_started_in_the_given_order(run):
    run.script(*["work"] * 5)
    run.start([3, 0, 4, 1, 2])
    begun = {shard: (run.folder / f"{shard}.begun").stat().st_mtime_ns for shard in range(5)}
    assert sorted(begun, key=begun.__getitem__) == [3, 0, 4, 1, 2]


def test_nothing_to_run_is_no_process(run):
    assert run.start([], total=4, command=["/nonexistent"]) == {}
    assert run.monitor.shards.done == 4


def test_the_scopes_of_the_plan_stay_and_shards_that_were_done_before_count(run):
    run.monitor.progress.scopes, run.monitor.progress.scopes_done = 200, 50
    run.start(run.script("work", "work"), total=7)
    assert (run.monitor.progress.scopes, run.monitor.progress.scopes_done) == (200, 70)
    assert (run.monitor.shards.done, run.monitor.shards.total) == (7, 7)


def test_a_line_of_a_child_becomes_one_of_the_coordinator(run):
    run.start(run.script("work"))
    (line,) = run.lines()
    assert line.pop("timestamp") > "2026-02"
    place = {"snapshot_id": "20261130T020000Z-7f3a", "shard": 0, "attempt": 1}
    assert line == {"event": "page_read", "level": "info", "pages": 3, **place}


@pytest.mark.parametrize(("level", "seen"), [("info", 0), ("debug", 1)])
def test_debug_lines_are_repeated_only_if_asked_for(run, level, seen):
    logs.configure("json", level, run.log)
    run.start(run.script("debug"))
    assert len(run.lines("detail")) == seen


def test_a_child_cannot_flood_the_log(run):
    run.start(run.script("flood"))
    assert len(run.lines("page_read")) == 10_000
    assert len(run.lines("log_lines_left_out")) == 1


@both_loops
def test_garbage_is_survived_and_logged_as_text(run, uvloop):
    assert run.start(run.script("garbage"), uvloop=uvloop) == {}
    texts = [line["message"] for line in run.lines("stderr")]
    assert len(texts) == 5
    assert "Fatal" in texts[0]
    assert "\x1b" not in run.log.getvalue()
    assert all(len(text) <= 500 for text in texts)
    assert run.monitor.progress.scopes_done == 0


@both_loops
def test_lines_without_an_end_take_no_memory(run, uvloop):
    assert run.start(run.script("long"), uvloop=uvloop) == {}
    assert [line["message"] for line in run.lines()] == ["A line of more than 1048576 bytes was left out."] * 3


@both_loops
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_a_child_that_dies_within_a_line_is_replaced(run, uvloop, number):
    assert run.start(run.script("work", [f"signal {number:d}", "work"]), uvloop=uvloop) == {}
    assert len(run.pids(1)) == 2
    assert run.dead == [1]
    assert (run.monitor.progress.scopes_done, run.monitor.progress.rows) == (20, 200), "no count of the dead"
    assert run.monitor.progress.done_by_account == {"1": 20}
    (died,) = run.lines("shard_died")
    assert (died["shard"], died["attempt"], died["reason"]) == (1, 1, f"signal {number:d}")
    assert run.monitor.shards.restarted == {1}


def test_a_shard_that_dies_three_times_is_lost_and_the_others_are_not(run):
    lost = run.start(run.script("signal 9", "work"), total=32)
    assert list(lost) == [0]
    host = os.uname().nodename
    assert lost[0].message == f"shard 0 of 32 was lost 3 times; the last on host {host} by signal 9"
    assert len(run.pids(0)) == 3
    assert run.dead == [0, 0, 0]
    assert (run.monitor.shards.done, run.monitor.shards.lost) == (31, {0})
    assert run.monitor.progress.scopes_done == 10
    assert [line["level"] for line in run.lines("shard_lost")] == ["error"]
    assert {line["snapshot_id"] for line in run.lines()} == {"20261130T020000Z-7f3a"}


@pytest.mark.parametrize(
    ("action", "reason"),
    [("exit 0", "exit code 0"), ("exit 70", "exit code 70"), ("fail 1", "exit code 1"), ("stay 1", "exit code 1")],
)
def test_an_end_without_a_report_is_no_success(run, action, reason):
    lost = run.start(run.script(action))
    assert lost[0].reason == reason
    assert len(set(run.pids(0))) == 3, "each attempt has a process of its own"


@both_loops
def test_a_child_that_closes_its_log_is_replaced(run, uvloop):
    assert run.start(run.script(["close", "work"]), uvloop=uvloop) == {}
    assert run.lines("shard_died")[0]["reason"] == "signal 9, since its log was closed"


@both_loops
def test_a_process_that_a_dead_child_leaves_does_not_hide_its_death(run, uvloop):
    try:
        assert run.start(run.script(["deaf", "work"]), uvloop=uvloop) == {}
    finally:
        os.kill(int((run.folder / "holder").read_text()), signal.SIGKILL)
    assert run.lines("shard_died")[0]["reason"] == "signal 9"


def test_a_child_that_dies_without_a_shard_costs_no_attempt(run):
    shards = run.script("last 9", "work", "work")

    async def late(_tasks):
        await run.begun(0)

    assert run.start(shards, during=late) == {}
    assert sum(len(run.pids(shard)) for shard in shards) <= 4


@pytest.mark.parametrize("action", ["fail", "exit"])
@pytest.mark.parametrize(("code", "error"), [(2, ConfigError), (4, OutputError)])
def test_codes_that_every_attempt_would_end_with_end_the_run(run, action, code, error):
    with pytest.raises(error, match=f"^the sentence of {code}$"):
        run.start(run.script("hang", f"{action} {code}", "work"), workers=2)
    assert len(run.pids(1)) == 1
    assert run.dead == []


def test_the_sentence_of_a_child_on_another_machine_names_that(run, monkeypatch):
    monkeypatch.setattr(coordinate, "socket", SimpleNamespace(gethostname=lambda: "client"))
    with pytest.raises(ConfigError, match=rf"^On host {re.escape(socket.gethostname())}: the sentence of 2$"):
        run.start(run.script("fail 2"))


def test_the_lease_of_a_shard_that_another_process_holds_is_not_ended(run):
    run.start(run.script(["fail 11", "work"]))
    assert run.dead == []
    assert len(run.pids(0)) == 2


@both_loops
@pytest.mark.parametrize("action", ["nothing", "hang"])
def test_a_child_without_progress_is_killed_and_replaced(run, uvloop, action):
    clock = SteppedClock()

    async def later(_tasks):
        await run.begun(0)
        while action == "hang" and not run.monitor.progress.scopes_done:
            await anyio.sleep(0.005)
        await clock.pass_(55)
        assert exists(run.pids(0)[0])
        await clock.pass_(5)

    assert run.start(run.script([action, "work"]), uvloop=uvloop, clock=clock, during=later) == {}
    assert run.lines("shard_died")[0]["reason"] == "signal 9 after 60 s without progress"
    assert len(run.pids(0)) == 2


def test_a_child_with_progress_is_not_killed_however_long_it_takes(run):
    clock = SteppedClock()

    async def later(_tasks):
        await run.begun(0)
        for step in range(4):
            await clock.pass_(55)
            (run.folder / "step").write_text(str(step))
            while run.monitor.progress.rows <= step:
                await anyio.sleep(0.005)
        (run.folder / "step").write_text("end")

    assert run.start(run.script("steps"), clock=clock, during=later) == {}
    assert len(run.pids(0)) == 1


def test_a_stopped_child_is_killed_and_replaced(run):
    clock = SteppedClock()

    async def later(_tasks):
        await run.begun(0)
        os.kill(run.pids(0)[0], signal.SIGSTOP)
        await clock.pass_(60)

    assert run.start(run.script(["hang", "work"]), clock=clock, during=later) == {}
    assert len(run.pids(0)) == 2


def test_an_error_of_the_store_ends_the_run(run):
    async def refuse(shard):
        raise OutputError("the store is gone")

    run.on_dead = refuse
    with pytest.raises(OutputError, match="the store is gone"):
        run.start(run.script("signal 9", "hang"), workers=2)


@both_loops
def test_a_cancelled_run_ends_its_children(run, uvloop):
    async def cancel(tasks):
        await run.begun(0)
        await run.begun(1)
        tasks.cancel_scope.cancel()

    assert run.start(run.script("hang", "hang"), workers=2, uvloop=uvloop, during=cancel) is None


@both_loops
def test_a_child_without_a_shard_ends_by_itself(run, uvloop):
    assert run.start(run.script("polite"), uvloop=uvloop) == {}
    assert (run.folder / "left").exists()
    assert not (run.folder / "terminated").exists()


@both_loops
def test_children_that_ignore_the_signal_are_killed_after_the_grace_period(run, uvloop):
    grace = FakeClock()

    async def cancel(tasks):
        while not run.monitor.progress.scopes:  # it ignores SIGTERM from here on
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()

    assert run.start(run.script("stubborn"), uvloop=uvloop, grace=grace, during=cancel) is None
    assert grace.slept == [processes.GRACE_S]


@both_loops
@pytest.mark.parametrize("command", [["/nonexistent/python"], [str(Path(__file__).parent)]])
def test_a_command_that_cannot_be_started_is_an_error(run, uvloop, command):
    with pytest.raises(LaunchError, match=r"^A worker process can't be started\. \w"):
        run.start([0], uvloop=uvloop, command=command)


@pytest.fixture
def few_files():
    """A limit of open files which is lowered to those that are open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@both_loops
def test_without_free_descriptors_the_error_says_so(run, uvloop, few_files):
    async def main():
        launcher = ProcessLauncher([sys.executable, str(CHILD), str(run.folder)], os.environ, 2)
        few_files()
        await run_shards(launcher, [0], run.monitor, total=1, on_dead=run.on_dead)

    with pytest.raises(LaunchError, match=r"open file.*ulimit -n"):
        anyio.run(main, backend_options={"use_uvloop": uvloop})


def test_what_the_machine_refuses_is_done_by_the_workers_that_run(run, monkeypatch):
    opened = []

    def refuse(*arguments, **options):
        opened.append(1)
        if len(opened) > 1:
            raise OSError(12, "Cannot allocate memory")
        return subprocess.Popen(*arguments, **options)

    monkeypatch.setattr(processes, "Popen", refuse)
    assert run.start(run.script(*["work"] * 4), workers=3) == {}
    assert len({run.pids(shard)[0] for shard in range(4)}) == 1
    assert [line["workers"] for line in run.lines("worker_not_started")] == [2, 1]
    assert run.monitor.shards.places() == 1
