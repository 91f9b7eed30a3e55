"""Writes the parts of one table: from blocks that wait, and from a long list that is still read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from crawler.errors import OutputError
from crawler.snapshot.layout import part_number, part_path, staged, table_folder
from crawler.snapshot.manifest import PartFile
from crawler.snapshot.rows.merge import write_part
from crawler.snapshot.rows.parquet import PartWriter
from crawler.snapshot.rows.pending_rows import to_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.snapshot.rows.blocks import Block, TableLayout
    from crawler.snapshot.rows.merge import PartResult
    from crawler.snapshot.rows.pending_rows import PendingRows
    from crawler.snapshot.rows.row_buffer import RowBuffer
    from crawler.snapshot.rows.row_store import RowStore
    from crawler.snapshot.rows.statistics import PartStatistics

# A part is begun when its blocks are expected to fill it by so much.
_SURPLUS = 1.1


@dataclass(frozen=True, slots=True)
class PartSettings:
    """Settings that the parts of a snapshot share: its ID, their size in bytes, about, and a piece of their names.

    With `has_statistics`, the statistics of each part are kept for the lake's tables.
    """

    snapshot_id: str
    part_bytes: int
    attempt: str = ""
    has_statistics: bool = False


class TableWriter:
    """Writes the parts of one table. Methods raise OutputError.

    `blocks` wait for a part, `files` were written. `is_complete`: no more rows come. `statistics` are those of the
    files by their paths.
    """

    def __init__(self, buffer: RowBuffer, layout: TableLayout, settings: PartSettings) -> None:
        self.layout = layout
        self.blocks: list[Block] = []
        self.files: list[PartFile] = []
        self.statistics: dict[str, PartStatistics] = {}
        self.is_complete = False
        self.folder = staged(settings.snapshot_id, table_folder(layout.table, settings.snapshot_id))
        self._buffer = buffer
        self._settings = settings
        # The expected size of a part for each byte of its blocks.
        self._ratio = 1.0
        self._own_parts = 0
        self._numbers = 0
        self._naming = Lock()
        self._writing = anyio.Lock()

    @property
    def is_due(self) -> bool:
        """Whether the blocks are enough for a part, or the last ones."""
        return bool(self.blocks) and (self.is_complete or self.fills_part(sum(block.length for block in self.blocks)))

    def fills_part(self, packed_bytes: int) -> bool:
        """Return whether blocks of this size are enough for a part."""
        return packed_bytes * self._ratio >= _SURPLUS * self._settings.part_bytes

    def reuse(self, files: Sequence[PartFile]) -> None:
        """Take over files of the crawl that this one resumes."""
        self.files += files
        self._numbers = max([self._numbers, *(part_number(file.path) + 1 for file in files)])

    async def write(self, *, may_be_small: bool) -> list[PartFile]:
        """Write the waiting blocks to parts, and return them. Without `may_be_small`, only parts of the wanted size."""
        written = []
        async with self._writing:
            while self.blocks and (may_be_small or self.is_due):
                left, self.blocks = self.blocks, []
                part = self._new_part("next.partial")
                try:
                    result = await self._write(part, left, may_be_small=may_be_small)
                    left = result.left
                finally:
                    # A crawl that is stopped at its deadline commits these rows, too.
                    self.blocks = [*left, *self.blocks]
                if not result.is_finished:
                    break
                written.append(await self._buffer.run(self.place, part))
                self.files.append(written[-1])
        return written

    async def write_own(self, store: RowStore) -> None:
        """Write the rows of a list that is still read to a part of its own. A rest of them may stay in the store."""
        self._own_parts += 1
        part = self._new_part(f"own-{self._own_parts}.partial")
        with self._buffer.taking(store) as (chunks,):
            result = await self._write(part, chunks, may_be_small=False)
            if result.is_finished:
                store.parts.append(part)
            before = store.nbytes
            store.extend(result.left)
            self._buffer.recount(before, store)

    def place(self, part: PartWriter) -> PartFile:
        """Give a finished part its name. Blocking; safe in any thread."""
        with self._naming:
            number = self._numbers
            self._numbers += 1
        snapshot_id = self._settings.snapshot_id
        path = part_path(self.layout.table, snapshot_id, number, self._settings.attempt)
        self._buffer.disk.rename(part.path, staged(snapshot_id, path))
        if part.statistics is not None:
            self.statistics[path] = part.statistics
        return PartFile(path, part.rows, part.bytes, part.sha256)

    async def _write(self, part: PartWriter, rows: Sequence[PendingRows], *, may_be_small: bool) -> PartResult:
        """Write a part in a worker thread. A cancelled crawl abandons the part soon, also a finished one."""
        stopped = Event()

        def write() -> PartResult:
            blocks = list(to_blocks(rows, self.layout))
            size, is_stopped = self._settings.part_bytes, stopped.is_set
            return write_part(part, self.layout, blocks, size, may_be_small=may_be_small, is_stopped=is_stopped)

        try:
            result = await self._buffer.run_stoppable(write, stopped.set)
            if not result.is_finished:
                await anyio.lowlevel.checkpoint()  # where a cancelled crawl ends
        except anyio.get_cancelled_exc_class():
            with suppress(OutputError):  # which the next step raises
                await self._buffer.run(part.abandon)
            raise
        self._ratio = result.ratio
        return result

    def _new_part(self, name: str) -> PartWriter:
        has_statistics = self._settings.has_statistics
        return PartWriter(self._buffer.disk, f"{self.folder}/{name}", self.layout.schema, has_statistics=has_statistics)
