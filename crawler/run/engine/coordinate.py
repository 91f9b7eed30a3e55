"""Runs all shards of a run by a launcher: replaces the dead, sums their progress, and logs what they log."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Annotated

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from crawler.clock import Clock, SystemClock
from crawler.errors import ConfigError, CrawlError, ExitCode, OutputError, unwrap_group
from crawler.run.engine.base import Launcher, ShardEvent
from crawler.run.progress import CrawlMonitor, ShardsProgress

MOST_ATTEMPTS = 3
# A child writes its progress every second. This is half of the time after which its lease would be over for others.
SILENCE_S = 60.0
_LOOK_S = 5.0
_MOST_LOG_LINES = 10_000
# Fields that the coordinator's own log adds, and names of the logging call's parameters.
_NOT_REPEATED = frozenset({"event", "level", "timestamp", "self"})

_LEVELS = frozenset({"debug", "info", "warning", "error"})
# Codes of a child that end the crawl: the next attempt would end in the same way.
_FINAL: dict[ExitCode, type[CrawlError]] = {ExitCode.USAGE: ConfigError, ExitCode.OUTPUT: OutputError}

_Count = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class ShardFigures(msgspec.Struct):
    """The figures of one attempt at a shard, as its child writes them. `accounts`: account ID → scopes done."""

    attempt: _Count = 0
    scopes: _Count = 0
    scopes_done: _Count = 0
    rows: _Count = 0
    requests: _Count = 0
    throttled: _Count = 0
    retries: _Count = 0
    not_complete: _Count = 0
    seconds_left: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0
    accounts: dict[str, _Count] = {}


@dataclass(frozen=True, slots=True)
class LostShard:
    """A shard that no attempt has finished. `total` is the number of shards of the run."""

    shard: int
    total: int
    attempts: int
    host: str
    reason: str

    @property
    def message(self) -> str:
        """The sentence for its scopes in the ledger."""
        place = f" on host {self.host}" if self.host else ""
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        return f"shard {self.shard} of {self.total} was lost {times}; the last{place} by {self.reason}"


@dataclass(slots=True)
class _Attempt:
    """One attempt: the how manieth of this process, and its number in the run, which may be higher after a resume."""

    count: int
    number: int
    silent_looks: int = 0
    was_killed: bool = False


async def run_shards(
    launcher: Launcher,
    shards: Sequence[int],
    monitor: CrawlMonitor,
    *,
    total: int,
    on_dead: Callable[[int], Awaitable[object]],
    at_once: int | None = None,
    clock: Clock | None = None,
) -> dict[int, LostShard]:
    """Run `shards`, the first ones first, and return those that were lost. The launcher is stopped in any case.

    `total` is the number of shards of the run, which may be more. At most `at_once` run at a time, however many places
    the launcher gets. The counts of the children are added to those of
    `monitor`; if it already has the scopes of the whole plan, those stay. `on_dead` is awaited with the number of a
    shard when the process of its attempt is proven dead, before the next attempt.

    Raises ConfigError and OutputError with the sentence of a child that ended with 2 or 4; LaunchError if no child can
    be started; what `on_dead` raises.
    """
    coordinator = _Coordinator(launcher, shards, monitor, total, on_dead, at_once or total, clock or SystemClock())
    try:
        return await coordinator.run()
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from None
    finally:
        with anyio.CancelScope(shield=True):
            await launcher.stop()


class _Coordinator:
    def __init__(
        self,
        launcher: Launcher,
        shards: Sequence[int],
        monitor: CrawlMonitor,
        total: int,
        on_dead: Callable[[int], Awaitable[object]],
        at_once: int,
        clock: Clock,
    ) -> None:
        self._launcher = launcher
        self._on_dead = on_dead
        self._at_once = at_once
        self._clock = clock
        self._monitor = monitor
        self._shown = ShardsProgress(total, total - len(shards), lambda: launcher.places)
        self._positions = {shard: position for position, shard in enumerate(shards)}
        self._waiting = [(position, shard) for shard, position in self._positions.items()]  # a heap
        self._changed = anyio.Event()
        self._finished = anyio.Event()
        self._attempts: dict[int, _Attempt] = {}  # of shards that run, or wait for a place as the next one
        self._begun = dict.fromkeys(shards, 0)
        self._open = set(shards)
        self._lost: dict[int, LostShard] = {}
        self._sum = _Sum(monitor)
        self._log_lines: Counter[int] = Counter()
        self._log = structlog.get_logger().bind(snapshot_id=monitor.snapshot_id)

    async def run(self) -> dict[int, LostShard]:
        """Run all shards and return the lost ones."""
        self._monitor.shards = self._shown
        self._monitor.time_left_s = self._sum.time_left_s
        if self._open:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._start_shards)
                tasks.start_soon(self._watch_silence)
                tasks.start_soon(self._take_events, tasks)
                await self._finished.wait()
                tasks.cancel_scope.cancel()
        return self._lost

    async def _start_shards(self) -> None:
        while True:
            while not self._waiting or len(self._attempts) >= self._at_once:
                self._changed = anyio.Event()
                await self._changed.wait()
            _, shard = heappop(self._waiting)
            self._begun[shard] += 1
            self._attempts[shard] = attempt = _Attempt(self._begun[shard], self._begun[shard])
            await self._launcher.start(shard)
            if self._attempts.get(shard) is attempt:
                self._shown.running[shard] = attempt.number

    async def _watch_silence(self) -> None:
        """Kill attempts without progress. Looks are counted, not seconds: this process may have been stopped, too."""
        while True:
            await self._clock.sleep(_LOOK_S)
            for shard in self._shown.running:
                attempt = self._attempts[shard]
                attempt.silent_looks += 1
                if attempt.silent_looks * _LOOK_S >= SILENCE_S and not attempt.was_killed:
                    attempt.was_killed = True
                    self._log.warning("shard_silent", shard=shard, attempt=attempt.number, seconds=round(SILENCE_S))
                    self._launcher.kill(shard)

    async def _take_events(self, tasks: TaskGroup) -> None:
        async for event in self._launcher.events():
            match event.kind:
                case "log":
                    self._repeat(event)
                case "progress":
                    self._note_progress(event)
                case "ended":
                    self._note_end(event, tasks)
        raise CrawlError(f"The launcher ended before {len(self._open)} shards were done. Nothing was committed.")

    def _repeat(self, event: ShardEvent) -> None:
        """Log a line of a child's log as a line of this process's."""
        self._log_lines[event.shard] += 1
        if self._log_lines[event.shard] > _MOST_LOG_LINES:
            if self._log_lines[event.shard] == _MOST_LOG_LINES + 1:
                self._log.warning("log_lines_left_out", shard=event.shard, logged=_MOST_LOG_LINES)
            return
        attempt = self._attempts.get(event.shard)
        place = {"shard": event.shard} if attempt is None else {"shard": event.shard, "attempt": attempt.number}
        own = {name: value for name, value in event.values.items() if name not in _NOT_REPEATED}
        level = event.values.get("level")
        log = getattr(self._log, level if level in _LEVELS else "info")
        log(str(event.values["event"]), **{**place, **own})

    def _note_progress(self, event: ShardEvent) -> None:
        attempt = self._attempts.get(event.shard)
        if attempt is None:
            return
        try:
            figures = msgspec.convert(event.values, ShardFigures)
        except msgspec.ValidationError:
            return  # no sign of life: a child that writes such lines has lost its mind
        attempt.silent_looks = 0
        attempt.number = figures.attempt or attempt.number
        self._sum.update(event.shard, figures)

    def _note_end(self, event: ShardEvent, tasks: TaskGroup) -> None:
        """Take the end of an attempt. Raises ConfigError or OutputError if it ends the crawl."""
        attempt = self._attempts.pop(event.shard, None)
        if attempt is None:
            return
        self._shown.running.pop(event.shard, None)
        self._changed.set()
        code = event.values.get("code")
        if code == ExitCode.SUCCESS:
            self._sum.keep(event.shard)
            self._shown.done += 1
            self._close(event.shard)
            return
        self._sum.take_back(event.shard)
        reason, error = str(event.values.get("reason", "")), str(event.values.get("error", ""))
        host = str(event.values.get("host", ""))
        if code in _FINAL:
            sentence = error or f"Shard {event.shard} ended by {reason}; its log says why."
            where = "" if host in ("", socket.gethostname()) else f"On host {host}: "
            raise _FINAL[ExitCode(code)](where + sentence)
        if attempt.was_killed:
            reason = f"{reason} after {SILENCE_S:g} s without progress"
        self._log.warning("shard_died", shard=event.shard, attempt=attempt.number, reason=reason, error=error)
        lost = LostShard(event.shard, self._shown.total, attempt.count, host, reason)
        tasks.start_soon(self._replace, lost, code)

    async def _replace(self, last: LostShard, code: int | None) -> None:
        """Start another attempt, or give the shard up."""
        # With 11 another process may hold the lease, which is not ours to end.
        if code != ExitCode.OUTPUT_BUSY:
            await self._on_dead(last.shard)
        if last.attempts < MOST_ATTEMPTS:
            self._shown.restarted.add(last.shard)
            heappush(self._waiting, (self._positions[last.shard], last.shard))
            self._changed.set()
            return
        self._log.error("shard_lost", shard=last.shard, attempts=last.attempts, reason=last.message)
        self._lost[last.shard] = last
        self._shown.restarted.discard(last.shard)
        self._shown.lost.add(last.shard)
        self._close(last.shard)

    def _close(self, shard: int) -> None:
        self._open.discard(shard)
        if not self._open:
            self._finished.set()


class _Sum:
    """Adds the figures of all attempts to a monitor. An attempt's figures replace its earlier ones."""

    def __init__(self, monitor: CrawlMonitor) -> None:
        self._monitor = monitor
        self._planned = monitor.progress.scopes
        self._scopes = 0
        self._running: dict[int, ShardFigures] = {}

    def time_left_s(self) -> float:
        """Return the least seconds that the rate limits leave to the attempt that needs the most."""
        return max((figures.seconds_left for figures in self._running.values()), default=0.0)

    def update(self, shard: int, new: ShardFigures) -> None:
        """Take the figures of a running attempt; `accounts` has those that have changed."""
        old = self._running.get(shard, ShardFigures())
        done = self._monitor.progress.done_by_account
        for account_id, scopes in new.accounts.items():
            done[account_id] += scopes - old.accounts.get(account_id, 0)
        self._add(new, 1)
        self._add(old, -1)
        new.accounts = old.accounts | new.accounts
        self._running[shard] = new

    def keep(self, shard: int) -> None:
        """Keep the figures of an attempt that has reported."""
        self._running.pop(shard, None)

    def take_back(self, shard: int) -> None:
        """Subtract the figures of an attempt that has died."""
        old = self._running.pop(shard, None)
        if old is not None:
            self._add(old, -1)
            self._monitor.progress.done_by_account.subtract(old.accounts)

    def _add(self, figures: ShardFigures, sign: int) -> None:
        progress, requests = self._monitor.progress, self._monitor.requests
        self._scopes += sign * figures.scopes
        progress.scopes = max(self._planned, self._scopes)
        progress.scopes_done += sign * figures.scopes_done
        progress.rows += sign * figures.rows
        progress.not_complete += sign * figures.not_complete
        requests.requests += sign * figures.requests
        requests.throttled += sign * figures.throttled
        requests.retries += sign * figures.retries
