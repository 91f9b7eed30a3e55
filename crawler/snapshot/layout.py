"""Every path of the output, made from validated parts only, and the ID of a snapshot.

Paths are text with `/`, relative to the output's root. A part that doesn't match its pattern is refused, never encoded:
account IDs are digits, regions and tables are the catalog's. So no response or configuration leads outside the root.
"""

from __future__ import annotations

import hashlib
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
# The beginning of a temporary name, of which nothing is left when its file is whole or its object was copied.
FRESH = "new-"
# The ledger of an attempt in a local output, in the attempt's own folder.
ATTEMPT_LEDGER = "scopes.parquet"
PLAN_ROLE = "plan"
JOIN_ROLE = "join"
# An attempt has three hex digits in the names of parts, a shard five; a shard's role has five decimal digits.
MOST_ATTEMPTS = 0xFFF
MOST_SHARDS = 100_000
_PRUNE = "prune-"

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,99}")
_SNAPSHOT_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}")
# Clocks that differ by less are those of machines that run as they should.
FUTURE = timedelta(hours=1)
_IN_PATH = re.compile(r"/snapshot=([0-9]{8}T[0-9]{6}Z-[0-9a-f]{4})/")
_PART = re.compile(r"part-([0-9]{5}|[1-9][0-9]{5,8})(?:-[0-9a-f]{8})?\.parquet")
_RUN = re.compile(r"run-[0-9a-f]{16}")
_SHARD = re.compile(r"s([0-9]{5})")
_ROLE = re.compile(rf"{PLAN_ROLE}|{JOIN_ROLE}|{_SHARD.pattern}")
_LEASE = re.compile(r"([a-z0-9]{1,16})-a([0-9]{3}|[1-9][0-9]{3})\.lease")
_REPORT = re.compile(rf"{_SHARD.pattern}\.report\.json")
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


def run_folder(key: str) -> str:
    """Return the folder of a run's files. The key may be any text: only its hash is in the name."""
    return f"{STAGING}/run-{hashlib.sha256(key.encode(errors='backslashreplace')).hexdigest()[:16]}"


def is_run_folder(name: str) -> bool:
    """Return whether a name in the staging folder is that of a run's folder."""
    return _RUN.fullmatch(name) is not None


def run_folder_of(path: str) -> str:
    """Return the folder of the run to which a file below the staging folder belongs; "" for other files."""
    name = path.removeprefix(f"{STAGING}/").partition("/")[0] if path.startswith(f"{STAGING}/") else ""
    return f"{STAGING}/{name}" if is_run_folder(name) and path != f"{STAGING}/{name}" else ""


def plan_path(folder: str) -> str:
    """Return the path of a run's plan, which is created and never changed."""
    return f"{folder}/plan.json"


def joined_path(folder: str) -> str:
    """Return the path of what became of a run, which is created after its commit."""
    return f"{folder}/joined.json"


def shard_role(shard: int) -> str:
    """Return the role of a shard's attempts, such as `s00007`. Raises OutputError for a number that no shard has."""
    return _checked(_SHARD, "shard", f"s{shard:05}")


def shard_in_role(role: str) -> int:
    """Return the shard of a role; -1 for the roles of the plan and of the join."""
    found = _SHARD.fullmatch(role)
    return int(found[1]) if found else -1


def report_path(folder: str, shard: int) -> str:
    """Return the path of a shard's report, which is created and never changed. Raises OutputError."""
    return f"{folder}/{shard_role(shard)}.report.json"


def report_in_name(name: str) -> int:
    """Return the shard whose report has this name in its run's folder; -1 for other files."""
    found = _REPORT.fullmatch(name)
    return int(found[1]) if found else -1


def lease_path(folder: str, role: str, attempt: int) -> str:
    """Return the path of the lease of a role's attempt, counted from 1. Raises OutputError."""
    return f"{folder}/{_checked(_ROLE, 'role', role)}-{_attempt(attempt)}.lease"


def lease_in_name(name: str) -> tuple[str, int] | None:
    """Return the role and the attempt whose lease has this name in its run's folder; None for other files."""
    found = _LEASE.fullmatch(name)
    if found is None or _ROLE.fullmatch(found[1]) is None or not 0 < int(found[2]) <= MOST_ATTEMPTS:
        return None
    return found[1], int(found[2])


def attempt_folder(folder: str, shard: int, attempt: int) -> str:
    """Return the folder in which an attempt has its rows, rooted like an output. For local outputs only."""
    return f"{folder}/{shard_role(shard)}-{_attempt(attempt)}"


def is_attempt_ledger(path: str, folder: str, shard: int, attempt: int) -> bool:
    """Return whether the report of an attempt of the run in `folder` can have this path of its ledger."""
    return path in (ATTEMPT_LEDGER, attempt_ledger_path(folder, shard, attempt))


def attempt_ledger_path(folder: str, shard: int, attempt: int) -> str:
    """Return the path of the ledger of an attempt in a bucket. Raises OutputError."""
    return f"{attempt_folder(folder, shard, attempt)}.scopes.parquet"


def attempt_digits(shard: int, attempt: int) -> str:
    """Return the eight hex digits in the names of an attempt's parts, see `part_path`. Raises OutputError."""
    shard_role(shard)
    _attempt(attempt)
    return f"{shard:05x}{attempt:03x}"


def parent(path: str) -> str:
    """Return the folder of a path; `""` is the root."""
    return path.rpartition("/")[0]


def _attempt(attempt: int) -> str:
    if not 0 < attempt <= MOST_ATTEMPTS:
        raise OutputError(f"an attempt has the number 1 to {MOST_ATTEMPTS:,}, not {attempt:,}")
    return f"a{attempt:03}"


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
