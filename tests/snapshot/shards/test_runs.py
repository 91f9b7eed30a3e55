"""F116, F117: what the files of a run say about it, whatever they hold, and when they are removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from crawler.errors import OutputBusyError
from crawler.snapshot.bucket.notes import clean_up_others, put_note
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.destination import FolderDestination
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.layout import (
    JOIN_ROLE,
    PLAN_ROLE,
    attempt_folder,
    joined_path,
    lease_path,
    part_path,
    plan_path,
    report_path,
    run_folder,
    shard_role,
    staged,
)
from crawler.snapshot.limits import JOINED_BYTES, PLAN_BYTES
from crawler.snapshot.prune_plan import plan_prune
from crawler.snapshot.retention import KeepRules
from crawler.snapshot.shards.cleaning import clear_run
from crawler.snapshot.shards.lease import Lease, LeaseRecord
from crawler.snapshot.shards.runs import active_runs, find_run, find_runs, named_run, raise_if_busy
from crawler.snapshot.shards.store import FolderStore
from tests.support.run_places import FOLDER, KEY, joined, plan, put_plan
from tests.support.snapshot_fakes import NEW, OLD, SCHEMAS

OTHER = "another"
DAY_S = 86400.0


async def begin(place, role, *, host="a", figures=(), attempt=1, is_over=False):
    record = LeaseRecord(role, attempt, host, 12, "", is_over=is_over, figures=dict(figures))
    await place.store.put(lease_path(FOLDER, role, attempt), msgspec.json.encode(record))


async def test_output_without_runs_has_none(any_place):
    assert await find_runs(any_place.store, datetime.now(UTC)) == []
    assert await find_run(any_place.store, KEY, datetime.now(UTC)) is None
    await raise_if_busy(any_place.store)
    assert await any_place.store.list("_staging") == [], "and nothing was written to find that out"


async def test_state_of_a_run_is_that_of_its_files(place):
    store = place.store
    await begin(place, PLAN_ROLE, is_over=True)
    await put_plan(store, shard_count=5)
    await begin(place, shard_role(0), is_over=True)
    await store.create(report_path(FOLDER, 0), b"{}")
    await begin(place, shard_role(2), host="lost", attempt=1)
    place.pass_time(100)
    await begin(place, shard_role(1), host="b", attempt=2, figures={"rows": 7, "state": "x\x1b"})
    await begin(place, shard_role(3), attempt=1, is_over=True)
    place.pass_time(20)
    run = await find_run(store, KEY, place.now())
    assert (run.folder, run.key, run.snapshot_id, run.joined, run.problem) == (FOLDER, KEY, NEW, None, "")
    assert run.started_at == datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert [(shard.number, shard.status) for shard in run.shards] == [
        (0, "reported"), (1, "running"), (2, "lost"), (3, "lost"), (4, "missing"),
    ]  # fmt: skip
    last = run.shards[1].last
    assert (last.attempt, last.host, last.pid, last.is_alive) == (2, "b", 12, True)
    assert last.figures == {"rows": 7, "state": r"x\x1b"}
    assert last.age_s == pytest.approx(20, abs=8)
    assert run.shards[2].last.host == "lost"
    assert not run.planner.is_alive
    assert run.joiner is None
    assert await find_run(store, NEW, place.now()) is not None, "by the ID of its snapshot"
    assert await find_run(store, OLD, place.now()) is None


async def test_runs_are_listed_the_newest_first(place):
    await put_plan(place.store, OTHER, snapshot_id=OLD)
    await put_plan(place.store)
    assert [run.snapshot_id for run in await find_runs(place.store, place.now())] == [NEW, OLD]
    assert [run.key for run in await active_runs(place.store, place.now())] == [KEY, OTHER]


async def test_user_names_a_run_by_its_date_unless_a_key_is_that(place):
    store = place.store
    await put_plan(store)
    assert (await named_run(store, "2026-11-21", place.now())).snapshot_id == NEW
    assert await find_run(store, "2026-11-21", place.now()) is None, "a process that begins a run means its key alone"
    assert await named_run(store, "2026-11-22", place.now()) is None
    assert await named_run(store, "2026-11", place.now()) is None
    await put_plan(store, "2026-11-21", snapshot_id=OLD)
    assert (await named_run(store, "2026-11-21", place.now())).snapshot_id == OLD
    await store.create(joined_path(run_folder("2026-11-21")), joined())
    await clear_run(store, run_folder("2026-11-21"))
    assert (await named_run(store, NEW, place.now())).key == KEY


async def test_joined_run_leaves_its_note_alone(place):
    store = place.store
    await put_plan(store)
    await begin(place, shard_role(0))
    await store.create(report_path(FOLDER, 0), b"{}")
    await store.create(joined_path(FOLDER), joined())
    if place.root is not None:
        (place.root / attempt_folder(FOLDER, 0, 1) / "_staging").mkdir(parents=True)
        (place.root / attempt_folder(FOLDER, 0, 1) / "_staging/journal").touch()
    await clear_run(store, FOLDER)
    assert place.paths() == {joined_path(FOLDER)}
    run = await find_run(store, KEY, place.now())
    assert (run.joined.status, run.snapshot_id, run.shards) == ("complete", NEW, ())
    assert not run.is_at_work(place.now())
    await raise_if_busy(store)


GARBAGE = {
    "nothing": (b"", "can't be read: "),
    "no JSON": (b"\xff\x00", "can't be read: "),
    "another document": (b"[1]", "can't be read: "),
    "a deep document": (b"[" * 9999, "can't be read: "),
    "another run": (plan(OTHER, status="x"), "is of another run, of the key another"),
    "no snapshot": (plan(snapshot_id="../../x", status="x"), "it names no snapshot"),
    "no such day": (plan(snapshot_id="20261399T020000Z-7f3a", status="x"), "it names no snapshot"),
}


@pytest.mark.parametrize(("content", "reason"), GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("path", [plan_path(FOLDER), joined_path(FOLDER)])
async def test_garbage_in_a_document_is_a_sentence(place, path, content, reason):
    """F117"""
    place.write(path, content)
    [run] = await find_runs(place.store, place.now())
    assert run.problem.startswith(f"{path} ")
    assert reason in run.problem
    assert (run.key, run.shards, run.joined) == ("", (), None)
    with pytest.raises(OutputBusyError, match=f"the run of {FOLDER} is at work in the output, last"):
        await raise_if_busy(place.store)


@pytest.mark.parametrize("count", [0, 100_001])
async def test_number_of_shards_has_bounds(place, count):
    place.write(plan_path(FOLDER), plan(shard_count=count))
    [run] = await find_runs(place.store, place.now())
    assert "shard_count" in run.problem


@pytest.mark.parametrize(("path", "most"), [(plan_path(FOLDER), PLAN_BYTES), (joined_path(FOLDER), JOINED_BYTES)])
async def test_document_that_is_too_large_isnt_read(tmp_path, path, most):
    """F117: by the listing, and without a byte of it. The file has a size and no content."""
    (tmp_path / FOLDER).mkdir(parents=True)
    with (tmp_path / path).open("wb") as file:
        os.truncate(file.fileno(), most + 1)
    [run] = await find_runs(FolderStore(tmp_path), datetime.now(UTC))
    assert run.problem == f"{path} is larger than {most:,} bytes, which no run writes"


# --- one run at a time -------------------------------------------------------------------------------------------


async def test_another_run_is_refused_for_ten_minutes(place):
    await put_plan(place.store)
    place.pass_time(300)
    expected = rf"the run {KEY} \(snapshot {NEW}\) is at work in the output, last 30\d s ago; .* and wait 10 minutes$"
    for key in ("", OTHER):
        with pytest.raises(OutputBusyError, match=expected):
            await raise_if_busy(place.store, key)
    await raise_if_busy(place.store, KEY)
    place.pass_time(400)
    await raise_if_busy(place.store)
    await raise_if_busy(place.store, OTHER)


async def test_run_is_kept_at_work_by_its_leases(place):
    await put_plan(place.store)
    place.pass_time(5000)
    await raise_if_busy(place.store)
    await begin(place, shard_role(0))
    with pytest.raises(OutputBusyError):
        await raise_if_busy(place.store)


async def test_run_of_a_coordinator_is_in_nobodys_way_a_minute_after_its_last_lease(place):
    await put_plan(place.store, engine="dask")
    await raise_if_busy(place.store)
    await begin(place, shard_role(0))
    with pytest.raises(OutputBusyError, match=r"or stop it and wait a minute$"):
        await raise_if_busy(place.store)
    place.pass_time(61)
    await raise_if_busy(place.store)


async def test_planner_is_at_work_while_it_is_alive(place):
    clock = place.clock()
    lease = await Lease.acquire(place.store, FOLDER, PLAN_ROLE, clock, "the plan", boottime=clock.monotonic)
    with pytest.raises(OutputBusyError, match=f"the run of {FOLDER}"):
        await raise_if_busy(place.store, OTHER)
    await raise_if_busy(place.store, KEY)
    await lease.release()
    await raise_if_busy(place.store, OTHER)


async def test_run_that_was_refused_is_in_nobodys_way(place):
    """A process with another key that began, found the run and gave up leaves a lease that is over."""
    await put_plan(place.store)
    clock = place.clock()
    own = run_folder(OTHER)
    lease = await Lease.acquire(place.store, own, PLAN_ROLE, clock, "the plan", boottime=clock.monotonic)
    with pytest.raises(OutputBusyError):
        await raise_if_busy(place.store, OTHER)
    await raise_if_busy(place.store, KEY)
    await lease.release()
    await raise_if_busy(place.store, KEY)


async def test_of_two_that_begin_at_a_time_neither_misses_the_other(place):
    clock = place.clock()
    for key in (KEY, OTHER):
        await Lease.acquire(place.store, run_folder(key), PLAN_ROLE, clock, "the plan", boottime=clock.monotonic)
    for key in (KEY, OTHER):
        with pytest.raises(OutputBusyError):
            await raise_if_busy(place.store, key)


# --- cleaning ----------------------------------------------------------------------------------------------------


async def clean(place):
    """What the next crawl does at its start: of a folder it has its own idea of the time."""
    if place.root is None:
        return await clean_up_others(place.store, place.now())
    disk = place.open_disk(place.root, 0o077)
    disk.open_for_update = stamping(place, disk.open_for_update)
    destination = await FolderDestination.begin(place.root, "20301122T020000Z-0000", place.now(), disk=disk)
    await destination.abandon()
    return destination.recovered


def stamping(place, opened):
    """The lock's time is the file system's."""

    def open_for_update(path):
        fd = opened(path)
        os.utime(fd, (at := place.now().timestamp(), at))
        return fd

    return open_for_update


@pytest.fixture
def still_lock(monkeypatch):
    """The holder isn't written into the lock: that would give it the time of this machine's kernel."""
    monkeypatch.setattr("crawler.snapshot.folder.lock._note_holder", lambda fd, now: None)


def run_paths(place):
    return {path for path in place.paths() if "/run-" in path}


@pytest.mark.usefixtures("still_lock")
async def test_run_is_removed_a_day_after_its_newest_file(place):
    """F116: however old its plan is."""
    await put_plan(place.store)
    if place.root is not None:
        place.write(f"{attempt_folder(FOLDER, 0, 1)}/_staging/{NEW}/journal", b"x")
    place.pass_time(DAY_S - 3600)
    await begin(place, shard_role(0))
    place.pass_time(DAY_S - 3600)
    before = run_paths(place)
    await clean(place)
    assert run_paths(place) == before
    place.pass_time(2 * 3600)
    await clean(place)
    assert run_paths(place) == set()
    if place.root is not None:
        assert [path.name for path in (place.root / "_staging").iterdir()] == ["lock"]


@pytest.mark.usefixtures("still_lock")
async def test_joined_run_is_removed_a_day_after_its_join(place):
    """F116: a lease that came late doesn't keep it."""
    await place.store.create(joined_path(FOLDER), joined())
    place.pass_time(DAY_S - 3600)
    await begin(place, shard_role(0))
    await clean(place)
    assert run_paths(place) == {joined_path(FOLDER), lease_path(FOLDER, shard_role(0), 1)}
    place.pass_time(2 * 3600)
    await clean(place)
    assert run_paths(place) == set()


