"""A snapshot being written: from the lock to the commit."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.commit import decide, prepare_destinations, publish, recover
from crawler.snapshot.disk import Disk, make_folders, remove_tree
from crawler.snapshot.ledger import LEDGER_SCHEMA, Status, has_rows, ledger_batch, sorted_ledger
from crawler.snapshot.lock import OutputLock
from crawler.snapshot.parts import PartFile, PartWriter
from crawler.snapshot.paths import (
    account_folder,
    ledger_path,
    manifest_path,
    parent,
    part_name,
    scope_folder,
    staged,
)
from crawler.snapshot.preflight import make_root
from crawler.snapshot.scope import ScopeWriter
from crawler.snapshot.spool import Spool
from crawler.snapshot.store import count_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import Manifest, ManifestDraft

MEMORY_BYTES = 64 * 1024 * 1024
MAX_OPEN_PARTS = 64

_Scope = tuple[str, str, str]


class SnapshotWriter:
    """One snapshot on a local disk. `begin` it, write its scopes, end with `commit` or `abandon`, which lets the
    output go again. A process that dies leaves nothing that the next `begin` doesn't set right.
    """

    def __init__(
        self,
        disk: Disk,
        lock: OutputLock,
        snapshot_id: str,
        started_at: datetime,
        schemas: Mapping[str, pa.Schema],
        spool: Spool,
    ) -> None:
        """Not called directly: see `begin`."""
        self.snapshot_id = snapshot_id
        self.recovered: list[str] = []
        self._disk = disk
        self._lock = lock
        self._started_at = started_at
        self._schemas = schemas
        self._columns = {table: count_columns(schema) for table, schema in schemas.items()}
        self._spool = spool
        self._kept: dict[_Scope, list[PartFile]] = {}
        self._dropped: set[_Scope] = set()
        self._running: set[_Scope] = set()
        self._made: list[str] = []
        self._is_decided = False
        self._is_over = False
        # A worker thread outlives the task that waits for it when that is cancelled from outside of anyio.
        self._busy = threading.Lock()

    @classmethod
    async def begin(
        cls,
        root: Path,
        snapshot_id: str,
        started_at: datetime,
        schemas: Mapping[str, pa.Schema],
        *,
        umask: int = 0o077,
        memory_bytes: int = MEMORY_BYTES,
        max_open_parts: int = MAX_OPEN_PARTS,
        disk: Disk | None = None,
    ) -> SnapshotWriter:
        """Take the output, set right what a crash left in it (`recovered`: the snapshots completed), start staging.

        Raises OutputBusyError where another crawl holds the output, OutputError where it can't be written.
        """

        def begin_blocking() -> tuple[Disk, OutputLock, list[str]]:
            make_root(root, umask)
            return _take_output(disk or Disk(root, umask), snapshot_id, started_at)

        with anyio.CancelScope(shield=True):
            taken, lock, recovered = await anyio.to_thread.run_sync(begin_blocking)
        spool = Spool(taken, memory_bytes, max_open_parts)
        writer = cls(taken, lock, snapshot_id, started_at, schemas, spool)
        writer.recovered = recovered
        return writer

    @property
    def buffered_bytes(self) -> int:
        """Memory that rows take which aren't on the disk yet, about."""
        return self._spool.buffered_bytes

    def scope(self, table: str, account_id: str, region_id: str) -> ScopeWriter:
        """A scope to be written, once. Raises OutputError for names that no path can have."""
        key = (table, account_id, region_id)
        if key in self._running or key in self._kept or key in self._dropped:
            raise RuntimeError(f"the scope {key} was begun before")
        schema, columns = self._schemas[table], self._columns[table]
        writer = ScopeWriter(self._spool, self.snapshot_id, schema, columns, key, self._end_scope)
        self._running.add(key)
        return writer

    async def commit(self, draft: ManifestDraft, ledger: Sequence[ScopeRow]) -> Manifest:
        """Make the snapshot visible. `ledger` has one row for each planned scope; its statuses decide the snapshot's.

        A scope that `has_rows` must have as many rows as were kept of it, any other none. Raises OutputError, after
        which nothing is committed (`abandon` then), and UnfinishedCommitError where the snapshot was decided already:
        the next `begin` completes it.
        """
        self._spool.raise_if_failed()
        self._raise_unless_consistent(ledger)
        manifest = await self._spool.run(self._stage, draft, sorted_ledger(ledger))
        await anyio.lowlevel.checkpoint()
        await self._spool.run(self._publish, manifest)
        return manifest

    async def abandon(self) -> None:
        """Give the snapshot up and let the output go: nothing of it stays. After `commit` this does nothing."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._abandon)

    def _end_scope(self, scope: _Scope, files: list[PartFile] | None) -> None:
        self._running.discard(scope)
        if files is None:
            self._dropped.add(scope)
        else:
            self._kept[scope] = files

    def _raise_unless_consistent(self, ledger: Sequence[ScopeRow]) -> None:
        if not ledger:
            raise OutputError("a snapshot without any scope is not committed")
        rows = {
            (row.table, row.account_id, row.region_id): row.rows
            for row in ledger
            if row.written and has_rows(row.status)
        }
        kept = {scope: sum(file.rows for file in files) for scope, files in self._kept.items()}
        odd = {scope for scope in rows.keys() | kept.keys() if rows.get(scope, 0) != kept.get(scope, 0)}
        odd |= self._running | (self._dropped & rows.keys())
        if odd:
            raise OutputError(
                f"the ledger and the files disagree about {len(odd)} scopes, nothing is committed; the first is "
                f"{min(odd)}, with {rows.get(min(odd), 'no')} rows in the ledger and {kept.get(min(odd), 'no')} kept"
            )

    def _stage(self, draft: ManifestDraft, ledger: Sequence[ScopeRow]) -> Manifest:
        with self._busy:
            files = self._stage_empty_tables(ledger)
            self._flush_folders(files)
            rows = self._write_part(ledger_path(self.snapshot_id), LEDGER_SCHEMA, [ledger_batch(ledger)])
            manifest = self._manifest(draft, ledger, files, rows)
            self._made = prepare_destinations(self._disk, manifest)
            return manifest

    def _publish(self, manifest: Manifest) -> None:
        with self._busy:
            decide(self._disk, manifest)
            self._is_decided = True
            try:
                publish(self._disk, manifest)
            finally:
                self._let_go()

    def _stage_empty_tables(self, ledger: Sequence[ScopeRow]) -> dict[str, list[PartFile]]:
        files: dict[str, list[PartFile]] = {}
        for scope in sorted(self._kept):
            files.setdefault(scope[0], []).extend(self._kept[scope])
        for row in sorted(ledger, key=lambda row: (row.status is not Status.COMPLETE, row.account_id, row.region_id)):
            if row.written and has_rows(row.status) and not files.get(row.table):
                folder = scope_folder(row.table, self.snapshot_id, row.account_id, row.region_id)
                files[row.table] = [self._write_part(f"{folder}/{part_name(0)}", self._schemas[row.table], [])]
        return {table: found for table, found in files.items() if found}

    def _write_part(self, path: str, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> PartFile:
        place = staged(self.snapshot_id, path)
        part = PartWriter(self._disk, f"{place}.partial", schema)
        part.append(batches)
        part.finish()
        self._disk.rename(part.path, place)
        self._disk.fsync_folder(parent(place))
        return PartFile(path, part.rows, part.bytes, part.sha256)

    def _flush_folders(self, files: Mapping[str, Sequence[PartFile]]) -> None:
        """Flush every folder above the parts', which are flushed already; take empty accounts' away."""
        used = {parent(parent(file.path)) for found in files.values() for file in found}
        for table, account_id, _ in self._dropped | self._kept.keys():
            folder = account_folder(table, self.snapshot_id, account_id)
            if folder not in used:
                self._disk.remove_folder(staged(self.snapshot_id, folder))
        folders = set(used)
        for folder in used:
            while folder := parent(folder):
                folders.add(folder)
        for folder in sorted(folders, reverse=True):
            self._disk.fsync_folder(staged(self.snapshot_id, folder))

    def _manifest(
        self,
        draft: ManifestDraft,
        ledger: Sequence[ScopeRow],
        files: Mapping[str, Sequence[PartFile]],
        ledger_file: PartFile,
    ) -> Manifest:
        return manifests.Manifest(
            format=manifests.FORMAT,
            snapshot_id=self.snapshot_id,
            status=manifests.status_of(ledger, draft.directory),
            started_at=self._started_at,
            finished_at=draft.finished_at,
            version=draft.version,
            secrets=draft.secrets,
            clock_skew_s=draft.clock_skew_s,
            plan_sha256=draft.plan_sha256,
            tables={table: self._table_entry(table, found) for table, found in files.items()},
            scopes=manifests.count_scopes(ledger),
            unknown_fields={table: dict(counts) for table, counts in draft.unknown_fields.items()},
            overhead=dict(draft.overhead),
            directory=draft.directory,
            left_out=list(draft.left_out),
            ledger=ledger_file,
        )

    def _table_entry(self, table: str, files: Sequence[PartFile]) -> manifests.TableEntry:
        return manifests.TableEntry(
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            schema_sha256=manifests.schema_sha256(self._schemas[table]),
            files=sorted(files, key=lambda file: file.path),
        )

    def _abandon(self) -> None:
        with self._busy:
            if self._is_over:
                return
            if not self._is_decided:
                with suppress(OutputError):
                    remove_tree(self._disk, staged(self.snapshot_id))
                for folder in reversed(self._made):
                    with suppress(OutputError):
                        self._disk.remove_folder(folder)
            self._let_go()

    def _let_go(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._lock.release()
            self._disk.close_root()


def _take_output(disk: Disk, snapshot_id: str, started_at: datetime) -> tuple[Disk, OutputLock, list[str]]:
    lock = None
    try:
        lock = OutputLock.take(disk, started_at)
        recovered = recover(disk)
        _refuse_committed(disk, snapshot_id)
        make_folders(disk, staged(snapshot_id))
    except BaseException:
        if lock is not None:
            lock.release()
        disk.close_root()
        raise
    return disk, lock, recovered


def _refuse_committed(disk: Disk, snapshot_id: str) -> None:
    if disk.has(manifest_path(snapshot_id)):
        raise OutputError(f"the output has a snapshot {snapshot_id} already")
