"""Writes one Parquet file in steps, with its hash and counts.

After an exception pyarrow closes the file as a valid, short one, and it never flushes to the disk. So the file has a
name that no reader uses until it is finished and flushed, and an abandoned file accepts no more bytes. Everything here
is blocking: it runs in worker threads, one at a time per part.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import OutputError
from crawler.snapshot.disk import make_folders
from crawler.snapshot.layout import parent
from crawler.snapshot.rows.statistics import PartStatistics, statistics_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.snapshot.disk import Disk

ROW_GROUP_ROWS = 65_536


# pyarrow writes some hundred bytes at a time, each under the interpreter's lock: this many are collected first.
_BUFFER_BYTES = 64 * 1024


# Measured one by one: ADR 0092. Without Arrow's schema, which is a third of a small file, types read back equal. The
# wire names and the secrecy of fields, which only it has, are the catalog's.
SETTINGS: Final[Mapping[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "store_schema": False,
    # A column whose distinct values take more bytes is stored plain: a dictionary would cost time and space.
    "dictionary_pagesize_limit": 32 * 1024,
    "write_page_index": True,
    "write_page_checksum": True,
}


class _Sink:
    """The file that pyarrow writes into. After `discard` it drops all bytes, for pyarrow's destructors."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._fd = disk.create(path)
        self._hash = hashlib.sha256()
        self._discarding = False
        self.bytes = 0
        self.closed = False
        self.failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        if not self._discarding and data:
            self.bytes += len(data)
            self._hash.update(data)
            try:
                self._disk.write(self._fd, self._path, data)
            except BaseException as error:
                self.failure = error
                raise
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """Do nothing: pyarrow calls it at every close, and `sync` makes the content durable."""

    def close(self) -> None:
        self.closed = True

    def sync(self) -> str:
        """Make the content durable, close the file and return the hash in hex."""
        self._disk.fsync(self._fd, self._path)
        fd, self._fd = self._fd, -1
        self._disk.close(fd, self._path)
        return self._hash.hexdigest()

    def discard(self) -> None:
        self._discarding = True
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1


class PartWriter:
    """Writes one part: `append` any number of times, then `finish` or `abandon`. The first `append` creates the file.

    After OutputError it is abandoned. `statistics` are those of a finished part, if `has_statistics` asked for them.
    """

    __slots__ = (
        "_disk",
        "_footers",
        "_schema",
        "_sink",
        "_state",
        "_stream",
        "_writer",
        "path",
        "rows",
        "sha256",
        "statistics",
    )

    def __init__(self, disk: Disk, path: str, schema: pa.Schema, *, has_statistics: bool = False) -> None:
        self.path = path
        self.rows = 0
        self.sha256 = ""
        self.statistics: PartStatistics | None = None
        self._footers: list[pq.FileMetaData] | None = [] if has_statistics else None
        self._disk = disk
        self._schema = schema
        self._state: Literal["new", "open", "finished", "abandoned"] = "new"
        self._sink: _Sink | None = None
        self._stream: pa.NativeFile | None = None
        self._writer: pq.ParquetWriter | None = None

    @property
    def bytes(self) -> int:
        """The size of the file so far."""
        return self._sink.bytes if self._sink else 0

    def append(self, rows: pa.Table) -> None:
        """Write rows as one row group, or as several of `ROW_GROUP_ROWS`."""
        try:
            if self._writer is None:
                self._open()
            if rows.num_rows and self._writer is not None and self._stream is not None:
                self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)
                self._stream.flush()
            self.rows += rows.num_rows
        except BaseException as error:
            self._fail(error)
            raise

    def finish(self) -> None:
        """Write the footer, flush and close. The content is durable afterwards."""
        if self._writer is None or self._sink is None or self._stream is None:
            raise RuntimeError("a part must be appended to before it is finished")
        try:
            self._writer.close()
            self._stream.flush()
            self.sha256 = self._sink.sync()
            if self._footers:
                self.statistics = statistics_of(self._footers.pop())
        except BaseException as error:
            self._fail(error)
            raise
        self._state = "finished"
        self._writer = self._stream = None

    def abandon(self) -> None:
        """Close and remove the file, finished or not. Raises OutputError if it can't be removed."""
        existed = self._state in ("open", "finished")
        self._stop()
        if existed:
            self._disk.unlink(self.path)

    def _open(self) -> None:
        make_folders(self._disk, parent(self.path))
        self._sink = _Sink(self._disk, self.path)
        self._state = "open"
        self._stream = pa.BufferedOutputStream(pa.PythonFile(self._sink, mode="w"), _BUFFER_BYTES)
        self._writer = pq.ParquetWriter(self._stream, self._schema, **SETTINGS, metadata_collector=self._footers)

    def _stop(self) -> None:
        self._state = "abandoned"
        if self._sink is not None:
            self._sink.discard()
        self._writer = self._stream = None

    def _fail(self, error: BaseException) -> None:
        with suppress(OutputError):
            self.abandon()
        # pyarrow may wrap the error of the sink; the sink remembers it.
        if self._sink is not None and self._sink.failure not in (None, error):
            raise self._sink.failure from error
        if isinstance(error, (pa.ArrowException, OSError)):
            raise OutputError(f"can't write {self.path}: {type(error).__name__}") from error
