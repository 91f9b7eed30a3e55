"""A prune never removes a snapshot that a crawl is about to make a table's content (P18)."""

from __future__ import annotations

import fcntl
import threading
from datetime import UTC, datetime

import pytest

from crawler.errors import OutputError, UnfinishedCommitError
from crawler.snapshot import list_snapshots, open_lake, publish_lake, read_ledger, read_manifest
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.retention import KeepRules
from tests.support.lakes import FORMATS, Local
from tests.support.snapshot_fakes import ACCOUNT, NEW, OLD, SCHEMAS, write_snapshot

LATER = "20261122T020000Z-0000"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
APPS = {("opensearch_apps", ACCOUNT, "cn-hangzhou"): ["a1"]}


async def waiting_lake(root, kind):
    """A lake at an old snapshot, a committed one that no table is moved to, and a newer one without its tables."""
    lake = Local(kind, root)
    await lake.crawl(OLD)
    await write_snapshot(root, NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f9"]})
    await lake.crawl(LATER, APPS)
    return lake


def removed(lake):
    done = prune(lake.root, KeepRules(last=1), NOW, lakes=[open_lake(lake.settings)])
    return [entry.snapshot_id for entry in done.removed]


@pytest.mark.parametrize("kind", FORMATS)
async def test_prune_waits_for_a_crawl_that_moves_tables(tmp_path, kind, monkeypatch):
    """P18: the crawl has released the output by then."""
    lake = await waiting_lake(tmp_path / "out", kind)
    opened, manifest = open_lake(lake.settings), read_manifest(lake.root, NEW)
    moving, may_move, waits = threading.Event(), threading.Event(), threading.Event()
    results = []
    real = type(opened).move

    def move(self, *arguments):
        moving.set()
        assert may_move.wait(30)
        real(self, *arguments)

    def flock(fd, operation, lock=fcntl.flock):
        if operation == fcntl.LOCK_EX:
            waits.set()
        lock(fd, operation)

    monkeypatch.setattr(type(opened), "move", move)
    monkeypatch.setattr("fcntl.flock", flock)
    crawl = threading.Thread(target=lake.publish_to, args=(opened, manifest))
    crawl.start()
    assert moving.wait(30)
    pruning = threading.Thread(target=lambda: results.append(removed(lake)))
    pruning.start()
    assert waits.wait(30)
    assert results == []
    may_move.set()
    crawl.join()
    pruning.join()
    assert results == [[OLD]]
    assert lake.names("fc_functions") == ["f9"]


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_snapshot_that_prune_removed_meanwhile_is_not_published(tmp_path, kind):
    """P18: the table stays at the snapshot that was kept for it."""
    lake = await waiting_lake(tmp_path / "out", kind)
    manifest = read_manifest(lake.root, NEW)
    ledger = read_ledger(lake.root, manifest)
    assert removed(lake) == [NEW]
    publish_lake(open_lake(lake.settings), manifest, SCHEMAS, ledger)
    assert lake.names("fc_functions") == ["f1", "f2", "f3"]
    assert [entry.snapshot_id for entry in list_snapshots(lake.root)] == [LATER, OLD]


async def test_a_disk_that_cannot_lock_leaves_the_snapshot_committed(tmp_path, monkeypatch):
    lake = Local("delta", tmp_path / "out")
    await write_snapshot(lake.root)

    def flock(fd, operation):
        raise OSError(37, "No locks available")

    opened = open_lake(lake.settings)
    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UnfinishedCommitError, match=r"committed, but the lake's tables aren't moved .* can't lock"):
        lake.publish(NEW)
    with pytest.raises(OutputError, match="can't lock"):
        prune(lake.root, KeepRules(last=1), NOW, lakes=[opened])
