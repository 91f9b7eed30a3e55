"""Where one attempt at a shard has its rows until its report: a folder of its own in the output, or the bucket.

Nothing that an attempt writes has a path of another attempt, so that one that is thought dead, and wakes up, changes no
file of its successor or of the committed snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import anyio
import anyio.to_thread

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.bucket.rows import BucketRows
from crawler.snapshot.bucket.scratch import Scratch
from crawler.snapshot.destination import ShardDestination
from crawler.snapshot.disk import Disk, make_folders, make_folders_durably, remove_tree
from crawler.snapshot.folder.resume import check_conditions, reuse_finished
from crawler.snapshot.journal import read_journals
from crawler.snapshot.layout import ATTEMPT_LEDGER, attempt_digits, attempt_folder, attempt_ledger_path, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from crawler.snapshot.journal import ResumeConditions, Unfinished
    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.output_steps import OutputSteps

_PART_END = ".parquet"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The number of an attempt at a shard of a run, whose files are in `folder`, and the snapshot it belongs to."""

    folder: str
    shard: int
    number: int
    snapshot_id: str
    started_at: datetime

    @property
    def digits(self) -> str:
        """The part of the names of its files that no other attempt has."""
        return attempt_digits(self.shard, self.number)


class AttemptDestination(ShardDestination, Protocol):
    """See `ShardDestination`. `ledger_path` is the path of the attempt's ledger before it is delivered."""

    ledger_path: str

    def keep(self, *, is_wanted: bool = True) -> None:
        """Keep the files for the joiner: the report may be there from now on. `is_wanted` False takes it back."""
        ...


class FolderAttempt:
    """See `AttemptDestination`. The attempt's folder is rooted like an output, and has a journal.

    An attempt takes over the whole scopes of the one before it.
    """

    keeps_journal = True
    ledger_path = ATTEMPT_LEDGER

    def __init__(self, disk: Disk, attempt: Attempt, unfinished: Unfinished | None) -> None:
        """Use `begin`."""
        self.disk = disk
        self.snapshot_id = attempt.snapshot_id
        self.started_at = attempt.started_at
        self.attempt = attempt.digits
        self._unfinished = unfinished
        self._keeps_staged = False
        self._is_released = False

    @classmethod
    async def begin(cls, root: Path, umask: int, attempt: Attempt) -> Self:
        """Make the attempt's folder, with what the attempt before it has finished. Raises OutputError."""

        def begin_blocking() -> tuple[Disk, Unfinished | None]:
            own = attempt_folder(attempt.folder, attempt.shard, attempt.number)
            output = Disk(root, umask)
            try:
                make_folders_durably(output, f"{own}/{staged(attempt.snapshot_id)}")
                _take_over(output, own, attempt)
            finally:
                output.close_root()
            disk = Disk(root / own, umask)
            return disk, read_journals(disk, attempt.snapshot_id)

        with anyio.CancelScope(shield=True):
            disk, unfinished = await anyio.to_thread.run_sync(begin_blocking)
        return cls(disk, attempt, unfinished)

    async def reusable(
        self, steps: OutputSteps, conditions: ResumeConditions, parents_by_table: Mapping[str, Sequence[str]]
    ) -> Unfinished | None:
        """See `ShardDestination.reusable`. Rows of an attempt with other conditions are read again."""
        unfinished = self._unfinished
        if unfinished is None:
            return None
        try:
            check_conditions(unfinished.conditions, conditions)
        except ConfigError:
            await steps.run(self._remove_all)
            return None
        found = await steps.run(reuse_finished, self.disk, self.snapshot_id, unfinished, parents_by_table)
        self._keeps_staged = bool(found.entries)
        return found

    def leave_unfinished(self, *, has_entries: bool) -> bool:
        """See `ShardDestination.leave_unfinished`."""
        self._keeps_staged = self._keeps_staged or has_entries
        return self._keeps_staged

    async def deliver(self, steps: OutputSteps, files: Sequence[PartFile]) -> None:
        """Do nothing: the joiner finds the files in the attempt's folder."""

    def keep(self, *, is_wanted: bool = True) -> None:
        """See `AttemptDestination.keep`."""
        self._keeps_staged = is_wanted

    async def abandon(self) -> None:
        """See `ShardDestination.abandon`."""

        def abandon_blocking() -> None:
            if not self._is_released:
                self._is_released = True
                try:
                    if not self._keeps_staged:
                        self._remove_all()
                except OutputError:
                    pass  # the joiner removes the run's folder
                finally:
                    self.disk.close_root()

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(abandon_blocking)

    def _remove_all(self) -> None:
        folder = staged(self.snapshot_id)
        for name in self.disk.names(folder):
            remove_tree(self.disk, f"{folder}/{name}")


class BucketAttempt(BucketRows):
    """See `AttemptDestination`. Parts are sent to their final paths; another attempt begins from the start."""

    def __init__(self, bucket: ObjectStore, scratch: Scratch, attempt: Attempt, fence: Callable[[], None]) -> None:
        """Use `begin`."""
        super().__init__(bucket, scratch, attempt.snapshot_id, attempt.started_at, attempt.digits)
        self._fence = fence
        self.ledger_path = attempt_ledger_path(attempt.folder, attempt.shard, attempt.number)

    @classmethod
    async def begin(cls, bucket: ObjectStore, attempt: Attempt, fence: Callable[[], None]) -> Self:
        """Make a scratch folder for the attempt. `fence` raises when it may send no more. Raises OutputError."""
        with anyio.CancelScope(shield=True):
            scratch = await anyio.to_thread.run_sync(Scratch.make, attempt.snapshot_id, attempt.started_at)
        return cls(bucket, scratch, attempt, fence)

    async def deliver(self, steps: OutputSteps, files: Sequence[PartFile]) -> None:
        """See `ShardDestination.deliver`."""
        self._fence()
        await super().deliver(steps, files)

    def keep(self, *, is_wanted: bool = True) -> None:
        """See `AttemptDestination.keep`."""
        self.is_over = is_wanted


def delivered_path(attempt: Attempt, path: str) -> str:
    """Return where in a local output a file of an attempt is that has this path in its report."""
    return f"{attempt_folder(attempt.folder, attempt.shard, attempt.number)}/{staged(attempt.snapshot_id, path)}"


def _take_over(output: Disk, own: str, attempt: Attempt) -> None:
    """Copy the journals of the newest earlier attempt with any, and link its finished parts. Blocking.

    Its process is dead, or stopped for so long that it may write no more: a copy doesn't change if it does.
    """
    for number in range(attempt.number - 1, 0, -1):
        earlier = f"{attempt_folder(attempt.folder, attempt.shard, number)}/{staged(attempt.snapshot_id)}"
        if output.has(f"{earlier}/journal"):
            _copy_tree(output, earlier, f"{own}/{staged(attempt.snapshot_id)}")
            return


def _copy_tree(output: Disk, source: str, target: str) -> None:
    for name in output.names(source):
        found, to = f"{source}/{name}", f"{target}/{name}"
        if output.is_folder(found):
            make_folders(output, to)
            _copy_tree(output, found, to)
        elif name.endswith(_PART_END):
            output.link_or_copy(found, to)
        elif not name.endswith(".partial"):
            output.copy(found, to)
