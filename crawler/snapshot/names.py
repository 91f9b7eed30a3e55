"""The names of a snapshot that users give: its ID, a part of it, a date, or its place in the order of snapshots.

Every command resolves names here, so that all of them understand the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crawler.errors import ExitCode, OutputError
from crawler.snapshot.layout import is_snapshot_id, snapshot_date
from crawler.snapshot.reader import latest_snapshot_id, read_manifest, snapshot_ids

if TYPE_CHECKING:
    from crawler.snapshot.reader import OutputLocation

_LATEST, _NEWEST = "latest", "newest"
_FORMS = "give an ID or the beginning of one, latest, latest~1, newest, or a date such as 2026-11-21"
_BACK = re.compile(r"(latest|newest)~([0-9]{1,6})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PREFIX = re.compile(r"[0-9TZa-f-]{1,21}")
_SHOWN = 3


class UnknownSnapshotError(OutputError):
    """The output has no snapshot of this name, or more than one."""

    exit_code = ExitCode.USAGE


def resolve_snapshot(root: OutputLocation, name: str, ids: Sequence[str] | None = None) -> str:
    """Return the ID of the snapshot that a name means. Raises UnknownSnapshotError, and OutputError.

    `latest` is the newest complete snapshot, as LATEST names it, `latest~N` the N-th complete one before it, `newest`
    the newest of all. A date in UTC is its newest complete snapshot. Any other text is an ID or the beginning of one.
    `ids` are the snapshots that count, newest first; by default those with a manifest.
    """
    if name == _LATEST:
        return _latest(root)
    found = snapshot_ids(root) if ids is None else list(ids)
    if name == _NEWEST:
        return _pick(root, found, 0, "snapshot")
    if match := _BACK.fullmatch(name):
        if match[1] == _NEWEST:
            return _pick(root, found, int(match[2]), "snapshot")
        latest = _latest(root)
        complete = [latest, *_complete(root, [snapshot_id for snapshot_id in found if snapshot_id < latest])]
        return _pick(root, complete, int(match[2]), "complete snapshot")
    if _DATE.fullmatch(name):
        return _of_date(root, name, found)
    return _by_prefix(root, name, found)


def _latest(root: OutputLocation) -> str:
    snapshot_id = latest_snapshot_id(root)
    if snapshot_id:
        return snapshot_id
    newest = next(iter(snapshot_ids(root)), "")
    if not newest:
        raise UnknownSnapshotError(f"{root} has no snapshot; run `crawl` first")
    raise UnknownSnapshotError(
        f"{root} has no complete snapshot of a whole crawl; name its newest one, {newest}, as newest "
        "(--snapshot newest), or give an ID that `snapshots list` shows"
    )


def _pick(root: OutputLocation, ids: Sequence[str], back: int, kind: str) -> str:
    if back < len(ids):
        return ids[back]
    number = f"only {len(ids)}" if ids else "no"
    raise UnknownSnapshotError(f"{root} has {number} {kind}{'' if len(ids) == 1 else 's'}; run `snapshots list`")


def _complete(root: OutputLocation, ids: Sequence[str]) -> list[str]:
    """Return the complete snapshots of whole crawls. One whose manifest can't be read isn't known to be."""
    complete = []
    for snapshot_id in ids:
        try:
            manifest = read_manifest(root, snapshot_id)
        except OutputError:
            continue
        if manifest.can_be_latest:
            complete.append(snapshot_id)
    return complete


def _of_date(root: OutputLocation, date: str, ids: Sequence[str]) -> str:
    of_day = [snapshot_id for snapshot_id in ids if snapshot_date(snapshot_id) == date]
    complete = _complete(root, of_day)
    if complete:
        return complete[0]
    others = f"; it has {', '.join(of_day[:_SHOWN])}, which {'is' if len(of_day) == 1 else 'are'} not complete"
    missing = f"{root} has no complete snapshot of {date} (UTC){others if of_day else ''}"
    raise UnknownSnapshotError(missing + _neighbours(root, date, ids))


def _neighbours(root: OutputLocation, date: str, ids: Sequence[str]) -> str:
    """Return which complete snapshots are the nearest to a day without one: of a month ago, any near day will do."""
    before = (snapshot_id for snapshot_id in ids if snapshot_date(snapshot_id) < date)
    after = (snapshot_id for snapshot_id in reversed(ids) if snapshot_date(snapshot_id) > date)
    nearest = [
        f"the {where} is {found}"
        for where, side in (("last one before", before), ("first one after", after))
        if (found := next((snapshot_id for snapshot_id in side if _complete(root, [snapshot_id])), ""))
    ]
    return f"; {', '.join(nearest)}" if nearest else ""


def _by_prefix(root: OutputLocation, name: str, ids: Sequence[str]) -> str:
    if not _PREFIX.fullmatch(name):
        raise UnknownSnapshotError(f"unknown snapshot ID {name[:80]!a}; {_FORMS}")
    matching = [snapshot_id for snapshot_id in ids if snapshot_id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        some = ", ".join(matching[:_SHOWN]) + (", …" if len(matching) > _SHOWN else "")
        raise UnknownSnapshotError(f"{name} begins the IDs of {len(matching)} snapshots ({some}); give more of the ID")
    what = "snapshot" if is_snapshot_id(name) else "snapshot whose ID begins with"
    raise UnknownSnapshotError(f"{root} has no {what} {name}; run `snapshots list` to see all IDs")
