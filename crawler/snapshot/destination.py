"""The protocol of a destination: where a snapshot goes, and the steps of its commit there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.folder.journal import JournalEntry, ResumeConditions
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.rows.row_buffer import RowBuffer


class Destination(Protocol):
    """A destination that one snapshot has acquired. It ends with `commit` or `abandon`. Methods raise OutputError.

    Rows are staged on `disk`, in parts of at most `max_part_bytes`. `recovered` has the IDs of the snapshots that were
    completed when the destination was acquired. `buffer` is the writer's: it runs blocking functions until one fails.
    """

    snapshot_id: str
    started_at: datetime
    recovered: list[str]
    disk: Disk
    max_part_bytes: float

    @property
    def is_committed(self) -> bool:
        """Whether the snapshot is committed, or may be: an error can't say any more that nothing is."""
        ...

    async def restamp(self, buffer: RowBuffer, snapshot_id: str, started_at: datetime) -> None:
        """Give a new snapshot another ID and start, before `open_journal`. A resumed one keeps both.

        Raises OutputBusyError and OutputError if the output has a snapshot of that ID.
        """
        ...

    async def latest(self) -> str:
        """Return the ID in LATEST, if that snapshot has a manifest; else an empty string."""
        ...

    async def open_journal(
        self, buffer: RowBuffer, conditions: ResumeConditions, parents_by_table: Mapping[str, Sequence[str]]
    ) -> list[JournalEntry]:
        """Begin the journal if this destination keeps one; return the entries of a resumed crawl, parents first.

        Raises ConfigError if the resumed crawl began with other conditions.
        """
        ...

    async def note(self, entry: JournalEntry) -> None:
        """Record a scope durably, if a journal is open."""
        ...

    def leave_unfinished(self) -> bool:
        """Keep the staged files when the snapshot is abandoned, for a resume. Return whether there are any."""
        ...

    async def deliver(self, buffer: RowBuffer, files: Sequence[PartFile]) -> None:
        """Move the finished files of a scope to the place where the commit needs them."""
        ...

    async def stage(self, buffer: RowBuffer, assemble: Callable[[], Manifest]) -> Manifest:
        """Call `assemble`, which blocks and stages the last files. Then do all else that may fail before the commit."""
        ...

    async def commit(self, buffer: RowBuffer, manifest: Manifest) -> None:
        """Make the staged snapshot visible and release the destination.

        Raises OutputError if nothing is committed, and UnfinishedCommitError if the next crawl must complete it.
        """
        ...

    async def abandon(self) -> None:
        """Remove the staged files, unless `leave_unfinished` was called, and release the destination.

        After `commit` this does nothing.
        """
        ...
