"""The side of a launcher's child: it ends with its launcher, reads its shards, and writes how far it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from crawler.cli import process, signals, worker
from crawler.cli.worker import ProgressLines, shard_numbers
from crawler.errors import ConfigError
from crawler.run.engine.base import PARENT_VARIABLE
from crawler.run.engine.coordinate import run_shards
from crawler.run.engine.processes import ProcessLauncher
from crawler.run.progress import CrawlMonitor
from crawler.telemetry import logs

ROOT = Path(__file__).parents[2]
CHILD = [sys.executable, str(ROOT / "tests" / "support" / "worker_child.py")]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}

COORDINATOR = f"""
import anyio, os, sys
from crawler.run.engine.processes import ProcessLauncher

async def main():
    launcher = ProcessLauncher({CHILD!r} + ["2", "never"], os.environ, 2)
    await launcher.start(0)
    await launcher.start(1)
    async for event in launcher.events():
        if event.values["event"] == "ready":
            print(event.values["pid"], flush=True)

anyio.run(main, backend_options={{"use_uvloop": sys.argv[1] == "uvloop"}})
"""


def has_ended(pid):
    """Whether a process that isn't our child has ended, within a few seconds."""
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # whoever adopted it reaps it
        except FileNotFoundError:
            return True
        time.sleep(0.005)
    return False


@pytest.fixture
def coordinator(request):
    """A coordinator with two workers, and their process IDs."""
    command = [sys.executable, "-c", COORDINATOR, request.param]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRON)
    pids = [int(running.stdout.readline()) for _ in range(2)]
    yield running, pids
    running.kill()
    running.wait()
    running.stdout.close()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("coordinator", ["uvloop", "asyncio"], indirect=True)
def test_a_killed_coordinator_leaves_no_worker_running(coordinator):
    """F120."""
    running, pids = coordinator
    running.kill()
    assert all(has_ended(pid) for pid in pids)


@pytest.mark.parametrize("coordinator", ["uvloop"], indirect=True)
def test_a_killed_coordinator_takes_stopped_workers_with_it(coordinator):
    """F120."""
    running, pids = coordinator
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    running.kill()
    assert all(has_ended(pid) for pid in pids)


@pytest.mark.parametrize("coordinator", ["uvloop"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_the_signals_of_a_terminal_are_left_to_the_coordinator(coordinator, number):
    _, pids = coordinator
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        (ignored,) = [line for line in status.splitlines() if line.startswith("SigIgn")]
        assert int(ignored.split()[1], 16) >> (number - 1) & 1


def test_a_child_whose_launcher_is_gone_already_does_nothing():
    environ = {**ENVIRON, PARENT_VARIABLE: "1"}
    done = subprocess.run([*CHILD, "2", "done"], env=environ, input=b"0\n", capture_output=True)
    assert (done.returncode, done.stderr) == (143, b"")


def test_a_process_without_a_launcher_is_as_before(monkeypatch):
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    before = signal.getsignal(signal.SIGINT)
    process.end_with_parent()
    assert process.parent is None
    assert not process.has_lost_parent()
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT in signals.stop_signals()


def test_a_child_is_ended_by_one_signal_and_tells_nobody_of_its_launcher(monkeypatch):
    monkeypatch.setattr(process, "parent", None)
    monkeypatch.setenv(PARENT_VARIABLE, str(os.getppid()))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)]
    try:
        process.end_with_parent()
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGHUP), before, strict=True):
            signal.signal(number, handler)
    assert process.parent == os.getppid()
    assert PARENT_VARIABLE not in os.environ
    assert signals.stop_signals() == (signal.SIGTERM,)
    monkeypatch.setattr(process, "parent", 1)
    assert process.has_lost_parent()


@pytest.fixture
def stdin(monkeypatch):
    """The writing end of a pipe from which shard numbers are read."""
    reading, writing = os.pipe()
    monkeypatch.setattr(worker, "_STDIN", reading)
    with open(writing, "wb", buffering=0) as pipe:
        yield pipe
    os.close(reading)


async def test_each_number_comes_as_soon_as_its_line_is_whole(stdin):
    numbers = shard_numbers(32)
    for data, expected in ((b"7\n", 7), (b"3", None), (b"1\n", 31)):
        stdin.write(data)
        if expected is not None:
            assert await anext(numbers) == expected
    stdin.write(b"0\n1\n2\n")
    stdin.close()
    assert [number async for number in numbers] == [0, 1, 2]


