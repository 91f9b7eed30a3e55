"""`prune` asks every lake whose tables may name files of the output, and removes none of those files (P18, F70)."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from crawler.errors import ConfigError
from crawler.snapshot import (
    BucketDestination,
    LakeSettings,
    Ledger,
    ObjectStore,
    SnapshotWriter,
    list_snapshots,
    open_lake,
    publish_lake,
)
from crawler.snapshot.bucket.prune import prune_bucket
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.lake.catalog import catalog_record
from crawler.snapshot.lake.claim import claim_lake
from crawler.snapshot.lake.known import known_lakes
from crawler.snapshot.location import bucket_place
from crawler.snapshot.reader import BucketReader
from crawler.snapshot.retention import KeepRules
from tests.support import command_server
from tests.support.lakes import FORMATS, Local
from tests.support.object_stores import s3_server
from tests.support.snapshot_fakes import (
    ACCOUNT,
    NEW,
    OLD,
    SCHEMAS,
    START,
    draft,
    write_scopes,
    write_snapshot,
)

FUNCTIONS = {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1"]}
APPS = {("opensearch_apps", ACCOUNT, "cn-hangzhou"): ["a1"]}
LATER = "20261122T020000Z-0000"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def outside(tmp_path):
    """An output whose tables are in a catalog outside of it."""
    return Local("iceberg", tmp_path / "out", catalog_uri=f"sqlite:///{tmp_path}/catalog.db")


def ids(root):
    return [entry.snapshot_id for entry in list_snapshots(root)]


def run_prune(root, *arguments, output_format="parquet", iceberg=""):
    """Run the command with a configuration that has the given `[output.iceberg]`."""
    config = root.parent / "config.toml"
    config.write_text(f'[output]\nuri = "{root}"\nformat = "{output_format}"\n{iceberg}\n[[accounts]]\nid = "1"\n')
    config.chmod(0o600)  # a catalog's URI in clear is refused in a file that others may open
    arguments = arguments or ("--config", config)
    done = command_server.run(["snapshots", "prune", "--keep-last", "1", *arguments], cwd=root.parent, env=os.environ)
    assert "Traceback" not in done.stderr
    return done


def section(lake, **more):
    keys = {"catalog_uri": lake.settings.catalog_uri, **more}
    return "[output.iceberg]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())


async def test_a_configured_catalog_is_asked_whatever_the_format(outside):
    """F70: the tables may be of `crawl --format iceberg`, or the format may have been set back since."""
    await outside.crawl(OLD, APPS)
    await outside.crawl(NEW, FUNCTIONS)
    shutil.rmtree(outside.root / "_lake")  # as an earlier release left it
    done = run_prune(outside.root, iceberg=section(outside))
    assert done.returncode == 0, done.stderr
    assert "the lake's opensearch_apps" in " ".join(done.stdout.split())
    assert outside.names("opensearch_apps") == ["a1"]
    assert ids(outside.root) == [NEW, OLD]


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_catalog_that_is_known_of_and_not_configured_stops_prune(outside, is_named):
    """F70: with `--output` alone, and with a configuration that names another catalog."""
    await outside.crawl(OLD, APPS)
    await outside.crawl(NEW, FUNCTIONS)
    other = section(outside, catalog_uri=f"sqlite:///{outside.root.parent}/other.db")
    done = run_prune(outside.root, *(() if is_named else ("--output", outside.root)), iceberg=other)
    assert done.returncode == 2
    assert f"the catalog sqlite {outside.root.parent}/catalog.db (namespace acs_inventory)" in done.stderr
    assert "remove _lake/catalog-" in done.stderr
    assert ids(outside.root) == [NEW, OLD]
    [record] = (outside.root / "_lake").glob("catalog-*.json")
    record.unlink()
    assert run_prune(outside.root, "--output", outside.root).returncode == 0


async def test_the_output_may_be_named_beside_the_configuration(outside):
    """F70: `--output` and `--config` together ask the catalog of the configuration."""
    await outside.crawl(OLD, APPS)
    await outside.crawl(NEW, FUNCTIONS)
    run_prune(outside.root, iceberg=section(outside))
    config = outside.root.parent / "config.toml"
    assert (
        run_prune(outside.root, "--output", outside.root, "--config", config, iceberg=section(outside)).returncode == 0
    )
    assert outside.names("opensearch_apps") == ["a1"]


async def test_every_namespace_that_was_configured_is_asked(outside):
    """F70: of a catalog elsewhere by the record, of the output's own by the catalog."""
    for settings in ({"catalog_uri": outside.settings.catalog_uri}, {}):
        root = outside.root if settings else outside.root.with_name("own")
        await Local("iceberg", root, namespace="before", **settings).crawl(OLD, APPS)
        await Local("iceberg", root, **settings).crawl(NEW, FUNCTIONS)
        done = run_prune(root, iceberg=section(outside) if settings else "")
        assert done.returncode == 0, done.stderr
        assert ids(root) == [NEW, OLD]
        assert Local("iceberg", root, namespace="before", **settings).names("opensearch_apps") == ["a1"]


