"""A snapshot being written into a bucket: there is no rename there, so the manifest's appearing is all that counts.

Rows go to a scratch folder of this machine first, as a scope may fail and a list begin anew; a scope that is kept sends
its parts to their place at once. The ledger and the checksum follow, and the manifest last, created and never
overwritten. A note under `_staging` tells of the snapshot while it isn't settled: from it the next crawl moves LATEST
for one that was committed, and after a day takes away the parts of one that wasn't. Crawls of one bucket are disjoint:
whatever they write has their own ID in its path.
"""

from __future__ import annotations

import mmap
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from crawler.errors import OutputError, UnfinishedCommitError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.latest import advance_latest
from crawler.snapshot.bucket.notes import announce, settle_others
from crawler.snapshot.bucket.prune import finish_removals
from crawler.snapshot.bucket.scratch import ScratchDisk, make_scratch
from crawler.snapshot.folder.writer import MAX_OPEN_PARTS, SnapshotWriter
from crawler.snapshot.layout import checksum_path, manifest_path, parent, staged, table_folder
from crawler.snapshot.ledger import Ledger
from crawler.snapshot.object_store import UncertainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import Manifest, ManifestDraft, PartFile
    from crawler.snapshot.object_store import ObjectStore

# One PUT a part: S3 takes 5 GiB in one, and what is in flight is in memory.
MAX_PART_BYTES = 32 * 1024 * 1024
_UPLOADS_AT_ONCE = 4
_CLEANING_S = 8.0


class BucketSnapshotWriter(SnapshotWriter):
    """As `SnapshotWriter`, in a bucket; made by `begin_in`. The base class works on the scratch folder."""

    # The scratch folder ends with its crawl: there is nothing that another could go on with.
    _has_journal = False

    _bucket: ObjectStore
    _scratch: Path
    _landed: set[str]
    _uploads: anyio.CapacityLimiter

    @classmethod
    async def begin_in(
        cls,
        bucket: ObjectStore,
        snapshot_id: str,
        started_at: datetime,
        schemas: Mapping[str, pa.Schema],
        *,
        max_open_parts: int = MAX_OPEN_PARTS,
        max_part_bytes: float = MAX_PART_BYTES,
    ) -> BucketSnapshotWriter:
        """Announce the snapshot, settle what crawls before left (`recovered`: the snapshots completed).

        Raises OutputBusyError where another crawl has this ID, OutputError where the bucket can't be written.
        """
        # What keeps a removal from being completed is for the next `prune` to say.
        with suppress(OutputError):
            await finish_removals(bucket)
        recovered = await settle_others(bucket, started_at)
        scratch = await anyio.to_thread.run_sync(make_scratch)
        disk = ScratchDisk(scratch)
        writer = await cls.begin(
            scratch,
            snapshot_id,
            started_at,
            schemas,
            max_open_parts=max_open_parts,
            max_part_bytes=max_part_bytes,
            disk=disk,
        )
        writer.recovered = recovered
        await writer.announce(bucket, scratch)
        return writer

    async def announce(self, bucket: ObjectStore, scratch: Path) -> None:
        """See `begin_in`, which calls this once."""
        self._bucket, self._scratch, self._landed = bucket, scratch, set()
        self._uploads = anyio.CapacityLimiter(_UPLOADS_AT_ONCE)
        try:
            await announce(bucket, self.snapshot_id, sorted(self._schemas))
        except BaseException:
            await self._clear()
            raise

    async def commit(self, draft: ManifestDraft, ledger: Sequence[ScopeRow]) -> Manifest:
        """See `SnapshotWriter.commit`. Raises UnfinishedCommitError also where the store's answer to the commit was
        lost and it can't be asked: the snapshot is whole then, and committed or not.
        """
        self._spool.raise_if_failed()
        rows = Ledger.of(ledger)
        self._raise_unless_consistent(rows)
        manifest = await self._spool.run(self._assemble, draft, rows)
        files = [file for entry in manifest.tables.values() for file in entry.files]
        await self._land([file for file in [*files, manifest.ledger] if file.path not in self._landed])
        await self._raise_unless_stored(manifest)
        await anyio.lowlevel.checkpoint()
        with anyio.CancelScope(shield=True):
            await self._decide(manifest)
            try:
                await self._conclude(manifest)
            finally:
                await self._clear()
        return manifest

    async def abandon(self) -> None:
        """See `SnapshotWriter.abandon`. What can't be removed in a few seconds, a crawl of another day removes."""
        if not self._is_over and not self._is_decided:
            with anyio.move_on_after(_CLEANING_S, shield=True), suppress(OutputError):
                await self._bucket.delete([*sorted(self._landed), checksum_path(self.snapshot_id)])
                await self._bucket.delete([staged(self.snapshot_id)])
        await self._clear()

    async def _clear(self) -> None:
        """Let the scratch folder go."""
        await super().abandon()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._scratch, ignore_errors=True))

    async def _land(self, files: Sequence[PartFile]) -> None:
        """Send files to their place and remove them here, several at once. Raises OutputError."""
        self._spool.raise_if_failed()
        failures: list[OutputError] = []

        async def send(file: PartFile) -> None:
            async with self._uploads:
                # Noted before, since a request that fails may have been carried out.
                self._landed.add(file.path)
                try:
                    await self._send(file)
                except OutputError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for file in files:
                tasks.start_soon(send, file)
        if failures:
            raise failures[0]

    async def _send(self, file: PartFile) -> None:
        place = self._scratch / staged(self.snapshot_id, file.path)
        with place.open("rb") as opened:
            # Not closed here: a request that was cancelled may hold it for a moment.
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        await self._bucket.put(file.path, content)
        place.unlink()

    async def _raise_unless_stored(self, manifest: Manifest) -> None:
        """Each file is listed with its size: what the store acknowledged is there."""
        wanted = {file.path: file.bytes for entry in manifest.tables.values() for file in entry.files}
        wanted[manifest.ledger.path] = manifest.ledger.bytes
        folders = [table_folder(table, self.snapshot_id) for table in sorted(manifest.tables)]
        found: dict[str, int] = {}

        async def look(folder: str) -> None:
            async with self._uploads:
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
                f"{missing[0]} isn't in {self._bucket.place.uri} as it was sent, and {len(missing) - 1} more: "
                "who else removes or changes files there?"
            )

    async def _decide(self, manifest: Manifest) -> None:
        text = manifests.encode(manifest)
        await self._bucket.put(checksum_path(self.snapshot_id), manifests.checksum_line(text, self.snapshot_id))
        self._is_decided = True
        try:
            is_ours = await self._bucket.create(manifest_path(self.snapshot_id), text)
        except UncertainError as error:
            raise UnfinishedCommitError(
                f"whether snapshot {self.snapshot_id} is committed isn't known, `snapshots list` tells: {error}"
            ) from error
        except OutputError:
            self._is_decided = False
            raise
        if not is_ours:
            # The other crawl's files bear the same names: they are left alone.
            raise OutputError(f"{self._bucket.place.uri} has another snapshot {self.snapshot_id}")

    async def _conclude(self, manifest: Manifest) -> None:
        try:
            if manifest.status == "complete":
                await advance_latest(self._bucket, self.snapshot_id)
            await self._bucket.delete([staged(self.snapshot_id)])
        except OutputError as error:
            raise UnfinishedCommitError(
                f"snapshot {self.snapshot_id} is committed, but LATEST isn't moved, which the next crawl does: {error}"
            ) from error
