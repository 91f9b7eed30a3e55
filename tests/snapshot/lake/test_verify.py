"""`snapshots verify` also looks for the files that the tables of a lake name (P18)."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from crawler.extras import how_to_install
from crawler.snapshot.lake.verify import verify_lakes
from tests.support import command_server
from tests.support.lakes import FORMATS, Local
from tests.support.snapshot_fakes import NEW, OLD


def verify(root):
    """Return the exit code, the bad files that belong to no snapshot, and stderr."""
    done = command_server.run(["snapshots", "verify", "--json", "--output", root], cwd=root.parent, env=os.environ)
    return done.returncode, json.loads(done.stdout)["bad_files"], done.stderr


async def lake_in(root, kind):
    lake = Local(kind, root)
    for snapshot_id in (OLD, NEW):
        await lake.crawl(snapshot_id)
    return lake


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_whole_lake_has_no_bad_file(tmp_path, kind):
    lake = await lake_in(tmp_path / "out", kind)
    if kind == "delta":
        lake.table("fc_functions").create_checkpoint()
    assert verify(lake.root) == (0, [], "")


@pytest.mark.parametrize("pattern", ["*.metadata.json", "snap-*.avro", "*-m0.avro"])
async def test_each_missing_file_of_iceberg_is_found(tmp_path, pattern):
    """P18: the metadata of the table, and the lists of files of its content and of its tags."""
    lake = await lake_in(tmp_path / "out", "iceberg")
    for path in (lake.root / "_iceberg/acs_inventory/fc_functions/metadata").glob(pattern):
        path.unlink()
    code, bad, _ = verify(lake.root)
    assert code == 1
    assert {entry["path"] for entry in bad} <= {"Iceberg table fc_functions", "Iceberg tables"}
    assert bad


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_file_that_a_table_names_and_a_user_removed_is_found(tmp_path, kind):
    """P18: the file of a snapshot that was removed with all of its traces but the table."""
    lake = await lake_in(tmp_path / "out", kind)
    shutil.rmtree(lake.root / "fc_functions/snapshot_date=2026-11-21")
    found, unchecked = verify_lakes(lake.root)
    assert unchecked == []
    assert {entry.path for entry in found} == {f"{kind.capitalize()} table fc_functions"}
    assert all(NEW in entry.reason and "is missing" in entry.reason for entry in found)


async def test_the_tables_of_a_copy_are_not_verified_and_its_snapshots_are(tmp_path):
    """P18: the copy is whole, and the tables in it belong to the original."""
    lake = await lake_in(tmp_path / "out", "iceberg")
    shutil.copytree(lake.root, tmp_path / "copy")
    code, bad, said = verify(tmp_path / "copy")
    assert (code, bad) == (0, [])
    assert "warning: the Iceberg tables aren't verified" in said
    assert "was copied or moved from" in said


async def test_without_the_extra_the_snapshots_are_verified(tmp_path, monkeypatch):
    lake = await lake_in(tmp_path / "out", "delta")
    monkeypatch.setattr("crawler.snapshot.lake.publish.find_spec", lambda name: None)
    found, [said] = verify_lakes(lake.root)
    assert found == []
    assert how_to_install("delta") in said
