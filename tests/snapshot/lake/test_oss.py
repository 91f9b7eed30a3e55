"""Iceberg tables in a bucket on OSS: a fake refuses what OSS refuses (path-style addresses, chunks, conditions)."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.io import FileIO, InputFile
from pyiceberg.table import StaticTable

from crawler.errors import ConfigError
from crawler.snapshot import BucketDestination, LakeSettings, Ledger, ObjectStore, SnapshotWriter, open_lake
from crawler.snapshot import publish_lake as publish
from crawler.snapshot.lake.bucket_io import PLACE, BucketIO
from crawler.snapshot.location import AccessKeys, bucket_place
from tests.support.object_stores import BUCKET, KEY_ID, KEY_SECRET, FakeStore, served
from tests.support.snapshot_fakes import ACCOUNT, NEW, OLD, SCHEMAS, START, draft, write_scopes

HOME = Path("/nowhere")
TABLE = "fc_functions"


@pytest.fixture
async def store():
    fake = FakeStore("oss")
    async with served(fake) as environ:
        yield fake, bucket_place(f"oss://{BUCKET}/lake", environ, HOME)


class StoredFile(InputFile):
    """An object of the fake, for a reader that isn't the one under test."""

    def __init__(self, location, objects):
        super().__init__(location)
        self.content = objects[location.removeprefix(f"oss://{BUCKET}/")][0]

    def __len__(self):
        return len(self.content)

    def exists(self):
        return True

    def open(self, seekable=True):
        return io.BytesIO(self.content)


class FakesFiles(FileIO):
    """Reads the objects of the fake without a request."""

    objects: ClassVar[dict] = {}

    def new_input(self, location):
        return StoredFile(location, self.objects)

    def new_output(self, location):
        raise NotImplementedError

    def delete(self, location):
        raise NotImplementedError


async def write(place, settings, snapshot_id, names, store=None):
    destination = await BucketDestination.begin(store or ObjectStore(place), snapshot_id, START, SCHEMAS)
    writer = SnapshotWriter(destination, SCHEMAS, has_statistics=True)
    ledger = await write_scopes(writer, {(TABLE, ACCOUNT, "cn-hangzhou"): names}, snapshot_id)
    manifest = await writer.commit(draft(), ledger)
    await writer.abandon()
    lake = await asyncio.to_thread(open_lake, settings)
    await asyncio.to_thread(publish, lake, manifest, SCHEMAS, Ledger(ledger), {}, writer.statistics)
    return manifest


def table_of(settings):
    """Load the table as the catalog's other users do, whose metadata is a URI."""
    catalog = load_catalog("acs-inventory", type="sql", uri=settings.catalog_uri, **{"py-io-impl": "none.None"})
    with catalog.engine.connect() as connection:
        query = "SELECT metadata_location FROM iceberg_tables WHERE table_name = 'fc_functions'"
        return connection.exec_driver_sql(query).scalar()


async def test_tables_on_oss_hold_the_rows_and_name_oss_locations(store, tmp_path):
    fake, place = store
    settings = LakeSettings("iceberg", place, f"sqlite:///{tmp_path}/catalog.db")
    for snapshot_id, names in ((OLD, ["a", "b"]), (NEW, ["b", "c"])):
        fake.requests.clear()
        await write(place, settings, snapshot_id, names)
    assert not fake.uploads
    FakesFiles.objects = fake.objects
    location = table_of(settings)
    assert location.startswith(f"oss://{BUCKET}/lake/_iceberg/acs_inventory/{TABLE}/metadata/")
    table = StaticTable.from_metadata(location, {"py-io-impl": f"{__name__}.FakesFiles"})
    assert sorted(table.scan().to_arrow()["name"].to_pylist()) == ["b", "c"]
    old = table.snapshot_by_name(OLD).snapshot_id
    assert sorted(table.scan(snapshot_id=old).to_arrow()["name"].to_pylist()) == ["a", "b"]
    [task] = table.scan().plan_files()
    assert task.file.file_path.startswith(f"oss://{BUCKET}/lake/{TABLE}/snapshot_date=")


async def test_keys_are_asked_for_as_long_as_tables_move(store, tmp_path):
    """Temporary keys end within an hour; a commit of many tables may begin with the old ones."""
    _, place = store
    asked = Counter()

    async def keys():
        asked["keys"] += 1
        return AccessKeys(KEY_ID, KEY_SECRET)

    keyless = dataclasses.replace(place, keys=None)
    settings = LakeSettings("iceberg", keyless, f"sqlite:///{tmp_path}/catalog.db", keys=keys)
    await write(keyless, settings, NEW, ["a"], ObjectStore(keyless, keys))
    before = asked["keys"]
    await asyncio.to_thread(lambda: open_lake(settings).missing([TABLE]))
    assert asked["keys"] > before


@pytest.mark.parametrize("scheme", ["oss", "s3", "s3a"])
async def test_a_location_of_either_scheme_is_read(store, scheme):
    fake, place = store
    fake.put("lake/x", b"content")
    files = BucketIO({PLACE: place})

    def read():
        with files.new_input(f"{scheme}://{BUCKET}/lake/x").open() as file:
            return file.read()

    assert await asyncio.to_thread(read) == b"content"


def test_keys_that_a_catalog_gives_for_oss_are_used_at_its_endpoint():
    """The names are those of Iceberg's own module for OSS; the bucket stays in the host."""
    place = bucket_place("oss://bucket/x", {"OSS_REGION": "cn-hangzhou"}, HOME)
    given = {"client.access-key-id": "THEIRS", "client.access-key-secret": "s", "client.security-token": "t"}
    given["oss.endpoint"] = "https://oss-cn-shanghai-internal.aliyuncs.com"
    found = BucketIO({PLACE: place}, given)._place
    assert found.keys is not None
    assert (found.keys.access_key_id, found.keys.security_token) == ("THEIRS", "t")
    assert found.endpoint == "https://bucket.s3.oss-cn-shanghai-internal.aliyuncs.com"
    assert found.is_virtual_host


def test_delta_on_oss_is_refused_with_the_reason():
    place = bucket_place("oss://bucket/x", {"OSS_REGION": "cn-hangzhou"}, HOME)
    with pytest.raises(ConfigError, match=r"can't be written to oss://: a commit of Delta is a file that must not"):
        open_lake(LakeSettings("delta", place))


@pytest.mark.parametrize(
    ("uri", "is_taken"),
    [
        ("http://cn-hangzhou-vpc.dlf.aliyuncs.com/iceberg", True),
        ("http://ap-southeast-1-vpc.dlf.aliyuncs.com/iceberg", True),
        ("http://cn-hangzhou.dlf.aliyuncs.com/iceberg", False),
        ("http://cn-hangzhou-vpc.dlf.aliyuncs.com.example/iceberg", False),
        ("http://x.y-vpc.dlf.aliyuncs.com/iceberg", False),
    ],
)
def test_plain_http_is_for_the_endpoint_of_dlf_in_a_vpc(tmp_path, monkeypatch, uri, is_taken):
    def refuse(*arguments):
        raise ConnectionError

    monkeypatch.setattr("crawler.snapshot.lake.bound_catalogs.open_bound", refuse)
    message = r"can't be reached \(ConnectionError\)" if is_taken else "must be https"
    with pytest.raises(ConfigError, match=message):
        open_lake(LakeSettings("iceberg", tmp_path, uri, "lake"))
