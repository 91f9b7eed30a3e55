"""The resume of an interrupted crawl: which crawl, which of its scopes are reused, which files are removed.

A scope is reused if it was whole, if its rows in the journals are undamaged, if its own parts are byte by byte those of
its journal entry, and if the scopes of its parents are reused, too. Then its rows and the lists of its children are
those of an uninterrupted crawl. All other scopes are requested again, and parts of many scopes are written again. All
functions need the output's lock.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from crawler.errors import CannotResumeError, OutputError
from crawler.snapshot.disk import check_depth, remove_tree, sha256_of
from crawler.snapshot.journal import Journal, Unfinished, journal_path, read_journals
from crawler.snapshot.layout import STAGING, is_snapshot_id, staged
from crawler.snapshot.rows.blocks import Block, Place
from crawler.snapshot.status import has_rows, is_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from crawler.snapshot.disk import Disk
    from crawler.snapshot.journal import JournalEntry, ResumeConditions
    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.rows.blocks import TableLayout

# The rows of one snapshot shouldn't be further apart in time than this.
MAX_AGE = timedelta(hours=6)

START_OVER = "crawl without --resume to start a new one"


def age_of(started_at: datetime, clock_skew_s: float, now: datetime) -> timedelta:
    """Return how long ago a crawl began. `now` is this machine's time, to which the crawl added `clock_skew_s`."""
    # The clock may still be as wrong as it was, or have been set since.
    return min(now, now + timedelta(seconds=clock_skew_s)) - started_at


def newest_unfinished(disk: Disk, now: datetime) -> Unfinished:
    """Return the journals of the newest crawl that isn't committed.

    Raises ConfigError with the reason if there is no crawl to resume, OutputError if the journal can't be read.
    """
    names = [name for name in disk.names(STAGING) if is_snapshot_id(name)]
    if not names:
        raise CannotResumeError(f"--resume: {disk.root} has no unfinished crawl; {START_OVER}")
    found = read_journals(disk, names[-1])
    if found is None:
        reason = "ended before it requested a list, or was begun by an earlier version"
        raise CannotResumeError(f"--resume: the unfinished crawl {names[-1]} {reason}; {START_OVER}")
    age = age_of(found.conditions.started_at, found.conditions.clock_skew_s, now)
    if age > MAX_AGE:
        hours = f"{age.total_seconds() / 3600:.1f} h ago, more than {MAX_AGE.total_seconds() / 3600:g} h"
        raise CannotResumeError(f"--resume: the unfinished crawl {names[-1]} began {hours}; {START_OVER}")
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
        raise CannotResumeError(
            f"--resume: the unfinished crawl {earlier.snapshot_id} was begun with {differences}; {START_OVER}"
        )


def reuse_finished(
    disk: Disk, snapshot_id: str, unfinished: Unfinished, parents_by_table: Mapping[str, Sequence[str]]
) -> Unfinished:
    """Return the scopes that are reused, parents first, and remove all staged files but their own and the journals.

    `parents_by_table`: every table of the plan → its parent tables. Raises OutputError.
    """
    reused: dict[tuple[str, str, str], JournalEntry] = {}
    for entry in unfinished.entries:
        table, *target = entry.scope
        if table not in parents_by_table:
            continue
        has_parents = all((parent, *target) in reused for parent in parents_by_table[table])
        children = {name for name, parents in parents_by_table.items() if table in parents}
        blocks = [unfinished.blocks.get((at.journal, at.offset)) for at in entry.rows_at]
        is_stored = all(block is not None and block.table == table for block in blocks)
        if has_parents and is_stored and _is_usable(entry, children) and _is_intact(disk, snapshot_id, entry):
            reused[entry.scope] = entry
        else:
            reused.pop(entry.scope, None)
    kept = {staged(snapshot_id, file.path) for entry in reused.values() for file in entry.files}
    journals = {journal_path(snapshot_id, number) for number in range(unfinished.journals)}
    _remove_others(disk, staged(snapshot_id), {*kept, *journals})
    for name in disk.names(STAGING):
        if is_snapshot_id(name) and name != snapshot_id:
            remove_tree(disk, staged(name))
    return replace(unfinished, entries=list(reused.values()))


def restored_blocks(
    journal: Journal, unfinished: Unfinished, layouts: Mapping[str, TableLayout]
) -> dict[str, list[Block]]:
    """Return the blocks of the reused scopes, by table. A block that has rows of other scopes, too, is written anew.

    `journal` is that of this crawl. Blocking. Raises OutputError.
    """
    owners: dict[tuple[int, int], dict[tuple[str, str], int]] = {}
    for entry in unfinished.entries:
        for at in entry.rows_at:
            owners.setdefault((at.journal, at.offset), {})[entry.scope[1:]] = at.rows
    journals = [journal.earlier(unfinished.conditions.snapshot_id, n) for n in range(unfinished.journals)]
    found: dict[str, list[Block]] = {}
    for (number, offset), rows_by_target in owners.items():
        stored = unfinished.blocks[number, offset]
        layout = layouts[stored.table]
        place = Place(journals[number], offset)
        block = Block(layout, stored.rows, stored.batch_bytes, place=place, least=stored.least, length=stored.length)
        block.checksum = stored.checksum
        batch = _read(block)
        if sum(rows_by_target.values()) != stored.rows:
            block = Block.packed(layout, _rows_of(batch, rows_by_target))
            block.put(journal.append_blocks([block])[0])
        found.setdefault(stored.table, []).append(block)
    return found


def _read(block: Block) -> pa.RecordBatch:
    """Return the rows of a stored block. Raises OutputError unless they are what its record says."""
    try:
        batch = block.to_batch()
        batch.validate(full=True)
        if batch.num_rows == block.num_rows and block.layout.least(batch) == block.least:
            return batch
    except (pa.ArrowException, OSError, ValueError):
        pass
    raise OutputError(f"--resume: the journal isn't what a crawl writes; {START_OVER}")


def _rows_of(batch: pa.RecordBatch, targets: Collection[tuple[str, str]]) -> pa.RecordBatch:
    """Return the rows of these accounts and regions."""
    places = zip(batch.column("account_id").to_pylist(), batch.column("region_id").to_pylist(), strict=True)
    return batch.filter(pa.array([place in targets for place in places], pa.bool_()))


def _is_usable(entry: JournalEntry, children: set[str]) -> bool:
    """Return whether the scope was whole, its counts agree, and the lists of every child table are known."""
    row = entry.row
    wanted = row.rows if row.written and has_rows(row.status) else 0
    return (
        is_whole(row.status) and entry.rows == wanted and all(entry.lists.get(table) is not None for table in children)
    )


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
