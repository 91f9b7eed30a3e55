"""A local folder as the destination of a snapshot: its lock, its journal, its staging folder, its commit."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.snapshot.disk import Disk, remove_tree
from crawler.snapshot.folder.commit import latest_id, make_table_folders, mark_committed, promote
from crawler.snapshot.folder.preflight import make_root
from crawler.snapshot.folder.recovery import acquire_for_join, acquire_for_new, acquire_unfinished, rename_staging
from crawler.snapshot.folder.resume import check_conditions, reuse_finished
from crawler.snapshot.layout import staged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from crawler.snapshot.folder.lock import OutputLock
    from crawler.snapshot.journal import ResumeConditions, Unfinished
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.output_steps import OutputSteps


class FolderDestination:
    """See `Destination`. `begin` or `resume` makes it and locks the output. After a crash, the next `begin` repairs."""

    keeps_journal = True
    attempt = ""

    def __init__(
        self,
        disk: Disk,
        lock: OutputLock,
        snapshot_id: str,
        started_at: datetime,
        recovered: list[str],
        unfinished: Unfinished | None = None,
    ) -> None:
        """`unfinished` is the journal of the crawl to resume. Use `begin` or `resume`."""
        self.disk = disk
        self.snapshot_id = snapshot_id
        self.started_at = started_at
        self.recovered = recovered
        self.lock = lock
        self._unfinished = unfinished
        # Nothing of a crawl to resume is removed until its conditions are known to be the same.
        self._keeps_staged = unfinished is not None
        self._has_reused = False
        self._made_folders: list[str] = []
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
        cls, root: Path, snapshot_id: str, started_at: datetime, *, umask: int = 0o077, disk: Disk | None = None
    ) -> Self:
        """Lock the output, repair the traces of a crash (see `recovered`), make the staging folder.

        Raises OutputBusyError if another crawl holds the output, OutputError if it can't be written.
        """

        def begin_blocking() -> tuple[Disk, OutputLock, tuple[str, list[str]]]:
            make_root(root, umask)
            used = disk or Disk(root, umask)
            return used, *acquire_for_new(used, snapshot_id, started_at)

        with anyio.CancelScope(shield=True):
            used, lock, (newest, recovered) = await anyio.to_thread.run_sync(begin_blocking)
        return cls(used, lock, newest, started_at, recovered)

    @classmethod
    async def join(cls, root: Path, snapshot_id: str, started_at: datetime, *, umask: int = 0o077) -> Self:
        """Lock the output to commit a snapshot whose shards have reported. Raises as `begin`."""

        def join_blocking() -> tuple[Disk, OutputLock, list[str]]:
            make_root(root, umask)
            used = Disk(root, umask)
            return used, *acquire_for_join(used, snapshot_id, started_at)

        with anyio.CancelScope(shield=True):
            used, lock, recovered = await anyio.to_thread.run_sync(join_blocking)
        return cls(used, lock, snapshot_id, started_at, recovered)

    @classmethod
    async def resume(cls, root: Path, now: datetime, *, umask: int = 0o077, disk: Disk | None = None) -> Self:
        """Lock the output to resume its newest unfinished crawl, under the ID of that crawl.

        No file of that crawl changes before `reusable` returns. Raises ConfigError with the reason if there is no
        crawl to resume, and the errors of `begin`.
        """

        def resume_blocking() -> tuple[Disk, OutputLock, Unfinished]:
            used = disk or Disk(root, umask)
            return used, *acquire_unfinished(used, now)

        with anyio.CancelScope(shield=True):
            used, lock, unfinished = await anyio.to_thread.run_sync(resume_blocking)
        conditions = unfinished.conditions
        return cls(used, lock, conditions.snapshot_id, conditions.started_at, [], unfinished)

    async def restamp(self, steps: OutputSteps, snapshot_id: str, started_at: datetime) -> None:
        """See `Destination.restamp`."""
        if self._unfinished is None:
            self.snapshot_id = await steps.run(rename_staging, self.disk, self.snapshot_id, snapshot_id)
            self.started_at = started_at

    def share(self) -> None:
        """Do nothing: other processes have folders of their own."""

    async def latest(self) -> str:
        """See `Destination.latest`."""
        return await anyio.to_thread.run_sync(latest_id, self.disk)

    async def reusable(
        self, steps: OutputSteps, conditions: ResumeConditions, parents_by_table: Mapping[str, Sequence[str]]
    ) -> Unfinished | None:
        """See `Destination.reusable`."""
        if self._unfinished is None:
            return None
        check_conditions(self._unfinished.conditions, conditions)
        self._keeps_staged = False
        found = await steps.run(reuse_finished, self.disk, self.snapshot_id, self._unfinished, parents_by_table)
        self._has_reused = bool(found.entries)
        return found

    def leave_unfinished(self, *, has_entries: bool) -> bool:
        """See `Destination.leave_unfinished`."""
        self._keeps_staged = self._keeps_staged or has_entries or self._has_reused
        return self._keeps_staged

    async def deliver(self, steps: OutputSteps, files: Sequence[PartFile]) -> None:
        """Do nothing: finished parts are in the staging folder, where the commit needs them."""

    async def stage(self, steps: OutputSteps, assemble: Callable[[], Manifest]) -> Manifest:
        """See `Destination.stage`: makes the folders into which the commit renames."""

        def stage_blocking() -> Manifest:
            with self._busy:
                manifest = assemble()
                self._made_folders = make_table_folders(self.disk, manifest)
                return manifest

        return await steps.run(stage_blocking)

    async def commit(self, steps: OutputSteps, manifest: Manifest) -> None:
        """See `Destination.commit`."""

        def commit_blocking() -> None:
            with self._busy:
                mark_committed(self.disk, manifest)
                self._is_committed = True
                try:
                    promote(self.disk, manifest)
                finally:
                    self._release()

        await steps.run(commit_blocking)

    async def abandon(self) -> None:
        """See `Destination.abandon`."""

        def abandon_blocking() -> None:
            with self._busy:
                if self._is_released:
                    return
                if not self._is_committed:
                    self._remove_staged()
                self._release()

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(abandon_blocking)

    def _remove_staged(self) -> None:
        if not self._keeps_staged:
            with suppress(OutputError):
                remove_tree(self.disk, staged(self.snapshot_id))
        for folder in reversed(self._made_folders):
            with suppress(OutputError):
                self.disk.remove_folder(folder)

    def _release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self.lock.release()
            self.disk.close_root()
