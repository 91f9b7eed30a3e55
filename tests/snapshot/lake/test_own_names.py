"""The names of the lake's own tables: `_scopes` and `_snapshots`, and plain ones where a catalog refuses these."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyiceberg.utils.config
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import BadRequestError, RESTError, ServerError

from crawler.errors import ConfigError, UnfinishedCommitError
from crawler.snapshot import (
    BucketDestination,
    BucketReader,
    LakeSettings,
    Ledger,
    ObjectStore,
    SnapshotWriter,
    open_lake,
    publish_lake,
)
from crawler.snapshot.bucket.prune import prune_bucket
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.lake.base import OWN_TABLES, SCOPES, SNAPSHOT_TABLE
from crawler.snapshot.lake.verify import verify_lakes
from crawler.snapshot.layout import snapshot_in_path
from crawler.snapshot.location import bucket_place
from crawler.snapshot.retention import KeepRules
from tests.support import command_server
from tests.support.lakes import FORMATS, Local
from tests.support.object_stores import BUCKET, KEY_ID, KEY_SECRET, s3_server
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    ROWS,
    SCHEMA,
    SCHEMAS,
    START,
    draft,
    write_scopes,
)

LATER = "20261122T020000Z-0000"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FUNCTIONS = {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1"]}
PLAIN = {SCOPES: "scopes", SNAPSHOT_TABLE: "snapshots"}


def tables_in(catalog, namespace="acs_inventory"):
    return sorted(name for _, name in catalog.list_tables(namespace))


def snapshots_in(catalog, name, namespace="acs_inventory"):
    return sorted(catalog.load_table((namespace, name)).scan().to_arrow()["snapshot_id"].to_pylist())


async def test_pyiceberg_reads_both_tables_from_the_outputs_own_catalog(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    for snapshot_id in (OLD, NEW):
        await lake.write(snapshot_id)
    catalog = lake.catalog()
    assert tables_in(catalog) == ["_scopes", "_snapshots", *sorted(SCHEMAS)]
    assert snapshots_in(catalog, "_snapshots") == [OLD, NEW]
    assert snapshots_in(catalog, "_scopes") == [OLD] * len(ROWS) + [NEW] * len(ROWS)


async def test_readers_of_delta_take_the_folders_of_both_tables(tmp_path):
    """Also those that leave out what has an underscore at the beginning, below the folder that they are given."""
    lake = Local("delta", tmp_path / "out")
    for snapshot_id in (OLD, NEW):
        await lake.write(snapshot_id)
    for name, rows in (("_scopes", 2 * len(ROWS)), ("_snapshots", 2)):
        folder = str(lake.root / "_lake" / name)
        assert DeltaTable(folder).to_pyarrow_table().num_rows == rows
        assert pl.scan_delta(folder).collect().height == rows
        assert ds.dataset(folder, partitioning="hive").count_rows() == rows
        with duckdb.connect() as connection:
            query = f"SELECT count(*) FROM read_parquet('{folder}/**/part-*.parquet')"
            assert connection.execute(query).fetchone() == (rows,)


@pytest.mark.parametrize("kind", FORMATS)
async def test_no_command_takes_the_files_of_own_tables_for_those_of_a_snapshot(tmp_path, kind):
    lake = Local(kind, tmp_path / "out")
    for snapshot_id in (OLD, NEW):
        await lake.crawl(snapshot_id)
    for command in (["snapshots", "verify"], ["diff"], ["snapshots", "list"], ["query", "SHOW TABLES"]):
        done = command_server.run([*command, "--output", lake.root], cwd=tmp_path, env=os.environ)
        assert done.returncode == 0, done.stderr
        assert "_lake" not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as environ, pytest.MonkeyPatch.context() as env:
        catalog = "PYICEBERG_CATALOG__ACS_INVENTORY__"
        env.setenv(f"{catalog}CREDENTIAL", f"{KEY_ID}:{KEY_SECRET}")
        env.setenv(f"{catalog}OAUTH2_SERVER_URI", f"{environ['CATALOG']}/v1/oauth/tokens")
        env.setattr("pyiceberg.catalog._ENV_CONFIG", pyiceberg.utils.config.Config())  # read once per process
        yield environ


async def test_a_rest_catalog_that_refuses_the_underscore_goes_on_with_plain_names(server, tmp_path):
    """SeaweedFS answers 400 to each request about such a table. Every crawl opens the catalog anew."""
    place = bucket_place(f"s3://{BUCKET}/plain", server, tmp_path)
    settings = LakeSettings("iceberg", place, server["CATALOG"], "lake", "plain")
    store = ObjectStore(place)
    for snapshot_id in (OLD, NEW, LATER):
        destination = await BucketDestination.begin(store, snapshot_id, START, SCHEMAS)
        writer = SnapshotWriter(destination, SCHEMAS)
        ledger = await write_scopes(writer, FUNCTIONS, snapshot_id)
        manifest = await writer.commit(draft(), ledger)
        await writer.abandon()
        lake = open_lake(settings)
        lake.check([*SCHEMAS, *OWN_TABLES])
        done = publish_lake(lake, manifest, SCHEMAS, Ledger(ledger))
        assert (done.tables_moved, done.problems) == (3, ())
    lake = open_lake(settings)
    assert lake.added([SNAPSHOT_TABLE]) == {OLD, NEW, LATER}
    assert lake.named(OWN_TABLES, [])[SCOPES] == {OLD, NEW, LATER}
    assert lake.missing(OWN_TABLES) == []
    plan = await prune_bucket(store, BucketReader(place), KeepRules(last=2), NOW, [lake])
    assert [entry.snapshot_id for entry in plan.removed] == [OLD]
    keys = {"s3.access-key-id": KEY_ID, "s3.secret-access-key": KEY_SECRET, "s3.endpoint": server["AWS_ENDPOINT_URL"]}
    catalog = load_catalog("acs-inventory", type="rest", uri=server["CATALOG"], warehouse="lake", **keys)
    assert tables_in(catalog, "plain") == ["fc_functions", "scopes", "snapshots"]
    assert snapshots_in(catalog, "scopes", "plain") == snapshots_in(catalog, "snapshots", "plain") == [NEW, LATER]
    paths = [entry.path for entry in await store.list("_lake") if entry.path.endswith(".parquet")]
    assert sorted(snapshot_in_path(path) for path in paths) == [NEW, NEW, LATER, LATER]


def refuse(monkeypatch, error):
    """Let the SQL catalog refuse to make a table by such a name, and answer other requests about it as before."""
    real = SqlCatalog.create_table

    def create_table(self, identifier, *given, **named):
        if identifier[-1].startswith("_"):
            raise error
        return real(self, identifier, *given, **named)

    monkeypatch.setattr(SqlCatalog, "create_table", create_table)


@pytest.mark.parametrize("error", [BadRequestError("400"), RESTError("422")], ids=["400", "422"])
async def test_the_tables_that_a_catalog_has_are_used_further(tmp_path, monkeypatch, error):
    """It refuses at creation only. A later release of it takes the name."""
    lake = Local("iceberg", tmp_path / "out")
    with monkeypatch.context() as patched:
        refuse(patched, error)
        await lake.write(OLD)
    await lake.write(NEW)
    catalog = lake.catalog()
    assert tables_in(catalog) == [*sorted(SCHEMAS), "scopes", "snapshots"]
    assert snapshots_in(catalog, "snapshots") == [OLD, NEW]
    with monkeypatch.context() as patched:
        refuse(patched, error)
        for name, plain in PLAIN.items():
            catalog.rename_table(("acs_inventory", plain), ("acs_inventory", name))
        await lake.write(LATER)
    assert tables_in(catalog) == ["_scopes", "_snapshots", *sorted(SCHEMAS)]
    assert snapshots_in(catalog, "_snapshots") == [OLD, NEW, LATER]


async def test_an_error_that_is_no_refusal_makes_no_other_table(tmp_path, monkeypatch):
    lake = Local("iceberg", tmp_path / "out")
    with monkeypatch.context() as patched:
        refuse(patched, ServerError("500"))
        with pytest.raises(UnfinishedCommitError, match="the lake's table _scopes isn't moved to it"):
            await lake.write(OLD)
    assert tables_in(lake.catalog()) == sorted(SCHEMAS)
    lake.publish(OLD)
    assert tables_in(lake.catalog()) == ["_scopes", "_snapshots", *sorted(SCHEMAS)]


async def test_a_table_of_a_user_with_a_plain_name_stays_as_it_is(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    lake.root.mkdir()
    open_lake(lake.settings)
    catalog = lake.catalog()
    place = (lake.root / "_iceberg/acs_inventory/snapshots").as_uri()
    theirs = catalog.create_table(("acs_inventory", "snapshots"), SCHEMA, place)
    for snapshot_id in (OLD, NEW, LATER):
        await lake.crawl(snapshot_id)
    removed = prune(lake.root, KeepRules(last=2), NOW, lakes=[open_lake(lake.settings)]).removed
    assert [entry.snapshot_id for entry in removed] == [OLD]
    found = catalog.load_table(("acs_inventory", "snapshots"))
    assert found.metadata_location == theirs.metadata_location
    assert verify_lakes(lake.root) == ([], [])
    assert snapshots_in(catalog, "_snapshots") == [NEW, LATER]


async def test_a_table_of_a_user_isnt_taken_for_an_own_one(tmp_path, monkeypatch):
    """In a catalog that refuses the underscore, the plain name is the only one that is left."""
    lake = Local("iceberg", tmp_path / "out")
    lake.root.mkdir()
    open_lake(lake.settings)
    catalog = lake.catalog()
    place = (lake.root / "_iceberg/acs_inventory/snapshots").as_uri()
    theirs = catalog.create_table(("acs_inventory", "snapshots"), SCHEMA, place)
    refuse(monkeypatch, BadRequestError("400"))
    with pytest.raises(UnfinishedCommitError, match=r"acs_inventory.snapshots of the catalog was made by another prog"):
        await lake.write(OLD)
    catalog.rename_table(("acs_inventory", "snapshots"), ("acs_inventory", "_snapshots"))
    with pytest.raises(ConfigError, match="_snapshots of the catalog was made by another program; set another namesp"):
        open_lake(lake.settings).check(OWN_TABLES)
    assert catalog.load_table(("acs_inventory", "_snapshots")).metadata_location == theirs.metadata_location
