"""F142, F143: `crawl --workers` when it or a worker is killed, stopped, or can't write."""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from contextlib import contextmanager

import pytest
from anyio.from_thread import start_blocking_portal

from crawler.emulator import Delay
from crawler.snapshot import read_ledger, read_manifest
from crawler.snapshot.verify import verify_all
from tests.support.object_stores import FakeStore, served
from tests.support.run_processes import FakeOutput, folder_output, is_alive, last_line, until
from tests.support.small_crawls import rows
from tests.support.snapshot_fakes import manifest_ids

WORKERS = ("--workers", "2", "--log-format", "json", "--log-level", "info")


@contextmanager
def slow(fleet, seconds=1.0):
    """Let each list of layers take so long, so that workers are at work when something happens to them."""
    rule = fleet.cloud.faults.add(Delay(seconds=seconds), action="ListLayers")
    try:
        yield rule
    finally:
        fleet.cloud.faults.rules.remove(rule)


def at_work(fleet, process, rule):
    """Wait until both workers have asked for lists; return their process IDs."""
    before = rule.fired
    assert until(lambda: process.code is not None or rule.fired >= before + 2)
    assert process.code is None, process.stderr
    return until(lambda: (found := process.children()) and len(found) >= 2 and found)


def lease_pid(output, shard, attempt):
    """The process that has this attempt, by its lease; 0 if there is none."""
    for path in output.folder.glob(f"_staging/run-*/s{shard:05}-a{attempt:03}.lease"):
        return json.loads(path.read_bytes())["pid"]
    return 0


@pytest.mark.trust
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_no_worker_outlives_a_killed_coordinator_and_its_run_is_resumed(fleet, open_output, kind):
    """In a folder at once: its workers ended with the coordinator. In a bucket, their leases have to grow old."""
    output = open_output(kind)
    with slow(fleet, 3) as rule:
        process = fleet.start(output, *WORKERS)
        workers = at_work(fleet, process, rule)
        process.signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        until(lambda: not any(map(is_alive, workers)), timeout_s=10)
        asked = fleet.cloud.requests.count()
    began_at = time.monotonic()
    done = fleet.run(output, "--workers", "2", "--resume")
    took_s = time.monotonic() - began_at
    assert (done.returncode, done.stderr) == (0, "")
    fleet.assert_equal(output)
    assert fleet.cloud.requests.count() > asked
    if kind == "folder":
        assert took_s < 50, "no lease was waited for"


