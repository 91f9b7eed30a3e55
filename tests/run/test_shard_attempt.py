"""P30, P31, F129, F136: one report of a shard counts, and an attempt whose lease is lost asks for nothing more."""

from __future__ import annotations

import json

import anyio
import msgspec
import pytest

from crawler.clock import SystemClock
from crawler.emulator import Body, Deny, Throttle
from crawler.errors import ConfigError, ExitCode, LeaseHeldError, LeaseLostError
from crawler.run.progress import CrawlMonitor
from crawler.run.shard_attempt import Run, crawl_shard
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import plan_path, report_path, run_folder, shard_role
from crawler.snapshot.shards.attempts import Attempt, delivered_path
from crawler.snapshot.shards.lease import Lease, end_lease, newest_leases, read_lease
from tests.support.bucket_sites import impatient  # noqa: F401 - a fixture
from tests.support.crawl_runner import BIG, fast_cloud, scope_statuses
from tests.support.shared_crawls import KEY, many_accounts, shared_output

FOLDER = run_folder(KEY)
REGIONS = [
    {"RegionId": "cn-hangzhou", "RegionEndpoint": "fcv3.cn-hangzhou.aliyuncs.com"},
    {"RegionId": "na-south-1", "RegionEndpoint": "http://NA-SOUTH-1.fc.aliyuncs.com/"},
    {"RegionId": "eu-west-9", "RegionEndpoint": "evil.example"},
]
ONE_AT_A_TIME = {"concurrency": 1}


@pytest.fixture(params=["folder", "s3", "oss"])
async def output(request, tmp_path):
    async with shared_output(request.param, tmp_path, many_accounts(4, 2)) as found:
        yield found


@pytest.fixture
async def folder(tmp_path):
    async with shared_output("folder", tmp_path, many_accounts(4, 2)) as found:
        yield found


@pytest.fixture
def leases(monkeypatch):
    """The leases that are acquired, in order."""
    acquire, found = Lease.acquire.__func__, []

    async def noted(cls, *arguments, **more):
        found.append(await acquire(cls, *arguments, **more))
        return found[-1]

    monkeypatch.setattr(Lease, "acquire", classmethod(noted))
    return found


async def planned(output, total=2, config=None):
    """A run whose plan is written, and no more: its planner was stopped then."""
    await output.some_shards([0], total, config=config)
    output.remove(report_path(FOLDER, 0))
    output.cloud.cloud.requests.clear()
    files = output.files()
    return Run(await files.plan(), files, output.bucket)


def on_request(output, action, number, do):
    """Call a function when the n-th request of an action arrives."""
    requests = output.cloud.cloud.requests
    add, seen = requests.add, []

    def noted(entry):
        add(entry)
        if entry.action == action:
            seen.append(entry)
            if len(seen) == number:
                do()

    requests.add = noted


async def report_of(output, run, shard):
    return await output.files().report(run.plan, shard)


# --- one report ----------------------------------------------------------------------------------------------------


async def test_a_shard_is_reported_once_with_what_it_came_to(output):
    run = await planned(output)
    monitor = CrawlMonitor()
    assert await crawl_shard(output.prepared(), run, 1, monitor)
    report = await report_of(output, run, 1)
    requests = output.cloud.cloud.requests
    assert (report.shard, report.attempt, report.resumed_scopes) == (1, monitor.attempt, 0) == (1, 1, 0)
    assert report.requests == requests.count()
    assert report.overhead == {"sts": 2, "regions": 0, "directory": 0}
    assert report.ledger.rows == monitor.progress.scopes_done == 8
    assert sum(file.rows for found in report.files.values() for file in found) == monitor.progress.rows > 0
    assert report.seconds > 0
    assert report.host
    before = requests.count()
    assert not await crawl_shard(output.prepared(), run, 1, CrawlMonitor())
    assert requests.count() == before
    assert await report_of(output, run, 1) == report


