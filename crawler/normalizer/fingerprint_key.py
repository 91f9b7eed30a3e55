"""The key of the fingerprints: from the configuration, or created once and kept in the state folder."""

from __future__ import annotations

import os
import secrets as random
import stat
from contextlib import suppress
from pathlib import Path

from crawler.errors import OutputError
from crawler.local_files import UnfitFileError, open_regular, read_at_most, reason_of
from crawler.secret_text import is_weak_key

_LARGEST_BYTES = 64 * 1024
_REPLACE = "make it a regular file of this user with mode 600, or set [output] fingerprint_key from the environment"


def load_key(configured: str, state_folder: Path) -> bytes | None:
    """Return the fingerprint key: the configured one, else that of a file in the state folder, which is created.

    A link to a regular file is followed, as those of a mounted secret. Returns None if no file can be kept. Raises
    OutputError for a file that is there and can't be read, that others can read, or that is too short.
    """
    if configured:
        return os.fsencode(configured)  # the environment may hold any bytes
    path = state_folder / "fingerprint.key"
    try:
        state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _read_key(path)
    except FileNotFoundError:
        return _make_key(path)
    except OSError:
        return None


def _read_key(path: Path) -> bytes:
    """Return the key in a file, or in the regular file that a link leads to. Raises FileNotFoundError, OutputError."""
    try:
        descriptor = open_regular(path, may_be_link=True)
    except OSError as error:
        found = _entry(path)
        if found is None or (isinstance(error, FileNotFoundError) and not stat.S_ISLNK(found.st_mode)):
            raise  # also if another crawl made it at this moment
        raise OutputError(f"{path}, the fingerprint key, {_problem(path, found, error)}; {_REPLACE}") from error
    try:
        _check_owner(path, os.fstat(descriptor))
        key = read_at_most(descriptor, _LARGEST_BYTES).strip()
    except OSError as error:
        raise OutputError(f"{path}, the fingerprint key, {reason_of(error)}; {_REPLACE}") from error
    finally:
        os.close(descriptor)
    if is_weak_key(key):
        raise OutputError(
            f"{path}: the fingerprint key is cut short, or isn't random; restore it, or remove it "
            "to have a new one made."
        )
    return key


def _problem(path: Path, found: os.stat_result, error: OSError) -> str:
    is_link = stat.S_ISLNK(found.st_mode)
    if is_link and isinstance(error, FileNotFoundError):
        return "is a symbolic link to a missing file"
    reason = str(error) if isinstance(error, UnfitFileError) else f"can't be read: {reason_of(error)}"
    return f"is a symbolic link to {path.resolve()}, which {reason}" if is_link else reason


def _check_owner(path: Path, found: os.stat_result) -> None:
    where = f"{path} is a symbolic link to {path.resolve()}" if path.is_symlink() else str(path)
    if found.st_mode & 0o077:
        raise OutputError(f"{where}: others can read the fingerprint key; run chmod 600 on it.")
    if path.is_symlink() and found.st_uid not in (0, os.geteuid()):
        raise OutputError(f"{where}: the fingerprint key belongs to another user; {_REPLACE}")


def _entry(path: Path) -> os.stat_result | None:
    """Return the status of the path itself; None if nothing is there, or if its folder can't be searched."""
    try:
        return path.lstat()
    except OSError:
        return None


def _make_key(path: Path) -> bytes | None:
    key = random.token_hex(32).encode()
    partial = path.with_name(f"{path.name}.{random.token_hex(8)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(partial)  # two first crawls at once: one of them creates the key, both use it
        except FileExistsError:
            return _read_key(path)
        finally:
            partial.unlink()
        _flush_folder(path.parent)
    except OSError:
        return None
    return key


def _flush_folder(folder: Path) -> None:
    """Make the key durable: a lost one would make all secrets look changed. Not all file systems support it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
