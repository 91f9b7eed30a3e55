"""F113: the files of a run appear once and whole, in a folder and in buckets, whoever writes them and dies at it."""

from __future__ import annotations

import errno
import os
import random
import stat
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from crawler.errors import OutputError
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import (
    MOST_ATTEMPTS,
    MOST_SHARDS,
    attempt_digits,
    attempt_folder,
    attempt_ledger_path,
    is_part_path,
    is_run_folder,
    joined_path,
    lease_in_name,
    lease_path,
    part_path,
    plan_path,
    report_in_name,
    report_path,
    run_folder,
    run_folder_of,
    shard_in_role,
    shard_role,
)
from crawler.snapshot.shards.store import FolderStore, list_with_time
from tests.support.model_disk import CUTS, RecordingDisk, choices, fill_in, losses, replay
from tests.support.odd_files import ODD, ends_within, put
from tests.support.run_places import FOLDER
from tests.support.snapshot_fakes import NEW, Crash, FaultyDisk

PATH = report_path(FOLDER, 7)


async def test_file_is_created_once_and_put_again(any_place):
    store = any_place.store
    assert await store.read(PATH) is None
    assert await store.create(PATH, b"1")
    assert await store.create(PATH, b"1"), "our own, once more: an answer may have been lost"
    assert not await store.create(PATH, b"2")
    assert (await store.read(PATH)).data == b"1"
    await store.put(PATH, b"22")
    await store.put(PATH, b"333")
    assert (await store.read(PATH)).data == b"333"
    assert not await store.create(PATH, b"1")
    await store.delete([PATH, f"{FOLDER}/nothing", "_staging/run-0000000000000000/nothing"])
    assert await store.read(PATH) is None
    assert await store.list(FOLDER) == []


async def test_listing_has_the_files_of_a_folder_with_their_sizes_and_times(any_place):
    store, before = any_place.store, datetime.now(UTC) - timedelta(seconds=2)
    assert await store.list(FOLDER) == []
    assert (await store.list_here("_staging")).folders == []
    other = run_folder("other")
    await store.put(plan_path(FOLDER), b"plan")
    await store.put(PATH, b"report")
    await store.put(plan_path(other), b"x")
    found = await store.list(FOLDER)
    assert [(entry.path, entry.bytes) for entry in found] == [(plan_path(FOLDER), 4), (PATH, 6)]
    assert all(before < entry.modified_at <= datetime.now(UTC) + timedelta(seconds=1) for entry in found)
    assert (await store.list_here("_staging")).folders == sorted(path.rpartition("/")[2] for path in (FOLDER, other))


async def test_time_is_the_stores(any_place):
    await any_place.store.put(PATH, b"report")
    found, now = await list_with_time(any_place.store, FOLDER)
    assert [entry.path for entry in found] == [PATH]
    assert timedelta(0) <= now - found[0].modified_at < timedelta(seconds=30)
    assert [entry.path for entry in await any_place.store.list(FOLDER)] == [PATH], "nothing is left of it"


async def test_file_that_is_too_large_is_an_error(any_place):
    await any_place.store.put(PATH, bytes(11))
    assert (await any_place.store.read(PATH, 11)).data == bytes(11)
    with pytest.raises(OutputError, match=r"larger than 10 bytes"):
        await any_place.store.read(PATH, 10)


async def test_of_many_that_create_a_file_at_once_one_has_created_it(any_place):
    created = []

    async def contend(number):
        if await any_place.store.create(PATH, b"%d" % number):
            created.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(contend, number)
    [winner] = created
    assert (await any_place.store.read(PATH)).data == b"%d" % winner
    assert [entry.path for entry in await any_place.store.list("_staging")] in ([], [PATH])


# --- folders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "modes"), [(0o077, (0o600, 0o700)), (0o027, (0o640, 0o750))])
async def test_files_and_folders_have_the_modes_of_the_umask(tmp_path, umask, modes):
    """F73, whatever the process's umask."""
    store, before = FolderStore(tmp_path, umask), os.umask(0o177)
    try:
        await store.create(PATH, b"1")
        await store.put(plan_path(FOLDER), b"1")
    finally:
        os.umask(before)
    found = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.rglob("*")}
    assert found == {(False, modes[0]), (True, modes[1])}


def store_with(root, **fault):
    disks = []

    def open_disk(root, umask):
        disks.append(FaultyDisk(root, **fault))
        return disks[-1]

    return FolderStore(root, open_disk=open_disk), disks