async def test_only_accounts_of_the_shard_are_asked_for(output):
    run = await planned(output)
    await crawl_shard(output.prepared(), run, 1, CrawlMonitor())
    own = {account.id for account, _, _ in run.plan.targets(1)}
    assert {entry.account for entry in output.cloud.cloud.requests.entries} == own
    assert len(own) == 2


async def test_the_lease_is_given_back_with_the_last_figures(output):
    run = await planned(output)
    await crawl_shard(output.prepared(), run, 1, CrawlMonitor())
    role = shard_role(1)
    lease = await read_lease(output.store, role, *newest_leases(await output.store.list(FOLDER))[role])
    assert lease.is_over


async def test_a_shard_that_another_process_has_is_left_to_it(output, leases):
    run = await planned(output)
    held = await Lease.acquire(output.store, FOLDER, shard_role(1), SystemClock(), "shard 1 of 2")

    class Renewing(SystemClock):
        async def sleep(self, duration_s):
            if duration_s == 5.0:
                await held._renew({})
            else:
                await super().sleep(duration_s)

    output.clock = Renewing()
    with pytest.raises(LeaseHeldError, match="shard 1 of 2 is in the hands of process") as told:
        await crawl_shard(output.prepared(), run, 1, CrawlMonitor())
    assert told.value.exit_code == ExitCode.OUTPUT_BUSY
    assert output.cloud.cloud.requests.count() == 0


async def test_the_report_of_the_second_attempt_does_not_count(output, monkeypatch):
    """P30. Its machine stood still with all its clocks, so that it doesn't know that another attempt has reported."""
    run = await planned(output)
    create = type(run.files).create_report

    async def late(files, report):
        if report.attempt == 1:
            await end_lease(output.store, FOLDER, shard_role(1))
            assert await crawl_shard(output.prepared(), run, 1, CrawlMonitor())
        return await create(files, report)

    monkeypatch.setattr(type(run.files), "create_report", late)
    assert not await crawl_shard(output.prepared(), run, 1, CrawlMonitor())
    report = await report_of(output, run, 1)
    assert report.attempt == 2
    if output.uri:
        assert not [path for path in output.paths() if "-00001001" in path], "it has removed what it had sent"
    monkeypatch.undo()
    assert (await output.shard(0, 2)).joined.exit_code == 0
    [snapshot_id] = output.manifests()
    one = (await output.crawl()).manifest
    manifest = output.manifest(snapshot_id)
    assert output.rows(manifest) == output.rows(one)
    assert [(entry.number, entry.attempts) for entry in manifest.shards] == [(0, 2), (1, 2)]


async def test_all_that_a_report_names_is_durable_before_it_is_there(folder, monkeypatch):
    """P2, P30: after a power loss, a shard with a report has its files."""
    run = await planned(folder)
    steps = []

    def noting(name):
        method = getattr(Disk, name)

        def step(disk, path, *more):
            found = method(disk, path, *more)
            steps.append((name, str(disk.root / (more[0] if name in ("rename", "link") else path))))
            return found

        monkeypatch.setattr(Disk, name, step)

    for name in ("make_folder", "rename", "link", "fsync_folder"):
        noting(name)
    assert await crawl_shard(folder.prepared(), run, 1, CrawlMonitor())
    monkeypatch.undo()
    report = await report_of(folder, run, 1)
    created = steps.index(("link", str(folder.root / report_path(FOLDER, 1))))
    attempt = Attempt(FOLDER, 1, 1, run.plan.snapshot_id, run.plan.started_at)
    files = [file.path for found in report.files.values() for file in found]
    assert len(files) == 2
    for path in (*files, report.ledger.path):
        place = folder.root / delivered_path(attempt, path)
        kind = "rename"
        while place != folder.root / FOLDER:
            made = steps.index((kind, str(place)))
            flushed = [n for n, step in enumerate(steps) if step == ("fsync_folder", str(place.parent))]
            assert any(made < n < created for n in flushed), place
            kind, place = "make_folder", place.parent


