"""Local files from outside: opened only if they are regular, read only up to a bound, found under a home folder.

A named pipe has no end, a device has no size, and a link leads elsewhere. Every reader of an output uses these
functions, so that each command ends whatever lies in the output.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Without O_NONBLOCK, opening a pipe waits for its other end. A terminal must not become this process's own.
_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_HOME = Path("/nonexistent")
_CHUNK_BYTES = 1024 * 1024
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnfitFileError(OSError):
    """The path leads to no regular file, or to one that is too large. The text completes "FILE …"."""


def kind_of(mode: int) -> str:
    """Return the words for the kind of a file, from its `st_mode`; empty for a regular file."""
    return _KINDS.get(stat.S_IFMT(mode), "")


def reason_of(error: OSError) -> str:
    """Return the reason of a failure in words, for messages: "is a named pipe, …" or "Permission denied"."""
    if isinstance(error, UnfitFileError):
        return str(error)
    return os.strerror(error.errno) if error.errno else type(error).__name__


def open_regular(path: str | Path, *, folder_fd: int | None = None, may_be_link: bool = False) -> int:
    """Open a regular file to read, without waiting, and return its descriptor.

    `path` is relative to the folder of `folder_fd`. With `may_be_link`, a link to a regular file is followed. Raises
    UnfitFileError for anything else than a regular file, OSError for other failures.
    """
    try:
        fd = os.open(path, _READ_FLAGS | (0 if may_be_link else os.O_NOFOLLOW), dir_fd=folder_fd)
    except OSError as error:
        # A link can't be opened (ELOOP), nor can a socket (ENXIO): the kind says more than these codes.
        found = _lstat(path, folder_fd)
        kind = kind_of(found.st_mode) if found is not None else ""
        if kind and not (may_be_link and isinstance(error, FileNotFoundError)):
            raise UnfitFileError(f"is {kind}, not a regular file") from error
        raise
    if kind := kind_of(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnfitFileError(f"is {kind}, not a regular file")
    return fd


def open_folder(root: Path, path: str) -> int:
    """Open the folder at `path` below `root`. No link below `root` is followed. Raises OSError."""
    fd = os.open(root, _FOLDER_FLAGS)
    try:
        for name in checked_names(path):
            try:
                deeper = os.open(name, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=fd)
            except NotADirectoryError:
                found = _lstat(name, fd)
                kind = (kind_of(found.st_mode) if found is not None else "") or "a file"
                raise UnfitFileError(f"can't be reached: {name} is {kind}, not a folder") from None
            os.close(fd)
            fd = deeper
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_below(root: Path, path: str) -> int:
    """Open the regular file at `path` below `root`. No link below `root` is followed. Raises OSError."""
    folder, _, name = path.rpartition("/")
    folder_fd = open_folder(root, folder)
    try:
        return open_regular(checked_names(name)[0], folder_fd=folder_fd)
    finally:
        os.close(folder_fd)


def checked_names(path: str) -> list[str]:
    """Return the names of a relative path. Raises UnfitFileError for a path that could lead out of its root."""
    names = path.split("/") if path else []
    if any(name in ("", ".", "..") for name in names):
        raise UnfitFileError("is not a path below the output")
    return names


def read_at_most(fd: int, limit: int) -> bytes:
    """Return the whole content of an open file. Raises UnfitFileError if it has more than `limit` bytes."""
    size = os.fstat(fd).st_size
    content = bytearray()
    # The size may be wrong: files of /proc have none, and another process may append.
    while size <= limit and (chunk := os.read(fd, min(max(size, _CHUNK_BYTES), limit) + 1)):
        content += chunk
        size = len(content)
    if size > limit:
        raise UnfitFileError(f"is larger than {limit:,} bytes")
    return bytes(content)


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of the user's, also behind a link. Raises OSError, see `read_at_most`."""
    fd = open_regular(path, may_be_link=True)
    try:
        return read_at_most(fd, limit)
    finally:
        os.close(fd)


def home_folder(environ: Mapping[str, str]) -> Path:
    """Return `$HOME`, else the user's folder in the system's list of users, else a folder that doesn't exist.

    A relative `$HOME` is ignored: the fingerprint key would be another one in each working directory.
    """
    home = Path(environ.get("HOME", ""))
    if home.is_absolute():
        return home
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return _NO_HOME


def expand_home(path: str, environ: Mapping[str, str]) -> str:
    """Return the path with a leading `~` or `~USER` replaced by that home folder, as a shell does.

    The name of an unknown user stays, as in a shell.
    """
    first, slash, rest = path.partition("/")
    if first == "~":
        return f"{home_folder(environ)}{slash}{rest}"
    if first.startswith("~"):
        try:
            return f"{pwd.getpwnam(first[1:]).pw_dir}{slash}{rest}"
        except (KeyError, ValueError):
            return path
    return path


def xdg_folder(variable: str, default: str, environ: Mapping[str, str]) -> Path:
    """Return the folder in an XDG variable, else `default` in the home folder. Relative folders are ignored.

    Source: XDG Base Directory Specification, "All paths set in these environment variables must be absolute. If an
    implementation encounters a relative path … it should consider the path invalid and ignore it" (read 2026-11-30).
    """
    given = Path(environ.get(variable, ""))
    return given if given.is_absolute() else home_folder(environ) / default


def _lstat(path: str | Path, folder_fd: int | None) -> os.stat_result | None:
    try:
        return os.stat(path, dir_fd=folder_fd, follow_symlinks=False)
    except OSError:
        return None
