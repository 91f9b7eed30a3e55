"""A lease says that an attempt is alive: of a shard, of the plan or of the join of a run.

The holder puts its lease again every 15 seconds. It may go on for 45 seconds after it began to send the last renewal
that succeeded in time: a comparison with its own clock, without any request. Another process may begin when the lease
is 60 seconds old by the store's clock, or at once when it is marked over. So two attempts are never at work at a time,
although no clock of one machine is compared with that of another. A lease that was lost once is lost for good.

The clock of the holder goes on while its machine sleeps. Where a machine stands still with all its clocks (a paused
virtual machine), its next renewal shows that another attempt has begun.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NoReturn, Self

import anyio
import msgspec
from msgspec import Meta

from crawler.errors import LeaseHeldError, LeaseLostError, OutputError
from crawler.snapshot.layout import JOIN_ROLE, MOST_ATTEMPTS, joined_path, lease_in_name, lease_path
from crawler.snapshot.limits import JOINED_BYTES, LEASE_BYTES, Count, decode_json
from crawler.snapshot.shards.store import list_with_time
from crawler.text import escape_control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from crawler.clock import Clock
    from crawler.snapshot.object_store import StoredObject
    from crawler.snapshot.shards.store import RunStore

RENEWED_EVERY_S = 15.0
VALID_FOR_S = 45.0
DEAD_AFTER_S = 60.0
# A renewal that failed is sent again after this time, and one without an answer is given up.
_AGAIN_AFTER_S = 3.0
_REQUEST_S = 10.0
_LOOK_EVERY_S = 5.0

_MOST_FIGURES = 32
_MOST_CHARACTERS = 200
_LARGEST = 2**63
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_Short = Annotated[str, Meta(max_length=_MOST_CHARACTERS)]
Figures = dict[_Short, int | float | _Short]


def boot_s() -> float:
    """Return seconds that go on while the machine sleeps, where the system counts them: Linux does."""
    return time.clock_gettime(_BOOT_CLOCK)


class LeaseRecord(msgspec.Struct, frozen=True):
    """The content of a lease. `token` tells apart two processes that begin the same attempt; it isn't a secret."""

    role: _Short
    attempt: Annotated[int, Meta(ge=1, le=MOST_ATTEMPTS)]
    host: _Short
    pid: Count
    token: _Short
    renewal: Count = 0
    is_over: bool = False
    figures: Annotated[Figures, Meta(max_length=_MOST_FIGURES)] = {}


@dataclass(frozen=True, slots=True)
class StoredLease:
    """The newest lease of a role as another process sees it. `record` is None if its content can't be read."""

    path: str
    role: str
    attempt: int
    modified_at: datetime
    data: bytes
    record: LeaseRecord | None

    @property
    def is_over(self) -> bool:
        """Whether its holder has ended, by its own word or by that of the process that has seen it die."""
        return self.record is not None and self.record.is_over

    @property
    def holder(self) -> str:
        """Words for its holder."""
        if self.record is None or not self.record.host:
            return f"attempt {self.attempt}"
        return f"process {self.record.pid} on {escape_control(self.record.host)} (attempt {self.attempt})"

    def is_alive(self, now: datetime) -> bool:
        """Return whether its holder may be at work, by the store's time."""
        return not self.is_over and (now - self.modified_at).total_seconds() < DEAD_AFTER_S


