"""Crawls into Iceberg and Delta tables: every default table, the same rows as its files."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

from crawler.catalog import load_catalog as load_operations
from crawler.snapshot import LakeSettings, open_lake, publish_lake
from tests.support.crawl_runner import SMALL, fast_cloud, site


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


def own_catalog(output):
    place = (output / "_iceberg").resolve()
    return load_catalog("acs-inventory", type="sql", uri=f"sqlite:///{place}/catalog.db")
