"""F45, P2: the power fails at any moment, and any part of the unflushed data is lost, in any order."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime

import pytest

from crawler.snapshot.disk import Disk
from crawler.snapshot.folder.commit import recover
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.retention import KeepRules
from crawler.snapshot.verify import verify_all
from tests.support.model_disk import CUTS, RecordingDisk, choices, fill_in, losses, replay
from tests.support.resumable_crawls import FAMILIES, LIMITS, PLAN, assert_same_rows, resumed, write
from tests.support.snapshot_fakes import (
    NEW,
    OLD,
    SCHEMAS,
    assert_manifest_holds,
    begin,
    die,
    draft,
    manifest_ids,
    staging_names,
    table_files,
    write_scopes,
    write_snapshot,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# The step between tested moments, and the number of loss patterns per moment.
TIERS = pytest.mark.parametrize(
    ("stride", "at_most"), [(6, 3), pytest.param(1, 60, marks=pytest.mark.trust)], ids=["some", "all"]
)


@pytest.fixture
async def old(tmp_path):
    await write_snapshot(tmp_path / "old", OLD, part_bytes=1)
    return tmp_path / "old"


def moments(records, base, to, stride, at_most):
    """Outputs as found after each moment and each loss; with whether everything had been done by then."""
    fill_in(records)
    dice = random.Random(0)
    cuts = itertools.cycle(CUTS)
    for number, loss in enumerate(losses(records)):
        is_last = number == len(records)
        if number % stride and not is_last:
            continue
        for lost in choices(loss, dice, at_most):
            yield replay(base, to, loss, lost, next(cuts)), is_last, (number, sorted(lost))


def assert_readers_are_served(root, before, after, where):
    """By manifest every snapshot whole; by a glob, of each table all of the new one's files or none."""
    assert {OLD} <= manifest_ids(root) <= {OLD, NEW}, where
    for snapshot_id in manifest_ids(root):
        assert_manifest_holds(root, snapshot_id)
    assert (root / "_snapshots/LATEST").read_text().strip() in manifest_ids(root), where
    seen = table_files(root)
    assert before.items() <= seen.items() <= after.items(), where
    for table in {path.split("/")[0] for path in after}:
        new = {path for path in after if path.startswith(f"{table}/") and NEW in path}
        assert new & seen.keys() in (set(), new), where


@TIERS
async def test_power_that_goes_during_a_crawl_leaves_the_old_snapshot_or_the_new_one(tmp_path, old, stride, at_most):
    """P2: after a crawl that ended well it is always the new snapshot, whatever data was lost."""
    root = replay_of(old, tmp_path / "crawled")
    disk = RecordingDisk(root)
    writer = await begin(root, disk=disk, part_bytes=1)
    await writer.open_journal("ab" * 32, {}, dict.fromkeys(SCHEMAS, ()))
    await writer.commit(draft(), await write_scopes(writer))
    before, after = table_files(old), table_files(root)
    found = set()
    for trial, is_last, where in moments(disk.records, old, tmp_path / "trial", stride, at_most):
        assert_readers_are_served(trial, before, after, where)
        completed = recovered(trial)
        ids = manifest_ids(trial)
        assert_readers_are_served(trial, before, after, where)
        assert staging_names(trial) == [], where
        assert table_files(trial) == (after if NEW in ids else before), where
        assert (trial / "_snapshots/LATEST").read_text().strip() == max(ids), where
        assert NEW in ids or not is_last, where
        found.add((NEW in ids, bool(completed)))
    assert found >= {(False, False), (True, True)}


