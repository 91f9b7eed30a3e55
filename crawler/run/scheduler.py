"""Runs a crawl's lists: each scope's root list first, children as soon as a page of their parent is in.

One list's error ends that list and marks its scope; it never touches another. What goes next is decided in `lanes`,
when it may go in `dispatcher`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product, repeat
from math import inf

import anyio

from crawler.catalog.model import Catalog, Operation, Parent
from crawler.client.client import Client
from crawler.client.dispatcher import Dispatcher
from crawler.client.rate_limit import PACE
from crawler.clock import Clock
from crawler.errors import ApiError, CrawlError, NormalizeError, OutputError, VanishedError, describe_defect
from crawler.normalizer import Normalizer, RowPage
from crawler.run.details import DetailReader
from crawler.run.list_walker import PageReader
from crawler.run.pagination.walk import ListWalk
from crawler.run.progress import CrawlProgress
from crawler.run.scope import Job, ListRowCounts, Scope, add_names
from crawler.run.targets import SkipReason, Target, TargetPlan
from crawler.run.worker_pool import WorkerPool
from crawler.snapshot import JournalEntry, Ledger, ListWriter, SnapshotWriter
from crawler.snapshot.ledger import ScopeRow, Status, is_whole

# An open scope takes about 5 kB. More than a few hundred are open at once only where most of the cloud throttles.
MAX_OPEN = 20_000
# Where the disk is slower than the cloud, scopes that have been read wait for it; no more are begun then. Each holds
# the scopes below it open, and so many in one flush are as quick as more.
MAX_ENDING = 128
# Nor is anything asked for while so many pages wait for the disk: each is held, and nothing else bounds them.
MAX_WRITING = 16


class Scheduler:
    """One crawl's run over its targets. Call `run` once; then read `ledger` and `unknown_fields`.

    `finished` are scopes of a crawl that this one goes on with: they are counted, and not asked for.
    """

    def __init__(
        self,
        catalog: Catalog,
        plans: Sequence[TargetPlan],
        written: Iterable[str],
        client: Client,
        dispatcher: Dispatcher,
        normalizers: Mapping[str, Normalizer],
        writer: SnapshotWriter,
        clock: Clock,
        settings: Mapping[str, Sequence[str]],
        progress: CrawlProgress,
        details: Collection[str] = (),
        finished: Iterable[JournalEntry] = (),
    ) -> None:
        self.ledger = Ledger()
        self.unknown_fields: dict[str, dict[str, int]] = {}
        self._catalog = catalog
        self._plans = plans
        self._written = frozenset(written)
        self._client = client
        self._dispatcher = dispatcher
        self._reader = PageReader(client, normalizers, clock)
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._progress = progress
        self._details = frozenset(details)
        self._finished = {record.scope: record for record in finished}
        self._open: dict[tuple[Target, str], Scope] = {}
        self._admitted = 0
        self._ending = 0
        self._writing = 0
        self._done = anyio.Event()

    async def run(self, deadline_s: float = inf) -> None:
        """Crawl until everything has ended or the time is over; what hasn't ended then is `not_attempted`.

        Raises OutputError where the disk fails, and nothing else of a list's own.
        """
        self._progress.scopes = sum(len(plan.tables) for plan in self._plans)
        for plan in self._plans:
            self._progress.by_account[plan.target.account_id] += len(plan.tables)
        with anyio.move_on_after(deadline_s):
            async with anyio.create_task_group() as self._tasks:
                self._workers = WorkerPool(self._tasks, self._run_job, self._settle)
                try:
                    self._dispatcher.feed(self._admissions(), lambda: self._writing >= MAX_WRITING)
                    await self._done.wait()
                finally:
                    # The dispatcher outlives this run: what still waits there must not begin.
                    self._workers.end()
                    self._dispatcher.feed(repeat(False))
        with anyio.CancelScope(shield=True):
            await self._abandon_open()

    def time_left_s(self) -> float:
        """The least time that the rate limits allow for the lists that are known to be waiting."""
        now, waiting = self._clock.monotonic(), Counter[tuple[str, str, str]]()
        rates: dict[tuple[str, str, str], float] = {}
        for scope in self._open.values():
            key = (scope.target.account_id, scope.target.region_id, scope.operation.product)
            waiting[key] += scope.pending
            rates[key] = scope.channel.product.rate(now)
        return max((number / rates[key] for key, number in waiting.items()), default=0.0)

    def _admissions(self) -> Iterator[bool]:
        """Each step lets one more target in, and gives whether there was one. The dispatcher asks when it has room."""
        for plan in self._plans:
            while len(self._open) >= MAX_OPEN or self._ending >= MAX_ENDING:
                yield False
            self._admitted += 1
            if plan.refusal is not None:
                self._leave_out(plan, plan.refusal)
            else:
                self._admit(plan)
            yield True
        self._check_done()
        while True:
            yield False

    def _admit(self, plan: TargetPlan) -> None:
        scopes: dict[str, Scope] = {}
        for table in plan.tables:
            if self._take_over(plan, table):
                continue
            scopes[table] = scope = self._scope(plan, self._catalog.operations[table])
            self._open[plan.target, table] = scope
            for parent in scope.operation.parent_tables:
                if parent in scopes:
                    scopes[parent].children.append(scope)
                    scope.sources += 1
        for scope in scopes.values():
            if not scope.operation.parents:
                self._submit(scope, {}, is_guess=False)
            elif len(scopes) < len(plan.tables):
                self._submit_known(scope)

    def _take_over(self, plan: TargetPlan, table: str) -> bool:
        """Count a scope that a crawl before this one has finished; whether there is one."""
        record = self._finished.get((table, plan.target.account_id, plan.target.region_id))
        if record is None:
            return False
        if record.unknown:
            add_names(self.unknown_fields.setdefault(table, {}), record.unknown)
        self._progress.rows += record.row.rows_seen
        self._record(record.row)
        return True

    def _submit_known(self, scope: Scope) -> None:
        """Submit the lists that rows of finished parents gave; where nothing is left to wait for, the scope ends."""
        target = scope.target
        for parent in scope.operation.parent_tables:
            record = self._finished.get((parent, target.account_id, target.region_id))
            if record is None:
                continue
            scope.inherit(record.row)
            for known in record.lists[scope.operation.table] or ():
                self._submit_once(
                    scope, dict(zip(scope.operation.parameters, known.values, strict=True)), is_guess=known.is_guess
                )
        if not scope.sources and not scope.pending:
            self._tasks.start_soon(self._end_if_done, scope)

    def _leave_out(self, plan: TargetPlan, reason: SkipReason) -> None:
        """Nothing was asked there, and why; what a crawl before this one has finished there counts all the same."""
        for table in plan.tables:
            if self._take_over(plan, table):
                continue
            row = ScopeRow(plan.target.account_id, plan.target.region_id, table, reason.status, table in self._written)
            row.error_code, row.error_message = reason.code, reason.message
            self._record(row)

    def _scope(self, plan: TargetPlan, operation: Operation) -> Scope:
        account_id, region_id = plan.target.account_id, plan.target.region_id
        is_written = operation.table in self._written
        has_details = operation.details is not None and is_written and operation.table in self._details
        return Scope(
            operation,
            plan.target,
            plan.caller,
            self._client.channel(
                account_id, region_id, operation.product, operation.action, self._catalog.depth(operation.table)
            ),
            ScopeRow(account_id, region_id, operation.table, Status.COMPLETE, written=is_written),
            self._writer.scope(operation.table, account_id, region_id) if is_written else None,
            details=DetailReader(self._client, plan.target, plan.caller, operation) if has_details else None,
        )

    def _submit(self, scope: Scope, parameters: Mapping[str, str], *, is_guess: bool) -> None:
        scope.pending += 1
        self._dispatcher.submit(scope.channel.lane, partial(self._begin, Job(scope, parameters, is_guess)))

    def _begin(self, job: Job) -> None:
        job.has_place = self._workers.begin(job)
        if not job.has_place:
            self._dispatcher.release()

    async def _run_job(self, job: Job, running: anyio.CancelScope) -> None:
        scope = job.scope
        scope.row.started_at = scope.row.started_at or self._clock.now()
        self._progress.table = scope.row.table
        scope.running.add(running)
        try:
            if not scope.is_doomed:
                await self._walk(job)
        except OutputError:
            raise
        except CrawlError as error:
            scope.judge_error(error)
        except Exception as error:  # noqa: BLE001 - a defect that one list shows must not end all the others
            scope.judge(Status.FAILED, "Defect", f"{describe_defect(error)} Please report it.")
        finally:
            scope.running.discard(running)
            if job.has_place:
                self._dispatcher.release()

    async def _settle(self, job: Job) -> None:
        scope = job.scope
        self._doom_below(scope)
        scope.pending -= 1
        scope.make_room()
        await self._end_if_done(scope)

    async def _walk(self, job: Job) -> None:
        scope, counts = job.scope, ListRowCounts()
        rows = scope.writer.list() if scope.writer is not None else None
        # A page's details are asked for with that page's body: with details pages come one by one.
        spawn = self._tasks.start_soon if scope.details is None else None
        pays = partial(self._pays, scope, self._clock.monotonic()) if scope.operation.paging.prefix_key else None
        walk = ListWalk(scope.operation.paging, partial(self._reader.fetch, job), spawn, pays)
        held: list[RowPage] = []

        async def take(page: RowPage, *, restarts: bool) -> None:
            nonlocal counts
            scope.has_pages = True
            if restarts:
                counts = await self._begin_anew(counts, rows, held)
            if scope.details is not None:
                page = await self._reader.detailed(job, page)
            counts.add(page)
            self._progress.rows += page.seen
            if scope.children:
                held.append(page)
            else:
                page.forget_records()
            if rows is not None and page.seen:
                await self._write(page, rows)
            if walk.is_settled and held:
                await self._begin_children(scope, held)

        try:
            await walk.run(take)
        except ApiError as error:
            is_vanished = isinstance(error, VanishedError) and bool(job.parameters)
            if not is_vanished and error.code not in scope.operation.empty_codes:
                raise
            counts = await self._begin_anew(counts, rows, held)
            scope.row.vanished += is_vanished and not job.is_guess
        finally:
            scope.count(counts, walk.note, walk.pages)
        if held:
            await self._begin_children(scope, held)
        if walk.status != "complete":
            scope.judge(Status(walk.status), walk.status.capitalize(), walk.note)
        scope.judge_details()
        if rows is not None:
            rows.finish()

    def _pays(self, scope: Scope, began_at: float, pages: int, extra: int) -> bool:
        """Whether several chains, for so many requests more, would end a list sooner, if it has as much left as it had:
        where nothing else waits for the limits and places are free. Lists below take longer than the chain anyway.
        """
        now, channel = self._clock.monotonic(), scope.channel
        if scope.children or channel.lane.ready_at(now) > now or not self._dispatcher.has_room:
            return False
        request_s = 1 / (PACE * min(channel.operation.rate(now), channel.product.rate(now)))
        return extra * request_s < now - began_at - pages * request_s

    async def _begin_anew(self, counts: ListRowCounts, rows: ListWriter | None, held: list[RowPage]) -> ListRowCounts:
        self._progress.rows -= counts.seen
        held.clear()
        if rows is not None:
            await rows.restart()
        return ListRowCounts()

    async def _write(self, page: RowPage, rows: ListWriter) -> None:
        self._writing += 1
        try:
            await rows.write(page.rows, page.keys, page.digests)
        finally:
            self._writing -= 1
            if self._writing == MAX_WRITING - 1:
                self._dispatcher.ask_again()

    async def _begin_children(self, scope: Scope, pages: list[RowPage]) -> None:
        """Submit the lists that hang from these pages' rows, each page's when not too many of them are pending."""
        for page in pages:
            for child in scope.children:
                await child.wait_for_room()
                for parent in child.operation.parents:
                    if parent.table == scope.operation.table:
                        self._submit_below(child, parent, page)
            page.forget_records()
        pages.clear()

    def _bound(self, child: Scope, parent: Parent, page: RowPage) -> list[tuple[str, ...]]:
        """The values that the page's rows give; where a row gives none, the child's scope can't be complete."""
        try:
            return page.parent_keys(list(parent.bind.values()))
        except NormalizeError as error:
            child.has_unknown_lists = True
            child.judge_error(error)
            self._doom_below(child)
            return []

    def _submit_below(self, child: Scope, parent: Parent, page: RowPage) -> None:
        names = [*parent.bind, *parent.values]
        known = [(*values, *self._settings.get(parent.setting, ())) for values in parent.values.values()]
        for bound in self._bound(child, parent, page):
            for guessed in product(*known):
                self._submit_once(child, dict(zip(names, (*bound, *guessed), strict=True)), is_guess=bool(guessed))

    def _submit_once(self, scope: Scope, parameters: Mapping[str, str], *, is_guess: bool) -> None:
        """Submit a list that no row gave before. Where the scope is doomed it is only remembered, for a journal."""
        identity = tuple(map(parameters.__getitem__, scope.operation.parameters))
        if identity in scope.begun:
            return
        scope.begun[identity] = is_guess
        if not scope.is_doomed:
            self._submit(scope, parameters, is_guess=is_guess)

    def _doom_below(self, scope: Scope) -> None:
        """Where rows won't be kept, neither will those of the lists below: none of them need be asked for."""
        if not scope.is_doomed:
            return
        scope.stop()
        for child in scope.children:
            child.inherit(scope.row)
            self._doom_below(child)

    async def _end_if_done(self, scope: Scope) -> None:
        if scope.pending or scope.sources or scope.is_ended:
            return
        await self._end(scope)
        for child in scope.children:
            child.sources -= 1
            self._doom_below(child)
            await self._end_if_done(child)

    async def _end(self, scope: Scope) -> None:
        self._ending += 1
        await scope.end(self._clock.now())
        for child in scope.children:
            child.inherit(scope.row)
        await self._note(scope)
        self._ending -= 1
        if scope.unknown:
            add_names(self.unknown_fields.setdefault(scope.row.table, {}), scope.unknown)
        del self._open[scope.target, scope.row.table]
        self._client.close(scope.channel)
        self._record(scope.row)
        self._check_done()
        self._dispatcher.ask_again()

    async def _note(self, scope: Scope) -> None:
        """Have a whole scope noted with the lists below it, for a crawl that may have to go on where this one ends."""
        if is_whole(scope.row.status):
            lists = {child.operation.table: child.known_lists() for child in scope.children}
            with anyio.CancelScope(shield=True):
                await self._writer.note(scope.row, scope.unknown, lists)

    def _record(self, row: ScopeRow) -> None:
        self.ledger.append(row)
        self._progress.scopes_done += 1
        self._progress.done_by_account[row.account_id] += 1
        self._progress.not_complete += not is_whole(row.status)

    def _check_done(self) -> None:
        if not self._open and self._admitted == len(self._plans):
            self._done.set()

    async def _abandon_open(self) -> None:
        """The crawl has ended first: what is open, and what was never let in, wasn't attempted."""
        for scope in list(self._open.values()):  # parents first, since a child is never better
            scope.stop()
            scope.judge(Status.NOT_ATTEMPTED, "Deadline", "The crawl ended before this scope did.")
            await self._end(scope)
        for plan in self._plans[self._admitted :]:
            late = SkipReason("Deadline", "The crawl ended before this scope began.", Status.NOT_ATTEMPTED)
            self._leave_out(plan, plan.refusal or late)
