"""The journal of a crawl: its whole scopes, from which another crawl can resume it.

It is one file in the staging folder, which is only appended to: a line for the crawl's conditions, then a line per
scope, each with its own checksum. A reader stops at a line that is cut by a crash or a power loss. A line is flushed
after the files that it names; a resume checks these files again.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from crawler.errors import OutputError
from crawler.snapshot.layout import is_scope_part_path, parent, staged
from crawler.snapshot.ledger import ScopeRow, odd_row
from crawler.snapshot.limits import JOURNAL_BYTES, decode_json, is_instant
from crawler.snapshot.manifest import Instant, PartFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.rows.row_buffer import RowBuffer

FORMAT = 1

_Entry = TypeVar("_Entry")


class ResumeConditions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that another crawl must share to resume this one. Messages use the names in `conditions`.

    `clock_skew_s` was added to the machine's time for `started_at`.
    """

    format: int = FORMAT
    snapshot_id: str
    started_at: Instant
    clock_skew_s: float = 0.0
    plan_sha256: str
    conditions: dict[str, str]


class ChildList(msgspec.Struct, frozen=True, array_like=True):
    """A list of a child's scope: its parameters' values, from its parent's rows. Speculative lists may not exist."""

    values: tuple[str, ...]
    is_speculative: bool


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A whole scope. By path, `unknown` counts the fields that aren't in its schema, `misfits` those that don't fit it.

    `lists` has, for each child table, every list to request; None if a row didn't name its list.
    """

    row: ScopeRow
    files: list[PartFile]
    unknown: dict[str, int]
    misfits: dict[str, int] = {}
    lists: dict[str, list[ChildList] | None]

    @property
    def scope(self) -> tuple[str, str, str]:
        """Table, account and region."""
        return self.row.table, self.row.account_id, self.row.region_id


class _Group:
    """Lines that are flushed together."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.flushed = anyio.Event()
        self.is_durable = False


class Journal:
    """A crawl's open journal, in one event loop. `start` makes it. Methods raise OutputError if the disk fails."""

    def __init__(self, buffer: RowBuffer, path: str, fd: int) -> None:
        self.count = 0
        self._buffer = buffer
        self._path = path
        self._fd = fd
        self._group = _Group()
        self._lock = anyio.Lock()

    @classmethod
    async def start(
        cls, buffer: RowBuffer, conditions: ResumeConditions, entries: Sequence[JournalEntry] = ()
    ) -> Journal:
        """Start a journal in place of an existing one: durable with all of these entries, or not made at all."""
        path = journal_path(conditions.snapshot_id)
        text = _line(conditions) + b"".join(map(_line, entries))
        journal = cls(buffer, path, await buffer.run(_write_new, buffer.disk, path, text))
        journal.count = len(entries)
        return journal

    async def add(self, entry: JournalEntry) -> None:
        """Record a scope; on return it is durable. Entries that arrive while the disk is busy are flushed together.

        The task of the first entry flushes the whole group, because entries arrive faster than single flushes.
        """
        group = self._group
        group.lines.append(_line(entry))
        if len(group.lines) > 1:
            await group.flushed.wait()
            if not group.is_durable:
                raise OutputError("the journal of this crawl can't be written")
            return
        try:
            async with self._lock:
                self._group = _Group()
                await self._buffer.run(self._append, b"".join(group.lines))
                group.is_durable = True
                self.count += len(group.lines)
        finally:
            if self._group is group:
                self._group = _Group()
            group.flushed.set()

    def close(self) -> None:
        """Close the file. Nothing can be added afterwards."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._buffer.disk.close(fd, self._path)

    def _append(self, text: bytes) -> None:
        self._buffer.disk.write(self._fd, self._path, text)
        self._buffer.disk.fsync(self._fd, self._path)


def journal_path(snapshot_id: str) -> str:
    """Return the path of an unfinished snapshot's journal."""
    return staged(snapshot_id, "journal")


def read_journal(disk: Disk, snapshot_id: str) -> tuple[ResumeConditions, list[JournalEntry]] | None:
    """Return the conditions and the entries before the first damaged line; None if the conditions are damaged.

    Raises OutputError if the file can't be read.
    """
    path = journal_path(snapshot_id)
    lines = disk.read(path, JOURNAL_BYTES).split(b"\n")[:-1] if disk.has(path) else []
    conditions = _parse_line(lines[0], ResumeConditions) if lines else None
    if conditions is None or (conditions.format, conditions.snapshot_id) != (FORMAT, snapshot_id):
        return None
    if not is_instant(conditions.started_at):
        return None
    entries = []
    for line in lines[1:]:
        entry = _parse_line(line, JournalEntry)
        if entry is None or not _is_of(entry, snapshot_id):
            break
        entries.append(entry)
    return conditions, entries


def _line(entry: ResumeConditions | JournalEntry) -> bytes:
    text = msgspec.json.encode(entry)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse_line(line: bytes, kind: type[_Entry]) -> _Entry | None:
    """Return the content of a line; None if it is damaged."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return decode_json(text, kind)
    except ValueError:
        return None


def _is_of(entry: JournalEntry, snapshot_id: str) -> bool:
    """Return whether the entry's row and files can be of this snapshot, so that no path leads elsewhere."""
    table = entry.row.table
    return not odd_row(entry.row) and all(is_scope_part_path(file.path, table, snapshot_id) for file in entry.files)


def _write_new(disk: Disk, path: str, text: bytes) -> int:
    """Write a new file durably and return its descriptor, for appending."""
    partial = f"{path}.partial"
    disk.unlink(partial)
    fd = disk.create(partial)
    try:
        disk.write(fd, partial, text)
        disk.fsync(fd, partial)
        disk.rename(partial, path)
        disk.fsync_folder(parent(path))
    except BaseException:
        os.close(fd)
        raise
    return fd
