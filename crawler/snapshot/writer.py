"""The rows of a crawl or of a shard while they are written, and of a crawl in one process also the commit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from crawler.errors import OutputError
from crawler.snapshot.assembly import commit_snapshot
from crawler.snapshot.folder.resume import restored_blocks
from crawler.snapshot.journal import Journal, JournalEntry, ResumeConditions
from crawler.snapshot.layout import moved_id
from crawler.snapshot.ledger import Ledger, LedgerView
from crawler.snapshot.rows.blocks import TableLayout
from crawler.snapshot.rows.ended_rows import EndedRows
from crawler.snapshot.rows.row_buffer import RowBuffer
from crawler.snapshot.rows.scope_writer import ScopeWriter
from crawler.snapshot.rows.table_writer import PartSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    import pyarrow as pa

    from crawler.snapshot.destination import Destination, ShardDestination
    from crawler.snapshot.journal import ChildList
    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import Manifest, ManifestDraft, PartFile
    from crawler.snapshot.rows.statistics import PartStatistics

MEMORY_BYTES = 8 * 1024 * 1024
PART_BYTES = 128 * 1024 * 1024
# Scopes that end within this time are written to the journal together.
MOMENT_S = 1.0


class ShardWriter:
    """The scopes of one shard, from its acquired destination to `finish` or `abandon`. `schemas` is by table.

    `keys` has the key columns of tables, by which the rows of an account and region are ordered. `memory_bytes` bounds
    the rows and keys in memory; a part is closed at about `part_bytes`. With `has_statistics`, `statistics` has those
    of each part that this process wrote, by its path, for the lake's tables.
    """

    def __init__(
        self,
        destination: ShardDestination,
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

    async def finish(self, ledger: LedgerView) -> dict[str, list[PartFile]]:
        """Write all rows to parts, deliver them, and return the files of each table that has any.

        A scope of the ledger that `has_rows` must have as many rows as were kept of it, any other none. Raises
        OutputError.
        """
        self.buffer.raise_if_failed()
        await self._ended.finish()
        self._ended.raise_unless_consistent(ledger)
        self.buffer.journal.close()
        files = self._ended.files()
        await self.destination.deliver(self.buffer, [file for found in files.values() for file in found])
        return files

    async def abandon(self) -> None:
        """Remove the staged files, unless `leave_unfinished` was called, and release the destination.

        After a commit or a report this only releases it.
        """
        self.buffer.journal.close()
        await self.destination.abandon()


class SnapshotWriter(ShardWriter):
    """The one shard of a crawl in one process, whose destination is the snapshot's own: it ends with `commit`."""

    destination: Destination

    async def restamp(self, skew: timedelta) -> None:
        """Correct the start and the ID of a new snapshot, before `open_journal`. A resumed one keeps both.

        Raises OutputBusyError and OutputError if the output has a snapshot of that ID.
        """
        started_at, self._clock_skew_s = self.started_at + skew, skew.total_seconds()
        await self.destination.restamp(self.buffer, moved_id(self.snapshot_id, started_at), started_at)
        self._begin(0)

    async def commit(self, draft: ManifestDraft, ledger: LedgerView | Sequence[ScopeRow]) -> Manifest:
        """Make the snapshot visible, as `commit_snapshot` does. `ledger` has one row for each planned scope."""
        rows = Ledger(ledger) if isinstance(ledger, Sequence) else ledger
        files = await self.finish(rows)
        return await commit_snapshot(self.destination, self.buffer, self._schemas, draft, rows, files)
