"""Where committed snapshots are read from: a folder of this machine, or a bucket. Both give the same few things.

Nothing here writes. It blocks: a bucket is asked with the keys that it was opened with, which last for a command.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from crawler.errors import OutputError
from crawler.snapshot.object_store import open_store, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.snapshot.location import BucketPlace
    from crawler.snapshot.rows.parquet import PartFile


class Storage(Protocol):
    """An output to read. Paths are relative to it. Every method raises OutputError; `str` names it for messages."""

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files right in a folder; none where there is no such folder."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A local output."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        """See `Storage.read`."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"can't read {path} of {self.root}: {os.strerror(error.errno or 0)}") from error

    def names(self, folder: str) -> list[str]:
        """See `Storage.names`."""
        place = self.root / folder
        try:
            return [path.name for path in place.iterdir()] if place.is_dir() else []
        except OSError as error:
            raise OutputError(f"can't list {place}: {os.strerror(error.errno or 0)}") from error


class BucketReader:
    """An output in a bucket. The place's keys must be there, or the machine have a role."""

    def __init__(self, place: BucketPlace) -> None:
        self.place = place
        self._store = open_store(place)

    def __str__(self) -> str:
        return self.place.uri

    def read(self, path: str) -> bytes | None:
        """See `Storage.read`."""
        import obstore

        with self._door("read", path):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
        return None

    def names(self, folder: str) -> list[str]:
        """See `Storage.names`."""
        import obstore

        with self._door("list", folder):
            found = obstore.list_with_delimiter(self._store, folder)
        return [entry["path"].rpartition("/")[2] for entry in found["objects"]]

    def fetch(self, file: PartFile, to: Path) -> None:
        """Copy a manifest's file to this machine. Raises OutputError, also where it isn't what the manifest names."""
        import obstore

        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial, digest = to.with_name(f"{to.name}.partial"), hashlib.sha256()
        with self._door("read", file.path), partial.open("wb") as written:
            for chunk in obstore.get(self._store, file.path).stream():
                written.write(chunk)
                digest.update(chunk)
        if digest.hexdigest() != file.sha256:
            raise OutputError(f"{file.path} isn't what its manifest names: it was changed or damaged after its commit")
        partial.rename(to)

    @contextmanager
    def _door(self, action: str, path: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise translate(error, action, path, str(self)) from None


Place = Path | BucketReader


def storage_of(place: Place) -> Storage:
    """The storage at a place."""
    return Folder(place) if isinstance(place, Path) else place
