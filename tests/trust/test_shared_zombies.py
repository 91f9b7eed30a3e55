"""F138: a process that was stopped, is replaced, and wakes after the commit changes nothing that is committed."""

from __future__ import annotations

import os
import signal

import pytest
from anyio.from_thread import start_blocking_portal

from crawler.emulator import Delay
from tests.support.object_stores import FakeStore, served
from tests.support.run_processes import KEY, FakeOutput, bucket_output, folder_output, last_line, until

SHARD = "s00000"


def of_the_run(files):
    """The files of the snapshot and of the run, without those that have no name yet."""
    return {name: data for name, data in files.items() if not name.startswith(("_staging/new-", "_staging/lock"))}


@pytest.mark.trust
def test_a_shard_that_wakes_after_the_commit_ends_with_11(fleet, s3_environ, tmp_path):
    """With the real times of leases; a folder and a bucket of a real server side by side. This takes 70 seconds."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    outputs = [folder_output(tmp_path / "a" / "out"), bucket_output(s3_environ, tmp_path / "b" / "out")]
    rule = fleet.cloud.faults.add(Delay(seconds=4), action="ListLayers")
    zombies = []
    for output in outputs:
        zombies.append(fleet.shard(output, 0, 2))
        before = rule.fired
        until(lambda before=before: rule.fired > before)
        zombies[-1].signal(signal.SIGSTOP)
        assert f"{SHARD}.report.json" not in output.run_names()
    fleet.cloud.faults.rules.remove(rule)
    others = [fleet.shard(output, number, 2) for output in outputs for number in (0, 1)]
    assert [process.wait() for process in others] == [0] * 4, [process.stderr for process in others]
    for output, zombie in zip(outputs, zombies, strict=True):
        fleet.assert_equal(output)
        assert output.run_names() == {"joined.json"}
        before = of_the_run(output.files())
        zombie.signal(signal.SIGCONT)
        assert zombie.wait(60) == 11, zombie.stderr
        assert "the lease of shard 0 of 2 (attempt 1) is lost" in last_line(zombie.stderr)["error"]
        assert of_the_run(output.files()) == before
        fleet.assert_equal(output)
        assert fleet.snapshots(output, "verify").returncode == 0


@pytest.fixture
def fake_output(tmp_path):
    fake = FakeStore("s3")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(fake)) as environ:
        yield FakeOutput("s3://inventory", tmp_path / "copy", environ, store=fake)


MOMENTS = {"part": "/part-00000-00000001.parquet", "ledger": f"{SHARD}-a001.scopes.parquet"}


@pytest.mark.trust
@pytest.mark.parametrize("is_late", [False, True], ids=["not sent", "sent late"])
@pytest.mark.parametrize("moment", [*MOMENTS, "report"])
def test_a_shard_whose_machine_stood_still_while_it_sent_changes_nothing(fleet, fake_output, moment, is_late):
    """Its own clock says that no time has passed. The store carries out its request never, or after the commit.

    What it sends when it wakes it removes again, once it learns that another attempt has begun.
    """
    output, fake = fake_output, fake_output.store
    late, wanted = [], MOMENTS.get(moment, f"{SHARD}.report.json")

    def fault(_, method, key):
        if method == "PUT" and key.endswith(wanted) and not late:
            late.append(key)
            os.kill(zombie.pid, signal.SIGSTOP)
            return "break"
        return None

    fake.fault = fault
    zombie = fleet.shard(output, 0, 2)
    until(lambda: late or zombie.code is not None)
    assert late, zombie.stderr
    fake.fault = lambda *_: None
    output.age()
    others = [fleet.shard(output, number, 2) for number in (0, 1)]
    assert [process.wait() for process in others] == [0, 0], [process.stderr for process in others]
    fleet.assert_equal(output)
    before = of_the_run(output.files())
    if is_late:
        fake.put(late[0], b"late")
    zombie.signal(signal.SIGCONT)
    assert zombie.wait(90) in ((0, 11) if moment == "report" else (11,)), zombie.stderr
    after = of_the_run(output.files())
    assert {name: after.get(name) for name in before} == before
    extra = {name for name in after.keys() - before.keys() if not name.startswith("_staging/run-")}
    assert extra == set()
    assert fleet.snapshots(output, "verify").returncode == 0


@pytest.mark.trust
def test_a_joiner_that_wakes_after_another_one_has_joined_changes_nothing(fleet, fake_output):
    """Stopped before it creates the manifest."""
    output, fake = fake_output, fake_output.store
    assert fleet.run_shard(output, 1, 2).returncode == 0
    stopped = []

    def fault(_, method, key):
        if method == "PUT" and key.startswith("_snapshots/2") and key.endswith(".json") and not stopped:
            stopped.append(key)
            os.kill(zombie.pid, signal.SIGSTOP)
            return "break"
        return None

    fake.fault = fault
    zombie = fleet.shard(output, 0, 2)
    until(lambda: stopped or zombie.code is not None)
    assert stopped, zombie.stderr
    fake.fault = lambda *_: None
    output.age()
    done = fleet.snapshots(output, "commit", KEY)
    assert done.returncode == 0, done.stderr
    fleet.assert_equal(output)
    before = of_the_run(output.files())
    zombie.signal(signal.SIGCONT)
    assert zombie.wait(90) in (0, 11), zombie.stderr
    assert of_the_run(output.files()) == before
    fleet.assert_equal(output)
