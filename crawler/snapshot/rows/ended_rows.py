"""The rows of the scopes that have ended, on their way to the journal and then to the parts of their tables.

The rows of many scopes of a table are decoded, compressed and written together, soon after their scopes ended. A part
is written from them when there are enough, or when all scopes of its table have ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import anyio
import msgspec

from crawler.snapshot.disk import make_folders_durably
from crawler.snapshot.journal import RowsAt
from crawler.snapshot.rows.kept_scopes import KeptScopes, Scope
from crawler.snapshot.rows.pending_rows import to_blocks
from crawler.snapshot.rows.row_store import RowStore
from crawler.snapshot.rows.table_writer import PartSettings, TableWriter
from crawler.snapshot.status import has_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crawler.snapshot.journal import JournalEntry
    from crawler.snapshot.ledger import LedgerView
    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.rows.blocks import Block, TableLayout
    from crawler.snapshot.rows.parquet import PartWriter
    from crawler.snapshot.rows.pending_rows import PendingRows
    from crawler.snapshot.rows.row_buffer import RowBuffer
    from crawler.snapshot.rows.statistics import PartStatistics


@dataclass(slots=True)
class EndedScope:
    """A scope that was kept: the number of its rows in blocks, and once they are in the journal, where.

    `parts` are parts of its own, which become `files`.
    """

    rows: int
    parts: list[PartWriter]
    files: list[PartFile] = field(default_factory=list)
    rows_at: list[RowsAt] = field(default_factory=list)


@dataclass(slots=True)
class TableRows:
    """The rows of a table's ended scopes: those in `store`, of the scopes in `ended`, aren't in the journal yet.

    `flushes` counts those that are on their way there.
    """

    writer: TableWriter
    store: RowStore
    ended: list[EndedScope] = field(default_factory=list)
    flushes: int = 0

    @property
    def is_due(self) -> bool:
        """Whether a part can be written: of a table whose scopes have all ended, with all of its rows."""
        has_others = self.writer.is_complete and (self.ended or self.flushes)
        return self.writer.is_due and not has_others


class EndedRows:
    """The ended scopes of one snapshot. Methods raise OutputError."""

    def __init__(self, buffer: RowBuffer, layouts: Mapping[str, TableLayout], settings: PartSettings) -> None:
        self._buffer = buffer
        self._tables = {
            name: TableRows(TableWriter(buffer, layout, settings), RowStore(layout)) for name, layout in layouts.items()
        }
        self._scopes = KeptScopes()
        self._unnoted: dict[Scope, EndedScope] = {}
        self._noted: list[tuple[JournalEntry, EndedScope | None]] = []
        buffer.ended_stores = {table.store for table in self._tables.values()}
        buffer.flush_ended = self._flush_locked

    def table_writer(self, table: str) -> TableWriter:
        """Return the writer of a table's parts."""
        return self._tables[table].writer

    # --- scopes ----------------------------------------------------------------------------------------------------

    def begin(self, scope: Scope) -> None:
        """Record that a scope is being written. Raises RuntimeError if it was begun before."""
        self._scopes.begin(scope)

    def take(self, scope: Scope, store: RowStore, rows: int) -> None:
        """Take the rows of a scope that is kept."""
        self._scopes.keep(scope, rows)
        table = self._tables[scope[0]]
        parts, store.parts = store.parts, []
        ended = EndedScope(rows - sum(part.rows for part in parts), parts)
        if rows:
            before = store.nbytes + table.store.nbytes
            table.store.adopt(store)
            table.ended.append(ended)
            self._buffer.recount(before, store, table.store)
        self._unnoted[scope] = ended

    def drop(self, scope: Scope) -> None:
        """Record that a scope ended without its rows."""
        self._scopes.drop(scope)

    def note(self, entry: JournalEntry) -> None:
        """Let the next `flush` record a whole scope in the journal, with the places of its rows."""
        self._noted.append((entry, self._unnoted.pop(entry.scope, None)))

    def reuse(self, entry: JournalEntry) -> None:
        """Take over a whole scope of the crawl that this one resumes. Its blocks follow by `add_blocks`."""
        if not entry.row.written:
            return
        if has_rows(entry.row.status):
            self._scopes.keep(entry.scope, entry.rows)
            self._tables[entry.row.table].writer.reuse(entry.files)
        else:
            self._scopes.drop(entry.scope)

    def add_blocks(self, table: str, blocks: Iterable[Block]) -> None:
        """Add blocks with rows of reused scopes."""
        self._tables[table].writer.blocks += blocks

    # --- to the journal --------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write the rows of the scopes that have ended to the journal, and record the noted ones: all by one flush."""
        async with self._buffer.lock:
            await self._flush_locked()

    async def _flush_locked(self) -> None:
        fresh = [table for table in self._tables.values() if table.ended]
        noted, self._noted = self._noted, []
        self._unnoted.clear()  # those of scopes that aren't whole
        if not fresh and not noted:
            return
        ended = [table.ended for table in fresh]
        for table in fresh:
            table.ended = []
            table.flushes += 1
        with anyio.CancelScope(shield=True), self._buffer.taking(*(table.store for table in fresh)) as chunks:
            taken = list(zip(fresh, chunks, ended, strict=True))
            blocks = await self._buffer.run(self._append, taken, noted)
            for table, found, scopes in zip(fresh, blocks, ended, strict=True):
                table.writer.blocks += found
                table.writer.files += chain.from_iterable(scope.files for scope in scopes)
                table.flushes -= 1

    def _append(
        self,
        taken: Sequence[tuple[TableRows, Sequence[PendingRows], Sequence[EndedScope]]],
        noted: Sequence[tuple[JournalEntry, EndedScope | None]],
    ) -> list[list[Block]]:
        """Write rows, then scopes, and make both durable. Return the blocks of each table. Blocking."""
        journal = self._buffer.journal
        by_table = [list(to_blocks(chunks, table.store.layout)) for table, chunks, _ in taken]
        loose = [block for blocks in by_table for block in blocks if not block.is_placed]
        for block, place in zip(loose, journal.append_blocks(loose), strict=True):
            block.put(place)
        for (table, _, scopes), blocks in zip(taken, by_table, strict=True):
            _locate(scopes, blocks)
            for scope in scopes:
                scope.files = [table.writer.place(part) for part in scope.parts]
            if any(scope.files for scope in scopes):
                self._buffer.disk.fsync_folder(table.writer.folder)
                make_folders_durably(self._buffer.disk, table.writer.folder)
        journal.append_entries([_complete(entry, ended) for entry, ended in noted])
        journal.sync()
        return by_table

    # --- to parts --------------------------------------------------------------------------------------------------

    @property
    def has_due(self) -> bool:
        """Whether `write_due_parts` has something to write."""
        return any(table.is_due for table in self._tables.values())

    async def write_due_parts(self) -> list[PartFile]:
        """Write the parts that are due, and return them."""
        written = []
        for table in self._tables.values():
            if table.is_due:
                written += await table.writer.write(may_be_small=table.writer.is_complete)
        return written

    async def finish(self) -> None:
        """Write all rows to parts. No scope may end afterwards."""
        await self.flush()
        for table in self._tables.values():
            await table.writer.write(may_be_small=True)

    def end_table(self, table: str) -> None:
        """Record that all scopes of a table have ended."""
        if table in self._tables:
            self._tables[table].writer.is_complete = True

    def files(self) -> dict[str, list[PartFile]]:
        """Return the files of each table that has any."""
        return {name: table.writer.files for name, table in self._tables.items() if table.writer.files}

    def statistics(self) -> dict[str, PartStatistics]:
        """Return the statistics of the parts by their paths."""
        return {path: found for table in self._tables.values() for path, found in table.writer.statistics.items()}

    def raise_unless_consistent(self, ledger: LedgerView) -> None:
        """Raise OutputError unless the ledger has as many rows for each scope as were kept, and the files have all."""
        written = {name: sum(file.rows for file in table.writer.files) for name, table in self._tables.items()}
        self._scopes.raise_unless_consistent(ledger, written)


def _locate(scopes: Sequence[EndedScope], blocks: Sequence[Block]) -> None:
    """Set where the rows of scopes are: both are in the same order."""
    blocks_left = iter(blocks)
    block, rest = None, 0
    for scope in scopes:
        wanted = scope.rows
        while wanted:
            if not rest:
                block = next(blocks_left)
                rest = block.num_rows
            if block is None or block.place is None:
                raise RuntimeError("a block without a place")
            taken = min(wanted, rest)
            scope.rows_at.append(RowsAt(block.place.file.number, block.place.offset, taken))
            wanted, rest = wanted - taken, rest - taken


def _complete(entry: JournalEntry, ended: EndedScope | None) -> JournalEntry:
    """Return the entry of a scope with the places of its rows."""
    return entry if ended is None else msgspec.structs.replace(entry, files=ended.files, rows_at=ended.rows_at)
