"""A bucket as the destination of a snapshot. A bucket has no rename: the manifest's creation is the commit.

Rows go to a scratch folder of this machine first, since a scope may fail and a list may restart. A part that is
finished is sent to its final path at once. The ledger and the checksum follow. The manifest is last: it is created and
never overwritten. A note under `_staging` names the snapshot until the crawl is over. By the note, the
next crawl moves LATEST to a committed snapshot, and after a day removes the parts of one that isn't. Crawls of one
bucket are disjoint: each path that a crawl writes contains its ID.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from crawler.errors import OutputError, UnfinishedCommitError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.latest import advance_latest, latest_id
from crawler.snapshot.bucket.notes import clean_up_others, put_note
from crawler.snapshot.bucket.prune import finish_removals
from crawler.snapshot.bucket.scratch import Scratch
from crawler.snapshot.bucket.uploads import Uploads
from crawler.snapshot.folder.recovery import rename_staging
from crawler.snapshot.layout import checksum_path, manifest_path, staged
from crawler.snapshot.object_store import UncertainError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.journal import ResumeConditions
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.rows.row_buffer import RowBuffer

_CLEANING_S = 6.0


class BucketDestination:
    """See `Destination`. `begin` makes it. It keeps no journal: the scratch folder ends with its crawl."""

    keeps_journal = False

    def __init__(
        self,
        bucket: ObjectStore,
        scratch: Scratch,
        snapshot_id: str,
        started_at: datetime,
        recovered: list[str],
        tables: Collection[str],
    ) -> None:
        self.disk: Disk = scratch.disk
        self.attempt = secrets.token_hex(4)
        self.snapshot_id = snapshot_id
        self.started_at = started_at
        self.recovered = recovered
        self._bucket = bucket
        self._tables = sorted(tables)
        self.scratch = scratch
        self._uploads = Uploads(bucket, scratch.disk.root, snapshot_id)
        self._is_committed = False
        self._is_released = False
        # A worker thread outlives its waiting task when that task is cancelled from outside of anyio.
        self._busy = threading.Lock()

    @property
    def is_committed(self) -> bool:
        """See `Destination.is_committed`."""
        return self._is_committed

    @classmethod
    async def begin(
        cls,
        bucket: ObjectStore,
        snapshot_id: str,
        started_at: datetime,
        tables: Collection[str],
    ) -> Self:
        """Clean up what earlier crawls left (`recovered`: the snapshots completed), then put the note of the snapshot.

        The snapshot may have files of `tables`. Raises OutputBusyError if a crawl has this ID, and OutputError.
        """
        # A removal that can't be completed is reported by the next `prune`.
        with suppress(OutputError):
            await finish_removals(bucket)
        recovered = await clean_up_others(bucket, started_at)
        with anyio.CancelScope(shield=True):
            scratch = await anyio.to_thread.run_sync(Scratch.make, snapshot_id, started_at)
        destination = cls(bucket, scratch, snapshot_id, started_at, recovered, tables)
        try:
            await put_note(bucket, snapshot_id, destination._tables)
        except BaseException:
            await destination._release()
            raise
        return destination

    async def restamp(self, buffer: RowBuffer, snapshot_id: str, started_at: datetime) -> None:
        """See `Destination.restamp`."""
        await put_note(self._bucket, snapshot_id, self._tables)
        before, self.snapshot_id, self.started_at = self.snapshot_id, snapshot_id, started_at
        self._uploads = Uploads(self._bucket, self.scratch.disk.root, snapshot_id)
        await buffer.run(rename_staging, self.scratch.disk, before, snapshot_id)
        await self._bucket.delete([staged(before)])

    async def latest(self) -> str:
        """See `Destination.latest`."""
        return await latest_id(self._bucket)

    async def reusable(
        self,
        buffer: RowBuffer,
        conditions: ResumeConditions,
        parents_by_table: Mapping[str, Sequence[str]],
    ) -> None:
        """Return None: there is no crawl to resume."""

    def leave_unfinished(self, *, has_entries: bool) -> bool:  # noqa: ARG002
        """Return False: nothing can be resumed."""
        return False

    async def deliver(self, buffer: RowBuffer, files: Sequence[PartFile]) -> None:
        """See `Destination.deliver`: sends the files to their final paths."""
        buffer.raise_if_failed()
        await self._uploads.send(files)

    async def stage(self, buffer: RowBuffer, assemble: Callable[[], Manifest]) -> Manifest:
        """See `Destination.stage`: sends the last files, and checks that the bucket lists all files."""

        def assemble_blocking() -> Manifest:
            with self._busy:
                return assemble()

        manifest = await buffer.run(assemble_blocking)
        files = [file for entry in manifest.tables.values() for file in entry.files]
        await self.deliver(buffer, [*files, manifest.ledger])
        await self._uploads.end()
        await self._uploads.raise_unless_stored(manifest)
        return manifest

    async def commit(self, buffer: RowBuffer, manifest: Manifest) -> None:
        """See `Destination.commit`. Raises UnfinishedCommitError also if the store's answer to the commit was lost and
        can't be requested again: the snapshot is whole then, and may be committed.
        """
        buffer.raise_if_failed()
        with anyio.CancelScope(shield=True):
            await self._create_manifest(manifest)
            try:
                await self._advance_latest(manifest)
            finally:
                await self._release()

    async def abandon(self) -> None:
        """See `Destination.abandon`. A crawl of another day removes objects that can't be removed in a few seconds."""
        if not self._is_released and not self._is_committed:
            with anyio.move_on_after(_CLEANING_S, shield=True), suppress(OutputError):
                await self._bucket.delete([*sorted(self._uploads.paths), checksum_path(self.snapshot_id)])
                await self._uploads.end()
                await self._bucket.delete([staged(self.snapshot_id)])
        await self._release()

    async def _release(self) -> None:
        def release_blocking() -> None:
            with self._busy:
                if not self._is_released:
                    self._is_released = True
                    self.scratch.remove()

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(release_blocking)

    async def _create_manifest(self, manifest: Manifest) -> None:
        text = manifests.encode(manifest)
        await self._bucket.put(checksum_path(self.snapshot_id), manifests.checksum_line(text, self.snapshot_id))
        self._is_committed = True
        try:
            is_ours = await self._bucket.create(manifest_path(self.snapshot_id), text)
        except UncertainError as error:
            raise UnfinishedCommitError(
                f"snapshot {self.snapshot_id} may or may not be committed; run `snapshots list` to see: {error}"
            ) from error
        except OutputError:
            self._is_committed = False
            raise
        if not is_ours:
            # The other crawl's ledger has the same name and must stay. The names of parts have the attempt.
            with suppress(OutputError):
                await self._bucket.delete(sorted(self._uploads.paths - {manifest.ledger.path}))
            raise OutputError(f"{self._bucket.place.uri} has another snapshot {self.snapshot_id}")

    async def _advance_latest(self, manifest: Manifest) -> None:
        try:
            if manifest.can_be_latest:
                await advance_latest(self._bucket, self.snapshot_id, manifest.replaced_latest or "")
            await self._bucket.delete([staged(self.snapshot_id)])
        except OutputError as error:
            raise UnfinishedCommitError(
                f"snapshot {self.snapshot_id} is committed, but LATEST isn't moved; the next crawl moves it: {error}"
            ) from error
