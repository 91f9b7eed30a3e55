"""Re-reading what was committed: every file against its manifest, the manifest against its checksum (P13).

Nothing here writes or takes the output's lock, so that it can run beside a crawl: what a crawl or a `prune` has half
in place is theirs, and is passed over. `root` is a local folder, or a bucket opened for reading.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import OutputError
from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import sha256_of
from crawler.snapshot.layout import (
    LATEST,
    SNAPSHOTS,
    STAGING,
    checksum_path,
    is_snapshot_id,
    is_table,
    manifest_path,
    pruned_id,
    table_folder,
)
from crawler.snapshot.ledger import decode_ledger
from crawler.snapshot.reader import storage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crawler.snapshot.manifest import Manifest, PartFile, TableEntry
    from crawler.snapshot.reader import OutputLocation

# A bucket takes its time to answer; on a disk it is the hashing that counts.
_THREADS_BUCKET, _THREADS_DISK = 8, 2
_SHOWN = 12
_STRAY = "isn't in the snapshot's manifest, and a reader by glob takes it along"
_ORPHAN = "is of a snapshot that has no manifest, and a reader by glob takes it along"
_OWN_NAME = re.compile(r"(.+?)\.(json|json\.sha256|scopes\.parquet)")
_TABLE_SNAPSHOT = "snapshot_date=*/snapshot=*"


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file, relative to the root, that isn't what was committed, and in which way."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """One snapshot, re-read. Where its manifest can't be read, all that it would say is empty."""

    snapshot_id: str
    status: str = ""
    files: int = 0
    rows: int = 0
    bytes: int = 0
    manifest_sha256: str = ""
    bad_files: tuple[BadFile, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every file is what was committed."""
        return not self.bad_files


def verify_snapshot(root: OutputLocation, snapshot_id: str) -> VerifyResult:
    """Re-read one snapshot. Raises OutputError where there is nothing of it, or where it was removed meanwhile."""
    if not is_snapshot_id(snapshot_id):
        raise OutputError(f"{snapshot_id[:80]!r} is no snapshot's ID: `snapshots list` shows them")
    if snapshot_id not in known_ids(root):
        raise OutputError(f"{root} has no snapshot {snapshot_id}: `snapshots list` shows those that it has")
    verdict = _verify(root, snapshot_id)
    if verdict.bad_files and snapshot_id not in known_ids(root):
        raise OutputError(f"snapshot {snapshot_id} was removed while it was read")
    return verdict


def verify_all(root: OutputLocation) -> tuple[list[VerifyResult], list[BadFile]]:
    """Re-read every snapshot, newest first, and what belongs to none: LATEST, and tables' folders without a manifest.

    Raises OutputError where the output can't be listed.
    """
    verdicts = []
    for snapshot_id in known_ids(root):
        try:
            verdicts.append(verify_snapshot(root, snapshot_id))
        except OutputError:
            if snapshot_id in known_ids(root):
                raise
    return verdicts, [*_check_latest(root, verdicts), *(BadFile(path, _ORPHAN) for path in orphan_folders(root))]


def _verify(root: OutputLocation, snapshot_id: str) -> VerifyResult:
    path = manifest_path(snapshot_id)
    text, reason = _content(root, path)
    if text is None:
        return VerifyResult(snapshot_id, bad_files=(BadFile(path, reason),))
    bad = list(_check_checksum(root, snapshot_id, text))
    sha256 = hashlib.sha256(text).hexdigest()
    try:
        manifest = manifests.decode(text, path)
    except OutputError as error:
        return VerifyResult(snapshot_id, manifest_sha256=sha256, bad_files=(BadFile(path, str(error)), *bad))
    if manifest.snapshot_id != snapshot_id:
        bad.append(BadFile(path, f"is the manifest of another snapshot, {manifest.snapshot_id}"))
        return VerifyResult(snapshot_id, manifest_sha256=sha256, bad_files=tuple(bad))
    bad += _check_files(root, manifest)
    tables = manifest.tables.values()
    return VerifyResult(
        snapshot_id,
        manifest.status,
        files=sum(len(entry.files) for entry in tables) + 1,
        rows=sum(entry.rows for entry in tables),
        bytes=sum(entry.bytes for entry in tables) + manifest.ledger.bytes,
        manifest_sha256=sha256,
        bad_files=tuple(bad),
    )


def _check_checksum(root: OutputLocation, snapshot_id: str, text: bytes) -> Iterator[BadFile]:
    path = checksum_path(snapshot_id)
    line, reason = _content(root, path)
    name = manifest_path(snapshot_id).rpartition("/")[2]
    if line is None:
        yield BadFile(path, reason)
    elif not re.fullmatch(rf"[0-9a-f]{{64}}  {re.escape(name)}\n".encode(), line):
        yield BadFile(path, "isn't a checksum of the manifest: it was changed or damaged after its commit")
    elif line != manifests.checksum_line(text, snapshot_id):
        reason = f"doesn't match {path.rpartition('/')[2]}: one of the two was changed or damaged after its commit"
        yield BadFile(manifest_path(snapshot_id), reason)


def _check_files(root: OutputLocation, manifest: Manifest) -> list[BadFile]:
    jobs = [(file, entry) for entry in manifest.tables.values() for file in entry.files]
    owners = {file.sha256: file.path for file, _ in jobs}

    def check(job: tuple[PartFile, TableEntry]) -> str:
        return _wrong_bytes(root, job[0], owners) or _wrong_part(root, *job)

    with ThreadPoolExecutor(_THREADS_DISK if isinstance(root, Path) else _THREADS_BUCKET) as threads:
        reasons = list(threads.map(check, jobs))
    bad = [BadFile(file.path, reason) for (file, _), reason in zip(jobs, reasons, strict=True) if reason]
    ledger = _wrong_bytes(root, manifest.ledger, {}) or _wrong_ledger(root, manifest)
    bad += [BadFile(manifest.ledger.path, ledger)] if ledger else []
    return [*bad, *_wrong_sums(manifest), *(BadFile(path, _STRAY) for path in stray_files(root, manifest))]


def _wrong_bytes(root: OutputLocation, file: PartFile, owners: dict[str, str]) -> str:
    """In which way the file isn't byte by byte what the manifest names; `owners`: hash → path."""
    try:
        with _opened(root, file.path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            sha256 = sha256_of(stream)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"can't be read: {os.strerror(error.errno or 0)}"
    except OutputError as error:
        return f"can't be read: {error}"
    if (size, sha256) == (file.bytes, file.sha256):
        return ""
    if sha256 in owners:
        return f"holds what belongs in {owners[sha256]}"
    if size != file.bytes:
        return f"has {size} bytes, its manifest says {file.bytes}"
    return f"isn't what was committed: its SHA-256 is {sha256[:_SHOWN]}…, its manifest says {file.sha256[:_SHOWN]}…"


def _wrong_part(root: OutputLocation, file: PartFile, entry: TableEntry) -> str:
    """What a part with the right bytes may still be: one that was written wrongly."""
    try:
        with _opened(root, file.path) as stream, pq.ParquetFile(stream) as part:
            rows, schema = part.metadata.num_rows, part.schema_arrow
    except (pa.ArrowException, OSError, OutputError) as error:
        return f"isn't readable Parquet: {type(error).__name__}"
    if rows != file.rows:
        return f"has {rows} rows, its manifest says {file.rows}"
    if manifests.schema_sha256(schema) != entry.schema_sha256:
        return "has another schema than its manifest says"
    return ""


def _wrong_ledger(root: OutputLocation, manifest: Manifest) -> str:
    content, reason = _content(root, manifest.ledger.path)
    if content is None:
        return reason
    try:
        rows = decode_ledger(content, manifest.ledger.path)
    except OutputError as error:
        return str(error)
    if len(rows) != manifest.ledger.rows:
        return f"has {len(rows)} rows, its manifest says {manifest.ledger.rows}"
    if manifests.count_scopes(rows) != manifest.scopes:
        return "has other scopes than its manifest says"
    return ""


def _wrong_sums(manifest: Manifest) -> Iterator[BadFile]:
    for table, entry in manifest.tables.items():
        sums = sum(file.rows for file in entry.files), sum(file.bytes for file in entry.files)
        if sums != (entry.rows, entry.bytes):
            yield BadFile(manifest_path(manifest.snapshot_id), f"doesn't add up: {table}'s files have other sums")


def _check_latest(root: OutputLocation, verdicts: Iterable[VerifyResult]) -> Iterator[BadFile]:
    """LATEST names the newest complete snapshot; for as long as a crawl is still at it, an older one."""
    complete = [verdict.snapshot_id for verdict in verdicts if verdict.status == "complete"]
    unreadable = {verdict.snapshot_id for verdict in verdicts if not verdict.status}
    lags = bool(complete) and complete[0] not in on_their_way(root)
    content, reason = _content(root, LATEST)
    named = (content or b"").decode("ascii", "replace").removesuffix("\n")
    if content is None:
        if lags:
            yield BadFile(LATEST, reason)
    elif named not in {*complete, *unreadable}:
        yield BadFile(LATEST, f"names {named[:80]!a}, which is no complete snapshot here")
    elif named in complete[1:] and lags:
        yield BadFile(LATEST, f"names {named}, and the newest complete snapshot is {complete[0]}")


def _opened(root: OutputLocation, path: str) -> io.BufferedIOBase:
    """A file to read. A bucket's parts are small enough to be held whole. Raises OSError or OutputError."""
    if isinstance(root, Path):
        return (root / path).open("rb")
    content = storage_of(root).read(path)
    if content is None:
        raise FileNotFoundError
    return io.BytesIO(content)


def _content(root: OutputLocation, path: str) -> tuple[bytes | None, str]:
    """A small file's content; None and the reason where there is none."""
    try:
        content = storage_of(root).read(path)
    except OutputError as error:
        return None, str(error)
    return content, "" if content is not None else "is missing"


def known_ids(root: OutputLocation) -> list[str]:
    """Of snapshots that have a file of their own beside the manifests, newest first; not of those on their way.

    One is on its way while a crawl puts it in place or a `prune` removes it, and after either has died doing so.
    Raises OutputError where the folders can't be listed.
    """
    found: dict[str, set[str]] = {}
    for name in storage_of(root).names(SNAPSHOTS):
        if match := _OWN_NAME.fullmatch(name):
            found.setdefault(match[1], set()).add(match[2])
    moving = on_their_way(root)
    ids = (name for name, kinds in found.items() if is_snapshot_id(name) and ("json" in kinds or name not in moving))
    return sorted(ids, reverse=True)


def on_their_way(root: OutputLocation) -> set[str]:
    """IDs that crawls are at, and those that a `prune` is removing. Raises OutputError."""
    names = storage_of(root).names(STAGING)
    return {name for name in names if is_snapshot_id(name)} | {pruned_id(name) for name in names} - {""}


def stray_files(root: OutputLocation, manifest: Manifest) -> Iterator[str]:
    """Files between the snapshot's that its manifest doesn't name. Readers pass over names with a dot or `_` first.

    Only in local folders: a bucket is written by whoever has its keys, and is read by the manifest.
    """
    if not isinstance(root, Path):
        return
    for table, entry in manifest.tables.items():
        known = {file.path for file in entry.files}
        for folder, _, names in os.walk(root / table_folder(table, manifest.snapshot_id)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118 - os.walk gives text
                if path not in known and not name.startswith((".", "_")):
                    yield path


def orphan_folders(root: OutputLocation) -> Iterator[str]:
    """Tables' folders of snapshots of which there is nothing else, in local folders. Raises OutputError."""
    if not isinstance(root, Path):
        return
    try:
        tables = sorted(path for path in root.iterdir() if is_table(path.name))
        folders = [folder for table in tables for folder in sorted(table.glob(_TABLE_SNAPSHOT))]
    except OSError as error:
        raise OutputError(f"can't list {root}: {os.strerror(error.errno or 0)}") from error
    theirs = on_their_way(root).union(known_ids(root))
    for folder in folders:
        snapshot_id = folder.name.removeprefix("snapshot=")
        if is_snapshot_id(snapshot_id) and snapshot_id not in theirs:
            yield str(folder.relative_to(root))
