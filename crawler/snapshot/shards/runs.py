"""The runs of an output: how far each one is, and whether one is at work.

A listing has most of it: the names of leases and reports, and when they were written by the store's clock. Of the plan
only the fields of `PlanHead` are read, and a run whose plan can't be read is shown with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import anyio
import msgspec
from msgspec import Meta

from crawler.errors import OutputBusyError, OutputError
from crawler.snapshot.layout import (
    JOIN_ROLE,
    MOST_SHARDS,
    PLAN_ROLE,
    STAGING,
    is_run_folder,
    is_snapshot_id,
    joined_path,
    plan_path,
    report_in_name,
    run_folder,
    shard_role,
)
from crawler.snapshot.limits import JOINED_BYTES, PLAN_BYTES, decode_json, is_instant
from crawler.snapshot.manifest import Instant
from crawler.snapshot.s3.connection import wait_for
from crawler.snapshot.shards.lease import newest_leases, read_lease
from crawler.snapshot.shards.store import FolderStore, list_with_time
from crawler.text import escape_control

if TYPE_CHECKING:
    from crawler.snapshot.object_store import StoredObject
    from crawler.snapshot.reader import OutputLocation
    from crawler.snapshot.shards.lease import StoredLease
    from crawler.snapshot.shards.store import RunStore

# A run in which nothing was written for so long has no live process; its leases end much earlier.
ACTIVE_FOR = timedelta(minutes=10)
# The engine of a coordinator whose workers are processes of its own machine, which end with it.
PROCESSES = "processes"
_LEASES_AT_ONCE = 16

ShardStatus = Literal["missing", "running", "reported", "lost"]
_Key = Annotated[str, Meta(min_length=1, max_length=256)]


class PlanHead(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a plan that tell which run it is; a plan has more. `engine` is that of `RunPlan`."""

    key: _Key
    snapshot_id: str
    started_at: Instant
    shard_count: Annotated[int, Meta(ge=1, le=MOST_SHARDS)]
    engine: Annotated[str, Meta(max_length=32)] = ""


