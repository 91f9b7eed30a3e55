"""P3, F44, F48, F56: wherever a crawl ends early, the resumed one has the rows of an uninterrupted one, each once."""

from __future__ import annotations

import errno

import anyio
import anyio.from_thread
import pytest

from crawler.errors import OutputError
from crawler.snapshot import read_manifest
from crawler.snapshot.layout import manifest_path, staged
from tests.support.resumable_crawls import FAMILIES, LIMITS, NAMES, PLAN, assert_same_rows, resumed, write
from tests.support.snapshot_fakes import (
    NEW,
    CancellingDisk,
    Crash,
    FaultyDisk,
    begin,
    die,
    draft,
    staging_names,
    table_files,
)

# Of so many steps at which a crawl may end, one is tested.
STRIDES = pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.trust)], ids=["some", "all"])


async def crawl(root, *, leave=False, **fault):
    """Crawl on a disk with this fault. Return its steps. `leave`: a failed crawl keeps what another may resume."""
    disk = FaultyDisk(root, **fault)
    writer = None
    try:
        writer = await begin(root, disk=disk, **LIMITS)
        await writer.open_journal(PLAN, {}, FAMILIES)
        await writer.commit(draft(), await write(writer))
    except Crash:
        if writer is not None:
            die(writer)
    except OutputError:
        if writer is not None:
            if leave:
                await writer.leave_unfinished()
            await writer.abandon()
    return disk.steps


def distinct(steps):
    """Numbers of the steps before which the disk isn't as it was before the last one: flushing changes nothing."""
    return [n for n in range(1, len(steps) + 1) if n == 1 or not steps[n - 2].startswith(("fsync", "close"))]


async def steps_of(root):
    root.mkdir()
    steps = await crawl(root)
    assert_same_rows(root, "uninterrupted")
    assert len(read_manifest(root, NEW).tables["fc_functions"].files) > 3
    return steps


@STRIDES
async def test_killed_before_any_step_it_is_resumed_with_the_same_rows(tmp_path, stride):
    steps = await steps_of(tmp_path / "all")
    reused = set()
    for step in distinct(steps)[::stride]:
        root = tmp_path / f"step{step}"
        root.mkdir()
        await crawl(root, crash_at=step)
        reused.add(await resumed(root))
        assert_same_rows(root, steps[step - 1])
    assert reused == {-1, 0, 1, 2, 4, 5}, "the third is flushed with the fourth"


@STRIDES
async def test_a_disk_that_fails_at_any_step_leaves_what_can_be_resumed_with_the_same_rows(tmp_path, stride):
    steps = await steps_of(tmp_path / "all")
    reused = set()
    for step in range(1, len(steps) + 1, 2 * stride - 1):
        root = tmp_path / f"step{step}"
        root.mkdir()
        await crawl(root, leave=True, fail_at=step, errno=errno.ENOSPC)
        is_decided = any((root / path).exists() for path in (manifest_path(NEW), staged(NEW, manifest_path(NEW))))
        assert is_decided or table_files(root) == {}, "no file has a final name"
        reused.add(await resumed(root))
        assert_same_rows(root, steps[step - 1])
    assert reused >= {0, 1, 2, 4, 5}


@STRIDES
@pytest.mark.parametrize("then", ["commit", "resume"])
async def test_cancelled_at_any_step_a_scope_is_whole_or_not_there_and_no_other_file_is(tmp_path, stride, then):
    """F46: at the deadline the crawl commits what has ended; at a signal it leaves that to be resumed."""
    counts = set()
    for step in range(1, 1000, stride):
        root, ledger, writer = tmp_path / f"step{step}", [], None
        root.mkdir()
        with anyio.CancelScope() as scope:
            writer = await begin(root, disk=CancellingDisk(root, step, scope), **LIMITS)
            await writer.open_journal(PLAN, {}, FAMILIES)
            await write(writer, ledger=ledger)
        assert table_files(root) == {}, "no file has a final name"
        counts.add(len(ledger))
        if then == "resume" or not ledger:
            is_left = await writer.leave_unfinished()
            await writer.abandon()
            assert is_left or staging_names(root) == []
            assert await resumed(root) == len(ledger), step
            assert_same_rows(root, step)
        else:
            await writer.commit(draft(), ledger)
            kept = {(row.table, row.account_id, row.region_id) for row in ledger}
            assert_same_rows(root, step, [name for name in NAMES if name[:3] in kept])
        if not scope.cancel_called:
            break
    assert counts >= {0, 1, 2, 4, 5}


@pytest.mark.trust
async def test_the_one_that_resumes_is_killed_before_any_step_too(tmp_path):
    steps = await steps_of(tmp_path / "all")
    stops = distinct(steps)
    for first in stops[len(stops) // 3 :: len(stops) // 6]:
        for second in range(1, 1000):
            root = tmp_path / f"step{first}-{second}"
            root.mkdir()
            await crawl(root, crash_at=first)
            disk = FaultyDisk(root, crash_at=second)
            try:
                await resumed(root, disk)
            except Crash:
                await resumed(root)
            else:
                break
            assert_same_rows(root, (steps[first - 1], disk.steps[-1]))
        assert second > 10
