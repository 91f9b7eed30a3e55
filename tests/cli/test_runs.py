"""`crawl --shard`, `snapshots commit` and `snapshots watch` as a user runs them: texts, JSON, exit codes, notices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import pytest

from crawler.cli.emulate import write_config
from crawler.emulator import serve
from crawler.snapshot.layout import run_folder
from tests.support.commands import acs_inventory
from tests.support.ping_server import watchdog
from tests.support.shared_crawls import many_accounts

KEY = "nightly-2026-11-22"


@pytest.fixture(scope="module")
def served():
    """Four small accounts, served for the tests."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(many_accounts(4, 1))) as emulator,
    ):
        yield emulator


@dataclass
class Terminal:
    """A folder with a configuration, in which commands are run."""

    folder: Path
    environ: dict[str, str]

    def run(self, *arguments, **environ):
        return acs_inventory(*arguments, cwd=self.folder, env={**self.environ, **environ})

    def shard(self, which, *more, key=KEY, **environ):
        return self.run("crawl", "--config", "config.toml", "--shard", which, "--run", key, *more, **environ)

    def snapshots(self, *arguments, **environ):
        return self.run("snapshots", *arguments, "--config", "config.toml", **environ)


@pytest.fixture
def terminal(served, tmp_path):
    text, environ = write_config(served, "./out", rate=5000, burst=1000)
    more = '\n[metrics]\ntextfile = "acs.prom"\n[ping]\nurl = "${PING_URL}"\n'
    (tmp_path / "config.toml").write_text(
        text.replace("[crawl]\n", '[crawl]\ntables = ["fc_functions", "fc_layers"]\n') + more
    )
    return Terminal(tmp_path, {**environ, "PING_URL": "http://127.0.0.1:9/x"})


def words(text):
    return " ".join(text.split())


def log_lines(err):
    return [json.loads(line) for line in err.splitlines()]


def test_a_run_from_its_first_shard_to_its_end(terminal):
    code, out, _ = terminal.shard("0/2")
    assert code == 0
    assert words(out).startswith("Shard 0 of 2 of snapshot 20")
    assert "is reported: 4 scopes, " in words(out)
    assert words(out).endswith(" rows. 1 of 2 shards have no report yet.")
    snapshot_id = words(out).split()[6]

    code, out, err = terminal.snapshots("commit", KEY)
    assert (code, out) == (1, "")
    assert f"1 of 2 shards of the run '{KEY}' have no report yet: 1." in words(err)
    assert f"`snapshots commit {snapshot_id} --partial`" in words(err)

    code, out, _ = terminal.snapshots("watch", "--once")
    assert code == 0
    assert f"The run {KEY} (snapshot {snapshot_id})" in words(out)
    assert "2 shards: 1 missing, 1 reported" in words(out)

    code, out, _ = terminal.shard("1/2")
    assert code == 0
    assert "Shard 1 of 2" in words(out)
    assert "complete" in words(out), "the summary of the run that it has joined"
    assert snapshot_id in out

    for name in (KEY, snapshot_id):
        over = f"The run {KEY} is over: snapshot {snapshot_id} is complete."
        assert terminal.snapshots("commit", name)[:2] == (0, f"{over}\n")
        code, out, _ = terminal.snapshots("watch", name)
        assert (code, words(out)) == (0, over)
    code, out, _ = terminal.shard("1/2")
    assert (code, words(out)) == (0, f"{over} Shard 1 of 2 was not crawled by this process.")
    code, out, _ = terminal.snapshots("list", "--json")
    assert [entry["snapshot_id"] for entry in json.loads(out)] == [snapshot_id]


def test_a_shard_for_programs(terminal):
    code, out, err = terminal.shard("0/2", "--json", "--log-format", "json")
    value = json.loads(out)
    assert code == 0
    assert value == {
        "exit_code": 0,
        "key": KEY,
        "shard": 0,
        "shards": 2,
        "attempt": 1,
        "snapshot_id": value["snapshot_id"],
        "was_reported": False,
        "shards_missing": 1,
        "run_status": None,
        "scopes": 4,
        "not_complete": 0,
        "rows": value["rows"],
        "requests": value["requests"],
        "run": None,
    }
    lines = log_lines(err)
    assert lines[-1] | {"timestamp": ""} == {
        "event": "summary",
        "command": "crawl",
        "level": "info",
        "timestamp": "",
        **value,
    }
    reported = next(line for line in lines if line["event"] == "shard_reported")
    assert (reported["shard"], reported["attempt"]) == (0, 1)
    assert {line["snapshot_id"] for line in lines if "scope" in line["event"]} <= {value["snapshot_id"]}
    again = json.loads(terminal.shard("0/2", "--json")[1])
    assert (again["was_reported"], again["attempt"]) == (True, 2)
    last = json.loads(terminal.shard("1/2", "--json")[1])
    assert (last["run"]["snapshot_id"], last["run"]["status"]) == (value["snapshot_id"], "complete")
    assert last["run"]["scopes"]["total"] == 8
    over = json.loads(terminal.shard("1/2", "--json")[1])
    assert (over["was_reported"], over["run"], over["snapshot_id"]) == (True, None, value["snapshot_id"])
    assert over["run_status"] == "complete"


