"""Going on where a crawl was killed: which one, what of it is taken over, and what is removed.

A scope is taken over when it was whole, its files are byte by byte what its journal says, and the scopes above it are
taken over too: then its rows, and the lists below it, are those of a crawl that was never interrupted. Everything else
is asked for again. All of it runs under the output's lock.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.disk import remove_tree
from crawler.snapshot.folder.journal import journal_path, read_journal
from crawler.snapshot.layout import STAGING, is_snapshot_id, staged
from crawler.snapshot.status import has_rows, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.folder.journal import JournalEntry, ResumeConditions
    from crawler.snapshot.manifest import PartFile

# Rows of one snapshot shouldn't be further apart in time than this.
MAX_AGE = timedelta(hours=6)

_ANEW = "crawl without --resume, which begins anew"


def newest_unfinished(disk: Disk, now: datetime) -> tuple[ResumeConditions, list[JournalEntry]]:
    """The newest crawl that was neither committed nor decided, as its journal has it.

    Raises ConfigError, which says why, where there is none to go on with; OutputError where it can't be read.
    """
    names = [name for name in disk.names(STAGING) if is_snapshot_id(name)]
    if not names:
        raise ConfigError(f"--resume: {disk.root} has no unfinished crawl; {_ANEW}")
    found = read_journal(disk, names[-1])
    if found is None:
        raise ConfigError(f"--resume: the unfinished crawl {names[-1]} ended before its lists began; {_ANEW}")
    age = now - found[0].started_at
    if age > MAX_AGE:
        hours = f"{age.total_seconds() / 3600:.1f} h ago, more than {MAX_AGE.total_seconds() / 3600:g} h"
        raise ConfigError(f"--resume: the unfinished crawl {names[-1]} began {hours}; {_ANEW}")
    return found


def check_terms(then: ResumeConditions, now: ResumeConditions) -> None:
    """Raise ConfigError, which says what differs, unless a crawl may go on where another ended."""
    if then.plan_sha256 != now.plan_sha256:
        what = "other accounts, regions, tables or columns"
    else:
        keys = sorted(then.conditions.keys() | now.conditions.keys())
        what = ", ".join(f"another {key}" for key in keys if then.conditions.get(key) != now.conditions.get(key))
    if what:
        raise ConfigError(f"--resume: the unfinished crawl {then.snapshot_id} was begun with {what}; {_ANEW}")


def take_over(
    disk: Disk, snapshot_id: str, records: Sequence[JournalEntry], families: Mapping[str, Sequence[str]]
) -> list[JournalEntry]:
    """The records to go on with, parents first; all else that was staged is removed. Raises OutputError.

    `families`: every table of the plan → the tables right above it.
    """
    taken: dict[tuple[str, str, str], JournalEntry] = {}
    for record in records:
        table, *target = record.scope
        has_parents = all((parent, *target) in taken for parent in families[table])
        below = {name for name, parents in families.items() if table in parents}
        if has_parents and _is_usable(record, below) and _is_intact(disk, snapshot_id, record):
            taken[record.scope] = record
        else:
            taken.pop(record.scope, None)
    kept = {staged(snapshot_id, file.path) for record in taken.values() for file in record.files}
    _remove_others(disk, staged(snapshot_id), {*kept, journal_path(snapshot_id)})
    for name in disk.names(STAGING):
        if is_snapshot_id(name) and name != snapshot_id:
            remove_tree(disk, staged(name))
    return list(taken.values())


def _is_usable(record: JournalEntry, below: set[str]) -> bool:
    """Whether it was whole, adds up, and says which lists to ask for in every table below."""
    row, rows = record.row, sum(file.rows for file in record.files)
    wanted = row.rows if row.written and has_rows(row.status) else 0
    return is_whole(row.status) and rows == wanted and all(record.lists.get(table) is not None for table in below)


def _is_intact(disk: Disk, snapshot_id: str, record: JournalEntry) -> bool:
    return all(_is_same(disk, staged(snapshot_id, file.path), file) for file in record.files)


def _is_same(disk: Disk, place: str, file: PartFile) -> bool:
    found = disk.stat(place)
    if found is None or found.st_size != file.bytes:
        return False
    try:
        with os.fdopen(disk.open_for_reading(place), "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256
    except OSError as error:
        raise OutputError(f"can't read {place}: {os.strerror(error.errno or 0)}") from error


def _remove_others(disk: Disk, path: str, kept: set[str]) -> None:
    """Remove everything under a folder but these files and the folders that they are in."""
    for name in disk.names(path):
        place = f"{path}/{name}"
        if not disk.is_folder(place):
            if place not in kept:
                disk.unlink(place)
            continue
        _remove_others(disk, place, kept)
        if not disk.names(place):
            disk.remove_folder(place)
