"""Compare the bytes of a file with the entry of its manifest, in words that follow the file's path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crawler.snapshot.disk import sha256_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable

    from crawler.snapshot.manifest import PartFile

MISSING = "is missing"
_SHOWN = 12


class CommittedFiles:
    """The files of a manifest, by size and hash: a file in the place of another is named."""

    def __init__(self, files: Iterable[PartFile] = ()) -> None:
        self._owners = {(file.bytes, file.sha256): file.path for file in files}
        self._sizes = frozenset(size for size, _ in self._owners)

    def difference(self, stream: io.BufferedIOBase, file: PartFile) -> str:
        """Return how an open file differs from its entry; empty if it doesn't. Reads it from its start.

        A file whose size no file of the manifest has isn't read to its end: it may be of any size. Raises OSError and
        OutputError.
        """
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if size != file.bytes and size not in self._sizes:
            return size_difference(size, file)
        sha256 = sha256_of(stream)
        if (size, sha256) == (file.bytes, file.sha256):
            return ""
        if (size, sha256) in self._owners:
            return f"has the content of {self._owners[size, sha256]}"
        if size != file.bytes:
            return size_difference(size, file)
        return f"isn't what was committed: its SHA-256 is {sha256[:_SHOWN]}…, its manifest says {file.sha256[:_SHOWN]}…"


def size_difference(size: int, file: PartFile) -> str:
    """Return how a file of this size differs from its entry; empty if it doesn't."""
    return "" if size == file.bytes else f"has {size} bytes, its manifest says {file.bytes}"


def rows_difference(rows: int, file: PartFile) -> str:
    """Return how a file with so many rows differs from its entry; empty if it doesn't."""
    return "" if rows == file.rows else f"has {rows} rows, its manifest says {file.rows}"
