"""The protocol of launchers, and of the lines that a child process writes to stderr.

A child is the command itself. It writes only JSON objects to stderr, one a line. `progress` and `shard_ended` belong to
the protocol, all others are lines of its log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from crawler.errors import CrawlError, ExitCode

# The process ID of the coordinator or launcher, in the environment of a child: the child ends with that process.
PARENT_VARIABLE = "ACS_INVENTORY_PARENT"
PROGRESS = "progress"
SHARD_ENDED = "shard_ended"
SUMMARY = "summary"


class LaunchError(CrawlError):
    """No child process can be started. Nothing was committed."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE


@dataclass(frozen=True, slots=True)
class ShardEvent:
    """A report of a launcher about the attempt at a shard.

    `values` of a log line and of progress: the child's JSON object. Of an end: `code`, the exit code, None for a signal
    and for a child that left without a result; `reason`, such as `signal 9`; `error`, the child's own sentence, or "";
    `host`, where it ran, or "". A child whose code isn't 0 has ended for good when this is reported.
    """

    shard: int
    kind: Literal["log", "progress", "ended"]
    values: Mapping[str, Any]


class Launcher(Protocol):
    """Starts attempts at shards somewhere. `places`: the number of attempts that run at once."""

    places: int

    async def start(self, shard: int) -> None:
        """Start an attempt, after waiting for a free place. Raises LaunchError if no child can be started at all."""
        ...

    def kill(self, shard: int) -> None:
        """End the attempt at a shard by SIGKILL, since it shows no progress. Its end is reported as any other."""
        ...

    def events(self) -> AsyncIterator[ShardEvent]:
        """Iterate over the events of all attempts, in the order of arrival, until `stop`. Call it once."""
        ...

    async def stop(self) -> None:
        """End all children: SIGTERM, a grace period, SIGKILL. Returns when none is left, even if it is cancelled."""
        ...
