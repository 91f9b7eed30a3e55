"""A bucket as the destination of a snapshot. A bucket has no rename: the manifest's creation is the commit.

Rows go to a scratch folder of this machine first, since a scope may fail and a list may restart. A part that is
finished is sent to its final path at once. The ledger and the checksum follow. The manifest is last: it is created and
never overwritten. A note under `_staging` names the snapshot until the crawl is over. By the note, the
next crawl moves LATEST to a committed snapshot, and after a day removes the parts of one that isn't. Crawls of one
bucket are disjoint: each path that a crawl writes contains its ID.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from crawler.errors import AlreadyCommittedError, OutputError, UnfinishedCommitError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.latest import latest_id
from crawler.snapshot.bucket.notes import clean_up_others, finish_commit, put_note
from crawler.snapshot.bucket.prune import finish_removals
from crawler.snapshot.bucket.rows import BucketRows
from crawler.snapshot.bucket.scratch import Scratch
from crawler.snapshot.bucket.uploads import Uploads
from crawler.snapshot.folder.recovery import rename_staging
from crawler.snapshot.layout import checksum_path, manifest_path, staged
from crawler.snapshot.object_store import UncertainError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.output_steps import OutputSteps


# In the names of parts, where a shard's attempts have their numbers.
_OF_JOINERS = "ffffffff"


class BucketDestination(BucketRows):
    """See `Destination`. `begin` makes it for a new snapshot, `join` for one whose shards have sent their parts."""

    def __init__(
        self,
        bucket: ObjectStore,
        scratch: Scratch,
        snapshot_id: str,
        started_at: datetime,
        recovered: list[str],
        tables: Collection[str],
    ) -> None:
        super().__init__(bucket, scratch, snapshot_id, started_at, secrets.token_hex(4))
        self.recovered = recovered
        self._tables = sorted(tables)
        self._is_shared = False

    @property
    def is_committed(self) -> bool:
        """See `Destination.is_committed`."""
        return self.is_over

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
            await destination.release()
            raise
        return destination

    @classmethod
    async def join(cls, bucket: ObjectStore, snapshot_id: str, started_at: datetime, tables: Collection[str]) -> Self:
        """Begin the commit of a snapshot whose note its planner has put. What others have sent is never removed.

        Finishes the commit of a process that was stopped after it, and raises AlreadyCommittedError.
        """
        if (found := await bucket.read(manifest_path(snapshot_id))) is not None:
            manifest = manifests.decode_of(snapshot_id, found.data, manifest_path(snapshot_id))
            await bucket.put(checksum_path(snapshot_id), manifests.checksum_line(found.data, snapshot_id))
            await finish_commit(bucket, manifest)
            raise AlreadyCommittedError(f"another process has committed snapshot {snapshot_id}")
        with anyio.CancelScope(shield=True):
            scratch = await anyio.to_thread.run_sync(Scratch.make, snapshot_id, started_at)
        destination = cls(bucket, scratch, snapshot_id, started_at, [], tables)
        destination.share()
        return destination

    def share(self) -> None:
        """See `Destination.share`. Each joiner gives the files of empty tables the same names."""
        self._is_shared = True
        self.attempt = _OF_JOINERS

    async def restamp(self, steps: OutputSteps, snapshot_id: str, started_at: datetime) -> None:
        """See `Destination.restamp`."""
        await put_note(self._bucket, snapshot_id, self._tables)
        before, self.snapshot_id, self.started_at = self.snapshot_id, snapshot_id, started_at
        self.uploads = Uploads(self._bucket, self.scratch.disk.root, snapshot_id)
        await steps.run(rename_staging, self.scratch.disk, before, snapshot_id)
        await self._bucket.delete([staged(before)])

    async def latest(self) -> str:
        """See `Destination.latest`."""
        return await latest_id(self._bucket)

    async def stage(self, steps: OutputSteps, assemble: Callable[[], Manifest]) -> Manifest:
        """See `Destination.stage`: sends the last files, and checks that the bucket lists all files."""

        def assemble_blocking() -> Manifest:
            with self.busy:
                return assemble()

        manifest = await steps.run(assemble_blocking)
        files = [file for entry in manifest.tables.values() for file in entry.files]
        await self.deliver(steps, [*files, manifest.ledger])
        await self.uploads.end()
        await self.uploads.raise_unless_stored(manifest)
        return manifest

    async def commit(self, steps: OutputSteps, manifest: Manifest) -> None:
        """See `Destination.commit`. Raises UnfinishedCommitError also if the store's answer to the commit was lost and
        can't be requested again: the snapshot is whole then, and may be committed.
        """
        steps.raise_if_failed()
        with anyio.CancelScope(shield=True):
            await self._create_manifest(manifest)
            try:
                await self._advance_latest(manifest)
            finally:
                await self.release()

    async def remove_sent(self) -> None:
        """See `BucketRows.remove_sent`. The checksum and the note follow.

        Another process may commit a shared snapshot with a ledger of the same name: nothing is removed then.
        """
        if self._is_shared:
            await self.uploads.end()
            return
        self.uploads.paths.add(checksum_path(self.snapshot_id))
        await super().remove_sent()
        await self._bucket.delete([staged(self.snapshot_id)])

    async def _create_manifest(self, manifest: Manifest) -> None:
        text = manifests.encode(manifest)
        await self._bucket.put(checksum_path(self.snapshot_id), manifests.checksum_line(text, self.snapshot_id))
        self.is_over = True
        try:
            is_ours = await self._bucket.create(manifest_path(self.snapshot_id), text)
        except UncertainError as error:
            raise UnfinishedCommitError(
                f"snapshot {self.snapshot_id} may or may not be committed; run `snapshots list` to see: {error}"
            ) from error
        except OutputError:
            self.is_over = False
            raise
        if not is_ours and self._is_shared:
            await self._restore_checksum()
            raise AlreadyCommittedError(f"another process has committed snapshot {self.snapshot_id}")
        if not is_ours:
            # The other crawl's ledger has the same name and must stay. The names of parts have the attempt.
            with suppress(OutputError):
                await self._bucket.delete(sorted(self.uploads.paths - {manifest.ledger.path}))
            raise OutputError(f"{self._bucket.place.uri} has another snapshot {self.snapshot_id}")

    async def _restore_checksum(self) -> None:
        found = await self._bucket.read(manifest_path(self.snapshot_id))
        if found is not None:
            line = manifests.checksum_line(found.data, self.snapshot_id)
            await self._bucket.put(checksum_path(self.snapshot_id), line)

    async def _advance_latest(self, manifest: Manifest) -> None:
        try:
            await finish_commit(self._bucket, manifest)
        except OutputError as error:
            raise UnfinishedCommitError(
                f"snapshot {self.snapshot_id} is committed, but LATEST isn't moved; the next crawl moves it: {error}"
            ) from error
