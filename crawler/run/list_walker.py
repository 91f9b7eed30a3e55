"""Builds the request of each page of a list and turns the response into rows."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from functools import partial

from crawler.client.client import Client
from crawler.client.request import ApiRequest, expand_path
from crawler.client.transport import HttpResponse
from crawler.clock import Clock
from crawler.normalizer import Normalizer, RowContext, RowPage
from crawler.run.scope import Job


class PageReader:
    """Requests pages. `normalizers` are by table. Windows of time end when the reader was made."""

    def __init__(self, client: Client, normalizers: Mapping[str, Normalizer], clock: Clock) -> None:
        self._client = client
        self._normalizers = normalizers
        self._clock = clock
        self._began_at = clock.now()

    def fetch(self, job: Job, parameters: Mapping[str, str]) -> Awaitable[RowPage]:
        """Return one page of a list; `parameters` are those that paging adds to the request. Await it at once.

        Raises the errors of `Client.exchange` and `Normalizer.read`.
        """
        scope, operation = job.scope, job.scope.operation
        request = ApiRequest(
            operation.product,
            operation.version,
            operation.action,
            scope.target.region_id,
            expand_path(operation.path, {name: job.parameters[name] for name in operation.path_parameters}),
            {**self._query(job), **parameters},
        )
        normalizer = self._normalizers[operation.table]

        def read(response: HttpResponse) -> RowPage:
            check = partial(self._client.check, operation.product, response)
            if response.status // 100 != 2:
                check()
            if scope.details is not None:
                job.body = response.body
            return normalizer.read(response.body, self._context(job), check=check)

        has_place, job.has_place = job.has_place, False
        return self._client.exchange(request, scope.caller, scope.channel, read, scope.tally, has_slot=has_place)

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