class Lease:
    """A lease of this process, from `acquire` to `release`."""

    def __init__(
        self,
        store: RunStore,
        folder: str,
        record: LeaseRecord,
        what: str,
        clock: Clock,
        boottime: Callable[[], float],
        valid_until: float,
    ) -> None:
        self._store = store
        self._folder = folder
        self._record = record
        self._what = what
        self._clock = clock
        self._boottime = boottime
        self._valid_until = valid_until
        self._problem = f"it wasn't renewed for {VALID_FOR_S:.0f} s"

    @classmethod
    async def acquire(
        cls,
        store: RunStore,
        folder: str,
        role: str,
        clock: Clock,
        what: str,
        *,
        on_wait: Callable[[str, float], object] | None = None,
        boottime: Callable[[], float] = boot_s,
    ) -> Self:
        """Begin the next attempt of a role of the run in `folder`, when no other process is at work on it.

        A lease that isn't over is watched until it is 60 seconds old. `what` names the work in messages: "shard 7 of
        32". `on_wait` is called before with words for the process that holds it, and the longest wait in seconds.
        Raises LeaseHeldError if the lease is renewed meanwhile or another process begins, and OutputError.
        """
        newest = await _newest(store, await store.list(folder), role)
        if newest is not None and not newest.is_over:
            newest = await _outwait(store, folder, newest, clock, what, on_wait)
        attempt = newest.attempt + 1 if newest is not None else 1
        record = LeaseRecord(role, attempt, _short(socket.gethostname()), os.getpid(), secrets.token_hex(8))
        sent_at = boottime()
        if not await store.create(lease_path(folder, role, attempt), msgspec.json.encode(record)):
            raise LeaseHeldError(f"another process has just begun with {what}; wait for it, or stop it")
        lease = cls(store, folder, record, what, clock, boottime, sent_at + VALID_FOR_S)
        lease.check()
        return lease

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1. No other attempt of this role ever has it."""
        return self._record.attempt

    def is_valid(self) -> bool:
        """Return whether this process may go on. Compares two numbers."""
        return self._boottime() < self._valid_until

    def check(self) -> None:
        """Raise LeaseLostError unless this process may go on."""
        if not self.is_valid():
            self._valid_until = -math.inf
            raise LeaseLostError(f"the lease of {self._what} (attempt {self.attempt}) is lost: {self._problem}")

    async def confirm(self) -> None:
        """Renew the lease now, which shows whether another attempt has begun. Raises LeaseLostError and OutputError.

        A machine that stood still with all its clocks learns it here, before its work has an effect.
        """
        self.check()
        await self._renew(self._record.figures)
        self.check()

    async def keep(self, figures: Callable[[], Mapping[str, int | float | str]]) -> NoReturn:
        """Renew the lease until this is cancelled, each time with these figures. Raises LeaseLostError.

        A renewal that fails is repeated. Figures are for people: 32 at most, texts of 200 characters, nothing secret.
        """
        pause_s = RENEWED_EVERY_S
        while True:
            await self._clock.sleep(min(pause_s, max(0.0, self._valid_until - self._boottime())))
            self.check()
            pause_s = RENEWED_EVERY_S
            try:
                with anyio.fail_after(_REQUEST_S):
                    await self._renew(figures())
            except TimeoutError:
                pause_s, self._problem = _AGAIN_AFTER_S, f"the output didn't answer for {_REQUEST_S:.0f} s"
            except OutputError as error:
                pause_s, self._problem = _AGAIN_AFTER_S, str(error)
            self.check()

    async def release(self) -> None:
        """Mark the lease over, so that another attempt may begin at once. A lost lease isn't touched.

        A failure is left alone: others wait until the lease is 60 seconds old.
        """
        if not self.is_valid():
            return
        self._valid_until, self._problem = -math.inf, "it was given back"
        over = msgspec.structs.replace(self._record, is_over=True)
        with anyio.move_on_after(_REQUEST_S, shield=True), suppress(OutputError):
            await self._store.put(self._path, msgspec.json.encode(over))

    @property
    def _path(self) -> str:
        return lease_path(self._folder, self._record.role, self.attempt)

    async def _renew(self, figures: Mapping[str, int | float | str]) -> None:
        sent_at = self._boottime()
        record = msgspec.structs.replace(self._record, renewal=self._record.renewal + 1, figures=_bounded(figures))
        self._record = record
        await self._store.put(self._path, msgspec.json.encode(record))
        ended = await self._ended_by()
        if ended:
            self._valid_until, self._problem = -math.inf, ended
        elif self.is_valid():
            # One that was carried out after the end may have been seen by nobody in time.
            self._valid_until = sent_at + VALID_FOR_S
            self._problem = f"it wasn't renewed for {VALID_FOR_S:.0f} s"

    async def _ended_by(self) -> str:
        """Return why this attempt has been overtaken; "" if it hasn't. Who joins a run goes on after it is joined."""
        if self.attempt < MOST_ATTEMPTS:
            following = lease_path(self._folder, self._record.role, self.attempt + 1)
            if await self._store.read(following, LEASE_BYTES) is not None:
                return f"attempt {self.attempt + 1} has begun"
        joined = joined_path(self._folder)
        if self._record.role != JOIN_ROLE and await self._store.read(joined, JOINED_BYTES) is not None:
            return "the run has been joined"
        return ""


