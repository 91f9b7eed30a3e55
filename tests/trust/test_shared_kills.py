"""F141: a process of a run, killed before each step of plan, report and join: the next one finishes the run."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from itertools import count

import pytest
from anyio.from_thread import start_blocking_portal

from crawler.emulator import CloudSpec
from tests.support import command_server
from tests.support.object_stores import FakeStore, served
from tests.support.run_processes import FAST, KEY, FakeOutput, fleet_cloud, folder_output, last_line
from tests.support.small_crawls import ACCOUNT, REGION, assert_clean, assert_old_or_new
from tests.support.snapshot_fakes import manifest_ids
from tests.support.supervision import KILL, plain

SHARDS = 4
RUN = ("--shard", "0/1", "--run", KEY)
# A kill before a flush, or before the mode of a new file is set, leaves what one before the next change leaves.
_WITHOUT_EFFECT = ("fsync", "fdatasync", "fchmod")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A cloud of one account: its run has one shard, so that one process plans, reads, reports and joins."""
    spec = CloudSpec(
        accounts=(ACCOUNT,), regions=(REGION,), opensearch_regions=(REGION,), rate=FAST, rates={"sts": FAST}
    )
    with fleet_cloud(tmp_path_factory.mktemp("one"), spec) as fleet:
        yield fleet


class KillAt:
    """Kills before the change with this number; `at` is what that was, "" if there were fewer."""

    def __init__(self, number):
        self.number, self.changes, self.at = number, 0, ""

    def __call__(self, _, call):
        if call.name in _WITHOUT_EFFECT:
            return None
        self.changes += 1
        if self.changes != self.number:
            return None
        self.at = str(call)
        return KILL


@pytest.mark.trust
@pytest.mark.parametrize("part", range(SHARDS))
def test_killed_before_every_change_the_next_process_finishes_the_run(one, tmp_path, part):
    deaths = []
    for number in count(part + 1, SHARDS):
        root = one.copy(tmp_path / "out")
        output, judge = folder_output(root), KillAt(number)
        ended = one.judged(root, judge, *RUN)
        if not judge.at:
            assert ended.returncode == 0, ended.stderr
            break
        assert ended.returncode == -signal.SIGKILL, (judge.at, ended.stderr)
        deaths.append(plain(judge.at))
        assert_old_or_new(one, root)
        was_joined = "joined.json" in output.run_names()
        output.age()
        done = one.run(output, *RUN)
        assert (done.returncode, done.stderr) == (0, ""), judge.at
        one.assert_equal(output, besides=one.old_id, where=judge.at, run_stays=was_joined)
    assert len(deaths) > 80 // SHARDS


STEPS = ("plan.json", "s00000.report.json", "_snapshots/ID.json -> _snapshots/ID.json", "joined.json")


@pytest.mark.trust
def test_what_a_joiner_leaves_that_dies_after_its_note_the_next_day_removes(one, tmp_path):
    root = one.copy(tmp_path / "out")
    output = folder_output(root)
    ended = one.judged(
        root, lambda _, call: KILL if re.fullmatch("unlinkat _staging/run-[^/]*/plan.json", f"{call}") else None, *RUN
    )
    assert ended.returncode == -signal.SIGKILL
    assert {"plan.json", "joined.json", "s00000.report.json"} <= output.run_names()
    snapshot_id = one.assert_equal(output, besides=one.old_id, run_stays=True)
    output.age(25 * 3600)
    done = one.run(output)
    assert (done.returncode, done.stderr) == (0, "")
    assert_clean(root, {one.old_id, snapshot_id, json.loads(done.stdout)["snapshot_id"]})
    assert output.run_names() == set()


