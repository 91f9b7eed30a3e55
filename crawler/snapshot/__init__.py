"""Snapshots: staging, Parquet parts, the ledger, the manifest, the commit, and reading them back.

Read `writer` first (begin, scope, commit), then `scope` and `spool` (rows on their way), `commit` (the order that makes
a crash harmless) and `manifest` (what a reader goes by). `disk` is the one door to the operating system. For buckets
there are `remote` (the writer), `pointer` and `notes` on top of `bucket`, the one door to object stores.
"""

from __future__ import annotations

from crawler.snapshot.bucket import Bucket
from crawler.snapshot.bucket_check import check_bucket
from crawler.snapshot.commit import UnfinishedCommitError
from crawler.snapshot.history import (
    SnapshotSummary,
    list_snapshots,
    newest_snapshot_id,
    parts,
    read_ledger,
    read_manifest,
    snapshot_ids,
)
from crawler.snapshot.journal import KnownList, ScopeRecord
from crawler.snapshot.lake import Lake, LakeSettings, open_lake
from crawler.snapshot.lake import publish as publish_lake
from crawler.snapshot.ledger import LEDGER_SCHEMA, ScopeRow, Status, has_rows, is_whole, worst
from crawler.snapshot.manifest import DirectoryEntry, Manifest, ManifestDraft, schema_sha256, status_of
from crawler.snapshot.packed import Ledger
from crawler.snapshot.parts import PartFile
from crawler.snapshot.paths import new_snapshot_id
from crawler.snapshot.preflight import check_output
from crawler.snapshot.remote import BucketSnapshotWriter
from crawler.snapshot.scope import ListWriter, ScopeWriter
from crawler.snapshot.storage import BucketReader, Place
from crawler.snapshot.writer import SnapshotWriter

__all__ = [
    "LEDGER_SCHEMA",
    "Bucket",
    "BucketReader",
    "BucketSnapshotWriter",
    "DirectoryEntry",
    "KnownList",
    "Lake",
    "LakeSettings",
    "Ledger",
    "ListWriter",
    "Manifest",
    "ManifestDraft",
    "PartFile",
    "Place",
    "ScopeRecord",
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