async def steps_of(tmp_path, action):
    (tmp_path / "count").mkdir()
    store, disks = store_with(tmp_path / "count")
    await action(store)
    return disks[-1].steps


@pytest.mark.parametrize("action", ["create", "put"])
async def test_process_that_dies_at_any_step_leaves_the_whole_file_or_none(tmp_path, action):
    steps = await steps_of(tmp_path, lambda store: getattr(store, action)(PATH, b"content"))
    found = set()
    for number in range(1, len(steps) + 1):
        root = tmp_path / str(number)
        root.mkdir()
        store, _ = store_with(root, crash_at=number)
        with pytest.raises(Crash):
            await getattr(store, action)(PATH, b"content")
        left = await FolderStore(root).read(PATH)
        assert left is None or left.data == b"content", steps[number - 1]
        found.add(left is not None)
        assert await FolderStore(root).create(PATH, b"other") == (left is None), "the next process goes on"
    assert found == {True, False}


@pytest.mark.parametrize("action", ["create", "put"])
async def test_disk_that_fails_at_any_step_is_an_output_error_and_leaves_no_temporary_file(tmp_path, action):
    steps = await steps_of(tmp_path, lambda store: getattr(store, action)(PATH, b"content"))
    for number, step in enumerate(steps, 1):
        root = tmp_path / str(number)
        root.mkdir()
        store, _ = store_with(root, fail_at=number, errno=errno.EIO)
        if step.startswith("unlink"):
            await getattr(store, action)(PATH, b"content")  # the file is there; a temporary one goes with its run
            continue
        with pytest.raises(OutputError, match="Input/output error"):
            await getattr(store, action)(PATH, b"content")
        assert {path.name for path in root.rglob("*") if path.is_file()} <= {PATH.rpartition("/")[2]}, step


@pytest.mark.parametrize(("stride", "at_most"), [(1, 12), pytest.param(1, 200, marks=pytest.mark.trust)])
async def test_file_that_was_created_survives_a_power_loss_and_is_never_half(tmp_path, stride, at_most):
    root, base = tmp_path / "out", tmp_path / "base"
    root.mkdir()
    base.mkdir()
    disks = []

    def open_disk(root, umask):
        disks.append(RecordingDisk(root))
        return disks[-1]

    assert await FolderStore(root, open_disk=open_disk).create(PATH, b"content" * 100)
    [disk] = disks
    fill_in(disk.records)
    dice, found = random.Random(0), set()
    for number, loss in enumerate(losses(disk.records)):
        is_done = number == len(disk.records)
        for turn, lost in enumerate(choices(loss, dice, at_most)):
            trial = replay(base, tmp_path / "trial", loss, lost, CUTS[turn % len(CUTS)])
            left = await FolderStore(trial).read(PATH)
            assert left is None or left.data == b"content" * 100, (number, lost)
            assert left is not None or not is_done, lost
            found.add(left is not None)
    assert found == {True, False}


@pytest.mark.parametrize("kind", ODD)
async def test_odd_file_in_the_place_of_one_ends_with_a_sentence(tmp_path, kind):
    """F72"""
    store = FolderStore(tmp_path)
    await store.put(plan_path(FOLDER), b"1")
    put(tmp_path / PATH, kind)
    with ends_within(10):
        for action in (store.read(PATH), store.create(PATH, b"1")):
            with pytest.raises(OutputError, match=r"report\.json.*(not a regular file|links are not followed)"):
                await action
        assert [entry.path for entry in await store.list(FOLDER)] == [plan_path(FOLDER)]


async def test_link_in_the_place_of_a_runs_folder_leads_nowhere(tmp_path):
    (tmp_path / "_staging").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / FOLDER).symlink_to(tmp_path / "elsewhere")
    store = FolderStore(tmp_path)
    for action in (store.put(PATH, b"1"), store.create(PATH, b"1"), store.read(PATH), store.list(FOLDER)):
        with pytest.raises(OutputError):
            await action
    assert (await store.list_here("_staging")).folders == []
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_reading_needs_no_right_to_write(tmp_path):
    await FolderStore(tmp_path).put(PATH, b"1")
    store = FolderStore(tmp_path, open_disk=lambda root, umask: pytest.fail("opened to write"))
    assert (await store.read(PATH)).data == b"1"
    assert [entry.path for entry in await store.list(FOLDER)] == [PATH]
    assert (await FolderStore(tmp_path / "missing").list_here("_staging")).folders == []


