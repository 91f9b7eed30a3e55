"""The official SDK's asynchronous client, to Parquet. `python by_sdk.py CLOUD.json OUTPUT`.

Written as its documentation suggests: one client per account and region, 64 requests at a time, rows as dictionaries,
one zstd Parquet file per list of functions and one per table of layers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.models import Config

CONCURRENCY = 64
# The default of 5 s isn't enough: making a table of one list's rows blocks the event loop for longer.
_TIMEOUT_MS = 120_000


class Listing:
    """One account in one region."""

    def __init__(self, client: Client, slots: asyncio.Semaphore, prefix: Path) -> None:
        self.requests = 0
        self._client = client
        self._slots = slots
        self._prefix = prefix

    async def functions(self) -> None:
        """All functions into one file."""
        rows: list[dict[str, Any]] = []
        token = None
        while True:
            request = models.ListFunctionsRequest(fc_version="v3", limit=100, next_token=token)
            body = await self._body(self._client.list_functions_async, request)
            rows += body["functions"]
            token = body.get("nextToken")
            if not token:
                break
        self._write("functions", rows)

    async def layers(self) -> None:
        """All layers into one file, and all their versions into another."""
        rows: list[dict[str, Any]] = []
        versions: list[asyncio.Task[list[dict[str, Any]]]] = []
        token = None
        async with asyncio.TaskGroup() as tasks:
            while True:
                body = await self._body(
                    self._client.list_layers_async, models.ListLayersRequest(limit=100, next_token=token)
                )
                rows += body["layers"]
                versions += [tasks.create_task(self._versions(layer["layerName"])) for layer in body["layers"]]
                token = body.get("nextToken")
                if not token:
                    break
        self._write("layers", rows)
        self._write("layer_versions", [row for found in versions for row in found.result()])

    async def _versions(self, name: str) -> list[dict[str, Any]]:
        body = await self._body(
            self._client.list_layer_versions_async, name, models.ListLayerVersionsRequest(limit=100)
        )
        found: list[dict[str, Any]] = body["layers"]
        return found

    async def _body(self, call: Any, *arguments: Any) -> dict[str, Any]:
        async with self._slots:
            answer = await call(*arguments)
        self.requests += 1
        body: dict[str, Any] = answer.body.to_map()
        return body

    def _write(self, table: str, rows: list[dict[str, Any]]) -> None:
        pq.write_table(pa.Table.from_pylist(rows), f"{self._prefix}-{table}.parquet", compression="zstd")


async def main(cloud: dict[str, Any], output: Path) -> None:
    """List the cloud into `output`, and print the number of requests."""
    slots = asyncio.Semaphore(CONCURRENCY)
    listings = []
    async with asyncio.TaskGroup() as tasks:
        for account in cloud["accounts"]:
            for region, host in cloud["hosts"].items():
                config = Config(
                    access_key_id=account["key_id"],
                    access_key_secret=account["secret"],
                    endpoint=host,
                    protocol="HTTP",
                    region_id=region,
                    connect_timeout=_TIMEOUT_MS,
                    read_timeout=_TIMEOUT_MS,
                )
                listing = Listing(Client(config), slots, output / f"{account['id']}-{region}")
                listings.append(listing)
                tasks.create_task(listing.functions())
                tasks.create_task(listing.layers())
    print(orjson.dumps({"requests": sum(listing.requests for listing in listings)}).decode())


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(parents=True)
    asyncio.run(main(orjson.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])))
