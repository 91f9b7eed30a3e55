"""P32, F130, F131: a run gives the rows of one process, whatever its shards; it is committed once, by whoever joins."""

from __future__ import annotations

import errno
import itertools
import re
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import ClassVar

import anyio
import anyio.lowlevel
import msgspec
import pytest

from crawler.clock import SystemClock
from crawler.emulator import Deny
from crawler.errors import (
    CrawlError,
    ExitCode,
    LeaseHeldError,
    LeaseLostError,
    OutputBusyError,
    OutputError,
    UnknownRunError,
)
from crawler.run import join_run as join_run_module
from crawler.run.join_run import MissingShardsError, end_run, join_run
from crawler.run.progress import CrawlMonitor
from crawler.run.shard_attempt import Run
from crawler.snapshot.bucket.scratch import Scratch
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.lock import OutputLock
from crawler.snapshot.layout import JOIN_ROLE, joined_path, plan_path, report_path, run_folder, shard_role
from crawler.snapshot.shards.documents import JoinedRun
from crawler.snapshot.shards.lease import Lease, end_lease
from crawler.snapshot.shards.run_files import RunFiles
from crawler.snapshot.verify import verify_all
from tests.support.bucket_sites import impatient  # noqa: F401 - a fixture
from tests.support.crawl_runner import scope_statuses
from tests.support.examples import IS_WHOLE
from tests.support.shared_crawls import (
    KEY,
    SIGNAL_9,
    alike,
    many_accounts,
    shared_output,
)

FOLDER = run_folder(KEY)
FIRST = "1000000000000001"


