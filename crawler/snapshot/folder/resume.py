"""The resume of an interrupted crawl: which crawl, which of its scopes are reused, which files are removed.

A scope is reused if it was whole, if its files are byte by byte those of its journal entry, and if the scopes of its
parents are reused, too. Then its rows and the lists of its children are those of an uninterrupted crawl. All other
scopes are requested again. All functions need the output's lock.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.disk import check_depth, remove_tree, sha256_of
from crawler.snapshot.folder.journal import journal_path, read_journal
from crawler.snapshot.layout import STAGING, is_snapshot_id, staged
from crawler.snapshot.status import has_rows, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.folder.journal import JournalEntry, ResumeConditions
    from crawler.snapshot.manifest import PartFile

# The rows of one snapshot shouldn't be further apart in time than this.
MAX_AGE = timedelta(hours=6)

_START_OVER = "crawl without --resume to start a new one"


def newest_unfinished(disk: Disk, now: datetime) -> tuple[ResumeConditions, list[JournalEntry]]:
    """Return the journal of the newest crawl that isn't committed.

    Raises ConfigError with the reason if there is no crawl to resume, OutputError if the journal can't be read.
    """
    names = [name for name in disk.names(STAGING) if is_snapshot_id(name)]
    if not names:
        raise ConfigError(f"--resume: {disk.root} has no unfinished crawl; {_START_OVER}")
    found = read_journal(disk, names[-1])
    if found is None:
        raise ConfigError(f"--resume: the unfinished crawl {names[-1]} ended before it requested a list; {_START_OVER}")
    # The clock may still be as wrong as it was, or have been set since.
    age = min(now, now + timedelta(seconds=found[0].clock_skew_s)) - found[0].started_at
    if age > MAX_AGE:
        hours = f"{age.total_seconds() / 3600:.1f} h ago, more than {MAX_AGE.total_seconds() / 3600:g} h"
        raise ConfigError(f"--resume: the unfinished crawl {names[-1]} began {hours}; {_START_OVER}")
    return found


def check_conditions(earlier: ResumeConditions, now: ResumeConditions) -> None:
    """Raise ConfigError with the differences unless this crawl may resume the earlier one."""
    if earlier.plan_sha256 != now.plan_sha256:
        differences = "other accounts, regions, tables or columns"
    else:
        keys = sorted(earlier.conditions.keys() | now.conditions.keys())
        changed = [key for key in keys if earlier.conditions.get(key) != now.conditions.get(key)]
        differences = ", ".join(f"another {key}" for key in changed)
    if differences:
        raise ConfigError(
            f"--resume: the unfinished crawl {earlier.snapshot_id} was begun with {differences}; {_START_OVER}"
        )


def reuse_finished(
    disk: Disk, snapshot_id: str, entries: Sequence[JournalEntry], parents_by_table: Mapping[str, Sequence[str]]
) -> list[JournalEntry]:
    """Return the entries whose scopes are reused, parents first, and remove all other staged files.

    `parents_by_table`: every table of the plan → its parent tables. Raises OutputError.
    """
    reused: dict[tuple[str, str, str], JournalEntry] = {}
    for entry in entries:
        table, *target = entry.scope
        if table not in parents_by_table:
            continue
        has_parents = all((parent, *target) in reused for parent in parents_by_table[table])
        children = {name for name, parents in parents_by_table.items() if table in parents}
        if has_parents and _is_usable(entry, children) and _is_intact(disk, snapshot_id, entry):
            reused[entry.scope] = entry
        else:
            reused.pop(entry.scope, None)
    kept = {staged(snapshot_id, file.path) for entry in reused.values() for file in entry.files}
    _remove_others(disk, staged(snapshot_id), {*kept, journal_path(snapshot_id)})
    for name in disk.names(STAGING):
        if is_snapshot_id(name) and name != snapshot_id:
            remove_tree(disk, staged(name))
    return list(reused.values())


def _is_usable(entry: JournalEntry, children: set[str]) -> bool:
    """Return whether the scope was whole, its counts agree, and the lists of every child table are known."""
    row, rows = entry.row, sum(file.rows for file in entry.files)
    wanted = row.rows if row.written and has_rows(row.status) else 0
    return is_whole(row.status) and rows == wanted and all(entry.lists.get(table) is not None for table in children)


def _is_intact(disk: Disk, snapshot_id: str, entry: JournalEntry) -> bool:
    return all(_is_same(disk, staged(snapshot_id, file.path), file) for file in entry.files)


def _is_same(disk: Disk, path: str, file: PartFile) -> bool:
    found = disk.stat(path)
    if found is None or found.st_size != file.bytes:
        return False
    try:
        with os.fdopen(disk.open_for_reading(path), "rb") as opened:
            return sha256_of(opened) == file.sha256
    except OSError as error:
        raise OutputError(f"can't read {path}: {os.strerror(error.errno or 0)}") from error


def _remove_others(disk: Disk, path: str, kept: set[str]) -> None:
    """Remove everything under a folder except these files and the folders that they are in."""
    check_depth(path)
    for name in disk.names(path):
        inner = f"{path}/{name}"
        if not disk.is_folder(inner):
            if inner not in kept:
                disk.unlink(inner)
            continue
        _remove_others(disk, inner, kept)
        if not disk.names(inner):
            disk.remove_folder(inner)
