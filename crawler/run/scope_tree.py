"""The open scopes of a crawl, as trees: a parent's pages submit lists of its children, the last list ends a scope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import product

import anyio
import anyio.abc

from crawler.catalog.model import Parent
from crawler.client.client import Client
from crawler.client.dispatcher import Dispatcher
from crawler.clock import Clock
from crawler.errors import NormalizeError
from crawler.normalizer import RowPage
from crawler.run.accepted import AcceptedRules
from crawler.run.progress import CrawlProgress
from crawler.run.scope import FieldCounts, Job, Scope
from crawler.run.targets import Target
from crawler.run.worker_pool import WorkerPool
from crawler.snapshot import JournalEntry, Ledger, ScopeRow, ShardWriter
from crawler.snapshot.status import is_whole


class ScopeTree:
    """Submits lists to the dispatcher and ends scopes. Call `start` once, `stop` when no list may begin any more.

    `open` has the scopes that haven't ended. `ledger` and `fields` grow as scopes end; `all_ended` is set after the
    last of the scopes that `start` was told. `settings` are the parameter values from the configuration, by the name of
    the setting.
    """

    def __init__(
        self,
        settings: Mapping[str, Sequence[str]],
        dispatcher: Dispatcher,
        client: Client,
        writer: ShardWriter,
        clock: Clock,
        progress: CrawlProgress,
        accepted: AcceptedRules | None = None,
    ) -> None:
        self._accepted = accepted
        self.ledger = Ledger()
        self.fields = FieldCounts()
        self.open: dict[tuple[Target, str], Scope] = {}
        self.all_ended = anyio.Event()
        self._settings = settings
        self._dispatcher = dispatcher
        self._client = client
        self._writer = writer
        self._clock = clock
        self._progress = progress

    def start(
        self,
        tasks: anyio.abc.TaskGroup,
        run_job: Callable[[Job, anyio.CancelScope], Awaitable[None]],
        scopes_by_table: Counter[str],
    ) -> None:
        """Let lists begin: `run_job` walks one. `scopes_by_table` has the number of scopes that will end."""
        self._tasks = tasks
        self._workers = WorkerPool(tasks, run_job, self._finish_job)
        self._left_by_table = scopes_by_table.copy()
        self._left_at_start = scopes_by_table.total()
        if not self._left_at_start:
            self.all_ended.set()

    def stop(self) -> None:
        """Let no more lists begin. Lists that are running go on."""
        self._workers.end()

    def submit(self, scope: Scope, parameters: Mapping[str, str], *, is_speculative: bool) -> None:
        """Queue a list. It begins when the dispatcher grants a slot for its first request."""
        scope.pending += 1
        job = Job(scope, parameters, is_speculative)
        self._dispatcher.submit(scope.channel.lane, partial(self._begin, job))

    def submit_once(self, scope: Scope, parameters: Mapping[str, str], *, is_speculative: bool) -> None:
        """Submit a list that no row gave before. If the scope will be dropped, only remember it for the journal."""
        identity = tuple(map(parameters.__getitem__, scope.operation.parameters))
        if identity in scope.started_lists:
            return
        scope.started_lists[identity] = is_speculative
        if not scope.will_be_dropped:
            self.submit(scope, parameters, is_speculative=is_speculative)

    async def submit_children(self, scope: Scope, pages: list[RowPage]) -> None:
        """Submit the lists below these pages' rows, and remove the pages. Waits while too many lists are pending."""
        for page in pages:
            for child in scope.children:
                await child.wait_for_capacity()
                for parent in child.operation.parents:
                    if parent.table == scope.operation.table:
                        self._submit_below(child, parent, page)
            page.forget_records()
        pages.clear()

    def end_without_lists(self, scope: Scope) -> None:
        """End a scope soon unless it has lists to wait for."""
        if not scope.open_parents and not scope.pending:
            self._tasks.start_soon(self._end_if_done, scope)

    async def end(self, scope: Scope) -> None:
        """End a scope: keep or drop its rows, pass its outcome to its children, record it in journal and ledger."""
        row = await scope.end(self._clock.now())
        for child in scope.children:
            child.inherit(row.table, scope.outcome)
        self._note(scope, row)
        del self.open[scope.target, row.table]
        self._client.close(scope.channel)
        self.record(row, scope.counts.unknown, scope.counts.misfits)
        self._dispatcher.ask_again()

    def record(self, row: ScopeRow, unknown: Mapping[str, int], misfits: Mapping[str, int]) -> None:
        """Add a scope that has ended to the ledger, and its counts to `fields`."""
        self.fields.add(row.table, unknown, misfits)
        row.account_name = self._progress.names.get(row.account_id, "")
        is_gap = not is_whole(row.status) and not self._accept(row)
        self.ledger.append(row)
        self._progress.scopes_done += 1
        self._progress.done_by_account[row.account_id] += 1
        self._progress.not_complete += is_gap
        self._left_by_table[row.table] -= 1
        if not self._left_by_table[row.table]:
            self._writer.end_table(row.table)
        if len(self.ledger) == self._left_at_start:
            self.all_ended.set()

    def _accept(self, row: ScopeRow) -> bool:
        """Note the rule that accepts a scope that isn't whole; return whether there is one. The join decides again."""
        rule = self._accepted.covering(row.account_id, row.region_id, row.table) if self._accepted else None
        if rule is not None:
            row.accepted_reason, row.accepted_until = rule.reason, rule.until.isoformat()
        return rule is not None

    def reuse_finished(self, entry: JournalEntry) -> None:
        """Record a scope that the interrupted crawl has finished."""
        self._progress.rows += entry.row.rows_seen
        self.record(entry.row, entry.unknown, entry.misfits)

    def _begin(self, job: Job) -> None:
        job.has_slot = self._workers.begin(job)
        if not job.has_slot:
            self._dispatcher.release()

    async def _finish_job(self, job: Job) -> None:
        scope = job.scope
        if scope.will_be_dropped:
            self._abandon(scope)
        scope.pending -= 1
        scope.notify_capacity()
        await self._end_if_done(scope)

    def _submit_below(self, child: Scope, parent: Parent, page: RowPage) -> None:
        """Submit a child's list for each row of a page, and for each combination with speculative values."""
        names = [*parent.bind, *parent.values]
        speculative = [(*values, *self._settings.get(parent.setting, ())) for values in parent.values.values()]
        try:
            rows = page.parent_keys(list(parent.bind.values()))
        except NormalizeError as error:  # a row doesn't name its list, so the child's scope can't be complete
            child.has_unknown_lists = True
            child.record_error(error)
            self._abandon(child)
            return
        for bound in rows:
            for chosen in product(*speculative):
                parameters = dict(zip(names, (*bound, *chosen), strict=True))
                self.submit_once(child, parameters, is_speculative=bool(chosen))

    def _abandon(self, scope: Scope) -> None:
        """Stop a scope that will be dropped, and with it all scopes below: none of their rows will be kept."""
        scope.stop()
        for child in scope.children:
            child.inherit(scope.operation.table, scope.outcome)
            self._abandon(child)

    async def _end_if_done(self, scope: Scope) -> None:
        if scope.pending or scope.open_parents or scope.is_ended:
            return
        await self.end(scope)
        for child in scope.children:
            child.open_parents -= 1
            if child.will_be_dropped:
                self._abandon(child)
            await self._end_if_done(child)

    def _note(self, scope: Scope, row: ScopeRow) -> None:
        """Record a whole scope and the lists below it in the journal, for a crawl that resumes this one."""
        if is_whole(row.status):
            lists = {child.operation.table: child.known_lists() for child in scope.children}
            self._writer.note(row, scope.counts.unknown, scope.counts.misfits, lists)