@pytest.mark.trust
@pytest.mark.parametrize(
    ("number", "is_group", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143), (signal.SIGHUP, True, 129)],
)
def test_a_signal_ends_all_and_the_run_is_resumed(fleet, open_output, number, is_group, code):
    """Ctrl-C and a closed terminal signal the whole process group, a service manager the coordinator."""
    output = open_output("folder")
    with slow(fleet, 2) as rule:
        process = fleet.start(output, *WORKERS)
        workers = at_work(fleet, process, rule)
        process.signal(number, group=is_group)
        assert process.wait(60) == code
    assert not any(map(is_alive, workers))
    last = last_line(process.stderr)
    assert (last["event"], last["exit_code"]) == ("summary", code)
    assert last["error"] == "Stopped; nothing was committed. `crawl --resume` continues it within 6 hours."
    assert manifest_ids(output.folder) == set()
    done = fleet.run(output, "--workers", "2", "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["resumed_scopes"] > 0, "the scopes that the workers had finished"
    fleet.assert_equal(output)


@pytest.mark.trust
def test_after_a_killed_coordinator_an_ordinary_crawl_is_well(fleet, open_output):
    """It removes what the run has left, without a wait."""
    output = open_output("folder")
    with slow(fleet, 3) as rule:
        process = fleet.start(output, *WORKERS)
        at_work(fleet, process, rule)
        process.signal(signal.SIGKILL)
        process.wait()
    began_at = time.monotonic()
    done = fleet.run(output)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began_at < 50
    fleet.assert_equal(output)
    assert not list(output.folder.glob("_staging/run-*"))


@pytest.mark.trust
def test_a_second_signal_ends_all_at_once(fleet, open_output):
    """Workers that are stopped can't end by themselves: the first signal waits for them, the second one doesn't."""
    output = open_output("folder")
    with slow(fleet, 3) as rule:
        process = fleet.start(output, *WORKERS)
        workers = at_work(fleet, process, rule)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        process.signal(signal.SIGINT)
        time.sleep(3)
        assert process.code is None
        began_at = time.monotonic()
        process.signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert time.monotonic() - began_at < 15
        until(lambda: not any(map(is_alive, workers)), timeout_s=10)
    assert manifest_ids(output.folder) == set()


@pytest.mark.trust
def test_a_worker_that_stands_still_is_killed_after_a_minute_and_replaced(fleet, open_output):
    output = open_output("folder")
    with slow(fleet, 3) as rule:
        process = fleet.start(output, *WORKERS)
        workers = at_work(fleet, process, rule)
        stopped = until(lambda: (pid := lease_pid(output, 1, 1)) in workers and pid)
        os.kill(stopped, signal.SIGSTOP)
        assert process.wait() == 0, process.stderr
    assert not is_alive(stopped)
    fleet.assert_equal(output)
    events = [json.loads(line) for line in process.stderr.splitlines()]
    [silent] = [event for event in events if event["event"] == "shard_silent"]
    [died] = [event for event in events if event["event"] == "shard_died"]
    assert (silent["shard"], died["shard"], died["reason"]) == (1, 1, "signal 9 after 60 s without progress")


@pytest.mark.trust
def test_a_killed_worker_is_replaced(fleet, open_output):
    output = open_output("folder")
    with slow(fleet) as rule:
        process = fleet.start(output, *WORKERS)
        workers = at_work(fleet, process, rule)
        killed = next(pid for pid in workers if pid in (lease_pid(output, 0, 1), lease_pid(output, 1, 1)))
        os.kill(killed, signal.SIGKILL)
        assert process.wait() == 0, process.stderr
    snapshot_id = fleet.assert_equal(output)
    shards = read_manifest(output.folder, snapshot_id).shards
    assert max(entry.attempts for entry in shards) == 2
    died = [json.loads(line) for line in process.stderr.splitlines() if '"shard_died"' in line]
    assert [(line["attempt"], line["reason"]) for line in died] == [(1, "signal 9")]
    assert json.loads(process.stdout)["exit_code"] == 0


@pytest.mark.trust
def test_a_shard_whose_workers_die_three_times_is_lost(fleet, open_output):
    """Its scopes aren't attempted, the others are there, and LATEST stays where it was."""
    output = open_output("folder")
    fleet.copy(output.folder)
    with slow(fleet, 2):
        process = fleet.start(output, *WORKERS)
        for attempt in (1, 2, 3):
            os.kill(until(lambda attempt=attempt: lease_pid(output, 0, attempt)), signal.SIGKILL)
        assert process.wait() == 3, process.stderr
    [snapshot_id] = manifest_ids(output.folder) - {fleet.old_id}
    manifest = read_manifest(output.folder, snapshot_id)
    assert manifest.status == "partial"
    assert (output.folder / "_snapshots/LATEST").read_text().strip() == fleet.old_id
    lost, *reported = sorted(manifest.shards, key=lambda entry: entry.number)
    assert (lost.status, lost.attempts) == ("lost", 3)
    assert {entry.status for entry in reported} == {"reported"}
    rows = [row for row in read_ledger(output.folder, manifest) if row.status != "complete"]
    assert rows
    assert {(str(row.status), row.error_code) for row in rows} == {("not_attempted", "ShardLost")}
    host = os.uname().nodename
    total = len(manifest.shards)
    assert {row.error_message for row in rows} == {
        f"shard 0 of {total} was lost 3 times; the last on host {host} by signal 9"
    }
    verdicts, loose = verify_all(output.folder)
    assert all(verdict.is_whole for verdict in verdicts)
    assert loose == []


@pytest.mark.trust
def test_a_full_disk_under_a_worker_ends_the_crawl_with_its_sentence(fleet, tmp_path):
    root = fleet.copy(tmp_path / "out")

    def judge(_, call):
        is_part = call.name == "write" and "/s00001-a" in call.path and call.path.endswith("/next.partial")
        return errno.ENOSPC if is_part else None

    ended = fleet.judged(root, judge, "--workers", "2", "--resume=auto")
    assert (ended.returncode, json.loads(ended.stdout)["exit_code"]) == (4, 4)
    assert "No space left on device (ENOSPC)" in ended.stderr
    assert manifest_ids(root) == {fleet.old_id}
    done = fleet.run(folder_output(root), "--workers", "2", "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    fleet.assert_equal(folder_output(root), besides=fleet.old_id)


@pytest.mark.trust
def test_credentials_that_a_bucket_refuses_to_a_worker_end_the_crawl_with_its_sentence(fleet, tmp_path):
    fake = FakeStore("s3")
    fake.fault = lambda number, method, key: "refuse" if method == "PUT" and "/part-" in key else None
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(fake)) as environ:
        output = FakeOutput("s3://inventory", tmp_path / "copy", environ, store=fake)
        done = fleet.run(output, "--workers", "2")
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (4, 4)
        assert "403 AccessDenied" in done.stderr
        fake.fault = lambda *_: None
        output.age()
        done = fleet.run(output, "--workers", "2", "--resume")
        assert (done.returncode, done.stderr) == (0, "")
        fleet.assert_equal(output)


@pytest.mark.trust
def test_killed_at_any_change_in_coordinator_or_worker_it_is_resumed(fleet, tmp_path):
    """The coordinator is killed before the changes of the whole family of processes, at every 41st of them."""
    deaths, number = 0, 11
    while True:
        root, changes = fleet.copy(tmp_path / "out"), []

        def judge(_, call, changes=changes, number=number):
            if call.name in ("fsync", "fdatasync", "fchmod"):
                return None
            changes.append(call)
            return "kill" if len(changes) == number else None

        ended = fleet.judged(root, judge, "--workers", "2")
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        deaths += 1
        where = f"{changes[number - 1]}"
        done = fleet.run(folder_output(root), "--workers", "2", "--resume=auto")
        assert (done.returncode, done.stderr) == (0, ""), where
        verdicts, loose = verify_all(root)
        assert all(verdict.is_whole for verdict in verdicts), where
        assert loose == [], where
        new = manifest_ids(root) - {fleet.old_id}
        assert len(new) in (1, 2), where  # the killed one was committed, or was resumed
        assert all(rows(root, found) == rows(fleet.old, fleet.old_id) for found in new), where
        number += 41
    assert deaths > 3
