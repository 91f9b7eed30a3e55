"""Compare the files of a snapshot with its manifest before they are read, and see whether they change afterwards.

A file is hashed by the descriptor that is open at that time. Its device, inode, size and times are noted: as long as
they are the same, it is the file that was hashed. Otherwise it is hashed again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import OutputError
from crawler.local_files import UnfitFileError, open_below, reason_of
from crawler.snapshot.file_check import MISSING, CommittedFiles, rows_difference, size_difference

if TYPE_CHECKING:
    from crawler.snapshot import Manifest, PartFile

_THREADS = 2
_Identity = tuple[int, int, int, int, int]


class CheckedFiles:
    """The local files of one snapshot. Threads may share it. `root` is the folder of its files.

    With `has_hashes`, a file is hashed before its first use. Without, its size and the rows of its footer are compared.
    """

    def __init__(self, root: Path, manifest: Manifest, *, has_hashes: bool) -> None:
        self.has_hashes = has_hashes
        self._root = root
        self._snapshot_id = manifest.snapshot_id
        parts = [file for entry in manifest.tables.values() for file in entry.files]
        self._files = {file.path: file for file in [*parts, manifest.ledger]}
        self._committed = CommittedFiles(parts)
        self._checked: dict[str, _Identity] = {}
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        """The number of files that were compared."""
        return len(self._checked)

    def check(self, files: Iterable[PartFile]) -> None:
        """Compare the files that haven't been compared, or have changed since. Raises OutputError.

        The error names the first file that differs.
        """
        noted = self._noted()
        due = [file for file in files if file.path not in noted or self._now(file.path) != noted[file.path]]
        self._check(due, has_hashes=self.has_hashes)

    def check_again(self) -> None:
        """Compare the files that have changed since they were compared. Raises OutputError as `check`.

        A file that was removed is as it was when it was read.
        """
        changed = [path for path, identity in self._noted().items() if self._now(path) not in (identity, None)]
        self._check([self._files[path] for path in changed], has_hashes=self.has_hashes)

    def check_hashes(self) -> None:
        """Hash each file that was compared: a query has failed, which a damaged file may have caused.

        Raises OutputError as `check`.
        """
        if not self.has_hashes:
            self._check([self._files[path] for path in self._noted()], has_hashes=True)

    def open(self, path: str) -> int:
        """Return a descriptor of a file by its path below the root. Compares it if it isn't the one that was compared.

        Raises OSError and OutputError.
        """
        fd = open_below(self._root, path)
        try:
            self._check_open(fd, path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_open(self, fd: int, path: str) -> None:
        with self._lock:
            is_known = self._checked.get(path) == _identity(os.fstat(fd))
        if not is_known and (found := self._difference(fd, self._files[path], has_hashes=self.has_hashes)):
            raise self._error([(path, found)])

    def _noted(self) -> dict[str, _Identity]:
        with self._lock:
            return dict(self._checked)

    def _check(self, files: Sequence[PartFile], *, has_hashes: bool) -> None:
        if not files:
            return
        with ThreadPoolExecutor(min(_THREADS, len(files))) as threads:
            reasons = threads.map(lambda file: self._wrong_file(file, has_hashes=has_hashes), files)
            bad = [(file.path, reason) for file, reason in zip(files, reasons, strict=True) if reason]
        if bad:
            raise self._error(bad)

    def _wrong_file(self, file: PartFile, *, has_hashes: bool) -> str:
        try:
            fd = open_below(self._root, file.path)
            try:
                return self._difference(fd, file, has_hashes=has_hashes)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return MISSING
        except OSError as error:
            return str(error) if isinstance(error, UnfitFileError) else f"can't be read: {reason_of(error)}"

    def _difference(self, fd: int, file: PartFile, *, has_hashes: bool) -> str:
        """Return how an open file differs from the manifest, and note it if it doesn't."""
        identity = _identity(os.fstat(fd))
        with open(fd, "rb", closefd=False) as stream:
            found = self._committed.difference(stream, file) if has_hashes else _other_footer(stream, file)
        if not found:
            with self._lock:
                self._checked[file.path] = identity
        return found

    def _now(self, path: str) -> _Identity | None:
        try:
            return _identity(os.lstat(self._root / path))
        except OSError:
            return None

    def _error(self, bad: Sequence[tuple[str, str]]) -> OutputError:
        path, reason = bad[0]
        others = "1 more file" if len(bad) == 2 else f"{len(bad) - 1:,} more files"
        more = f" (and {others})" if len(bad) > 1 else ""
        return OutputError(f"{path} {reason}{more}; run `snapshots verify {self._snapshot_id}` for all that differ")


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _other_footer(stream: BinaryIO, file: PartFile) -> str:
    """Return how the size or the rows of an open file differ from the manifest."""
    if found := size_difference(stream.seek(0, os.SEEK_END), file):
        return found
    try:
        rows = pq.read_metadata(stream).num_rows
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        return f"isn't readable Parquet: {type(error).__name__}"
    return rows_difference(rows, file)
