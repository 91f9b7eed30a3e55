"""The search for orphans: files that a reader with a glob pattern takes along, although no manifest lists them.

DuckDB and Polars read `*.parquet` at any depth, also under a name that begins with a dot, and follow links. pyarrow and
Spark read a whole folder, except names that begin with a dot or an underscore. A Delta table's log is no orphan, nor is
a file of a user beside the snapshots that isn't Parquet. Only for local outputs: buckets are read by the manifest. No
link is followed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from crawler.local_files import UnfitFileError, open_below, reason_of
from crawler.snapshot.layout import is_snapshot_id, snapshot_date, table_folder
from crawler.snapshot.limits import FOLDER_DEPTH, FOLDER_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from crawler.snapshot.manifest import Manifest

_READ = "but a reader with a glob pattern reads it"
_UNLISTED = f"isn't in the snapshot's manifest, {_READ}"
_ORPHAN_FILE = f"is in no snapshot's manifest, {_READ}"
_ORPHAN_FOLDER = f"is of a snapshot without a manifest, {_READ}"
_TOO_DEEP = f"has folders nested more than {FOLDER_DEPTH} deep, which aren't searched"
_TOO_MANY = f"has more than {FOLDER_NAMES:,} names, of which the others aren't searched"

_HIDDEN = (".", "_")
_MAGIC = b"PAR1"
_DELTA_LOG = "_delta_log"
_DATE, _SNAPSHOT = "snapshot_date=", "snapshot="


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file, relative to the root, that differs from the committed one, and the reason."""

    path: str
    reason: str


def unlisted_files(root: Path, manifest: Manifest) -> Iterator[BadFile]:
    """Yield the orphans in a snapshot's own folders."""
    for table, entry in manifest.tables.items():
        listed = {file.path for file in entry.files}
        for found in _walk(root, table_folder(table, manifest.snapshot_id), _UNLISTED):
            if found.path not in listed:
                yield found


def find_orphans(root: Path, tables_by_id: Mapping[str, frozenset[str] | None]) -> Iterator[tuple[BadFile, str]]:
    """Yield the orphans in all tables' folders, except in those that `unlisted_files` searches.

    `tables_by_id`: ID of a known snapshot → its tables, None if its manifest can't be read. For the folder of another
    snapshot, which may have been committed meanwhile, its ID comes with it.
    """
    known = {table for tables in tables_by_id.values() for table in tables or ()}
    for entry in _entries(root)[0]:
        if entry.name.startswith("_") or not (entry.name in known or _has_dates(entry)):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _search_table(root, entry.name, tables_by_id)
        elif entry.is_dir():
            yield BadFile(entry.name, _ORPHAN_FILE), ""


def _search_table(
    root: Path, table: str, tables_by_id: Mapping[str, frozenset[str] | None]
) -> Iterator[tuple[BadFile, str]]:
    skipped = {f"{table}/{_DELTA_LOG}"}
    for path, snapshot_id in _snapshot_folders(root, table):
        if snapshot_id not in tables_by_id:
            yield BadFile(path, _ORPHAN_FOLDER), snapshot_id
            skipped.add(path)
        elif (tables := tables_by_id[snapshot_id]) is None or table in tables:
            skipped.add(path)
    for found in _walk(root, table, _ORPHAN_FILE, skipped):
        if found.path.endswith(".parquet") or found.reason != _ORPHAN_FILE or _is_parquet(root, found.path):
            yield found, ""


def _snapshot_folders(root: Path, table: str) -> Iterator[tuple[str, str]]:
    """Yield the folders of a table in which a snapshot's files can be, each with the snapshot's ID."""
    for date in _entries(root / table)[0]:
        if not date.name.startswith(_DATE) or not date.is_dir(follow_symlinks=False):
            continue
        for entry in _entries(root / table / date.name)[0]:
            path, snapshot_id = f"{table}/{date.name}/{entry.name}", entry.name.removeprefix(_SNAPSHOT)
            if (
                is_snapshot_id(snapshot_id)
                and path == f"{table}/{_DATE}{snapshot_date(snapshot_id)}/{_SNAPSHOT}{snapshot_id}"
                and entry.is_dir(follow_symlinks=False)
            ):
                yield path, snapshot_id


def _walk(root: Path, top: str, reason: str, skipped: Collection[str] = ()) -> Iterator[BadFile]:
    """Yield all files below a folder that some reader takes along, and each folder that can't be searched."""
    pending = [top]
    while pending:
        folder = pending.pop()
        entries, problem = _entries(root / folder)
        if folder.count("/") > FOLDER_DEPTH:
            entries, problem = [], _TOO_DEEP
        if problem:
            yield BadFile(folder, problem)
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if path in skipped:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif _is_read(path.removeprefix(f"{top}/")) or entry.is_dir():
                yield BadFile(path, reason)


def _is_parquet(root: Path, path: str) -> bool:
    """Return whether a file with another name is Parquet by its first bytes, or isn't a regular file."""
    try:
        fd = open_below(root, path)
    except UnfitFileError:
        return True
    except OSError:
        return False
    try:
        return os.read(fd, len(_MAGIC)) == _MAGIC
    finally:
        os.close(fd)


def _is_read(path: str) -> bool:
    return path.endswith(".parquet") or not any(name.startswith(_HIDDEN) for name in path.split("/"))


def _has_dates(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a folder like a table's, for the globs of docs/reading.md."""
    try:
        with os.scandir(entry.path) as children:
            return any(child.name.startswith(_DATE) for child in islice(children, FOLDER_NAMES))
    except OSError:
        return False


def _entries(folder: Path) -> tuple[list[os.DirEntry[str]], str]:
    """Return the entries of a folder by name, and the reason if these aren't all. A folder that is gone has none."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(islice(found, FOLDER_NAMES + 1), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    except OSError as error:
        return [], f"can't be searched: {reason_of(error)}"
    return entries[:FOLDER_NAMES], _TOO_MANY if len(entries) > FOLDER_NAMES else ""
