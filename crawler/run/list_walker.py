"""Walks one list: requests its pages, writes their rows and submits the lists below them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio

from crawler.client.client import Client
from crawler.client.dispatcher import Dispatcher
from crawler.client.request import ApiRequest, expand_path
from crawler.client.transport import HttpResponse
from crawler.clock import Clock
from crawler.errors import ApiError, CrawlError, OutputError, VanishedError, describe_defect
from crawler.normalizer import Normalizer, RowContext, RowPage
from crawler.run.pagination import pager_for
from crawler.run.progress import CrawlProgress
from crawler.run.scope import Job, ListRowCounts
from crawler.run.scope_tree import ScopeTree
from crawler.snapshot import ListWriter
from crawler.snapshot.status import Status

# Bounds the pages that are held because the disk is slower than the cloud: no list may go on while so many wait.
MAX_WRITING = 16


class PageReader:
    """Requests pages. `normalizers` are by table. A time window ends when the reader was created."""

    def __init__(self, client: Client, normalizers: Mapping[str, Normalizer], clock: Clock) -> None:
        self._client = client
        self._normalizers = normalizers
        self._clock = clock
        self._began_at = clock.now()

    def fetch(self, job: Job, parameters: Mapping[str, str]) -> Awaitable[RowPage]:
        """Return a page; await it at once. Paging adds `parameters`. Raises as `Client.exchange`, `Normalizer.read`."""
        scope, operation = job.scope, job.scope.operation
        request = ApiRequest(
            operation.product,
            operation.version,
            operation.action,
            scope.target.region_id,
            expand_path(operation.path, {name: job.parameters[name] for name in operation.path_parameters}),
            {**self._query(job), **parameters},
            parents=operation.parent_kinds,
            method=operation.method,
        )
        normalizer = self._normalizers[operation.table]

        def read(response: HttpResponse) -> RowPage:
            check = partial(self._client.check, operation.product, response, request.parents)
            if response.status // 100 != 2:
                check()
            if scope.details is not None:
                job.body = response.body
            page = normalizer.read(response.body, self._context(job), check=check, null_is_empty=job.has_list)
            job.has_list = True
            return page

        has_slot, job.has_slot = job.has_slot, False
        return self._client.exchange(request, scope.caller, scope.channel, read, scope.tally, has_slot=has_slot)

    async def detailed(self, job: Job, page: RowPage) -> RowPage:
        """Return the page that was fetched last, with the details of its records if the scope requests them."""
        details = job.scope.details
        if details is None or not page.seen:
            return page
        found = await details.fetch(page, job.scope.tally)
        return self._normalizers[job.scope.operation.table].read(job.body, self._context(job), found)

    def _query(self, job: Job) -> dict[str, str]:
        """Return the query that is sent with every page of a list."""
        target, window = job.scope.target, job.scope.operation.window
        values = {**job.parameters, "account_id": target.account_id, "region_id": target.region_id}
        span = window.query(self._began_at) if window is not None else {}
        return {**job.scope.operation.filled_query(values), **span}

    def _context(self, job: Job) -> RowContext:
        target = job.scope.target
        return RowContext(target.account_id, target.region_id, self._clock.now(), job.parameters)


class ListWalker:
    """Walks lists. `writing` counts the pages that wait for the disk; `spawn` begins a task, which prefetches pages."""

    def __init__(
        self,
        reader: PageReader,
        tree: ScopeTree,
        dispatcher: Dispatcher,
        clock: Clock,
        progress: CrawlProgress,
        spawn: Callable[..., object],
    ) -> None:
        self.writing = 0
        self._reader = reader
        self._tree = tree
        self._dispatcher = dispatcher
        self._clock = clock
        self._progress = progress
        self._spawn = spawn

    async def run(self, job: Job, running: anyio.CancelScope) -> None:
        """Walk one list and record its outcome in its scope. `running` cancels it. Raises OutputError and no other."""
        scope = job.scope
        scope.started_at = scope.started_at or self._clock.now()
        self._progress.table = scope.operation.table
        scope.running.add(running)
        try:
            if not scope.will_be_dropped:
                await self._walk(job)
        except OutputError:
            raise
        except CrawlError as error:
            scope.record_error(error)
        except Exception as error:  # noqa: BLE001 - a defect that one list shows must not end all the others
            scope.record_outcome(Status.FAILED, "Defect", f"{describe_defect(error)} Please report it.")
        finally:
            scope.running.discard(running)
            if job.has_slot:
                self._dispatcher.release()

    async def _walk(self, job: Job) -> None:
        scope, counts = job.scope, ListRowCounts()
        rows = scope.writer.list() if scope.writer is not None else None
        # Details are read into the body of the page that was fetched last, so these pages aren't prefetched.
        spawn = self._spawn if scope.details is None else None
        walk = pager_for(scope.operation.paging, partial(self._reader.fetch, job), spawn)
        held: list[RowPage] = []

        async def take(page: RowPage, *, restarts: bool) -> None:
            nonlocal counts
            scope.has_any_response = True
            if restarts:
                counts = await self._restart(counts, rows, held)
            # A list that is read again never keeps the rows of its first reading.
            if scope.details is not None and (walk.is_settled or walk.readings > 1):
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
                await self._tree.submit_children(scope, held)

        try:
            await walk.run(take)
        except ApiError as error:
            is_gone = isinstance(error, VanishedError) and bool(job.parameters)
            if not is_gone and error.code not in scope.operation.empty_codes:
                raise
            counts = await self._restart(counts, rows, held)
            scope.gone_during_crawl += is_gone and not job.is_speculative
        finally:
            scope.count_list(counts, walk.note, walk.pages)
        if held:
            await self._tree.submit_children(scope, held)
        if walk.status != "complete":
            scope.record_outcome(Status(walk.status), walk.status.capitalize(), walk.note)
        scope.record_missing_details()
        if rows is not None:
            rows.finish()

    async def _restart(self, counts: ListRowCounts, rows: ListWriter | None, held: list[RowPage]) -> ListRowCounts:
        """Forget the pages of a list that were read so far, and return its new counts."""
        self._progress.rows -= counts.seen
        held.clear()
        if rows is not None:
            await rows.restart()
        return ListRowCounts()

    async def _write(self, page: RowPage, rows: ListWriter) -> None:
        self.writing += 1
        try:
            await rows.write(page.rows, page.keys, page.digests)
        finally:
            self.writing -= 1
            if self.writing == MAX_WRITING - 1:
                self._dispatcher.ask_again()
