"""The journal of a crawl: the rows and the outcomes of its scopes, from which another crawl can resume it.

It is a file in the staging folder, which is only appended to. A record is a line of JSON with its own checksum; behind
a record of rows follow the compressed rows. The first record has the crawl's conditions. A record of a scope names the
rows of the scope, which are before it. A reader stops at a record that is cut by a crash or a power loss. A crawl that
resumes another begins one more file, since a damaged one must not grow.

Memory that is full is relieved here, too: rows that are in the journal are read back when a part is written.
"""

from __future__ import annotations

import os
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import msgspec

from crawler.errors import OutputError
from crawler.snapshot.disk import make_folders_durably
from crawler.snapshot.layout import is_part_path, is_table, parent, staged
from crawler.snapshot.ledger import ScopeRow, odd_row
from crawler.snapshot.limits import BLOCK_BYTES, LINE_OF_JOURNAL_BYTES, Count, Words, decode_json, is_instant
from crawler.snapshot.manifest import Instant, PartFile
from crawler.snapshot.rows.blocks import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.rows.blocks import Block

FORMAT = 2
_CHUNK_BYTES = 1024 * 1024


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


class RowsAt(msgspec.Struct, frozen=True, array_like=True):
    """A number of rows of a scope in the block at an offset of one of the crawl's journals."""

    journal: Count
    offset: Count
    rows: Count


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, tag="scope"):
    """A whole scope. By path, `unknown` counts the fields that aren't in its schema, `misfits` those that don't fit it.

    Its rows are in `files`, which are parts of its own, and at `rows_at`. `lists` has, for each child table, every list
    to request; None if a row didn't name its list.
    """

    row: ScopeRow
    files: list[PartFile] = []
    rows_at: list[RowsAt] = []
    unknown: dict[str, int]
    misfits: dict[str, int] = {}
    lists: dict[str, list[ChildList] | None]

    @property
    def scope(self) -> tuple[str, str, str]:
        """Table, account and region."""
        return self.row.table, self.row.account_id, self.row.region_id

    @property
    def rows(self) -> int:
        """The number of rows in its files and blocks."""
        return sum(file.rows for file in self.files) + sum(at.rows for at in self.rows_at)


class StoredBlock(msgspec.Struct, frozen=True, array_like=True):
    """A block of rows in a journal; see `rows.blocks.Block`. `batch_bytes` is its size without compression."""

    table: Words
    rows: Count
    batch_bytes: Annotated[int, msgspec.Meta(ge=0, le=BLOCK_BYTES)]
    length: Annotated[int, msgspec.Meta(ge=0, le=BLOCK_BYTES)]
    checksum: Count
    least: tuple[str | int | None, ...]


class _RowsRecord(msgspec.Struct, frozen=True, tag="rows"):
    """The blocks whose compressed rows follow the record, in this order."""

    blocks: list[StoredBlock]


_Record = JournalEntry | _RowsRecord


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The journals of an unfinished crawl: its conditions, its scopes, and the blocks by journal and offset.

    `journals` is the number of its journals.
    """

    conditions: ResumeConditions
    entries: list[JournalEntry] = field(default_factory=list)
    blocks: dict[tuple[int, int], StoredBlock] = field(default_factory=dict)
    journals: int = 1


class Journal:
    """One file of a crawl's journal, open for appending. It is a `RowFile`. Methods block and raise OutputError.

    `entries` counts the records of scopes. Several threads may read; they append one after the other. The file is made
    by the first record, or by `begin`.
    """

    def __init__(self, disk: Disk, snapshot_id: str, number: int = 0) -> None:
        self.number = number
        self.entries = 0
        self.path = journal_path(snapshot_id, number)
        self._disk = disk
        self._lock = threading.Lock()
        self._fd = self._reading_fd = -1
        self._size = 0
        self._is_closed = False
        self._earlier: list[Journal] = []

    def earlier(self, snapshot_id: str, number: int) -> Journal:
        """Return an earlier journal, whose blocks can be read until this one is closed."""
        journal = Journal(self._disk, snapshot_id, number)
        self._earlier.append(journal)
        return journal

    def begin(self, conditions: ResumeConditions) -> None:
        """Make the file with its first record: durable, or not at all."""
        text = _line(conditions)
        partial = f"{self.path}.partial"
        self._disk.unlink(partial)
        self._fd = self._disk.create(partial)
        self._disk.write(self._fd, partial, text)
        self._disk.fsync(self._fd, partial)
        self._disk.rename(partial, self.path)
        self._disk.fsync_folder(parent(self.path))
        make_folders_durably(self._disk, parent(self.path))
        self._size = len(text)

    def append_blocks(self, blocks: Sequence[Block]) -> list[Place]:
        """Append the compressed rows of blocks, and return their places."""
        if not blocks:
            return []
        stored = [
            StoredBlock(
                block.layout.table, block.num_rows, block.batch_bytes, block.length, block.checksum, block.least
            )
            for block in blocks
        ]
        contents = [block.data or b"" for block in blocks]
        with self._lock:
            line = _line(_RowsRecord(stored))
            offset = self._append(b"".join([line, *contents])) + len(line)
        places = []
        for content in contents:
            places.append(Place(self, offset))
            offset += len(content)
        return places

    def append_entries(self, entries: Sequence[JournalEntry]) -> None:
        """Append scopes."""
        if entries:
            with self._lock:
                self._append(b"".join(map(_line, entries)))
                self.entries += len(entries)

    def sync(self) -> None:
        """Make everything that was appended durable."""
        with self._lock:
            if self._fd >= 0:
                self._disk.fsync(self._fd, self.path)

    def read(self, offset: int, length: int) -> bytes:
        """See `RowFile.read`."""
        if self._reading_fd < 0:
            with self._lock:
                if self._reading_fd < 0:
                    self._reading_fd = self._disk.open_for_reading(self.path)
        return self._disk.read_at(self._reading_fd, self.path, offset, length)

    def close(self) -> None:
        """Close the file, as far as the operating system allows. Nothing can be appended or read afterwards."""
        with self._lock:
            for fd in (self._fd, self._reading_fd):
                if fd >= 0:
                    with suppress(OSError):
                        os.close(fd)
            self._fd = self._reading_fd = -1
            self._is_closed = True
        for journal in self._earlier:
            journal.close()

    def _append(self, data: bytes) -> int:
        """Write the data at the end of the file, and return where it begins."""
        if self._is_closed:
            raise OutputError(f"{self.path} was closed, nothing more is written")
        if self._fd < 0:
            self._fd = self._disk.create(self.path)
        begin, self._size = self._size, self._size + len(data)
        self._disk.write(self._fd, self.path, data)
        return begin


def journal_path(snapshot_id: str, number: int = 0) -> str:
    """Return the path of an unfinished snapshot's n-th journal."""
    return staged(snapshot_id, f"journal-{number}" if number else "journal")