def test_a_record_of_a_catalog_has_no_secret(tmp_path):
    """F70: user, password and query stay in the configuration."""
    for uri, catalog in (
        (
            "postgresql+psycopg2://me:CANARY@db.example:5432/lake?sslpassword=CANARY",
            "postgresql://db.example:5432/lake",
        ),
        ("postgresql://other@db.example:5432/lake", "postgresql://db.example:5432/lake"),
        ("https://me:CANARY@catalog.example/iceberg?token=CANARY", "https://catalog.example/iceberg"),
    ):
        assert catalog_record(LakeSettings("iceberg", tmp_path, uri)).catalog == catalog


async def test_a_catalog_that_vanished_stops_prune_and_is_not_made_anew(outside):
    """F70: an empty catalog in its place would say that no table names a file."""
    await outside.crawl(OLD, APPS)
    await outside.crawl(NEW, FUNCTIONS)
    catalog = outside.root.parent / "catalog.db"
    catalog.rename(catalog.with_suffix(".gone"))
    done = run_prune(outside.root, iceberg=section(outside))
    assert done.returncode == 2
    assert f"the catalog {catalog} is missing" in done.stderr
    assert ids(outside.root) == [NEW, OLD]
    assert not catalog.exists()


async def test_metadata_without_a_known_catalog_stops_prune(outside):
    """F70: an earlier release made no record; its metadata in the output shows that there are tables."""
    await outside.crawl(OLD, APPS)
    await outside.crawl(NEW, FUNCTIONS)
    shutil.rmtree(outside.root / "_lake")
    done = run_prune(outside.root, "--output", outside.root)
    assert done.returncode == 2
    assert "their catalog isn't known" in done.stderr
    assert ids(outside.root) == [NEW, OLD]


async def test_a_configured_catalog_that_was_never_used_is_not_made_by_prune(outside):
    for snapshot_id in (OLD, NEW):
        await write_snapshot(outside.root, snapshot_id)
    done = run_prune(outside.root, iceberg=section(outside))
    assert done.returncode == 0, done.stderr
    assert ids(outside.root) == [NEW]
    assert not (outside.root.parent / "catalog.db").exists()


async def test_files_that_another_program_put_into_a_table_again_stay(tmp_path):
    """P18: a table that was rolled back, a tag and a branch of a user, an appended file: each file that they name."""
    lake = Local("iceberg", tmp_path / "out")
    for snapshot_id, name in ((OLD, "f0"), (NEW, "f1"), (LATER, "f2")):
        await lake.crawl(snapshot_id, {("fc_functions", ACCOUNT, "cn-hangzhou"): [name]})
    table = lake.table("fc_functions")
    with table.manage_snapshots() as change:
        change.create_tag(table.snapshot_by_name(OLD).snapshot_id, "audit of 2026")
    done = prune(lake.root, KeepRules(last=1), NOW, lakes=[open_lake(lake.settings)])
    assert [entry.snapshot_id for entry in done.removed] == [NEW]
    assert done.reasons[OLD] == ["the lake's fc_functions is at it"]
    assert lake.names("fc_functions", "audit of 2026") == ["f0"]


