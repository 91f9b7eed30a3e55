"""Every path of the output, made from validated parts only, and the ID of a snapshot.

Paths are text with `/`, relative to the output's root. A part that doesn't match its pattern is refused, never encoded:
account IDs are digits, regions and tables are the catalog's. So no response or configuration leads outside the root.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from crawler.errors import OutputError
from crawler.snapshot.limits import is_instant
from crawler.text import ACCOUNT_ID, REGION_ID

if TYPE_CHECKING:
    from collections.abc import Callable

SNAPSHOTS = "_snapshots"
STAGING = "_staging"
LOCK = f"{STAGING}/lock"
LAKE_LOCK = f"{STAGING}/lake-lock"
LATEST = f"{SNAPSHOTS}/LATEST"
_PRUNE = "prune-"

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,99}")
_SNAPSHOT_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
# Clocks that differ by less are those of machines that run as they should.
FUTURE = timedelta(hours=1)
_IN_PATH = re.compile(r"/snapshot=([0-9]{8}T[0-9]{6}Z-[0-9a-f]{4})/")
_PART = re.compile(r"part-([0-9]{5}|[1-9][0-9]{5,8})(?:-[0-9a-f]{8})?\.parquet")
_SCOPE_PART = re.compile(r"account=([^/]+)/region=([^/]+)/part-(?:0|[1-9][0-9]{0,8})\.parquet")


def new_snapshot_id(now: datetime, random: Callable[[], float]) -> str:
    """Return an ID like `20261121T020000Z-7f3a`: start in UTC, four hex digits. `random` returns a number in [0, 1)."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{int(random() * 0x10000):04x}"


def moved_id(snapshot_id: str, now: datetime) -> str:
    """Return the ID with another start and the same digits at its end."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{snapshot_id[16:]}"


def id_after(snapshot_id: str) -> str:
    """Return the next ID: of the same start with the next digits, or of the next second."""
    digits = int(snapshot_id[17:], 16) + 1
    if digits < 0x10000:
        return f"{snapshot_id[:17]}{digits:04x}"
    return f"{started_at(snapshot_id) + timedelta(seconds=1):%Y%m%dT%H%M%SZ}-0000"


def is_future(snapshot_id: str, now: datetime) -> bool:
    """Return whether a snapshot began more than an hour after `now`: the clock of its crawl was wrong."""
    return started_at(snapshot_id) - now > FUTURE


def is_snapshot_id(text: str) -> bool:
    """Return whether the text is a snapshot ID, with a start that exists. IDs sort by their start."""
    return _SNAPSHOT_ID.fullmatch(text) is not None and _start(text[:16]) is not None


def is_table(text: str) -> bool:
    """Return whether the text can be a table's name."""
    return _TABLE.fullmatch(text) is not None


def snapshot_in_path(path: str) -> str:
    """Return the ID of the snapshot in whose folder of a table a file is; "" for a file elsewhere."""
    found = _IN_PATH.search(path)
    return found[1] if found else ""


def snapshot_date(snapshot_id: str) -> str:
    """Return the UTC date of the start, such as `2026-11-21`. Raises OutputError for an invalid ID."""
    checked = _checked_id(snapshot_id)
    return f"{checked[:4]}-{checked[4:6]}-{checked[6:8]}"


def started_at(snapshot_id: str) -> datetime:
    """Return the start in an ID, to the second. Raises OutputError for an invalid ID."""
    return datetime.strptime(_checked_id(snapshot_id)[:16], "%Y%m%dT%H%M%S%z")


def table_folder(table: str, snapshot_id: str) -> str:
    """Return the folder of one snapshot of one table, which a commit renames into place. Raises OutputError."""
    return f"{_checked(_TABLE, 'table', table)}/snapshot_date={snapshot_date(snapshot_id)}/snapshot={snapshot_id}"


