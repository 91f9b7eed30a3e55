"""Rows of one scope: several lists write side by side, a key comes once, and a list may begin anew.

While a list is read its rows stay apart from the others', so that reading it again from the start can forget them.
Once it is whole they become the scope's; rows whose key another list of the scope has brought before are left out then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from crawler.errors import NormalizeError
from crawler.snapshot.layout import part_name, scope_folder, staged
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.rows.chunks import Waiting, choose
from crawler.snapshot.rows.keys import SeenKeys
from crawler.snapshot.rows.parquet import PartWriter, rewrite_without
from crawler.snapshot.rows.row_store import RowStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from crawler.snapshot.rows.chunks import Chunk
    from crawler.snapshot.rows.spool import RowBuffer

_Files = list[PartFile]


class ScopeWriter:
    """One table in one account and region. Ends with `keep` or `drop`, once.

    `rows`, `duplicates` and `conflicts` are right once all lists are finished; before, a key that two unfinished
    lists bring is counted as two rows.
    """

    __slots__ = (
        "_columns",
        "_ended",
        "_folder",
        "_is_over",
        "_keys_bytes",
        "_land",
        "_parts",
        "_scope",
        "_staged",
        "conflicts",
        "duplicates",
        "rows",
        "schema",
        "settled",
        "spool",
        "store",
        "unfinished",
    )

    def __init__(
        self,
        spool: RowBuffer,
        snapshot_id: str,
        schema: pa.Schema,
        columns: int,
        scope: tuple[str, str, str],
        ended: Callable[[tuple[str, str, str], _Files | None, bool], None],
        land: Callable[[_Files], Awaitable[None]],
    ) -> None:
        """`columns` counts the schema's, nested ones too; `scope` is table, account and region; `ended` is told the
        scope's files, None where it was dropped, and whether there ever was one; `land` takes the finished files
        further, if they must go further.
        """
        self.rows = 0
        self.duplicates = 0
        self.conflicts = 0
        self.schema = schema
        self.spool = spool
        self.settled = SeenKeys()
        self.unfinished: dict[ListWriter, None] = {}
        self._columns = columns
        self._folder = scope_folder(scope[0], snapshot_id, scope[1], scope[2])
        self._staged = staged(snapshot_id, self._folder)
        self._scope = scope
        self._ended = ended
        self._land = land
        self._parts = 0
        self._keys_bytes = 0
        self._is_over = False
        self.store = self._new_store()

    def list(self) -> ListWriter:
        """A new list to be read into the scope."""
        self.raise_if_over()
        writer = ListWriter(self, self._new_store())
        self.unfinished[writer] = None
        return writer

    async def keep(self) -> None:
        """The scope's rows belong to the snapshot: write what is buffered, finish its parts, make them durable.

        All lists must be finished. Raises OutputError.
        """
        self.raise_if_over()
        if self.unfinished:
            raise RuntimeError(f"{len(self.unfinished)} lists of {self._folder} aren't finished")
        with anyio.CancelScope(shield=True):
            async with self.spool.ending(self.store) as chunks:
                files: _Files = []
                if chunks or self.store.parts:
                    files = await self.spool.run(self._write_parts, chunks)
        await self._land(files)
        self._end(files)

    async def drop(self) -> None:
        """The scope's rows don't belong to the snapshot: remove all of them. Raises OutputError."""
        self.raise_if_over()
        with anyio.CancelScope(shield=True):
            await self.spool.forget(self.store, *(writer.store for writer in self.unfinished))
            if self._parts:
                await self.spool.run(self.spool.disk.remove_folder, self._staged)
            self.unfinished.clear()
            self.rows = self.duplicates = self.conflicts = 0
            self._end(None)

    def count_keys(self, more_bytes: int) -> None:
        """The keys of the scope and of its lists take so much more, or less."""
        self._keys_bytes += more_bytes
        self.spool.keys_bytes += more_bytes

    def raise_if_over(self) -> None:
        """A scope that was kept or dropped takes nothing more: RuntimeError."""
        if self._is_over:
            raise RuntimeError(f"{self._folder} was kept or dropped before")

    def _new_store(self) -> RowStore:
        return RowStore(self._columns, self._new_part)

    def _end(self, files: _Files | None) -> None:
        self._is_over = True
        self.settled = SeenKeys()
        self.count_keys(-self._keys_bytes)
        self.store.close()
        self._ended(self._scope, files, self._parts > 0)

    def _new_part(self) -> PartWriter:
        self._parts += 1
        path = f"{self._staged}/{self._parts}.partial"
        return PartWriter(self.spool.disk, path, self.schema, self.spool.max_part_bytes)

    def _write_parts(self, chunks: Sequence[Chunk]) -> _Files:
        parts = list(self.store.parts)
        if chunks:
            last = self._new_part()
            self.spool.append(last, chunks)
            last.finish()
            parts.append(last)
        files = [self._settle_part(part, number) for number, part in enumerate(self._without_left_out(parts))]
        disk = self.spool.disk
        if files:
            disk.fsync_folder(self._staged)
        else:
            disk.remove_folder(self._staged)
        return files

    def _without_left_out(self, parts: Sequence[PartWriter]) -> Iterator[PartWriter]:
        for part in parts:
            whole = rewrite_without(self.spool.disk, part, self._new_part()) if part.left_out else part
            if whole.rows:
                yield whole
            else:
                whole.abandon()

    def _settle_part(self, part: PartWriter, number: int) -> PartFile:
        name = part_name(number)
        self.spool.disk.rename(part.path, f"{self._staged}/{name}")
        return PartFile(f"{self._folder}/{name}", part.rows, part.bytes, part.sha256)


class ListWriter:
    """One list that is being read, by one task. `finish` it when it is whole; a scope that fails is dropped instead."""

    __slots__ = ("_conflicts", "_duplicates", "_is_finished", "_keys", "_scope", "store")

    def __init__(self, scope: ScopeWriter, store: RowStore) -> None:
        self.store = store
        self._scope = scope
        self._keys = SeenKeys()
        self._duplicates = 0
        self._conflicts = 0
        self._is_finished = False

    async def write(
        self, page: pa.RecordBatch | Waiting, keys: Sequence[Hashable | None], digests: Sequence[int]
    ) -> None:
        """Add a page's rows, less those whose key this list has brought before; a batch, or bytes to become one later.

        `keys` and `digests` have one entry a row, in the page's order: the row's key, None for a row without one,
        which is never a duplicate; and a digest of its content, to tell a duplicate from a conflict. The page's
        schema is the table's. Waits while too much is buffered. Raises OutputError, and NormalizeError for rows
        of another schema.
        """
        self._raise_if_finished()
        self._check(page, keys, digests)
        store = self.store
        await self._scope.spool.make_room(store, self._scope.store, page.num_rows, store.cost_of(page))
        held_bytes = self._keys.cost_bytes
        repeated = self._keys.claim(keys, digests)
        self._scope.count_keys(self._keys.cost_bytes - held_bytes)
        self._count_repeated(repeated)
        if count := page.num_rows - len(repeated):
            self._scope.rows += count
            wanted = [row for row in range(page.num_rows) if row not in repeated] if repeated else []
            self._scope.spool.add(store, choose(page, wanted) if repeated else page)

    async def restart(self) -> None:
        """Forget all that this list has brought: rows, keys and counts. The other lists' stay. Raises OutputError."""
        self._raise_if_finished()
        with anyio.CancelScope(shield=True):
            await self._scope.spool.forget(self.store)
        self._scope.rows -= len(self._keys)
        self._count(-self._duplicates, -self._conflicts)
        self._scope.count_keys(-self._keys.cost_bytes)
        self._keys = SeenKeys()

    def finish(self) -> None:
        """The list is whole: its rows are the scope's, less those whose key another list has brought."""
        self._raise_if_finished()
        self._is_finished = True
        scope = self._scope
        held_bytes = self._keys.cost_bytes + scope.settled.cost_bytes
        before = self.store.cost_bytes + scope.store.cost_bytes
        if found := self._keys.found_in(scope.settled):
            self._leave_out(found)
        scope.store.adopt(self.store)
        scope.spool.recount(before, self.store, scope.store)
        scope.settled.adopt(self._keys)
        scope.count_keys(scope.settled.cost_bytes - held_bytes)
        del scope.unfinished[self]
        self._keys = SeenKeys()

    def _leave_out(self, found: Mapping[int, bool]) -> None:
        """Take back the rows at these positions; which of them are the same as the scope's."""
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

    def _check(self, page: pa.RecordBatch | Waiting, keys: Sequence[Hashable | None], digests: Sequence[int]) -> None:
        if not len(keys) == len(digests) == page.num_rows:
            raise ValueError(f"{page.num_rows} rows came with {len(keys)} keys and {len(digests)} digests")
        schema = page.schema
        if schema is not self._scope.schema and not schema.equals(self._scope.schema):
            raise NormalizeError("SchemaMismatch", "a page became rows of another schema than its table's")

    def _raise_if_finished(self) -> None:
        self._scope.raise_if_over()
        if self._is_finished:
            raise RuntimeError("the list was finished before")
