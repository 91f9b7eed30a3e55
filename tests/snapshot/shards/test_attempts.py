"""F129, P30: an attempt has files of its own; it goes on where the one before it ended, which changes nothing then."""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack

import pyarrow.parquet as pq
import pytest

from crawler.errors import LeaseLostError, OutputError
from crawler.snapshot import Ledger, ShardWriter
from crawler.snapshot.disk import Disk
from crawler.snapshot.layout import attempt_folder, attempt_ledger_path, staged
from crawler.snapshot.output_steps import OutputSteps
from crawler.snapshot.shards.attempts import Attempt, BucketAttempt, FolderAttempt, delivered_path
from crawler.snapshot.staging import StagedSnapshot
from tests.support.noted_scopes import CONDITIONS, FAMILIES, HERE, PLAN, SCOPES, note_long_list, write
from tests.support.run_places import FOLDER, open_place
from tests.support.snapshot_fakes import NEW, SCHEMAS, START, write_scopes

SHARD = 7
SOME = dict(list(SCOPES.items())[:3])


def attempt(number, shard=SHARD):
    return Attempt(FOLDER, shard, number, NEW, START)


async def begin(root, number=1, **limits):
    (root / "out").mkdir(exist_ok=True)
    return ShardWriter(await FolderAttempt.begin(root / "out", 0o077, attempt(number)), SCHEMAS, **limits)


async def open_journal(writer, conditions=CONDITIONS, plan=PLAN):
    return await writer.open_journal(plan, conditions, FAMILIES)


async def killed(root, scopes=SOME, number=1, **limits):
    """An attempt whose process was killed when these scopes were noted."""
    writer = await begin(root, number, **limits)
    await open_journal(writer)
    await write(writer, scopes)
    return writer


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(root, files, number):
    """The names in the rows of an attempt's parts."""
    return sorted(
        name
        for file in files
        for name in pq.read_table(root / "out" / delivered_path(attempt(number), file.path))["name"].to_pylist()
    )


async def finish(writer, noted):
    ledger = await write(writer, noted=noted)
    return await writer.finish(Ledger(ledger))


# --- folder ------------------------------------------------------------------------------------------------------


async def test_an_attempt_is_an_output_below_the_runs_folder(tmp_path):
    writer = await begin(tmp_path)
    assert await open_journal(writer) == []
    files = await finish(writer, [])
    writer.destination.keep()
    await writer.abandon()
    for found in files.values():
        assert all("-00007001.parquet" in file.path for file in found), "the names of parts have shard and attempt"
    assert names(tmp_path, files["fc_functions"], 1) == ["f1", "f2", "f3"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"_staging"}
    assert {path.name for path in (tmp_path / "out" / FOLDER).iterdir()} == {"s00007-a001"}


async def test_the_next_attempt_takes_over_what_was_noted_and_writes_the_rest(tmp_path):
    """F129."""
    await killed(tmp_path)
    writer = await begin(tmp_path, 2)
    noted = await open_journal(writer)
    assert {entry.scope for entry in noted} == SOME.keys()
    files = await finish(writer, noted)
    assert names(tmp_path, files["fc_functions"], 2) == ["f1", "f2", "f3"]
    assert names(tmp_path, files["opensearch_apps"], 2) == ["a1"]


async def long_list(root, number=1):
    """An attempt whose process was killed when a list with parts of its own was noted; its ledger and its names."""
    writer = await begin(root, number, part_bytes=16_000)
    await open_journal(writer)
    return writer, *await note_long_list(writer)


def own_parts(root, number):
    found = sorted((root / "out" / attempt_folder(FOLDER, SHARD, number)).rglob("*-00007001.parquet"))
    assert found
    return found


async def test_own_parts_of_an_earlier_attempt_are_taken_over_without_a_copy(tmp_path):
    """F129."""
    zombie, ledger, wanted = await long_list(tmp_path)
    writer = await begin(tmp_path, 2, part_bytes=16_000)
    noted = await open_journal(writer)
    assert [entry.scope for entry in noted] == [(row.table, *HERE) for row in ledger]
    taken = own_parts(tmp_path, 2)
    assert {path.stat().st_ino for path in taken} == {path.stat().st_ino for path in own_parts(tmp_path, 1)}
    files = (await writer.finish(Ledger(ledger)))["fc_functions"]
    assert names(tmp_path, files, 2) == wanted
    assert len({file.path for file in files}) == len(files) >= len(taken)
    before = [path.read_bytes() for path in taken]
    await zombie.abandon()
    assert [path.read_bytes() for path in taken] == before, "what it removes are its own names"


