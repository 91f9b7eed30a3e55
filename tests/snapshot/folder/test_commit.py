"""P1, P3, F44, F47, F48, F50: at whichever step a crawl dies or its disk fails, readers see old or new, and whole."""

from __future__ import annotations

import errno
import os
import shutil

import anyio
import anyio.lowlevel
import pytest

from crawler.errors import OutputError
from crawler.snapshot import Status, UnfinishedCommitError, read_manifest
from crawler.snapshot.disk import Disk
from crawler.snapshot.folder import destination
from crawler.snapshot.folder.commit import make_table_folders, recover
from crawler.snapshot.layout import id_after
from crawler.snapshot.rows.row_buffer import RowBuffer
from tests.support.odd_files import ODD, ends_within, put
from tests.support.snapshot_fakes import (
    NEW,
    OLD,
    OTHER,
    SCHEMAS,
    Crash,
    FaultyDisk,
    assert_manifest_holds,
    begin,
    die,
    draft,
    ledger_row,
    manifest_ids,
    staging_names,
    table_files,
    write_names,
    write_scopes,
    write_snapshot,
)


@pytest.fixture
async def old(tmp_path):
    """An output with one complete snapshot."""
    root = tmp_path / "old"
    await write_snapshot(root, OLD, part_bytes=1)
    return root


@pytest.fixture
async def files(tmp_path, old):
    """The tables' files with the old snapshot alone, and with both."""
    both = copy(old, tmp_path / "both")
    await write_snapshot(both, part_bytes=1)
    return table_files(old), table_files(both)


def copy(root, to):
    """A copy by hard links: no file of an output is ever changed in place but the lock, which is left out."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(root, to, copy_function=os.link, ignore=shutil.ignore_patterns("lock"))
    return to


def distinct(steps):
    """Numbers of the steps before which the disk isn't as it was before the last one: flushing changes nothing."""
    return [n for n in range(1, len(steps) + 1) if n == 1 or not steps[n - 2].startswith(("fsync", "close"))]


async def crawl(root, **fault):
    """A crawl from begin to commit on a disk with this fault: the disk and the crawl's result. It keeps a journal."""
    disk = FaultyDisk(root, **fault)
    writer = None
    try:
        writer = await begin(root, disk=disk, part_bytes=1)
        await writer.open_journal("ab" * 32, {}, dict.fromkeys(SCHEMAS, ()))
        await writer.commit(draft(), await write_scopes(writer))
    except Crash as error:
        if writer is not None:
            die(writer)
        return disk, error
    except OutputError as error:
        if writer is not None:
            await writer.abandon()
        return disk, error
    return disk, None


def recover_on(root, **fault):
    disk = FaultyDisk(root, **fault)
    try:
        return disk, recover(disk)
    finally:
        disk.close_root()


def assert_reader_is_served(root, files):
    """By manifest: each snapshot whole, and LATEST names one. By glob: a table's part of a snapshot whole or absent."""
    before, after = files
    latest = (root / "_snapshots/LATEST").read_text().strip()
    assert latest in (OLD, NEW)
    assert {OLD} <= manifest_ids(root) <= {OLD, NEW}
    assert latest in manifest_ids(root)
    for snapshot_id in manifest_ids(root):
        assert_manifest_holds(root, snapshot_id)
    seen = table_files(root)
    assert before.items() <= seen.items() <= after.items()
    for table in {path.split("/")[0] for path in after}:
        new = {path for path in after if path.startswith(f"{table}/") and NEW in path}
        assert new & seen.keys() in (set(), new), table


def assert_settled(root, files, *, new):
    assert_reader_is_served(root, files)
    assert staging_names(root) == []
    assert manifest_ids(root) == ({OLD, NEW} if new else {OLD})
    assert (root / "_snapshots/LATEST").read_text().strip() == (NEW if new else OLD)
    assert table_files(root) == files[1 if new else 0]


def decision(steps):
    """The number of the step that decides."""
    return next(n for n, step in enumerate(steps, 1) if step.endswith(f"-> _staging/{NEW}/_snapshots/{NEW}.json"))


async def test_crash_before_every_step_of_a_crawl_leaves_the_old_snapshot_or_completes_the_new_one(
    tmp_path, old, files
):
    steps = (await crawl(copy(old, tmp_path / "x")))[0].steps
    assert len(steps) > 90
    for k in distinct(steps):
        root = copy(old, tmp_path / "x")
        _, ended = await crawl(root, crash_at=k)
        assert isinstance(ended, Crash), steps[k - 1]
        assert_reader_is_served(root, files)
        recover_on(root)
        assert_settled(root, files, new=k > decision(steps))