# --- the lease -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["GetCallerIdentity", "ListFunctions", "ListLayers"])
async def test_once_the_lease_is_lost_nothing_more_is_asked_for_or_written(output, leases, action):
    """P31, F136. The process was stopped for a minute in the middle, and another one has its shard."""
    config = output.config(**ONE_AT_A_TIME)
    run = await planned(output, config=config)
    files = []

    def lose():
        leases[-1]._valid_until = -1.0
        files.append(output.paths())

    on_request(output, action, 1, lose)
    with pytest.raises(LeaseLostError, match=r"the lease of shard 1 of 2 \(attempt 1\) is lost") as told:
        await crawl_shard(output.prepared(config), run, 1, CrawlMonitor())
    assert told.value.exit_code == ExitCode.OUTPUT_BUSY
    entries = output.cloud.cloud.requests.entries
    assert [entry.action for entry in entries].index(action) == len(entries) - 1, "it was the last request"
    assert await report_of(output, run, 1) is None
    if output.uri:
        assert output.paths() <= files[0]
    await end_lease(output.store, FOLDER, shard_role(1))
    assert await crawl_shard(output.prepared(config), run, 1, CrawlMonitor())
    assert (await output.shard(0, 2, config=config)).joined.exit_code == 0


async def test_a_lease_that_is_lost_before_the_report_leaves_none(output, leases):
    """P31."""
    run = await planned(output)
    prepared = output.prepared()
    on_request(output, "ListLayers", 4, lambda: setattr(leases[-1], "_valid_until", -1.0))
    with pytest.raises(LeaseLostError):
        await crawl_shard(prepared, run, 1, CrawlMonitor())
    assert await report_of(output, run, 1) is None
    assert not [path for path in output.paths() if path.endswith("/s00001.report.json")]


async def test_the_next_attempt_asks_for_nothing_whole_again(folder):
    """P3, F129: a local output has a journal for each attempt."""
    config = folder.config(**ONE_AT_A_TIME)
    run = await planned(folder, config=config)
    monitor = CrawlMonitor()
    async with anyio.create_task_group() as tasks:

        async def crawl():
            await crawl_shard(folder.prepared(config), run, 1, monitor)
            pytest.fail("it ended before it could be stopped")

        on_request(folder, "ListLayers", 3, tasks.cancel_scope.cancel)
        tasks.start_soon(crawl)
    await end_lease(folder.store, FOLDER, shard_role(1))
    lists = ("ListFunctions", "ListLayers")
    before = [entry for entry in folder.cloud.cloud.requests.entries if entry.action in lists]
    folder.cloud.cloud.requests.clear()
    assert await crawl_shard(folder.prepared(config), run, 1, CrawlMonitor())
    report = await report_of(folder, run, 1)
    assert report.attempt == 2
    assert report.resumed_scopes > 0
    after = [entry for entry in folder.cloud.cloud.requests.entries if entry.action in lists]
    assert len(after) == 8 - report.resumed_scopes
    assert len(before) + len(after) <= 9, "but for the one that was under way"
    result = (await folder.shard(0, 2, config=config)).joined
    assert result.resumed_scopes >= report.resumed_scopes
    assert folder.rows(result.manifest) == folder.rows((await folder.crawl()).manifest)


# --- what a shard comes to ---------------------------------------------------------------------------------------


async def test_accounts_that_are_refused_are_rows_of_the_ledger(output):
    def wrong(text):
        return text.replace("{EMULATOR_KEY_SECRET_2}", "{EMULATOR_KEY_SECRET_3}")

    config = output.config(change=wrong)
    one = (await output.crawl(config)).manifest
    result = await output.shards(4, config=config)
    assert result.exit_code == ExitCode.PARTIAL
    assert set(scope_statuses(result).values()) == {"failed"}
    assert {account for account, _, _ in scope_statuses(result)} == {"1000000000000002"}
    assert output.ledger(result.manifest) == output.ledger(one)


