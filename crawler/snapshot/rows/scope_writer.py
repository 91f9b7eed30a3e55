"""The rows of one scope. Several lists write at the same time, each key is kept once, and a list may be restarted.

The rows of a list stay separate until the list is finished, so that a restart can drop them. They then become rows of
the scope, except for rows whose key another list of the scope had first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pyarrow as pa

from crawler.errors import NormalizeError
from crawler.snapshot.layout import part_name, scope_folder, staged
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.rows.keys import SeenKeys
from crawler.snapshot.rows.parquet import PartWriter, rewrite_without
from crawler.snapshot.rows.pending_rows import select
from crawler.snapshot.rows.row_store import RowStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence

    from crawler.snapshot.rows.pending_rows import Chunk, PendingRows
    from crawler.snapshot.rows.row_buffer import RowBuffer

_Files = list[PartFile]


class ScopeWriter:
    """Writes one table of one account and region. Ends with `keep` or `drop`, once.

    `rows`, `duplicates` and `conflicts` are exact once all lists are finished; before, a key of two lists counts twice.
    """

    __slots__ = (
        "_columns",
        "_deliver",
        "_folder",
        "_is_over",
        "_keys_bytes",
        "_on_end",
        "_parts",
        "_scope",
        "_staged",
        "buffer",
        "conflicts",
        "duplicates",
        "finished_keys",
        "rows",
        "schema",
        "store",
        "unfinished",
    )

    def __init__(
        self,
        buffer: RowBuffer,
        snapshot_id: str,
        schema: pa.Schema,
        columns: int,
        scope: tuple[str, str, str],
        on_end: Callable[[tuple[str, str, str], _Files | None, bool], None],
        deliver: Callable[[_Files], Awaitable[None]],
    ) -> None:
        """`columns` counts the columns of the schema on all levels; `scope` is table, account and region.

        `on_end(scope, files, had_files)` is called once; `files` is None if the scope was dropped. `deliver` takes the
        finished files further if the output is not a folder.
        """
        self.rows = 0
        self.duplicates = 0
        self.conflicts = 0
        self.schema = schema
        self.buffer = buffer
        self.finished_keys = SeenKeys()
        self.unfinished: dict[ListWriter, None] = {}
        self._columns = columns
        self._folder = scope_folder(scope[0], snapshot_id, scope[1], scope[2])
        self._staged = staged(snapshot_id, self._folder)
        self._scope = scope
        self._on_end = on_end
        self._deliver = deliver
        self._parts = 0
        self._keys_bytes = 0
        self._is_over = False
        self.store = self._new_store()

    def list(self) -> ListWriter:
        """Return the writer of a new list of the scope."""
        self.raise_if_over()
        writer = ListWriter(self, self._new_store())
        self.unfinished[writer] = None
        return writer

    async def keep(self) -> None:
        """Keep the scope's rows: write the buffered ones, finish the parts and make them durable. Raises OutputError.

        All lists must be finished.
        """
        self.raise_if_over()
        if self.unfinished:
            raise RuntimeError(f"{len(self.unfinished)} lists of {self._folder} aren't finished")
        with anyio.CancelScope(shield=True):
            async with self.buffer.ending(self.store) as chunks:
                files: _Files = []
                if chunks or self.store.parts:
                    files = await self.buffer.run(self._write_parts, chunks)
        await self._deliver(files)
        self._end(files)

    async def drop(self) -> None:
        """Remove all rows of the scope. Raises OutputError."""
        self.raise_if_over()
        with anyio.CancelScope(shield=True):
            await self.buffer.forget(self.store, *(writer.store for writer in self.unfinished))
            if self._parts:
                await self.buffer.run(self.buffer.disk.remove_folder, self._staged)
            self.unfinished.clear()
            self.rows = self.duplicates = self.conflicts = 0
            self._end(None)

    def count_keys(self, more_bytes: int) -> None:
        """Add to the memory that the keys of the scope and of its lists take."""
        self._keys_bytes += more_bytes
        self.buffer.keys_bytes += more_bytes

    def raise_if_over(self) -> None:
        """Raise RuntimeError if the scope was kept or dropped."""
        if self._is_over:
            raise RuntimeError(f"{self._folder} was kept or dropped before")

    def _new_store(self) -> RowStore:
        return RowStore(self._columns, self._new_part)

    def _end(self, files: _Files | None) -> None:
        self._is_over = True
        self.finished_keys = SeenKeys()
        self.count_keys(-self._keys_bytes)
        self.store.close()
        self._on_end(self._scope, files, self._parts > 0)

    def _new_part(self) -> PartWriter:
        self._parts += 1
        path = f"{self._staged}/{self._parts}.partial"
        return PartWriter(self.buffer.disk, path, self.schema, self.buffer.max_part_bytes)

    def _write_parts(self, chunks: Sequence[Chunk]) -> _Files:
        parts = list(self.store.parts)
        if chunks:
            last = self._new_part()
            self.buffer.append(last, chunks)
            last.finish()
            parts.append(last)
        files = [self._place_part(part, number) for number, part in enumerate(self._without_left_out(parts))]
        disk = self.buffer.disk
        if files:
            disk.fsync_folder(self._staged)
        else:
            disk.remove_folder(self._staged)
        return files

    def _without_left_out(self, parts: Sequence[PartWriter]) -> Iterator[PartWriter]:
        for part in parts:
            whole = rewrite_without(self.buffer.disk, part, self._new_part()) if part.left_out else part
            if whole.rows:
                yield whole
            else:
                whole.abandon()

    def _place_part(self, part: PartWriter, number: int) -> PartFile:
        name = part_name(number)
        self.buffer.disk.rename(part.path, f"{self._staged}/{name}")
        return PartFile(f"{self._folder}/{name}", part.rows, part.bytes, part.sha256)


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
        if not isinstance(rows, pa.RecordBatch) and rows.source is None:
            rows = rows.to_batch()
        store, scope = self.store, self._scope
        await scope.buffer.reserve(store, scope.store, rows.num_rows, store.estimated_bytes(rows))
        held_bytes = self._keys.nbytes
        repeated = self._keys.claim(keys, digests)
        scope.count_keys(self._keys.nbytes - held_bytes)
        self._count_repeated(repeated)
        if count := rows.num_rows - len(repeated):
            scope.rows += count
            wanted = [row for row in range(rows.num_rows) if row not in repeated] if repeated else []
            scope.buffer.add(store, select(rows, wanted) if repeated else rows)

    async def restart(self) -> None:
        """Drop the rows, keys and counts of this list. Those of other lists stay. Raises OutputError."""
        self._raise_if_finished()
        with anyio.CancelScope(shield=True):
            await self._scope.buffer.forget(self.store)
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

    def _check(self, rows: Chunk, keys: Sequence[Hashable | None], digests: Sequence[int]) -> None:
        if not len(keys) == len(digests) == rows.num_rows:
            raise ValueError(f"{rows.num_rows} rows came with {len(keys)} keys and {len(digests)} digests")
        schema = rows.schema
        if schema is not self._scope.schema and not schema.equals(self._scope.schema):
            raise NormalizeError("SchemaMismatch", "a page became rows of another schema than its table's")

    def _raise_if_finished(self) -> None:
        self._scope.raise_if_over()
        if self._is_finished:
            raise RuntimeError("the list was finished before")
