"""Snapshots: buffered rows, the journal, Parquet parts, the ledger, the manifest, the commit, and their reading.

Read `writer` first (scopes, flushes, commit) with `destination`, the protocol of its output. `rows/scope_writer` takes
the rows of lists, `rows/ended_rows` those of the scopes that have ended: they go to the `journal` and then to parts.
`staging` writes the last files and makes the `manifest`'s entries, from which readers start. Then read
`folder/destination` and `folder/commit`: the order of its steps makes a crash harmless. `folder/resume` takes over what
the journal of a killed crawl has. `bucket/destination` and `bucket/latest` do without a rename, a lock and a resume.
`shards` has the files by which the processes of a run agree.
`ledger` has the outcome of each scope, `layout` every path. Only `disk` writes to the local disk, only `object_store`
to buckets. `reader`, `verify` and `retention` work on committed snapshots; `lake` makes lake tables of them.
"""

from __future__ import annotations

from crawler.errors import UnfinishedCommitError
from crawler.snapshot.assembly import commit_snapshot
from crawler.snapshot.bucket.destination import BucketDestination
from crawler.snapshot.bucket.preflight import check_bucket
from crawler.snapshot.destination import Destination
from crawler.snapshot.folder.destination import FolderDestination
from crawler.snapshot.folder.preflight import check_output
from crawler.snapshot.journal import ChildList, JournalEntry
from crawler.snapshot.lake.base import Lake, LakeSettings
from crawler.snapshot.lake.publish import LakeResult, open_lake
from crawler.snapshot.lake.publish import publish as publish_lake
from crawler.snapshot.layout import new_snapshot_id
from crawler.snapshot.ledger import LEDGER_SCHEMA, Ledger, LedgerView, ScopeRow, TableFigures
from crawler.snapshot.ledger_file import StoredLedger
from crawler.snapshot.ledger_merge import merge_ledgers
from crawler.snapshot.manifest import DirectoryEntry, Manifest, ManifestDraft, PartFile, schema_sha256, status_of
from crawler.snapshot.names import UnknownSnapshotError, resolve_snapshot
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
from crawler.snapshot.writer import ShardWriter, SnapshotWriter

__all__ = [
    "LEDGER_SCHEMA",
    "BucketDestination",
    "BucketReader",
    "ChildList",
    "Destination",
    "DirectoryEntry",
    "FolderDestination",
    "JournalEntry",
    "Lake",
    "LakeResult",
    "LakeSettings",
    "Ledger",
    "LedgerView",
    "ListWriter",
    "Manifest",
    "ManifestDraft",
    "ObjectStore",
    "OutputLocation",
    "PartFile",
    "ScopeRow",
    "ScopeWriter",
    "ShardWriter",
    "SnapshotSummary",
    "SnapshotWriter",
    "Status",
    "StoredLedger",
    "TableFigures",
    "UnfinishedCommitError",
    "UnknownSnapshotError",
    "check_bucket",
    "check_output",
    "commit_snapshot",
    "has_rows",
    "is_whole",
    "list_snapshots",
    "merge_ledgers",
    "new_snapshot_id",
    "newest_snapshot_id",
    "open_lake",
    "parts",
    "publish_lake",
    "read_ledger",
    "read_manifest",
    "resolve_snapshot",
    "schema_sha256",
    "snapshot_ids",
    "status_of",
    "worst",
]
