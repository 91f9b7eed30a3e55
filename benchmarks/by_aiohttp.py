"""The floor: aiohttp without the crawler. `python by_aiohttp.py CLOUD.json {loads,drop}`.

`loads` decodes every body with orjson and discards it; `drop` discards the body. 64 requests at a time, one session,
and lists in the crawl's order: a chain of tokens, children as soon as their parents' page is there.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import orjson

CONCURRENCY = 64


class Floor:
    """Fetches all lists of one cloud."""

    def __init__(self, cloud: dict[str, Any], session: aiohttp.ClientSession, *, loads: bool) -> None:
        self.requests = 0
        self._cloud = cloud
        self._session = session
        self._loads = loads
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def run(self) -> None:
        """Fetch all lists."""
        async with asyncio.TaskGroup() as tasks:
            for account in self._cloud["accounts"]:
                for host in self._cloud["hosts"].values():
                    headers = {"Authorization": f"Credential={account['key_id']},"}
                    url = f"http://{host}/2023-03-30"
                    pages = self._cloud["pages"]
                    tasks.create_task(self._functions(f"{url}/functions?fcVersion=v3&limit=100", headers, pages))
                    tasks.create_task(self._layers(tasks, f"{url}/layers", headers))

    async def _functions(self, url: str, headers: dict[str, str], pages: int) -> None:
        for page in range(pages):
            await self._get(url + (f"&nextToken={page:04d}" if page else ""), headers)

    async def _layers(self, tasks: asyncio.TaskGroup, url: str, headers: dict[str, str]) -> None:
        layers = self._cloud["layers"]
        for first in range(0, layers, 100):
            await self._get(f"{url}?limit=100" + (f"&nextToken={first // 100:04d}" if first else ""), headers)
            for number in range(first, min(first + 100, layers)):
                tasks.create_task(self._get(f"{url}/shared-library-{number:05d}/versions?limit=100", headers))

    async def _get(self, url: str, headers: dict[str, str]) -> None:
        async with self._slots, self._session.get(url, headers=headers) as response:
            body = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{url}: HTTP {response.status}")
            if self._loads:
                orjson.loads(body)
            self.requests += 1


async def main(cloud: dict[str, Any], *, loads: bool) -> None:
    """Fetch all lists of the cloud, and print the number of requests."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as session:
        floor = Floor(cloud, session, loads=loads)
        await floor.run()
    print(orjson.dumps({"requests": floor.requests}).decode())


if __name__ == "__main__":
    asyncio.run(main(orjson.loads(Path(sys.argv[1]).read_bytes()), loads=sys.argv[2] == "loads"))