async def test_crash_before_every_step_of_a_recovery_is_recovered_from(tmp_path, old, files):
    steps = (await crawl(copy(old, tmp_path / "x")))[0].steps
    decided = decision(steps)
    recoveries = 0
    for k in (k for k in distinct(steps) if k > decided - 3):
        crashed = tmp_path / "crashed"
        copy(old, crashed)
        await crawl(crashed, crash_at=k)
        for j in distinct(recover_on(copy(crashed, tmp_path / "y"))[0].steps):
            root = copy(crashed, tmp_path / "y")
            with pytest.raises(Crash):
                recover_on(root, crash_at=j)
            assert_reader_is_served(root, files)
            recover_on(root)
            assert_settled(root, files, new=k > decided)
            recoveries += 1
    assert recoveries > 100


@pytest.mark.parametrize(
    "code", [pytest.param(errno.ENOSPC, marks=pytest.mark.trust, id="ENOSPC"), pytest.param(errno.EIO, id="EIO")]
)
async def test_failure_of_every_step_of_a_crawl_is_an_output_error_and_keeps_the_old_snapshot(
    tmp_path, old, files, code
):
    steps = (await crawl(copy(old, tmp_path / "x")))[0].steps
    tidying = next(n for n, s in enumerate(steps, 1) if n > decision(steps) and s == "fsync_folder _snapshots"
                   and steps[n - 2].endswith("-> _snapshots/LATEST"))  # fmt: skip
    for k in range(1, len(steps) + 1):
        root = copy(old, tmp_path / "x")
        _, ended = await crawl(root, fail_at=k, errno=code)
        assert_reader_is_served(root, files)
        if k > tidying:
            assert ended is None, steps[k - 1]
        else:
            assert isinstance(ended, OutputError), steps[k - 1]
            assert errno.errorcode[code] in str(ended)
            assert str(tmp_path) not in str(ended)
            # Moving the name and flushing it is the decision; once it stands the next crawl completes.
            assert isinstance(ended, UnfinishedCommitError) == (k > decision(steps) + 1), steps[k - 1]
        recover_on(root)
        assert_settled(root, files, new=k > decision(steps) + 1)


async def test_disk_that_stays_full_leaves_only_the_staging_folder_behind(tmp_path, old, files, monkeypatch):
    root = copy(old, tmp_path / "x")

    def write(self, fd, path, data):
        with self._translate_errors("write", path, need_bytes=len(data)):
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Disk, "write", write)
    writer = await begin(root)
    with pytest.raises(OutputError, match=r"No space left on device \(ENOSPC\); \d+ bytes to write, \d+ bytes"):
        await write_scopes(writer)
    with pytest.raises(OutputError, match="failed earlier"):
        await writer.commit(draft(), [])
    await writer.abandon()
    assert_settled(root, files, new=False)


async def test_content_is_flushed_before_its_name_and_folders_after_it(tmp_path):
    """P2: the content is durable before it gets a name that readers or a recovery use."""
    (tmp_path / "out").mkdir()
    disk = FaultyDisk(tmp_path / "out")
    await write_snapshot(tmp_path / "out", disk=disk)
    flushed, dirty = set(), set()
    decided = False
    for step in disk.steps:
        name, _, path = step.partition(" ")
        if name == "fsync":
            flushed.add(path)
        elif name == "fsync_folder":
            dirty.discard(path)
        elif name in ("create", "make_folder", "rename"):
            source, _, target = path.partition(" -> ")
            is_file = source.endswith((".partial", ".sha256", "LATEST", ".parquet", ".json"))
            if name == "rename" and is_file:
                assert source in flushed, step
                flushed.add(target)
            if target.endswith(f"{NEW}.json"):
                unflushed = {f for f in dirty if f.startswith(f"_staging/{NEW}") or f in ("", "_staging")}
                assert unflushed == set(), step
                decided = True
            dirty.add((target or source).rpartition("/")[0])
    assert decided
    assert {folder for folder in dirty if not folder.startswith("_staging")} == set()


