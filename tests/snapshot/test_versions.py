"""Snapshots that released versions wrote, kept as they were, are read by this one; columns are only ever added."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.snapshot import (
    FolderDestination,
    SnapshotWriter,
    is_whole,
    list_snapshots,
    parts,
    read_ledger,
    read_manifest,
)
from crawler.snapshot.folder.prune import prune
from crawler.snapshot.layout import staged
from crawler.snapshot.retention import KeepRules
from crawler.snapshot.verify import verify_all
from tests.support.snapshot_fakes import SCHEMAS, begin, draft, table_files, write_scopes

KEPT = Path(__file__).parent.parent / "fixtures/snapshots"
VERSIONS = sorted(path.name for path in KEPT.iterdir())
CATALOG = load_catalog()


def test_the_series_has_begun():
    assert "0.1.0" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_snapshot_of_an_older_version_is_read_whole(version):
    root = KEPT / version
    (summary,) = list_snapshots(root)
    assert (summary.error, summary.is_latest) == ("", True)
    manifest = read_manifest(root, "latest")
    assert manifest.version == version
    ledger = list(read_ledger(root, manifest))
    assert all(is_whole(row.status) for row in ledger)
    for table in manifest.tables:
        rows = 0
        for file in parts(manifest, table):
            assert hashlib.sha256((root / file.path).read_bytes()).hexdigest() == file.sha256
            rows += pq.read_table(root / file.path, partitioning=None).num_rows
        assert rows == manifest.tables[table].rows == sum(row.rows for row in ledger if row.table == table)


NOW = datetime(2026, 12, 24, 12, tzinfo=UTC)
NEWER = "20261224T020000Z-0001"


@pytest.fixture(params=VERSIONS)
def kept(request, tmp_path):
    """A copy of an older version's output, and the ID of its snapshot."""
    root = shutil.copytree(KEPT / request.param, tmp_path / "out")
    return root, read_manifest(root, "latest").snapshot_id


async def test_snapshots_of_both_layouts_are_verified_and_pruned_in_one_output(kept):
    """P13, F59: of the older one nothing is left, and the newer one is as it was."""
    root, old_id = kept
    writer = SnapshotWriter(await FolderDestination.begin(root, NEWER, NOW - timedelta(hours=10)), SCHEMAS)
    manifest = await writer.commit(draft(finished_at=NOW), await write_scopes(writer, snapshot_id=NEWER))
    verdicts, loose = verify_all(root)
    assert [(verdict.snapshot_id, verdict.is_whole) for verdict in verdicts] == [(NEWER, True), (old_id, True)]
    assert loose == []
    done = prune(root, KeepRules(last=1), NOW)
    assert ([entry.snapshot_id for entry in done.removed], done.stuck) == ([old_id], [])
    assert table_files(root).keys() == {file.path for entry in manifest.tables.values() for file in entry.files}
    assert [path for path in root.rglob("*") if old_id in path.name] == []
    assert {path.name for path in root.iterdir()} == {"_snapshots", "_staging", *manifest.tables}


async def test_commit_that_an_older_version_left_unfinished_is_completed(kept):
    """F44: all its files are staged, and the next crawl is of this version."""
    root, old_id = kept
    files = sorted(table_files(root))
    (root / "_snapshots/LATEST").unlink()
    root.rename(root.with_name("was"))
    (root / staged(old_id)).parent.mkdir(parents=True)
    root.with_name("was").rename(root / staged(old_id))
    writer = await begin(root, NEWER)
    assert writer.destination.recovered == [old_id]
    await writer.abandon()
    assert sorted(table_files(root)) == files
    [verdict], loose = verify_all(root)
    assert (verdict.is_whole, loose) == (True, [])


def missing(old: pa.DataType, new: pa.DataType, path: str) -> list[str]:
    """The paths at which the new type lacks something that the old type has."""
    if pa.types.is_struct(old) and pa.types.is_struct(new):
        now = {field.name: field.type for field in new}
        return [
            fault
            for field in old
            for fault in (
                missing(field.type, now[field.name], f"{path}.{field.name}")
                if field.name in now
                else [f"{path}.{field.name} is gone"]
            )
        ]
    if pa.types.is_list(old) and pa.types.is_list(new):
        return missing(old.value_type, new.value_type, f"{path}[]")
    if pa.types.is_map(old) and pa.types.is_map(new):
        return missing(old.item_type, new.item_type, f"{path}{{}}")
    return [] if old == new else [f"{path} was {old} and is {new}"]


# A flag that the first release's drafts took for a secret, and hid.
CORRECTED = {
    "fc_functions.custom_container_config.registry_config.cert_config.insecure was string and is bool",
    "fc_functions.micro_sandbox_config.registry_config.cert_config.insecure was string and is bool",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_columns_of_an_older_version_are_there_with_their_types(version):
    root = KEPT / version
    manifest = read_manifest(root, "latest")
    for table in manifest.tables:
        old = pq.read_schema(root / parts(manifest, table)[0].path)
        now = CATALOG.operations[table].schema
        assert set(missing(pa.struct(list(old)), pa.struct(list(now)), table)) <= CORRECTED


def test_what_is_lost_or_changed_would_be_seen():
    old = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.struct([("c", pa.string())])))])
    new = pa.struct([("b", pa.list_(pa.struct([("c", pa.int64()), ("d", pa.int64())])))])
    assert missing(old, old, "t") == []
    assert missing(old, new, "t") == ["t.a is gone", "t.b[].c was string and is int64"]
