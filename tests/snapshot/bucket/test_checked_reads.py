"""P13: what a bucket has in the place of a committed object is refused, whichever command reads it."""

from __future__ import annotations

import pytest

from crawler.audit.database import open_snapshot
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from crawler.errors import OutputError
from tests.support.snapshot_fakes import NEW, SCHEMAS

TABLE = next(iter(SCHEMAS))


def count(place, *, check_hashes):
    snapshot = open_snapshot(place, NEW, check_hashes=check_hashes)
    with run_query(snapshot, f'SELECT count(*) FROM "{TABLE}"', TableNames(snapshot, dict)) as rows:
        return snapshot.is_hashed, [batch.to_pylist() for batch in rows.batches]


@pytest.mark.parametrize("check_hashes", [True, False])
async def test_an_object_is_hashed_as_it_arrives_with_and_without_a_check(site, check_hashes):
    manifest = await site.write()
    is_hashed, _ = await site.read(lambda place: count(place, check_hashes=check_hashes))
    assert is_hashed
    path = manifest.tables[TABLE].files[0].path
    content = bytearray((await site.bucket().read(path)).data)
    content[len(content) // 2] ^= 1
    await site.bucket().put(path, bytes(content))
    with pytest.raises(OutputError, match="isn't what its manifest names"):
        await site.read(lambda place: count(place, check_hashes=check_hashes))


async def test_torn_swapped_and_missing_objects_are_refused(site):
    manifest = await site.write()
    bucket = site.bucket()
    one, other = (manifest.tables[table].files[0].path for table in list(SCHEMAS)[:2])
    contents = {path: (await bucket.read(path)).data for path in (one, other)}
    for content in (contents[one][:-100], b"", contents[other]):
        await bucket.put(one, content)
        with pytest.raises(OutputError, match=r"isn't what its manifest names"):
            await site.read(lambda place: count(place, check_hashes=False))
    await bucket.delete([one])
    with pytest.raises(OutputError, match="it was removed after its commit"):
        await site.read(lambda place: count(place, check_hashes=False))


async def test_a_changed_manifest_and_a_missing_checksum_are_refused(site):
    await site.write()
    bucket, path = site.bucket(), f"_snapshots/{NEW}.json"
    text = (await bucket.read(path)).data
    await bucket.put(path, text + b" ")
    with pytest.raises(OutputError, match="doesn't match its checksum"):
        await site.read(lambda place: count(place, check_hashes=False))
    await bucket.put(path, text)
    await bucket.delete([f"{path}.sha256"])
    with pytest.raises(OutputError, match=r"json.sha256 is missing"):
        await site.read(lambda place: count(place, check_hashes=False))