async def test_two_decided_snapshots_are_completed_in_order_and_latest_is_the_newer(tmp_path, old):
    """An older snapshot that is completed late doesn't take LATEST back."""
    steps = (await crawl(copy(old, tmp_path / "x")))[0].steps
    root = copy(old, tmp_path / "y")
    await crawl(root, crash_at=decision(steps) + 1)
    later = "20261122T020000Z-0001"
    other = tmp_path / "other"
    await write_snapshot(other, later)
    for name in (f"{later}.json", f"{later}.json.sha256", f"{later}.scopes.parquet", "LATEST"):
        shutil.copy(other / "_snapshots" / name, root / "_snapshots" / name)
    _, completed = recover_on(root)
    assert completed == [NEW]
    assert (root / "_snapshots/LATEST").read_text() == f"{later}\n"
    assert manifest_ids(root) == {OLD, NEW, later}


async def test_next_crawl_completes_and_goes_on_unaided(tmp_path, old, files):
    root = copy(old, tmp_path / "x")
    steps = (await crawl(copy(old, tmp_path / "y")))[0].steps
    await crawl(root, crash_at=decision(steps) + 4)
    writer = await begin(root, "20261122T020000Z-0001")
    assert writer.destination.recovered == [NEW]
    await writer.abandon()
    assert_settled(root, files, new=True)


async def test_recovery_leaves_strangers_in_the_staging_folder_alone(tmp_path, old, files):
    root = copy(old, tmp_path / "x")
    (root / "_staging/notes").mkdir()
    (root / "_staging/notes/mine.txt").write_text("keep")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep")
    (root / "_staging" / "20261119T020000Z-0001").symlink_to(outside)
    recover_on(root)
    assert staging_names(root) == ["notes"]
    assert (outside / "precious").read_text() == "keep"