@pytest.fixture(params=["folder", "s3", "oss"])
async def output(request, tmp_path):
    async with shared_output(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def folder(tmp_path):
    async with shared_output("folder", tmp_path, many_accounts(4, 1)) as found:
        yield found


@pytest.fixture(params=["folder", "s3", "oss"])
async def small(request, tmp_path):
    """An output of each kind, beside four accounts."""
    async with shared_output(request.param, tmp_path, many_accounts(4, 1)) as found:
        yield found


def assert_whole(output):
    """Every file of a local output is as it was committed, and there is no other."""
    if not output.uri:
        verdicts, loose = verify_all(output.root)
        assert loose == []
        assert all(verdict.is_whole for verdict in verdicts)


async def run_of(output):
    """The run as a joiner has it."""
    files = output.files()
    return Run(await files.plan(), files, output.bucket)


async def test_a_run_gives_what_one_process_gives_whatever_its_shards(output):
    one = (await output.crawl()).manifest
    rows, ledger = output.rows(one), output.ledger(one)
    for total in (1, 2, 4, 8):
        result = await output.shards(total, f"run-{total}")
        manifest = result.manifest
        assert result.exit_code == 0
        assert output.rows(manifest) == rows
        assert output.ledger(manifest) == ledger
        assert alike(manifest) == alike(one)
        assert [(entry.number, entry.status, entry.attempts) for entry in manifest.shards] == [
            (number, "reported", 1) for number in range(total)
        ]
        assert all(len(entry.hosts) == 1 and entry.seconds > 0 for entry in manifest.shards)
        assert sum(entry.requests for entry in manifest.shards) < result.requests.requests, "the planner's come on top"
        assert output.latest() == manifest.snapshot_id
        assert output.staging() == set()
    assert_whole(output)


async def test_more_shards_than_accounts_are_empty(small):
    result = await small.shards(7)
    assert result.exit_code == 0
    one = (await small.crawl()).manifest
    assert alike(result.manifest) == alike(one)
    assert small.rows(result.manifest) == small.rows(one)
    assert [entry.requests > 0 for entry in result.manifest.shards] == [True] * 4 + [False] * 3


async def test_a_table_without_rows_has_its_file(small):
    config = small.config(tables=["fc_functions", "fc_aliases"])
    for account in small.cloud.cloud.spec.accounts:
        for region in small.cloud.cloud.spec.regions:
            small.cloud.cloud.edit(account, region, "fc.ListFunctions", [])
    result = await small.shards(2, config=config)
    assert {table: (entry.rows, len(entry.files)) for table, entry in result.manifest.tables.items()} == {
        "fc_aliases": (0, 1),
        "fc_functions": (0, 1),
    }
    assert_whole(small)


# --- shards that are missing or lost -------------------------------------------------------------------------------


async def test_a_run_with_missing_shards_is_not_joined_and_says_which(small):
    await small.some_shards([0, 2], 4)
    snapshot_id = (await small.files().plan()).snapshot_id
    with pytest.raises(MissingShardsError) as told:
        await small.commit()
    assert told.value.exit_code == ExitCode.FAILURE
    assert str(told.value) == (
        f"2 of 4 shards of the run '{KEY}' have no report yet: 1, 3. Run them again by `crawl --shard`, or commit the "
        f"others by `snapshots commit {snapshot_id} --partial`."
    )
    assert small.manifests() == []
    assert await small.files().joined() is None
    result = (await small.shard(1, 4), await small.shard(3, 4))[1].joined
    assert result.exit_code == 0


async def test_shards_that_are_given_up_are_scopes_that_were_not_attempted(small):
    """F130. The snapshot is partial, and LATEST stays where it was."""
    before = await small.crawl()
    await small.some_shards([0, 2], 4)
    lost = [account.id for shard in (1, 3) for account, _, _ in (await small.files().plan()).targets(shard)]
    result = await small.commit(partial=True)
    assert result.exit_code == ExitCode.PARTIAL
    assert result.manifest.status == "partial"
    assert {(row.account_id, row.table) for row in result.ledger if row.status == "not_attempted"} == {
        (account, table) for account in lost for table in ("fc_functions", "fc_layers")
    }
    [reason] = {row.error_message for row in result.ledger if row.account_id == lost[0]}
    assert reason == "shard 1 of 4 was never begun; the user committed the run without it"
    assert {row.error_code for row in result.ledger if row.status == "not_attempted"} == {"ShardLost"}
    assert [(entry.status, entry.attempts) for entry in result.manifest.shards] == [
        ("reported", 1),
        ("lost", 0),
        ("reported", 1),
        ("lost", 0),
    ]
    ledger = small.ledger(result.manifest)
    order = [(row["table"], row["account_id"], row["region_id"]) for row in ledger]
    assert order == sorted(order)
    assert len(ledger) == len(before.ledger)
    rows = small.rows(result.manifest)
    assert rows == small.rows(before.manifest) & rows
    assert small.latest() == before.snapshot_id
    assert small.staging() == set()
    assert_whole(small)


async def test_a_shard_that_a_process_is_at_work_on_is_not_given_up(small):
    """F130."""
    await small.some_shards([0], 2)
    lease = await Lease.acquire(small.store, FOLDER, shard_role(1), SystemClock(), "shard 1 of 2")
    with pytest.raises(OutputBusyError, match=r"shard 1 of 2 is at work on .*; wait for it, or stop it") as told:
        await small.commit(partial=True)
    assert told.value.exit_code == ExitCode.OUTPUT_BUSY
    assert small.manifests() == []
    await lease.release()
    result = await small.commit(partial=True)
    assert result.exit_code == ExitCode.PARTIAL
    [reason] = {row.error_message for row in result.ledger if row.status == "not_attempted"}
    assert re.fullmatch(r"shard 1 of 2 was tried once on host \S+; the user committed .*", reason), reason


async def test_a_shard_that_is_lost_three_times_is_given_up_by_the_coordinator(folder):
    """F130."""
    result = await folder.workers(2, shards=4, ends={1: [SIGNAL_9] * 3})
    assert result.exit_code == ExitCode.PARTIAL
    lost = [row for row in result.ledger if row.status == "not_attempted"]
    assert len(lost) == 2
    assert {row.error_message for row in lost} == {"shard 1 of 4 was lost 3 times; the last on host here by signal 9"}
    assert folder.latest() == ""


async def test_with_require_complete_nothing_is_committed_and_the_run_can_go_on(folder):
    config = folder.config(require_complete=True)
    await folder.crawl()
    before = folder.paths()
    result = await folder.workers(2, config=config, shards=4, ends={1: [SIGNAL_9] * 3})
    assert (result.exit_code, result.manifest) == (ExitCode.FAILURE, None)
    assert before - folder.paths() == set()
    asked = folder.cloud.cloud.requests.count(action="ListFunctions")
    result = await folder.workers(2, config=config, resume=True)
    assert (result.exit_code, result.manifest.status) == (0, "complete")
    assert folder.cloud.cloud.requests.count(action="ListFunctions") == asked + 1, "only the lost shard was read"
    assert folder.staging() == set()


async def test_with_require_complete_a_run_whose_shards_have_all_reported_is_over(small):
    """Its reports never change: another attempt would end in the same way."""
    small.cloud.cloud.faults.add(Deny(), account=FIRST, action="ListLayers")
    config = small.config(require_complete=True)
    result = await small.shards(2, config=config)
    assert (result.exit_code, result.manifest) == (ExitCode.FAILURE, None)
    assert scope_statuses(result) == {(FIRST, small.cloud.cloud.spec.regions[0], "fc_layers"): "denied"}
    assert (await small.files().joined()).status == "none"
    assert {path for path in small.paths() if not path.endswith("/lock")} == {joined_path(FOLDER)}


async def test_where_everything_is_denied_nothing_is_committed(small):
    small.cloud.cloud.faults.add(Deny(), product="fc", action="List*")
    result = await small.shards(2)
    assert (result.exit_code, result.manifest) == (ExitCode.FAILURE, None)
    assert {path for path in small.paths() if not path.endswith("/lock")} == {joined_path(FOLDER)}


# --- who joins -------------------------------------------------------------------------------------------------------


async def report_all(output, total, key=KEY):
    """Crawl all shards as the children of a coordinator do, which leave the join to it."""
    await output.some_shards([0], total, key)
    for number in range(1, total):
        await output.report(number, total, key)


async def test_of_two_joiners_one_commits(small):
    """P32, F131."""
    await report_all(small, 2)
    results, refused = [], []

    async def join():
        try:
            results.append(await small.commit())
        except LeaseHeldError as error:
            refused.append(str(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(join)
        tasks.start_soon(join)
    assert len(results) + len(refused) == 2
    assert [found.exit_code for found in results] == [0] * len(results)
    assert len(results) > 0
    assert all("the join of the run" in reason or "has joined the run" in reason for reason in refused)
    assert len(small.manifests()) == 1
    assert small.latest() == small.manifests()[0]
    assert {path for path in small.staging() if "/join-a" not in path} == set(), "but for a lease that came too late"
    assert_whole(small)


async def test_what_a_killed_joiner_leaves_on_its_machine_is_removed_by_the_next(folder, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    def die(scratch):
        scratch.lock.release()
        scratch.disk.close_root()

    with monkeypatch.context() as patch:
        patch.setattr(Scratch, "remove", die)
        await folder.shards(2, "monday")
    assert len(list(place.rglob("merged.parquet"))) == 1
    await folder.shards(2, "tuesday")
    assert list(place.iterdir()) == []


async def test_a_joiner_that_comes_later_gets_the_committed_snapshot(small):
    """P32. It believes that its lease is the first one: its predecessor was stopped for a minute, and wakes up."""
    await report_all(small, 2)
    run = await run_of(small)
    first = await join_run(small.prepared(), run, CrawlMonitor())
    before = small.paths()
    monitor = CrawlMonitor()
    second = await join_run(small.prepared(), run, monitor)
    assert second.manifest == first.manifest
    assert (second.exit_code, monitor.committed_id) == (0, first.snapshot_id)
    assert [row.table for row in second.ledger] == [row.table for row in first.ledger]
    assert {path for path in small.paths() ^ before if "/join-a" not in path} == set()
    for result in (first, second, second):
        await end_run(run, result)
    assert (await small.files().joined()).status == "complete"
    assert small.staging() == set()
    assert_whole(small)


async def test_a_temporary_file_of_another_process_outlives_the_join(small):
    """F131. It learns by it what the store's time is, and then that the run is joined."""
    await report_all(small, 2)
    small.write(f"{FOLDER}/new-0123456789abcdef", b"time")
    await small.commit()
    assert small.staging() == {f"{FOLDER}/new-0123456789abcdef"}


async def test_a_run_that_is_over_is_not_joined_again(small):
    result = await small.shards(2)
    before = small.paths()
    for name in (KEY, result.snapshot_id):
        joined = await small.commit(name)
        assert (joined.snapshot_id, joined.status, joined.exit_code) == (result.snapshot_id, "complete", 0)
    assert small.paths() == before


async def test_a_run_is_found_by_its_key_and_by_its_snapshot(small):
    await report_all(small, 2)
    with pytest.raises(UnknownRunError, match="the output has no run 'tonight'") as told:
        await small.commit("tonight")
    assert told.value.exit_code == ExitCode.USAGE
    snapshot_id = (await small.files().plan()).snapshot_id
    assert (await small.commit(snapshot_id)).snapshot_id == snapshot_id


async def test_a_run_that_options_narrowed_is_committed_without_them(small):
    """`snapshots commit` has the configuration's file, and the plan what the options of the shards left out."""
    options = {"accounts": (FIRST, "1000000000000003"), "tables": ("fc_layers",)}
    narrowed = small.config().with_overrides(**options)
    before = await small.crawl()
    await small.some_shards([0], 2, config=narrowed)
    await small.report(1, 2, config=narrowed)
    result = await small.commit()
    assert result.exit_code == 0
    assert result.manifest.selection.options == f"--account {FIRST} --account 1000000000000003 --table fc_layers"
    assert {(row.account_id, row.table) for row in result.ledger} == {
        (account, "fc_layers") for account in options["accounts"]
    }
    assert small.latest() == before.snapshot_id, "a part of the inventory isn't the newest"


async def test_a_joiner_waits_for_a_prune_that_holds_the_output(folder):
    """The lock of a local output, which a run doesn't hold while its shards are read."""
    await report_all(folder, 2)
    disk = Disk(folder.root)
    lock = OutputLock.acquire(disk, datetime.now(UTC))

    class Waiting(SystemClock):
        slept: ClassVar[list[float]] = []

        async def sleep(self, duration_s):
            if duration_s == 2.0:
                self.slept.append(duration_s)
                if len(self.slept) == 3:
                    lock.release()
                await anyio.lowlevel.checkpoint()
            else:
                await super().sleep(duration_s)

    folder.clock = Waiting()
    assert (await folder.commit()).exit_code == 0
    assert Waiting.slept == [2.0] * 3
    disk.close_root()


async def test_nothing_is_committed_by_a_joiner_whose_lease_is_lost(small, monkeypatch):
    """P32. Its machine slept until another process began to join."""
    await report_all(small, 2)
    open_files = join_run_module.open_joined_files

    @asynccontextmanager
    async def slow(*arguments):
        async with open_files(*arguments) as files:
            for lease in leases:
                lease._valid_until = -1.0
            yield files

    leases = []
    acquire = Lease.acquire.__func__

    async def noted(cls, *arguments, **more):
        leases.append(await acquire(cls, *arguments, **more))
        return leases[-1]

    monkeypatch.setattr(join_run_module, "open_joined_files", slow)
    monkeypatch.setattr(Lease, "acquire", classmethod(noted))
    with pytest.raises(LeaseLostError, match="the lease of the join of the run") as told:
        await join_run(small.prepared(), await run_of(small), CrawlMonitor())
    assert told.value.exit_code == ExitCode.OUTPUT_BUSY
    assert small.manifests() == []
    monkeypatch.undo()
    await end_lease(small.store, FOLDER, JOIN_ROLE)
    assert (await small.commit()).exit_code == 0


@contextmanager
def dying(output, number, monkeypatch):
    """Let every change of the output fail from the n-th on, as if the process were gone. Yields the changes."""
    seen = []
    if output.fake is not None:

        def fault(_, method, key):
            if method == "GET" or "/probe-" in key:
                return None
            seen.append(f"{method} {key}")
            return "refuse" if len(seen) >= number else None

        output.fake.fault = fault
        yield seen
        output.fake.fault = lambda number, method, key: None
        return

    def counting(method):
        def step(self, path, *more):
            if str(self.root).startswith(str(output.root)) and "probe-" not in path:
                seen.append(f"{method.__name__} {path}")
                if len(seen) >= number:
                    raise OutputError("the process is gone")
            return method(self, path, *more)

        return step

    with monkeypatch.context() as patched:
        for name in ("make_folder", "create", "rename", "link", "unlink", "remove_folder"):
            patched.setattr(Disk, name, counting(getattr(Disk, name)))
        yield seen


@pytest.fixture(params=["folder", "s3", "oss"])
async def two(request, tmp_path):
    """An output of each kind, beside two accounts."""
    async with shared_output(request.param, tmp_path, many_accounts(2, 1)) as found:
        yield found


async def test_a_joiner_that_is_stopped_at_any_step_leaves_the_rest_to_the_next_one(two, monkeypatch):
    """F131, P32: the snapshot is committed once, with the same rows; readers see all of it or nothing."""
    await two.crawl()
    old = two.latest()
    await report_all(two, 2)
    plan, whole = await two.files().plan(), two.saved()
    rows = None
    each = 1 if IS_WHOLE else 3 if two.uri else 11
    for number in itertools.count(1, each):
        two.restore(whole)
        result = None
        with dying(two, number, monkeypatch) as seen, suppress(CrawlError):
            result = await two.commit()
        assert set(two.manifests()) <= {old, plan.snapshot_id}
        assert result is None or plan.snapshot_id in two.manifests()
        assert two.latest() in two.manifests()
        if len(seen) < number:
            break
        await end_lease(two.store, FOLDER, JOIN_ROLE)  # its process is dead
        result = await two.commit()
        assert (result.snapshot_id, result.exit_code) == (plan.snapshot_id, 0), seen[-1]
        assert two.latest() == plan.snapshot_id, seen[-1]
        manifest = two.manifest(plan.snapshot_id)
        rows = rows or two.rows(manifest)
        assert two.rows(manifest) == rows, seen[-1]
        if not isinstance(result, JoinedRun):
            left = {path for path in two.staging() if "/new-" not in path}  # removed a day later
            assert left == set(), seen[-1]
        named = {file.path for entry in manifest.tables.values() for file in entry.files}
        found = {path for path in two.paths() if f"/snapshot={plan.snapshot_id}/" in path}
        assert {path for path in found if not path.startswith("_staging/")} == named, seen[-1]
        assert_whole(two)
    assert number > 8, "it has that many steps"
    assert rows


async def test_once_the_snapshot_is_committed_a_store_that_fails_changes_nothing_of_the_result(two, monkeypatch):
    """P17, P32."""
    await report_all(two, 2)
    path = joined_path(FOLDER)

    async def broken(self, joined):
        raise OutputError(f"can't create {path}")

    with monkeypatch.context() as patched:
        patched.setattr(RunFiles, "create_joined", broken)
        result = await two.commit()
    assert result.exit_code == 0
    assert two.latest() == result.snapshot_id
    assert await two.files().joined() is None
    assert (await two.commit()).manifest == result.manifest
    assert (await two.files().joined()).status == "complete"


async def test_parts_of_an_attempt_that_came_too_late_are_removed_from_a_bucket(small):
    """P30."""
    await report_all(small, 2)
    if small.uri:
        plan = await small.files().plan()
        part = next(path for path in small.paths() if path.startswith("fc_functions/") and "-00001001" in path)
        late = part.replace("-00001001", "-00001002")
        assert plan.snapshot_id in late
        small.write(late, small.read(part))
    result = await small.commit()
    named = {file.path for entry in result.manifest.tables.values() for file in entry.files}
    assert {path for path in small.paths() if "/snapshot=" in path} == named
    assert small.rows(result.manifest) == small.rows((await small.crawl()).manifest)


def inodes(paths):
    return {path.stat().st_ino for path in paths}


async def test_the_parts_of_a_local_run_are_linked_and_not_copied(folder):
    await report_all(folder, 2)
    before = inodes(folder.root.glob("_staging/run-*/*/_staging/*/fc_*/**/*.parquet"))
    assert len(before) == 4
    await folder.commit()
    assert inodes(folder.root.glob("fc_*/**/*.parquet")) == before


async def test_the_parts_of_a_local_run_are_copied_where_they_have_no_links(folder, monkeypatch):
    """Such as an attempt's folder on another file system."""
    await report_all(folder, 2)
    before = inodes(folder.root.glob("_staging/run-*/*/_staging/*/fc_*/**/*.parquet"))
    link = Disk.link

    def refused(self, source, destination):
        if not source.endswith(".parquet"):
            return link(self, source, destination)
        with self._translate_errors("link", source):
            raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(Disk, "link", refused)
    result = await folder.commit()
    assert result.exit_code == 0
    assert not inodes(folder.root.glob("fc_*/**/*.parquet")) & before
    assert folder.rows(result.manifest) == folder.rows((await folder.crawl()).manifest)
    assert_whole(folder)


# --- what isn't as it was reported -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gone", "longer"])
async def test_a_part_that_is_not_as_it_was_reported_commits_nothing(small, kind):
    """F132."""
    await report_all(small, 2)
    part = next(path for path in sorted(small.paths()) if path.endswith(".parquet") and "fc_layers/" in path)
    content = small.read(part)
    small.remove(part)
    if kind == "longer":
        small.write(part, content + b"x")
    with pytest.raises(OutputError, match=r"fc_layers/.* (is missing|isn't|lists|has )") as told:
        await small.commit()
    assert told.value.exit_code == ExitCode.OUTPUT
    assert small.manifests() == []
    small.remove(part)
    small.write(part, content)
    await end_lease(small.store, FOLDER, JOIN_ROLE)
    assert (await small.commit()).exit_code == 0, "the run is still there"


@pytest.mark.parametrize("kind", ["gone", "changed"])
async def test_a_ledger_that_is_not_as_it_was_reported_commits_nothing(small, kind):
    """F132."""
    await report_all(small, 2)
    path = next(path for path in sorted(small.paths()) if path.endswith("scopes.parquet"))
    content = small.read(path)
    small.remove(path)
    if kind == "changed":
        small.write(path, content[:-9] + b"123456789")
    with pytest.raises(OutputError, match=r"scopes.parquet (can't be read|isn't)"):
        await small.commit()
    assert small.manifests() == []


async def test_a_report_of_another_run_commits_nothing(small):
    """F128, F132."""
    await report_all(small, 2)
    path = report_path(FOLDER, 1)
    value = msgspec.json.decode(small.read(path))
    small.remove(path)
    small.write(path, msgspec.json.encode({**value, "plan_sha256": "0" * 64}))
    with pytest.raises(OutputError, match=r"s00001.report.json is not a report of shard 1 of this run"):
        await small.commit()
    assert small.manifests() == []
    small.remove(plan_path(FOLDER))
    small.write(plan_path(FOLDER), b"{}")
    with pytest.raises(OutputError, match=r"plan"):
        await small.commit()
