"""Requests the details of records one by one, if a list leaves out fields: GetFunction after ListFunctions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import anyio

from crawler.catalog.model import Details, Operation
from crawler.client.client import Client, RequestCounts, SignedAccount
from crawler.client.request import ApiRequest, expand_path
from crawler.errors import ApiError, DeniedError, NormalizeError, PaginationError, VanishedError
from crawler.normalizer import RowPage
from crawler.normalizer.normalizer import Detail, read_detail, row_values
from crawler.run.targets import Target

# One record; the pages of a list may have the bytes of many.
_MAX_BYTES = 4 * 1024 * 1024


def detail_request(operation: Operation, details: Details, target: Target, parameters: Mapping[str, str]) -> ApiRequest:
    """Return the request for the details of the record that the parameters name."""
    values = {**parameters, "account_id": target.account_id, "region_id": target.region_id}
    return ApiRequest(
        operation.product,
        operation.version,
        details.action,
        target.region_id,
        expand_path(details.path, {name: parameters[name] for name in details.path_parameters}),
        details.filled_query(values),
        parents=details.parent_kinds,
        max_bytes=_MAX_BYTES,
        method=details.method,
    )


class DetailReader:
    """Fetches the details of one scope's rows concurrently, by the rate limits of their operation.

    `requested` counts the rows, `missing` those whose details weren't received; `error` is the first reason. A record
    that has gone since the list named it is not an error.
    """

    def __init__(self, client: Client, target: Target, caller: SignedAccount, operation: Operation) -> None:
        details = operation.details
        if details is None:
            raise ValueError(f"{operation.table} has no details")
        self.requested = 0
        self.missing = 0
        self.error: ApiError | NormalizeError | PaginationError | None = None
        self._client = client
        self._target = target
        self._caller = caller
        self._operation = operation
        self._details: Details = details
        self._channel = client.channel(target.account_id, target.region_id, operation.product, details.action, 1)

    def close(self) -> None:
        """Free the channel: no more rows will come."""
        self._client.close(self._channel)

    @property
    def action(self) -> str:
        """The operation that returns the details."""
        return self._details.action

    async def fetch(self, page: RowPage, tally: RequestCounts) -> list[Detail | None]:
        """Return the detail of each row of a page, None for a row without the needed values. Raises no ApiError."""
        names = row_values(page.batch, list(self._details.bind.values()))
        found: list[Detail | None] = [None] * len(names)

        async def one(row: int, values: tuple[str, ...]) -> None:
            found[row] = await self._fetch(dict(zip(self._details.bind, values, strict=True)), tally)

        rows = [(row, values) for row, values in enumerate(names) if values is not None]
        if rows and not self.requested:  # alone: if it is denied, so are the others
            await one(*rows[0])
        first = 0 if self.requested else 1
        self.requested += len(rows)
        async with anyio.create_task_group() as tasks:
            for row, values in rows[first:]:
                tasks.start_soon(one, row, values)
        return found

    async def _fetch(self, parameters: Mapping[str, str], tally: RequestCounts) -> Detail:
        if isinstance(self.error, DeniedError):  # so is every other row
            self.missing += 1
            return Detail("denied")
        try:
            request = detail_request(self._operation, self._details, self._target, parameters)
            read = partial(read_detail, records=self._details.records)
            return await self._client.call(request, self._caller, self._channel, read, tally)
        except VanishedError:
            return Detail("vanished")
        except (ApiError, NormalizeError, PaginationError) as error:
            self.missing += 1
            if self.error is None or isinstance(error, DeniedError):
                self.error = error
            return Detail("denied" if isinstance(error, DeniedError) else "failed")