@pytest.mark.usefixtures("still_lock")
@pytest.mark.parametrize("content", [plan(), b"\x00"], ids=["readable", "garbage"])
async def test_files_of_a_snapshot_stay_while_its_run_goes_on(place, content):
    """F116: its note, its parts or its staged files are older than a day, and nothing is committed yet."""
    part = part_path("fc_functions", NEW, 0, "00000001")
    place.write(plan_path(FOLDER), content)
    if place.root is None:
        await put_note(place.store, NEW, sorted(SCHEMAS))
        place.write(part, b"rows")
        own = {part, staged(NEW)}
    else:
        own = {staged(NEW, part)}
        place.write(staged(NEW, part), b"rows")
    place.pass_time(2 * DAY_S)
    await begin(place, shard_role(0))
    await clean(place)
    assert own <= place.paths()
    place.pass_time(2 * DAY_S)
    await clean(place)
    assert not own & place.paths()
    assert run_paths(place) == set()


@pytest.mark.usefixtures("still_lock")
async def test_files_of_other_snapshots_dont_stay_with_it(place):
    await put_plan(place.store)
    if place.root is None:
        await put_note(place.store, OLD, sorted(SCHEMAS))
    else:
        place.write(staged(OLD, "x"), b"rows")
    place.pass_time(2 * DAY_S)
    await begin(place, shard_role(0))
    await clean(place)
    assert not [path for path in place.paths() if OLD in path]
    assert run_paths(place)