@pytest.mark.trust
@pytest.mark.parametrize("step", STEPS)
def test_killed_in_its_commit_or_between_documents_the_run_is_joined_by_hand(one, tmp_path, step):
    """`snapshots commit` after a death just before a document; it says what is missing if there is no report."""
    root = one.copy(tmp_path / "out")
    output = folder_output(root)
    ended = one.judged(root, lambda _, call: KILL if f"{call}".endswith(step) else None, *RUN)
    assert ended.returncode == -signal.SIGKILL
    output.age()
    done = one.snapshots(output, "commit", KEY, "--json")
    if step == "plan.json":
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
        assert "has no plan" in done.stderr
    elif step == "s00000.report.json":
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (1, 1)
        assert "1 of 1 shards of the run 'night' have no report yet: 0." in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
        one.assert_equal(output, besides=one.old_id)
        return
    assert manifest_ids(root) == {one.old_id}
    done = one.run(output, *RUN)
    assert (done.returncode, done.stderr) == (0, "")
    one.assert_equal(output, besides=one.old_id)


@pytest.fixture
def store():
    """A bucket in memory, whose clock the test moves, and its environment."""
    fake = FakeStore("s3")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served(fake)) as environ:
        yield fake, environ


def killed_at(one, output, number):
    """Start a process of the run that dies before its request with this number that changes the bucket.

    Return what that request was, "" if the process has ended before.
    """
    changes, killed = count(1), []

    def fault(_, method, key):
        if killed:
            return "break"
        if method not in ("GET", "HEAD") and next(changes) == number:
            killed.append(f"{method} {key}")
            os.kill(child.pid, signal.SIGKILL)
            return "break"
        return None

    with tempfile.TemporaryFile() as said, open(os.devnull) as nothing:
        files = (nothing.fileno(), said.fileno(), said.fileno())
        arguments = one.arguments(output.uri, *RUN)
        environ = {**one.environ, **output.environ}
        child = command_server.start(arguments, cwd=one.folder, env=environ, files=files)
        output.store.fault = fault
        with child:
            code = child.wait()
        output.store.fault = lambda *_: None
        said.seek(0)
        assert code == (-signal.SIGKILL if killed else 0), said.read().decode()
    return killed[0] if killed else ""


def unplanned(output):
    """The note of a snapshot whose planner died before its plan was there: a crawl of the next day removes it."""
    names = [name for name in output.names() if re.fullmatch("_staging/2[^/]+", name)]
    return names if not output.run_names() & {"plan.json", "joined.json"} else []


@pytest.mark.trust
@pytest.mark.parametrize("part", range(2))
def test_killed_before_every_request_to_a_bucket_the_next_process_finishes_the_run(one, tmp_path, store, part):
    fake, environ = store
    output = FakeOutput("s3://inventory", tmp_path / "copy", environ, store=fake)
    deaths = 0
    for number in count(part + 1, 2):
        fake.objects.clear()
        at = killed_at(one, output, number)
        if not at:
            break
        deaths += 1
        output.age()
        was_joined, notes = "joined.json" in output.run_names(), unplanned(output)
        done = one.run(output, *RUN)
        assert (done.returncode, done.stderr) == (0, ""), at
        for note in notes:
            del fake.objects[note]
        one.assert_equal(output, where=at, run_stays=was_joined)
        assert [key for key, _, _ in fake.uploads.values() if "/probe-" not in key] == []
    assert deaths > 7


@pytest.mark.trust
def test_a_process_that_dies_at_each_attempt_is_replaced_by_an_attempt_with_a_new_number(one, tmp_path):
    """Attempt numbers never repeat, and scopes that a dead attempt has finished aren't requested again."""
    root = one.copy(tmp_path / "out")
    output = folder_output(root)
    for attempt in (1, 2, 3):
        wanted = f"s00000-a{attempt:03}/_staging/ID/scopes.parquet.partial"
        ended = one.judged(root, lambda _, call, wanted=wanted: KILL if wanted in call.path else None, *RUN)
        assert ended.returncode == -signal.SIGKILL
        assert f"s00000-a{attempt:03}.lease" in output.run_names()
        output.age()
    before = one.cloud.requests.count(product="fc")
    done = one.run(output, *RUN, "--log-format", "json")
    assert done.returncode == 0
    said = last_line(done.stderr)
    assert (said["attempt"], said["run"]["resumed_scopes"]) == (4, 2)
    assert one.cloud.requests.count(product="fc", action="ListFunctions") > 0
    assert one.cloud.requests.count(product="fc") == before, "all scopes were finished by the first attempt"
    one.assert_equal(output, besides=one.old_id)
