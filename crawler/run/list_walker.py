"""The pages of one list: what is asked for, and what the answer becomes."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from crawler.client.client import Client
from crawler.client.request import ApiRequest, expand_path
from crawler.clock import Clock
from crawler.normalizer import Normalizer, RowPage
from crawler.normalizer.fast.decoder import RowContext
from crawler.run.scope import Job


class PageReader:
    """Asks for pages. `normalizers` are by table; windows of time end where it was made."""

    def __init__(self, client: Client, normalizers: Mapping[str, Normalizer], clock: Clock) -> None:
        self._client = client
        self._normalizers = normalizers
        self._clock = clock
        self._began_at = clock.now()

    def fetch(self, job: Job, parameters: Mapping[str, str]) -> Awaitable[RowPage]:
        """One page of a list, by what paging adds to its request. Raises as `Client.call` and `Normalizer.read` do.

        What it gives is awaited at once.
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

        def quick(body: bytes) -> RowPage | None:
            if scope.details is not None:
                job.body = body
            return normalizer.read_quickly(body, self._context(job))

        def read(body: bytes) -> RowPage:
            return normalizer.read_slowly(body, self._context(job))

        has_place, job.has_place = job.has_place, False
        return self._client.call(
            request, scope.caller, scope.channel, read, scope.tally, quick=quick, has_place=has_place
        )

    async def detailed(self, job: Job, page: RowPage) -> RowPage:
        """The page that was fetched last, with its records' details where they are asked for."""
        details = job.scope.details
        if details is None or not page.seen:
            return page
        found = await details.fetch(page, job.scope.tally)
        return self._normalizers[job.scope.operation.table].read(job.body, self._context(job), found)

    def _query(self, job: Job) -> dict[str, str]:
        """What is sent with every page of a list."""
        target, window = job.scope.target, job.scope.operation.window
        values = {**job.parameters, "account_id": target.account_id, "region_id": target.region_id}
        span = window.query(self._began_at) if window is not None else {}
        return {**job.scope.operation.filled_query(values), **span}

    def _context(self, job: Job) -> RowContext:
        target = job.scope.target
        return RowContext(target.account_id, target.region_id, self._clock.now(), job.parameters)