def newest_leases(files: Iterable[StoredObject]) -> dict[str, tuple[int, StoredObject]]:
    """Return, by role, the number of the last attempt and its lease among the files of a run."""
    newest: dict[str, tuple[int, StoredObject]] = {}
    for entry in files:
        role, attempt = lease_in_name(entry.path.rpartition("/")[2]) or ("", 0)
        if attempt and attempt > newest.get(role, (0, entry))[0]:
            newest[role] = attempt, entry
    return newest


async def read_lease(store: RunStore, role: str, attempt: int, entry: StoredObject) -> StoredLease:
    """Return a lease of a listing. Raises OutputError."""
    data, record = b"", None
    # Larger than any lease: whatever it is, its age counts all the same.
    if entry.bytes <= LEASE_BYTES and (found := await store.read(entry.path, LEASE_BYTES)) is not None:
        data = found.data
        with suppress(ValueError):
            record = decode_json(data, LeaseRecord)
    return StoredLease(entry.path, role, attempt, entry.modified_at, data, record)


async def end_lease(store: RunStore, folder: str, role: str, attempt: int | None = None) -> None:
    """Mark a role's newest lease over, because its holder is proven dead; only if it is of `attempt`, where given.

    Raises OutputError.
    """
    newest = await _newest(store, await store.list(folder), role)
    if newest is None or newest.is_over or attempt not in (None, newest.attempt):
        return
    record = newest.record or LeaseRecord(role, newest.attempt, "", 0, "")
    await store.put(newest.path, msgspec.json.encode(msgspec.structs.replace(record, is_over=True)))


async def _outwait(
    store: RunStore,
    folder: str,
    seen: StoredLease,
    clock: Clock,
    what: str,
    on_wait: Callable[[str, float], object] | None,
) -> StoredLease:
    """Return the newest lease of the role when it is over, or so old that its holder has stopped.

    Where the store's clock was set back, a lease is from the future: one that nobody renews while it is watched for as
    long is as dead. Raises LeaseHeldError if it is renewed, or another process begins.
    """
    began_at = clock.monotonic()
    while True:
        files, now = await list_with_time(store, folder)
        found = await _newest(store, files, seen.role)
        if found is not None and found.is_over:
            return found
        if found is None or (found.attempt, found.modified_at, found.data) != _mark(seen):
            holder = found.holder if found is not None else "another process"
            raise LeaseHeldError(f"{what} is in the hands of {holder}; wait for it, or stop it")
        watched = timedelta(seconds=clock.monotonic() - began_at)
        left_s = DEAD_AFTER_S - max(now - found.modified_at, watched).total_seconds()
        if left_s <= 0:
            return found
        if on_wait is not None:
            on_wait(found.holder, left_s)
            on_wait = None
        await clock.sleep(min(_LOOK_EVERY_S, left_s))


async def _newest(store: RunStore, files: Iterable[StoredObject], role: str) -> StoredLease | None:
    found = newest_leases(files).get(role)
    return None if found is None else await read_lease(store, role, *found)


def _mark(lease: StoredLease) -> tuple[int, datetime, bytes]:
    """Return what every renewal changes."""
    return lease.attempt, lease.modified_at, lease.data


def _short(text: str) -> str:
    """Return the beginning of a text, without what JSON can't have."""
    return text[:_MOST_CHARACTERS].encode(errors="replace").decode()


def _bounded(figures: Mapping[str, int | float | str]) -> Figures:
    """Return the figures as they may be stored: no long text, no number that JSON or a reader doesn't have."""
    kept: Figures = {}
    for name, value in islice(figures.items(), _MOST_FIGURES):
        if isinstance(value, str):
            kept[_short(name)] = _short(value)
        elif abs(value) < _LARGEST:
            kept[_short(name)] = value
    return kept
