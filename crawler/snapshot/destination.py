"""The protocols of the places to which a snapshot is written: the rows of a shard, and the whole snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.journal import ResumeConditions, Unfinished
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.output_steps import OutputSteps


class ShardDestination(Protocol):
    """Where the rows of one shard go, until its report or the commit. Methods raise OutputError.

    Rows are staged on `disk`. With `keeps_journal`, another crawl can resume this one. `attempt` is a part of the names
    of parts. `steps` are the writer's: they run blocking functions until one fails.
    """

    snapshot_id: str
    started_at: datetime
    disk: Disk
    keeps_journal: bool
    attempt: str

    async def reusable(
        self, steps: OutputSteps, conditions: ResumeConditions, parents_by_table: Mapping[str, Sequence[str]]
    ) -> Unfinished | None:
        """Return what this crawl reuses of the one that it resumes, parents first; None if it resumes none.

        Raises ConfigError if the resumed crawl began with other conditions.
        """
        ...

    def leave_unfinished(self, *, has_entries: bool) -> bool:
        """Keep the staged files when the destination is abandoned, for a resume. Return whether there are any.

        `has_entries`: the journal of this crawl has scopes.
        """
        ...

    async def deliver(self, steps: OutputSteps, files: Sequence[PartFile]) -> None:
        """Move finished files to the place where the commit needs them."""
        ...

    async def abandon(self) -> None:
        """Remove the staged files, unless `leave_unfinished` was called, and release the destination.

        After a commit or a report this only releases it.
        """
        ...


class Destination(ShardDestination, Protocol):
    """A destination that one snapshot has acquired. It ends with `commit` or `abandon`. Methods raise OutputError.

    `recovered` has the IDs of the snapshots that were completed when the destination was acquired.
    """

    recovered: list[str]

    @property
    def is_committed(self) -> bool:
        """Whether the snapshot is committed, or may be: an error can't say any more that nothing is."""
        ...

    async def restamp(self, steps: OutputSteps, snapshot_id: str, started_at: datetime) -> None:
        """Give a new snapshot another ID and start, before `reusable`. A resumed one keeps both.

        Raises OutputBusyError and OutputError if the output has a snapshot of that ID.
        """
        ...

    def share(self) -> None:
        """Let other processes write the snapshot's parts: nothing that they need is removed by `abandon`."""
        ...

    async def latest(self) -> str:
        """Return the ID in LATEST, if that snapshot has a manifest; else an empty string."""
        ...

    async def stage(self, steps: OutputSteps, assemble: Callable[[], Manifest]) -> Manifest:
        """Call `assemble`, which blocks and stages the last files. Then do all else that may fail before the commit."""
        ...

    async def commit(self, steps: OutputSteps, manifest: Manifest) -> None:
        """Make the staged snapshot visible and release the destination.

        Raises OutputError if nothing is committed, and UnfinishedCommitError if the next crawl must complete it.
        """
        ...
