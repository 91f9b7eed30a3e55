"""F133, F134, P30: processes that share a run find each other by its key, and no other one comes between."""

from __future__ import annotations

import os
from datetime import timedelta

import anyio
import anyio.lowlevel
import msgspec
import pytest

from crawler.cli.sharing import CrawlWay
from crawler.clock import SystemClock
from crawler.emulator import Refuse, Throttle
from crawler.errors import (
    CannotResumeError,
    ConfigError,
    CredentialsError,
    ExitCode,
    OutputBusyError,
    OutputError,
    UnreachableError,
)
from crawler.run import coordinator
from crawler.run.coordinator import has_unfinished_run
from crawler.run.progress import CrawlMonitor
from crawler.run.run import crawl
from crawler.snapshot.layout import PLAN_ROLE, lease_path, plan_path, run_folder, shard_role, staged
from crawler.snapshot.shards.documents import JoinedRun
from crawler.snapshot.shards.lease import Lease, end_lease
from tests.support.bucket_sites import impatient  # noqa: F401 - a fixture
from tests.support.shared_crawls import KEY, SIGNAL_9, TaskLauncher, alike, many_accounts, shared_output

FOLDER = run_folder(KEY)


@pytest.fixture(params=["folder", "s3", "oss"])
async def output(request, tmp_path):
    async with shared_output(request.param, tmp_path, many_accounts(4, 1)) as found:
        yield found


@pytest.fixture
async def folder(tmp_path):
    async with shared_output("folder", tmp_path, many_accounts(4, 1)) as found:
        yield found


class Hurried(SystemClock):
    """A clock on which the waits of processes for each other take no time."""

    def __init__(self, at_sleep=lambda: None):
        self.slept = []
        self.at_sleep = at_sleep

    async def sleep(self, duration_s):
        if duration_s in (2.0, 5.0):
            self.slept.append(duration_s)
            found = self.at_sleep()
            if found is not None:
                await found
            await anyio.sleep(0.001)
        else:
            await super().sleep(duration_s)


# --- the plan ----------------------------------------------------------------------------------------------------


async def test_who_comes_first_plans_and_the_others_wait(output):
    output.clock = Hurried()
    planned, ended = [], {}

    async def shard(number):
        ended[number] = await output.shard(number, 3, on_plan=lambda: planned.append(number))

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(shard, number)
    assert len(planned) == 1
    assert output.cloud.cloud.requests.count(action="DescribeRegions") == 1
    results = [end.joined for end in ended.values() if end.joined is not None]
    assert [result.exit_code for result in results] == [0] * len(results)
    assert {result.snapshot_id for result in results} == set(output.manifests())
    assert len(output.manifests()) == 1
    one = (await output.crawl()).manifest
    assert alike(output.manifest(output.manifests()[0])) == alike(one)


async def test_when_the_planner_dies_another_one_plans(output):
    """F133."""
    output.root.mkdir()
    lease = await Lease.acquire(output.store, FOLDER, PLAN_ROLE, SystemClock(), "the plan of the run")

    async def die():
        if len(output.clock.slept) == 3:
            await end_lease(output.store, FOLDER, PLAN_ROLE)

    output.clock = Hurried(die)
    planned = []
    await output.shard(0, 2, on_plan=lambda: planned.append(0))
    assert lease.attempt == 1
    assert planned == [0]
    assert output.clock.slept == [2.0] * 3
    assert f"{FOLDER}/plan-a002.lease" in output.paths()


@pytest.mark.parametrize("role", [PLAN_ROLE, shard_role(0)])
async def test_a_process_that_has_said_nothing_for_a_minute_is_followed_at_once(folder, role):
    """F133. By the clock of the output, which is that of its file system."""
    folder.root.mkdir()
    await Lease.acquire(folder.store, FOLDER, role, SystemClock(), "x")
    path = folder.root / lease_path(FOLDER, role, 1)
    long_ago = path.stat().st_mtime - 61
    os.utime(path, (long_ago, long_ago))
    folder.clock = Hurried()
    monitor = CrawlMonitor()
    await folder.shard(0, 2, monitor=monitor)
    assert folder.clock.slept == []
    assert monitor.attempt == (1 if role == PLAN_ROLE else 2)
    assert lease_path(FOLDER, role, 2) in folder.paths()


