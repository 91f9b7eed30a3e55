"""The only module that writes to the local disk, so that tests can make each step of a commit fail.

All paths are relative to the root. Each is opened from the root's descriptor, one folder at a time, without following
symbolic links: a link planted in the output leads nowhere. Files are made new (`O_EXCL`) or not at all, and read only
if they are regular. Each failure of the operating system becomes an `OutputError` with the step, the path and the
reason; there is no retry. All functions block: callers run them in worker threads, several at once.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.local_files import UnfitFileError, checked_names, kind_of, open_regular, read_at_most
from crawler.snapshot.layout import parent
from crawler.snapshot.limits import FOLDER_DEPTH, FOLDER_NAMES, SMALL_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedIOBase
    from pathlib import Path

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UPDATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LINKED = (errno.ELOOP, errno.ENOTDIR)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)
_PIECE_BYTES = 1024 * 1024
_NO_MODES = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def is_trusted_owner(owner_uid: int, own_uid: int) -> bool:
    """Return whether a folder of this owner may be written to: ours or root's. Root (containers) may write to any."""
    return own_uid in (0, owner_uid) or owner_uid == 0


def set_mode(fd: int, path: str, mode: int) -> None:
    """Set the mode of an open file or folder, and keep a folder's set-group-ID bit, which `mkdir` inherits.

    Raises OutputError, which says so if the file system has no modes.
    """
    inherited = stat.S_IMODE(os.fstat(fd).st_mode)
    if inherited & stat.S_ISGID and inherited & 0o777 == mode:
        # A change by a user outside of the folder's group would take the bit away.
        return
    try:
        os.fchmod(fd, mode | (inherited & stat.S_ISGID))
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "?")
        text = f"can't set the mode of {path} to {mode:04o}: {os.strerror(error.errno or 0)} ({code})"
        if error.errno in _NO_MODES:
            text += "; this file system keeps no modes of files, as CIFS and FAT; name a folder on one that does"
        raise OutputError(text) from error