def test_a_run_that_lost_a_shard_is_committed_in_part(terminal):
    assert terminal.shard("1/3", "--quiet")[:2] == (0, "")
    code, out, _ = terminal.snapshots("commit", KEY, "--partial", "--json")
    value = json.loads(out)
    assert (code, value["status"]) == (3, "partial")
    reasons = {row["error_message"] for row in value["scopes"]["not_complete"]}
    assert reasons == {f"shard {n} of 3 was never begun; the user committed the run without it" for n in (0, 2)}
    assert terminal.snapshots("watch", KEY)[0] == 3
    code, out, _ = terminal.snapshots("commit", KEY, "--json")
    joined = json.loads(out)
    assert (code, joined["status"], joined["exit_code"], joined["key"]) == (3, "partial", 3, KEY)


def test_a_run_by_the_index_of_an_orchestrator(terminal):
    for index in range(2):
        code, out, _ = terminal.shard("auto/2", "--json", JOB_COMPLETION_INDEX=str(index))
        assert (code, json.loads(out)["shard"]) == (0, index)
    assert json.loads(out)["run"]["status"] == "complete"


def test_another_key_is_exit_11_and_another_number_of_shards_2(terminal):
    assert terminal.shard("0/2", "--quiet")[0] == 0
    code, _, err = terminal.shard("0/2", key="another")
    assert code == 11
    assert f"the run {KEY} (snapshot" in words(err)
    assert terminal.run("crawl", "--config", "config.toml")[0] == 11
    code, _, err = terminal.shard("0/3")
    assert code == 2
    assert "has 2 shards, not 3; give all processes of a run one number" in words(err)


def test_runs_that_are_not_there_are_a_sentence(terminal):
    code, out, err = terminal.snapshots("commit", "tonight")
    assert (code, out) == (2, "")
    assert "the output has no run 'tonight'; give its key, the ID of its snapshot, or its date" in words(err)
    (terminal.folder / "out").mkdir(exist_ok=True)
    for arguments, reason in ((["watch", "tonight"], "has no run 'tonight'"), (["watch"], "has no run;")):
        code, out, err = terminal.snapshots(*arguments)
        assert (code, out) == (2, "")
        assert reason in words(err)
    assert terminal.run("snapshots", "commit")[0] == 2


@pytest.mark.parametrize("columns", [60, 120])
def test_watch_fits_the_terminal(terminal, columns):
    assert terminal.shard("2/40", "--quiet")[0] == 0
    code, out, _ = terminal.snapshots("watch", KEY, "--once", COLUMNS=str(columns))
    lines = out.splitlines()
    assert code == 0
    assert "40 shards: 39 missing, 1 reported" in lines
    assert lines[-1] == "… and 19 more"
    assert lines[0].startswith(f"The run {KEY} (snapshot ")
    assert all(len(line) <= columns for line in lines[1:])
    table = [line.split() for line in lines if "missing" in line and "shards" not in line]
    assert [row[0] for row in table] == [str(n) for n in range(21) if n != 2][:20]


def test_watch_for_programs(terminal):
    assert terminal.shard("0/2", "--quiet")[0] == 0
    code, out, _ = terminal.snapshots("watch", "--json")
    value = json.loads(out)
    assert code == 0
    assert (value["key"], value["joined"], value["problem"], value["folder"]) == (KEY, None, "", run_folder(KEY))
    reported, missing = value["shards"]
    assert (reported["number"], reported["status"], reported["last"]["attempt"]) == (0, "reported", 1)
    assert (reported["last"]["is_alive"], missing) == (False, {"number": 1, "status": "missing", "last": None})
    assert terminal.shard("1/2", "--quiet")[0] == 0
    value = json.loads(terminal.snapshots("watch", KEY, "--json")[1])
    assert (value["joined"]["status"], value["shards"]) == ("complete", [])


def test_a_plan_that_can_not_be_read_is_shown_with_the_reason(terminal):
    """F128."""
    assert terminal.shard("0/2", "--quiet")[0] == 0
    plan = terminal.folder / "out" / run_folder(KEY) / "plan.json"
    plan.write_text('{"key": "\\u001b[31m"}')
    code, out, _ = terminal.snapshots("watch", KEY, "--once")
    assert code == 0
    assert "plan.json can't be read" in words(out)
    assert "\x1b" not in out
    for code, out, err in (terminal.snapshots("commit", KEY), terminal.shard("1/2")):
        assert (code, out) == (4, "")
        assert "plan.json can't be read" in words(err)


def test_only_who_plans_and_who_joins_tell_others(terminal):
    """One ping at the start and one at the end of a run, whatever its processes."""
    with watchdog(200) as (url, calls):
        environ = {"PING_URL": url}
        for which in ("1/3", "0/3"):
            assert terminal.shard(which, "--quiet", **environ)[0] == 0
        assert [path.rpartition("/")[2] for path, _ in calls] == ["start"]
        assert not (terminal.folder / "acs.prom").exists()
        assert terminal.shard("1/3", "--quiet", **environ)[0] == 0
        assert terminal.snapshots("commit", KEY, **environ)[0] == 1
        assert len(calls) == 1
        assert terminal.shard("2/3", "--quiet", **environ)[0] == 0
        assert terminal.shard("2/3", "--quiet", **environ)[0] == 0
        assert len(calls) == 2
        assert "exit_code=0" in calls[1][1]
        assert "status=complete" in calls[1][1]
        assert (terminal.folder / "acs.prom").exists()


def test_a_commit_tells_others_as_a_crawl_does(terminal):
    assert terminal.shard("0/2", "--quiet")[0] == 0
    with watchdog(200) as (url, calls):
        assert terminal.snapshots("commit", KEY, "--partial", PING_URL=url)[0] == 3
        assert terminal.snapshots("commit", KEY, "--partial", PING_URL=url)[0] == 3
    [(path, body)] = calls
    assert path.endswith("/fail")
    assert "exit_code=3" in body
    assert (terminal.folder / "acs.prom").exists()
