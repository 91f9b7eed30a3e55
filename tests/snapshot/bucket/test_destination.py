"""Outputs in buckets: whole commits (P1), disjoint crawls (F52), lost answers (F53), nothing left behind (F57, F58)."""

from __future__ import annotations

import asyncio
import os
import random
import re
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot import (
    BucketDestination,
    ObjectStore,
    SnapshotWriter,
    Status,
    UnfinishedCommitError,
    check_bucket,
    list_snapshots,
    parts,
    read_ledger,
    read_manifest,
)
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.latest import advance_latest
from crawler.snapshot.layout import LOCK, manifest_path, part_path, staged
from crawler.snapshot.object_store import UncertainError
from tests.support.bucket_sites import Site, assert_whole, without_attempt
from tests.support.object_stores import KEY_ID, KEY_SECRET
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    SCHEMAS,
    START,
    draft,
    ledger_row,
    write_names,
    write_scopes,
    write_snapshot,
)

MANIFEST = f"_snapshots/{NEW}.json"


async def test_snapshot_in_a_bucket_has_the_same_files_and_rows_as_a_local_one(site, tmp_path):
    local = await write_snapshot(tmp_path / "local", part_bytes=1)
    remote = await site.write()
    assert without_attempt(manifests.encode(remote).decode()) == manifests.encode(local).decode()
    names = [str(path.relative_to(tmp_path / "local")) for path in (tmp_path / "local").rglob("*") if path.is_file()]
    assert [without_attempt(key) for key in await site.keys()] == sorted({*names} - {"_staging/lock"})
    await assert_whole(site)


async def test_reader_goes_by_the_manifest_in_a_bucket(site):
    await site.write(OLD)
    manifest = await site.write()
    summaries = await site.read(list_snapshots)
    assert [(entry.snapshot_id, entry.is_latest, entry.rows, entry.error) for entry in summaries] == [
        (NEW, True, 3, ""),
        (OLD, False, 3, ""),
    ]
    assert await site.read(read_manifest, "latest") == manifest
    assert [row.rows for row in await site.read(read_ledger, manifest)] == [2, 1, 0]
    with pytest.raises(OutputError, match=f"{site.uri} has no snapshot 20200101T000000Z-0000"):
        await site.read(read_manifest, "20200101T000000Z-0000")


async def test_latest_stays_on_the_last_complete_snapshot_and_never_goes_back(site):
    """P4, F40"""
    await site.write()
    await site.write(OLD)
    assert await site.latest() == NEW
    partial = "20261122T020000Z-0000"
    manifest = await site.write(partial, extra_rows=[ledger_row("fc_functions", "9", status=Status.FAILED)])
    assert manifest.status == "partial"
    assert await site.latest() == NEW


async def test_the_names_of_parts_have_the_attempt_of_their_crawl(site):
    """F52: also that of a table without rows. Two crawls never write an object of the same name."""
    attempts = []
    for snapshot_id in (OLD, NEW):
        manifest = await site.write(snapshot_id)
        files = [file.path for entry in manifest.tables.values() for file in entry.files]
        assert [path.rpartition("/")[2][:11] for path in files] == ["part-00000-", "part-00001-", "part-00000-"]
        [attempt] = {re.fullmatch(r".*/part-[0-9]{5}-([0-9a-f]{8})\.parquet", path)[1] for path in files}
        attempts.append(attempt)
    assert attempts[0] != attempts[1]


async def test_late_request_of_a_crawl_that_was_given_up_changes_no_committed_file(site):
    """F52, F58: a store may carry out a PUT long after its sender is gone. The other crawl has the same ID here."""
    given_up = await site.begin()
    await write_scopes(given_up, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["other", "rows"]})
    bucket = site.bucket()
    late = {entry.path: (await bucket.read(entry.path)).data for entry in await bucket.list("fc_functions")}
    assert late
    await given_up.abandon()
    manifest = await site.write()
    for path, data in late.items():
        await bucket.put(path, data)
    assert await assert_whole(site) == manifest


async def test_pointer_to_a_snapshot_that_is_gone_is_moved_all_the_same(site):
    await site.bucket().put("_snapshots/LATEST", b"20991231T000000Z-ffff\n")
    await site.write()
    assert await site.latest() == NEW


async def test_bucket_passes_its_check_and_nothing_is_left_of_it(site):
    await check_bucket(site.bucket())
    assert await site.keys() == []


async def test_object_is_created_once_and_swapped_by_its_tag(site):
    bucket = site.bucket()
    assert await bucket.create("_staging/x", b"1")
    assert await bucket.create("_staging/x", b"1"), "our own, once more: an answer may have been lost"
    assert not await bucket.create("_staging/x", b"2")
    if bucket.can_swap:
        found = await bucket.read("_staging/x")
        assert await bucket.swap("_staging/x", b"3", found)
        assert not await bucket.swap("_staging/x", b"4", found)
        assert not await bucket.swap("_staging/x", b"4", None)
    await bucket.delete(["_staging/x", "_staging/nothing"])
    assert await bucket.read("_staging/x") is None


