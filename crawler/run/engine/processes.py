"""Worker processes on this machine. Each one starts once, and reads the numbers of its shards from stdin."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL, PIPE, Popen

import anyio
import structlog

from crawler.clock import Clock, SystemClock
from crawler.errors import describe_defect, describe_shortage
from crawler.run.engine.base import PARENT_VARIABLE, LaunchError, ShardEvent
from crawler.run.engine.lines import ChildLines

# Grace period of children after SIGTERM: a crawl then keeps its journal.
GRACE_S = 30.0
# A child that can't be heard any more, or has said that its shard failed, may take so long to end by itself.
_PATIENCE_S = 5.0
# Events that wait for the coordinator. A child that writes more waits, too.
_MOST_EVENTS = 1000

# How often a process is looked at that doesn't close its pipe, and one that has closed it.
_SELDOM_S, _OFTEN_S = 1.0, 0.01
_MOST_BYTES = 65_536


class _Worker:
    """A child process, what it writes, and whether it has a shard.

    Its pipes are those of Python's subprocess module: uvloop's processes inherit a second descriptor of each of their
    own pipes, so that a pipe that such a process closes has no end.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.lines = ChildLines()
        self.is_busy = False
        self._process = Popen(  # noqa: S603 - this program itself
            command, bufsize=0, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, env=environ
        )
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._stdin, self._stderr = self._process.stdin, self._process.stderr

    def give(self, shard: int) -> None:
        """Give it a shard. It has none, so it has read all that was written before, and this doesn't block."""
        self.lines.begin(shard)
        self.is_busy = True
        with suppress(OSError, ValueError):  # it is dying, and its end will be reported
            self._stdin.write(b"%d\n" % shard)

    async def receive(self) -> bytes:
        """Return some of what it writes to stderr; nothing at the end."""
        await anyio.wait_readable(self._stderr)
        return os.read(self._stderr.fileno(), _MOST_BYTES)

    async def wait(self, look_s: float) -> int:
        """Return the exit code, negative for a signal."""
        while True:
            code = self._process.poll()
            if code is not None:
                return code
            await anyio.sleep(look_s)

    def close_stdin(self) -> None:
        with suppress(OSError):
            self._stdin.close()

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    async def reap(self) -> ShardEvent:
        """Wait for a process that isn't heard any more, kill it if it stays, and return the end of its shard."""
        because = ""
        with anyio.move_on_after(_PATIENCE_S) as scope:
            await self.wait(_OFTEN_S)
        if scope.cancelled_caught:
            because = ", since its log was closed"
            self.kill()
        code = await self.wait(_OFTEN_S)
        self.close_stdin()
        self._stderr.close()
        return self.lines.end(code, because)


class ProcessLauncher:
    """A `Launcher` of worker processes, which start when they are needed. Use it in the main thread.

    Linux ends a child with the thread that started it, so that thread must live as long as the crawl. `command` is the
    program with its arguments; `environ` is the children's environment. A child's stdout is discarded.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], workers: int, clock: Clock | None = None
    ) -> None:
        self.places = workers
        self._command = list(command)
        self._environ = {**environ, PARENT_VARIABLE: str(os.getpid())}
        self._clock = clock or SystemClock()
        self._free = anyio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._workers: dict[_Worker, asyncio.Task[None]] = {}
        self._reports, self._events = anyio.create_memory_object_stream[ShardEvent](_MOST_EVENTS)

    async def start(self, shard: int) -> None:
        """See `Launcher.start`. If the machine refuses one more process, the shard waits for one that runs."""
        while True:
            await self._free.acquire()
            try:
                worker = self._idle.pop() if self._idle else self._spawn()
                break
            except LaunchError as error:
                if not self._workers:
                    raise
                self.places -= 1
                structlog.get_logger().warning("worker_not_started", reason=str(error), workers=self.places)
        worker.give(shard)

    def kill(self, shard: int) -> None:
        """See `Launcher.kill`."""
        for worker in self._workers:
            if worker.is_busy and worker.lines.shard == shard:
                worker.kill()

    def events(self) -> AsyncIterator[ShardEvent]:
        """See `Launcher.events`."""
        return self._events

    async def stop(self) -> None:
        """See `Launcher.stop`."""
        with anyio.CancelScope(shield=True):
            self._events.close()  # children that still write don't wait for a reader
            for worker in self._workers:
                worker.close_stdin()  # which ends a worker without a shard
                if worker.is_busy:
                    worker.terminate()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._kill_late)
                while self._workers:
                    await asyncio.wait(self._workers.values())
                tasks.cancel_scope.cancel()
            self._reports.close()

    async def _kill_late(self) -> None:
        await self._clock.sleep(GRACE_S)
        for worker in self._workers:
            worker.kill()

    def _spawn(self) -> _Worker:
        """Start a process. Raises LaunchError."""
        try:
            worker = _Worker(self._command, self._environ)
        except (OSError, RuntimeError, MemoryError) as error:
            reason = describe_shortage(error) or f"{getattr(error, 'strerror', None) or type(error).__name__}."
            raise LaunchError(f"A worker process can't be started. {reason}") from error
        self._workers[worker] = task = asyncio.create_task(self._attend(worker))
        task.add_done_callback(lambda task: self._forget(worker, task))
        return worker

    def _forget(self, worker: _Worker, task: asyncio.Task[None]) -> None:
        del self._workers[worker]
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error("worker_not_heard", reason=describe_defect(error))

    async def _attend(self, worker: _Worker) -> None:
        """Report what a worker writes, and its end if it had a shard."""
        try:
            await self._listen(worker)
        finally:
            with anyio.CancelScope(shield=True):
                if worker in self._idle:
                    self._idle.remove(worker)
                ended = await worker.reap()
                if worker.is_busy:
                    await self._end_shard(worker, ended)

    async def _listen(self, worker: _Worker) -> None:
        """Read until the worker's end of stderr. Once it has ended or failed, that takes `_PATIENCE_S` at most."""
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_end_soon_after, worker, scope)
                while data := await worker.receive():
                    for event in worker.lines.read(data):
                        await self._report(event)
                    if worker.is_busy and worker.lines.is_done:
                        await self._end_shard(worker, worker.lines.end(None))
                        self._idle.append(worker)
                    elif worker.is_busy and worker.lines.result is not None:
                        worker.close_stdin()
                        scope.deadline = min(scope.deadline, anyio.current_time() + _PATIENCE_S)
                tasks.cancel_scope.cancel()

    async def _end_shard(self, worker: _Worker, ended: ShardEvent) -> None:
        worker.is_busy = False
        with anyio.CancelScope(shield=True):
            await self._report(ShardEvent(ended.shard, ended.kind, {**ended.values, "host": socket.gethostname()}))
        self._free.release()

    async def _report(self, event: ShardEvent) -> None:
        with suppress(anyio.BrokenResourceError):  # stopped: nobody reads
            await self._reports.send(event)


async def _end_soon_after(worker: _Worker, scope: anyio.CancelScope) -> None:
    """Bound the reading when the process has ended: a child of its own may keep the pipe open."""
    await worker.wait(_SELDOM_S)
    scope.deadline = min(scope.deadline, anyio.current_time() + _PATIENCE_S)
