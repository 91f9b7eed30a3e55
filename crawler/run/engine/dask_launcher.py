"""Starts attempts at shards on a Dask cluster: on workers of this machine, or on those of a scheduler's address.

Dask carries the command's arguments to a worker and brings back what its child writes, nothing else: each child loads
the configuration and its credentials by itself. The launcher chooses the worker of each attempt, so that Dask neither
moves nor repeats one: what Dask starts again by itself would be an attempt of which the coordinator doesn't know.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from crawler.errors import ExitCode, describe_defect
from crawler.run.engine.base import LaunchError, ShardEvent
from crawler.run.engine.dask_task import GRACE_S, kill_child, run_child
from crawler.run.engine.lines import ChildLines
from crawler.text import LOOPBACK_HOST, clean_message

if TYPE_CHECKING:
    from distributed import Client, Future

RESOURCE = "crawl"
_LOOK_S = 1.0
# A scheduler that doesn't answer for so long is lost, and so is one without workers.
_ANSWER_S = 30.0
_NO_WORKERS_S = 300.0
# A worker that a nanny restarts is back within seconds. Its nanny's word is the proof that its child is dead.
_RESTART_S = 10.0
_KILL_S = 10.0


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker process: one that a nanny has restarted, even at the same address, is another one."""

    address: str
    directory: str
    places: int
    has_resource: bool
    nanny: str | None
    host: str


@dataclass(slots=True)
class _Attempt:
    shard: int
    key: str
    worker: _Worker
    lines: ChildLines = field(default_factory=ChildLines)
    future: Future[None] | None = None
    host: str = ""
    has_begun: bool = False
    is_reported: bool = False
    lost_at: float = math.inf