async def test_crawl_that_gives_up_leaves_nothing_in_the_bucket_or_here(site, tmp_path, monkeypatch):
    """F57"""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    writer = await site.begin()
    await write_scopes(writer)
    assert [key for key in await site.keys() if key.startswith("fc_functions/")], "parts go there as they are finished"
    await writer.abandon()
    assert await site.keys() == []
    assert list(tmp_path.iterdir()) == []


async def test_scratch_folder_of_a_killed_crawl_is_removed_by_the_next_and_a_live_ones_is_not(
    fake, tmp_path, monkeypatch
):
    """P3: rows of a killed crawl don't lie about."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, live = await fake.begin(), await fake.begin(OLD)
    assert len(list(tmp_path.iterdir())) == 2
    killed.destination.scratch.lock.release()  # as the death of the process does
    third = await fake.begin("20261122T020000Z-0000")
    assert set(tmp_path.iterdir()) == {live.destination.disk.root, third.destination.disk.root}
    for writer in (live, third):
        assert not writer.destination.disk.root.stat().st_mode & 0o077
        await writer.abandon()


@pytest.mark.parametrize(("age_s", "is_kept"), [(0, True), (7200, False)])
async def test_scratch_folder_of_a_crawl_that_is_starting_is_left_alone(fake, tmp_path, monkeypatch, age_s, is_kept):
    """P3: between the making of its lock's file and the lock itself, a crawl looks as if it were killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock = Path(tempfile.mkdtemp(prefix="acs-inventory-scratch-")) / LOCK
    lock.parent.mkdir()
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    writer = await fake.begin()
    assert lock.exists() == is_kept
    await writer.abandon()


async def test_two_crawls_of_one_second_are_disjoint(site):
    """F52"""
    other = f"{NEW[:-4]}ffff"
    manifests = {}

    async def crawl(snapshot_id):
        manifests[snapshot_id] = await site.write(snapshot_id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crawl, NEW)
        tasks.start_soon(crawl, other)
    for snapshot_id in (NEW, other):
        assert await assert_whole(site, snapshot_id) == manifests[snapshot_id]
    assert await site.latest() == other


async def test_crawl_of_an_id_that_another_has_is_refused_and_leaves_the_other_alone(site):
    first = await site.begin()
    with pytest.raises(OutputBusyError, match=f"under the same ID, {NEW}"):
        await site.begin()
    ledger = await write_scopes(first)
    await first.commit(draft(), ledger)
    await first.abandon()
    with pytest.raises(OutputError, match=f"has a snapshot {NEW} already"):
        await site.begin()
    await assert_whole(site)


@pytest.mark.parametrize("seeds", [20, pytest.param(100, marks=pytest.mark.trust)])
async def test_pointer_ends_on_the_newest_of_any_crawls_at_once_and_never_goes_back(fake, monkeypatch, seeds):
    """F52"""
    monkeypatch.setattr("crawler.snapshot.bucket.latest._ROUND_S", 0.001)
    bucket, store = fake.bucket(), fake.fake
    seen: list[str] = []

    async def move(snapshot_id, delay_s):
        await bucket.put(manifest_path(snapshot_id), b"{}")
        await asyncio.sleep(delay_s)
        await advance_latest(bucket, snapshot_id)
        assert await fake.latest() >= snapshot_id

    def watch(number, method, key):
        found = store.objects.get("lake/x/_snapshots/LATEST")
        seen.append(found[0].decode() if found else "")

    store.fault = watch
    for seed in range(seeds):
        dice = random.Random(seed)
        ids = [f"20261121T0200{dice.randrange(60):02}Z-{dice.randrange(1 << 16):04x}" for _ in range(seed % 3 + 2)]
        store.objects.clear()
        seen.clear()
        async with anyio.create_task_group() as tasks:
            for snapshot_id in ids:
                tasks.start_soon(move, snapshot_id, dice.random() / 100)
        assert await fake.latest() == max(ids)
        assert seen == sorted(seen), seed


async def test_announcement_of_a_dead_crawl_is_not_waited_for(fake):
    if fake.fake.kind == "s3":
        assert fake.bucket().can_swap
        return
    fake.fake.age = timedelta(minutes=4)
    await fake.bucket().put("_staging/turns/20991231T000000Z-0000", b"")
    fake.fake.age = timedelta()
    await fake.write()
    assert await fake.latest() == NEW