async def test_a_planner_that_fails_leaves_the_run_to_another_one(output):
    """F133."""
    wrong = output.config(change=lambda text: text.replace("_SECRET_", "_ID_"))
    with pytest.raises(CredentialsError) as told:
        await output.shard(0, 2, config=wrong)
    assert told.value.exit_code == ExitCode.CREDENTIALS
    assert await output.files().plan() is None
    assert output.manifests() == []
    assert (await output.shards(2)).exit_code == 0


async def test_a_planner_that_reaches_no_service_asks_for_another_attempt(folder):
    rule = folder.cloud.cloud.faults.add(Refuse(), product="sts")
    once = folder.config("\n[retry]\nmax_attempts = 1\n")
    with pytest.raises(UnreachableError) as told:
        await folder.shard(0, 2, config=once)
    assert told.value.exit_code == ExitCode.UNREACHABLE
    folder.cloud.cloud.faults.rules.remove(rule)
    assert (await folder.shards(2)).exit_code == 0


async def test_shards_whose_lists_got_no_answer_are_joined_to_the_code_of_an_outage(folder):
    """The reports are read back from files, which the joiner groups by their causes."""
    folder.cloud.cloud.faults.add(Refuse(), action="ListFunctions")
    config = folder.config("\n[retry]\nmax_attempts = 1\n", tables='["fc_functions"]')
    result = await folder.shards(2, config=config)
    assert (result.exit_code, result.manifest) == (ExitCode.UNREACHABLE, None)
    assert [cause.error_code for cause in result.ledger.causes] == ["ConnectionFailed"]
    assert (await folder.files().joined()).exit_code == ExitCode.UNREACHABLE


async def test_a_planner_with_a_configuration_of_its_own_stops_nobody_for_long(folder):
    """A plan whose planner was stopped before it was written has left nothing that another run minds."""
    with pytest.raises(CredentialsError):
        await folder.shard(0, 2, config=folder.config(change=lambda text: text.replace("_SECRET_", "_ID_")))
    assert (await folder.crawl()).exit_code == 0


@pytest.mark.parametrize(("total", "reason"), [(3, "has 2 shards, not 3"), (1, "has 2 shards, not 1")])
async def test_another_number_of_shards_is_refused(folder, total, reason):
    await folder.some_shards([0], 2)
    with pytest.raises(ConfigError, match=reason) as told:
        await folder.shard(0, total)
    assert told.value.exit_code == ExitCode.USAGE


async def test_processes_of_several_machines_need_a_configured_fingerprint_key(folder):
    config = folder.config(change=lambda text: text.replace("fingerprint_key =", "# fingerprint_key ="))
    with pytest.raises(ConfigError, match=r"--shard needs \[output\] fingerprint_key") as told:
        await folder.shard(0, 2, config=config)
    assert told.value.exit_code == ExitCode.USAGE
    assert folder.cloud.cloud.requests.count() == 0
    assert (await folder.workers(2, config=config)).exit_code == 0, "those of one machine share its own"


# --- other runs --------------------------------------------------------------------------------------------------


async def test_another_run_and_an_ordinary_crawl_end_with_11_and_ask_for_nothing(output):
    """F134."""
    await output.some_shards([0], 2)
    before = output.cloud.cloud.requests.count()
    for other in (output.crawl, lambda: output.shard(0, 2, "another-key"), lambda: output.workers(2)):
        with pytest.raises(OutputBusyError, match=rf"the run {KEY} \(snapshot .*\) is at work in the output") as told:
            await other()
        assert told.value.exit_code == ExitCode.OUTPUT_BUSY
    assert output.cloud.cloud.requests.count() == before
    assert (await output.shard(1, 2)).joined.exit_code == 0


