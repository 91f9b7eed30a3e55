"""The files of one snapshot that are sent from the scratch folder to their final paths in the bucket.

A file is one PUT, or a multipart upload where it is large. What is sent is mapped into memory while its request lasts.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import anyio

from crawler.errors import OutputError
from crawler.snapshot.bucket.unfinished import abort_uploads_of, begun_upload
from crawler.snapshot.layout import SNAPSHOTS, staged, table_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from io import BufferedReader
    from pathlib import Path

    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.object_store import ObjectStore

_FILES_AT_ONCE = 4
_REQUESTS_AT_ONCE = 8
_LARGEST_PUT_BYTES = 32 * 1024 * 1024
# At least 5 MiB, and 10,000 of them at most in an object. A multiple of the size of a page of memory.
_PIECE_BYTES = 8 * 1024 * 1024


class Uploads:
    """The uploads of one snapshot. `paths` has each file that was sent, or may have been. Methods raise OutputError."""

    def __init__(self, bucket: ObjectStore, scratch: Path, snapshot_id: str) -> None:
        self.paths: set[str] = set()
        self._sent: set[str] = set()
        self._bucket = bucket
        self._scratch = scratch
        self._snapshot_id = snapshot_id
        self._has_begun_uploads = False
        self._files = anyio.CapacityLimiter(_FILES_AT_ONCE)
        self._requests = anyio.CapacityLimiter(_REQUESTS_AT_ONCE)

    async def send(self, files: Sequence[PartFile]) -> None:
        """Send those files that weren't sent before, several at once, and remove them from the scratch folder.

        If this is cancelled, a later call sends the rest: a crawl may reach its deadline while it sends.
        """
        failures: list[OutputError] = []

        async def send_one(file: PartFile) -> None:
            async with self._files:
                # Recorded before, since a request that fails may have been carried out.
                self.paths.add(file.path)
                try:
                    await self._send(file)
                    self._sent.add(file.path)
                except OutputError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for file in files:
                if file.path not in self._sent:
                    tasks.start_soon(send_one, file)
        if failures:
            raise failures[0]

    def adopt(self, paths: Iterable[str]) -> None:
        """Take files as sent that other processes have sent. They aren't in `paths`: this process removes none."""
        self._sent.update(paths)

    async def raise_unless_stored(self, manifest: Manifest) -> None:
        """Raise OutputError unless the bucket lists each file of the manifest with its size."""
        wanted = {file.path: file.bytes for entry in manifest.tables.values() for file in entry.files}
        wanted[manifest.ledger.path] = manifest.ledger.bytes
        folders = [table_folder(table, self._snapshot_id) for table in sorted(manifest.tables)]
        found = {entry.path: entry.bytes for entry in await self._bucket.list_each([*folders, SNAPSHOTS])}
        missing = sorted(path for path, size in wanted.items() if found.get(path) != size)
        if missing:
            raise OutputError(
                f"{missing[0]} isn't in {self._bucket.place.uri} as it was sent, nor are {len(missing) - 1} others; "
                "check which other program removes or changes files there"
            )

    async def end(self) -> None:
        """Abort what may be left of multipart uploads. Each known one was completed or aborted."""
        if self._has_begun_uploads:
            await abort_uploads_of(self._bucket, self.paths)

    async def _send(self, file: PartFile) -> None:
        path = self._scratch / staged(self._snapshot_id, file.path)
        with path.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if size <= _LARGEST_PUT_BYTES:
                await self._bucket.put(file.path, _mapped(opened, 0, size))
            else:
                await self._send_in_pieces(file.path, opened, size)
        path.unlink()

    async def _send_in_pieces(self, path: str, opened: BufferedReader, size: int) -> None:
        async def send_piece(number: int, start: int) -> None:
            async with self._requests:
                await upload.send(number, _mapped(opened, start, min(_PIECE_BYTES, size - start)))

        self._has_begun_uploads = True
        async with begun_upload(self._bucket, path) as upload:
            try:
                async with anyio.create_task_group() as tasks:
                    for number, start in enumerate(range(0, size, _PIECE_BYTES), 1):
                        tasks.start_soon(send_piece, number, start)
            except* OutputError as group:
                raise group.exceptions[0] from None
            await upload.complete(size)


def _mapped(opened: BufferedReader, start: int, length: int) -> mmap.mmap:
    """Return a range of a file. It is closed with its last user: a request that was cancelled may hold it a moment."""
    return mmap.mmap(opened.fileno(), length, access=mmap.ACCESS_READ, offset=start)
