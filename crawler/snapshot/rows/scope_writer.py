"""The rows of one scope. Several lists write at the same time, each key is kept once, and a list may be restarted.

The rows of a list stay separate until the list is finished, so that a restart can drop them. They then become rows of
the scope, except for rows whose key another list of the scope had first. The rows of the scope join those of its table
when it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pyarrow as pa

from crawler.errors import NormalizeError
from crawler.snapshot.rows.blocks import Block
from crawler.snapshot.rows.keys import SeenKeys
from crawler.snapshot.rows.row_store import RowStore, select

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from crawler.snapshot.rows.ended_rows import EndedRows
    from crawler.snapshot.rows.kept_scopes import Scope
    from crawler.snapshot.rows.parquet import PartWriter
    from crawler.snapshot.rows.pending_rows import PendingRows
    from crawler.snapshot.rows.row_buffer import RowBuffer


class ScopeWriter:
    """Writes one table of one account and region. Ends with `keep` or `drop`, once.

    `rows`, `duplicates` and `conflicts` are exact once all lists are finished; before, a key of two lists counts twice.
    With `has_one_list`, a list that is larger than a part is written to parts of its own while it is read.
    """

    __slots__ = (
        "_is_over",
        "_keys_bytes",
        "buffer",
        "conflicts",
        "duplicates",
        "ended",
        "finished_keys",
        "has_one_list",
        "layout",
        "rows",
        "scope",
        "store",
        "unfinished",
    )

    def __init__(self, buffer: RowBuffer, ended: EndedRows, scope: Scope, *, has_one_list: bool = False) -> None:
        """`ended` takes the rows when the scope is kept; `scope` is table, account and region."""
        self.rows = 0
        self.duplicates = 0
        self.conflicts = 0
        self.scope = scope
        self.layout = ended.table_writer(scope[0]).layout
        self.buffer = buffer
        self.ended = ended
        self.has_one_list = has_one_list
        self.finished_keys = SeenKeys()
        self.unfinished: dict[ListWriter, None] = {}
        self.store = RowStore(self.layout)
        self._keys_bytes = 0
        self._is_over = False

    def list(self) -> ListWriter:
        """Return the writer of a new list of the scope."""
        self.raise_if_over()
        if self.has_one_list and (self.unfinished or self.store.chunks or self.store.parts):
            raise RuntimeError(f"{self.scope} has one list, and a second was begun")
        writer = ListWriter(self, RowStore(self.layout))
        self.unfinished[writer] = None
        return writer

    def keep(self) -> None:
        """Let the scope's rows join those of its table. All lists must be finished."""
        self.raise_if_over()
        if self.unfinished:
            raise RuntimeError(f"{len(self.unfinished)} lists of {self.scope} aren't finished")
        self._end()
        self.ended.take(self.scope, self.store, self.rows)

    async def drop(self) -> None:
        """Drop all rows of the scope. Raises OutputError."""
        self.raise_if_over()
        stores = [self.store, *(writer.store for writer in self.unfinished)]
        self.unfinished.clear()
        self.rows = self.duplicates = self.conflicts = 0
        self._end()
        self.ended.drop(self.scope)
        await self.forget(*stores)

    async def forget(self, *stores: RowStore) -> None:
        """Drop all rows of stores of the scope, and their parts. Raises OutputError."""
        self.buffer.forget(*stores)
        parts = [part for store in stores for part in store.parts]
        for store in stores:
            store.parts = []
        if parts:
            await self.buffer.run(_abandon_all, parts)

    def count_keys(self, more_bytes: int) -> None:
        """Add to the memory that the keys of the scope and of its lists take."""
        self._keys_bytes += more_bytes
        self.buffer.keys_bytes += more_bytes

    def raise_if_over(self) -> None:
        """Raise RuntimeError if the scope was kept or dropped."""
        if self._is_over:
            raise RuntimeError(f"{self.scope} was kept or dropped before")

    def _end(self) -> None:
        self._is_over = True
        self.finished_keys = SeenKeys()
        self.count_keys(-self._keys_bytes)


