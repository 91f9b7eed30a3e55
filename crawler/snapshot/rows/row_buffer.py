"""The bound on the rows that all scopes of a snapshot hold in memory.

Pending rows are decoded in the background once a store holds enough of them. If all stores together exceed the memory
bound, compressed rows go to the journal: those of scopes that have ended, or of the largest store.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING

import anyio

from crawler.snapshot.output_steps import OutputSteps
from crawler.snapshot.rows.blocks import Block
from crawler.snapshot.rows.pending_rows import PREPARE_FROM_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.journal import Journal
    from crawler.snapshot.rows.blocks import Place
    from crawler.snapshot.rows.pending_rows import PendingRows
    from crawler.snapshot.rows.row_store import RowStore


class RowBuffer(OutputSteps):
    """The shared state of the writers of one snapshot, in one event loop.

    `buffered_bytes` counts the rows in stores and those on their way to the disk, `keys_bytes` the keys that scopes
    have seen. Together they stay within `memory_bytes`, but a quarter of it is reserved for rows, since keys can't go
    to the disk. A larger batch is accepted alone. `flush_ended` writes the rows of the scopes that have ended, whose
    stores are `ended_stores`.
    """

    def __init__(self, disk: Disk, journal: Journal, memory_bytes: int) -> None:
        super().__init__()
        self.disk = disk
        self.journal = journal
        self.memory_bytes = memory_bytes
        self.buffered_bytes = 0
        self.keys_bytes = 0
        self.lock = anyio.Lock()
        self.ended_stores: set[RowStore] = set()
        self.flush_ended: Callable[[], Awaitable[None]] | None = None
        self._stores: dict[RowStore, None] = {}
        self._landed = anyio.Event()
        self._in_flight = 0

    async def reserve(self, nbytes: int) -> None:
        """Wait until a store may take rows of this size. `add` must follow before anything else is awaited.

        Rows of any store may be written to the disk first. Raises OutputError.
        """
        self.raise_if_failed()
        if self._fits(nbytes):
            return
        async with self.lock:
            while not self._fits(nbytes):
                if not await self._relieve():
                    return

    def add(self, store: RowStore, chunk: PendingRows) -> None:
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
            if store.chunks:
                self._stores[store] = None
            else:
                self._stores.pop(store, None)

    @contextmanager
    def taking(self, *stores: RowStore) -> Iterator[list[list[PendingRows]]]:
        """Take the chunks of each store for the block. They count as buffered until its end."""
        nbytes = sum(store.nbytes for store in stores)
        chunks = [store.drain() for store in stores]
        for store in stores:
            self._stores.pop(store, None)
        self._in_flight += 1
        try:
            yield chunks
        finally:
            self._in_flight -= 1
            self.buffered_bytes -= nbytes
            self._landed.set()
            self._landed = anyio.Event()

    def forget(self, *stores: RowStore) -> None:
        """Drop the chunks of the stores."""
        with self.taking(*stores):
            pass

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
        elif largest in self.ended_stores and self.flush_ended is not None:
            await self.flush_ended()
        elif largest is not None and (blocks := largest.blocks_in_memory()):
            await self._spill(blocks)
        elif self._in_flight:
            await self._landed.wait()
        else:
            return False
        return True

    async def spill(self, store: RowStore) -> None:
        """Write the decoded rows of a store to the journal. Raises OutputError."""
        async with self.lock:
            await self._spill(store.blocks_in_memory())

    async def _spill(self, blocks: Sequence[Block]) -> None:
        """Write blocks to the journal. Their stores may be changed or forgotten in the meantime."""
        with anyio.CancelScope(shield=True):
            written = await self.run(self._append, blocks)
            for block, (packed, place) in zip(blocks, written, strict=True):
                before = block.nbytes
                block.put(place, packed)
                if block.store is not None:  # which counts for itself, and isn't forgotten
                    self.buffered_bytes -= before - block.nbytes

    def _append(self, blocks: Sequence[Block]) -> list[tuple[Block | None, Place]]:
        packed = [Block.packed(block.layout, block.batch) if block.batch is not None else block for block in blocks]
        places = self.journal.append_blocks(packed)
        pairs = zip(blocks, packed, places, strict=True)
        return [(found if found is not block else None, place) for block, found, place in pairs]


_nbytes = attrgetter("nbytes")
