"""The state that all scopes of a snapshot share: the bound on buffered rows, the cap on open files, the disk threads.

Pending rows are decoded in the background once a store holds enough of them. Rows go to the disk once a store has a row
group of them. If all stores together exceed the memory bound, the rows of the largest store go to the disk.

One lock guards all parts that stay open. Ending a scope whose rows fit in memory needs the lock only for a moment, so
that several such scopes reach the disk at the same time.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import asynccontextmanager
from math import inf
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot.rows.parquet import ROW_GROUP_ROWS
from crawler.snapshot.rows.pending_rows import PREPARE_FROM_BYTES, groups, to_batches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.rows.parquet import PartWriter
    from crawler.snapshot.rows.pending_rows import Chunk
    from crawler.snapshot.rows.row_store import RowStore

P = ParamSpec("P")
T = TypeVar("T")

_ENDING_AT_ONCE = 8
# The memory that the footers of open parts may hold. Many lists that are read at the same time have small row groups.
_FOOTERS_BYTES = 24 * 1024 * 1024


class RowBuffer:
    """The shared state of the writers of one snapshot, in one event loop.

    `buffered_bytes` counts the rows in stores and on their way to the disk, `keys_bytes` the keys that scopes have
    seen. Together they stay within `memory_bytes`, but a quarter of it is reserved for rows: keys can't go to the disk,
    and a row group of few rows takes more memory than it frees. A larger batch is accepted alone.

    At most `max_open_parts` parts are open between calls. The part that was written to the longest ago is finished
    first; its list continues in a new part, as it does beyond `max_part_bytes`. When all footers together exceed a
    bound, the part with the largest footer is finished.

    `failure` is the message of the first failed step, "" before. Nothing is written after it.
    """

    def __init__(self, disk: Disk, memory_bytes: int, max_open_parts: int, max_part_bytes: float = inf) -> None:
        self.disk = disk
        self.max_part_bytes = max_part_bytes
        self.memory_bytes = memory_bytes
        self.buffered_bytes = 0
        self.keys_bytes = 0
        self.failure = ""
        self.open_parts: dict[PartWriter, None] = {}
        self._max_open_parts = max_open_parts
        self._stores: dict[RowStore, None] = {}
        self._lock = anyio.Lock()
        self._ending = anyio.CapacityLimiter(_ENDING_AT_ONCE)
        self._threads = anyio.CapacityLimiter(_ENDING_AT_ONCE + 1)
        self._unpacking = Lock()
        self._landed = anyio.Event()
        self._in_flight = 0

    async def reserve(self, store: RowStore, shared: RowStore, rows: int, nbytes: int) -> None:
        """Wait until `store` may take a batch of this size. `add` must follow before anything else is awaited.

        Rows of any store may be written to the disk first. Raises OutputError.
        """
        self.raise_if_failed()
        if self._fits(nbytes) and store.rows + rows <= ROW_GROUP_ROWS and shared.rows < ROW_GROUP_ROWS:
            return
        async with self._lock:
            if store.rows and store.rows + rows > ROW_GROUP_ROWS:
                await self._spill(store)
            if shared.rows >= ROW_GROUP_ROWS:
                await self._spill(shared)
            while not self._fits(nbytes):
                if not await self._relieve():
                    return

    def add(self, store: RowStore, chunk: Chunk) -> None:
        """Let a store hold a chunk, after `reserve`."""
        before = store.nbytes
        store.append(chunk)
        self.recount(before, store)

    def recount(self, before: int, *stores: RowStore) -> None:
        """Count stores that were changed and held `before` bytes together. Nothing was awaited since the change."""
        self.buffered_bytes -= before
        for store in stores:
            if store.unprepared_bytes >= PREPARE_FROM_BYTES:
                store.prepare()
            if store.preparing:
                store.replace_prepared()
            self.buffered_bytes += store.nbytes
            if store.rows:
                self._stores[store] = None
            else:
                self._stores.pop(store, None)

    @asynccontextmanager
    async def ending(self, store: RowStore) -> AsyncIterator[list[Chunk]]:
        """End a scope: finish its parts and yield the chunks to write. They count as buffered until the block ends."""
        async with self._ending:
            async with self._lock:
                await self._close_parts(store)
                nbytes = store.nbytes
                chunks = store.drain()
                self._stores.pop(store, None)
            self._in_flight += 1
            try:
                yield chunks
            finally:
                self._in_flight -= 1
                self._release(nbytes)

    async def forget(self, *stores: RowStore) -> None:
        """Drop all rows of the stores, buffered or on the disk. Raises OutputError."""
        async with self._lock:
            parts = [part for store in stores for part in store.parts]
            before = sum(store.nbytes for store in stores)
            for store in stores:
                store.drain()
                store.parts, store.current = [], None
            self.recount(before, *stores)
            for part in parts:
                self.open_parts.pop(part, None)
            if parts:
                await self.run(_abandon_all, parts)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a worker thread. Cancellation doesn't interrupt it.

        After a failure this snapshot writes nothing more, because the state of the disk is unknown: raises OutputError.
        It also raises the errors of the function.
        """
        self.raise_if_failed()
        try:
            with anyio.CancelScope(shield=True):
                result = await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._threads)
        except BaseException as error:
            self.failure = str(error) or type(error).__name__
            raise
        return result

    def raise_if_failed(self) -> None:
        """Raise OutputError if a step failed earlier."""
        if self.failure:
            raise OutputError(f"the output failed earlier, nothing more is written: {self.failure}")

    def append(self, part: PartWriter, chunks: Sequence[Chunk]) -> None:
        """Write chunks into a part, one row group at a time. Blocking: for worker threads."""
        with self._unpacking:
            for group in groups(chunks):
                part.append(list(to_batches(group)))

    def _fits(self, nbytes: int) -> bool:
        bound = max(self.memory_bytes - self.keys_bytes, self.memory_bytes // 4)
        return self.buffered_bytes + nbytes <= bound

    async def _relieve(self) -> bool:
        """Free some memory. Returns False if there is nothing to free."""
        largest = max(self._stores, key=_nbytes, default=None)
        if preparing := [store for store in self._stores if store.preparing]:
            # The first decoded rows free memory. Waiting for the last would leave the decode pool without work.
            await self.run(wait, [next(iter(store.preparing)) for store in preparing], return_when=FIRST_COMPLETED)
            for store in preparing:
                self.recount(store.nbytes, store)
        elif largest is not None and largest.unprepared_bytes >= PREPARE_FROM_BYTES // 2:
            before = largest.nbytes
            largest.prepare()
            self.recount(before, largest)
        elif largest is not None:
            await self._spill(largest)
        elif self._in_flight:
            await self._landed.wait()
        else:
            return False
        return True

    async def _spill(self, store: RowStore) -> None:
        with anyio.CancelScope(shield=True):
            # The owner of the store may finish its list in the meantime: leave it consistent before the first wait.
            part = store.reserve_part()
            part.reserved_rows += store.rows
            nbytes, chunks = store.nbytes, store.drain()
            self._stores.pop(store, None)
            await self._make_open(part)
            await self.run(self.append, part, chunks)
            self._release(nbytes)
            while sum(each.held_bytes for each in self.open_parts) > _FOOTERS_BYTES:
                await self._close_part(max(self.open_parts, key=lambda each: each.held_bytes))

    async def _make_open(self, part: PartWriter) -> None:
        if part not in self.open_parts:
            while len(self.open_parts) >= self._max_open_parts:
                await self._close_part(next(iter(self.open_parts)))
        self.open_parts.pop(part, None)
        self.open_parts[part] = None

    async def _close_parts(self, store: RowStore) -> None:
        if store.rows and store.current is not None and store.current.is_open:
            await self._spill(store)
        for part in store.parts:
            if part in self.open_parts:
                await self._close_part(part)

    async def _close_part(self, part: PartWriter) -> None:
        await self.run(part.finish)
        del self.open_parts[part]

    def _release(self, nbytes: int) -> None:
        self.buffered_bytes -= nbytes
        self._landed.set()
        self._landed = anyio.Event()


_nbytes = attrgetter("nbytes")


def _abandon_all(parts: list[PartWriter]) -> None:
    for part in parts:
        part.abandon()
