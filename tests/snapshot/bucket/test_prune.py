"""`snapshots verify` and `prune` in buckets: P13, F59, and removals that are cut short at any request."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawler.errors import OutputError
from crawler.snapshot import BucketReader, ObjectStore, list_snapshots, manifest
from crawler.snapshot.bucket.prune import finish_removals, prune_bucket
from crawler.snapshot.layout import checksum_path, manifest_path, part_path, pruned, staged, table_folder
from crawler.snapshot.location import bucket_place
from crawler.snapshot.retention import KeepRules
from crawler.snapshot.verify import verify_all, verify_snapshot
from tests.support import command_server
from tests.support.bucket_sites import Site, assert_whole
from tests.support.snapshot_fakes import NEW, OLD

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LAST = KeepRules(last=1)
# A part that no crawl of these tests writes.
STRAY = f"fc_functions/snapshot_date=2026-11-20/snapshot={OLD}/part-00009-0123abcd.parquet"


def reader(site: Site) -> BucketReader:
    return BucketReader(bucket_place(site.uri, site.environ, Path("/nowhere")))


async def prune(site, bucket=None):
    return await prune_bucket(bucket or site.bucket(), reader(site), LAST, NOW)


def first_part(manifest):
    return manifest.tables["fc_functions"].files[0].path


async def listed(site):
    return [entry.snapshot_id for entry in await site.read(list_snapshots)]


async def test_what_no_rule_keeps_is_gone_and_the_rest_as_if_it_had_never_been(site):
    await site.write()
    alone = await site.keys()
    await site.write(OLD)
    done = await prune(site)
    assert [entry.snapshot_id for entry in done.removed] == [OLD]
    assert await site.keys() == alone
    assert await site.latest() == NEW
    await assert_whole(site)


async def test_what_lies_there_besides_stays(site):
    await site.write(OLD)
    await site.write()
    folder = table_folder("fc_functions", OLD)
    strays = ["notes.txt", f"{folder}/mine.parquet", f"{folder}/a/b/part-9.parquet", "_snapshots/x.json"]
    for path in strays:
        await site.bucket().put(path, b"mine")
    await prune(site)
    assert await listed(site) == [NEW]
    for path in strays:
        assert (await site.bucket().read(path)).data == b"mine"


async def change_manifest(site, change):
    """Change the older manifest, and its checksum with it."""
    path = manifest_path(OLD)
    found = json.loads((await site.bucket().read(path)).data)
    change(found)
    text = json.dumps(found).encode()
    await site.bucket().put(path, text)
    await site.bucket().put(checksum_path(OLD), manifest.checksum_line(text, OLD))


async def test_manifest_that_cannot_be_read_stays_and_keeps_no_other_from_its_removal(fake):
    """F75: nor does it end a crawl that finds its note, or the verification of the others."""
    later = "20261122T020000Z-0001"
    for snapshot_id in (OLD, NEW, later):
        await fake.write(snapshot_id)
    await change_manifest(fake, lambda found: found.update(started_at="0001-01-01T00:00:00+14:00"))
    await fake.bucket().put(staged(OLD), b'{"tables": ["../x", "fc_functions"], "token": "x"}')
    for removed in ([NEW], []):
        done = await prune(fake)
        assert [entry.snapshot_id for entry in done.removed] == removed
        assert "its manifest can't be read" in done.reasons[OLD]
    verdicts, _ = await fake.read(verify_all)
    assert [(verdict.snapshot_id, verdict.is_whole) for verdict in verdicts] == [(later, True), (OLD, False)]


async def test_note_that_names_what_is_no_table_ends_no_crawl(fake):
    """F75: leftovers of a crawl of a day ago are removed as far as its note names tables."""
    await fake.write()
    await fake.bucket().put(STRAY, b"x")
    await fake.bucket().put(staged(OLD), b'{"tables": ["../x", "fc_functions"], "token": "x"}')
    two_days_later = datetime.now(UTC) + timedelta(days=2)
    assert (await prune_bucket(fake.bucket(), reader(fake), LAST, two_days_later)).removed == []
    assert not [key for key in await fake.keys() if OLD in key]


async def test_removal_whose_note_cannot_be_read_is_told_and_the_others_are_completed(fake):
    """F75"""
    await fake.write()
    await fake.bucket().put(pruned(OLD), b"[" * 100_000)
    done = await prune(fake)
    [stuck] = done.stuck
    assert stuck.startswith(f"the removal of {OLD} can't be completed: _staging/prune-{OLD} is not a readable manifest")


@pytest.mark.parametrize("path", [manifest_path(NEW), checksum_path(NEW), "_snapshots/LATEST", "a part"])
async def test_object_that_is_too_large_is_not_read_whole(fake, monkeypatch, path):
    """F72"""
    written = await fake.write()
    path = first_part(written) if path == "a part" else path
    for name in ("MANIFEST_BYTES", "LINE_BYTES"):
        monkeypatch.setattr(f"crawler.snapshot.reader.{name}", 100_000)
        monkeypatch.setattr(f"crawler.snapshot.verify.{name}", 100_000)
    await fake.bucket().put(path, bytes(1_000_000))
    verdicts, loose = await fake.read(verify_all)
    [bad] = [*loose, *(file for verdict in verdicts for file in verdict.bad_files)]
    assert bad.path == path
    assert ("has 1000000 bytes, its manifest says" if path == first_part(written) else "is larger than") in bad.reason


async def test_cut_short_at_any_request_it_is_completed_by_the_next(fake):
    await fake.write()
    alone = await fake.keys()

    class Cut(ObjectStore):
        """Lets so many changes through."""

        def spend(self):
            self.left -= 1
            if self.left < 0:
                raise OutputError("cut")

        async def put(self, path, data):
            self.spend()
            await super().put(path, data)

        async def delete(self, paths):
            self.spend()
            await super().delete(paths)

    for left in range(5):
        await fake.write(OLD)
        bucket = Cut(fake.bucket().place)
        bucket.left = left
        with pytest.raises(OutputError, match="cut"):
            await prune(fake, bucket)
        assert await listed(fake) in ([NEW, OLD], [NEW])
        for snapshot_id in await listed(fake):
            await assert_whole(fake, snapshot_id)
        if left == 3:
            await (await fake.begin("20261122T020000Z-0001")).abandon()  # a crawl completes it, too
        else:
            await prune(fake)
        assert await fake.keys() == alone, left


async def test_a_removal_that_lasted_days_is_not_forgotten(fake):
    """Other notes of a day ago are removed; this note is the list of the files still to remove."""
    await fake.write(OLD)
    await fake.write()
    text = (await fake.bucket().read(manifest_path(OLD))).data
    await fake.bucket().put(pruned(OLD), text)
    await finish_removals(fake.bucket())
    assert [key for key in await fake.keys() if OLD in key] == []


async def test_parts_that_came_late_are_removed_with_their_snapshot(site):
    """F103: of another attempt, which no manifest names; not the files of other programs."""
    await site.write(OLD)
    await site.write()
    late, foreign = part_path("fc_functions", OLD, 0, "0123abcd"), f"{table_folder('fc_functions', OLD)}/mine.parquet"
    for path in (late, foreign):
        await site.bucket().put(path, b"late")
    done = await prune(site)
    assert [entry.snapshot_id for entry in done.removed] == [OLD]
    assert [key for key in await site.keys() if OLD in key] == [foreign]


async def test_verify_names_what_is_not_what_was_committed(site):
    await site.write(OLD)
    part = first_part(await site.write())
    verdicts, loose = await site.read(verify_all)
    assert ([v.is_whole for v in verdicts], loose) == ([True, True], [])
    content = bytearray((await site.bucket().read(part)).data)
    content[len(content) // 2] ^= 1
    await site.bucket().put(part, bytes(content))
    [bad] = (await site.read(verify_snapshot, NEW)).bad_files
    assert bad.path == part
    assert "isn't what was committed" in bad.reason
    await site.bucket().delete([part, checksum_path(NEW)])
    bad = {file.path: file.reason for file in (await site.read(verify_snapshot, NEW)).bad_files}
    assert bad == {part: "is missing", checksum_path(NEW): "is missing"}
    assert (await site.read(verify_snapshot, OLD)).is_whole


async def test_the_commands_take_a_bucket(server):
    here = Site(f"s3://inventory/{random.randbytes(6).hex()}", server)
    await here.write(OLD)
    await here.write()

    def snapshots(*arguments):
        command = ["snapshots", *arguments, "--output", here.uri, "--json"]
        environ = {
            **os.environ,
            **server,
        }
        done = command_server.run(command, cwd=".", env=environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert [found["snapshot_id"] for found in snapshots("prune", "--keep-last", "1", "--dry-run")["removed"]] == [OLD]
    assert [found["snapshot_id"] for found in snapshots("prune", "--keep-last", "1")["removed"]] == [OLD]
    assert [found["snapshot_id"] for found in snapshots("verify")["snapshots"]] == [NEW]
