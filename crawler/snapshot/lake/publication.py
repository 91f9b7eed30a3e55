"""The publication of a snapshot: which lake tables move to it, and in which order.

A lake table's commit only names files that the output has already. Tables whose content is replaced are at LATEST, and
tables with the rows of many snapshots have those of complete ones: partial snapshots and those of a narrowed crawl
aren't published, since the missing rows would look deleted. The lake's own tables say so: a partial snapshot has rows
in `_scopes` and `_snapshots`, too.

Each table moves by one atomic commit with the snapshot's ID, `_snapshots` at last. So a committed snapshot that isn't
in `_snapshots` is one whose crawl was stopped before it had moved all tables: the next publication does that. A commit
that is tried again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import CrawlError, OutputError, UnfinishedCommitError
from crawler.snapshot.lake.base import SCOPES, SNAPSHOT_TABLE, Lake, LakeSettings, TableContent
from crawler.snapshot.lake.catalog import reason_of
from crawler.snapshot.lake.footers import read_statistics
from crawler.snapshot.lake.own_tables import (
    SCOPES_SCHEMA,
    SNAPSHOTS_SCHEMA,
    remove_file,
    scope_rows,
    snapshot_rows,
    write_rows,
)
from crawler.snapshot.layout import manifest_path, started_at
from crawler.snapshot.limits import MANIFEST_BYTES
from crawler.snapshot.manifest import is_unpublished_part
from crawler.snapshot.reader import BucketReader, read_ledger, read_manifest, snapshot_ids, storage_of

if TYPE_CHECKING:
    import pyarrow as pa

    from crawler.snapshot.ledger import LedgerView
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.reader import OutputLocation
    from crawler.snapshot.rows.statistics import PartStatistics

_SORTED_FIRST = ("account_id", "region_id")
_LEDGER_ORDER = ("table", "account_id", "region_id")
# Crawls of one output that overlap began within this time.
_OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A committed snapshot that isn't in the lake yet."""

    manifest: Manifest
    ledger: LedgerView

    @property
    def snapshot_id(self) -> str:
        return self.manifest.snapshot_id

    @property
    def tables(self) -> list[str]:
        return sorted(table for table, figures in self.ledger.by_table.items() if figures.written)


