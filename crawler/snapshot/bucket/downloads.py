"""Committed files are read from a bucket by ranges side by side: into files of this machine, or as a stream.

Memory holds the ranges that are under way, whatever the number and the size of the files.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.local_files import reason_of
from crawler.snapshot.disk import sha256_of
from crawler.snapshot.s3.connection import start, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.object_store import ObjectRange, ObjectStore

# Asked for at once, over all files. The transport receives six large bodies at a time.
_RANGES_AT_ONCE = 8
_RANGE_BYTES = 8 * 1024 * 1024
# Of a stream, which holds two of them. A few streams are read at once.
_STREAMED_BYTES = 4 * 1024 * 1024


async def download(store: ObjectStore, files: Sequence[PartFile], folder: Path) -> None:
    """Copy files of a manifest below a folder. Each gets its name when its content has the manifest's SHA-256.

    Nothing beyond a size in the manifest is asked for. Raises OutputError, and leaves no partial file then.
    """
    copies = [_Copy(store, file, folder / path) for path, file in {file.path: file for file in files}.items()]
    ranges = ((copy, start_at) for copy in copies for start_at in copy.starts())

    async def work() -> None:
        for copy, start_at in ranges:
            await copy.read(start_at)

    try:
        async with anyio.create_task_group() as tasks:
            for _ in range(_RANGES_AT_ONCE):
                tasks.start_soon(work)
    except* OutputError as group:
        raise group.exceptions[0] from None
    finally:
        for copy in copies:
            copy.drop()


class _Copy:
    """One file that is being read. Its first range makes a partial file, and its last range gives that its name."""

    def __init__(self, store: ObjectStore, file: PartFile, to: Path) -> None:
        self._store = store
        self._file = file
        self._to = to
        self._partial = to.with_name(f"{to.name}.partial")
        self._fd = -1
        self._left = max(1, -(-file.bytes // _RANGE_BYTES))

    def starts(self) -> Iterator[int]:
        """Make the partial file, and yield where each of its ranges starts."""
        try:
            self._to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._no_room(error) from error
        yield from range(0, max(1, self._file.bytes), _RANGE_BYTES)

    async def read(self, start_at: int) -> None:
        """Read a range. Raises OutputError if it is shorter than the manifest says, or if all are of other content."""
        length = min(_RANGE_BYTES, self._file.bytes - start_at)
        try:
            found = await self._store.read_range(self._file.path, start_at, length) if length else None
        except FileNotFoundError:
            uri = self._store.place.uri
            raise OutputError(f"{self._file.path} isn't in {uri}: it was removed after its commit") from None
        if found is not None and len(found.data) != length:
            raise self._changed()
        await anyio.to_thread.run_sync(self._keep, start_at, found.data if found is not None else b"")
        self._left -= 1
        if not self._left:
            await anyio.to_thread.run_sync(self._finish)

    def drop(self) -> None:
        """Remove what is left of a file that isn't whole."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with suppress(OSError):
                self._partial.unlink()

    def _keep(self, start_at: int, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(self._fd, rest, start_at)
                start_at, rest = start_at + written, rest[written:]
        except OSError as error:
            raise self._no_room(error) from error

    def _finish(self) -> None:
        try:
            with open(self._fd, "rb", closefd=False) as whole:
                whole.seek(0)
                if sha256_of(whole) != self._file.sha256:
                    raise self._changed()
            self._partial.rename(self._to)
        except OSError as error:
            raise self._no_room(error) from error
        os.close(self._fd)
        self._fd = -1

    def _changed(self) -> OutputError:
        path = self._file.path
        return OutputError(f"{path} isn't what its manifest names: it was changed or damaged after its commit")

    def _no_room(self, error: OSError) -> OutputError:
        return OutputError(
            f"can't keep {self._file.path} ({self._file.bytes:,} bytes) on this machine: {reason_of(error)}; "
            "set TMPDIR to a folder with room"
        )


class StreamedObject(io.RawIOBase):
    """An object of a bucket as a file to read. While it is read from its start on, the next range is under way.

    Opening reads the first range. Raises FileNotFoundError if there is no such object, OutputError otherwise.
    """

    def __init__(self, store: ObjectStore, path: str) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._next: tuple[int, Future[ObjectRange]] | None = None
        self._position = 0
        first = wait_for(store.read_range(path, 0, _STREAMED_BYTES))
        self._size = first.object_bytes
        self._start, self._data = 0, first.data

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position. Reads nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read at most what is left of the range at the position; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not view:
            return 0
        if not self._start <= self._position < self._start + len(self._data):
            self._load(self._position)
        at = self._position - self._start
        taken = self._data[at : at + len(view)]
        view[: len(taken)] = taken
        self._position += len(taken)
        return len(taken)

    def close(self) -> None:
        """Cancel what is under way."""
        if self._next is not None:
            self._next[1].cancel()
            self._next = None
        super().close()

    def _load(self, start_at: int) -> None:
        is_next = start_at == self._start + len(self._data)
        if self._next is not None and self._next[0] == start_at:
            waited = self._next[1]
        else:
            if self._next is not None:
                self._next[1].cancel()
            waited = self._begin(start_at)
        after = start_at + _STREAMED_BYTES
        self._next = (after, self._begin(after)) if is_next and after < self._size else None
        self._data = b""  # two ranges are held, and not three
        found = waited.result()
        if len(found.data) != min(_STREAMED_BYTES, self._size - start_at):
            raise OutputError(f"{self._path} in {self._store.place.uri} changes while it is read")
        self._start, self._data = start_at, found.data

    def _begin(self, start_at: int) -> Future[ObjectRange]:
        length = min(_STREAMED_BYTES, self._size - start_at)
        return start(self._store.read_range(self._path, start_at, length))