@pytest.mark.parametrize("kind", ["lose", "error"])
async def test_lost_answer_to_the_commit_is_read_back(fake, kind):
    """F53: the manifest was put, but the crawl is told that it was not."""
    fake.fake.fault = lambda number, method, key: kind if (method, key) == ("PUT", f"lake/x/{MANIFEST}") else None
    await fake.write()
    await assert_whole(fake)
    assert await fake.latest() == NEW


async def test_foreign_manifest_in_our_place_is_a_conflict_and_stays(fake):
    """F53: with the other's files, without ours, which a reader with a glob pattern would take along."""
    writer = await fake.begin()
    ledger = await write_scopes(writer)
    theirs = part_path("fc_functions", NEW, 0, "0123abcd")
    fake.fake.put(f"lake/x/{theirs}", b"another's")
    fake.fake.put(f"lake/x/{MANIFEST}", b"another's")
    with pytest.raises(OutputError, match=f"has another snapshot {NEW}") as caught:
        await writer.commit(draft(), ledger)
    assert not isinstance(caught.value, UnfinishedCommitError)
    await writer.abandon()
    assert fake.fake.objects[f"lake/x/{MANIFEST}"][0] == b"another's"
    assert [key for key in await fake.keys() if "/part-" in key] == [theirs]


@pytest.mark.parametrize("kind", ["lose", "break"])
async def test_lost_answer_with_anothers_manifest_in_our_place_is_a_conflict(fake, kind):
    """F53: the manifest that is read back belongs to another crawl."""
    writer = await fake.begin()
    ledger = await write_scopes(writer)

    def fault(number, method, key):
        if (method, key) != ("PUT", f"lake/x/{MANIFEST}"):
            return None
        fake.fake.put(key, b"another's")
        return kind

    fake.fake.fault = fault
    with pytest.raises(OutputError, match=f"has another snapshot {NEW}") as caught:
        await writer.commit(draft(), ledger)
    assert not isinstance(caught.value, UnfinishedCommitError)
    await writer.abandon()
    assert fake.fake.objects[f"lake/x/{MANIFEST}"][0] == b"another's"


@pytest.mark.parametrize("kind", ["lose", "lose once", "break"])
async def test_commit_that_nobody_can_confirm_keeps_its_files_and_the_next_crawl_settles_it(fake, kind):
    """F53: with the answer lost and reading refused, the parts must stay: the manifest may name them."""
    is_down = False

    def fault(number, method, key):
        nonlocal is_down
        was_down, is_down = is_down, is_down or (method, key) == ("PUT", f"lake/x/{MANIFEST}")
        if kind == "lose once" and method == "PUT" and was_down:
            return None  # the store says that the object exists; its owner is unknown
        return (kind.removesuffix(" once") if method == "PUT" else "break") if is_down else None

    fake.fake.fault = fault
    with pytest.raises(UnfinishedCommitError, match=r"may or may not be committed; run `snapshots list` to see"):
        await fake.write()
    fake.fake.fault = lambda number, method, key: None
    is_committed = kind != "break"
    assert (f"lake/x/{MANIFEST}" in fake.fake.objects) is is_committed
    next_id = "20261122T020000Z-0000"
    writer = await fake.begin(next_id)
    assert writer.destination.recovered == ([NEW] if is_committed else [])
    await writer.abandon()
    if is_committed:
        await assert_whole(fake)
        assert await fake.latest() == NEW
        assert staged(NEW) not in await fake.keys()
    else:
        assert staged(NEW) in await fake.keys(), "swept away when it is a day old"


async def test_failure_at_every_request_leaves_the_old_snapshot_or_the_new_one(fake):
    """P1, P3, F44: from each request of a crawl on, the store is gone."""
    store = fake.fake
    await fake.write(OLD)
    before = dict(store.objects)
    start = len(store.requests)
    await fake.write()
    steps = len(store.requests) - start
    after = dict(store.objects)
    assert steps > 15
    outcomes = set()
    for k in range(1, steps + 1):
        store.objects, store.requests = dict(before), []
        store.fault = lambda number, method, key, k=k: "break" if number >= k else None
        with pytest.raises(OutputError):
            await fake.write()
        store.fault = lambda number, method, key: None
        is_new = f"lake/x/{MANIFEST}" in store.objects
        outcomes.add(is_new)
        assert await fake.latest() in ((OLD, NEW) if is_new else (OLD,))
        await assert_whole(fake, OLD)
        if is_new:
            await assert_whole(fake)
        store.age = timedelta()
        settled = await fake.begin("20991231T000000Z-0000", START + timedelta(days=50_000))
        await settled.abandon()
        wanted = after if is_new else before
        assert sorted(map(without_attempt, store.objects)) == sorted(map(without_attempt, wanted)), k
        assert await fake.latest() == (NEW if is_new else OLD)
    assert outcomes == {False, True}