class Publication:
    """One publication. `moved` has the tables with a new commit, `problems` a sentence for each snapshot left out."""

    def __init__(
        self,
        lake: Lake,
        schemas: Mapping[str, pa.Schema],
        keys: Mapping[str, Sequence[str]],
        statistics: Mapping[str, PartStatistics],
        on_step: Callable[[int, int], object],
    ) -> None:
        self.moved: set[str] = set()
        self.problems: list[str] = []
        self._lake = lake
        self._schemas = schemas
        self._keys = keys
        self._statistics = statistics
        # Those of the files of snapshots that were missed.
        self._read: dict[str, PartStatistics] = {}
        self._on_step = on_step
        self._location = _location(lake.settings)
        self._committed: list[str] = []

    def run(self, manifest: Manifest, ledger: LedgerView) -> None:
        """Move the tables to a snapshot, after those that were missed. Raises UnfinishedCommitError.

        A snapshot that a `prune` has removed since its commit isn't published: a newer one is complete. Where LATEST
        left a snapshot from the future, the tables leave it, too.
        """
        if is_unpublished_part(manifest.selection):
            return
        self._committed = snapshot_ids(self._location)
        if manifest.snapshot_id not in self._committed:
            return
        recorded = self._lake.added([SNAPSHOT_TABLE])
        waiting = [*self._missed(recorded, manifest), _Waiting(manifest, ledger)]
        moves = [(each, table) for each in self._moving(waiting) for table in each.tables if table in self._schemas]
        owed = [each for each in waiting if each.snapshot_id not in recorded]
        steps, total = 0, len(moves) + 2 * len(owed)
        for each, table in moves:
            with unfinished(each.manifest, f"table {table} isn't moved to it; the next crawl moves it"):
                self._move(self._content(each, table))
            self._on_step(steps := steps + 1, total)
        for each in owed:
            for table in (SCOPES, SNAPSHOT_TABLE):
                with unfinished(each.manifest, f"table {table} isn't moved to it; the next crawl moves it"):
                    self._add_rows(each, table)
                self._on_step(steps := steps + 1, total)

    def _missed(self, recorded: set[str], own: Manifest) -> list[_Waiting]:
        """Return the snapshots that were committed and not recorded, oldest first, since the lake has been recording.

        A damaged snapshot is left out. Its parts are looked at if a table may move to it.
        """
        is_passed = own.can_be_latest and self._lake.settings.mode == "replace"
        found = []
        for snapshot_id in self._unrecorded(recorded, own.snapshot_id):
            try:
                manifest = read_manifest(self._location, snapshot_id)
                if is_unpublished_part(manifest.selection):
                    continue
                each = _Waiting(manifest, read_ledger(self._location, manifest))
                if manifest.can_be_latest and not is_passed:
                    self._read_statistics(manifest)
                found.append(each)
            except OutputError as error:
                self.problems.append(f"snapshot {snapshot_id} isn't added to the lake: {error}")
        return found

    def _unrecorded(self, recorded: set[str], own: str) -> list[str]:
        """Return the snapshots that a stopped crawl may have left, oldest first.

        Crawls that overlapped the newest recorded one may have been slower. A recorded snapshot from the future, of a
        clock that was wrong, is not the newest one. The first crawl of a lake may have been stopped, too: then some
        table has its rows, and none is recorded.
        """
        others = sorted(set(self._committed) - recorded - {own})
        if not recorded:
            tables = [SCOPES, *(self._schemas if self._lake.settings.mode == "append" else ())]
            begun = self._lake.added(tables) if others else set()
            return [snapshot_id for snapshot_id in others if snapshot_id in begun]
        newest = max((snapshot_id for snapshot_id in recorded if snapshot_id < own), default=own)
        oldest, since = min(recorded), started_at(newest) - _OVERLAP
        return [snapshot_id for snapshot_id in others if snapshot_id > oldest and started_at(snapshot_id) >= since]

    def _read_statistics(self, manifest: Manifest) -> None:
        for table, entry in manifest.tables.items():
            if table in self._schemas:
                self._read |= {file.path: self._describe(file) for file in entry.files if file.rows}

    def _describe(self, file: PartFile) -> PartStatistics:
        found = self._statistics.get(file.path) or self._read.get(file.path)
        return found or read_statistics(self._lake.settings, file)

    def _moving(self, waiting: Sequence[_Waiting]) -> list[_Waiting]:
        """Return the snapshots to which the tables of the cloud's resources move: all, or the last."""
        whole = [each for each in waiting if each.manifest.can_be_latest]
        return whole if self._lake.settings.mode == "append" else whole[-1:]

    def _content(self, each: _Waiting, table: str) -> TableContent:
        manifest = each.manifest
        entry = manifest.tables.get(table)
        return TableContent(
            table,
            self._schemas[table],
            (*_SORTED_FIRST, *self._keys.get(table, ())),
            [file for file in entry.files if file.rows] if entry is not None else [],
            self._describe,
            manifest.snapshot_id,
            manifest.finished_at if manifest.replaced_latest else None,
            self._lake.settings.mode == "append",
            self._committed,
        )

    def _add_rows(self, each: _Waiting, table: str) -> None:
        """Write a snapshot's rows of one of the lake's own tables, and add them."""
        settings, snapshot_id = self._lake.settings, each.snapshot_id
        order: tuple[str, ...] = ("snapshot_id",)
        if table == SCOPES:
            schema, rows, order = SCOPES_SCHEMA, scope_rows(snapshot_id, each.ledger), _LEDGER_ORDER
        else:
            text = storage_of(self._location).read(manifest_path(snapshot_id), MANIFEST_BYTES) or b""
            rows = snapshot_rows(each.manifest, hashlib.sha256(text).hexdigest())
            schema = SNAPSHOTS_SCHEMA
        file, statistics = write_rows(settings, table, snapshot_id, schema, rows)
        content = TableContent(
            table,
            schema,
            order,
            [file],
            lambda _: statistics,
            snapshot_id,
            is_added=True,
            committed=self._committed,
        )
        if not self._move(content):
            remove_file(settings, file)

    def _move(self, content: TableContent) -> bool:
        is_moved = self._lake.move(content)
        if is_moved:
            self.moved.add(content.table)
        return is_moved


@contextmanager
def unfinished(manifest: Manifest, what: str) -> Iterator[None]:
    """Raise UnfinishedCommitError for any error: the snapshot is committed, and `what` is said of the lake."""
    try:
        yield
    except UnfinishedCommitError:
        raise
    except Exception as error:  # noqa: BLE001
        # The errors come from several libraries, whose texts may contain URLs with passwords.
        reason = str(error) if isinstance(error, CrawlError) else reason_of(error)
        raise UnfinishedCommitError(
            f"snapshot {manifest.snapshot_id} is committed, but the lake's {what}: {reason}"
        ) from None


def _location(settings: LakeSettings) -> OutputLocation:
    return settings.root if isinstance(settings.root, Path) else BucketReader(settings.root, settings.keys)
