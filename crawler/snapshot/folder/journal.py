"""What a crawl notes of each scope that is whole, so that another can go on where it was killed.

One file in the staging folder, only ever appended to: a line for the crawl's plan, then a line a scope, each with a
checksum of its own. A line that a crash or a power loss cut ends the journal for a reader. A line is flushed after the
files that it names; whether these are still what it says is looked at again before anything goes on.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from crawler.errors import OutputError
from crawler.snapshot.layout import parent, staged
from crawler.snapshot.ledger import ScopeRow
from crawler.snapshot.manifest import Instant, PartFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.rows.row_buffer import RowBuffer

FORMAT = 1

_Entry = TypeVar("_Entry")


class ResumeConditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a crawl was begun with. `conditions`: what else must be the same for another to go on, by its name."""

    format: int = FORMAT
    snapshot_id: str
    started_at: Instant
    plan_sha256: str
    conditions: dict[str, str]


class ChildList(msgspec.Struct, frozen=True, array_like=True):
    """A list of a child's scope that a parent's rows gave: its parameters' values, and whether it is a guess."""

    values: tuple[str, ...]
    is_guess: bool


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A scope that is whole. `unknown` counts the fields that its schema doesn't know.

    `lists` has, for each table below it, every list to ask for; None where a row didn't say which.
    """

    row: ScopeRow
    files: list[PartFile]
    unknown: dict[str, int]
    lists: dict[str, list[ChildList] | None]

    @property
    def scope(self) -> tuple[str, str, str]:
        """Table, account and region."""
        return self.row.table, self.row.account_id, self.row.region_id


class _Group:
    """The lines that are flushed together, and whether they were."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.landed = anyio.Event()
        self.is_durable = False


class Journal:
    """The open journal of one crawl, in one event loop. Everything raises OutputError where the disk fails."""

    def __init__(self, spool: RowBuffer, path: str, fd: int) -> None:
        """Not called directly: see `start`."""
        self.count = 0
        self._spool = spool
        self._path = path
        self._fd = fd
        self._group = _Group()
        self._lock = anyio.Lock()

    @classmethod
    async def start(cls, spool: RowBuffer, terms: ResumeConditions, records: Sequence[JournalEntry] = ()) -> Journal:
        """A new journal in place of one that may be there, durable with all of these records or not made at all."""
        path = journal_path(terms.snapshot_id)
        text = _line(terms) + b"".join(map(_line, records))
        journal = cls(spool, path, await spool.run(_write_new, spool.disk, path, text))
        journal.count = len(records)
        return journal

    async def add(self, record: JournalEntry) -> None:
        """Note a scope; on return it is durable. Those that come while the disk is busy are flushed together.

        The first of them flushes for all, who then go on at once: a queue of its own for each would be worked off more
        slowly than it grows.
        """
        group = self._group
        group.lines.append(_line(record))
        if len(group.lines) > 1:
            await group.landed.wait()
            if not group.is_durable:
                raise OutputError("the journal of this crawl can't be written")
            return
        try:
            async with self._lock:
                self._group = _Group()
                await self._spool.run(self._append, b"".join(group.lines))
                group.is_durable = True
                self.count += len(group.lines)
        finally:
            if self._group is group:
                self._group = _Group()
            group.landed.set()

    def close(self) -> None:
        """Close the file. Nothing can be added any more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._spool.disk.close(fd, self._path)

    def _append(self, text: bytes) -> None:
        self._spool.disk.write(self._fd, self._path, text)
        self._spool.disk.fsync(self._fd, self._path)


def journal_path(snapshot_id: str) -> str:
    """Where an unfinished snapshot's journal is."""
    return staged(snapshot_id, "journal")


def read_journal(disk: Disk, snapshot_id: str) -> tuple[ResumeConditions, list[JournalEntry]] | None:
    """The terms and every record up to the first line that isn't whole; None where the first one isn't.

    Raises OutputError where the file can't be read.
    """
    path = journal_path(snapshot_id)
    lines = disk.read(path).split(b"\n")[:-1] if disk.has(path) else []
    terms = _entry(lines[0], ResumeConditions) if lines else None
    if terms is None or (terms.format, terms.snapshot_id) != (FORMAT, snapshot_id):
        return None
    records = []
    for line in lines[1:]:
        record = _entry(line, JournalEntry)
        if record is None:
            break
        records.append(record)
    return terms, records


def _line(entry: ResumeConditions | JournalEntry) -> bytes:
    text = msgspec.json.encode(entry)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes, kind: type[_Entry]) -> _Entry | None:
    """What a line says; None where it isn't whole."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError:
        return None


def _write_new(disk: Disk, path: str, text: bytes) -> int:
    """A file with this content under its name, durable: its descriptor, to append to."""
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
