"""Iceberg and Delta: the same rows as the files, one commit per table, the snapshot's ID on each (P1)."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pyiceberg.utils.config
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

from crawler.errors import ConfigError, OutputError
from crawler.extras import how_to_install
from crawler.snapshot import (
    BucketDestination,
    LakeSettings,
    Ledger,
    ObjectStore,
    SnapshotWriter,
    Status,
    UnfinishedCommitError,
    list_snapshots,
    open_lake,
    publish_lake,
    read_ledger,
    read_manifest,
)
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.lake.known import known_lakes
from crawler.snapshot.location import bucket_place
from crawler.snapshot.retention import KeepRules
from tests.support import command_server
from tests.support.lakes import FORMATS, Local
from tests.support.object_stores import KEY_ID, KEY_SECRET, s3_server
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    OTHER,
    ROWS,
    SCHEMA,
    SCHEMAS,
    START,
    draft,
    ledger_row,
    write_scopes,
    write_snapshot,
)

LATER = "20261122T020000Z-0000"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
COLUMNS = ["account_id", "region_id", "name"]


@pytest.fixture(params=FORMATS)
def lake(request, tmp_path):
    return Local(request.param, tmp_path / "out")


def in_order(table):
    plain = table.select(SCHEMA.names).to_pylist(maps_as_pydicts="strict")
    return sorted(plain, key=lambda row: [row[column] for column in COLUMNS])


async def test_lake_holds_the_same_rows_as_the_files(lake):
    manifest = await lake.write()
    for name, entry in manifest.tables.items():
        files = pa.concat_tables(pq.read_table(lake.root / file.path, partitioning=None) for file in entry.files)
        assert in_order(lake.rows(name)) == in_order(files), name
    assert lake.commits("fc_functions") == lake.commits("opensearch_apps") == [NEW]
    assert lake.rows("fc_functions")["account_id"].type in (pa.string(), pa.large_string()), "text, in every reader"


async def test_next_snapshot_takes_the_place_of_the_last_and_the_last_is_reached_by_its_id(lake):
    await lake.write(OLD)
    await lake.write(NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f2", "f9"]})
    assert lake.names("fc_functions") == ["f2", "f9"]
    assert lake.names("fc_functions", OLD) == ["f1", "f2", "f3"]
    assert lake.commits("fc_functions") == sorted([OLD, NEW])
    assert lake.commits("opensearch_apps") == [OLD], "it wasn't asked for the second time"


def pruned(lake, **rules):
    return prune(lake.root, KeepRules(**rules), NOW, lakes=[open_lake(lake.settings)])


async def test_what_prune_removes_the_lake_forgets_first_and_the_rest_is_read_as_before(lake):
    for number, snapshot_id in enumerate([OLD, NEW, LATER]):
        await lake.write(snapshot_id, {scope: [f"f{number}"] for scope in ROWS})
    assert [entry.snapshot_id for entry in pruned(lake, last=2).removed] == [OLD]
    assert lake.names("fc_functions") == ["f2", "f2"]
    assert lake.names("fc_functions", NEW) == ["f1", "f1"]
    if lake.kind == "iceberg":
        assert lake.commits("fc_functions") == [NEW, LATER]


async def test_an_expired_iceberg_table_has_no_file_that_only_expired_versions_had(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    for snapshot_id in (OLD, NEW, LATER):
        await lake.write(snapshot_id)
    before = lists_of_files(lake)
    pruned(lake, last=1)
    table = lake.table("fc_functions")
    versions = table.snapshots()
    assert {version.summary["acs-inventory.snapshot-id"] for version in versions} == {LATER}
    named = {version.manifest_list for version in versions}
    named |= {manifest.manifest_path for version in versions for manifest in version.manifests(table.io)}
    assert lists_of_files(lake) == {path.removeprefix("file://") for path in named} < before
    assert lake.names("fc_functions") == ["f1", "f2", "f3"]


async def test_a_snapshot_that_is_a_lake_tables_content_stays_and_the_reason_is_said(lake):
    await lake.write(OLD, {**ROWS, ("opensearch_apps", ACCOUNT, "cn-hangzhou"): ["a1"]})
    await lake.write(NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1"]})
    done = pruned(lake, last=1)
    assert done.removed == []
    assert done.reasons[OLD] == ["the lake's opensearch_apps is at it"]
    assert lake.names("opensearch_apps") == ["a1"]


async def test_prune_that_cannot_ask_the_lake_removes_nothing(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    await lake.write(OLD)
    await lake.write(NEW)
    opened = open_lake(lake.settings)
    with sqlite3.connect(lake.root / "_iceberg/catalog.db") as catalog:
        catalog.execute("DROP TABLE iceberg_tables")
    with pytest.raises(OutputError, match=r"^the Iceberg catalog can't be read \(OperationalError\)$"):
        prune(lake.root, KeepRules(last=1), NOW, lakes=[opened])
    assert [entry.snapshot_id for entry in list_snapshots(lake.root)] == [NEW, OLD]


async def test_the_command_finds_the_lakes_that_lie_in_the_output(lake):
    await lake.write(OLD)
    await lake.write(NEW)
    assert known_lakes(lake.root, None) == [lake.settings]
    assert known_lakes(lake.root / "none", None) == []
    shown = command_server.run(
        ["snapshots", "prune", "--keep-last", "1", "--output", lake.root], cwd=".", env=os.environ
    )
    assert shown.returncode == 0
    assert "Removed" in shown.stdout
    if lake.kind == "iceberg":
        assert lake.commits("fc_functions") == [NEW]
    assert lake.names("fc_functions") == ["f1", "f2", "f3"]


def lists_of_files(lake):
    return {str(path) for path in (lake.root / "_iceberg").rglob("fc_functions/metadata/*.avro")}


async def test_partial_snapshot_is_not_in_the_lake(lake):
    """P5: a scope that failed would look deleted."""
    await lake.write(OLD)
    failed = ledger_row("fc_functions", OTHER, status=Status.FAILED)
    await lake.write(NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1"]}, [failed])
    assert lake.names("fc_functions") == ["f1", "f2", "f3"]
    assert lake.commits("fc_functions") == [OLD]


async def test_table_that_became_empty_is_empty(lake):
    await lake.write(OLD)
    await lake.write(NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): []})
    assert lake.names("fc_functions") == []
    await lake.write(LATER, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1"]})
    assert lake.names("fc_functions") == ["f1"]
    assert lake.names("fc_functions", OLD) == ["f1", "f2", "f3"]


async def test_table_that_nowhere_is_supported_any_more_is_empty(lake):
    await lake.write(OLD)
    await lake.write(
        NEW,
        {("opensearch_apps", ACCOUNT, "cn-hangzhou"): []},
        [ledger_row("fc_functions", status=Status.UNSUPPORTED)],
    )
    assert lake.names("fc_functions") == []


async def test_lake_never_goes_back_and_the_same_snapshot_is_committed_once(lake):
    await lake.write(NEW)
    lake.publish(NEW)
    await lake.write(OLD, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["old"]})
    assert lake.names("fc_functions") == ["f1", "f2", "f3"]
    assert lake.commits("fc_functions") == [NEW]


async def test_table_leaves_a_snapshot_from_the_future_as_latest_does(lake):
    """P1: its content is that of LATEST, and afterwards moves forwards only."""
    await lake.write("20991231T020000Z-0000")
    manifest = await write_snapshot(lake.root, NEW, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f9"]})
    opened = open_lake(lake.settings)
    lake.publish_to(opened, manifest)
    assert lake.names("fc_functions") == ["f1", "f2", "f3"], "LATEST didn't leave it"
    lake.publish_to(opened, msgspec.structs.replace(manifest, replaced_latest="20991231T020000Z-0000"))
    assert lake.names("fc_functions") == ["f9"]
    await lake.write(LATER, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f10"]})
    assert lake.names("fc_functions") == ["f10"]
    lake.publish(NEW)
    assert lake.names("fc_functions") == ["f10"]


async def test_columns_that_a_release_adds_are_added(lake, monkeypatch):
    """Schema evolution by field, nested ones too."""
    await lake.write(OLD)
    config = pa.struct([*SCHEMA.field("config").type, pa.field("deep", pa.int64())])
    wide = SCHEMA.set(5, pa.field("config", config)).insert(6, pa.field("added", pa.timestamp("us", tz="UTC")))
    schemas = dict.fromkeys(SCHEMAS, wide)
    await lake.write(NEW, schemas=schemas)
    table = lake.table("fc_functions")
    schema = pa.schema(table.schema().as_arrow() if lake.kind == "iceberg" else table.schema().to_arrow())
    assert set(schema.names) == set(wide.names)
    assert {field.name for field in schema.field("config").type} == {"size", "tags", "deep"}
    assert lake.names("fc_functions") == lake.names("fc_functions", OLD) == ["f1", "f2", "f3"]


async def test_commit_that_fails_says_that_the_files_are_there_and_is_made_good(lake, monkeypatch):
    await write_snapshot(lake.root, OLD)
    opened = open_lake(lake.settings)
    real, calls = type(opened).move, []

    def move(self, content):
        calls.append(content.table)
        if len(calls) == 2:
            raise RuntimeError("sqlite:///me:CANARY@")
        real(self, content)

    monkeypatch.setattr(type(opened), "move", move)
    with pytest.raises(UnfinishedCommitError, match="the lake's table opensearch_apps isn't moved") as caught:
        lake.publish(OLD)
    assert "CANARY" not in str(caught.value)
    monkeypatch.undo()
    lake.publish(OLD)
    assert lake.commits("fc_functions") == lake.commits("opensearch_apps") == [OLD]


async def test_catalog_of_ones_own_is_private_and_another_can_be_named(tmp_path):
    lake = Local("iceberg", tmp_path / "out")
    await lake.write()
    assert (lake.root / "_iceberg").stat().st_mode & 0o077 == 0
    elsewhere = f"sqlite:///{tmp_path}/other.db"
    settings = LakeSettings("iceberg", lake.root, elsewhere, f"file://{tmp_path}/house", "lake")
    manifest = read_manifest(lake.root, NEW)
    publish_lake(open_lake(settings), manifest, SCHEMAS, read_ledger(lake.root, manifest))
    with sqlite3.connect(tmp_path / "other.db") as connection:
        found = connection.execute("SELECT table_namespace, table_name FROM iceberg_tables ORDER BY 2").fetchall()
    connection.close()
    assert found == [("lake", name) for name in ("_scopes", "_snapshots", "fc_functions", "opensearch_apps")]


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as environ:
        yield environ


@pytest.mark.parametrize("kind", FORMATS)
async def test_lake_in_a_bucket_holds_the_same_rows(server, tmp_path, kind):
    place = bucket_place(f"s3://inventory/{kind}", server, tmp_path)
    settings = LakeSettings(kind, place, f"sqlite:///{tmp_path}/catalog.db")
    for snapshot_id, names in ((OLD, ["a", "b"]), (NEW, ["b", "c"])):
        destination = await BucketDestination.begin(ObjectStore(place), snapshot_id, START, SCHEMAS)
        writer = SnapshotWriter(destination, SCHEMAS)
        ledger = await write_scopes(writer, {("fc_functions", ACCOUNT, "cn-hangzhou"): names}, snapshot_id)
        manifest = await writer.commit(draft(), ledger)
        await writer.abandon()
        publish_lake(open_lake(settings), manifest, SCHEMAS, Ledger(ledger))
    if kind == "delta":
        options = {"AWS_ENDPOINT_URL": server["AWS_ENDPOINT_URL"], "AWS_ALLOW_HTTP": "true", **server}
        table = DeltaTable("s3://inventory/delta/fc_functions", storage_options=options)
        assert [entry.get("acs-inventory.snapshot-id") for entry in table.history()] == [NEW, OLD]
        assert len(table.file_uris()) == 1
        assert NEW in table.file_uris()[0]
        return
    names = {"s3.endpoint": place.endpoint, "s3.region": "us-east-1", "s3.access-key-id": KEY_ID}
    catalog = load_catalog(
        "acs-inventory", type="sql", uri=settings.catalog_uri, **names, **{"s3.secret-access-key": KEY_SECRET}
    )
    table = catalog.load_table("acs_inventory.fc_functions")
    assert sorted(table.scan().to_arrow()["name"].to_pylist()) == ["b", "c"]
    old = table.snapshot_by_name(OLD).snapshot_id
    assert sorted(table.scan(snapshot_id=old).to_arrow()["name"].to_pylist()) == ["a", "b"]


async def test_rest_catalog_holds_the_same_rows(server, tmp_path, monkeypatch):
    """pyiceberg reads the REST credentials from its own variable, so that no configuration holds them."""
    monkeypatch.setenv("PYICEBERG_CATALOG__ACS_INVENTORY__CREDENTIAL", f"{KEY_ID}:{KEY_SECRET}")
    monkeypatch.setenv("PYICEBERG_CATALOG__ACS_INVENTORY__OAUTH2_SERVER_URI", f"{server['CATALOG']}/v1/oauth/tokens")
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", pyiceberg.utils.config.Config())  # read once per process
    place = bucket_place("s3://inventory/rest", server, tmp_path)
    settings = LakeSettings("iceberg", place, server["CATALOG"], "lake")
    for snapshot_id, names in ((OLD, ["a", "b"]), (NEW, ["b", "c"])):
        destination = await BucketDestination.begin(ObjectStore(place), snapshot_id, START, SCHEMAS)
        writer = SnapshotWriter(destination, SCHEMAS)
        ledger = await write_scopes(writer, {("fc_functions", ACCOUNT, "cn-hangzhou"): names}, snapshot_id)
        manifest = await writer.commit(draft(), ledger)
        await writer.abandon()
        publish_lake(open_lake(settings), manifest, SCHEMAS, Ledger(ledger))
    names = {"s3.endpoint": place.endpoint, "s3.region": "us-east-1", "s3.access-key-id": KEY_ID}
    names |= {"s3.secret-access-key": KEY_SECRET, "warehouse": "lake"}
    catalog = load_catalog("acs-inventory", type="rest", uri=server["CATALOG"], **names)
    table = catalog.load_table("acs_inventory.fc_functions")
    assert table.properties["acs-inventory.snapshot-id"] == NEW
    assert sorted(table.scan().to_arrow()["name"].to_pylist()) == ["b", "c"]
    old = table.snapshot_by_name(OLD).snapshot_id
    assert sorted(table.scan(snapshot_id=old).to_arrow()["name"].to_pylist()) == ["a", "b"]


def test_extra_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("crawler.snapshot.lake.publish.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=re.escape(how_to_install("delta"))):
        open_lake(LakeSettings("delta", tmp_path))


def test_what_a_lake_cannot_be_on_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="an output in a bucket needs a separate catalog"):
        open_lake(LakeSettings("iceberg", bucket_place("s3://bucket/x", {"AWS_REGION": "x"}, tmp_path)))
    with pytest.raises(ConfigError, match="must be https"):
        open_lake(LakeSettings("iceberg", tmp_path, "http://catalog.example"))
    with pytest.raises(ConfigError, match=r"the catalog can't be reached \(\w+\)") as caught:
        open_lake(LakeSettings("iceberg", tmp_path, "postgresql+nothing://me:CANARY@127.0.0.1:9/x"))
    assert "CANARY" not in str(caught.value)