def read_journals(disk: Disk, snapshot_id: str) -> Unfinished | None:
    """Read the journals of an unfinished crawl, each up to its first damaged record. Rows are read and not kept.

    Return None if the first has no conditions, such as that of an earlier version. Raises OutputError if a file can't
    be read.
    """
    found: Unfinished | None = None
    number = 0
    while disk.has(path := journal_path(snapshot_id, number)):
        with os.fdopen(disk.open_for_reading(path), "rb", buffering=_CHUNK_BYTES) as file:
            try:
                conditions: ResumeConditions | None = _parse(file.readline(LINE_OF_JOURNAL_BYTES), ResumeConditions)
                if conditions is not None and found is None and _is_usable(conditions, snapshot_id):
                    found = Unfinished(conditions)
                if found is None:
                    return None
                _read_records(file, number, found, snapshot_id)
            except OSError as error:
                raise OutputError(f"can't read {path}: {os.strerror(error.errno or 0)}") from error
        number += 1
    if found is None:
        return None
    return Unfinished(found.conditions, found.entries, _named(found), number)


def _read_records(file: BinaryIO, number: int, found: Unfinished, snapshot_id: str) -> None:
    while True:
        record: JournalEntry | _RowsRecord | None = _parse(file.readline(LINE_OF_JOURNAL_BYTES), _Record)
        if record is None:
            return
        if isinstance(record, JournalEntry):
            if not _is_of(record, snapshot_id):
                return
            found.entries.append(record)
            continue
        for block in record.blocks:
            offset = file.tell()
            if not is_table(block.table) or not _is_whole(file, block):
                return
            found.blocks[number, offset] = block


def _is_whole(file: BinaryIO, block: StoredBlock) -> bool:
    """Read a block's rows; return whether they are those that were written."""
    checksum, rest = 0, block.length
    while rest:
        data = file.read(min(rest, _CHUNK_BYTES))
        if not data:
            return False
        checksum, rest = zlib.crc32(data, checksum), rest - len(data)
    return checksum == block.checksum


def _named(found: Unfinished) -> dict[tuple[int, int], StoredBlock]:
    """Return the blocks that a scope names. Others are of lists that were read again, or of incomplete scopes."""
    named = {(at.journal, at.offset) for entry in found.entries for at in entry.rows_at}
    return {place: block for place, block in found.blocks.items() if place in named}


def _is_usable(conditions: ResumeConditions, snapshot_id: str) -> bool:
    is_own = (conditions.format, conditions.snapshot_id) == (FORMAT, snapshot_id)
    return is_own and is_instant(conditions.started_at)


def _line(record: ResumeConditions | JournalEntry | _RowsRecord) -> bytes:
    text = msgspec.json.encode(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes, kind: Any) -> Any:
    """Return the content of a line; None if it is damaged."""
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return decode_json(text, kind)
    except ValueError:
        return None


def _is_of(entry: JournalEntry, snapshot_id: str) -> bool:
    """Return whether the entry's row and files can be of this snapshot, so that no path leads elsewhere."""
    table = entry.row.table
    return not odd_row(entry.row) and all(is_part_path(file.path, table, snapshot_id) for file in entry.files)