async def test_prune_leaves_a_run_that_goes_on_and_removes_it_later(tmp_path):
    """F116: `staged` has an old ID; its run was active a moment ago."""
    (tmp_path / staged(OLD)).mkdir(parents=True)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / plan_path(FOLDER)).write_bytes(plan(snapshot_id=OLD))
    now = datetime.now(UTC)
    assert plan_prune(tmp_path, KeepRules(last=1), now).unfinished == []
    assert prune(tmp_path, KeepRules(last=1), now).unfinished == []
    assert (tmp_path / staged(OLD)).is_dir()
    long_ago = (now - timedelta(days=2)).timestamp()
    os.utime(tmp_path / plan_path(FOLDER), (long_ago, long_ago))
    assert plan_prune(tmp_path, KeepRules(last=1), now).unfinished == [OLD]
    assert prune(tmp_path, KeepRules(last=1), now).unfinished == [OLD]
    assert [path.name for path in (tmp_path / "_staging").iterdir()] == ["lock"]


async def test_empty_folder_of_a_run_is_removed_a_day_later(tmp_path):
    """Its process was killed before it wrote a file; a temporary one beside it, too."""
    (tmp_path / FOLDER).mkdir(parents=True)
    fresh = tmp_path / "_staging/new-0123456789abcdef"
    fresh.touch()
    prune(tmp_path, KeepRules(last=1), datetime.now(UTC))
    assert (tmp_path / FOLDER).is_dir()
    for path in (tmp_path / FOLDER, fresh):
        os.utime(path, (1, 1))
    prune(tmp_path, KeepRules(last=1), datetime.now(UTC))
    assert [path.name for path in (tmp_path / "_staging").iterdir()] == ["lock"]


