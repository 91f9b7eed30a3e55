"""The plan of a prune: which snapshots stay and why, which are removed. For folders and for buckets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.snapshot.lake.base import OWN_TABLES
from crawler.snapshot.lake.own_tables import remove_rows
from crawler.snapshot.layout import STAGING, is_snapshot_id, manifest_path, staged, started_at
from crawler.snapshot.manifest import is_unpublished_part
from crawler.snapshot.reader import list_snapshots, read_manifest, storage_of
from crawler.snapshot.retention import KeepRules, keep
from crawler.snapshot.shards.cleaning import spared_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from crawler.snapshot.lake.base import Lake
    from crawler.snapshot.reader import OutputLocation, SnapshotSummary

# A crawl that hasn't ended after this time holds no lock any more, and must not be resumed.
UNFINISHED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """The snapshots that stay, those to remove, the `reasons` for those that stay, the IDs of `unfinished` crawls.

    `stuck` has a sentence for each interrupted commit or removal that can't be completed.
    """

    kept: list[SnapshotSummary]
    removed: list[SnapshotSummary]
    reasons: dict[str, list[str]]
    unfinished: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


def plan_prune(root: OutputLocation, rules: KeepRules, now: datetime, lakes: Sequence[Lake] = ()) -> PrunePlan:
    """Return what a prune would do now. Writes nothing and takes no lock. Raises OutputError.

    The rules hold for each selection by itself, as those of `restic forget` hold for each set of paths: a crawl of one
    account never takes the place of a whole one. Some snapshots stay whatever the rules: the newest complete one of the
    whole configuration, the one that LATEST names, one whose files a lake table names in its content or in a version
    that stays, and any with an unreadable manifest, since its files aren't known.
    """
    found = list_snapshots(root)
    reasons: dict[str, list[str]] = {}
    for starts in _starts_by_selection(found):
        reasons |= keep(rules, starts, now)
    newest = next((entry.snapshot_id for entry in found if entry.can_be_latest), "")
    whole = next((entry.snapshot_id for entry in found if entry.can_be_latest and entry.selection is None), "")
    for entry in found:
        for applies, reason in [
            (entry.snapshot_id == newest, "newest complete"),
            (entry.snapshot_id == whole != newest, "newest complete of the whole configuration"),
            (entry.is_latest and entry.snapshot_id != newest, "LATEST names it"),
            (bool(entry.error), "its manifest can't be read"),
        ]:
            if applies:
                reasons.setdefault(entry.snapshot_id, []).append(reason)
    unkept = [entry.snapshot_id for entry in found if entry.snapshot_id not in reasons]
    for snapshot_id, tables in _tables_by_content(lakes, root, unkept):
        more = f" and {len(tables) - 1} more" if len(tables) > 1 else ""
        reasons[snapshot_id] = [f"the lake's {tables[0]}{more} is at it"]
    return PrunePlan(
        [entry for entry in found if entry.snapshot_id in reasons],
        [entry for entry in found if entry.snapshot_id not in reasons],
        reasons,
        _dead_crawls(root, now),
    )


def _starts_by_selection(found: Iterable[SnapshotSummary]) -> Collection[dict[str, datetime]]:
    """Return the starts of the snapshots by ID, one mapping per selection. A published one counts as a whole crawl."""
    groups: dict[str, dict[str, datetime]] = {}
    for entry in found:
        if entry.started_at is not None:
            selection = entry.selection
            group = selection.options if selection is not None and is_unpublished_part(selection) else ""
            groups.setdefault(group, {})[entry.snapshot_id] = entry.started_at
    return groups.values()


def expire_from(lakes: Sequence[Lake], root: OutputLocation, plan: PrunePlan) -> None:
    """Expire the snapshots that are removed from the lakes, before their files are removed. Raises OutputError."""
    expired = [entry.snapshot_id for entry in plan.removed]
    if lakes and expired:
        tables = _tables_of(root, expired)
        for lake in lakes:
            lake.expire(tables, expired)
        remove_rows(root, expired)


def _tables_by_content(
    lakes: Sequence[Lake], root: OutputLocation, snapshot_ids: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """Return those of the snapshots whose files lake tables would still name without them, each with these tables."""
    if not lakes or not snapshot_ids:
        return []
    names = _tables_of(root, snapshot_ids)
    found: dict[str, set[str]] = {}
    for lake in lakes:
        for table, ids in lake.named(names, snapshot_ids).items():
            for snapshot_id in ids:
                found.setdefault(snapshot_id, set()).add(table)
    return [
        (snapshot_id, sorted(found[snapshot_id], key=_by_cause)) for snapshot_id in snapshot_ids if snapshot_id in found
    ]


def _by_cause(table: str) -> tuple[bool, str]:
    """Sort the lake's own tables last: they have the rows of a snapshot because another table keeps it."""
    return table in OWN_TABLES, table


def _tables_of(root: OutputLocation, snapshot_ids: Iterable[str]) -> list[str]:
    """Return the lake's own tables, and those that any of the snapshots has."""
    found = {table for snapshot_id in snapshot_ids for table in read_manifest(root, snapshot_id).tables}
    return [*OWN_TABLES, *sorted(found)]


def _dead_crawls(root: OutputLocation, now: datetime) -> list[str]:
    """Return the IDs of old staged snapshots that aren't committed, nor of a run that goes on. Folders only.

    A committed one will be promoted.
    """
    if not isinstance(root, Path):
        return []
    spared, _ = spared_in(root, now)
    return [
        name
        for name in sorted(filter(is_snapshot_id, storage_of(root).names(STAGING)))
        if now - started_at(name) >= UNFINISHED_FOR
        and name not in spared
        and not (root / staged(name, manifest_path(name))).exists()
        and not (root / manifest_path(name)).exists()
    ]
