"""Snapshots that released versions wrote, kept as they were, are read by this one; columns are only ever added."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.snapshot import is_whole, list_snapshots, parts, read_ledger, read_manifest

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
    ledger = read_ledger(root, manifest)
    assert all(is_whole(row.status) for row in ledger)
    for table in manifest.tables:
        rows = 0
        for file in parts(manifest, table):
            assert hashlib.sha256((root / file.path).read_bytes()).hexdigest() == file.sha256
            rows += pq.read_table(root / file.path, partitioning=None).num_rows
        assert rows == manifest.tables[table].rows == sum(row.rows for row in ledger if row.table == table)


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
