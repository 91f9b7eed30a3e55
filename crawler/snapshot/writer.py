"""A snapshot being written: its scopes, its journal, its commit. The destination is a folder or a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec

from crawler.errors import CrawlError, OutputError, UnfinishedCommitError, describe_defect, describe_shortage
from crawler.snapshot.folder.resume import restored_blocks
from crawler.snapshot.journal import Journal, JournalEntry, ResumeConditions
from crawler.snapshot.layout import moved_id
from crawler.snapshot.ledger import Ledger, LedgerView
from crawler.snapshot.manifest import FORMAT, Manifest, count_scopes, status_of
from crawler.snapshot.rows.blocks import TableLayout
from crawler.snapshot.rows.ended_rows import EndedRows
from crawler.snapshot.rows.row_buffer import RowBuffer
from crawler.snapshot.rows.scope_writer import ScopeWriter
from crawler.snapshot.rows.table_writer import PartSettings
from crawler.snapshot.staging import StagedSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    import pyarrow as pa

    from crawler.snapshot.destination import Destination
    from crawler.snapshot.journal import ChildList
    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import ManifestDraft
    from crawler.snapshot.rows.statistics import PartStatistics

MEMORY_BYTES = 8 * 1024 * 1024
PART_BYTES = 128 * 1024 * 1024
# Scopes that end within this time are written to the journal together.
MOMENT_S = 1.0


class SnapshotWriter:
    """One snapshot, from its acquired destination to `commit` or `abandon`. `schemas` has the schema of each table.

    `keys` has the key columns of tables, by which the rows of an account and region are ordered. `memory_bytes` bounds
    the rows and keys in memory; a part is closed at about `part_bytes`. With `has_statistics`, `statistics` has those
    of each part that this process wrote, by its path, for the lake's tables.
    """

    def __init__(
        self,
        destination: Destination,
        schemas: Mapping[str, pa.Schema],
        *,
        keys: Mapping[str, Sequence[str]] | None = None,
        memory_bytes: int = MEMORY_BYTES,
        part_bytes: int = PART_BYTES,
        has_statistics: bool = False,
    ) -> None:
        self.destination = destination
        self._schemas = schemas
        self._layouts = {
            name: TableLayout(name, schema, (keys or {}).get(name, ())) for name, schema in schemas.items()
        }
        self._memory_bytes = memory_bytes
        self._part_bytes = part_bytes
        self._clock_skew_s = 0.0
        self._is_writing = False
        self._has_statistics = has_statistics
        self._begin(0)

    def _begin(self, journal_number: int) -> None:
        """Begin with nothing buffered, under the destination's ID."""
        self.snapshot_id = self.destination.snapshot_id
        self.started_at = self.destination.started_at
        journal = Journal(self.destination.disk, self.snapshot_id, journal_number)
        self.buffer = RowBuffer(self.destination.disk, journal, self._memory_bytes)
        settings = PartSettings(self.snapshot_id, self._part_bytes, self.destination.attempt, self._has_statistics)
        self._ended = EndedRows(self.buffer, self._layouts, settings)

    @property
    def statistics(self) -> Mapping[str, PartStatistics]:
        """See `SnapshotWriter`."""
        return self._ended.statistics()

    async def restamp(self, skew: timedelta) -> None:
        """Correct the start and the ID of a new snapshot, before `open_journal`. A resumed one keeps both.

        Raises OutputBusyError and OutputError if the output has a snapshot of that ID.
        """
        started_at, self._clock_skew_s = self.started_at + skew, skew.total_seconds()
        await self.destination.restamp(self.buffer, moved_id(self.snapshot_id, started_at), started_at)
        self._begin(0)

    async def open_journal(
        self, plan_sha256: str, conditions: Mapping[str, str], parents_by_table: Mapping[str, Sequence[str]]
    ) -> list[JournalEntry]:
        """Begin to record scopes if the destination keeps a journal; return the whole scopes of a resumed crawl.

        Another crawl resumes this one only with the same plan and the same `conditions`, by their names in messages.
        `parents_by_table`: every table of the plan → its parent tables. Raises ConfigError if the resumed crawl was
        begun with another plan or other conditions, and OutputError.
        """
        resume = ResumeConditions(
            snapshot_id=self.snapshot_id,
            started_at=self.started_at,
            clock_skew_s=self._clock_skew_s,
            plan_sha256=plan_sha256,
            conditions=dict(conditions),
        )
        found = await self.destination.reusable(self.buffer, resume, parents_by_table)
        if found is not None:
            self._begin(found.journals)
        if self.destination.keeps_journal:
            await self.buffer.run(self.buffer.journal.begin, resume)
        if found is None:
            return []
        for entry in found.entries:
            self._ended.reuse(entry)
        blocks = await self.buffer.run(restored_blocks, self.buffer.journal, found, self._layouts)
        for table, restored in blocks.items():
            self._ended.add_blocks(table, restored)
        return found.entries

    def note(
        self,
        row: ScopeRow,
        unknown: Mapping[str, int],
        misfits: Mapping[str, int],
        lists: Mapping[str, list[ChildList] | None],
    ) -> None:
        """Let the next flush record a whole scope, after it was kept, if this crawl keeps a journal.

        `unknown`, `misfits` and `lists` are those of `JournalEntry`.
        """
        if self.destination.keeps_journal:
            entry = JournalEntry(row=row, unknown=dict(unknown), misfits=dict(misfits), lists=dict(lists))
            self._ended.note(entry)

    def end_table(self, table: str) -> None:
        """Record that all scopes of a table have ended: its last part may be written."""
        self._ended.end_table(table)

    async def flush(self) -> None:
        """Write the rows of the scopes that have ended to the journal, and make it durable. Raises OutputError."""
        await self._ended.flush()

    async def write_due_parts(self) -> None:
        """Write the parts that have enough rows, or whose tables have ended. Raises OutputError."""
        await self.destination.deliver(self.buffer, await self._ended.write_due_parts())

    async def settle(self, all_ended: anyio.Event) -> None:
        """Flush what scopes that end within a moment leave, and write the parts that are due, until all have ended.

        A part that is being written then is completed. If this is cancelled, its rows wait for the commit. Raises
        OutputError.
        """
        async with anyio.create_task_group() as tasks:
            while not all_ended.is_set():
                with anyio.move_on_after(MOMENT_S):
                    await all_ended.wait()
                await self.flush()
                if self._ended.has_due and not self._is_writing and not all_ended.is_set():
                    self._is_writing = True
                    tasks.start_soon(self._write_in_background)
            await self.flush()

    async def _write_in_background(self) -> None:
        try:
            await self.write_due_parts()
        finally:
            self._is_writing = False

    async def leave_unfinished(self) -> bool:
        """Keep the staged files when the snapshot is abandoned, for a resume. Return whether there are any."""
        with suppress(OutputError):
            await self.flush()
        return self.destination.leave_unfinished(has_entries=self.buffer.journal.entries > 0)

    @property
    def buffered_bytes(self) -> int:
        """The approximate memory of rows that aren't on the disk yet."""
        return self.buffer.buffered_bytes

    def scope(self, table: str, account_id: str, region_id: str, *, has_one_list: bool = False) -> ScopeWriter:
        """Return the writer of a scope, once per scope. See `ScopeWriter` for `has_one_list`."""
        scope = (table, account_id, region_id)
        writer = ScopeWriter(self.buffer, self._ended, scope, has_one_list=has_one_list)
        self._ended.begin(scope)
        return writer

    async def commit(self, draft: ManifestDraft, ledger: LedgerView | Sequence[ScopeRow]) -> Manifest:
        """Make the snapshot visible. `ledger` has one row for each planned scope; their statuses give the snapshot's.

        A scope that `has_rows` must have as many rows as were kept of it, any other none. Raises OutputError, after
        which nothing is committed (call `abandon` then), and UnfinishedCommitError if the snapshot is whole but not
        all in place: the next crawl completes it.
        """
        self.buffer.raise_if_failed()
        rows = Ledger(ledger) if isinstance(ledger, Sequence) else ledger
        await self._ended.finish()
        self._ended.raise_unless_consistent(rows)
        self.buffer.journal.close()
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
        self.buffer.journal.close()
        await self.destination.abandon()

    def _assemble(self, draft: ManifestDraft, ledger: LedgerView) -> Manifest:
        """Stage everything but the manifest, which is returned. Blocks."""
        staged = StagedSnapshot(self.destination.disk, self.snapshot_id, self._schemas, self.destination.attempt)
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
            tables=staged.tables(self._ended.files(), ledger),
            scopes=count_scopes(ledger),
            unknown_fields={table: dict(counts) for table, counts in draft.unknown_fields.items()},
            overhead=dict(draft.overhead),
            directory=draft.directory,
            left_out=list(draft.left_out),
            selection=draft.selection,
            replaced_latest=draft.replaced_latest or msgspec.UNSET,
            ledger=staged.ledger(ledger.batches()),
        )
