"""The record of an output with Iceberg tables: its ID, its place, and the catalogs whose tables name its files.

Iceberg's metadata names files by absolute locations. A copy of an output, or one that was moved, has tables that name
the files of the former place. The record is made once, by one atomic step. It names the place, so that the copy is
recognized without a catalog. Another file names each catalog outside of the output, without a secret, so that `prune`
knows which catalogs it must ask. All of it is in the folder `_lake`; the snapshots don't depend on it.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
import msgspec

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.disk import Disk, make_folders, remove_tree, write_file
from crawler.snapshot.lake.base import FOLDER, ICEBERG
from crawler.snapshot.lake.turns import locked
from crawler.snapshot.layout import STAGING
from crawler.snapshot.reader import storage_of

if TYPE_CHECKING:
    from crawler.snapshot.lake.base import LakeSettings
    from crawler.snapshot.object_store import ObjectStore
    from crawler.snapshot.reader import OutputLocation

_OUTPUT = f"{FOLDER}/output.json"
_STAGED = f"{STAGING}/lake"
_CATALOG = "catalog-"

_Record = TypeVar("_Record", "OutputRecord", "CatalogRecord")


class OutputRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ID of an output, and the place at which its lake was made, as `LakeSettings.base` gives it."""

    id: str
    place: str


class CatalogRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A catalog outside of the output, without user and password, and the namespace with tables over its files."""

    catalog: str
    namespace: str

    @property
    def path(self) -> str:
        """The path of the record, the same for the same catalog and namespace."""
        text = f"{self.catalog}\n{self.namespace}"
        return f"{FOLDER}/{_CATALOG}{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def read_record(location: OutputLocation) -> OutputRecord | None:
    """Return the record of an output; None if it has never had an Iceberg table. Raises OutputError."""
    data = storage_of(location).read(_OUTPUT)
    return _decode(data, OutputRecord, _OUTPUT) if data is not None else None


def read_catalogs(location: OutputLocation) -> list[CatalogRecord]:
    """Return the catalogs outside of the output that have tables over its files. Raises OutputError."""
    found = []
    storage = storage_of(location)
    for name in sorted(name for name in storage.names(FOLDER) if name.startswith(_CATALOG)):
        data = storage.read(f"{FOLDER}/{name}")
        if data is not None:
            found.append(_decode(data, CatalogRecord, f"{FOLDER}/{name}"))
    return found


def check_record(record: OutputRecord | None, settings: LakeSettings) -> None:
    """Raise ConfigError if the record names another place: then the output was copied or moved from there."""
    if record is None or record.place == settings.base:
        return
    catalog = "and set another [output.iceberg] namespace " if settings.catalog_uri else ""
    raise ConfigError(
        f"{settings.base} was copied or moved from {record.place}, to which its Iceberg tables belong; use it "
        f"there, or remove the folders {FOLDER} and {ICEBERG} from it {catalog}to make tables of its own"
    )


def new_record(settings: LakeSettings) -> OutputRecord:
    """Return the record of an output that has none."""
    return OutputRecord(secrets.token_hex(16), settings.base)


async def find_record(bucket: ObjectStore | None, settings: LakeSettings) -> OutputRecord | None:
    """Return the record of an output to write to; None if it has none. `bucket` is None for a local folder.

    Raises ConfigError as `check_record`, OutputError if the record can't be read.
    """
    if bucket is None:
        record = await anyio.to_thread.run_sync(read_record, _folder(settings))
    else:
        found = await bucket.read(_OUTPUT)
        record = _decode(found.data, OutputRecord, _OUTPUT) if found is not None else None
    check_record(record, settings)
    return record


async def keep_record(bucket: ObjectStore | None, settings: LakeSettings, record: OutputRecord) -> OutputRecord:
    """Make this the record of an output that has none, and return the one that it has. Raises OutputError."""
    data = msgspec.json.encode(record)
    if bucket is None:
        kept = await anyio.to_thread.run_sync(_make_in_folder, settings, data)
        return _decode(kept, OutputRecord, _OUTPUT)
    if await bucket.create(_OUTPUT, data):
        return record
    return await find_record(bucket, settings) or record


async def note_catalog(bucket: ObjectStore | None, settings: LakeSettings, record: CatalogRecord) -> None:
    """Record, before the first commit, that a catalog outside of the output has tables over its files.

    Raises OutputError.
    """
    data = msgspec.json.encode(record)
    if bucket is None:
        await anyio.to_thread.run_sync(_note_in_folder, settings, record.path, data)
    else:
        await bucket.create(record.path, data)


def _make_in_folder(settings: LakeSettings, data: bytes) -> bytes:
    """Make the folder with the record by one rename, unless another crawl has made it. Return its content."""
    disk = _open_disk(settings)
    try:
        with locked(disk):
            if not disk.has(_OUTPUT):
                remove_tree(disk, _STAGED)  # of a crawl that was killed here
                make_folders(disk, _STAGED)
                write_file(disk, f"{_STAGED}/{_OUTPUT.removeprefix(f'{FOLDER}/')}", data)
                disk.fsync_folder(_STAGED)
                disk.rename(_STAGED, FOLDER)
                disk.fsync_folder("")
            return disk.read(_OUTPUT)
    finally:
        disk.close_root()


def _note_in_folder(settings: LakeSettings, path: str, data: bytes) -> None:
    disk = _open_disk(settings)
    try:
        if not disk.has(path):
            write_file(disk, path, data)
            disk.fsync_folder(FOLDER)
    except OutputError as error:
        if not isinstance(error.__cause__, FileExistsError):
            raise
    finally:
        disk.close_root()


def _open_disk(settings: LakeSettings) -> Disk:
    return Disk(_folder(settings).resolve(), settings.umask)


def _folder(settings: LakeSettings) -> Path:
    if not isinstance(settings.root, Path):
        raise TypeError("the output isn't a folder")
    return settings.root


def _decode(data: bytes, kind: type[_Record], path: str) -> _Record:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise OutputError(
            f"{path} of the output can't be read: it was changed or damaged; restore it, or remove {FOLDER}"
        ) from None