async def test_a_version_of_another_program_keeps_the_files_that_it_names(tmp_path):
    """P18: such a version has no snapshot's ID, so that its files are read."""
    lake = Local("iceberg", tmp_path / "out")
    await lake.crawl(OLD, {("fc_functions", ACCOUNT, "cn-hangzhou"): ["f0", "f1"]})
    extra = lake.rows("fc_functions").slice(0, 1)
    lake.table("fc_functions").append(extra.cast(pa.schema(lake.table("fc_functions").schema().as_arrow())))
    await write_snapshot(lake.root, NEW, FUNCTIONS)
    done = prune(lake.root, KeepRules(last=1), NOW, lakes=[open_lake(lake.settings)])
    assert done.removed == []
    assert lake.names("fc_functions") == ["f0", "f0", "f1"]


async def test_a_delta_table_that_another_program_restored_keeps_its_files(tmp_path):
    """P18: its content is told by the files that it names, and not by the last commit of a crawl."""
    lake = Local("delta", tmp_path / "out")
    for snapshot_id, name in ((OLD, "f0"), (NEW, "f1")):
        await lake.crawl(snapshot_id, {("fc_functions", ACCOUNT, "cn-hangzhou"): [name]})
    DeltaTable(str(lake.root / "fc_functions")).restore(0)
    done = prune(lake.root, KeepRules(last=1), NOW, lakes=[open_lake(lake.settings)])
    assert done.removed == []
    assert lake.names("fc_functions") == ["f0"]


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as environ:
        yield environ


@pytest.mark.parametrize("kind", FORMATS)
async def test_prune_of_a_bucket_asks_its_lakes(server, tmp_path, kind):
    """F70: Delta logs are found in the bucket; an Iceberg catalog is recorded in it."""
    place = bucket_place(f"s3://inventory/known-{kind}", server, tmp_path)
    catalog = f"sqlite:///{tmp_path}/catalog.db"
    settings = LakeSettings(kind, place, catalog if kind == "iceberg" else "")
    for snapshot_id, rows in ((OLD, APPS), (NEW, FUNCTIONS)):
        bucket = ObjectStore(place)
        lake = await claim_lake(settings, bucket, sorted(SCHEMAS))
        writer = SnapshotWriter(await BucketDestination.begin(bucket, snapshot_id, START, SCHEMAS), SCHEMAS)
        ledger = await write_scopes(writer, rows, snapshot_id)
        manifest = await writer.commit(draft(), ledger)
        publish_lake(lake, manifest, SCHEMAS, Ledger(ledger))
    reader = BucketReader(place)
    if kind == "iceberg":
        with pytest.raises(ConfigError, match=r"namespace acs_inventory\), which isn't configured"):
            known_lakes(reader, None)
    lakes = [open_lake(found, is_new=False) for found in known_lakes(reader, settings if kind == "iceberg" else None)]
    assert len(lakes) == 1
    done = await prune_bucket(ObjectStore(place), reader, KeepRules(last=1), NOW, lakes)
    assert done.removed == []
    assert done.reasons[OLD] == ["the lake's opensearch_apps is at it"]
    if kind == "iceberg":
        copy = bucket_place("s3://inventory/copied", server, tmp_path)
        record = await ObjectStore(place).read("_lake/output.json")
        await ObjectStore(copy).put("_lake/output.json", record.data)
        with pytest.raises(ConfigError, match="s3://inventory/copied was copied or moved from s3://inventory/known"):
            await claim_lake(dataclasses.replace(settings, root=copy), ObjectStore(copy), sorted(SCHEMAS))