async def test_recovery_that_misses_a_file_says_which_and_publishes_nothing(tmp_path, old, files):
    steps = (await crawl(copy(old, tmp_path / "x")))[0].steps
    root = copy(old, tmp_path / "x")
    await crawl(root, crash_at=decision(steps) + 1)
    part = next((root / "_staging" / NEW).glob("fc_functions/**/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(OutputError, match=r"can't be completed: fc_functions/.*part-0000.\.parquet is missing or has"):
        recover_on(root)
    assert_reader_is_served(root, files)
    assert manifest_ids(root) == {OLD}


async def test_partial_snapshot_leaves_the_bytes_of_latest(tmp_path, old):
    pointer = old / "_snapshots/LATEST"
    before = (pointer.read_bytes(), pointer.stat().st_mtime_ns, pointer.stat().st_ino)
    denied = ledger_row("opensearch_apps", region="cn-shanghai", status=Status.DENIED, error_code="Forbidden")
    manifest = await write_snapshot(old, extra_rows=[denied])
    assert manifest.status == "partial"
    assert (pointer.read_bytes(), pointer.stat().st_mtime_ns, pointer.stat().st_ino) == before
    assert read_manifest(old, "latest").snapshot_id == OLD
    assert [row.error_code for row in read_manifest(old, NEW).scopes.not_complete] == ["Forbidden"]


@pytest.mark.parametrize(
    ("chosen", "becomes"),
    [
        (OLD, "20261120T020000Z-00ab"),
        ("20261120T020000Z-0001", "20261120T020000Z-00ab"),
        ("20261120T015959Z-ffff", "20261120T020000Z-00ab"),
        ("20261120T020000Z-00ff", "20261120T020000Z-00ff"),
        ("20261119T020000Z-0001", "20261119T020000Z-0001"),
    ],
)
async def test_a_crawl_of_the_same_second_sorts_after_the_newest_snapshot(tmp_path, old, chosen, becomes):
    """The digits of an ID are random: LATEST moves to the later of two crawls that begin within one second."""
    assert (await write_snapshot(old, chosen)).snapshot_id == becomes
    assert read_manifest(old, "latest").snapshot_id == max(becomes, OLD)


def test_the_id_after_the_last_digits_is_of_the_next_second():
    assert id_after("20261231T235959Z-ffff") == "20270101T000000Z-0000"


LATER = "20261122T020000Z-0001"


async def decided(old, to):
    """An output whose crawl died right after it was decided."""
    steps = (await crawl(copy(old, to)))[0].steps
    _, ended = await crawl(copy(old, to), crash_at=decision(steps) + 1)
    assert isinstance(ended, Crash)
    return to


@pytest.mark.parametrize("is_complete", [True, False])
async def test_there_is_room_for_the_pointer_before_anything_is_decided_and_none_is_made_in_vain(
    tmp_path, old, is_complete
):
    """F48."""
    disk = FaultyDisk(old)
    denied = ledger_row("opensearch_apps", region="cn-shanghai", status=Status.DENIED, error_code="Forbidden")
    await write_snapshot(old, disk=disk, extra_rows=[] if is_complete else [denied])
    made = [n for n, step in enumerate(disk.steps, 1) if step == f"create _staging/{NEW}/LATEST"]
    assert len(made) == is_complete
    assert all(n < decision(disk.steps) for n in made)


async def test_a_disk_that_dies_on_the_deciding_step_is_reported_by_what_that_step_said(tmp_path, old, files):
    """F47: the later attempts fail too, and their errors do not replace the reason."""

    class Dying(FaultyDisk):
        def _step(self, name, path):
            super()._step(name, path)
            if self.steps[-1].endswith(f"-> _staging/{NEW}/_snapshots/{NEW}.json"):
                self._fail_at = len(self.steps) + 1
                self._errno = errno.EIO
                with self._translate_errors(name, path):
                    raise OSError(errno.EDQUOT, "no")

    root = copy(old, tmp_path / "x")
    writer = await begin(root, disk=Dying(root))
    with pytest.raises(OutputError, match=r"can't rename .*EDQUOT"):
        await writer.commit(draft(), await write_scopes(writer))
    await writer.abandon()
    assert_settled(root, files, new=False)


async def test_all_folders_that_a_commit_needs_are_made_before_it_is_decided_and_named_outermost_first(tmp_path, old):
    """F55."""
    manifest = read_manifest(old, OLD)
    (tmp_path / "new").mkdir()
    disk = Disk(tmp_path / "new")
    assert make_table_folders(disk, manifest) == [
        "_snapshots",
        "fc_functions",
        "fc_functions/snapshot_date=2026-11-20",
        "opensearch_apps",
        "opensearch_apps/snapshot_date=2026-11-20",
    ]
    assert make_table_folders(disk, manifest) == []
    disk.close_root()


async def test_a_folder_that_was_tidied_away_since_the_decision_is_made_again(tmp_path, old, files):
    """F45: a recovery completes even if a user has removed empty folders."""
    root = await decided(old, tmp_path / "x")
    (root / "fc_functions/snapshot_date=2026-11-21").rmdir()
    recover_on(root)
    assert_settled(root, files, new=True)


async def test_a_decided_snapshot_without_its_checksum_is_not_published_and_what_is_missing_is_named(
    tmp_path, old, files
):
    root = await decided(old, tmp_path / "x")
    (root / f"_staging/{NEW}/_snapshots/{NEW}.json.sha256").unlink()
    with pytest.raises(
        UnfinishedCommitError, match=rf": _snapshots/{NEW}\.json\.sha256 is missing, staged or in place$"
    ):
        recover_on(root)
    assert manifest_ids(root) == {OLD}


async def test_a_decided_manifest_that_is_damaged_is_named(tmp_path, old):
    root = await decided(old, tmp_path / "x")
    (root / f"_staging/{NEW}/_snapshots/{NEW}.json").write_bytes(b"{")
    with pytest.raises(OutputError, match=f"_staging/{NEW}/_snapshots/{NEW}.json"):
        recover_on(root)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe\n", b"~\n", f"{LATER}\n".encode()])
async def test_a_pointer_to_no_snapshot_is_replaced(tmp_path, old, text):
    """LATER has no manifest."""
    (old / "_snapshots/LATEST").write_bytes(text)
    await write_snapshot(old)
    assert (old / "_snapshots/LATEST").read_text() == f"{NEW}\n"


@pytest.mark.parametrize("kind", ODD)
async def test_pointer_that_is_not_a_regular_file_is_refused_before_anything_is_asked(tmp_path, old, kind):
    """F72: a crawl that can't end with LATEST in its place doesn't begin."""
    put(old / "_snapshots/LATEST", kind)
    message = f"_snapshots/LATEST is {kind}, not a regular file; remove it from {old}"
    with ends_within(20), pytest.raises(OutputError, match=message):
        await begin(old)


@pytest.mark.parametrize("kind", ODD)
async def test_pointer_that_is_replaced_during_a_crawl_never_says_that_nothing_was_committed(tmp_path, old, kind):
    """F72: the snapshot is in place, and the next crawl needs only LATEST to be removed."""
    writer = await begin(old)
    ledger = await write_scopes(writer)
    put(old / "_snapshots/LATEST", kind)
    with ends_within(20), pytest.raises(UnfinishedCommitError) as caught:
        await writer.commit(draft(), ledger)
    assert f"snapshot {NEW} is committed but not all in place" in str(caught.value)
    assert f"LATEST is {kind}, not a regular file; remove it" in str(caught.value)
    assert manifest_ids(old) == {OLD, NEW}
    put(old / "_snapshots/LATEST", "a named pipe")
    (old / "_snapshots/LATEST").unlink()
    await write_snapshot(old, LATER)
    assert (old / "_snapshots/LATEST").read_text() == f"{LATER}\n"
    assert manifest_ids(old) == {OLD, NEW, LATER}


async def test_pointer_of_a_terabyte_is_replaced_unread(old):
    """F72"""
    with (old / "_snapshots/LATEST").open("r+b") as file:
        file.truncate(1 << 40)
    with ends_within(20):
        await write_snapshot(old)
    assert (old / "_snapshots/LATEST").read_text() == f"{NEW}\n"


async def test_manifest_that_no_reader_would_accept_is_not_committed(old, monkeypatch):
    """T31: the reader's bound on sizes is the writer's, too."""
    monkeypatch.setattr("crawler.snapshot.manifest.MANIFEST_BYTES", 500)
    with pytest.raises(OutputError, match=r"has [0-9,]+ bytes, more than the 500 that a reader accepts"):
        await write_snapshot(old)
    assert manifest_ids(old) == {OLD}


@pytest.mark.parametrize("error", [ZeroDivisionError("canary"), MemoryError("canary"), IsADirectoryError(21, "canary")])
async def test_a_defect_after_the_decision_says_that_it_is_committed(old, monkeypatch, error):
    """F66, P17: what isn't expected after the decisive rename never reads as if nothing was committed."""

    def broken(*_):
        raise error

    monkeypatch.setattr(destination, "promote", broken)
    with pytest.raises(UnfinishedCommitError) as caught:
        await write_snapshot(old)
    assert str(caught.value).startswith(f"snapshot {NEW} is committed, but the last steps of its commit failed")
    assert "canary" not in str(caught.value)
    assert caught.value.exit_code == 4
    monkeypatch.undo()
    assert recover(Disk(old)) == [NEW]
    assert_manifest_holds(old, NEW)


async def test_a_defect_before_the_decision_is_one(old, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(destination, "mark_committed", broken)
    writer = await begin(old)
    ledger = await write_scopes(writer)
    with pytest.raises(ZeroDivisionError):
        await writer.commit(draft(), ledger)
    await writer.abandon()
    assert manifest_ids(old) == {OLD}


@pytest.fixture
async def cancelled(monkeypatch):
    """Cancel a crawl in the moment after a part is written, before the crawl knows. Returns the scope to write in."""
    scope, run = anyio.CancelScope(), RowBuffer.run_stoppable

    async def run_and_cancel(self, function, stop):
        result = await run(self, function, stop)
        scope.cancel()
        await anyio.lowlevel.checkpoint_if_cancelled()
        return result

    monkeypatch.setattr(RowBuffer, "run_stoppable", run_and_cancel)
    yield scope
    assert scope.cancelled_caught


async def test_a_part_that_is_finished_when_the_deadline_comes_is_written_again_by_the_commit(tmp_path, cancelled):
    """P1, P5: the rows of scopes that have ended are committed, once."""
    writer = await begin(tmp_path)
    ledger = await write_scopes(writer)
    writer.end_table("fc_functions")
    with cancelled:
        await writer.write_due_parts()
    manifest = await writer.commit(draft(), ledger)
    assert manifest.tables["fc_functions"].rows == 3
    assert_only_listed_files(tmp_path)


async def test_an_own_part_of_a_list_that_is_cancelled_leaves_no_file_in_the_snapshot(tmp_path, cancelled):
    """P1: a reader of the folder would take it along."""
    writer = await begin(tmp_path, memory_bytes=1, part_bytes=1)
    scope = writer.scope("fc_functions", OTHER, "cn-beijing", has_one_list=True)
    reading = scope.list()
    with cancelled:
        for number in range(9):
            await write_names(reading, [f"f{number}"], account=OTHER, region="cn-beijing")
    await scope.drop()
    await writer.commit(draft(), await write_scopes(writer))
    assert_only_listed_files(tmp_path)


def assert_only_listed_files(root):
    manifest = assert_manifest_holds(root, NEW)
    assert table_files(root).keys() == {file.path for entry in manifest.tables.values() for file in entry.files}
    assert staging_names(root) == []