async def test_time_that_no_calendar_has_is_long_ago(tmp_path):
    await FolderStore(tmp_path).put(PATH, b"1")
    os.utime(tmp_path / PATH, (1 << 40, 1 << 40))
    [entry] = await FolderStore(tmp_path).list(FOLDER)
    assert entry.modified_at.year in (1970, 2446), "file systems have their own bounds"


async def test_link_is_made_once(tmp_path):
    disk = Disk(tmp_path)
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    assert not disk.link("a", "b")
    assert disk.link("a", "c")
    assert ((tmp_path / "b").read_bytes(), (tmp_path / "c").read_bytes()) == (b"b", b"a")
    with pytest.raises(OutputError, match="can't link missing to d"):
        disk.link("missing", "d")
    disk.close_root()


# --- names -------------------------------------------------------------------------------------------------------


def test_names_of_a_runs_files():
    assert run_folder("a") == "_staging/run-ca978112ca1bbdca", "half of what `printf a | sha256sum` shows"
    assert run_folder("a key/with ../ anything\n") != run_folder("another")
    assert run_folder("not UTF-8: \udcff") != run_folder("not UTF-8: \udcfe")
    assert is_run_folder(FOLDER.removeprefix("_staging/"))
    assert not any(map(is_run_folder, ("run-", "run-xyz", "run-00000000000000000", NEW, "prune-" + NEW, "")))
    assert lease_path(FOLDER, shard_role(7), 1) == f"{FOLDER}/s00007-a001.lease"
    assert lease_path(FOLDER, "plan", 4095) == f"{FOLDER}/plan-a4095.lease"
    assert report_path(FOLDER, 7) == f"{FOLDER}/s00007.report.json"
    assert attempt_folder(FOLDER, 7, 1) == f"{FOLDER}/s00007-a001"
    assert attempt_ledger_path(FOLDER, 7, 1) == f"{FOLDER}/s00007-a001.scopes.parquet"
    assert joined_path(FOLDER) == f"{FOLDER}/joined.json"
    assert [run_folder_of(path) for path in (PATH, FOLDER, f"_staging/{NEW}", "_staging/turns/x", "x", "")] == [
        FOLDER, "", "", "", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(("role", "attempt"), [("plan", 1), ("join", 12), ("s00000", 999), ("s99999", 1000)])
def test_role_and_attempt_are_found_in_a_leases_name(role, attempt):
    assert lease_in_name(lease_path(FOLDER, role, attempt).rpartition("/")[2]) == (role, attempt)


@pytest.mark.parametrize(
    "name",
    ["s7-a001.lease", "s00007-a1.lease", "s00007-a000.lease", "s00007-a0001.lease", "s00007-a9999.lease",
     "other-a001.lease", "s00007.report.json", "s00007-a001", "plan.json", "s00007-a001.lease.new", ""],
)  # fmt: skip
def test_other_names_are_no_lease(name):
    assert lease_in_name(name) is None


def test_shard_is_found_in_its_names():
    assert (report_in_name("s00012.report.json"), report_in_name("s1.report.json"), report_in_name("plan.json")) == (
        12, -1, -1,
    )  # fmt: skip
    assert [shard_in_role(role) for role in ("s00012", "plan", "join")] == [12, -1, -1]


def test_names_of_parts_have_the_shard_and_the_attempt():
    path = part_path("fc_functions", NEW, 0, attempt_digits(7, 1))
    assert path.endswith("/part-00000-00007001.parquet")
    assert is_part_path(path, "fc_functions", NEW)
    last = part_path("fc_functions", NEW, 3, attempt_digits(MOST_SHARDS - 1, MOST_ATTEMPTS))
    assert is_part_path(last, "fc_functions", NEW)


@pytest.mark.parametrize("make", [
    lambda: shard_role(MOST_SHARDS), lambda: shard_role(-1), lambda: report_path(FOLDER, 100_000),
    lambda: lease_path(FOLDER, "plan", 0), lambda: lease_path(FOLDER, "plan", MOST_ATTEMPTS + 1),
    lambda: lease_path(FOLDER, "../x", 1), lambda: attempt_digits(0, 0), lambda: attempt_digits(MOST_SHARDS, 1),
])  # fmt: skip
def test_numbers_and_roles_out_of_bounds_are_refused(make):
    with pytest.raises(OutputError):
        make()