async def test_parts_are_copied_where_the_file_system_has_no_links(tmp_path, monkeypatch):
    """F129."""
    _, ledger, wanted = await long_list(tmp_path)

    def refused(self, source, destination):
        with self._translate_errors("link", source):
            raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Disk, "link", refused)
    writer = await begin(tmp_path, 2, part_bytes=16_000)
    assert [entry.scope for entry in await open_journal(writer)] == [(row.table, *HERE) for row in ledger]
    assert {path.stat().st_nlink for path in own_parts(tmp_path, 2)} == {1}
    files = (await writer.finish(Ledger(ledger)))["fc_functions"]
    assert names(tmp_path, files, 2) == wanted


async def test_an_own_part_that_is_gone_is_read_again(tmp_path):
    await long_list(tmp_path)
    own_parts(tmp_path, 1)[0].unlink()
    writer = await begin(tmp_path, 2, part_bytes=16_000)
    assert [entry.scope for entry in await open_journal(writer)] == [("opensearch_apps", *HERE)]


async def test_what_a_dead_attempt_writes_late_changes_nothing_of_its_successor(tmp_path):
    """F129, P30. It was stopped for a minute, and goes on when the next attempt has begun, or has reported."""
    zombie = await killed(tmp_path, part_bytes=1)
    writer = await begin(tmp_path, 2)
    noted = await open_journal(writer)
    own = tmp_path / "out" / attempt_folder(FOLDER, SHARD, 2)
    before = tree(own)
    others = {key: rows for key, rows in SCOPES.items() if key not in SOME}
    await write(zombie, others)
    await zombie.flush()
    await zombie.write_due_parts()
    assert tree(own) == before
    files = await finish(writer, noted)
    writer.destination.keep()
    after = tree(own)
    await zombie.leave_unfinished()
    await zombie.abandon()
    assert tree(own) == after
    assert names(tmp_path, files["fc_functions"], 2) == ["f1", "f2", "f3"]


async def test_the_newest_attempt_with_a_journal_is_taken_over(tmp_path):
    await killed(tmp_path)
    await begin(tmp_path, 2)  # killed before it had copied the journal
    journal = tmp_path / "out" / attempt_folder(FOLDER, SHARD, 2) / staged(NEW) / "journal"
    journal.unlink()
    writer = await begin(tmp_path, 3)
    assert {entry.scope for entry in await open_journal(writer)} == SOME.keys()


@pytest.mark.parametrize("cut", [0, 5, 200, -3])
async def test_a_journal_that_was_cut_anywhere_is_good_up_to_there(tmp_path, cut):
    """F129. The process, or the copy of its journal, ended there."""
    await killed(tmp_path)
    journal = tmp_path / "out" / attempt_folder(FOLDER, SHARD, 1) / staged(NEW) / "journal"
    content = journal.read_bytes()
    journal.write_bytes(content[:cut] if cut > 0 or cut == -3 else b"")
    writer = await begin(tmp_path, 2)
    noted = await open_journal(writer)
    assert {entry.scope for entry in noted} < SOME.keys()
    files = await finish(writer, noted)
    assert names(tmp_path, files["fc_functions"], 2) == ["f1", "f2", "f3"]


@pytest.mark.parametrize(("conditions", "plan"), [({"[output] secrets": "keep"}, PLAN), (CONDITIONS, "cd" * 32)])
async def test_rows_of_an_attempt_with_other_conditions_are_read_again(tmp_path, conditions, plan):
    await killed(tmp_path)
    writer = await begin(tmp_path, 2)
    assert await open_journal(writer, conditions, plan) == []
    files = await finish(writer, [])
    assert names(tmp_path, files["fc_functions"], 2) == ["f1", "f2", "f3"]


async def test_shards_take_nothing_over_from_each_other(tmp_path):
    await killed(tmp_path)
    destination = await FolderAttempt.begin(tmp_path / "out", 0o077, attempt(2, shard=8))
    assert await open_journal(ShardWriter(destination, SCHEMAS)) == []


