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
    """A destination that one snapshot has acquired. It ends with `commit` or `abandon`.

    `disk` is where rows are staged, in parts of at most `max_part_bytes`. `recovered` has the IDs of the snapshots that
    were completed when the destination was acquired. Methods raise OutputError. `buffer` is the writer's: it runs
    blocking functions, and runs none after one has failed.
    """

    snapshot_id: str
    started_at: datetime
    recovered: list[str]
    disk: Disk
    max_part_bytes: float

    async def open_journal(
        self, buffer: RowBuffer, conditions: ResumeConditions, parents_by_table: Mapping[str, Sequence[str]]
    ) -> list[JournalEntry]:
        """Begin the journal where this destination keeps one; return the entries of a resumed crawl, parents first.

        Raises ConfigError where the resumed crawl was begun with other conditions.
        """
        ...

    async def note(self, entry: JournalEntry) -> None:
        """Note a scope durably, where a journal is open."""
        ...

    def leave_unfinished(self) -> bool:
        """Keep the staged files when the snapshot is abandoned, for a resume. Return whether there are any."""
        ...

    async def deliver(self, buffer: RowBuffer, files: Sequence[PartFile]) -> None:
        """Take the finished files of a scope to where the commit needs them."""
        ...

    async def stage(self, buffer: RowBuffer, assemble: Callable[[], Manifest]) -> Manifest:
        """Call `assemble`, which blocks and stages the last files; then do each step that may still fail unseen."""
        ...

    async def commit(self, buffer: RowBuffer, manifest: Manifest) -> None:
        """Make the staged snapshot visible and release the destination.

        Raises OutputError, after which nothing is committed, and UnfinishedCommitError, after which the next crawl
        completes the snapshot.
        """
        ...

    async def abandon(self) -> None:
        """Remove what is staged, unless `leave_unfinished` was called, and release the destination.

        After `commit` this does nothing.
        """
        ...