async def test_numbers_may_stand_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "numbers").write_text("4\n2")
    with open(tmp_path / "numbers", "rb") as file:
        monkeypatch.setattr(worker, "_STDIN", file.fileno())
        assert [number async for number in shard_numbers(5)] == [4, 2]


@pytest.mark.parametrize(
    "line", [b"x\n", b"-1\n", b"8\n", b"\n", b" 1\n", b"1 \n", b"1e0\n", b"\xb2\n", b"9" * 5000 + b"\n"]
)
async def test_other_text_is_refused(stdin, line):
    stdin.write(line)
    stdin.close()
    with pytest.raises(ConfigError, match="where a shard number from 0 to 7 is needed") as refused:
        [number async for number in shard_numbers(8)]
    assert len(str(refused.value)) < 250


async def test_a_closed_stdin_is_named(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    monkeypatch.setattr(worker, "_STDIN", reading)
    with pytest.raises(ConfigError, match="Bad file descriptor"):
        [number async for number in shard_numbers(8)]


class Ticks:
    """A clock that lets a test say when each sleep ends."""

    def __init__(self):
        self.slept = []
        self._tick = anyio.Event()

    async def sleep(self, duration_s):
        self.slept.append(duration_s)
        await self._tick.wait()

    async def tick(self):
        await anyio.sleep(0)
        self._tick.set()
        self._tick = anyio.Event()
        await anyio.sleep(0)
        await anyio.sleep(0)


async def test_a_launcher_gets_a_line_each_second_with_the_accounts_that_moved(monkeypatch, capsys):
    monkeypatch.setattr(process, "parent", os.getppid())
    logs.configure("json", "error", sys.stderr)
    monitor, clock = CrawlMonitor(time_left_s=lambda: 12.4), Ticks()
    done = monitor.progress.done_by_account
    async with ProgressLines(monitor, 3, clock).running():
        await clock.tick()
        monitor.attempt = 2
        done.update({"1": 4, "2": 1})
        await clock.tick()
        done["2"] += 2
        monitor.progress.rows, monitor.requests.throttled = 9, 1
        await clock.tick()
        done["1"] += 1
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["accounts"] for line in written] == [{}, {}, {"1": 4, "2": 1}, {"2": 3}, {"1": 5}][-len(written) :]
    assert {line["event"] for line in written} == {"progress"}
    last = {name: value for name, value in written[-1].items() if name not in ("event", "level", "accounts")}
    assert last == {
        "shard": 3,
        "attempt": 2,
        "scopes": 0,
        "scopes_done": 0,
        "rows": 9,
        "requests": 0,
        "throttled": 1,
        "retries": 0,
        "not_complete": 0,
        "seconds_left": 12,
    }
    assert set(clock.slept) == {1.0}


async def test_without_a_launcher_there_is_a_heartbeat_each_minute(monkeypatch, capsys):
    monkeypatch.setattr(process, "parent", None)
    logs.configure("json", "info", sys.stderr)
    monitor, clock = CrawlMonitor(), Ticks()
    monitor.progress.done_by_account["1"] = 1
    async with ProgressLines(monitor, 3, clock).running():
        await anyio.sleep(0)
        await clock.tick()
        await clock.tick()
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in written] == ["progress"] * 2
    assert "accounts" not in written[0]
    assert set(clock.slept) == {60.0}


async def test_an_error_comes_out_alone_after_the_last_line(monkeypatch, capsys):
    monkeypatch.setattr(process, "parent", os.getppid())
    with pytest.raises(ConfigError, match="no"):
        async with ProgressLines(CrawlMonitor(), 3, Ticks()).running():
            raise ConfigError("no")
    assert '"event":"progress"' in capsys.readouterr().err


@pytest.mark.parametrize("uvloop", [True, False], ids=["uvloop", "asyncio"])
def test_what_a_child_writes_is_what_a_coordinator_reads(uvloop):
    monitor = CrawlMonitor()

    async def main():
        async def on_dead(shard):
            raise AssertionError(shard)

        launcher = ProcessLauncher([*CHILD, "4", "done"], ENVIRON, 2)
        return await run_shards(launcher, range(4), monitor, total=4, on_dead=on_dead)

    assert anyio.run(main, backend_options={"use_uvloop": uvloop}) == {}
    progress = monitor.progress
    assert (progress.scopes, progress.scopes_done, progress.rows, monitor.requests.requests) == (20, 20, 200, 32)
    assert progress.done_by_account == {"1000000000000001": 20}
    assert monitor.shards.done == 4
