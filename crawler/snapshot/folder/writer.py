"""A snapshot being written: from the lock to the commit."""

from __future__ import annotations

import threading
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Self

import anyio
import anyio.lowlevel
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import Disk, remove_tree
from crawler.snapshot.folder.commit import decide, prepare_destinations, publish
from crawler.snapshot.folder.ended_scopes import ScopeSet
from crawler.snapshot.folder.journal import Journal, JournalEntry, ResumeConditions
from crawler.snapshot.folder.preflight import make_root
from crawler.snapshot.folder.recovery import take_for_new, take_unfinished
from crawler.snapshot.folder.resume import check_terms, take_over
from crawler.snapshot.folder.staging import StagedSnapshot
from crawler.snapshot.layout import account_folder, staged
from crawler.snapshot.ledger import Ledger, has_rows
from crawler.snapshot.rows.row_buffer import RowBuffer
from crawler.snapshot.rows.row_store import count_columns
from crawler.snapshot.rows.scope_writer import ScopeWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from crawler.snapshot.folder.journal import ChildList
    from crawler.snapshot.folder.lock import OutputLock
    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import Manifest, ManifestDraft, PartFile

MEMORY_BYTES = 40 * 1024 * 1024
MAX_OPEN_PARTS = 64

_Scope = tuple[str, str, str]


