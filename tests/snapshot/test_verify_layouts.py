"""Verify finds the same in both layouts of a snapshot: changed files, and files that no manifest lists (P13)."""

from __future__ import annotations

import shutil

import pytest

from crawler.snapshot import read_manifest
from crawler.snapshot.verify import verify_all, verify_snapshot
from tests.support.diff_fakes import NEW, SECOND, TABLE, Night, Scope, schema_of, write
from tests.support.layouts import copy_in_layout

SCHEMA = schema_of("name")


@pytest.fixture(params=[1, 2])
def output(request, tmp_path):
    """Return an output with a snapshot in this format, and the paths of the files of its table."""
    scopes = [Scope([{"name": "a"}, {"name": "b"}]), Scope([{"name": "c"}], account=SECOND)]
    write(tmp_path / "written", NEW, Night({TABLE: SCHEMA}, scopes))
    root = tmp_path / "copy"
    copy_in_layout(tmp_path / "written", root, NEW, request.param, parts=2)
    (root / "_snapshots" / "LATEST").write_text(f"{NEW}\n")
    return root, [file.path for file in read_manifest(root, NEW).tables[TABLE].files]


def test_a_snapshot_is_whole_in_both_layouts(output):
    root, files = output
    [verdict], orphans = verify_all(root)
    assert (verdict.is_whole, orphans) == (True, [])
    assert (verdict.files, verdict.rows) == (len(files) + 1, 3)


def test_a_file_that_is_changed_exchanged_or_gone_is_named(output):
    root, (first, second) = output
    content = bytearray((root / first).read_bytes())
    content[len(content) // 2] ^= 1
    (root / first).write_bytes(content)
    (root / second).unlink()
    bad = {file.path: file.reason for file in verify_snapshot(root, NEW).bad_files}
    assert bad.keys() == {first, second}
    assert bad[first].startswith("isn't what was committed")
    assert bad[second] == "is missing"


@pytest.mark.parametrize(
    "place",
    [
        "part-00007.parquet",
        "part-00000-0a1b2c3d.parquet",
        "account=1000000000000009/region=cn-hangzhou/part-0.parquet",
        "deeper/than/any/layout/part-0.parquet",
    ],
)
def test_a_file_of_either_layout_that_no_manifest_lists_is_an_orphan(output, place):
    root, files = output
    folder = "/".join(files[0].split("/")[:3])
    planted = root / folder / place
    planted.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / files[0], planted)
    [orphan] = verify_snapshot(root, NEW).bad_files
    assert orphan.path == f"{folder}/{place}"
    other = root / folder.replace(NEW, "20261122T030000Z-00cc") / place
    other.parent.mkdir(parents=True)
    shutil.copy(root / files[0], other)
    _, [folder_of_no_snapshot] = verify_all(root)
    assert folder_of_no_snapshot.path == folder.replace(NEW, "20261122T030000Z-00cc")