async def test_part_that_fails_for_good_commits_nothing(site, monkeypatch):
    """F58"""
    real = ObjectStore.put

    async def put(self, path, data):
        if "/part-00001" in path:
            raise OutputError("can't write it")
        await real(self, path, data)

    monkeypatch.setattr(ObjectStore, "put", put)
    with pytest.raises(OutputError, match="can't write it"):
        await site.write()
    assert await site.keys() == []


async def test_part_that_vanished_before_the_commit_is_noticed(fake):
    """P2: acknowledged by the store with matching size."""
    writer = await fake.begin()
    ledger = await write_scopes(writer)
    gone = next(key for key in fake.fake.objects if "/part-00001" in key)
    fake.fake.put(gone, fake.fake.objects[gone][0][:-1])
    with pytest.raises(OutputError, match=r"/part-00001-[0-9a-f]{8}\.parquet isn't in .* as it was sent"):
        await writer.commit(draft(), ledger)
    await writer.abandon()
    assert await fake.keys() == []


async def test_cancelled_upload_ends_at_once_and_leaves_nothing(fake):
    """F57"""
    fake.fake.fault = lambda number, method, key: "hang" if method == "PUT" and key.endswith(".parquet") else None
    writer = await fake.begin()
    started = time.monotonic()
    with anyio.move_on_after(0.3) as scope:
        await write_scopes(writer)
    assert scope.cancelled_caught
    await writer.abandon()
    assert time.monotonic() - started < 5
    assert await fake.keys() == []


async def test_rows_of_a_long_list_become_several_bounded_parts(fake):
    """F58, F109: each is sent by one PUT, since none is large."""
    destination = await BucketDestination.begin(fake.bucket(), NEW, START, SCHEMAS)
    writer = SnapshotWriter(destination, SCHEMAS, memory_bytes=1, part_bytes=1)
    scope = writer.scope("fc_functions", ACCOUNT, "cn-hangzhou", has_one_list=True)
    reading = scope.list()
    for number in range(4):
        await write_names(reading, [f"f{number}"])
    reading.finish()
    scope.keep()
    manifest = await writer.commit(draft(), [ledger_row("fc_functions", rows=4, rows_seen=4)])
    await writer.abandon()
    assert [file.rows for file in parts(manifest, "fc_functions")] == [2, 2]
    await assert_whole(fake)
    assert not [line for line in fake.fake.requests if line.startswith("POST lake")], "no multipart upload"


async def test_store_that_ignores_conditions_is_refused_before_anything_else(fake):
    """An OSS bucket with versions ignores x-oss-forbid-overwrite."""
    fake.fake.ignores_conditions = True
    with pytest.raises(OutputError, match="overwrites an object in spite of a condition"):
        await check_bucket(fake.bucket())
    assert await fake.keys() == []


async def test_refusal_is_one_sentence_without_url_or_key(site):
    """T11"""
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong", "OSS_ACCESS_KEY_SECRET": "wrong"}
    with pytest.raises(OutputError) as caught:
        await check_bucket(Site(site.uri, {**site.environ, **wrong}).bucket())
    said = str(caught.value)
    assert said.startswith("can't write"), "the first step that failed, and not the removal after it"
    assert "the store answered 403 SignatureDoesNotMatch; check the access key and its secret" in said
    assert "http" not in said
    assert KEY_ID not in said
    assert KEY_SECRET not in said
    assert caught.value.__cause__ is None


async def test_store_that_is_not_there_is_one_sentence():
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    gone = Site("s3://inventory/x", environ)
    with pytest.raises(
        OutputError, match=r"can't read x in s3://inventory/x: the store can't be reached, or doesn't answer"
    ):
        await gone.bucket().read("x")
    with pytest.raises(UncertainError):
        await gone.bucket().create("x", b"")


async def test_store_that_hangs_is_not_waited_for(fake, monkeypatch):
    monkeypatch.setattr("crawler.snapshot.object_store._PATIENCE_S", 0.1)
    fake.fake.fault = lambda number, method, key: "hang"
    with pytest.raises(OutputError, match="or doesn't answer"):
        await fake.bucket().read("x")


async def test_damaged_manifest_and_ledger_in_a_bucket_are_seen(fake):
    """F54"""
    manifest = await fake.write()
    fake.fake.put(f"lake/x/{manifest.ledger.path}", b"PAR1")
    with pytest.raises(OutputError, match="isn't what its manifest names"):
        await fake.read(read_ledger, manifest)
    fake.fake.put(f"lake/x/{MANIFEST}", b"{}")
    with pytest.raises(OutputError, match="doesn't match its checksum"):
        await fake.read(read_manifest, NEW)
