"""Outputs in buckets: a real S3 server, and fakes of S3 and OSS."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from crawler.snapshot import (
    BucketDestination,
    BucketReader,
    ObjectStore,
    SnapshotWriter,
    read_manifest,
)
from crawler.snapshot.location import bucket_place
from crawler.snapshot.s3.client import RetryPauses
from tests.support.object_stores import FakeStore, s3_server, served
from tests.support.snapshot_fakes import (
    NEW,
    ROWS,
    SCHEMAS,
    START,
    draft,
    write_scopes,
)


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder)) as environ:
        yield environ


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("crawler.snapshot.s3.client.RETRIES", RetryPauses(1, 0.001, 0.002))


@dataclass
class Site:
    """One prefix of one store."""

    uri: str
    environ: dict[str, str]
    fake: FakeStore | None = None

    opened: ObjectStore | None = None

    def bucket(self) -> ObjectStore:
        """Opened once: a client takes longer to make than a small crawl."""
        self.opened = self.opened or ObjectStore(bucket_place(self.uri, self.environ, Path("/nowhere")))
        return self.opened

    async def read(self, function, *args):
        """Run a blocking reader in a thread, because this event loop serves the fake."""
        reader = BucketReader(bucket_place(self.uri, self.environ, Path("/nowhere")))
        return await asyncio.to_thread(function, reader, *args)

    async def keys(self) -> list[str]:
        if self.fake is not None:
            prefix = self.uri.partition("inventory/")[2]
            return sorted(key.removeprefix(f"{prefix}/") for key in self.fake.objects)
        bucket = self.bucket()
        found = [await bucket.list(folder) for folder in ("_snapshots", "_staging", *SCHEMAS)]
        return sorted(entry.path for entries in found for entry in entries)

    async def begin(self, snapshot_id=NEW, at=START) -> SnapshotWriter:
        """Begin a crawl that writes a part for each scope with rows, as soon as that has ended."""
        destination = await BucketDestination.begin(self.bucket(), snapshot_id, at, SCHEMAS)
        return SnapshotWriter(destination, SCHEMAS, part_bytes=1)

    async def write(self, snapshot_id=NEW, rows=ROWS, extra_rows=()):
        writer = await self.begin(snapshot_id)
        try:
            ledger = await write_scopes(writer, rows, snapshot_id)
            return await writer.commit(draft(), [*ledger, *extra_rows])
        finally:
            await writer.abandon()

    async def latest(self) -> str:
        found = await self.bucket().read("_snapshots/LATEST")
        return found.data.decode().strip() if found else ""


@pytest.fixture(params=["s3", "oss"])
async def fake(request):
    store = FakeStore(request.param)
    async with served(store) as environ:
        yield Site(f"{request.param}://inventory/lake/x", environ, store)


@pytest.fixture(params=["server", "s3", "oss"])
async def site(request):
    """A real S3 server, the fake of one, and the fake of OSS."""
    async with AsyncExitStack() as stack:
        if request.param == "server":
            environ = request.getfixturevalue("server")
            yield Site(f"s3://inventory/{random.randbytes(6).hex()}", environ)
        else:
            store = FakeStore(request.param)
            environ = await stack.enter_async_context(served(store))
            yield Site(f"{request.param}://inventory/lake/x", environ, store)


def without_attempt(text: str) -> str:
    """Return paths without the attempts in the names of parts, which are random."""
    return re.sub(r"(/part-[0-9]{5})-[0-9a-f]{8}\.parquet", r"\1.parquet", text)


async def assert_whole(site, snapshot_id=NEW):
    """Every file that the manifest names is there with its size and hash."""
    manifest = await site.read(read_manifest, snapshot_id)
    for file in [*(file for entry in manifest.tables.values() for file in entry.files), manifest.ledger]:
        found = await site.bucket().read(file.path)
        assert found is not None, file.path
        assert (len(found.data), hashlib.sha256(found.data).hexdigest()) == (file.bytes, file.sha256), file.path
    return manifest
