"""Shared by the snapshot tests: a disk that fails on demand, small snapshots, and a reader's view of an output."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.from_thread
import pyarrow as pa

from crawler.snapshot import FolderDestination, ManifestDraft, ScopeRow, SnapshotWriter, Status, read_manifest
from crawler.snapshot.disk import Disk

OLD = "20261120T020000Z-00aa"
NEW = "20261121T020000Z-7f3a"
START = datetime(2026, 11, 21, 2, 0, 0, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string()),
        pa.field("region_id", pa.string()),
        pa.field("snapshot_id", pa.string()),
        pa.field("fetched_at", pa.timestamp("us", tz="UTC")),
        pa.field("name", pa.string()),
        pa.field(
            "config", pa.struct([pa.field("size", pa.int64()), pa.field("tags", pa.map_(pa.string(), pa.string()))])
        ),
        pa.field("_extra", pa.string()),
    ]
)
ACCOUNT = "1000000000000001"
OTHER = "1000000000000002"
# Two scopes of a table with rows, one of a table without any.
ROWS = {
    ("fc_functions", ACCOUNT, "cn-hangzhou"): ["f1", "f2"],
    ("fc_functions", OTHER, "cn-shanghai"): ["f3"],
    ("opensearch_apps", ACCOUNT, "cn-hangzhou"): [],
}
SCHEMAS = {table: SCHEMA for table, _, _ in ROWS}


class Crash(BaseException):
    """The process ends at this point."""


class FaultyDisk(Disk):
    """Counts all steps that change the disk. Before the k-th (from 1) it crashes for good, or fails with an errno.

    A flush is counted and not done: a crash of the process loses no written data.
    """

    def __init__(self, root: Path, crash_at: int = 0, fail_at: int = 0, errno: int = 0) -> None:
        self.steps: list[str] = []
        self._crash_at = crash_at
        self._fail_at = fail_at
        self._errno = errno
        self._is_dead = False
        super().__init__(root)

    def _step(self, name: str, path: str) -> None:
        if self._is_dead:
            raise Crash
        self.steps.append(f"{name} {path}")
        if len(self.steps) == self._crash_at:
            self._is_dead = True
            raise Crash
        if len(self.steps) == self._fail_at:
            with self._translate_errors(name, path, need_bytes=1):
                raise OSError(self._errno, os.strerror(self._errno))

    def make_folder(self, path):
        self._step("make_folder", path)
        return super().make_folder(path)

    def create(self, path):
        self._step("create", path)
        return super().create(path)

    def write(self, fd, path, data):
        self._step("write", path)
        super().write(fd, path, data)

    def fsync(self, fd, path):
        self._step("fsync", path)

    def close(self, fd, path):
        super().close(fd, path)
        self._step("close", path)

    def fsync_folder(self, path):
        self._step("fsync_folder", path)
        assert self.is_folder(path), path

    def rename(self, source, destination):
        self._step("rename", f"{source} -> {destination}")
        super().rename(source, destination)

    def link(self, source, destination):
        self._step("link", f"{source} -> {destination}")
        return super().link(source, destination)

    def unlink(self, path):
        self._step("unlink", path)
        super().unlink(path)

    def remove_folder(self, path):
        self._step("remove_folder", path)
        super().remove_folder(path)

    def open_for_update(self, path):
        self._step("open_for_update", path)
        return super().open_for_update(path)


class CancellingDisk(FaultyDisk):
    """A disk that cancels the crawl before the k-th step; a step that has begun in a thread continues."""

    def __init__(self, root, cancel_at, scope):
        self._cancel_at, self._scope = cancel_at, scope
        super().__init__(root)

    def _step(self, name, path):
        super()._step(name, path)
        if len(self.steps) == self._cancel_at:
            anyio.from_thread.run_sync(self._scope.cancel)


class UnpromotedDisk(Disk):
    """A disk whose process ends before the first rename out of the staging folder."""

    def rename(self, source, destination):
        if not destination.startswith("_staging/"):
            raise Crash
        super().rename(source, destination)


def batch(names, *, account=ACCOUNT, region="cn-hangzhou", snapshot=NEW, size=1, schema=SCHEMA):
    rows = [
        {
            "account_id": account,
            "region_id": region,
            "snapshot_id": snapshot,
            "fetched_at": START,
            "name": name,
            "config": {"size": size, "tags": [("a", "b")]},
            "_extra": None,
        }
        for name in names
    ]
    return pa.RecordBatch.from_pylist(rows, schema=schema)


async def write_names(writer, names, size=1, **where):
    """Write rows whose key is their name and whose digest is their size."""
    await writer.write(batch(names, size=size, **where), list(names), [size] * len(names))


def draft(**changes):
    fields = {
        "finished_at": START + timedelta(minutes=5),
        "version": "0.1.0",
        "secrets": "fingerprint",
        "plan_sha256": "ab" * 32,
        "clock_skew_s": 0.25,
        "unknown_fields": {"fc_functions": {"vpcConfig.ipv6Enabled": 2}},
        "overhead": {"sts": 2, "regions": 3, "directory": 0},
    }
    return ManifestDraft(**(fields | changes))


def ledger_row(table, account=ACCOUNT, region="cn-hangzhou", status=Status.COMPLETE, **changes):
    fields = {"lists": 1, "pages": 1, "requests": 1, "walk": "token", "started_at": START, "finished_at": START}
    return ScopeRow(account_id=account, region_id=region, table=table, status=status, **(fields | changes))


async def begin(root, snapshot_id=NEW, *, umask=0o077, disk=None, **limits):
    destination = await FolderDestination.begin(Path(root), snapshot_id, START, umask=umask, disk=disk)
    return SnapshotWriter(destination, SCHEMAS, **limits)


def die(writer):
    """Let the output's lock go, as the death of the process does."""
    writer.destination.lock.release()


async def write_scopes(writer, rows=ROWS, snapshot_id=NEW):
    """Write and keep all scopes; return their ledger. With `part_bytes=1`, each with rows gets a part of its own."""
    ledger = []
    for (table, account, region), names in rows.items():
        scope = writer.scope(table, account, region)
        reading = scope.list()
        if names:
            await write_names(reading, names, account=account, region=region, snapshot=snapshot_id)
        reading.finish()
        scope.keep()
        await writer.flush()
        await writer.write_due_parts()
        ledger.append(ledger_row(table, account, region, rows=len(names), rows_seen=len(names)))
    return ledger


async def write_snapshot(root, snapshot_id=NEW, rows=ROWS, extra_rows=(), **options):
    writer = await begin(root, snapshot_id, **options)
    ledger = await write_scopes(writer, rows, writer.snapshot_id)
    return await writer.commit(draft(), [*ledger, *extra_rows])


def table_files(root):
    """Return {path: SHA-256} of all files in a table's folder, as a glob finds them."""
    root = Path(root)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.glob("[a-z]*/**/*"))
        if path.is_file()
    }


def staging_names(root):
    folder = Path(root) / "_staging"
    return sorted(path.name for path in folder.iterdir() if path.name != "lock") if folder.is_dir() else []


def manifest_ids(root):
    return {path.name.removesuffix(".json") for path in (Path(root) / "_snapshots").glob("*.json")}


def assert_manifest_holds(root, snapshot_id):
    """Check that all files of the manifest exist with their size and hash."""
    manifest = read_manifest(Path(root), snapshot_id)
    files = [file for entry in manifest.tables.values() for file in entry.files]
    for file in [*files, manifest.ledger]:
        content = (Path(root) / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256), file.path
    return manifest