async def test_lists_that_are_denied_or_fail_are_rows_of_the_ledger(output):
    faults = output.cloud.cloud.faults
    faults.add(Deny(), account="1000000000000001", action="ListLayers")
    faults.add(Throttle(retry_after_ms=1), account="1000000000000002", action="ListFunctions", times=2)
    result = await output.shards(2)
    assert result.exit_code == ExitCode.PARTIAL
    assert set(scope_statuses(result).values()) == {"denied"}
    assert (result.requests.throttled, result.requests.retries) == (2, 2)


async def test_after_the_deadline_of_the_plan_scopes_are_not_attempted(output):
    config = output.config(deadline=3600)
    run = await planned(output, config=config)
    value = msgspec.json.decode(output.read(plan_path(FOLDER)))
    past = {**value, "deadline_at": value["started_at"]}
    output.remove(plan_path(FOLDER))
    output.write(plan_path(FOLDER), msgspec.json.encode(past))
    run = Run(await output.files().plan(), output.files(), output.bucket)
    assert await crawl_shard(output.prepared(config), run, 1, CrawlMonitor())
    assert output.cloud.cloud.requests.count(action="ListFunctions") == 0
    result = (await output.shard(0, 2, config=config)).joined
    assert result is not None
    own = {(account.id, region, table) for account, region, tables in run.plan.targets(1) for table in tables}
    statuses = scope_statuses(result)
    assert {scope for scope in statuses if scope in own} == own
    assert set(statuses.values()) == {"not_attempted"}


async def test_a_shard_without_accounts_reports_at_once(output):
    run = await planned(output, total=6)
    assert run.plan.shards[5] == []
    assert await crawl_shard(output.prepared(), run, 5, CrawlMonitor())
    assert output.cloud.cloud.requests.count() == 0
    report = await report_of(output, run, 5)
    assert (report.files, report.ledger.rows, report.requests) == ({}, 0, 0)


async def test_an_account_that_the_configuration_lacks_is_named(folder):
    run = await planned(folder)
    named = [account.id for account, _, _ in run.plan.targets(1)]
    config = folder.config().with_overrides(
        accounts=("1000000000000001",) if named[0][-1] != "1" else ("1000000000000002",)
    )
    with pytest.raises(ConfigError, match=r"the run's plan has account \d+, which this process's configuration lacks"):
        await crawl_shard(folder.prepared(config), run, 1, CrawlMonitor())
    assert folder.cloud.cloud.requests.count() == 0


async def test_hosts_that_the_planner_was_told_are_used_by_all(tmp_path):
    """F93: a shard doesn't ask for the regions again."""
    asked = []

    async def refuse(stream):
        async with stream:
            asked.append((await stream.receive()).split(b"\r\n")[0].decode().split()[1])
            await stream.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    cloud = fast_cloud(accounts=(BIG,), regions=("cn-hangzhou",))
    cloud.faults.add(Body(body=json.dumps({"Regions": {"Region": REGIONS}}).encode()), action="DescribeRegions")
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, shared_output("folder", tmp_path, cloud) as output, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, refuse)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        proxy = f'\n[network]\nproxy = "http://127.0.0.1:{port}"\n[retry]\nmax_attempts = 1\n'
        config = output.config(proxy, tables='["fc_functions"]', regions='"all"')
        result = await output.shards(2, config=config)
        tasks.cancel_scope.cancel()
    assert sorted(asked) == ["fcv3.eu-west-9.aliyuncs.com:443", "na-south-1.fc.aliyuncs.com:443"]
    assert cloud.requests.count(action="DescribeRegions") == 1
    assert any("isn't used for eu-west-9" in warning for warning in result.warnings)