class ListWriter:
    """Writes one list, in one task. `finish` it when it is complete; if the scope fails, drop the scope instead."""

    __slots__ = ("_conflicts", "_duplicates", "_is_finished", "_keys", "_scope", "store")

    def __init__(self, scope: ScopeWriter, store: RowStore) -> None:
        self.store = store
        self._scope = scope
        self._keys = SeenKeys()
        self._duplicates = 0
        self._conflicts = 0
        self._is_finished = False

    async def write(
        self, rows: pa.RecordBatch | PendingRows, keys: Sequence[Hashable | None], digests: Sequence[int]
    ) -> None:
        """Add the rows of a page, except for those whose key this list had before.

        `keys` and `digests` have one entry per row, in the order of the page: the row's key, or None for a row without
        one, which is never a duplicate; and a digest of its content, to tell a duplicate from a conflict. The schema is
        that of the table. Waits while the buffer is full. Raises OutputError, and NormalizeError for another schema.
        """
        self._raise_if_finished()
        self._check(rows, keys, digests)
        store, scope = self.store, self._scope
        chunk = _chunk(rows, scope)
        await scope.buffer.reserve(chunk.nbytes)
        held_bytes = self._keys.nbytes
        repeated = self._keys.claim(keys, digests)
        scope.count_keys(self._keys.nbytes - held_bytes)
        self._count_repeated(repeated)
        if count := chunk.num_rows - len(repeated):
            scope.rows += count
            if repeated:
                chunk = select(chunk, [row for row in range(chunk.num_rows) if row not in repeated], scope.layout)
            scope.buffer.add(store, chunk)
            table = scope.ended.table_writer(scope.scope[0])
            if scope.has_one_list and table.fills_part(store.packed_bytes):
                await table.write_own(store)

    async def restart(self) -> None:
        """Drop the rows, keys and counts of this list. Those of other lists stay. Raises OutputError."""
        self._raise_if_finished()
        with anyio.CancelScope(shield=True):
            await self._scope.forget(self.store)
        self._scope.rows -= len(self._keys)
        self._count(-self._duplicates, -self._conflicts)
        self._scope.count_keys(-self._keys.nbytes)
        self._keys = SeenKeys()

    def finish(self) -> None:
        """Complete the list: its rows become the scope's, except for those whose key another list had first."""
        self._raise_if_finished()
        self._is_finished = True
        scope = self._scope
        held_bytes = self._keys.nbytes + scope.finished_keys.nbytes
        before = self.store.nbytes + scope.store.nbytes
        if found := self._keys.found_in(scope.finished_keys):
            self._leave_out(found)
        scope.store.adopt(self.store)
        scope.buffer.recount(before, self.store, scope.store)
        scope.finished_keys.adopt(self._keys)
        scope.count_keys(scope.finished_keys.nbytes - held_bytes)
        del scope.unfinished[self]
        self._keys = SeenKeys()

    def _leave_out(self, found: Mapping[int, bool]) -> None:
        """Remove the rows at these positions. The values say which of them equal the scope's row of the same key."""
        self.store.leave_out(list(found))
        self._scope.rows -= len(found)
        self._count_repeated(found)
        self._keys = self._keys.without(found)

    def _count_repeated(self, found: Mapping[int, bool]) -> None:
        if found:
            same = sum(found.values())
            self._count(same, len(found) - same)

    def _count(self, duplicates: int, conflicts: int) -> None:
        self._duplicates += duplicates
        self._conflicts += conflicts
        self._scope.duplicates += duplicates
        self._scope.conflicts += conflicts

    def _check(
        self, rows: pa.RecordBatch | PendingRows, keys: Sequence[Hashable | None], digests: Sequence[int]
    ) -> None:
        if not len(keys) == len(digests) == rows.num_rows:
            raise ValueError(f"{rows.num_rows} rows came with {len(keys)} keys and {len(digests)} digests")
        schema = rows.schema
        if schema is not self._scope.layout.schema and not schema.equals(self._scope.layout.schema):
            raise NormalizeError("SchemaMismatch", "a page became rows of another schema than its table's")

    def _raise_if_finished(self) -> None:
        self._scope.raise_if_over()
        if self._is_finished:
            raise RuntimeError("the list was finished before")


def _chunk(rows: pa.RecordBatch | PendingRows, scope: ScopeWriter) -> PendingRows:
    """Return rows in a form that a store holds: those that no source decodes become a block."""
    if isinstance(rows, pa.RecordBatch):
        return Block.of(scope.layout, rows)
    return rows if rows.source is not None else Block.of(scope.layout, rows.to_batch())


def _abandon_all(parts: list[PartWriter]) -> None:
    for part in parts:
        part.abandon()