class DaskLauncher:
    """A `Launcher` on the workers of a Dask cluster. Make it with `open_launcher`.

    `command` returns the arguments of the Python interpreter for a shard. `is_local_only`: workers that aren't on this
    machine get no shard.
    """

    def __init__(
        self, client: Client, address: str, command: Callable[[int], Sequence[str]], *, is_local_only: bool
    ) -> None:
        self.places = 0
        self._client = client
        self._address = address
        self._command = command
        self._is_local_only = is_local_only
        self._present: tuple[_Worker, ...] = ()
        self._workers: tuple[_Worker, ...] = ()  # those that may get a shard
        self._attempts: dict[str, _Attempt] = {}
        self._started: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._failure: LaunchError | None = None
        self._reports: asyncio.Queue[ShardEvent | None] = asyncio.Queue()  # None: there are no more
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Find the workers, and begin to watch them. Raises LaunchError if there are none."""
        await self._look()
        if not self._workers:
            raise LaunchError(self._no_workers())
        # Dask forgets the events of a topic that is named like a client, once the client has gone.
        self._client.subscribe_topic(self._client.id, self._hear)
        self._begin_task(self._watch())

    async def start(self, shard: int) -> None:
        """See `Launcher.start`."""
        worker = await self._free_worker()
        self._started[shard] = number = self._started.get(shard, 0) + 1
        key = f"acs-inventory-{self._client.id}-s{shard:05}-a{number:03}"
        attempt = _Attempt(shard, key, worker, host=worker.host)
        attempt.lines.begin(shard)
        self._attempts[key] = attempt
        attempt.future = self._client.submit(
            run_child,
            key,
            self._client.id,
            list(self._command(shard)),
            worker.directory,
            key=key,
            workers=[worker.address],
            allow_other_workers=False,
            resources={RESOURCE: 1} if worker.has_resource else None,
            pure=False,
            retries=0,
        )
        self._begin_task(self._await_future(attempt, attempt.future))

    def kill(self, shard: int) -> None:
        """See `Launcher.kill`."""
        for attempt in self._attempts.values():
            if attempt.shard == shard and not attempt.is_reported:
                self._begin_task(self._kill(attempt))

    async def events(self) -> AsyncIterator[ShardEvent]:
        """See `Launcher.events`. Raises LaunchError if the scheduler is lost."""
        while (event := await self._reports.get()) is not None:
            yield event
        self._reports.put_nowait(None)
        if self._failure is not None and not self._is_stopping:
            raise self._failure

    async def stop(self) -> None:
        """See `Launcher.stop`."""
        self._is_stopping = True
        with anyio.CancelScope(shield=True):
            futures = [attempt.future for attempt in self._attempts.values() if attempt.future is not None]
            with anyio.move_on_after(GRACE_S + _KILL_S):
                if futures and self._failure is None:
                    with suppress(OSError):
                        await self._client.cancel(futures, force=True)
                    while any(attempt.has_begun for attempt in self._attempts.values()) and self._failure is None:
                        await self._change()
                with suppress(ValueError):  # it had not begun
                    self._client.unsubscribe_topic(self._client.id)
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._attempts.clear()
            self._reports.put_nowait(None)

    async def _free_worker(self) -> _Worker:
        """The worker with the most free places, as soon as one has any. Raises LaunchError if all stay away."""
        with anyio.move_on_after(_NO_WORKERS_S) as patience:
            while True:
                if self._failure is not None:
                    raise self._failure
                if self._is_stopping:
                    raise LaunchError("No shard is started any more: the crawl ends.")
                free = {worker: worker.places - self._busy(worker) for worker in self._workers}
                best = max(free, key=lambda worker: free[worker], default=None)
                if best is not None and free[best] > 0:
                    return best
                if self._workers:
                    patience.deadline = anyio.current_time() + _NO_WORKERS_S
                await self._change()
        raise LaunchError(self._no_workers())

    def _busy(self, worker: _Worker) -> int:
        return sum(attempt.worker == worker for attempt in self._attempts.values())

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _begin_task(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error if isinstance(error, LaunchError) else LaunchError(describe_defect(error)))

    def _fail(self, error: LaunchError) -> None:
        """End the events: nothing can be started or heard any more."""
        if self._failure is None:
            self._failure = error
            self._reports.put_nowait(None)
            self._changed.set()

    async def _watch(self) -> None:
        """Look at the workers each second. Raises LaunchError once the scheduler is lost."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look()
            self._end_lost()

    async def _look(self) -> None:
        """Ask for the workers. Raises LaunchError if the scheduler doesn't answer."""
        try:
            with anyio.fail_after(_ANSWER_S):
                found = await self._client.scheduler.identity(n_workers=-1)  # type: ignore[union-attr]
        except (OSError, AttributeError):
            raise LaunchError(self._lost_scheduler()) from None
        if self._client.status != "running":
            raise LaunchError(self._lost_scheduler())
        self._present = tuple(_worker(address, values) for address, values in found["workers"].items())
        running = [worker for worker in self._present if found["workers"][worker.address]["status"] == "running"]
        self._workers = tuple(self._usable(running))
        self.places = sum(worker.places for worker in self._workers)
        self._changed.set()

    def _usable(self, running: Sequence[_Worker]) -> list[_Worker]:
        """The workers that may get a shard: where some offer the resource, those alone."""
        offering = [worker for worker in running if worker.has_resource] or running
        return [worker for worker in offering if not self._is_local_only or LOOPBACK_HOST.fullmatch(worker.host)]

    def _end_lost(self) -> None:
        """Report the attempts whose worker is gone, once its nanny has replaced it, or stays away as well."""
        now = anyio.current_time()
        nannies = {worker.nanny for worker in self._present if worker.nanny}
        for attempt in list(self._attempts.values()):
            if attempt.worker in self._present:
                attempt.lost_at = math.inf
                continue
            attempt.lost_at = min(attempt.lost_at, now)
            is_dead = attempt.worker.nanny in nannies
            if is_dead or now - attempt.lost_at >= _RESTART_S:
                self._end_without_word(attempt, "the loss of its Dask worker", is_dead=is_dead)
                self._forget(attempt)

    def _hear(self, event: tuple[float, Any]) -> None:
        """Take one event of the topic; Dask itself writes others there."""
        message = event[1]
        attempt = self._attempts.get(message.get("key", "")) if isinstance(message, Mapping) else None
        if attempt is None:
            return
        attempt.host = message["host"]
        attempt.has_begun = True
        for said in attempt.lines.read(message.get("data", b"")):
            self._reports.put_nowait(said)
        if "exit_code" in message:
            self._end(attempt, attempt.lines.end(message["exit_code"]))
            self._forget(attempt)
        elif "not_started" in message:
            reason = f"a process that can't be started: {clean_message(message['not_started'])}"
            self._end_without_word(attempt, reason, is_dead=True)
            self._forget(attempt)

    async def _await_future(self, attempt: _Attempt, future: Future[None]) -> None:
        """Report the end of a task that has said nothing about it: it never began, or Dask has lost it."""
        from distributed import KilledWorker

        error: BaseException | None = None
        with suppress(asyncio.CancelledError):  # of the future, and of this task
            error = await future.exception()
        if attempt.key not in self._attempts:
            return
        if self._is_stopping and not attempt.has_begun:
            self._forget(attempt)
        elif self._is_stopping:
            return  # its host will tell the child's end
        elif future.status == "cancelled":
            raise LaunchError(self._lost_scheduler())
        elif error is not None and not isinstance(error, KilledWorker):  # that one is for `_end_lost`
            self._end_without_word(attempt, f"{type(error).__name__} in its Dask task", is_dead=not attempt.has_begun)
            self._forget(attempt)

    async def _kill(self, attempt: _Attempt) -> None:
        """Kill a child, and report its end in any case: its worker may hang as well."""
        with anyio.move_on_after(_KILL_S):
            with suppress(OSError):
                await self._client.run(kill_child, attempt.key, workers=[attempt.worker.address], on_error="ignore")
            while attempt.key in self._attempts:
                await self._change()
        if attempt.key in self._attempts:
            self._end_without_word(attempt, "silence of its Dask worker", is_dead=False)

    def _end_without_word(self, attempt: _Attempt, reason: str, *, is_dead: bool) -> None:
        """Report an end of which the child's host says nothing.

        If the child isn't proven dead, the code says that another attempt may hold the lease: it then ends by time.
        """
        if attempt.lines.result is not None:
            self._end(attempt, attempt.lines.end(None))
            return
        code = None if is_dead else int(ExitCode.OUTPUT_BUSY)
        values = {"code": code, "reason": reason, "error": attempt.lines.error}
        self._end(attempt, ShardEvent(attempt.shard, "ended", values))

    def _end(self, attempt: _Attempt, ended: ShardEvent) -> None:
        if not attempt.is_reported:
            attempt.is_reported = True
            self._reports.put_nowait(ShardEvent(ended.shard, "ended", {**ended.values, "host": attempt.host}))

    def _forget(self, attempt: _Attempt) -> None:
        """Free the attempt's place. Its future's end has Dask forget the task."""
        if self._attempts.pop(attempt.key, None) is not None and attempt.future is not None:
            attempt.future.release()
        self._changed.set()

    def _no_workers(self) -> str:
        if self._is_local_only and self._present:
            return (
                f"The workers of the Dask scheduler {self._address} are on other machines: they need an output in a "
                "bucket, and output.fingerprint_key."
            )
        return f"No worker that can be used is connected to the Dask scheduler {self._address}: start `dask worker`."

    def _lost_scheduler(self) -> str:
        return (
            f"The Dask scheduler {self._address} can't be reached any more, so the crawl ends, and so do its processes "
            "on the workers. Nothing was committed; `crawl --resume` goes on with it."
        )


def _worker(address: str, values: Mapping[str, Any]) -> _Worker:
    """Read a worker from what the scheduler tells of it. Without the resource, each of its threads is a place."""
    offered = values["resources"].get(RESOURCE)
    places = int(values["nthreads"] if offered is None else offered)
    return _Worker(address, values["local_directory"], places, offered is not None, values["nanny"], values["host"])
