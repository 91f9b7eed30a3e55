"""A simulated cloud: it responds after a virtual latency, has its own rate limits, and counts requests.

The scheduler, dispatcher, lanes, buckets, client, signing and normalizer are the crawl's. Only the network, the disk
and the time are simulated.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import selectors
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.lowlevel

from crawler.catalog.model import Catalog, Operation
from crawler.client.transport import HttpRequest, HttpResponse
from crawler.testing import answer


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while all tasks wait; it then jumps to the next timer."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Jumps(self))

    def time(self) -> float:
        return self._now_s

    def pass_time(self, duration_s: float) -> None:
        self._now_s += duration_s


class _Jumps(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("deadlock: all tasks wait, and no timer is set")
        if not found and timeout:
            self._loop.pass_time(timeout)
        return found


class Limit(Protocol):
    """A server's limit. `refuse` counts a request; it returns the seconds to wait if it is throttled, else 0."""

    def refuse(self, now: float) -> float: ...


class ServerBucket:
    """A token bucket: `rate` per second on average, `burst` at once. `rate` may be changed at any time."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._filled_at = 0.0

    def refuse(self, now: float) -> float:
        self._level = min(self.burst, self._level + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if self._level < 1 - 1e-9:
            return (1 - self._level) / self.rate
        self._level -= 1
        return 0.0


class Windows:
    """A limit of `rate` requests in each second of the server's clock."""

    def __init__(self, rate: float, offset_s: float = 0.37) -> None:
        self.rate = rate
        self._offset_s = offset_s
        self._window = -1
        self._count = 0

    def refuse(self, now: float) -> float:
        window = math.floor(now + self._offset_s)
        if window != self._window:
            self._window, self._count = window, 0
        if self._count >= self.rate:
            return window + 1 - now - self._offset_s
        self._count += 1
        return 0.0


@dataclass(frozen=True)
class Latency:
    """Seconds to the server and back: each way half of `mean_s` ± `jitter_s` / 2."""

    mean_s: float = 0.08
    jitter_s: float = 0.02

    def draw(self, rng: random.Random) -> float:
        return max(0.0, (self.mean_s + rng.uniform(-self.jitter_s, self.jitter_s)) / 2)


Records = Callable[[str], Sequence[Mapping[str, Any]]]
Where = tuple[str, str, str]


@dataclass
class VirtualCloud:
    """A transport. `records`: table → the records of each of its lists, ordered by name.

    `limits` makes the limit of an account, a region and a product; `slow` has the regions with another latency.
    `arrived` and `refused` (throttled) count by account, region and product.
    """

    catalog: Catalog
    records: Records
    limits: Callable[[Where], Limit | None]
    latency: Latency = Latency()
    slow: Mapping[str, Latency] = field(default_factory=dict)
    hints: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._limits: dict[Where, Limit | None] = {}
        self._by_action = {(o.product, o.action): o for o in self.catalog.operations.values()}
        self.arrived: Counter[Where] = Counter()
        self.refused: Counter[Where] = Counter()
        self.waited_s = 0.0

    async def send(self, request: HttpRequest) -> HttpResponse:
        url = urlsplit(request.url)
        product, account, region = (url.hostname or "").split(".")[:3]
        operation = self._by_action[product, request.headers["x-acs-action"]]
        latency = self.slow.get(region, self.latency)
        begun_at = anyio.current_time()
        await anyio.sleep(latency.draw(self._dice))
        where = (account, region, product)
        self.arrived[where] += 1
        found = self._answer(operation, where, dict(parse_qsl(url.query)))
        await anyio.sleep(latency.draw(self._dice))
        self.waited_s += anyio.current_time() - begun_at
        return found

    def _answer(self, operation: Operation, where: Where, query: Mapping[str, str]) -> HttpResponse:
        if where not in self._limits:
            self._limits[where] = self.limits(where)
        limit = self._limits[where]
        wait_s = limit.refuse(anyio.current_time()) if limit else 0.0
        if wait_s:
            self.refused[where] += 1
            headers = {"x-acs-retry-after": str(math.ceil(wait_s * 1000))} if self.hints else {}
            return answer(429, b'{"Code": "Throttling.User", "Message": "Too many requests."}', headers)
        return answer(body=json.dumps(_page(operation, self.records(operation.table), query)).encode())


def _page(operation: Operation, records: Sequence[Any], query: Mapping[str, str]) -> dict[str, Any]:
    paging = operation.paging
    key = operation.records[0]
    size = int(query.get(paging.limit_key, "1000")) if paging.limit_key else len(records)
    if paging.style == "page-number":
        first = (int(query.get(paging.input_key, "1")) - 1) * size
        return {key: records[first : first + size], paging.total_key: len(records)}
    if paging.style != "token":
        return {key: records[:size]}
    first = int(query.get(paging.input_key, "0"))
    page: dict[str, Any] = {key: records[first : first + size]}
    if first + size < len(records):
        page[paging.output_key] = str(first + size)
    return page


class _Rows:
    """Counts the rows of a list or a scope, each key once, and discards them."""

    def __init__(self) -> None:
        self.keys: set[Any] = set()
        self.rows = self.duplicates = self.conflicts = 0

    def list(self) -> _Rows:
        self.one = _Rows()
        self.one.scope = self  # type: ignore[attr-defined]
        return self.one

    async def write(self, batch: Any, keys: Sequence[Any], digests: Sequence[int]) -> None:  # noqa: ARG002
        self.keys.update(keys)
        self.rows += len(keys)

    async def restart(self) -> None:
        self.keys.clear()
        self.rows = 0

    def finish(self) -> None:
        scope = self.scope  # type: ignore[attr-defined]
        scope.duplicates += self.rows - len(self.keys - scope.keys)
        scope.keys |= self.keys
        scope.rows = len(scope.keys)

    def keep(self) -> None: ...

    async def drop(self) -> None: ...


class NoWriter:
    """Replaces the snapshot's writer and writes nothing."""

    def __init__(self) -> None:
        self.scopes: dict[tuple[str, str, str], _Rows] = {}

    def scope(self, *key: str, has_one_list: bool = False) -> _Rows:  # noqa: ARG002
        found = self.scopes[key] = _Rows()  # type: ignore[index]
        return found

    def note(self, *about: Any) -> None: ...

    def end_table(self, table: str) -> None: ...

    async def settle(self, all_ended: anyio.Event) -> None:
        await all_ended.wait()
