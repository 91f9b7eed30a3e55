"""F139, F140, F144: processes of one run, or of two runs, that begin at the same moment; a run that lost a shard."""

from __future__ import annotations

import json
import signal
import time

import pytest

from crawler.emulator import Delay
from tests.support.run_processes import KEY, folder_output, last_line, until
from tests.support.snapshot_fakes import manifest_ids
from tests.support.supervision import KILL

TIMES = 4


@pytest.mark.trust
@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_two_planners_at_the_same_moment_make_one_plan(fleet, open_output, kind, number):
    output = open_output(kind)
    processes = [fleet.shard(output, shard, 2) for shard in (0, 1)]
    assert [process.wait() for process in processes] == [0, 0], [process.stderr for process in processes]
    fleet.assert_equal(output)


@pytest.mark.trust
def test_two_processes_for_one_shard_at_the_same_moment_crawl_it_once(fleet, open_output):
    """One of them has the shard: the other one ends with 11, or finds the report."""
    output = open_output("folder")
    assert fleet.run_shard(output, 0, 2).returncode == 0
    asked = fleet.cloud.requests.count(action="ListLayers")
    processes = [fleet.shard(output, 1, 2) for _ in range(3)]
    codes = sorted(process.wait() for process in processes)
    assert codes[0] == 0, [process.stderr for process in processes]
    assert set(codes) <= {0, 11}
    assert fleet.cloud.requests.count(action="ListLayers") - asked <= 4 * 2, "each list once"
    fleet.assert_equal(output)


@pytest.mark.trust
@pytest.mark.parametrize("number", range(TIMES))
def test_joiners_at_the_same_moment_commit_once(fleet, tmp_path, number):
    """Three `snapshots commit` and a process of the run, whose joiner was killed before it joined."""
    root = fleet.copy(tmp_path / "out")
    output = folder_output(root)
    assert fleet.run_shard(output, 1, 2).returncode == 0
    ended = fleet.judged(
        root, lambda _, call: KILL if call.path.endswith("/join-a001.lease") else None, "--shard", "0/2", "--run", KEY
    )
    assert ended.returncode == -signal.SIGKILL
    assert manifest_ids(root) == {fleet.old_id}
    output.age()
    commit = ["snapshots", "commit", KEY, "--json", "--config", fleet.config, "--output", output.uri]
    processes = [fleet.start(output, arguments=commit) for _ in range(3)]
    processes.append(fleet.shard(output, 0, 2))
    codes = [process.wait() for process in processes]
    assert 0 in codes, [process.stderr for process in processes]
    assert set(codes) <= {0, 11}, [process.stderr for process in processes]
    fleet.assert_equal(output, besides=fleet.old_id)


@pytest.mark.trust
def test_a_shard_that_is_told_to_stop_gives_its_lease_back(fleet, open_output):
    """Its successor begins at once, with the scopes that are finished."""
    output = open_output("folder")
    rule = fleet.cloud.faults.add(Delay(seconds=3), action="ListLayers")
    process = fleet.shard(output, 0, 1)
    until(lambda: rule.fired or process.code is not None)
    until(
        lambda: any(path.stat().st_size > 1000 for path in output.folder.glob("_staging/run-*/s*/_staging/*/journal"))
    )
    process.signal(signal.SIGTERM)
    code = process.wait()
    fleet.cloud.faults.rules.remove(rule)
    assert code == 143, process.stderr
    assert last_line(process.stderr)["exit_code"] == 143
    began_at = time.monotonic()
    done = fleet.run_shard(output, 0, 1)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began_at < 50, "no lease was waited for"
    assert json.loads(done.stdout)["run"]["resumed_scopes"] > 0
    fleet.assert_equal(output)


@pytest.mark.trust
def test_two_runs_at_the_same_moment_are_never_both_at_work(fleet, open_output):
    """Neither misses the other: one goes on at most, and the other one ends with 11."""
    output = open_output("folder")
    processes = [fleet.shard(output, 0, 2, key=key) for key in ("a", "b")]
    codes = sorted(process.wait() for process in processes)
    assert codes in ([0, 11], [11, 11]), [process.stderr for process in processes]
    assert len(list(output.folder.glob("_staging/run-*/plan.json"))) == codes.count(0)


@pytest.fixture
def half(fleet, open_output):
    """A run of two shards, one of which has its report."""
    output = open_output("folder")
    fleet.copy(output.folder)
    assert fleet.run_shard(output, 0, 2).returncode == 0
    return output


@pytest.mark.trust
def test_a_process_with_another_configuration_is_refused_and_the_right_one_finishes(fleet, half):
    asked = fleet.cloud.requests.count()
    others = {
        ("--table", "fc_layers"): "[crawl] tables",
        ("--account", "1000000000000001"): "--account",
        ("--region", "cn-hangzhou"): "--region",
    }
    said = {}
    for options in others:
        done = fleet.run_shard(half, 1, 2, *options)
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
        assert f"this process can't share the run '{KEY}'" in done.stderr
        said[options] = done.stderr
    assert "another [crawl] tables" in said["--table", "fc_layers"]
    done = fleet.run_shard(half, 1, 3)
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert f"the run '{KEY}' has 2 shards, not 3" in done.stderr
    assert fleet.cloud.requests.count() == asked, "nothing was sent"
    assert fleet.run_shard(half, 1, 2).returncode == 0
    fleet.assert_equal(half, besides=fleet.old_id)


@pytest.mark.trust
def test_another_run_and_an_ordinary_crawl_wait_until_the_run_is_over(fleet, half):
    asked = fleet.cloud.requests.count()
    for done in (fleet.run_shard(half, 0, 2, key="another"), fleet.run(half), fleet.run(half, "--workers", "2")):
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (11, 11), done.stderr
        assert f"the run {KEY} (snapshot " in done.stderr
    assert fleet.cloud.requests.count() == asked, "nothing was sent"
    assert fleet.run_shard(half, 1, 2).returncode == 0
    fleet.assert_equal(half, besides=fleet.old_id)


@pytest.mark.trust
def test_a_shard_that_is_lost_for_good_is_given_up_by_the_user(fleet, half):
    """`snapshots commit` refuses, and with `--partial` commits the others; LATEST stays, and the run is over."""
    done = fleet.snapshots(half, "commit", KEY)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"1 of 2 shards of the run '{KEY}' have no report yet: 1." in done.stderr
    assert manifest_ids(half.folder) == {fleet.old_id}
    done = fleet.snapshots(half, "commit", KEY, "--partial", "--json")
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert said["status"] == "partial"
    assert (half.folder / "_snapshots/LATEST").read_text().strip() == fleet.old_id
    assert fleet.snapshots(half, "verify").returncode == 0
    watched = fleet.snapshots(half, "watch", KEY)
    assert (watched.returncode, watched.stderr) == (3, "")
    late = fleet.run_shard(half, 1, 2)
    assert (late.returncode, late.stderr) == (0, ""), "the run is over"
    assert manifest_ids(half.folder) == {fleet.old_id, said["snapshot_id"]}