async def test_time_of_a_crawl_doesnt_decide_about_a_run_in_a_folder(tmp_path):
    """A crawl has the service's time, and the files that of this machine, which may be days off."""
    await put_plan_in(tmp_path)
    disk = Disk(tmp_path)
    destination = await FolderDestination.begin(
        tmp_path, "20301122T020000Z-0000", datetime.now(UTC) + timedelta(days=9), disk=disk
    )
    await destination.abandon()
    assert (tmp_path / plan_path(FOLDER)).is_file()


async def put_plan_in(root):
    (root / FOLDER).mkdir(parents=True)
    (root / plan_path(FOLDER)).write_bytes(plan())


@pytest.mark.parametrize("any_place", ["s3", "oss", "server"], indirect=True)
async def test_bucket_keeps_a_run_and_removes_it(any_place):
    store, now = any_place.store, datetime.now(UTC)
    await put_plan(store)
    await store.create(lease_path(FOLDER, JOIN_ROLE, 1), b"{}")
    await put_note(store, NEW, sorted(SCHEMAS))
    part = part_path("fc_functions", NEW, 0, "00000001")
    await store.put(part, b"rows")
    await clean_up_others(store, now + timedelta(hours=23))
    assert len(await store.list(FOLDER)) == 2
    await clean_up_others(store, now + timedelta(hours=25))
    assert await store.list(FOLDER) == []
    assert await store.read(part) is None
