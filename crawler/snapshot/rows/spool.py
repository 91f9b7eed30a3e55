"""What all scopes of a snapshot share: the bound on buffered rows, the cap on open files, and the way to the disk.

Pages that wait as bytes are decoded in a thread as soon as a store has a good many of them, and packed.

Where a store has a row group's worth of rows, or all stores together hold more than the bound, rows go to the disk, the
largest store's first. Whatever touches a part that stays open happens under one lock; ending a scope whose rows all
fit in memory needs it only for a moment, so that several of those reach the disk side by side.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from math import inf
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot.rows.chunks import RUN_BYTES, decoded, groups, resolved
from crawler.snapshot.rows.parquet import ROW_GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.rows.chunks import Chunk, CompressedBatch, Waiting
    from crawler.snapshot.rows.parquet import PartWriter
    from crawler.snapshot.rows.row_store import RowStore

P = ParamSpec("P")
T = TypeVar("T")

_ENDING_AT_ONCE = 8
# What open parts may hold of their footers. Many lists that are read side by side have small row groups each.
_FOOTERS_BYTES = 24 * 1024 * 1024


class RowBuffer:
    """The shared state of one snapshot's writers, in one event loop.

    `buffered_bytes` counts what waits in stores and what is on its way to the disk, `keys_bytes` the keys of the rows
    that scopes have brought. Together they stay within `memory_bytes`, but a quarter of it is always the rows': keys
    can't go to the disk, and a row group of few rows costs more than it frees. A batch that is larger than that is
    taken alone. At most `max_open_parts` parts are open between calls; the one that was written to the longest ago is
    finished first, and its list goes on in a new part, as it does from `max_part_bytes` on. So is the one with most to
    put into its footer, where all footers together pass a bound.
    """

    def __init__(self, disk: Disk, memory_bytes: int, max_open_parts: int, max_part_bytes: float = inf) -> None:
        self.disk = disk
        self.max_part_bytes = max_part_bytes
        self.buffered_bytes = 0
        self.keys_bytes = 0
        self.open_parts: dict[PartWriter, None] = {}
        self._memory_bytes = memory_bytes
        self._least_bytes = memory_bytes // 4
        self._max_open_parts = max_open_parts
        self._stores: dict[RowStore, None] = {}
        self._lock = anyio.Lock()
        self._ending = anyio.CapacityLimiter(_ENDING_AT_ONCE)
        self._threads = anyio.CapacityLimiter(_ENDING_AT_ONCE + 1)
        self._decoder: ThreadPoolExecutor | None = None
        self._unpacking = Lock()
        self._landed = anyio.Event()
        self._in_flight = 0
        self._failure = ""

    async def make_room(self, store: RowStore, shared: RowStore, rows: int, cost_bytes: int) -> None:
        """Return as soon as `store` may take a batch of this size; it must do so before anything else is awaited.

        Rows of any store may be written to the disk first. Raises OutputError.
        """
        self.raise_if_failed()
        if self._fits(cost_bytes) and store.rows + rows <= ROW_GROUP_ROWS and shared.rows < ROW_GROUP_ROWS:
            return
        async with self._lock:
            if store.rows and store.rows + rows > ROW_GROUP_ROWS:
                await self._spill(store)
            if shared.rows >= ROW_GROUP_ROWS:
                await self._spill(shared)
            while not self._fits(cost_bytes):
                if not await self._relieve():
                    return

    def add(self, store: RowStore, chunk: Chunk) -> None:
        """Let a store hold a chunk, after `make_room`."""
        before = store.cost_bytes
        store.append(chunk)
        self.recount(before, store)

    def recount(self, before: int, *stores: RowStore) -> None:
        """Count what a change has made of the stores, which held `before` bytes. Nothing was awaited meanwhile."""
        self.buffered_bytes -= before
        for store in stores:
            if store.waiting_bytes >= RUN_BYTES:
                store.decode(self._decode)
            if store.decoding:
                store.settle()
            self.buffered_bytes += store.cost_bytes
            if store.rows:
                self._stores[store] = None
            else:
                self._stores.pop(store, None)

    @asynccontextmanager
    async def ending(self, store: RowStore) -> AsyncIterator[list[Chunk]]:
        """A scope's end: its parts are finished, and the chunks that are in none are given out, to be written.

        They count as buffered until the context is left.
        """
        async with self._ending:
            async with self._lock:
                await self._close_parts(store)
                cost = store.cost_bytes
                chunks = store.take()
                self._stores.pop(store, None)
            self._in_flight += 1
            try:
                yield chunks
            finally:
                self._in_flight -= 1
                self._release(cost)

    async def forget(self, *stores: RowStore) -> None:
        """Drop all rows of the stores, buffered or on the disk. Raises OutputError."""
        async with self._lock:
            parts = [part for store in stores for part in store.parts]
            before = sum(store.cost_bytes for store in stores)
            for store in stores:
                store.take()
                store.parts, store.current = [], None
            self.recount(before, *stores)
            for part in parts:
                self.open_parts.pop(part, None)
            if parts:
                await self.run(_abandon_all, parts)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a worker thread, not interrupted by cancellation.

        After one failure nothing more is written by this snapshot: what reached the disk isn't known any more.
        """
        self.raise_if_failed()
        try:
            with anyio.CancelScope(shield=True):
                result = await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._threads)
        except BaseException as error:
            self._failure = str(error) or type(error).__name__
            raise
        return result

    def raise_if_failed(self) -> None:
        """Raises OutputError where a step failed earlier."""
        if self._failure:
            raise OutputError(f"the output failed earlier, nothing more is written: {self._failure}")

    def append(self, part: PartWriter, chunks: Sequence[Chunk]) -> None:
        """Write chunks into a part, a row group's worth at a time. Blocks: for worker threads."""
        with self._unpacking:
            for group in groups(chunks):
                part.append(resolved(group))

    def _decode(self, pages: Sequence[Waiting]) -> Future[CompressedBatch]:
        """Begin to decode pages beside the event loop, while their list goes on. One thread: it is all computing."""
        if self._decoder is None:
            self._decoder = ThreadPoolExecutor(1, "decode")
        return self._decoder.submit(decoded, pages)

    def _fits(self, cost_bytes: int) -> bool:
        bound = max(self._memory_bytes - self.keys_bytes, self._least_bytes)
        return self.buffered_bytes + cost_bytes <= bound

    async def _relieve(self) -> bool:
        largest = max(self._stores, key=_cost_bytes, default=None)
        if decoding := [store for store in self._stores if store.decoding]:
            # The first that is done makes room: whoever waited for the last would leave the thread without work.
            await self.run(wait, [store.decoding[0].future for store in decoding], return_when=FIRST_COMPLETED)
            for store in decoding:
                self.recount(store.cost_bytes, store)
        elif largest is not None and largest.waiting_bytes >= RUN_BYTES // 2:
            before = largest.cost_bytes
            largest.decode(self._decode)
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
            # Who owns the store may finish its list meanwhile, so it is left consistent before the first wait.
            part = store.reserve_part()
            part.reserved_rows += store.rows
            cost, chunks = store.cost_bytes, store.take()
            self._stores.pop(store, None)
            await self._make_open(part)
            await self.run(self.append, part, chunks)
            self._release(cost)
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

    def _release(self, cost_bytes: int) -> None:
        self.buffered_bytes -= cost_bytes
        self._landed.set()
        self._landed = anyio.Event()


_cost_bytes = attrgetter("cost_bytes")


def _abandon_all(parts: list[PartWriter]) -> None:
    for part in parts:
        part.abandon()
