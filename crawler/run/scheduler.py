"""Runs the lists of a crawl: each scope's root list first, children as soon as a page of their parent has been read.

An error of one list ends that list and marks its scope; other lists go on. `client.request_queue` decides the order of
requests, `client.dispatcher` their time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import repeat
from math import inf

import anyio

from crawler.client.client import Client
from crawler.client.dispatcher import Dispatcher
from crawler.clock import Clock
from crawler.normalizer import Normalizer
from crawler.run.admission import Admission, Workload
from crawler.run.list_walker import MAX_WRITING, ListWalker, PageReader
from crawler.run.progress import CrawlProgress
from crawler.run.scope_tree import ScopeTree
from crawler.run.targets import SkipReason
from crawler.snapshot import ShardWriter
from crawler.snapshot.status import Status


class Scheduler:
    """Runs one crawl over its targets. Call `run` once; then read `ledger` and `fields`."""

    def __init__(
        self,
        workload: Workload,
        client: Client,
        dispatcher: Dispatcher,
        normalizers: Mapping[str, Normalizer],
        writer: ShardWriter,
        clock: Clock,
        progress: CrawlProgress,
    ) -> None:
        self._plans = workload.plans
        self._writer = writer
        self._dispatcher = dispatcher
        self._clock = clock
        self._progress = progress
        self._reader = PageReader(client, normalizers, clock)
        self._tree = ScopeTree(workload.settings, dispatcher, client, writer, clock, progress, workload.accepted)
        self._admission = Admission(workload, client, writer, self._tree)
        self.ledger = self._tree.ledger
        self.fields = self._tree.fields
        self.open_scopes = self._tree.open

    async def run(self, deadline_s: float = inf) -> None:
        """Crawl until all scopes have ended. At the deadline, open ones are `not_attempted`. Raises OutputError."""
        self._progress.scopes = sum(len(plan.tables) for plan in self._plans)
        for plan in self._plans:
            self._progress.by_account[plan.target.account_id] += len(plan.tables)
            if plan.account_name:
                self._progress.names[plan.target.account_id] = plan.account_name
        with anyio.move_on_after(deadline_s):
            async with anyio.create_task_group() as tasks:
                walker = ListWalker(
                    self._reader, self._tree, self._dispatcher, self._clock, self._progress, tasks.start_soon
                )
                self._tree.start(tasks, walker.run, Counter(table for plan in self._plans for table in plan.tables))
                tasks.start_soon(self._writer.settle, self._tree.all_ended)
                try:
                    self._dispatcher.feed(self._admission.admit(), lambda: walker.writing >= MAX_WRITING)
                    await self._tree.all_ended.wait()
                finally:
                    # The dispatcher outlives this run: lists that still wait there must not begin.
                    self._tree.stop()
                    self._dispatcher.feed(repeat(False))
        with anyio.CancelScope(shield=True):
            await self._abandon_open()

    def time_left_s(self) -> float:
        """Return the least time, in seconds, that the rate limits allow for the lists that are known to be waiting."""
        now, waiting = self._clock.monotonic(), Counter[tuple[str, str, str]]()
        rates: dict[tuple[str, str, str], float] = {}
        for scope in self.open_scopes.values():
            key = (scope.target.account_id, scope.target.region_id, scope.operation.product)
            waiting[key] += scope.pending
            rates[key] = scope.channel.product.rate(now)
        return max((number / rates[key] for key, number in waiting.items()), default=0.0)

    async def _abandon_open(self) -> None:
        """End the scopes that are open or were never opened as not attempted."""
        for scope in list(self.open_scopes.values()):  # parents first, since a child is never better
            scope.stop()
            scope.record_outcome(Status.NOT_ATTEMPTED, "Deadline", "The crawl ended before this scope did.")
            await self._tree.end(scope)
        self._admission.skip_remaining(
            SkipReason("Deadline", "The crawl ended before this scope began.", Status.NOT_ATTEMPTED)
        )