async def test_an_attempt_that_has_noted_nothing_leaves_nothing(tmp_path):
    writer = await begin(tmp_path)
    await open_journal(writer)
    assert not await writer.leave_unfinished()
    await writer.abandon()
    await writer.abandon()
    assert tree(tmp_path / "out") == {}


async def test_an_attempt_that_is_stopped_leaves_its_journal(tmp_path):
    writer = await killed(tmp_path)
    assert await writer.leave_unfinished()
    await writer.abandon()
    writer = await begin(tmp_path, 2)
    assert {entry.scope for entry in await open_journal(writer)} == SOME.keys()


async def test_an_attempt_that_was_stopped_at_once_leaves_what_it_took_over(tmp_path):
    await killed(tmp_path)
    for number in (2, 3):
        writer = await begin(tmp_path, number)
        await open_journal(writer)
        await writer.leave_unfinished()
        await writer.abandon()
    writer = await begin(tmp_path, 4)
    assert {entry.scope for entry in await open_journal(writer)} == SOME.keys()


# --- bucket ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["s3", "oss"])
async def bucket(request, tmp_path):
    async with AsyncExitStack() as stack:
        yield await open_place(request.param, tmp_path, stack)


async def begin_in(bucket, number=1, fence=lambda: None):
    destination = await BucketAttempt.begin(bucket.store, attempt(number), fence)
    return ShardWriter(destination, SCHEMAS, part_bytes=1)


async def test_parts_in_a_bucket_have_shard_and_attempt_in_their_names(bucket):
    writer = await begin_in(bucket, 2)
    ledger = Ledger(await write_scopes(writer))
    files = await writer.finish(ledger)
    destination = writer.destination
    assert destination.ledger_path == attempt_ledger_path(FOLDER, SHARD, 2)
    staging = StagedSnapshot(destination.disk, NEW, SCHEMAS)
    file = await writer.buffer.run(staging.ledger, ledger.batches(), destination.ledger_path)
    await destination.deliver(writer.buffer, [file])
    destination.keep()
    await writer.abandon()
    sent = {found.path for each in files.values() for found in each}
    assert sent
    assert all("-00007002.parquet" in path for path in sent)
    assert bucket.paths() == {*sent, f"{FOLDER}/s00007-a002.scopes.parquet"}
    assert not destination.disk.root.exists(), "the scratch folder is gone"


async def test_an_attempt_that_is_abandoned_removes_only_its_own(bucket):
    """P30: what a successor, or any other one, has sent stays."""
    first, second = await begin_in(bucket, 1), await begin_in(bucket, 2)
    await write_scopes(first)
    bucket.write("fc_functions/of_another.parquet", b"x")
    await second.finish(Ledger(await write_scopes(second)))
    second.destination.keep()
    theirs = {path for path in bucket.paths() if "-00007001" not in path}
    assert any("-00007001" in path for path in bucket.paths())
    await first.abandon()
    assert bucket.paths() == theirs
    await second.abandon()
    assert bucket.paths() == theirs


async def test_an_attempt_whose_lease_is_lost_sends_nothing_more(bucket):
    """P31."""
    is_lost = []

    def fence():
        if is_lost:
            raise LeaseLostError("the lease of shard 7 of 32 (attempt 1) is lost: attempt 2 has begun")

    writer = await begin_in(bucket, 1, fence)
    await write_scopes(writer)
    before = bucket.paths()
    assert before
    is_lost.append(True)
    with pytest.raises(LeaseLostError):
        await writer.destination.deliver(OutputSteps(), [])
    with pytest.raises(LeaseLostError):
        await writer.write_due_parts()
    assert bucket.paths() == before


async def test_an_attempt_in_a_bucket_begins_from_the_start(bucket):
    writer = await begin_in(bucket, 2)
    assert await open_journal(writer) == []
    assert not await writer.leave_unfinished()
    await writer.abandon()
    assert bucket.paths() == set()


def test_an_attempts_files_are_below_its_own_folder():
    path = delivered_path(attempt(3), "fc_functions/x.parquet")
    assert path == f"{FOLDER}/s00007-a003/_staging/{NEW}/fc_functions/x.parquet"
    with pytest.raises(OutputError, match="an attempt has the number 1 to"):
        delivered_path(attempt(0), "x")
