"""The side of a child of a launcher: the shard numbers that it reads, and the lines that it writes for the launcher."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from crawler.cli import process
from crawler.cli.echo import say_json
from crawler.cli.streams import is_pipe
from crawler.errors import ConfigError, unwrap_group
from crawler.run.engine.base import PROGRESS, SHARD_ENDED

if TYPE_CHECKING:
    from crawler.clock import Clock
    from crawler.run.progress import CrawlMonitor

# A launcher takes a silence of a minute for a hang; without one, the lines are a heartbeat in the log.
_WITH_LAUNCHER_S, _ALONE_S = 1.0, 60.0
_STDIN = 0
_MOST_BYTES = 4096
_MOST_DIGITS = 9


async def shard_numbers(total: int) -> AsyncIterator[int]:
    """Yield the shard numbers of stdin, one a line, as soon as each is written, until stdin ends.

    Raises ConfigError for a line that isn't one of the numbers below `total`, and if stdin can't be read.
    """
    import anyio

    waits = is_pipe(_STDIN)
    rest = b""
    while True:
        if waits:
            await anyio.wait_readable(_STDIN)
        try:
            data = os.read(_STDIN, _MOST_BYTES)
        except OSError as error:
            raise ConfigError(f"Shard numbers can't be read from stdin: {os.strerror(error.errno or 0)}.") from None
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _MOST_DIGITS or (not data and rest):
            lines.append(rest)
        for line in lines:
            yield _shard_number(line, total)
        if not data:
            return


def _shard_number(line: bytes, total: int) -> int:
    if line.isdigit() and len(line) <= _MOST_DIGITS and int(line) < total:
        return int(line)
    shown = line[:40].decode("ascii", "backslashreplace")
    raise ConfigError(f"stdin has {shown!r} where a shard number from 0 to {total - 1} is needed.")


class ProgressLines:
    """Writes how far an attempt at a shard is: every second for a launcher, else every minute into the log.

    For a launcher, each line has the accounts whose scopes have moved since the line before, and no log level hides it.
    """

    def __init__(self, monitor: CrawlMonitor, shard: int, clock: Clock) -> None:
        self._monitor = monitor
        self._shard = shard
        self._clock = clock
        self._written: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write lines while the block runs, the first one at its begin and the last one at its end."""
        import anyio

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write_often)
                yield
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrap_group(group) from None
        finally:
            if process.parent is not None:
                self.write()

    async def _write_often(self) -> None:
        if process.parent is None:
            await self._clock.sleep(_ALONE_S)
        while True:
            self.write()
            await self._clock.sleep(_ALONE_S if process.parent is None else _WITH_LAUNCHER_S)
            if process.has_lost_parent():  # where the system doesn't end this process with it
                os.kill(os.getpid(), signal.SIGTERM)

    def write(self) -> None:
        """Write one line."""
        values = {"shard": self._shard, "attempt": self._monitor.attempt, **self._figures()}
        if process.parent is None:
            import structlog

            structlog.get_logger().info(PROGRESS, **values)
        else:
            say_json({"event": PROGRESS, "level": "info", **values, "accounts": self._moved_accounts()})

    def _figures(self) -> dict[str, Any]:
        progress, requests = self._monitor.progress, self._monitor.requests
        return {
            "scopes": progress.scopes,
            "scopes_done": progress.scopes_done,
            "rows": progress.rows,
            "requests": requests.requests,
            "throttled": requests.throttled,
            "retries": requests.retries,
            "not_complete": progress.not_complete,
            "seconds_left": round(self._monitor.time_left_s()),
        }

    def _moved_accounts(self) -> dict[str, int]:
        done = self._monitor.progress.done_by_account
        moved = {account: scopes for account, scopes in done.items() if scopes != self._written.get(account, 0)}
        self._written |= moved
        return moved


def say_shard_ended(shard: int, attempt: int, exit_code: int, error: str = "") -> None:
    """Write that an attempt has ended: 0 as soon as its report is durable, else why it failed, without secrets."""
    say_json(
        {
            "event": SHARD_ENDED,
            "level": "error" if exit_code else "info",
            "shard": shard,
            "attempt": attempt,
            "exit_code": int(exit_code),
            "error": error,
        }
    )
