"""An Iceberg table that release 0.1.0 partitioned by account and region goes on without partitions (F105)."""

from __future__ import annotations

from datetime import UTC, datetime
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table.update.snapshot import ManageSnapshots

from crawler.snapshot import open_lake, publish_lake, read_manifest
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.lake.claim import claim_lake
from crawler.snapshot.layout import LATEST
from crawler.snapshot.retention import KeepRules
from tests.support.lakes import Local
from tests.support.large_parts import write_large_parts
from tests.support.layouts import copy_in_layout
from tests.support.snapshot_fakes import ACCOUNT, NEW, OLD, OTHER, SCHEMA, SCHEMAS, batch, write_snapshot

TABLE = "fc_functions"
OLDEST = "20261119T020000Z-00aa"
LATER = "20261122T020000Z-0000"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROWS = {(TABLE, ACCOUNT, "cn-hangzhou"): ["f1", "f2"], (TABLE, OTHER, "cn-shanghai"): ["f3"]}
LARGE = [("f4", ACCOUNT, "cn-hangzhou"), ("f5", ACCOUNT, "cn-shanghai"), ("f6", OTHER, "cn-hangzhou")]


async def publish_as_0_1_0(lake, snapshot_id):
    """Commit a snapshot and take the steps with which release 0.1.0 moved a table to it."""
    with TemporaryDirectory() as folder:
        await write_snapshot(folder, snapshot_id, ROWS)
        copy_in_layout(folder, lake.root, snapshot_id, 1)
    (lake.root / LATEST).write_text(f"{snapshot_id}\n")
    manifest = read_manifest(lake.root, snapshot_id)
    paths = [f"{lake.settings.base}/{file.path}" for file in manifest.tables[TABLE].files]
    properties = {"acs-inventory.snapshot-id": snapshot_id}
    table = open_lake(lake.settings)._tables.make(TABLE, SCHEMA, {"acs-inventory.output": lake.settings.base})
    with table.transaction() as change:
        if table.spec().is_unpartitioned():
            with change.update_spec() as spec:
                for column in ("account_id", "region_id"):
                    spec.add_identity(column)
        if table.current_snapshot() is not None:
            change.delete(AlwaysTrue(), snapshot_properties=properties)
        change.add_files(paths, snapshot_properties=properties, check_duplicate_files=False)
        change.set_properties(properties)
        ManageSnapshots(change).create_tag(change.table_metadata.current_snapshot_id, snapshot_id).commit()


def publish_large(lake, snapshot_id):
    batches = [batch([name], account=account, region=region, snapshot=snapshot_id) for name, account, region in LARGE]
    parts = {TABLE: [pa.Table.from_batches(batches)]}
    manifest, ledger, statistics = write_large_parts(lake.root, snapshot_id, parts)
    publish_lake(open_lake(lake.settings), manifest, SCHEMAS, ledger, {TABLE: ("name",)}, statistics)


@pytest.fixture
async def lake(tmp_path):
    """A lake with two snapshots of 0.1.0 and one of large parts."""
    found = Local("iceberg", tmp_path / "out")
    found.root.mkdir()
    (found.root / "_staging").mkdir()
    await claim_lake(found.settings, None, [TABLE])
    for snapshot_id in (OLDEST, OLD):
        await publish_as_0_1_0(found, snapshot_id)
    assert [field.name for field in found.table(TABLE).spec().fields] == ["account_id", "region_id"]
    publish_large(found, NEW)
    return found


def partitions(lake, version):
    table = lake.table(TABLE)
    at = table.snapshot_by_name(version).snapshot_id if version else None
    files = [task.file for task in table.scan(snapshot_id=at).plan_files()]
    return sorted(tuple(file.partition[at] for at in range(len(file.partition))) for file in files)


async def test_its_spec_evolves_and_its_history_keeps_its_partitions(lake):
    table = lake.table(TABLE)
    assert table.spec().fields == ()
    assert [len(spec.fields) for spec in table.specs().values()] == [0, 2]
    assert lake.names(TABLE) == ["f4", "f5", "f6"]
    assert partitions(lake, None) == [()]
    for version in (OLDEST, OLD):
        assert lake.names(TABLE, version) == ["f1", "f2", "f3"]
        assert partitions(lake, version) == [(ACCOUNT, "cn-hangzhou"), (OTHER, "cn-shanghai")]
    assert lake.commits(TABLE) == [OLDEST, OLD, NEW]


@pytest.mark.filterwarnings("ignore:Iceberg scan planning")  # of Polars, which has a plugin that is faster
@pytest.mark.parametrize(("account", "wanted"), [(ACCOUNT, ["f4", "f5"]), (OTHER, ["f6"])])
async def test_filters_hold_before_and_after(lake, account, wanted):
    table = lake.table(TABLE)
    asked = f"account_id = '{account}'"
    assert table.scan(row_filter=asked).to_arrow()["name"].to_pylist() == wanted
    at = table.snapshot_by_name(OLD).snapshot_id
    [task] = table.scan(row_filter=asked, snapshot_id=at).plan_files()
    assert f"/account={account}/" in task.file.file_path
    assert lake.names_in_polars(TABLE) == ["f4", "f5", "f6"]


async def test_the_next_commit_is_one_version_and_a_prune_removes_the_old_ones(lake):
    publish_large(lake, LATER)
    removed = prune(lake.root, KeepRules(last=2), NOW, lakes=[open_lake(lake.settings)]).removed
    assert sorted(entry.snapshot_id for entry in removed) == [OLDEST, OLD]
    table = lake.table(TABLE)
    assert lake.commits(TABLE) == [NEW, LATER]
    of_later = [each for each in table.snapshots() if each.summary["acs-inventory.snapshot-id"] == LATER]
    assert len(of_later) == 1
    assert lake.names(TABLE) == lake.names(TABLE, NEW) == ["f4", "f5", "f6"]