class Disk:
    """One output folder. Modes are 0666 and 0777 without the bits of `umask`; the process's own umask has no effect.

    A folder also has the set-group-ID bit of the folder above it. Methods raise OutputError if the operating system
    refuses.
    """

    def __init__(self, root: Path, umask: int = 0o077) -> None:
        self.root = root
        self._file_mode = 0o666 & ~umask
        self._folder_mode = 0o777 & ~umask
        with self._translate_errors("open the output folder", str(root)):
            self._root_fd = os.open(root, _FOLDER_FLAGS)
        if not is_trusted_owner(os.fstat(self._root_fd).st_uid, os.geteuid()):
            self.close_root()
            raise OutputError(f"the output folder {root} belongs to another user; use one of your own")

    def close_root(self) -> None:
        """Close the root. No other method works afterwards."""
        os.close(self._root_fd)
        self._root_fd = -1

    def make_folder(self, path: str) -> bool:
        """Make one folder in an existing one; False if it exists already."""
        with self._translate_errors("make the folder", path), self._folder(parent(path)) as folder:
            try:
                os.mkdir(_name(path), self._folder_mode, dir_fd=folder)
            except FileExistsError:
                self._open_child(folder, _name(path), path, closing=True)
                return False
            fd = self._open_child(folder, _name(path), path)
            try:
                set_mode(fd, path, self._folder_mode)
            finally:
                os.close(fd)
        return True

    def create(self, path: str) -> int:
        """Make a new empty file and return its descriptor, for writing."""
        with self._translate_errors("create", path), self._folder(parent(path)) as folder:
            fd = os.open(_name(path), _CREATE_FLAGS, self._file_mode, dir_fd=folder)
            try:
                set_mode(fd, path, self._file_mode)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def write(self, fd: int, path: str, data: bytes | bytearray) -> None:
        """Write all of the data, in as many steps as the operating system needs."""
        rest = memoryview(data)
        with self._translate_errors("write", path, need_bytes=len(data)):
            while rest:
                written = os.write(fd, rest)
                if not written:
                    raise OSError(errno.EIO, "nothing was written")
                rest = rest[written:]

    def fsync(self, fd: int, path: str) -> None:
        """Make the file's content durable. A failure is final: the kernel may have dropped the data."""
        with self._translate_errors("flush", path):
            os.fsync(fd)

    def close(self, fd: int, path: str) -> None:
        """Close a descriptor; some file systems report a failed write only here."""
        with self._translate_errors("close", path):
            os.close(fd)

    def fsync_folder(self, path: str) -> None:
        """Make the folder's entries durable."""
        with self._translate_errors("flush the folder", path), self._folder(path) as folder:
            os.fsync(folder)

    def rename(self, source: str, destination: str) -> None:
        """Move a file or folder. An existing file at the destination is replaced, a folder that isn't empty isn't."""
        with (
            self._translate_errors("move", source, onto=destination),
            self._folder(parent(source)) as source_folder,
            self._folder(parent(destination)) as folder,
        ):
            os.rename(_name(source), _name(destination), src_dir_fd=source_folder, dst_dir_fd=folder)

    def link_or_copy(self, source: str, destination: str) -> None:
        """Make a file that never changes also the content of a new name, without a copy where the file system can."""
        try:
            self.link(source, destination)
        except OutputError as error:
            if getattr(error.__cause__, "errno", None) not in _NO_LINKS:
                raise
            self.copy(source, destination)

    def copy(self, source: str, destination: str) -> None:
        """Copy the content of a file that may grow meanwhile to a new one, durably."""
        with os.fdopen(self.open_for_reading(source), "rb", buffering=0) as reading:
            writing = self.create(destination)
            try:
                with self._translate_errors("read", source):
                    while piece := reading.read(_PIECE_BYTES):
                        self.write(writing, destination, piece)
                self.fsync(writing, destination)
            finally:
                os.close(writing)

    def link(self, source: str, destination: str) -> bool:
        """Give a file a second name; False if that name exists already."""
        with (
            self._translate_errors("link", source, onto=destination),
            self._folder(parent(source)) as source_folder,
            self._folder(parent(destination)) as folder,
        ):
            try:
                os.link(
                    _name(source),
                    _name(destination),
                    src_dir_fd=source_folder,
                    dst_dir_fd=folder,
                    follow_symlinks=False,
                )
            except FileExistsError:
                return False
        return True

    def unlink(self, path: str) -> None:
        """Remove a file, or a link itself, if it exists."""
        with self._translate_errors("remove", path), suppress(FileNotFoundError), self._folder(parent(path)) as folder:
            os.unlink(_name(path), dir_fd=folder)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder, if it exists."""
        with (
            self._translate_errors("remove the folder", path),
            suppress(FileNotFoundError),
            self._folder(parent(path)) as folder,
        ):
            os.rmdir(_name(path), dir_fd=folder)

    def open_for_update(self, path: str) -> int:
        """Open an existing or new regular file, to read and write, but no link of either kind. For the lock only."""
        with self._translate_errors("open", path), self._folder(parent(path)) as folder:
            fd = os.open(_name(path), _UPDATE_FLAGS, self._file_mode, dir_fd=folder)
            try:
                _check_own_file(fd)
                if os.fstat(fd).st_uid == os.geteuid():
                    set_mode(fd, path, self._file_mode)
            except BaseException:
                os.close(fd)
                raise
            return fd

    # --- reading ---------------------------------------------------------------------------------------------------

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted; none if there is no such folder."""
        if not self.has(path):
            return []
        with self._translate_errors("list", path), self._folder(path) as folder, os.scandir(folder) as entries:
            return sorted(first_names(entries, path))

    def stat(self, path: str) -> os.stat_result | None:
        """Return the status of the path itself, without following links; None if it doesn't exist."""
        try:
            with self._translate_errors("look at", path), self._folder(parent(path)) as folder:
                return os.stat(_name(path) or ".", dir_fd=folder, follow_symlinks=False)
        except OutputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def has(self, path: str) -> bool:
        """Return whether the path exists."""
        return self.stat(path) is not None

    def is_folder(self, path: str) -> bool:
        """Return whether the path is a folder, and not a link to one."""
        found = self.stat(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def open_for_reading(self, path: str) -> int:
        """Open an existing regular file and return its descriptor."""
        with self._translate_errors("open", path), self._folder(parent(path)) as folder:
            return open_regular(_name(path), folder_fd=folder)

    def read(self, path: str, limit: int = SMALL_BYTES) -> bytes:
        """Return the content of a regular file with at most `limit` bytes."""
        fd = self.open_for_reading(path)
        try:
            with self._translate_errors("read", path):
                return read_at_most(fd, limit)
        finally:
            os.close(fd)

    def read_at(self, fd: int, path: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of an open file from an offset on. Raises OutputError for a file that is shorter."""
        pieces = []
        with self._translate_errors("read", path):
            while length:
                piece = os.pread(fd, length, offset)
                if not piece:
                    raise OSError(errno.EIO, "the file is shorter than what was written")
                pieces.append(piece)
                offset, length = offset + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def free_bytes(self) -> int:
        """Return the bytes that an unprivileged user may still write on the root's file system; -1 if unknown."""
        try:
            found = os.fstatvfs(self._root_fd)
        except OSError:
            return -1
        return found.f_bavail * found.f_frsize

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        fd = os.dup(self._root_fd)
        try:
            for name in checked_names(path):
                deeper = self._open_child(fd, name, path)
                os.close(fd)
                fd = deeper
            yield fd
        finally:
            os.close(fd)

    def _open_child(self, folder: int, name: str, path: str, *, closing: bool = False) -> int:
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
        trusted = is_trusted_owner(os.fstat(fd).st_uid, os.geteuid())
        if closing or not trusted:
            os.close(fd)
        if not trusted:
            raise OutputError(f"the folder {name} in {path} of the output belongs to another user; use one of your own")
        return fd

    @contextmanager
    def _translate_errors(self, action: str, path: str, *, onto: str = "", need_bytes: int = 0) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(self._describe(error, action, path, onto, need_bytes)) from error

    def _describe(self, error: OSError, action: str, path: str, onto: str, need_bytes: int) -> str:
        where = path or "the output folder"
        if isinstance(error, UnfitFileError):
            return f"{where} {error}; remove it from {self.root}"
        place = f"{where} to {onto}" if onto else where
        text = f"can't {action} {place}: {os.strerror(error.errno or 0)} ({errno.errorcode.get(error.errno or 0, '?')})"
        if error.errno in _FULL:
            return f"{text}; {need_bytes} bytes to write, {self.free_bytes()} bytes free; free some space"
        if error.errno in _LINKED:
            return f"{text}; links are not followed in the output, and a file can't replace a folder"
        return text


def _check_own_file(fd: int) -> None:
    """Raise OSError for a file that isn't regular, and for one that has another name elsewhere."""
    found = os.fstat(fd)
    if kind := kind_of(found.st_mode):
        raise UnfitFileError(f"is {kind}, not a regular file")
    if found.st_nlink != 1:
        raise OSError(errno.EMLINK, "it is a hard link")


def modified_at(status: os.stat_result) -> datetime:
    """Return when a file was written. A time that no calendar has is long ago: any program can set it."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError, OSError):
        return NO_TIME


def make_folders(disk: Disk, path: str) -> list[str]:
    """Make a folder and the missing ones above it. Return those that were made, outermost first."""
    if not path or disk.is_folder(path):
        return []
    made = make_folders(disk, parent(path))
    return [*made, path] if disk.make_folder(path) else made


def make_folders_durably(disk: Disk, path: str) -> list[str]:
    """As `make_folders`, and flush each folder above, so that the whole path survives a power loss."""
    made = make_folders(disk, path)
    while path:
        path = parent(path)
        disk.fsync_folder(path)
    return made


def write_file(disk: Disk, path: str, data: bytes) -> None:
    """Write a new file. Its content is durable, its entry in the folder isn't yet."""
    fd = disk.create(path)
    try:
        disk.write(fd, path, data)
        disk.fsync(fd, path)
    except BaseException:
        os.close(fd)
        raise
    disk.close(fd, path)


def sha256_of(file: BufferedIOBase) -> str:
    """Return the SHA-256, in hex, of an open file from its position on."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(disk: Disk, path: str) -> None:
    """Remove a folder with its content, or a file or link, if it exists. Links are not followed."""
    if not disk.is_folder(path):
        disk.unlink(path)
        return
    check_depth(path)
    for name in disk.names(path):
        remove_tree(disk, f"{path}/{name}")
    disk.remove_folder(path)


def check_depth(path: str) -> None:
    """Raise OutputError for a folder that is nested deeper than any that a crawl makes."""
    if path.count("/") > FOLDER_DEPTH:
        top = "/".join(path.split("/")[:2])
        raise OutputError(f"{top} has folders nested more than {FOLDER_DEPTH} deep; remove it")


def first_names(entries: Iterable[os.DirEntry[str]], path: str) -> list[str]:
    """Return the names of a folder's entries. Raises OutputError for more than any output has in one folder."""
    names = [entry.name for entry in islice(entries, FOLDER_NAMES + 1)]
    if len(names) > FOLDER_NAMES:
        raise OutputError(f"the folder {path} has more than {FOLDER_NAMES:,} names; remove those of other origin")
    return names


def _name(path: str) -> str:
    names = checked_names(path)
    return names[-1] if names else ""
