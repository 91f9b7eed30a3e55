"""`crawl --shard`: this process crawls one shard of a run, or as a child of a coordinator several, one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from crawler.cli import process
from crawler.cli.crawl import run_to_result
from crawler.cli.crawl_summary import print_summary, summarize
from crawler.cli.echo import tell_summary
from crawler.cli.live import live_display
from crawler.cli.notifications import notify_result
from crawler.cli.process import collect_rarely
from crawler.cli.render import console, safe
from crawler.cli.retention import prune_after_crawl
from crawler.cli.runs import joined_sentence
from crawler.cli.sharing import FROM_STDIN, Shard
from crawler.cli.signals import CrawlSignals, cancel_on_signal, exit_after_grace
from crawler.cli.summary_bounds import with_few_scopes
from crawler.cli.worker import ProgressLines, say_shard_ended, shard_numbers
from crawler.errors import CrawlError, ExitCode
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.run.shared_crawl import ShardEnd, SharedCrawl, open_shared
from crawler.run.system import System, raise_limit
from crawler.snapshot.shards.documents import JoinedRun
from crawler.telemetry.ping import ping

if TYPE_CHECKING:
    from crawler.cli.options import CommonOptions
    from crawler.config import Config


def crawl_shards(
    config: Config,
    common: CommonOptions,
    signals: CrawlSignals,
    system: System,
    shard: Shard,
    key: str,
    *,
    as_json: bool,
) -> int:
    """Crawl a shard of the run with this key, or those whose numbers stdin has. Return 0.

    Raises Interrupted for a signal, ConfigError, OutputError and OutputBusyError.
    """
    raise_limit()
    collect_rarely()
    work = _Work(config, common, signals, system, shard, key)
    began_at = datetime.now(UTC)

    async def main() -> JoinedRun | ShardEnd | None:
        return await cancel_on_signal(signals, work.run)

    try:
        found = run_to_result(main, lambda: work.monitor, common)
    except BaseException as error:
        if work.has_no_plan:  # its start was told, and no other process tells its end
            state = common.exit_state
            signals.decide(state.code_of(error))
            notify_result(config, None, state, signals, began_at, common.hide(state.sentence_of(error)))
        raise
    ended = ShardEnd(shard.number, joined=found) if isinstance(found, CrawlResult) else found
    signals.decide(ExitCode.SUCCESS)
    if isinstance(ended, ShardEnd) and ended.joined is not None:
        joined = prune_after_crawl(config, ended.joined, common.exit_state, signals)
        ended = replace(ended, joined=joined)
        notify_result(config, joined, common.exit_state, signals, joined.started_at)
    if shard.number != FROM_STDIN:
        _print(ended, work, common, as_json=as_json)
    return ExitCode.SUCCESS


class _Work:
    def __init__(
        self, config: Config, common: CommonOptions, signals: CrawlSignals, system: System, shard: Shard, key: str
    ) -> None:
        self.config = config
        self.shard = shard
        self.key = key
        self.monitor = CrawlMonitor()
        self.has_no_plan = False
        self._common = common
        self._signals = signals
        self._system = system

    async def run(self) -> JoinedRun | ShardEnd | None:
        """Crawl the shards, and return how the last one ended; what became of the run if it is over."""
        is_child = process.parent is not None
        ended: ShardEnd | None = None
        async with anyio.create_task_group() as tasks:

            async def on_plan() -> None:
                self.has_no_plan = True
                tasks.start_soon(ping, self.config, "start")

            async with open_shared(
                self.config, self.key, self.shard.total, self._system, on_plan, is_child=is_child
            ) as shared:
                self.has_no_plan = False
                if isinstance(shared, JoinedRun):
                    return shared
                async for number in self._numbers():
                    ended = await self._crawl(shared, number)
            tasks.cancel_scope.cancel()
        return ended

    def _told(self, number: int) -> AbstractAsyncContextManager[None]:
        """Show the progress of a shard during a block: to a person, to the log, or to a coordinator."""
        if self._common.shows_progress and process.parent is None:
            return live_display(self.monitor)
        return ProgressLines(self.monitor, number, self._system.clock).running()

    async def _numbers(self) -> AsyncIterator[int]:
        if self.shard.number != FROM_STDIN:
            yield self.shard.number
            return
        async for number in shard_numbers(self.shard.total):
            yield number

    async def _crawl(self, shared: SharedCrawl, number: int) -> ShardEnd:
        decide = self._signals.decide
        self.monitor = monitor = CrawlMonitor(on_stuck=exit_after_grace, on_result=lambda _: decide(ExitCode.SUCCESS))
        try:
            async with self._told(number):
                ended = await shared.crawl(number, monitor)
        except CrawlError as error:
            say_shard_ended(number, monitor.attempt, error.exit_code, self._common.hide(str(error)))
            raise
        if process.parent is not None:
            say_shard_ended(number, monitor.attempt, ExitCode.SUCCESS)
        return ended


def _print(ended: JoinedRun | ShardEnd | None, work: _Work, common: CommonOptions, *, as_json: bool) -> None:
    """Print what became of the shard, and of the run if this process has joined it."""
    joined = ended.joined if isinstance(ended, ShardEnd) else None
    run = common.hide(summarize(joined, work.config.output.uri)) if joined is not None else None
    value = common.hide(_value(ended, work)) | {"run": with_few_scopes(run) if run is not None else None}

    def show() -> None:
        if run is not None:
            print_summary(run)
        console().print(safe(_sentence(ended, work)), soft_wrap=True)

    tell_summary(common, value, show, command="crawl", as_json=as_json)


def _value(ended: JoinedRun | ShardEnd | None, work: _Work) -> dict[str, Any]:
    end = ended if isinstance(ended, ShardEnd) else None
    status = ended.status if isinstance(ended, JoinedRun) else None
    progress = work.monitor.progress
    return {
        "exit_code": ExitCode.SUCCESS,
        "key": work.key,
        "shard": work.shard.number,
        "shards": work.shard.total,
        "attempt": work.monitor.attempt,
        "snapshot_id": ended.snapshot_id if isinstance(ended, JoinedRun) else work.monitor.snapshot_id,
        "was_reported": end.was_reported if end is not None else status == "complete",
        "shards_missing": end.missing if end is not None else 0,
        "run_status": status,
        "scopes": progress.scopes,
        "not_complete": progress.not_complete,
        "rows": progress.rows,
        "requests": work.monitor.requests.requests,
    }


def _sentence(ended: JoinedRun | ShardEnd | None, work: _Work) -> str:
    name = f"Shard {work.shard.number} of {work.shard.total}"
    if isinstance(ended, JoinedRun):
        return f"{joined_sentence(ended)} {name} was not crawled by this process."
    left = f" {ended.missing} of {work.shard.total} shards have no report yet." if ended and ended.missing else ""
    if ended is not None and ended.was_reported:
        return f"{name} of snapshot {work.monitor.snapshot_id} had its report before.{left}"
    progress = work.monitor.progress
    done = f"{progress.scopes_done:,} scopes, {progress.rows:,} rows"
    return f"{name} of snapshot {work.monitor.snapshot_id} is reported: {done}.{left}"
