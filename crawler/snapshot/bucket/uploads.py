"""The files of one snapshot that are sent from the scratch folder to their final paths in the bucket."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import anyio

from crawler.errors import OutputError
from crawler.snapshot.layout import parent, staged, table_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.object_store import ObjectStore

_UPLOADS_AT_ONCE = 4


class Uploads:
    """The uploads of one snapshot. `paths` has each file that was sent, or may have been. Methods raise OutputError."""

    def __init__(self, bucket: ObjectStore, scratch: Path, snapshot_id: str) -> None:
        self.paths: set[str] = set()
        self._bucket = bucket
        self._scratch = scratch
        self._snapshot_id = snapshot_id
        self._limiter = anyio.CapacityLimiter(_UPLOADS_AT_ONCE)

    async def send(self, files: Sequence[PartFile]) -> None:
        """Send those files that weren't sent before, several at once, and remove them from the scratch folder."""
        failures: list[OutputError] = []

        async def send_one(file: PartFile) -> None:
            async with self._limiter:
                # Recorded before, since a request that fails may have been carried out.
                self.paths.add(file.path)
                try:
                    await self._send(file)
                except OutputError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for file in files:
                if file.path not in self.paths:
                    tasks.start_soon(send_one, file)
        if failures:
            raise failures[0]

    async def raise_unless_stored(self, manifest: Manifest) -> None:
        """Raise OutputError unless the bucket lists each file of the manifest with its size."""
        wanted = {file.path: file.bytes for entry in manifest.tables.values() for file in entry.files}
        wanted[manifest.ledger.path] = manifest.ledger.bytes
        folders = [table_folder(table, self._snapshot_id) for table in sorted(manifest.tables)]
        found: dict[str, int] = {}

        async def look(folder: str) -> None:
            async with self._limiter:
                found.update((entry.path, entry.bytes) for entry in await self._bucket.list(folder))

        try:
            async with anyio.create_task_group() as tasks:
                for folder in (*folders, parent(manifest.ledger.path)):
                    tasks.start_soon(look, folder)
        except* OutputError as group:
            raise group.exceptions[0] from None
        missing = sorted(path for path, size in wanted.items() if found.get(path) != size)
        if missing:
            raise OutputError(
                f"{missing[0]} isn't in {self._bucket.place.uri} as it was sent, nor are {len(missing) - 1} others; "
                "check which other program removes or changes files there"
            )

    async def _send(self, file: PartFile) -> None:
        path = self._scratch / staged(self._snapshot_id, file.path)
        with path.open("rb") as opened:
            # Not closed here: a request that was cancelled may hold it for a moment.
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        await self._bucket.put(file.path, content)
        path.unlink()