def part_path(table: str, snapshot_id: str, number: int, attempt: str = "") -> str:
    """Return the path of a table's n-th part, counted from 0. Raises OutputError.

    `attempt` tells apart the files of two crawls that write the same snapshot into a bucket, where nothing is locked.
    """
    name = f"part-{number:05}{f'-{attempt}' if attempt else ''}.parquet"
    return f"{table_folder(table, snapshot_id)}/{_checked(_PART, 'part', name)}"


def part_number(path: str) -> int:
    """Return the number in a part's path; -1 if it isn't one."""
    found = _PART.fullmatch(path.rpartition("/")[2])
    return int(found[1]) if found else -1


def is_part_path(path: str, table: str, snapshot_id: str) -> bool:
    """Return whether a manifest's path is one that a snapshot of this table can have."""
    folder = f"{table_folder(table, snapshot_id)}/"
    return path.startswith(folder) and _PART.fullmatch(path.removeprefix(folder)) is not None


def is_scope_part_path(path: str, table: str, snapshot_id: str) -> bool:
    """Return whether a manifest of format 1 can have this path, in which each scope has a folder."""
    return path.startswith(f"{table_folder(table, snapshot_id)}/") and scope_in_path(path) is not None


def scope_in_path(path: str) -> tuple[str, str] | None:
    """Return the account and the region whose rows are in a file of format 1; None for a path of format 2."""
    if (found := _SCOPE_PART.fullmatch(path.split("/", 3)[-1])) is None:
        return None
    account, region = found.groups()
    return (account, region) if ACCOUNT_ID.fullmatch(account) and REGION_ID.fullmatch(region) else None


def manifest_path(snapshot_id: str) -> str:
    """Return the path of the manifest: its creation is the commit. Raises OutputError for an invalid ID."""
    return f"{SNAPSHOTS}/{_checked(_SNAPSHOT_ID, 'snapshot', snapshot_id)}.json"


def checksum_path(snapshot_id: str) -> str:
    """Return the path of the manifest's SHA-256, in the format of `sha256sum`."""
    return f"{manifest_path(snapshot_id)}.sha256"


def ledger_path(snapshot_id: str) -> str:
    """Return the path of the ledger, which has one row per scope."""
    return f"{SNAPSHOTS}/{_checked(_SNAPSHOT_ID, 'snapshot', snapshot_id)}.scopes.parquet"


def staged(snapshot_id: str, path: str = "") -> str:
    """Return the path while the snapshot isn't in place; without a path, the snapshot's staging folder."""
    folder = f"{STAGING}/{_checked(_SNAPSHOT_ID, 'snapshot', snapshot_id)}"
    return f"{folder}/{path}" if path else folder


def pruned(snapshot_id: str, path: str = "") -> str:
    """Return the path while the snapshot is being removed; without a path, the folder of the removal."""
    folder = f"{STAGING}/{_PRUNE}{_checked(_SNAPSHOT_ID, 'snapshot', snapshot_id)}"
    return f"{folder}/{path}" if path else folder


def pruned_id(name: str) -> str:
    """Return the ID of the snapshot that is being removed under a name in the staging folder; "" for other names."""
    snapshot_id = name.removeprefix(_PRUNE)
    return snapshot_id if name.startswith(_PRUNE) and is_snapshot_id(snapshot_id) else ""


def parent(path: str) -> str:
    """Return the folder of a path; `""` is the root."""
    return path.rpartition("/")[0]


@lru_cache(1024)
def _start(text: str) -> datetime | None:
    """Return the instant in an ID; None for a day or time that doesn't exist, or that no snapshot has."""
    try:
        found = datetime.strptime(text, "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None
    return found if is_instant(found) else None


def _checked_id(snapshot_id: str) -> str:
    checked = _checked(_SNAPSHOT_ID, "snapshot", snapshot_id)
    if _start(checked[:16]) is None:
        raise OutputError(f"{checked!r} can't be a snapshot in the output's paths: its day or time doesn't exist")
    return checked


def _checked(pattern: re.Pattern[str], kind: str, text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise OutputError(f"{text[:80]!r} can't be a {kind} in the output's paths: it must match {pattern.pattern}")
    return text
