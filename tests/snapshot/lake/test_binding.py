"""A lake belongs to its output: a copy, another output or a stranger never changes its tables (P18, F67, F68)."""

from __future__ import annotations

import os
import shutil

import pytest
from deltalake import DeltaTable

from crawler.errors import ConfigError, UnfinishedCommitError
from crawler.snapshot import open_lake
from crawler.snapshot.lake.base import TableContent
from crawler.snapshot.lake.identity import keep_record, new_record, read_record
from tests.support import command_server
from tests.support.crawl_runner import site
from tests.support.lakes import FORMATS, Local, contents
from tests.support.snapshot_fakes import ACCOUNT, NEW, OLD, SCHEMA, write_snapshot

LATER = "20261122T020000Z-0000"
LATEST_ROWS = {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f9"]}


def prune(root, *more):
    done = command_server.run(
        ["snapshots", "prune", "--keep-last", "1", "--output", root, *more], cwd=root.parent, env=os.environ
    )
    assert "Traceback" not in done.stderr
    return done


async def lake_in(root, kind="iceberg", **settings):
    """An output with two snapshots in its lake."""
    lake = Local(kind, root, **settings)
    for snapshot_id in (OLD, NEW):
        await lake.crawl(snapshot_id)
    return lake


def without_properties(lake):
    """Make the tables those of a release that gave them no properties."""
    for name in ("fc_functions", "opensearch_apps"):
        with lake.table(name).transaction() as change:
            change.remove_properties("acs-inventory.output", "acs-inventory.output-id")
    shutil.rmtree(lake.root / "_lake")


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_a_crawl_and_a_prune_of_a_copy_leave_every_byte_of_the_original(tmp_path, is_recorded):
    """P18, F67: `cp -a`, or a backup put back elsewhere; also of a release that wrote no record."""
    original = await lake_in(tmp_path / "original")
    if not is_recorded:
        without_properties(original)
    shutil.copytree(original.root, tmp_path / "copy")
    before = contents(original.root)
    copy = Local("iceberg", tmp_path / "copy")
    with pytest.raises(ConfigError, match=r"original.* remove the folders _lake and _iceberg from it"):
        await copy.crawl(LATER)
    done = prune(copy.root)
    assert done.returncode == 2
    assert "remove the folders _lake and _iceberg from it" in done.stderr
    assert contents(original.root) == before
    assert original.names("fc_functions", OLD) == ["f1", "f2", "f3"]


@pytest.mark.filterwarnings("ignore:Iceberg scan planning")  # of Polars, which has a plugin that is faster
async def test_what_a_refused_copy_is_told_makes_it_an_output_of_its_own(tmp_path):
    """F67: the remedy of the message holds, and the original is still as it was."""
    original = await lake_in(tmp_path / "original")
    shutil.copytree(original.root, tmp_path / "copy")
    before = contents(original.root)
    copy = Local("iceberg", tmp_path / "copy")
    for folder in ("_lake", "_iceberg"):
        shutil.rmtree(copy.root / folder)
    await copy.crawl(LATER, LATEST_ROWS)
    assert copy.names("fc_functions") == ["f9"]
    assert prune(copy.root).returncode == 0
    assert copy.names("fc_functions") == copy.names_in_polars("fc_functions") == ["f9"]
    assert contents(original.root) == before
    assert read_record(copy.root).id != read_record(original.root).id


async def test_a_copy_of_a_delta_table_is_a_table_of_its_own(tmp_path):
    """P18: Delta's log has relative paths, so that a copy is read, moved and pruned without its original."""
    original = await lake_in(tmp_path / "original", "delta")
    shutil.copytree(original.root, tmp_path / "copy")
    before = contents(original.root)
    copy = Local("delta", tmp_path / "copy")
    await copy.crawl(LATER, LATEST_ROWS)
    assert copy.names("fc_functions") == ["f9"]
    assert "Removed" in prune(copy.root).stdout
    assert contents(original.root) == before
    assert original.names("fc_functions") == ["f1", "f2", "f3"]
    (tmp_path / "copy").rename(tmp_path / "moved")
    moved = Local("delta", tmp_path / "moved")
    assert moved.names("fc_functions") == moved.names_in_polars("fc_functions") == ["f9"]


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_an_output_that_was_moved_says_so_before_anything_is_changed(tmp_path, is_recorded):
    """F67: also if a folder above it was renamed. Moved back, it works as before."""
    parent = tmp_path / "before"
    parent.mkdir()
    lake = await lake_in(parent / "out")
    if not is_recorded:
        without_properties(lake)
    parent.rename(tmp_path / "after")
    moved = Local("iceberg", tmp_path / "after/out")
    with pytest.raises(ConfigError, match=r"moved.* remove the folders _lake and _iceberg from it"):
        await moved.crawl(LATER)
    assert prune(moved.root).returncode == 2
    (tmp_path / "after").rename(parent)
    await lake.crawl(LATER, LATEST_ROWS)
    assert lake.names("fc_functions") == ["f9"]


async def test_a_link_to_a_folder_above_the_output_is_the_same_place(tmp_path):
    """F67: the place is the folder itself, whichever way leads there."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    await Local("iceberg", tmp_path / "link/out").crawl(OLD)
    lake = Local("iceberg", tmp_path / "disk/out")
    await lake.crawl(NEW, LATEST_ROWS)
    assert lake.names("fc_functions") == ["f9"]
    assert lake.commits("fc_functions") == [OLD, NEW]


async def test_two_outputs_with_the_same_tables_in_a_catalog_are_noticed(tmp_path):
    """P18, F68: with the remedy, before a table is touched; a namespace of its own is one."""
    catalog = f"sqlite:///{tmp_path}/catalog.db"
    first = await lake_in(tmp_path / "first", catalog_uri=catalog)
    second = Local("iceberg", tmp_path / "second", catalog_uri=catalog)
    with pytest.raises(ConfigError, match=r"acs_inventory.fc_functions .*/first; set another namespace, or drop"):
        await second.crawl(LATER, LATEST_ROWS)
    assert first.names("fc_functions") == ["f1", "f2", "f3"]
    other = Local("iceberg", tmp_path / "second", catalog_uri=catalog, namespace="second")
    await other.crawl(LATER, LATEST_ROWS)
    assert (first.names("fc_functions"), other.names("fc_functions")) == (["f1", "f2", "f3"], ["f9"])


async def test_two_outputs_at_one_path_of_two_machines_are_noticed(tmp_path):
    """F68: their IDs differ."""
    shared = {"catalog_uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/house"}
    lake = await lake_in(tmp_path / "out", **shared)
    (tmp_path / "out").rename(tmp_path / "of another machine")
    with pytest.raises(ConfigError, match="belongs to an earlier output at the same place"):
        await lake.crawl(LATER)


async def test_two_outputs_that_begin_at_once_do_not_take_each_others_tables(tmp_path):
    """F68: each found no table when it began; the table belongs to the one that makes it."""
    catalog = f"sqlite:///{tmp_path}/catalog.db"
    first, second = (Local("iceberg", tmp_path / name, catalog_uri=catalog) for name in ("first", "second"))
    lake = open_lake(second.settings)
    await first.crawl(OLD)
    manifest = await write_snapshot(second.root, NEW)
    with pytest.raises(ConfigError, match="belongs to another output"):
        lake.move(TableContent("fc_functions", SCHEMA, (), manifest.tables["fc_functions"].files, None, NEW))
    with pytest.raises(UnfinishedCommitError, match="belongs to another output"):
        second.publish(NEW)
    assert first.names("fc_functions") == ["f1", "f2", "f3"]


async def test_tables_of_an_earlier_release_become_those_of_their_output(tmp_path):
    """F67: a table without properties is known by its files, and gets the properties with the next snapshot."""
    lake = await lake_in(tmp_path / "out")
    without_properties(lake)
    await lake.crawl(LATER, LATEST_ROWS)
    found = lake.table("fc_functions").properties
    assert found["acs-inventory.output"] == f"file://{lake.root}"
    assert found["acs-inventory.output-id"] == read_record(lake.root).id
    assert lake.names("fc_functions") == ["f9"]


async def test_two_first_crawls_give_an_output_one_id(tmp_path):
    """F67: the record is made by one rename, under a lock; what a killed crawl left is removed."""
    lake = Local("iceberg", tmp_path / "out")
    lake.root.mkdir()
    (lake.root / "_staging").mkdir()
    (lake.root / "_staging/lake").mkdir()
    (lake.root / "_staging/lake/output.json").write_text("of a crawl that was killed")
    first, second = new_record(lake.settings), new_record(lake.settings)
    assert await keep_record(None, lake.settings, first) == first
    assert await keep_record(None, lake.settings, second) == first
    await lake.crawl()
    assert lake.table("fc_functions").properties["acs-inventory.output-id"] == first.id
    assert read_record(lake.root) == first
    assert not (lake.root / "_staging/lake").exists()


async def test_crawl_into_a_copy_asks_the_cloud_nothing(tmp_path):
    """F67, F68: exit code 2 before the first request."""
    async with site(tmp_path) as cloud:
        config = cloud.config(tables=["fc_layers"], regions=["cn-hangzhou"]).with_overrides(output_format="iceberg")
        await cloud.crawl(config)
        copy = tmp_path / "copy"
        shutil.copytree(cloud.output, copy)
        asked = len(cloud.cloud.requests.entries)
        with pytest.raises(ConfigError, match="was copied or moved from"):
            await cloud.crawl(config.with_overrides(output=str(copy)))
        assert len(cloud.cloud.requests.entries) == asked
        await cloud.crawl(config)


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_crawl_of_files_alone_into_a_copy_is_not_refused(tmp_path, kind):
    lake = await lake_in(tmp_path / "out", kind)
    shutil.copytree(lake.root, tmp_path / "copy")
    await write_snapshot(tmp_path / "copy", LATER)
    assert kind == "iceberg" or len(DeltaTable(str(tmp_path / "copy/fc_functions")).file_uris()) == 1