class SnapshotWriter:
    """One snapshot on a local disk. `begin` or `resume` it, write its scopes, end with `commit` or `abandon`, which
    lets the output go again. A process that dies leaves nothing that the next `begin` doesn't set right.
    """

    _has_journal = True

    def __init__(
        self,
        disk: Disk,
        lock: OutputLock,
        snapshot_id: str,
        started_at: datetime,
        schemas: Mapping[str, pa.Schema],
        spool: RowBuffer,
    ) -> None:
        """Not called directly: see `begin`."""
        self.snapshot_id = snapshot_id
        self.started_at = started_at
        self.recovered: list[str] = []
        self._disk = disk
        self._lock = lock
        self._unfinished: tuple[ResumeConditions, list[JournalEntry]] | None = None
        self._journal: Journal | None = None
        self._stays = False
        self._schemas = schemas
        self._columns = {table: count_columns(schema) for table, schema in schemas.items()}
        self._spool = spool
        # Scopes without a file are most of a large crawl: they are in `_ended` only.
        self._kept: dict[_Scope, list[PartFile]] = {}
        self._ended = ScopeSet()
        self._dropped = ScopeSet()
        self._running: set[_Scope] = set()
        self._emptied: set[str] = set()
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
        max_part_bytes: float = inf,
        disk: Disk | None = None,
    ) -> Self:
        """Take the output, set right what a crash left in it (`recovered`: the snapshots completed), start staging.

        `max_open_parts` bounds the files that are open at once. Raises OutputBusyError where another crawl holds
        the output, OutputError where it can't be written.
        """

        def begin_blocking() -> tuple[Disk, OutputLock, list[str]]:
            make_root(root, umask)
            return take_for_new(disk or Disk(root, umask), snapshot_id, started_at)

        with anyio.CancelScope(shield=True):
            taken, lock, recovered = await anyio.to_thread.run_sync(begin_blocking)
        spool = RowBuffer(taken, memory_bytes, max_open_parts, max_part_bytes)
        writer = cls(taken, lock, snapshot_id, started_at, schemas, spool)
        writer.recovered = recovered
        return writer

    @classmethod
    async def resume(
        cls,
        root: Path,
        now: datetime,
        schemas: Mapping[str, pa.Schema],
        *,
        umask: int = 0o077,
        max_open_parts: int = MAX_OPEN_PARTS,
        disk: Disk | None = None,
    ) -> Self:
        """Take the output to go on with its newest unfinished crawl, under that one's ID; `open_journal` says how far.

        Until that has returned, nothing of it is changed. Raises ConfigError, which says why, where there is none to go
        on with; and as `begin` does.
        """

        def resume_blocking() -> tuple[Disk, OutputLock, tuple[ResumeConditions, list[JournalEntry]]]:
            return take_unfinished(disk or Disk(root, umask), now)

        with anyio.CancelScope(shield=True):
            taken, lock, (terms, records) = await anyio.to_thread.run_sync(resume_blocking)
        spool = RowBuffer(taken, MEMORY_BYTES, max_open_parts)
        writer = cls(taken, lock, terms.snapshot_id, terms.started_at, schemas, spool)
        writer._unfinished, writer._stays = (terms, records), True
        return writer

    async def open_journal(
        self, plan_sha256: str, conditions: Mapping[str, str], families: Mapping[str, Sequence[str]]
    ) -> list[JournalEntry]:
        """Begin to note scopes, where this kind of output can: those that are whole already, after `resume`.

        `conditions`: what must be the same, besides the plan, for another crawl to go on where this one ends, by its
        name for messages. `families`: every table of the plan → the tables right above it. Raises ConfigError where
        what is to go on was begun otherwise, and OutputError.
        """
        terms = ResumeConditions(
            snapshot_id=self.snapshot_id,
            started_at=self.started_at,
            plan_sha256=plan_sha256,
            conditions=dict(conditions),
        )
        records: list[JournalEntry] = []
        if self._unfinished is not None:
            then, noted = self._unfinished
            check_terms(then, terms)
            self._stays = False
            records = await self._spool.run(take_over, self._disk, self.snapshot_id, noted, families)
        if self._has_journal:
            self._journal = await Journal.start(self._spool, terms, records)
        for record in records:
            if record.row.written:
                files = record.files if has_rows(record.row.status) else None
                self._end_scope(record.scope, files, had_parts=False)
        return records

    async def note(
        self, row: ScopeRow, unknown: Mapping[str, int], lists: Mapping[str, list[ChildList] | None]
    ) -> None:
        """A scope is whole and has ended: note it with its files, durably, where there is a journal.

        `unknown` and `lists` are `JournalEntry`'s. Raises OutputError.
        """
        if self._journal is not None:
            files = self._kept.get((row.table, row.account_id, row.region_id), [])
            await self._journal.add(JournalEntry(row=row, files=files, unknown=dict(unknown), lists=dict(lists)))

    def leave_unfinished(self) -> bool:
        """Let what is staged stay when the snapshot is abandoned, for a `resume`; whether anything is worth it."""
        self._stays = self._stays or (self._journal is not None and self._journal.count > 0)
        return self._stays

    @property
    def buffered_bytes(self) -> int:
        """Memory that rows take which aren't on the disk yet, about."""
        return self._spool.buffered_bytes

    def scope(self, table: str, account_id: str, region_id: str) -> ScopeWriter:
        """A scope to be written, once. Raises OutputError for names that no path can have."""
        key = (table, account_id, region_id)
        if key in self._running or key in self._ended:
            raise RuntimeError(f"the scope {key} was begun before")
        schema, columns = self._schemas[table], self._columns[table]
        writer = ScopeWriter(self._spool, self.snapshot_id, schema, columns, key, self._end_scope, self._land)
        self._running.add(key)
        return writer

    async def commit(self, draft: ManifestDraft, ledger: Sequence[ScopeRow]) -> Manifest:
        """Make the snapshot visible. `ledger` has one row for each planned scope; its statuses decide the snapshot's.

        A scope that `has_rows` must have as many rows as were kept of it, any other none. Raises OutputError, after
        which nothing is committed (`abandon` then), and UnfinishedCommitError where the snapshot was decided already:
        the next `begin` completes it.
        """
        self._spool.raise_if_failed()
        rows = Ledger.of(ledger)
        self._raise_unless_consistent(rows)
        manifest = await self._spool.run(self._stage, draft, rows)
        await anyio.lowlevel.checkpoint()
        await self._spool.run(self._publish, manifest)
        return manifest

    async def abandon(self) -> None:
        """Give the snapshot up and let the output go: nothing of it stays, unless `leave_unfinished` has said so.

        After `commit` this does nothing.
        """
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._abandon)

    async def _land(self, files: Sequence[PartFile]) -> None:
        """Take a scope's finished files further. On a local disk they are where they must be."""

    def _end_scope(self, scope: _Scope, files: list[PartFile] | None, had_parts: bool) -> None:
        self._running.discard(scope)
        self._ended.add(scope)
        if files is None:
            self._dropped.add(scope)
        if files:
            self._kept[scope] = files
        elif had_parts:
            self._emptied.add(account_folder(scope[0], self.snapshot_id, scope[1]))

    def _raise_unless_consistent(self, ledger: Ledger) -> None:
        if not ledger:
            raise OutputError("a snapshot without any scope is not committed")
        kept = {scope: sum(file.rows for file in files) for scope, files in self._kept.items()}
        # Of a million scopes only those with rows are held, and what is odd.
        rows: dict[_Scope, int] = {}
        odd = {*self._running}
        for row in ledger:
            if row.written and has_rows(row.status):
                scope = (row.table, row.account_id, row.region_id)
                if row.rows or scope in self._dropped:
                    rows[scope] = row.rows
                if scope in self._dropped:
                    odd.add(scope)
        odd |= {scope for scope in rows.keys() | kept.keys() if rows.get(scope, 0) != kept.get(scope, 0)}
        if odd:
            raise OutputError(
                f"the ledger and the files disagree about {len(odd)} scopes, nothing is committed; the first is "
                f"{min(odd)}, with {rows.get(min(odd), 'no')} rows in the ledger and {kept.get(min(odd), 'no')} kept"
            )

    def _stage(self, draft: ManifestDraft, ledger: Ledger) -> Manifest:
        with self._busy:
            manifest = self._assemble(draft, ledger)
            self._made = prepare_destinations(self._disk, manifest)
            return manifest

    def _assemble(self, draft: ManifestDraft, ledger: Ledger) -> Manifest:
        """Everything staged but the manifest, which is given."""
        assembly = StagedSnapshot(self._disk, self.snapshot_id, self._schemas)
        tables = assembly.tables(self._kept, self._emptied, ledger)
        return self._manifest(draft, ledger, tables, assembly.ledger(ledger))

    def _publish(self, manifest: Manifest) -> None:
        with self._busy:
            decide(self._disk, manifest)
            self._is_decided = True
            try:
                publish(self._disk, manifest)
            finally:
                self._let_go()

    def _manifest(
        self,
        draft: ManifestDraft,
        ledger: Ledger,
        tables: dict[str, manifests.TableEntry],
        ledger_file: PartFile,
    ) -> Manifest:
        return manifests.Manifest(
            format=manifests.FORMAT,
            snapshot_id=self.snapshot_id,
            status=manifests.status_of(ledger, draft.directory),
            started_at=self.started_at,
            finished_at=draft.finished_at,
            version=draft.version,
            secrets=draft.secrets,
            fingerprint_key_id=draft.fingerprint_key_id,
            clock_skew_s=draft.clock_skew_s,
            plan_sha256=draft.plan_sha256,
            tables=tables,
            scopes=manifests.count_scopes(ledger),
            unknown_fields={table: dict(counts) for table, counts in draft.unknown_fields.items()},
            overhead=dict(draft.overhead),
            directory=draft.directory,
            left_out=list(draft.left_out),
            ledger=ledger_file,
        )

    def _abandon(self) -> None:
        with self._busy:
            if self._is_over:
                return
            if not self._is_decided:
                if not self._stays:
                    with suppress(OutputError):
                        remove_tree(self._disk, staged(self.snapshot_id))
                for folder in reversed(self._made):
                    with suppress(OutputError):
                        self._disk.remove_folder(folder)
            self._let_go()

    def _let_go(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self._journal is not None:
                with suppress(OutputError):
                    self._journal.close()
            self._lock.release()
            self._disk.close_root()