async def test_the_next_nights_run_begins_when_the_last_one_is_joined(output):
    first = await output.shards(2, "monday")
    second = await output.shards(2, "tuesday")
    assert output.manifests() == [first.snapshot_id, second.snapshot_id]
    assert output.latest() == second.snapshot_id


async def test_a_shard_of_a_joined_run_has_nothing_to_do_for_six_hours(output):
    """A retry of an orchestrator, or one pod more. Later it is the key of another night."""
    result = await output.shards(2)
    before = output.cloud.cloud.requests.count()
    joined = await output.shard(1, 2)
    assert isinstance(joined, JoinedRun)
    assert (joined.snapshot_id, joined.exit_code) == (result.snapshot_id, 0)
    later = SystemClock()
    later.now = lambda: result.finished_at + timedelta(hours=6, seconds=1)
    output.clock = later
    with pytest.raises(ConfigError, match="which is over; give each run a key of its own, such as its date") as told:
        await output.shard(1, 2)
    assert told.value.exit_code == ExitCode.USAGE
    assert output.cloud.cloud.requests.count() == before


async def test_a_run_that_was_left_for_hours_is_not_gone_on_with(folder):
    """The same key on the next night, while a shard of the last one is missing: its rows would be of two nights."""
    await folder.some_shards([0], 3)
    plan = await folder.files().plan()
    folder.clock = SystemClock()
    folder.clock.now = lambda: plan.started_at + timedelta(hours=7)
    await folder.some_shards([1], 3)  # others are at work on it all the time
    for path in (folder.root / FOLDER).iterdir():
        at = path.stat().st_mtime - 7 * 3600
        os.utime(path, (at, at))
    before = folder.cloud.cloud.requests.count()
    with pytest.raises(
        ConfigError, match=rf"snapshot {plan.snapshot_id}, whose run was left more than 6 h ago"
    ) as told:
        await folder.shard(2, 3)
    assert told.value.exit_code == ExitCode.USAGE
    assert folder.cloud.cloud.requests.count() == before
    assert (await folder.commit(partial=True)).exit_code == ExitCode.PARTIAL


async def test_a_shard_that_has_its_report_is_not_read_again(output):
    await output.some_shards([0], 2)
    before = output.cloud.cloud.requests.count()
    end = await output.shard(0, 2)
    assert end.was_reported
    assert end.joined is None
    assert output.cloud.cloud.requests.count() == before


async def test_a_shard_whose_run_is_whole_joins_it(output):
    """The process that had the last report was stopped before it joined."""
    await output.some_shards([0], 2)
    await output.report(1, 2)
    end = await output.shard(0, 2)
    assert end.was_reported
    assert end.joined.exit_code == 0


async def test_a_plan_of_a_later_version_is_named(output):
    await output.some_shards([0], 2)
    value = msgspec.json.decode(output.read(plan_path(FOLDER)))
    output.write(plan_path(FOLDER), msgspec.json.encode({**value, "format": 2}))
    with pytest.raises(OutputError, match=r"plan.json has format 2, this version reads 1; use one version for a run"):
        await output.shard(1, 2)


# --- resume --------------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """The process ends at this point."""


async def interrupted(output, shards=4, *, ends=None, **more):
    """A run by workers whose coordinator is stopped when some shards have reported."""
    done = []

    async def stop(launcher, shard):
        done.append(shard)
        raise Stopped

    with pytest.raises(Stopped):
        await output.workers(2, shards=shards, ends=ends or {2: [stop]}, **more)
    assert done


async def test_a_resumed_run_reads_only_the_shards_without_a_report(output):
    """P3, F133."""
    monitor = CrawlMonitor()
    await interrupted(output, monitor=monitor)
    assert monitor.can_resume
    assert output.manifests() == []
    plan_of = {path for path in output.paths() if path.endswith("plan.json")}
    assert len(plan_of) == 1
    assert await has_unfinished_run(output.config(), output.system())
    asked = output.cloud.cloud.requests.count(action="ListFunctions")
    result = await output.workers(3, resume=True)
    assert result.exit_code == 0
    assert result.snapshot_id == monitor.snapshot_id
    assert output.cloud.cloud.requests.count(action="ListFunctions") == 4
    assert asked < 4
    assert output.staging() == set()
    assert not await has_unfinished_run(output.config(), output.system())
    one = (await output.crawl()).manifest
    assert output.rows(result.manifest) == output.rows(one)
    assert alike(result.manifest) == alike(one)