@TIERS
async def test_power_that_goes_leaves_every_scope_that_was_flushed_to_be_resumed(tmp_path, stride, at_most):
    """P3, F56: with the rows of an uninterrupted crawl, whatever unflushed data was lost."""
    root, empty = tmp_path / "crawled", tmp_path / "empty"
    root.mkdir()
    empty.mkdir()
    disk = RecordingDisk(root)
    writer = await begin(root, disk=disk, **LIMITS)
    await writer.open_journal(PLAN, {}, FAMILIES)
    flushes = []
    on_flush = lambda scopes: flushes.append((len(disk.records), scopes))  # noqa: E731
    await writer.commit(draft(), await write(writer, on_flush=on_flush))
    for trial, is_last, where in moments(disk.records, empty, tmp_path / "trial", 2 * stride, max(3, at_most // 6)):
        reused = await resumed(trial)
        flushed = max((scopes for records, scopes in flushes if records <= where[0]), default=0)
        assert reused == -1 or (reused >= flushed and not is_last), where
        assert_same_rows(trial, where)


@TIERS
async def test_power_that_goes_during_a_resume_loses_no_scope_that_was_reused(tmp_path, stride, at_most):
    """P3, F56: a third crawl resumes the first one again. `dead` is as the first left it after all its scopes."""
    dead = tmp_path / "dead"
    dead.mkdir()
    writer = await begin(dead, **LIMITS)
    await writer.open_journal(PLAN, {}, FAMILIES)
    scopes = len(await write(writer))
    die(writer)
    writer.buffer.journal.close()
    root = replay_of(dead, tmp_path / "resumed")
    disk = RecordingDisk(root)
    assert await resumed(root, disk) == scopes
    for trial, is_last, where in moments(disk.records, dead, tmp_path / "trial", 2 * stride, max(3, at_most // 6)):
        assert await resumed(trial) in ({-1} if is_last else {-1, scopes}), where
        assert_same_rows(trial, where)


def replay_of(base, to):
    return replay(base, to, next(losses([])), set(), CUTS[0])


def recovered(root):
    disk = Disk(root)
    try:
        return recover(disk)
    finally:
        disk.close_root()


@TIERS
async def test_power_that_goes_during_a_recovery_loses_nothing_that_was_decided(tmp_path, old, stride, at_most):
    root = replay_of(old, tmp_path / "crawled")
    disk = RecordingDisk(root)
    writer = await begin(root, disk=disk, part_bytes=1)
    await writer.commit(draft(), await write_scopes(writer))
    before, after = table_files(old), table_files(root)
    fill_in(disk.records)
    decided = [
        loss for number, loss in enumerate(losses(disk.records))
        if any(step.to.endswith(f"_staging/{NEW}/_snapshots/{NEW}.json") and loss.sure[place]
               for place, step in enumerate(loss.steps))
    ]  # fmt: skip
    for loss in decided[:: 7 * stride]:
        crashed = replay(old, tmp_path / "crashed", loss, set(loss.open_steps), CUTS[0])
        copy = replay_of(crashed, tmp_path / "copy")
        again = RecordingDisk(copy)
        recover(again)
        again.close_root()
        for trial, _, where in moments(again.records, crashed, tmp_path / "trial", stride, at_most // 3):
            assert_readers_are_served(trial, before, after, where)
            recovered(trial)
            assert manifest_ids(trial) == {OLD, NEW}, where
            assert (table_files(trial), staging_names(trial)) == (after, []), where
            assert (trial / "_snapshots/LATEST").read_text().strip() == NEW, where


@TIERS
async def test_power_that_goes_during_a_removal_leaves_it_whole_or_completes_it(tmp_path, old, stride, at_most):
    """F59: of the old snapshot; the new one is kept."""
    await write_snapshot(old, part_bytes=1)
    files = table_files(old)
    root = replay_of(old, tmp_path / "pruned")
    disk = RecordingDisk(root)
    prune(root, KeepRules(last=1), NOW, disk=disk)
    left = table_files(root)
    for trial, is_last, where in moments(disk.records, old, tmp_path / "trial", stride, at_most):
        ids = manifest_ids(trial)
        assert {NEW} <= ids <= {OLD, NEW}, where
        assert OLD not in ids or not is_last, where
        for snapshot_id in ids:
            assert_manifest_holds(trial, snapshot_id)
        for table in {path.split("/")[0] for path in files}:
            olds = {path for path in files if path.startswith(f"{table}/") and OLD in path}
            assert olds & table_files(trial).keys() in (set(), olds), where
        prune(trial, KeepRules(last=1), NOW)
        verdicts, loose = verify_all(trial)
        assert (manifest_ids(trial), table_files(trial), loose) == ({NEW}, left, []), where
        assert all(verdict.is_whole for verdict in verdicts), where
        assert staging_names(trial) == [], where
