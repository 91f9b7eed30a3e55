"""The only files that DuckDB reaches: those of the opened snapshots, for reading.

DuckDB's `allowed_paths` would let a COPY overwrite each file that a view may read. This file system opens no file for
writing, and it knows no file but those of the manifests, whatever SQL DuckDB runs.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

SCHEME = "snapshot"
PREFIX = f"{SCHEME}://"


def snapshot_url(file: str | Path) -> str:
    """Return the name of a local file in `SnapshotFiles`."""
    return f"{PREFIX}{Path(file).absolute()}"


class SnapshotFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system of some local files, which can be read and nothing else.

    `files`: absolute path → a function that opens the file and returns its descriptor. Raises PermissionError for
    another file and for another mode than reading.
    """

    protocol = SCHEME
    cachable = False  # fsspec would keep an instance for the life of the process

    def __init__(self, files: Mapping[str, Callable[[], int]]) -> None:
        super().__init__()
        self._openers = files

    def open(self, path: str, mode: str = "rb", **_: Any) -> ReadOnlyFile:
        """Open a file for reading."""
        if mode != "rb":
            raise PermissionError(f"{path} can only be read")
        return ReadOnlyFile(self._openers[self._local(path)]())

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the name, the size and the type of a file."""
        return {"name": path, "size": Path(self._local(path)).stat().st_size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return when a file was last changed."""
        return datetime.fromtimestamp(Path(self._local(path)).stat().st_mtime, UTC)

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether this is one of the files and there."""
        return self._is_known(path) and Path(self._strip(path)).is_file()

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the file of this name; characters of patterns have no meaning."""
        return [path] if self.exists(path) else []

    def _is_known(self, path: str) -> bool:
        return self._strip(path) in self._openers

    def _local(self, path: str) -> str:
        if not self._is_known(path):
            raise PermissionError(f"{path} isn't a file of the snapshot")
        return self._strip(path)

    @staticmethod
    def _strip(path: str) -> str:
        return path.removeprefix(PREFIX)


class ReadOnlyFile:
    """An open file, given by its descriptor, in which each thread has its own position: threads of DuckDB share it.

    DuckDB seeks and then reads. With one position for all threads, a thread would read at the position of another.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = threading.local()
        # DuckDB drops its files without closing them.
        self._close = weakref.finalize(self, os.close, self._fd)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set this thread's position, in bytes from the start."""
        if whence != os.SEEK_SET:
            raise ValueError("positions count from the start")
        self._at.position = offset
        return offset

    def tell(self) -> int:
        """Return this thread's position."""
        return int(getattr(self._at, "position", 0))

    def read(self, size: int) -> bytes:
        """Read up to this many bytes at this thread's position, and move it."""
        content = os.pread(self._fd, size, self.tell())
        self._at.position = self.tell() + len(content)
        return content

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._close()
