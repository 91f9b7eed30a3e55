"""What `crawl --shard`, `snapshots commit` and `snapshots watch` say to the users of a run that several hosts share."""

from __future__ import annotations

import json
import re

import pytest

from crawler.snapshot.layout import lease_path, run_folder
from tests.support import command_server
from tests.support.run_processes import ACCOUNTS, KEY, fleet_cloud, fleet_spec, folder_output
from tests.support.snapshot_fakes import manifest_ids

REGIONS = ("cn-hangzhou", "cn-shanghai")
# Some of the cloud, named in another order than a manifest names it.
PART = ("--table", "fc_functions", "--region", REGIONS[1], "--region", REGIONS[0])


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    regions = (*REGIONS, "cn-beijing")
    with fleet_cloud(tmp_path_factory.mktemp("hosts"), fleet_spec(accounts=ACCOUNTS[:2], regions=regions)) as found:
        yield found


@pytest.fixture
def output(tmp_path):
    return folder_output(tmp_path / "out")


def shard(fleet, output, number, total, *more, config=None):
    """Run `crawl --shard` as a user does, to its end."""
    given = ["crawl", "--config", config or fleet.config, "--output", output.uri, "--shard", f"{number}/{total}"]
    return command_server.run([*given, "--run", KEY, *more], cwd=fleet.folder, env=fleet.environ)


def last_json(text):
    return json.loads(text.splitlines()[-1])


def test_each_host_says_how_many_shards_are_missing(fleet, output):
    done = shard(fleet, output, 0, 3)
    assert (done.returncode, done.stdout.endswith(". 2 of 3 shards have no report yet.\n")) == (0, True), done.stdout
    done = shard(fleet, output, 0, 3, "--log-format", "json", "--json")
    assert [json.loads(done.stdout)[name] for name in ("was_reported", "shards_missing", "run")] == [True, 2, None]
    assert "shard_reported" not in done.stderr, "it was before"
    assert shard(fleet, output, 1, 3).returncode == 0
    done = shard(fleet, output, 2, 3, "--log-format", "json")
    assert last_json(done.stderr)["run"]["status"] == "complete"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    [reported] = [number for number, line in enumerate(events) if line["event"] == "shard_reported"]
    [committed] = [number for number, line in enumerate(events) if line["event"] == "snapshot_committed"]
    assert reported < committed
    assert events[reported]["snapshot_id"] == events[committed]["snapshot_id"]


def test_a_part_of_the_inventory_that_lost_a_shard_is_committed_without_the_options(fleet, output):
    assert shard(fleet, output, 0, 2, *PART).returncode == 0
    assert fleet.snapshots(output, "commit", KEY).returncode == 1
    done = fleet.snapshots(output, "commit", KEY, "--partial", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["selection"]["tables"] == ["fc_functions"]
    [snapshot_id] = manifest_ids(output.folder)
    again = fleet.snapshots(output, "commit", KEY, "--partial", "--json", "--log-format", "json")
    told = {"snapshot_id": snapshot_id, "status": "partial", "exit_code": 3, "key": KEY}
    assert (again.returncode, json.loads(again.stdout)) == (3, told)
    assert last_json(again.stderr) == {"event": "summary", "command": "commit", "level": "warning", **told}
    late = shard(fleet, output, 1, 2, *PART, "--log-format", "json")
    assert (late.returncode, late.stdout) == (
        0, f"The run {KEY} is over: snapshot {snapshot_id} is partial. Shard 1 of 2 was not crawled by this process.\n"
    )  # fmt: skip
    assert [last_json(late.stderr)[name] for name in ("was_reported", "run_status")] == [False, "partial"]


def test_a_host_without_a_fingerprint_key_makes_none(fleet, output, tmp_path):
    config = tmp_path / "config.toml"
    text = fleet.config.read_text()
    assert "fingerprint_key" in text
    config.write_text(text.replace("fingerprint_key", "# fingerprint_key"))
    config.chmod(0o600)
    done = shard(fleet, output, 0, 2, config=config)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("acs-inventory: --shard needs [output] fingerprint_key: ")
    assert not list(fleet.folder.rglob("fingerprint.key"))


def test_an_unknown_run_is_2_for_those_who_watch_it(fleet, output):
    output.folder.mkdir()
    done = fleet.snapshots(output, "watch", "tomorrow")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no run 'tomorrow'" in done.stderr


def test_a_run_without_a_plan_is_told_as_such(fleet, output):
    """A process that was refused, such as while another crawl holds the output, leaves the lease of its plan."""
    folder = output.folder / run_folder(KEY)
    folder.mkdir(parents=True)
    record = {"role": "plan", "attempt": 1, "host": "h1", "pid": 42, "token": "0" * 16, "renewal": 0, "figures": {}}
    lease = output.folder / lease_path(run_folder(KEY), "plan", 1)
    lease.write_text(json.dumps({**record, "is_over": False}))
    for more in ((), (KEY,)):
        assert "\nProcess 42 on h1 is planning it.\n" in fleet.snapshots(output, "watch", "--once", *more).stdout
    lease.write_text(json.dumps({**record, "is_over": True}))
    assert fleet.snapshots(output, "watch", "--once").returncode == 2, "there is nothing to watch"
    told = fleet.snapshots(output, "watch", "--once", KEY).stdout
    assert told.endswith("It has no plan, and no process makes one: `crawl --shard` with its key does.\n")


def test_a_person_sees_how_far_a_shard_is(fleet, output):
    """On a terminal, the log has warnings only: without a display nothing would move for hours."""
    given = ["crawl", "--config", fleet.config, "--output", output.uri, "--shard", "0/2", "--run", KEY]
    environ = {**fleet.environ, "TERM": "xterm-256color"}
    code, said = command_server.on_terminal(given, cwd=fleet.folder, env=environ)
    assert code == 0
    assert re.search(r"\d+ requests · \d+/s", said)
    assert "shard_reported" not in said