async def test_a_run_whose_coordinator_was_killed_is_found(folder):
    """F133. Nobody has removed the staging folder of its snapshot."""
    await interrupted(folder)
    snapshot_id = (await folder.files_of_newest().plan()).snapshot_id
    (folder.root / staged(snapshot_id)).mkdir()
    assert await has_unfinished_run(folder.config(), folder.system())
    result = await folder.workers(2, resume=True)
    assert (result.exit_code, result.snapshot_id) == (0, snapshot_id)
    assert folder.staging() == set()


async def test_a_run_that_was_committed_before_its_coordinator_died_is_not_crawled_again(output, monkeypatch):
    """F131."""

    async def died(*arguments):
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(coordinator, "publish_run", died)
        with pytest.raises(Stopped):
            await output.workers(2, shards=4, ends={3: [SIGNAL_9] * 3})
    [snapshot_id] = output.manifests()
    asked = output.cloud.cloud.requests.count()
    result = await output.workers(2, resume=True)
    assert (result.snapshot_id, result.exit_code) == (snapshot_id, 3)
    assert result.manifest == output.manifest(snapshot_id)
    assert output.cloud.cloud.requests.count() == asked
    assert output.staging() == set()


OTHERWISE = [
    ({"tables": ["fc_functions"]}, str, r"another \[crawl\] tables"),
    ({}, lambda text: text.replace("[output]\n", '[output]\nsecrets = "keep"\n'), r"another \[output\] secrets"),
    ({}, lambda text: text.replace("[output]\n", '[output]\nunknown = "keep"\n'), r"another \[output\] unknown"),
]


@pytest.mark.parametrize(("keys", "change", "reason"), OTHERWISE)
async def test_a_run_of_another_configuration_is_not_resumed(folder, keys, change, reason):
    await interrupted(folder)
    before = folder.paths()
    with pytest.raises(CannotResumeError, match=rf"^--resume: .*{reason}"):
        await folder.workers(2, config=folder.config(change=change, **keys), resume=True)
    assert folder.paths() == before, "the run stays for a crawl that may resume it"
    assert (await folder.workers(2, resume=True)).exit_code == 0


async def test_a_run_is_resumed_whose_machines_clock_was_set_since(output):
    """It was 8 hours late when the run was planned."""
    late = SystemClock()
    now = late.now
    late.now = lambda: now() - timedelta(hours=8)
    output.clock = late
    await interrupted(output)
    output.clock = None
    assert (await output.workers(2, resume=True)).exit_code == 0


async def test_a_run_that_began_more_than_six_hours_ago_is_not_resumed(output):
    await interrupted(output)
    clock = SystemClock()
    started = (await output.files_of_newest().plan()).started_at
    clock.now = lambda: started + timedelta(hours=6, minutes=1)
    output.clock = clock
    with pytest.raises(CannotResumeError, match="began more than 6 h ago; crawl without --resume"):
        await output.workers(2, resume=True)


def way(folder, monkeypatch, resume, workers):
    """`crawl --resume[=auto] --workers N`, with tasks in the place of processes."""

    def launcher(command, _environ, places):
        total = int(command[command.index("--shard") + 1].partition("/")[2])
        return TaskLauncher(folder, folder.config(), command[command.index("--run") + 1], total, places)

    monkeypatch.setattr("crawler.run.engine.processes.ProcessLauncher", launcher)
    return CrawlWay(resume, workers).crawl(folder.config(), folder.system(), CrawlMonitor())


