"""The names of a snapshot: one resolver for all commands, whose error says what names there are."""

from __future__ import annotations

import shutil

import anyio
import pytest

from crawler.snapshot import UnknownSnapshotError, resolve_snapshot
from crawler.snapshot.layout import manifest_path
from tests.support.snapshot_fakes import ledger_row, write_snapshot

FIRST, SECOND = "20261119T020000Z-00aa", "20261119T140000Z-00bb"
PARTIAL, THIRD, LAST = "20261120T020000Z-01cc", "20261121T020000Z-7f3a", "20261122T020000Z-0bad"
ALL = (FIRST, SECOND, PARTIAL, THIRD, LAST)
FAILED = [ledger_row("fc_layers", status="failed", error_code="x")]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")

    async def write():
        for snapshot_id in ALL:
            await write_snapshot(folder, snapshot_id, extra_rows=FAILED if snapshot_id in (PARTIAL, LAST) else [])

    anyio.run(write)
    return folder


@pytest.mark.parametrize(
    ("name", "snapshot_id"),
    [
        ("latest", THIRD),
        ("latest~0", THIRD),
        ("latest~1", SECOND),
        ("latest~2", FIRST),
        ("newest", LAST),
        ("newest~0", LAST),
        ("newest~2", PARTIAL),
        ("2026-11-19", SECOND),
        ("2026-11-21", THIRD),
        *((snapshot_id, snapshot_id) for snapshot_id in ALL),
        ("20261119T14", SECOND),
        ("20261120", PARTIAL),
        ("20261121T020000Z-", THIRD),
        ("20261122T020000Z-0bad", LAST),
    ],
)
def test_a_name_is_one_snapshot(root, name, snapshot_id):
    """F64."""
    assert resolve_snapshot(root, name) == snapshot_id


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("latest~3", "has only 3 complete snapshots"),
        ("newest~5", "has only 5 snapshots"),
        ("newest~999999", "has only 5 snapshots"),
        ("2026-11-20", f"has no complete snapshot of 2026-11-20 (UTC); it has {PARTIAL}, which is not complete"),
        ("2026-11-20", f"; the last one before is {SECOND}, the first one after is {THIRD}"),
        ("2026-11-18", f"has no complete snapshot of 2026-11-18 (UTC); the first one after is {FIRST}"),
        ("2026-11-30", f"has no complete snapshot of 2026-11-30 (UTC); the last one before is {THIRD}"),
        ("2026-13-45", "has no complete snapshot of 2026-13-45 (UTC)"),
        ("20261119", f"20261119 begins the IDs of 2 snapshots ({SECOND}, {FIRST}); give more of the ID"),
        ("2", "begins the IDs of 5 snapshots"),
        ("2027", "has no snapshot whose ID begins with 2027"),
        ("20261119T020000Z-0000", "has no snapshot 20261119T020000Z-0000"),
        ("", "unknown snapshot ID ''; give an ID or the beginning of one"),
        ("Latest", "unknown snapshot ID 'Latest'"),
        ("latest~", "unknown snapshot ID"),
        ("latest~-1", "unknown snapshot ID"),
        ("latest~1234567", "unknown snapshot ID"),
        ("../../etc/passwd", "unknown snapshot ID '../../etc/passwd'"),
        ("*", "unknown snapshot ID"),
        ("x\udcff", "unknown snapshot ID 'x\\udcff'"),
        (f"{THIRD}0", "unknown snapshot ID"),
    ],
)
def test_any_other_name_is_bad_input_and_says_what_there_is(root, name, said):
    """F64: exit code 2."""
    with pytest.raises(UnknownSnapshotError) as caught:
        resolve_snapshot(root, name)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["latest", "newest", "latest~1", "2026-11-21", THIRD, "2026"])
def test_an_output_without_snapshots_has_none_of_any_name(tmp_path, name):
    with pytest.raises(UnknownSnapshotError, match="has no "):
        resolve_snapshot(tmp_path, name)


def test_a_manifest_that_can_not_be_read_is_no_complete_snapshot(root, tmp_path):
    root = shutil.copytree(root, tmp_path / "copy")
    (root / manifest_path(SECOND)).write_text("{}")
    assert resolve_snapshot(root, "latest~1") == FIRST
    assert resolve_snapshot(root, "2026-11-19") == FIRST
    assert resolve_snapshot(root, SECOND) == SECOND, "by its ID it can be named, and its reader says what is wrong"
