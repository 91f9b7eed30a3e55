"""The verification of committed snapshots: each file against its manifest, the manifest against its checksum (P13).

It also finds orphans, see `orphans`. It doesn't write and doesn't take the output's lock, so that it can run during a
crawl. Snapshots that a crawl or a `prune` is moving are skipped. `root` is a local folder, or a bucket opened for
reading. No content of the output makes it wait, or end before it has verified the other snapshots.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import OutputError, describe_shortage
from crawler.local_files import UnfitFileError, reason_of
from crawler.snapshot import manifest as manifests
from crawler.snapshot.disk import sha256_of
from crawler.snapshot.layout import (
    LATEST,
    SNAPSHOTS,
    STAGING,
    checksum_path,
    is_snapshot_id,
    manifest_path,
    pruned_id,
)
from crawler.snapshot.ledger_file import StoredLedger
from crawler.snapshot.limits import LINE_BYTES, MANIFEST_BYTES
from crawler.snapshot.orphans import BadFile, find_orphans, unlisted_files
from crawler.snapshot.reader import Folder, storage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from crawler.snapshot.manifest import Manifest, PartFile, TableEntry
    from crawler.snapshot.reader import OutputLocation

# A bucket takes time to answer; on a disk the hashing takes the time.
_THREADS_BUCKET, _THREADS_DISK = 8, 2
_SHOWN = 12
_MISSING = "is missing"
_OWN_NAME = re.compile(r"(.+?)\.(json|json\.sha256|scopes\.parquet)")


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The result for one snapshot. Where its manifest can't be read, the fields from the manifest are empty."""

    snapshot_id: str
    status: str = ""
    files: int = 0
    rows: int = 0
    bytes: int = 0
    manifest_sha256: str = ""
    can_be_latest: bool = False
    replaced_latest: str = ""
    bad_files: tuple[BadFile, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every file is as it was committed."""
        return not self.bad_files


def verify_snapshot(root: OutputLocation, snapshot_id: str) -> VerifyResult:
    """Verify one snapshot. Raises OutputError if it doesn't exist, or was removed meanwhile."""
    return _verify_known(root, snapshot_id)[0]


def verify_all(root: OutputLocation) -> tuple[list[VerifyResult], list[BadFile]]:
    """Verify every snapshot, newest first; the second list is about LATEST and the orphans. Raises OutputError."""
    verdicts: list[VerifyResult] = []
    tables_by_id: dict[str, frozenset[str] | None] = {}
    for snapshot_id in known_ids(root):
        try:
            verdict, tables_by_id[snapshot_id] = _verify_known(root, snapshot_id)
        except OutputError as error:
            if snapshot_id not in known_ids(root):
                continue
            verdict = VerifyResult(snapshot_id, bad_files=(BadFile(manifest_path(snapshot_id), str(error)),))
            tables_by_id[snapshot_id] = None
        verdicts.append(verdict)
    return verdicts, [*_check_latest(root, verdicts), *_orphans(root, tables_by_id)]


def _verify_known(root: OutputLocation, snapshot_id: str) -> tuple[VerifyResult, frozenset[str] | None]:
    if not is_snapshot_id(snapshot_id):
        raise OutputError(f"unknown snapshot ID {snapshot_id[:80]!r}; run `snapshots list` to see all IDs")
    if snapshot_id not in known_ids(root):
        raise OutputError(f"{root} has no snapshot {snapshot_id}; run `snapshots list` to see all IDs")
    verdict, tables = _verify(root, snapshot_id)
    if verdict.bad_files and snapshot_id not in known_ids(root):
        raise OutputError(f"snapshot {snapshot_id} was removed while it was read")
    return verdict, tables


def _verify(root: OutputLocation, snapshot_id: str) -> tuple[VerifyResult, frozenset[str] | None]:
    """Return the result and the snapshot's tables, None if its manifest can't be read."""
    path = manifest_path(snapshot_id)
    text, reason = _content(root, path, MANIFEST_BYTES)
    if text is None:
        return VerifyResult(snapshot_id, bad_files=(BadFile(path, reason),)), None
    bad = list(_check_checksum(root, snapshot_id, text))
    sha256 = hashlib.sha256(text).hexdigest()
    try:
        manifest = manifests.decode(text, path)
    except OutputError as error:
        return VerifyResult(snapshot_id, manifest_sha256=sha256, bad_files=(BadFile(path, str(error)), *bad)), None
    if manifest.snapshot_id != snapshot_id:
        bad.append(BadFile(path, f"is the manifest of another snapshot, {manifest.snapshot_id}"))
        return VerifyResult(snapshot_id, manifest_sha256=sha256, bad_files=tuple(bad)), None
    bad += _check_files(root, manifest)
    tables = manifest.tables.values()
    verdict = VerifyResult(
        snapshot_id,
        manifest.status,
        files=sum(len(entry.files) for entry in tables) + 1,
        rows=sum(entry.rows for entry in tables),
        bytes=sum(entry.bytes for entry in tables) + manifest.ledger.bytes,
        manifest_sha256=sha256,
        can_be_latest=manifest.can_be_latest,
        replaced_latest=manifest.replaced_latest or "",
        bad_files=tuple(bad),
    )
    return verdict, frozenset(manifest.tables)


def _check_checksum(root: OutputLocation, snapshot_id: str, text: bytes) -> Iterator[BadFile]:
    path = checksum_path(snapshot_id)
    line, reason = _content(root, path, LINE_BYTES)
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
    owners = {(file.bytes, file.sha256): file.path for file, _ in jobs}
    sizes = frozenset(size for size, _ in owners)

    def check(job: tuple[PartFile, TableEntry]) -> str:
        return _wrong_file(root, job[0], owners, sizes, partial(_wrong_part, file=job[0], entry=job[1]))

    with ThreadPoolExecutor(_THREADS_DISK if isinstance(root, Path) else _THREADS_BUCKET) as threads:
        reasons = list(threads.map(check, jobs))
    bad = [BadFile(file.path, reason) for (file, _), reason in zip(jobs, reasons, strict=True) if reason]
    ledger = _wrong_file(root, manifest.ledger, {}, frozenset(), partial(_wrong_ledger, manifest=manifest))
    bad += [BadFile(manifest.ledger.path, ledger)] if ledger else []
    unlisted = unlisted_files(root, manifest) if isinstance(root, Path) else ()
    return [*bad, *_wrong_sums(manifest), *unlisted]


def _wrong_file(
    root: OutputLocation,
    file: PartFile,
    owners: Mapping[tuple[int, str], str],
    sizes: frozenset[int],
    wrong_content: Callable[[io.BufferedIOBase], str],
) -> str:
    """Return how the file differs from the manifest; empty if it doesn't. `owners`: size and hash → path.

    `wrong_content` says the same of a file with the right bytes: it may have been written wrongly.

    A file whose size no file of the manifest has isn't read to its end: it may be of any size.
    """
    try:
        with _opened(root, file.path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            if size != file.bytes and size not in sizes:
                return f"has {size} bytes, its manifest says {file.bytes}"
            sha256 = sha256_of(stream)
            stream.seek(0)
            if (size, sha256) == (file.bytes, file.sha256):
                return wrong_content(stream)
    except FileNotFoundError:
        return _MISSING
    except (OSError, OutputError) as error:
        _raise_if_short(error)
        return _reason(error)
    if (size, sha256) in owners:
        return f"has the content of {owners[size, sha256]}"
    if size != file.bytes:
        return f"has {size} bytes, its manifest says {file.bytes}"
    return f"isn't what was committed: its SHA-256 is {sha256[:_SHOWN]}…, its manifest says {file.sha256[:_SHOWN]}…"


def _wrong_part(stream: io.BufferedIOBase, file: PartFile, entry: TableEntry) -> str:
    """Return how a part with the right bytes differs from the manifest."""
    try:
        with pq.ParquetFile(stream) as part:
            rows, schema = part.metadata.num_rows, part.schema_arrow
            sha256 = manifests.schema_sha256(schema)
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        _raise_if_short(error)
        return f"isn't readable Parquet: {type(error).__name__}"
    if rows != file.rows:
        return f"has {rows} rows, its manifest says {file.rows}"
    return "" if sha256 == entry.schema_sha256 else "has another schema than its manifest says"


def _raise_if_short(error: Exception) -> None:
    """Raise the cause if this machine lacks memory or open files: that says nothing about the file."""
    cause = error.__cause__ if isinstance(error, OutputError) and error.__cause__ is not None else error
    if describe_shortage(cause):
        raise cause


def _wrong_ledger(stream: io.BufferedIOBase, manifest: Manifest) -> str:
    """Return how a ledger with the right bytes differs from the manifest."""
    ledger = StoredLedger(stream, manifest.ledger.path)
    try:
        ledger.check()
        if len(ledger) != manifest.ledger.rows:
            return f"has {len(ledger)} rows, its manifest says {manifest.ledger.rows}"
        if manifests.count_scopes(ledger, manifest.format) != manifest.scopes:
            return "has other scopes than its manifest says"
        if (status := manifests.status_of(ledger, manifest.directory)) != manifest.status:
            return f"makes the snapshot {status}, its manifest says {manifest.status}"
    except OutputError as error:
        _raise_if_short(error)
        return str(error)
    return ""


def _wrong_sums(manifest: Manifest) -> Iterator[BadFile]:
    for table, entry in manifest.tables.items():
        sums = sum(file.rows for file in entry.files), sum(file.bytes for file in entry.files)
        if sums != (entry.rows, entry.bytes):
            yield BadFile(manifest_path(manifest.snapshot_id), f"doesn't add up: {table}'s files have other sums")


def _check_latest(root: OutputLocation, verdicts: Iterable[VerifyResult]) -> Iterator[BadFile]:
    """Yield the error of LATEST. It may name an older complete snapshot while a crawl still moves it."""
    replaced = {verdict.replaced_latest for verdict in verdicts if verdict.can_be_latest}
    complete = [found.snapshot_id for found in verdicts if found.can_be_latest and found.snapshot_id not in replaced]
    unreadable = {verdict.snapshot_id for verdict in verdicts if not verdict.status}
    lags = bool(complete) and complete[0] not in _moving_ids(root)
    content, reason = _content(root, LATEST, LINE_BYTES)
    named = (content or b"").decode("ascii", "replace").removesuffix("\n")
    if content is None:
        if lags or reason != _MISSING:
            yield BadFile(LATEST, reason)
    elif named not in {*complete, *unreadable}:
        yield BadFile(LATEST, f"names {named[:80]!a}, which is not a complete snapshot here")
    elif named in complete[1:] and lags:
        yield BadFile(LATEST, f"names {named}, and the newest complete snapshot is {complete[0]}")


def _opened(root: OutputLocation, path: str) -> io.BufferedReader:
    """Open a file to read; one of a bucket is read by ranges. Raises OSError or OutputError."""
    return (Folder(root) if isinstance(root, Path) else root).opened(path)


def _content(root: OutputLocation, path: str, limit: int) -> tuple[bytes | None, str]:
    """Return a small file's content, or None and the reason."""
    try:
        content = storage_of(root).read(path, limit)
    except OutputError as error:
        return None, _reason(error)
    return content, "" if content is not None else _MISSING


def _reason(error: OSError | OutputError) -> str:
    """Return the reason in words that follow the file's path."""
    cause = error.__cause__ if isinstance(error, OutputError) else error
    if isinstance(cause, UnfitFileError):
        return str(cause)
    return f"can't be read: {reason_of(cause) if isinstance(cause, OSError) else error}"


def known_ids(root: OutputLocation) -> list[str]:
    """Return the IDs of snapshots that have a file in the folder of the manifests, newest first. Raises OutputError.

    A snapshot without a manifest is left out while a crawl or a `prune` moves it, also after either was killed.
    """
    found: dict[str, set[str]] = {}
    for name in storage_of(root).names(SNAPSHOTS):
        if match := _OWN_NAME.fullmatch(name):
            found.setdefault(match[1], set()).add(match[2])
    moving = _moving_ids(root)
    ids = (name for name, kinds in found.items() if is_snapshot_id(name) and ("json" in kinds or name not in moving))
    return sorted(ids, reverse=True)


def _moving_ids(root: OutputLocation) -> set[str]:
    """Return the IDs that crawls are writing and those that a `prune` is removing. Raises OutputError."""
    names = storage_of(root).names(STAGING)
    return {name for name in names if is_snapshot_id(name)} | {pruned_id(name) for name in names} - {""}


def _orphans(root: OutputLocation, tables_by_id: dict[str, frozenset[str] | None]) -> list[BadFile]:
    """Return the orphans that are still there, sorted. Raises OutputError."""
    if not isinstance(root, Path):
        return []
    moving = _moving_ids(root)
    found = list(find_orphans(root, {**dict.fromkeys(moving), **tables_by_id}))
    # A crawl may have committed a snapshot, or a `prune` begun to remove one, during the search.
    moving = {*moving, *_moving_ids(root), *known_ids(root)}
    orphans = [orphan for orphan, snapshot_id in found if snapshot_id not in moving]
    return sorted((orphan for orphan in orphans if os.path.lexists(root / orphan.path)), key=lambda orphan: orphan.path)
