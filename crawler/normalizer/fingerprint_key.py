"""The key of the fingerprints: from the configuration, or created once and kept in the state folder."""

from __future__ import annotations

import os
import secrets as random
from contextlib import suppress
from pathlib import Path

from crawler.errors import OutputError


def load_key(configured: str, state_folder: Path) -> bytes | None:
    """Return the fingerprint key: the configured one, else that of a file in the state folder, which is created.

    Returns None if no file can be kept. Raises OutputError for a file that others can read, or that is too short.
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
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise OutputError(f"{path}: others can read the fingerprint key; run chmod 600 on it.")
        key = file.read().strip()
    if len(key) < 32:
        raise OutputError(f"{path}: the fingerprint key is cut short; restore it, or remove it to have a new one made.")
    return key


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