class JoinedHead(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the note of a joined run that tell which one it was. `status`: none if nothing was committed."""

    key: _Key
    snapshot_id: str
    started_at: Instant
    status: Annotated[str, Meta(max_length=32)]
    exit_code: Annotated[int, Meta(ge=0, le=255)] = 1


_Head = TypeVar("_Head", PlanHead, JoinedHead)


@dataclass(frozen=True, slots=True)
class AttemptState:
    """The last attempt at something, by its lease. `host` and the texts of `figures` are safe for a terminal.

    `age_s`: seconds since the lease was renewed. An attempt that isn't alive has ended, or was lost.
    """

    attempt: int
    host: str
    pid: int
    age_s: float
    is_alive: bool
    figures: Mapping[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard: not begun (missing), at work (running), done (reported), or begun without a live attempt (lost)."""

    number: int
    status: ShardStatus
    last: AttemptState | None


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as its files show it. `key` and `snapshot_id` are empty, `started_at` is None, until there is a plan.

    `shards` is empty without a plan, and when the run is joined: then only `joined` is left. `active_at` is when a file
    was written last, by the store's clock. `problem` says what can't be read, else it is empty.
    """

    folder: str
    key: str
    snapshot_id: str
    started_at: datetime | None
    active_at: datetime
    shards: tuple[ShardState, ...] = ()
    planner: AttemptState | None = None
    joiner: AttemptState | None = None
    joined: JoinedHead | None = None
    problem: str = ""
    engine: str = ""

    @property
    def name(self) -> str:
        """Words for the run in messages."""
        snapshot = f" (snapshot {self.snapshot_id})" if self.snapshot_id else ""
        return f"the run {escape_control(self.key)}{snapshot}" if self.key else f"the run of {self.folder}"

    @property
    def date(self) -> str:
        """The UTC date of the start, such as 2026-11-21; empty until there is a plan."""
        return self.started_at.astimezone(UTC).date().isoformat() if self.started_at else ""

    def is_at_work(self, now: datetime) -> bool:
        """Return whether a process may go on with the run: a file was written in the last ten minutes.

        Attempts may follow each other until the run is joined. One without a plan is at work while a planner is alive,
        one of a coordinator while one of its processes is.
        """
        if self.joined is not None or now - self.active_at >= ACTIVE_FOR:
            return False
        if self.engine:
            return any(shard.status == "running" for shard in self.shards)
        return bool(self.snapshot_id or self.problem) or (self.planner is not None and self.planner.is_alive)


async def find_runs(store: RunStore, now: datetime) -> list[RunState]:
    """Return all runs of an output, the one that began last first. `now` is the store's time. Raises OutputError."""
    found = [await read_run(store, folder, files, now) for folder, files in (await _run_files(store)).items()]
    return sorted(found, key=lambda run: (run.snapshot_id, run.active_at), reverse=True)


async def find_run(store: RunStore, name: str, now: datetime) -> RunState | None:
    """Return the run with this key, or else of this snapshot ID; None if there is none. Raises OutputError."""
    folder = run_folder(name)
    if files := await store.list(folder):
        return await read_run(store, folder, files, now)
    return next((run for run in await find_runs(store, now) if run.snapshot_id == name), None)


async def named_run(store: RunStore, name: str, now: datetime) -> RunState | None:
    """Return the run that a user means: `find_run`, or else the newest one that began on this UTC date."""
    if (run := await find_run(store, name, now)) is not None:
        return run
    return next((run for run in await find_runs(store, now) if run.date == name), None)


def read_runs(location: OutputLocation, name: str | None = None) -> list[RunState]:
    """Return the runs of an output, the newest first, or those that `name` may mean. Blocks. Raises OutputError.

    Nothing is written: ages are by the clock of this machine, or by the store's newest file if that is later.
    """
    store: RunStore = FolderStore(location) if isinstance(location, Path) else location.store

    async def read() -> list[RunState]:
        files = await _run_files(store)
        now = max([datetime.now(UTC), *map(active_at, files.values())])
        runs = await find_runs(store, now)
        if name is None:
            return runs
        named = [run for run in runs if run.folder == run_folder(name) or run.snapshot_id == name]
        return named or [run for run in runs if run.date == name]

    return anyio.run(read) if isinstance(location, Path) else wait_for(read())


async def active_runs(store: RunStore, now: datetime) -> list[RunState]:
    """Return the runs that are at work, see `RunState.is_at_work`. Raises OutputError."""
    files = {
        folder: files for folder, files in (await _run_files(store)).items() if now - active_at(files) < ACTIVE_FOR
    }
    found = [await read_run(store, folder, some, now) for folder, some in files.items()]
    return [run for run in found if run.is_at_work(now)]


async def raise_if_busy(store: RunStore, key: str = "") -> None:
    """Raise OutputBusyError if a run other than that of `key` is at work in the output, and OutputError.

    Two crawls would read the same accounts side by side. Who begins a run calls this with the lease of its plan, so
    that of two that begin at a time neither misses the other. A run that is at work by itself has nothing to fear.
    """
    runs = await _run_files(store)
    own = run_folder(key) if key else ""
    if not runs.keys() - {own}:
        return
    _, now = await list_with_time(store, STAGING)
    if own in runs and _entry(plan_path(own), runs[own]) and now - active_at(runs[own]) < ACTIVE_FOR:
        return
    for run in await active_runs(store, now):
        # In a folder, the coordinator of worker processes holds the lock while it and they live.
        if run.folder != own and not (run.engine == PROCESSES and isinstance(store, FolderStore)):
            seconds = max(0.0, (now - run.active_at).total_seconds())
            wait = "a minute" if run.engine else f"{ACTIVE_FOR.seconds // 60} minutes"  # until its leases are over
            raise OutputBusyError(
                f"{run.name} is at work in the output, last {seconds:.0f} s ago; wait until it is joined, or stop it "
                f"and wait {wait}"
            )


async def read_run(store: RunStore, folder: str, files: list[StoredObject], now: datetime) -> RunState:
    """Return the state of the run whose folder has these files. Raises OutputError."""
    plan, joined, problem = None, None, ""
    try:
        joined = await read_joined(store, folder, files)
        plan = await read_plan(store, folder, files)
    except ValueError as error:
        problem = str(error)
    head = joined or plan
    leases = newest_leases(files)
    reports = {report_in_name(entry.path.rpartition("/")[2]) for entry in files}
    shards = range(plan.shard_count) if plan is not None and joined is None else ()
    wanted = [role for role in (PLAN_ROLE, JOIN_ROLE, *map(shard_role, shards)) if role in leases]
    found = await _read_leases(store, {role: leases[role] for role in wanted})
    states = {role: _attempt_state(lease, now) for role, lease in found.items()}
    return RunState(
        folder=folder,
        key=head.key if head is not None else "",
        snapshot_id=head.snapshot_id if head is not None else "",
        started_at=head.started_at if head is not None else None,
        active_at=active_at(files),
        shards=tuple(_shard_state(shard, shard in reports, states.get(shard_role(shard))) for shard in shards),
        planner=states.get(PLAN_ROLE),
        joiner=states.get(JOIN_ROLE),
        joined=joined,
        problem=problem,
        engine=plan.engine if plan is not None else "",
    )


async def read_plan(store: RunStore, folder: str, files: Iterable[StoredObject]) -> PlanHead | None:
    """Return the head of a run's plan; None without a plan. Raises ValueError with a sentence, and OutputError."""
    entry = _entry(plan_path(folder), files)
    if entry is None:
        return None
    _check_size(entry, PLAN_BYTES)
    found = await store.read(entry.path, PLAN_BYTES)
    return None if found is None else decode_plan_head(found.data, folder)


async def read_joined(store: RunStore, folder: str, files: Iterable[StoredObject]) -> JoinedHead | None:
    """Return the head of the note of a joined run; None without it. Raises ValueError with a sentence, OutputError."""
    entry = _entry(joined_path(folder), files)
    if entry is None:
        return None
    _check_size(entry, JOINED_BYTES)
    found = await store.read(entry.path, JOINED_BYTES)
    return None if found is None else _decode(found.data, JoinedHead, entry.path, folder)


def decode_plan_head(text: bytes, folder: str) -> PlanHead:
    """Return the head in a plan's JSON. Raises ValueError with a sentence."""
    return _decode(text, PlanHead, plan_path(folder), folder)


def active_at(files: Iterable[StoredObject]) -> datetime:
    """Return when the newest of a run's files was written. There must be one."""
    return max(entry.modified_at for entry in files)


def is_joined(folder: str, files: Iterable[StoredObject]) -> bool:
    """Return whether the run has the note that it is joined, whatever its content."""
    return _entry(joined_path(folder), files) is not None


async def _run_files(store: RunStore) -> dict[str, list[StoredObject]]:
    names = (await store.list_here(STAGING)).folders
    found = {
        folder: await store.list(folder) for folder in (f"{STAGING}/{name}" for name in names if is_run_folder(name))
    }
    return {folder: files for folder, files in found.items() if files}


async def _read_leases(store: RunStore, leases: Mapping[str, tuple[int, StoredObject]]) -> dict[str, StoredLease]:
    found, limiter = dict[str, "StoredLease"](), anyio.CapacityLimiter(_LEASES_AT_ONCE)

    async def read(role: str, attempt: int, entry: StoredObject) -> None:
        async with limiter:
            found[role] = await read_lease(store, role, attempt, entry)

    try:
        async with anyio.create_task_group() as tasks:
            for role, (attempt, entry) in leases.items():
                tasks.start_soon(read, role, attempt, entry)
    except* OutputError as group:
        raise group.exceptions[0] from None
    return found


def _attempt_state(lease: StoredLease, now: datetime) -> AttemptState:
    age_s = max(0.0, (now - lease.modified_at).total_seconds())
    record = lease.record
    if record is None:
        return AttemptState(lease.attempt, "", 0, age_s, lease.is_alive(now))
    figures = {
        escape_control(name): escape_control(value) if isinstance(value, str) else value
        for name, value in record.figures.items()
    }
    return AttemptState(lease.attempt, escape_control(record.host), record.pid, age_s, lease.is_alive(now), figures)


def _shard_state(number: int, is_reported: bool, last: AttemptState | None) -> ShardState:
    if is_reported:
        return ShardState(number, "reported", last)
    if last is None:
        return ShardState(number, "missing", None)
    return ShardState(number, "running" if last.is_alive else "lost", last)


def _entry(path: str, files: Iterable[StoredObject]) -> StoredObject | None:
    return next((entry for entry in files if entry.path == path), None)


def _check_size(entry: StoredObject, most_bytes: int) -> None:
    if entry.bytes > most_bytes:
        raise ValueError(f"{entry.path} is larger than {most_bytes:,} bytes, which no run writes")


def _decode(text: bytes, kind: type[_Head], path: str, folder: str) -> _Head:
    try:
        head = decode_json(text, kind)
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    if not is_snapshot_id(head.snapshot_id) or not is_instant(head.started_at):
        raise ValueError(f"{path} can't be read: it names no snapshot")
    if run_folder(head.key) != folder:
        raise ValueError(f"{path} is of another run, of the key {escape_control(head.key)}")
    return head
