"""Read committed snapshots: their list, manifests, ledgers and files. `root` is a local folder, or an open bucket."""

from __future__ import annotations

import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from crawler.errors import OutputError
from crawler.local_files import UnfitFileError, open_below, open_folder, read_at_most, reason_of
from crawler.snapshot import manifest as manifests
from crawler.snapshot.bucket.downloads import StreamedObject, download
from crawler.snapshot.disk import first_names, sha256_of
from crawler.snapshot.layout import LATEST, SNAPSHOTS, checksum_path, is_snapshot_id, manifest_path
from crawler.snapshot.ledger_file import StoredLedger
from crawler.snapshot.limits import LEDGER_BYTES, LINE_BYTES, MANIFEST_BYTES, SMALL_BYTES
from crawler.snapshot.object_store import ObjectStore
from crawler.snapshot.s3.connection import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import BinaryIO

    from crawler.snapshot.location import BucketLocation
    from crawler.snapshot.manifest import CrawlSelection, Manifest, PartFile
    from crawler.snapshot.s3.client import KeySource


class Storage(Protocol):
    """An output to read. Paths are relative to it. Methods raise OutputError; messages contain its `str`."""

    def read(self, path: str, limit: int = SMALL_BYTES) -> bytes | None:
        """Return the content of a file; None if it doesn't exist. A file of more than `limit` bytes is an error."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, not in those below; none if there is no such folder."""
        ...

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, of which "" is the output; none if there is no such folder."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A local output. No link below its root is followed, and nothing but a regular file is read."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def read(self, path: str, limit: int = SMALL_BYTES) -> bytes | None:
        """See `Storage.read`."""
        try:
            with self.opened(path) as file:
                return read_at_most(file.fileno(), limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(f"{path} of {self.root}", error) from error

    def opened(self, path: str) -> io.BufferedReader:
        """Open a file to read. Raises OSError, see `local_files.reason_of`."""
        return os.fdopen(open_below(self.root, path), "rb")

    def names(self, folder: str) -> list[str]:
        """See `Storage.names`."""
        place = f"{folder} of {self.root}" if folder else str(self.root)
        try:
            fd = open_folder(self.root, folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(place, error) from error
        try:
            with os.scandir(fd) as entries:
                return first_names(entries, place)
        except OSError as error:
            raise _unreadable(place, error) from error
        finally:
            os.close(fd)

    def folders(self, folder: str) -> list[str]:
        """See `Storage.folders`."""
        return sorted(name for name in self.names(folder) if (self.root / folder / name).is_dir())


class BucketReader:
    """An output in a bucket. The location must have keys, or `keys` return them, or the machine have a role.

    `store` is for `wait_for`.
    """

    def __init__(self, place: BucketLocation, keys: KeySource | None = None) -> None:
        self.place = place
        self.store = ObjectStore(place, keys)

    def __str__(self) -> str:
        return self.place.uri

    def read(self, path: str, limit: int = SMALL_BYTES) -> bytes | None:
        """See `Storage.read`."""
        found = wait_for(self.store.read(path, limit))
        return found.data if found is not None else None

    def names(self, folder: str) -> list[str]:
        """See `Storage.names`."""
        return [entry.path.rpartition("/")[2] for entry in wait_for(self.store.list_here(folder)).objects]

    def folders(self, folder: str) -> list[str]:
        """See `Storage.folders`."""
        return wait_for(self.store.list_here(folder)).folders

    def fetch(self, files: Sequence[PartFile], folder: Path) -> None:
        """Copy files of a manifest below a folder of this machine, side by side.

        Nothing beyond a size in the manifest is asked for. Raises OutputError, also if a size or a SHA-256 differs; a
        file that is there has its SHA-256.
        """
        wait_for(download(self.store, files, folder))

    def opened(self, path: str) -> io.BufferedReader:
        """Open a file to read by ranges. Raises FileNotFoundError and OutputError."""
        return io.BufferedReader(StreamedObject(self.store, path))


OutputLocation = Path | BucketReader


def _unreadable(what: str, error: OSError) -> OutputError:
    if isinstance(error, UnfitFileError):
        return OutputError(f"{what} {error}; remove it")
    return OutputError(f"can't read {what}: {reason_of(error)}")


def check_regular(root: Path, path: str) -> None:
    """Raise OutputError if something else than a regular file is in a file's place; it may be missing.

    For readers of other libraries, which open files by their paths, and would wait for a named pipe.
    """
    try:
        os.close(open_below(root, path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(f"{path} of {root}", error) from error


def storage_of(place: OutputLocation) -> Storage:
    """Return the storage at a location."""
    return Folder(place) if isinstance(place, Path) else place


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """One snapshot of the list. If its manifest can't be read `error` says why, and all but the ID is empty."""

    snapshot_id: str
    status: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tables: int = 0
    files: int = 0
    rows: int = 0
    bytes: int = 0
    scopes: int = 0
    not_complete: int = 0
    accepted: int = 0
    can_be_latest: bool = False
    is_latest: bool = False
    selection: CrawlSelection | None = None
    error: str = ""


def list_snapshots(root: OutputLocation) -> list[SnapshotSummary]:
    """Return all committed snapshots, newest first, with those whose manifest can't be read. Raises OutputError."""
    latest = _read_latest(root)
    return [_summarize(root, snapshot_id, latest) for snapshot_id in snapshot_ids(root)]


def newest_snapshot_id(root: OutputLocation) -> str:
    """Return the ID of the newest snapshot, complete or not; empty if there is none. Raises OutputError."""
    return next(iter(snapshot_ids(root)), "")


def latest_snapshot_id(root: OutputLocation) -> str:
    """Return the ID that LATEST names, the newest complete snapshot's; empty if it names none. Raises OutputError."""
    return _read_latest(root)


def read_manifest(root: OutputLocation, snapshot_id: str) -> Manifest:
    """Return the manifest of a snapshot by its ID; `latest` is the newest complete snapshot.

    Raises OutputError if there is none, if it can't be read, or if it doesn't match its checksum.
    """
    if snapshot_id == "latest":
        snapshot_id = _read_latest(root)
        if not snapshot_id:
            raise OutputError(
                f"{root} has no complete snapshot of a whole crawl; crawl without --account, --region and --table, or "
                "give an ID that `snapshots list` shows"
            )
    return manifests.decode_of(snapshot_id, manifest_text(root, snapshot_id), manifest_path(snapshot_id))


def manifest_text(root: OutputLocation, snapshot_id: str, *, needs_checksum: bool = False) -> bytes:
    """Return the file of a manifest, which matches its checksum, if there is one.

    Raises OutputError if there is none, if it can't be read, or if it doesn't match its checksum; with `needs_checksum`
    also if it has none.
    """
    if not is_snapshot_id(snapshot_id):
        raise OutputError(f"unknown snapshot ID {snapshot_id[:80]!r}; run `snapshots list` to see all IDs")
    path = manifest_path(snapshot_id)
    text = _read(root, path, MANIFEST_BYTES)
    if text is None:
        raise OutputError(f"{root} has no snapshot {snapshot_id}; run `snapshots list` to see all IDs")
    expected = _read(root, checksum_path(snapshot_id), LINE_BYTES)
    if expected is None and needs_checksum:
        raise OutputError(
            f"{checksum_path(snapshot_id)} is missing, so that {path} can't be compared with it; restore it, and run "
            f"`snapshots verify {snapshot_id}`"
        )
    if expected is not None and expected != manifests.checksum_line(text, snapshot_id):
        raise OutputError(f"{path} doesn't match its checksum: it was changed or damaged after its commit")
    return text


def read_ledger(root: OutputLocation, manifest: Manifest) -> StoredLedger:
    """Return the ledger, after its file was found to be the one that the manifest names.

    The file is hashed as a whole before its first row is used: a reader may stop early, and several read it more than
    once. A bucket's is copied to a temporary file by that, so that it is fetched once. Raises OutputError if the file
    is missing or another; for reading its rows see `StoredLedger`.
    """
    file = manifest.ledger
    if file.bytes > LEDGER_BYTES:
        raise OutputError(f"{file.path} has {file.bytes:,} bytes, more than any crawl's ledger")
    opened = _opened_ledger(root, file) if isinstance(root, Path) else _fetched_ledger(root, file)
    return StoredLedger(opened, file.path)


def _opened_ledger(root: Path, file: PartFile) -> BinaryIO:
    try:
        opened = Folder(root).opened(file.path)
    except FileNotFoundError:
        raise OutputError(f"{file.path} isn't in {root}: it was removed after its commit") from None
    except OSError as error:
        raise _unreadable(f"{file.path} of {root}", error) from error
    try:
        if opened.seek(0, os.SEEK_END) == file.bytes:
            opened.seek(0)
            if sha256_of(opened) == file.sha256:
                return opened
    except OSError as error:
        opened.close()
        raise _unreadable(f"{file.path} of {root}", error) from error
    opened.close()
    raise OutputError(f"{file.path} isn't what its manifest names: it was changed or damaged after its commit")


def _fetched_ledger(root: BucketReader, file: PartFile) -> BinaryIO:
    try:
        with tempfile.TemporaryDirectory(prefix="acs-inventory-") as folder:
            root.fetch([file], Path(folder))
            return (Path(folder) / file.path).open("rb")
    except OSError as error:
        raise OutputError(f"can't keep {file.path} on this machine: {reason_of(error)}; set TMPDIR") from error


def parts(manifest: Manifest, table: str) -> list[PartFile]:
    """Return a table's files, with paths relative to the root. Raises OutputError for a table not in the snapshot."""
    if table not in manifest.tables:
        known = ", ".join(sorted(manifest.tables)) or "none"
        raise OutputError(f"snapshot {manifest.snapshot_id} has no table {table!r}; it has: {known}")
    return manifest.tables[table].files


def snapshot_ids(root: OutputLocation) -> list[str]:
    """Return the IDs of all committed snapshots, newest first. Raises OutputError."""
    ids = [name.removesuffix(".json") for name in storage_of(root).names(SNAPSHOTS) if name.endswith(".json")]
    return sorted(filter(is_snapshot_id, ids), reverse=True)


def _summarize(root: OutputLocation, snapshot_id: str, latest: str) -> SnapshotSummary:
    try:
        manifest = read_manifest(root, snapshot_id)
    except OutputError as error:
        return SnapshotSummary(snapshot_id, is_latest=snapshot_id == latest, error=str(error))
    entries = manifest.tables.values()
    return SnapshotSummary(
        snapshot_id,
        status=manifest.status,
        started_at=manifest.started_at,
        finished_at=manifest.finished_at,
        tables=len(entries),
        files=sum(len(entry.files) for entry in entries),
        rows=sum(entry.rows for entry in entries),
        bytes=sum(entry.bytes for entry in entries),
        scopes=manifest.scopes.total,
        not_complete=manifest.scopes.missing,
        accepted=manifest.scopes.accepted,
        can_be_latest=manifest.can_be_latest,
        is_latest=snapshot_id == latest,
        selection=manifest.selection,
    )


def _read_latest(root: OutputLocation) -> str:
    text = (_read(root, LATEST, LINE_BYTES) or b"").decode("ascii", "replace").strip()
    return text if is_snapshot_id(text) else ""


def _read(root: OutputLocation, path: str, limit: int) -> bytes | None:
    return storage_of(root).read(path, limit)
