"""A cloud without records, as a transport in this process, so that only the crawl takes time and memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson


class EmptyCloud:
    """Replaces `transport.Transport`: returns the empty page of each operation, by its version and action."""

    pages: Mapping[tuple[str, str], bytes] = {}

    def __init__(self, **_: Any) -> None:
        """Accept the arguments of a transport."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing, because nothing is open."""

    async def send(self, request: Any) -> Any:
        """See `client.Sender.send`."""
        from crawler.client.transport import HttpResponse

        await asyncio.sleep(0)
        headers = request.headers
        if headers["x-acs-action"] == "GetCallerIdentity":
            key_id = headers["Authorization"].partition("Credential=")[2].partition(",")[0]
            return HttpResponse(200, {}, orjson.dumps({"AccountId": key_id.removeprefix("key")}))
        return HttpResponse(200, {}, self.pages[headers["x-acs-version"], headers["x-acs-action"]])


def empty_pages(regions: int = 20) -> dict[tuple[str, str], bytes]:
    """Return each operation's response without records; the regions are invented."""
    from crawler.catalog import load_catalog

    catalog = load_catalog()
    pages = {}
    for operation in catalog.operations.values():
        body: Any = {operation.paging.total_key: 0} if operation.paging.total_key else {}
        body[operation.records[-1]] = []
        for step in reversed(operation.records[:-1]):
            body = {step: body}
        pages[operation.version, operation.action] = orjson.dumps(body)
    for product in catalog.products.values():
        if product.regions is not None:
            body = [{product.regions.id: f"cn-region-{number:02d}"} for number in range(regions)]
            for step in reversed(product.regions.records):
                body = {step: body}
            pages[product.version, product.regions.action] = orjson.dumps(body)
    return pages


def configuration(accounts: int, output: Path, tables: Sequence[str] = ("*",)) -> str:
    """Return a config.toml with this many accounts, and with rates that never delay a request."""
    rate = "{ rate = 10000, burst = 1000 }"
    lines = [
        "[crawl]",
        f"tables = {json.dumps(list(tables))}",
        "[output]",
        f"uri = {json.dumps(str(output))}",
        'fingerprint_key = "the-benchmark-has-no-secrets-to-protect"',
    ]
    lines += ["[rate_limits]", *(f"{product} = {rate}" for product in ("default", "fc", "fc-open", "sts"))]
    for number in range(accounts):
        account = f"{1_000_000_000_000_000 + number}"
        lines += ["[[accounts]]", f'id = "{account}"', "[accounts.credentials]", 'type = "access_key"']
        lines += [f'access_key_id = "key{account}"', 'access_key_secret = "secret"']
    return "\n".join(lines) + "\n"
