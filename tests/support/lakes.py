"""Outputs with lake tables, and the readers of these tables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from sqlalchemy import URL

from crawler.catalog import load_catalog as load_operations
from crawler.snapshot import LakeSettings, open_lake, publish_lake, read_ledger, read_manifest
from crawler.snapshot.lake.claim import claim_lake
from tests.support.snapshot_fakes import NEW, ROWS, SCHEMA, SCHEMAS, write_snapshot

FORMATS = ["iceberg", "delta"]


class Local:
    """An output with lake tables, and their readers."""

    def __init__(self, kind, root, **settings):
        self.kind = kind
        self.root = root
        self.settings = LakeSettings(kind, root, **settings)

    async def write(self, snapshot_id=NEW, rows=ROWS, extra_rows=(), schemas=SCHEMAS):
        manifest = await write_snapshot(self.root, snapshot_id, rows, extra_rows)
        self.publish(snapshot_id, schemas)
        return manifest

    async def crawl(self, snapshot_id=NEW, rows=ROWS):
        """Take the steps of a crawl: claim the lake, commit a snapshot, publish it."""
        self.root.mkdir(exist_ok=True)
        (self.root / "_staging").mkdir(exist_ok=True)
        lake = await claim_lake(self.settings, None, sorted(SCHEMAS))
        manifest = await write_snapshot(self.root, snapshot_id, rows)
        self.publish_to(lake, manifest)
        return manifest

    def publish(self, snapshot_id=NEW, schemas=SCHEMAS):
        manifest = read_manifest(self.root, snapshot_id)
        publish_lake(open_lake(self.settings), manifest, schemas, read_ledger(self.root, manifest))

    def publish_to(self, lake, manifest):
        publish_lake(lake, manifest, SCHEMAS, read_ledger(self.root, manifest))

    def catalog(self):
        """Open the Iceberg catalog as its users do."""
        own = URL.create("sqlite", database=str(self.root.resolve() / "_iceberg/catalog.db"))
        return load_catalog("acs-inventory", type="sql", uri=self.settings.catalog_uri or own)

    def table(self, name):
        if self.kind == "delta":
            return DeltaTable(str(self.root / name))
        return self.catalog().load_table((self.settings.namespace, name))

    def rows(self, name, version=None):
        """The table as Arrow: as it is, or as of one of our snapshots."""
        table = self.table(name)
        if self.kind == "delta":
            if version is not None:
                found = [entry for entry in table.history() if entry.get("acs-inventory.snapshot-id") == version]
                table.load_as_version(found[0]["version"])
            files = [pq.read_table(unquote(path), partitioning=None) for path in table.file_uris()]
            return pa.concat_tables(files) if files else SCHEMA.empty_table()
        at = table.snapshot_by_name(version).snapshot_id if version else None
        return table.scan(snapshot_id=at).to_arrow()

    def names(self, name, version=None):
        return sorted(self.rows(name, version)["name"].to_pylist())

    def names_in_polars(self, name):
        """The names as Polars reads them, from the log or from the metadata's location alone."""
        if self.kind == "delta":
            return sorted(pl.scan_delta(str(self.root / name)).collect()["name"].to_list())
        return sorted(pl.scan_iceberg(self.table(name).metadata_location).collect()["name"].to_list())

    def commits(self, name):
        table = self.table(name)
        if self.kind == "delta":
            return [entry.get("acs-inventory.snapshot-id") for entry in reversed(table.history())]
        return sorted(name for name in table.refs() if name != "main")


def add_checkpoints(root: Path) -> None:
    """Make Delta tables over the newest snapshot, each with the Parquet file that its log gets now and then."""
    manifest = read_manifest(root, "latest")
    schemas = {table: load_operations().operations[table].schema for table in manifest.tables}
    publish_lake(open_lake(LakeSettings("delta", root)), manifest, schemas, read_ledger(root, manifest))
    for table in manifest.tables:
        DeltaTable(str(root / table)).create_checkpoint()


def contents(root: Path) -> dict[str, str]:
    """Return path → SHA-256 of every file below a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
