"""The rows of a crawl or a shard on their way to a bucket: a scratch folder of this machine, then final paths.

A scope may fail and a list may restart, so that rows are staged first. A part that is finished is sent to its final
path at once.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot.bucket.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.bucket.scratch import Scratch
    from crawler.snapshot.disk import Disk
    from crawler.snapshot.journal import ResumeConditions
    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.output_steps import OutputSteps

_CLEANING_S = 6.0


class BucketRows:
    """See `ShardDestination`. It keeps no journal: the scratch folder ends with its process."""

    keeps_journal = False

    def __init__(
        self, bucket: ObjectStore, scratch: Scratch, snapshot_id: str, started_at: datetime, attempt: str
    ) -> None:
        self.disk: Disk = scratch.disk
        self.attempt = attempt
        self.snapshot_id = snapshot_id
        self.started_at = started_at
        self.scratch = scratch
        self.uploads = Uploads(bucket, scratch.disk.root, snapshot_id)
        self.is_over = False
        self._bucket = bucket
        self._is_released = False
        # A worker thread outlives its waiting task when that task is cancelled from outside of anyio.
        self.busy = threading.Lock()

    async def reusable(
        self, steps: OutputSteps, conditions: ResumeConditions, parents_by_table: Mapping[str, Sequence[str]]
    ) -> None:
        """Return None: there is no crawl to resume."""

    def leave_unfinished(self, *, has_entries: bool) -> bool:  # noqa: ARG002
        """Return False: nothing can be resumed."""
        return False

    async def deliver(self, steps: OutputSteps, files: Sequence[PartFile]) -> None:
        """See `ShardDestination.deliver`: sends the files to their final paths."""
        steps.raise_if_failed()
        await self.uploads.send(files)

    async def abandon(self) -> None:
        """See `ShardDestination.abandon`. A crawl of another day removes objects that can't be removed in seconds."""
        if not self._is_released and not self.is_over:
            with anyio.move_on_after(_CLEANING_S, shield=True), suppress(OutputError):
                await self.remove_sent()
        await self.release()

    async def remove_sent(self) -> None:
        """Remove what was sent, and abort what may be left of multipart uploads. Raises OutputError."""
        await self._bucket.delete(sorted(self.uploads.paths))
        await self.uploads.end()

    async def release(self) -> None:
        """Remove the scratch folder."""

        def release_blocking() -> None:
            with self.busy:
                if not self._is_released:
                    self._is_released = True
                    self.scratch.remove()

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(release_blocking)
