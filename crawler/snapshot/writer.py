"""A snapshot being written: its scopes, its journal, its commit. The destination is a folder or a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel
import msgspec

from crawler.errors import CrawlError, UnfinishedCommitError, describe_defect, describe_shortage
from crawler.snapshot.ended_scopes import EndedScopes
from crawler.snapshot.folder.journal import JournalEntry, ResumeConditions
from crawler.snapshot.layout import moved_id
from crawler.snapshot.ledger import Ledger
from crawler.snapshot.manifest import FORMAT, Manifest, count_scopes, status_of
from crawler.snapshot.rows.row_buffer import RowBuffer
from crawler.snapshot.rows.row_store import count_columns
from crawler.snapshot.rows.scope_writer import ScopeWriter
from crawler.snapshot.staging import StagedSnapshot
from crawler.snapshot.status import has_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    import pyarrow as pa

    from crawler.snapshot.destination import Destination
    from crawler.snapshot.folder.journal import ChildList
    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import ManifestDraft, PartFile
    from crawler.snapshot.rows.statistics import PartStatistics

MEMORY_BYTES = 40 * 1024 * 1024
MAX_OPEN_PARTS = 64


class SnapshotWriter:
    """One snapshot, from its acquired destination to `commit` or `abandon`. `schemas` has the schema of each table.

    `memory_bytes` bounds the rows and keys in memory; `max_open_parts` bounds the files that are open at once.
    `statistics` are those of the parts by their paths, for the lake's tables. It may lack any part.
    """

    def __init__(
        self,
        destination: Destination,
        schemas: Mapping[str, pa.Schema],
        *,
        memory_bytes: int = MEMORY_BYTES,
        max_open_parts: int = MAX_OPEN_PARTS,
    ) -> None:
        self.destination = destination
        self.snapshot_id = destination.snapshot_id
        self.started_at = destination.started_at
        self.buffer = RowBuffer(destination.disk, memory_bytes, max_open_parts, destination.max_part_bytes)
        self.statistics: dict[str, PartStatistics] = {}
        self._clock_skew_s = 0.0
        self._schemas = schemas
        self._columns = {table: count_columns(schema) for table, schema in schemas.items()}
        self._scopes = EndedScopes(self.snapshot_id)

    async def restamp(self, skew: timedelta) -> None:
        """Correct the start and the ID of a new snapshot, before `open_journal`. A resumed one keeps both.

        Raises OutputBusyError and OutputError if the output has a snapshot of that ID.
        """
        started_at, self._clock_skew_s = self.started_at + skew, skew.total_seconds()
        await self.destination.restamp(self.buffer, moved_id(self.snapshot_id, started_at), started_at)
        self.snapshot_id, self.started_at = self.destination.snapshot_id, self.destination.started_at
        self._scopes = EndedScopes(self.snapshot_id)

    async def open_journal(
        self, plan_sha256: str, conditions: Mapping[str, str], parents_by_table: Mapping[str, Sequence[str]]
    ) -> list[JournalEntry]:
        """Begin to record scopes if the destination keeps a journal; return the whole scopes of a resumed crawl.

        Another crawl resumes this one only with the same plan and the same `conditions`, by their names in messages.
        `parents_by_table`: every table of the plan → its parent tables. Raises ConfigError if the resumed crawl was
        begun with another plan or other conditions, and OutputError.
        """
        entries = await self.destination.open_journal(
            self.buffer,
            ResumeConditions(
                snapshot_id=self.snapshot_id,
                started_at=self.started_at,
                clock_skew_s=self._clock_skew_s,
                plan_sha256=plan_sha256,
                conditions=dict(conditions),
            ),
            parents_by_table,
        )
        for entry in entries:
            if entry.row.written:
                files = entry.files if has_rows(entry.row.status) else None
                self._scopes.end(entry.scope, files, had_parts=False)
        return entries

    async def note(
        self,
        row: ScopeRow,
        unknown: Mapping[str, int],
        misfits: Mapping[str, int],
        lists: Mapping[str, list[ChildList] | None],
    ) -> None:
        """Record a whole scope with its files durably, if a journal is open. Raises OutputError.

        `unknown`, `misfits` and `lists` are those of `JournalEntry`.
        """
        files = self._scopes.files.get((row.table, row.account_id, row.region_id), [])
        entry = JournalEntry(row=row, files=files, unknown=dict(unknown), misfits=dict(misfits), lists=dict(lists))
        await self.destination.note(entry)

    def leave_unfinished(self) -> bool:
        """Keep the staged files when the snapshot is abandoned, for a resume. Return whether there are any."""
        return self.destination.leave_unfinished()

    @property
    def buffered_bytes(self) -> int:
        """The approximate memory of rows that aren't on the disk yet."""
        return self.buffer.buffered_bytes

    def scope(self, table: str, account_id: str, region_id: str) -> ScopeWriter:
        """Return the writer of a scope, once per scope. Raises OutputError for names that no path can have."""
        key = (table, account_id, region_id)
        schema, columns = self._schemas[table], self._columns[table]
        writer = ScopeWriter(self.buffer, self.snapshot_id, schema, columns, key, self._scopes.end, self._deliver)
        self._scopes.begin(key)
        return writer

    async def commit(self, draft: ManifestDraft, ledger: Sequence[ScopeRow]) -> Manifest:
        """Make the snapshot visible. `ledger` has one row for each planned scope; their statuses give the snapshot's.

        A scope that `has_rows` must have as many rows as were kept of it, any other none. Raises OutputError, after
        which nothing is committed (call `abandon` then), and UnfinishedCommitError if the snapshot is whole but not
        all in place: the next crawl completes it.
        """
        self.buffer.raise_if_failed()
        rows = Ledger.of(ledger)
        self._scopes.raise_unless_consistent(rows)
        manifest = await self.destination.stage(self.buffer, lambda: self._assemble(draft, rows))
        await anyio.lowlevel.checkpoint()
        try:
            await self.destination.commit(self.buffer, manifest)
        except CrawlError:
            raise
        except Exception as error:
            if not self.destination.is_committed:
                raise
            raise UnfinishedCommitError(
                f"snapshot {self.snapshot_id} is committed, but the last steps of its commit failed; the next crawl "
                f"repeats them: {describe_shortage(error) or describe_defect(error)}"
            ) from error
        return manifest

    async def abandon(self) -> None:
        """Remove the staged files, unless `leave_unfinished` was called, and release the destination.

        After `commit` this does nothing.
        """
        await self.destination.abandon()

    async def _deliver(self, files: Sequence[PartFile]) -> None:
        await self.destination.deliver(self.buffer, files)

    def _assemble(self, draft: ManifestDraft, ledger: Ledger) -> Manifest:
        """Stage everything but the manifest, which is returned. Blocks."""
        staged = StagedSnapshot(self.destination.disk, self.snapshot_id, self._schemas)
        return Manifest(
            format=FORMAT,
            snapshot_id=self.snapshot_id,
            status=status_of(ledger, draft.directory),
            started_at=self.started_at,
            finished_at=draft.finished_at,
            version=draft.version,
            secrets=draft.secrets,
            fingerprint_key_id=draft.fingerprint_key_id,
            fingerprint_scope=draft.fingerprint_scope,
            clock_skew_s=draft.clock_skew_s,
            plan_sha256=draft.plan_sha256,
            tables=staged.tables(self._scopes.files, self._scopes.emptied_folders, ledger),
            scopes=count_scopes(ledger),
            unknown_fields={table: dict(counts) for table, counts in draft.unknown_fields.items()},
            overhead=dict(draft.overhead),
            directory=draft.directory,
            left_out=list(draft.left_out),
            selection=draft.selection,
            replaced_latest=draft.replaced_latest or msgspec.UNSET,
            ledger=staged.ledger(ledger),
        )
