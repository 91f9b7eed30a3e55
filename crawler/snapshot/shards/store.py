"""Where the processes of a run meet: small files in the output's own store, a local folder or a bucket.

`ObjectStore` is a `RunStore` as it is. `FolderStore` is one over a local folder: a file appears whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
import anyio.to_thread

from crawler.errors import OutputError
from crawler.local_files import UnfitFileError, open_folder, reason_of
from crawler.snapshot.disk import Disk, first_names, make_folders_durably, modified_at, remove_tree, write_file
from crawler.snapshot.layout import FRESH, parent
from crawler.snapshot.limits import MANIFEST_BYTES
from crawler.snapshot.object_store import Content, Listing, StoredObject
from crawler.snapshot.reader import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

_T = TypeVar("_T")


class RunStore(Protocol):
    """The files of runs. Paths are relative to the output. Methods raise OutputError."""

    async def read(self, path: str, most_bytes: int = MANIFEST_BYTES) -> Content | None:
        """Return a file; None if it doesn't exist. A file of more than `most_bytes` is an error."""
        ...

    async def put(self, path: str, data: bytes) -> None:
        """Write a file, or replace it: readers see the whole old or the whole new content."""
        ...

    async def create(self, path: str, data: bytes) -> bool:
        """Write a file if none exists, durably. Return False if one with other content exists."""
        ...

    async def delete(self, paths: Sequence[str]) -> None:
        """Remove files, those that exist."""
        ...

    async def list_here(self, folder: str) -> Listing:
        """Return the files and the names of the folders directly in a folder; none if there is no such folder."""
        ...

    async def list(self, folder: str) -> list[StoredObject]:
        """Return the files of a run's folder by path. `modified_at` is by the store's clock."""
        ...


class FolderStore:
    """See `RunStore`. The files of a local output; each call runs in a worker thread.

    Only the calls that write need the folder to be one of this user. Modes are those of `umask`, see `Disk`.
    """

    def __init__(self, root: Path, umask: int = 0o077, open_disk: Callable[[Path, int], Disk] = Disk) -> None:
        self.root = root
        self._umask = umask
        self._open_disk = open_disk

    async def read(self, path: str, most_bytes: int = MANIFEST_BYTES) -> Content | None:
        """See `RunStore.read`."""
        data = await anyio.to_thread.run_sync(Folder(self.root).read, path, most_bytes)
        return None if data is None else Content(data, "")

    async def put(self, path: str, data: bytes) -> None:
        """See `RunStore.put`."""
        await self._on_disk(lambda disk: _put(disk, path, data))

    async def create(self, path: str, data: bytes) -> bool:
        """See `RunStore.create`."""
        return await self._on_disk(lambda disk: _create(disk, path, data))

    async def delete(self, paths: Sequence[str]) -> None:
        """See `RunStore.delete`. Of a folder everything in it is removed, too."""

        def remove(disk: Disk) -> None:
            for path in paths:
                remove_tree(disk, path)

        if paths:
            await self._on_disk(remove)

    async def list_here(self, folder: str) -> Listing:
        """See `RunStore.list_here`."""
        return await anyio.to_thread.run_sync(list_folder, self.root, folder)

    async def list(self, folder: str) -> list[StoredObject]:
        """See `RunStore.list`. Files in folders below are left out: those are outputs of attempts."""
        return (await self.list_here(folder)).objects

    async def _on_disk(self, action: Callable[[Disk], _T]) -> _T:
        def act() -> _T:
            disk = self._open_disk(self.root, self._umask)
            try:
                return action(disk)
            finally:
                disk.close_root()

        return await anyio.to_thread.run_sync(act)


async def list_with_time(store: RunStore, folder: str) -> tuple[list[StoredObject], datetime]:
    """Return the files of a folder, and the store's time, by which their ages are counted. Raises OutputError.

    The time is that of a file which is put there and removed: this machine's clock may differ from the store's.
    """
    path = f"{folder}/{FRESH}{secrets.token_hex(8)}"
    await store.put(path, b"time")
    try:
        found = await store.list(folder)
    finally:
        with anyio.CancelScope(shield=True), suppress(OutputError):
            await store.delete([path])
    now = next((entry.modified_at for entry in found if entry.path == path), None)
    if now is None:
        raise OutputError(f"{path} isn't there as it was written; check which other program removes files there")
    return [entry for entry in found if entry.path != path], now


def list_folder(root: Path, folder: str) -> Listing:
    """Return the regular files and the folders directly in a folder of a local output. Blocks. Raises OutputError."""
    place, found = f"{folder or 'the output folder'} of {root}", Listing([], [])
    try:
        fd = open_folder(root, folder)
    except FileNotFoundError:
        return found
    except OSError as error:
        raise _unreadable(place, error) from error
    try:
        with os.scandir(fd) as entries:
            names = sorted(first_names(entries, place))
        for name in names:
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    found.folders.append(name)
                elif stat.S_ISREG(status.st_mode):
                    path = f"{folder}/{name}" if folder else name
                    found.objects.append(StoredObject(path, status.st_size, modified_at(status)))
    except OSError as error:
        raise _unreadable(place, error) from error
    finally:
        os.close(fd)
    return found


def _put(disk: Disk, path: str, data: bytes) -> None:
    fresh = _write_fresh(disk, path, data)
    try:
        disk.rename(fresh, path)
        disk.fsync_folder(parent(path))
    except BaseException:
        with suppress(OutputError):
            disk.unlink(fresh)
        raise


def _create(disk: Disk, path: str, data: bytes) -> bool:
    """Link a whole file to its name. The answer to a link over NFS may be lost, so that the content decides."""
    fresh = _write_fresh(disk, path, data)
    try:
        is_ours = disk.link(fresh, path) or disk.read(path, MANIFEST_BYTES) == data
        disk.fsync_folder(parent(path))
        return is_ours
    finally:
        with suppress(OutputError):
            disk.unlink(fresh)


def _write_fresh(disk: Disk, path: str, data: bytes) -> str:
    """Write a durable file under a temporary name beside its final one. Return that name's path."""
    make_folders_durably(disk, parent(path))
    fresh = f"{parent(path)}/{FRESH}{secrets.token_hex(8)}"
    try:
        write_file(disk, fresh, data)
    except BaseException:
        with suppress(OutputError):
            disk.unlink(fresh)
        raise
    return fresh


def _unreadable(place: str, error: OSError) -> OutputError:
    if isinstance(error, UnfitFileError):
        return OutputError(f"{place} {error}; remove it")
    return OutputError(f"can't list {place}: {reason_of(error)}")
