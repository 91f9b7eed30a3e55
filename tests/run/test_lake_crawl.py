"""Crawls into Iceberg and Delta tables: every default table, the same rows as its files."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

from crawler.catalog import load_catalog as load_operations
from crawler.cli.crawl_summary import summarize
from crawler.cli.live import _headline
from crawler.run import run_steps
from crawler.run.progress import CrawlMonitor
from crawler.run.run import crawl
from crawler.run.system import System
from crawler.snapshot import LakeSettings, open_lake, publish_lake
from tests.support.crawl_runner import SMALL, fast_cloud, site
from tests.support.shared_crawls import many_accounts, shared_output

MOMENTS = ("fetched_at", "snapshot_id")


def keyed(table: pa.Table, key: tuple[str, ...]) -> list[tuple]:
    names = ("account_id", "region_id", "fetched_at", *key)
    return sorted(zip(*(map(str, table[name].to_pylist()) for name in names), strict=True))


async def test_lakes_have_the_rows_of_every_table(tmp_path):
    """Every default table of the catalog is one that both formats take."""
    async with site(tmp_path, fast_cloud(accounts=(SMALL,), regions=("cn-hangzhou",))) as cloud:
        result = await cloud.crawl(cloud.config())
    operations = load_operations().operations
    schemas = {table: operations[table].schema for table in result.manifest.tables}
    for kind in ("iceberg", "delta"):
        publish_lake(open_lake(LakeSettings(kind, cloud.output)), result.manifest, schemas, result.ledger)
    catalog = own_catalog(cloud.output)
    assert len(result.manifest.tables) > 50
    for name, entry in result.manifest.tables.items():
        files = pa.concat_tables(pq.read_table(cloud.output / file.path, partitioning=None) for file in entry.files)
        wanted = keyed(files, operations[name].key)
        assert keyed(catalog.load_table(("acs_inventory", name)).scan().to_arrow(), operations[name].key) == wanted, (
            name
        )
        uris = DeltaTable(str(cloud.output / name)).file_uris()
        parts = [pq.read_table(path, partitioning=None) for path in uris] or [files.slice(0, 0)]
        assert keyed(pa.concat_tables(parts), operations[name].key) == wanted, name


@pytest.mark.parametrize("kind", ["iceberg", "delta"])
async def test_format_of_a_crawl_is_that_of_the_command_line(tmp_path, kind):
    async with site(tmp_path, fast_cloud(accounts=(SMALL,), regions=("cn-hangzhou",))) as cloud:
        result = await cloud.crawl(cloud.config(tables=["fc_layers"]).with_overrides(output_format=kind))
    rows = result.manifest.tables["fc_layers"].rows
    assert rows
    if kind == "delta":
        assert DeltaTable(str(cloud.output / "fc_layers")).get_add_actions().num_rows == 1
    else:
        assert own_catalog(cloud.output).load_table("acs_inventory.fc_layers").scan().count() == rows


def lake_rows(output, kind, table="fc_layers"):
    """Return the rows of a lake's table without moments, and how many times it was published to."""
    if kind == "delta":
        opened = DeltaTable(str(output / table))
        found, times = opened.to_pyarrow_table(), len(opened.history()) - 1
    else:
        loaded = own_catalog(output).load_table(f"acs_inventory.{table}")
        found, times = loaded.scan().to_arrow(), len(loaded.metadata.snapshots)
    rows = [{key: value for key, value in row.items() if key not in MOMENTS} for row in found.to_pylist()]
    return sorted(map(str, rows)), times


@pytest.mark.parametrize("kind", ["iceberg", "delta"])
async def test_a_run_is_published_once_with_the_rows_of_one_process(tmp_path, kind):
    """P32."""
    async with shared_output("folder", tmp_path, many_accounts(4, 1)) as output:
        config = output.config().with_overrides(output_format=kind)
        result = await output.shards(3, config=config)
        rows, times = lake_rows(output.root, kind)
        assert len(rows) == result.manifest.tables["fc_layers"].rows > 0
        await output.crawl(config)
    assert lake_rows(output.root, kind) == (rows, times + 1)


@pytest.mark.parametrize("kind", ["iceberg", "delta"])
async def test_a_run_that_was_committed_and_not_published_is_published_by_the_next_joiner(tmp_path, kind, monkeypatch):
    """F131, P32."""
    async with shared_output("folder", tmp_path, many_accounts(2, 1)) as output:
        config = output.config().with_overrides(output_format=kind)
        await output.some_shards([0], 2, config=config)
        await output.report(1, 2, config=config)

        async def died(*arguments):
            raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(run_steps, "publish", died)
            with pytest.raises(Stopped):
                await output.commit(config=config)
        assert len(output.manifests()) == 1
        result = await output.commit(config=config)
        assert len(lake_rows(output.root, kind)[0]) == result.manifest.tables["fc_layers"].rows > 0
        assert (await output.files().joined()).status == "complete"
        assert output.manifests() == [result.snapshot_id]


@pytest.mark.parametrize("kind", ["iceberg", "delta"])
async def test_a_run_is_committed_into_the_tables_that_it_was_planned_for(tmp_path, kind):
    """`snapshots commit` has no `--format`, and the configuration names none."""
    async with shared_output("folder", tmp_path, many_accounts(2, 1)) as output:
        planned = output.config().with_overrides(output_format=kind)
        await output.some_shards([0], 2, config=planned)
        await output.report(1, 2, config=planned)
        result = await output.commit()
    assert len(lake_rows(output.root, kind)[0]) == result.manifest.tables["fc_layers"].rows > 0


class Stopped(BaseException):
    """The process ends at this point."""


def own_catalog(output):
    place = (output / "_iceberg").resolve()
    return load_catalog("acs-inventory", type="sql", uri=f"sqlite:///{place}/catalog.db")


@pytest.mark.parametrize("kind", ["iceberg", "delta"])
async def test_the_commits_of_a_lake_count_in_the_time_and_are_shown(tmp_path, kind):
    async with site(tmp_path, fast_cloud(accounts=(SMALL,), regions=("cn-hangzhou",))) as cloud:
        more = '[output.lake]\nmode = "append"\n'
        config = cloud.config(more, tables=["fc_layers"]).with_overrides(output_format=kind)
        monitor = CrawlMonitor()
        result = await crawl(config, System(environ={}, home=tmp_path), monitor)
        assert (monitor.lake.done, monitor.lake.total) == (3, 3)
        assert "3/3 lake tables moved" in _headline(monitor).plain
        again = await cloud.crawl(config)
    summary = summarize(result, "x")
    assert (summary["lake"]["format"], summary["lake"]["tables_moved"]) == (kind, 3)
    own_s = (result.finished_at - result.started_at).total_seconds()
    assert result.seconds == pytest.approx(own_s + result.lake.seconds)
    rows, times = lake_rows(cloud.output, kind)
    assert len(rows) == result.rows + again.rows
    assert times == (1 if kind == "delta" else 2)


async def test_a_crawl_without_a_lake_has_none_in_its_summary(tmp_path):
    async with site(tmp_path, fast_cloud(accounts=(SMALL,), regions=("cn-hangzhou",))) as cloud:
        result = await cloud.crawl(cloud.config(tables=["fc_layers"]))
    assert summarize(result, "x")["lake"] is None
