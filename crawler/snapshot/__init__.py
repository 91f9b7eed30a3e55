"""Snapshots: staging, Parquet parts, the ledger, the manifest, the commit, and reading them back.

Read `writer` first (begin, scope, commit), then `scope` and `spool` (rows on their way), `commit` (the order that makes
a crash harmless) and `manifest` (what a reader goes by). `disk` is the one door to the operating system. For buckets
there are `remote` (the writer), `pointer` and `notes` on top of `bucket`, the one door to object stores.
"""

from __future__ import annotations

from crawler.errors import UnfinishedCommitError
from crawler.snapshot.bucket.preflight import check_bucket
from crawler.snapshot.bucket.writer import BucketSnapshotWriter
from crawler.snapshot.folder.journal import ChildList, JournalEntry
from crawler.snapshot.folder.preflight import check_output
from crawler.snapshot.folder.writer import SnapshotWriter
from crawler.snapshot.lake.base import Lake, LakeSettings
from crawler.snapshot.lake.publish import open_lake
from crawler.snapshot.lake.publish import publish as publish_lake
from crawler.snapshot.layout import new_snapshot_id
from crawler.snapshot.ledger import LEDGER_SCHEMA, Ledger, ScopeRow
from crawler.snapshot.manifest import DirectoryEntry, Manifest, ManifestDraft, PartFile, schema_sha256, status_of
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.reader import (
    BucketReader,
    OutputLocation,
    SnapshotSummary,
    list_snapshots,
    newest_snapshot_id,
    parts,
    read_ledger,
    read_manifest,
    snapshot_ids,
)
from crawler.snapshot.rows.scope_writer import ListWriter, ScopeWriter
from crawler.snapshot.status import Status, has_rows, is_whole, worst

__all__ = [
    "LEDGER_SCHEMA",
    "BucketReader",
    "BucketSnapshotWriter",
    "ChildList",
    "DirectoryEntry",
    "JournalEntry",
    "Lake",
    "LakeSettings",
    "Ledger",
    "ListWriter",
    "Manifest",
    "ManifestDraft",
    "ObjectStore",
    "OutputLocation",
    "PartFile",
    "ScopeRow",
    "ScopeWriter",
    "SnapshotSummary",
    "SnapshotWriter",
    "Status",
    "UnfinishedCommitError",
    "check_bucket",
    "check_output",
    "has_rows",
    "is_whole",
    "list_snapshots",
    "new_snapshot_id",
    "newest_snapshot_id",
    "open_lake",
    "parts",
    "publish_lake",
    "read_ledger",
    "read_manifest",
    "schema_sha256",
    "snapshot_ids",
    "status_of",
    "worst",
]