async def test_a_schedule_resumes_what_there_is_to_resume_and_else_begins(folder, monkeypatch):
    """`--resume=auto`"""
    first = await way(folder, monkeypatch, "auto", 2)
    assert (first.exit_code, first.resumed_scopes) == (0, 0)
    monitor = CrawlMonitor()
    await interrupted(folder, monitor=monitor)
    asked = folder.cloud.cloud.requests.count(action="ListFunctions")
    second = await way(folder, monkeypatch, "auto", 1)
    assert (second.exit_code, second.snapshot_id) == (0, monitor.snapshot_id), "whatever the number of processes is"
    assert folder.cloud.cloud.requests.count(action="ListFunctions") < asked + 4
    third = await way(folder, monkeypatch, "auto", 1)
    assert third.exit_code == 0
    assert folder.manifests() == sorted({first.snapshot_id, second.snapshot_id, third.snapshot_id})
    with pytest.raises(CannotResumeError):
        await way(folder, monkeypatch, "always", 2)


async def test_a_crawl_of_one_process_is_resumed_as_such(folder, monkeypatch):
    """The newest unfinished crawl is the one that is resumed."""
    await interrupted(folder)
    monitor = CrawlMonitor()
    slow = folder.cloud.cloud.faults
    slow.add(Throttle(retry_after_ms=600_000), action="ListLayers", account="1000000000000004")
    async with anyio.create_task_group() as tasks:

        async def one():
            await crawl(folder.config(), folder.system(), monitor)

        tasks.start_soon(one)
        with anyio.fail_after(60):
            while monitor.progress.scopes_done < 7:
                await anyio.sleep(0.001)
        await anyio.sleep(1.5)  # the journal is written every second
        tasks.cancel_scope.cancel()
    slow.rules.clear()
    assert monitor.can_resume
    assert not await has_unfinished_run(folder.config(), folder.system())
    result = await way(folder, monkeypatch, "always", 2)
    assert (result.exit_code, result.snapshot_id) == (0, monitor.snapshot_id)
    assert result.resumed_scopes == 7


async def test_without_an_unfinished_run_there_is_nothing_to_resume(output):
    assert not await has_unfinished_run(output.config(), output.system())
    with pytest.raises(CannotResumeError, match="--resume: the output has no unfinished run"):
        await output.workers(2, resume=True)
    await output.shards(2)
    assert not await has_unfinished_run(output.config(), output.system())


def test_the_folder_of_a_question_is_not_made(tmp_path):
    """`--resume` of an output that doesn't exist leaves none."""

    async def main():
        async with shared_output("folder", tmp_path, many_accounts(1, 1)) as output:
            assert not await has_unfinished_run(output.config(), output.system())
            assert not output.root.exists()

    anyio.run(main)


async def test_a_new_crawl_removes_the_run_of_a_dead_coordinator(folder):
    """Its workers ended with it: nothing of it is at work."""
    await interrupted(folder)
    assert (await folder.crawl()).exit_code == 0
    assert folder.staging() == set()


async def test_a_worker_that_dies_is_replaced(output):
    """P30, F133."""
    monitor = CrawlMonitor()
    result = await output.workers(2, shards=4, ends={0: [SIGNAL_9], 2: [SIGNAL_9, SIGNAL_9]}, monitor=monitor)
    assert result.exit_code == 0
    assert monitor.result == result
    one = (await output.crawl()).manifest
    assert output.rows(result.manifest) == output.rows(one)
    assert alike(result.manifest) == alike(one)


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"), [(2, ConfigError, ExitCode.USAGE), (4, OutputError, ExitCode.OUTPUT)]
)
async def test_a_worker_that_names_a_lasting_error_ends_the_crawl(folder, code, kind, exit_code):
    end = {"code": code, "reason": f"exit code {code}", "error": "its own sentence.", "host": "here"}
    with pytest.raises(kind, match="its own sentence") as told:
        await folder.workers(2, shards=4, ends={1: [end]})
    assert told.value.exit_code == exit_code
    assert folder.manifests() == []


async def test_few_accounts_say_that_workers_would_be_idle(folder):
    result = await folder.workers(8)
    assert "4 accounts make 4 shards, so 4 of 8 workers would be idle" in result.warnings
