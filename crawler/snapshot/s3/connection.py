"""The connections to object stores: one thread per process with an event loop of its own.

Crawls wait for a store in their event loop, and readers in any thread. Both use the same connections, which stay open
until the process ends. The requests are those of the crawler's own transport, see `crawler.client.transport`.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mmap import mmap
    from pathlib import Path

    from crawler.client.transport import Transport

T = TypeVar("T")

# The requests of one process to one store: parts that are sent, removals and small objects.
_CONNECTIONS = 32
_CLOSING_S = 1.0


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """One request. `most_bytes` bounds the body of the answer. Its repr shows no secret."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | mmap = field(repr=False)
    timeout_s: float
    most_bytes: int


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """The answer of a store, of any status. Header names are found in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """How stores are reached: a proxy for https, and authorities that are trusted besides the system's."""

    proxy: str = ""
    ca_file: Path | None = None


class _IoThread:
    """The thread. `transports` are used in its loop only."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.transports: dict[Route, asyncio.Task[Transport]] = {}
        self._thread = threading.Thread(target=self._run, name="object-store", daemon=True)
        self._thread.start()
        atexit.register(self._close)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _close(self) -> None:
        """Close the connections, so that a store sees an end and no error. At most a second: the process is ending."""

        async def close() -> None:
            for opening in self.transports.values():
                await (await opening).__aexit__(None, None, None)

        try:
            asyncio.run_coroutine_threadsafe(close(), self.loop).result(_CLOSING_S)
        except (Exception, CancelledError):  # noqa: BLE001 - the process ends
            return
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_CLOSING_S)

    async def send(self, route: Route, request: StoreRequest) -> StoreAnswer:
        from crawler.client.transport import HttpRequest

        if route not in self.transports:
            self.transports[route] = self.loop.create_task(_opened(route))
        transport = await asyncio.shield(self.transports[route])
        answer = await transport.send(
            HttpRequest(
                request.method,
                request.url,
                request.headers,
                request.body,
                timeout_s=request.timeout_s,
                max_bytes=request.most_bytes,
            )
        )
        return StoreAnswer(answer.status, answer.headers, answer.body)


async def _opened(route: Route) -> Transport:
    from crawler.client.proxies import ProxyRule
    from crawler.client.tls import tls_context
    from crawler.client.transport import Transport

    return await Transport(
        connections=_CONNECTIONS,
        max_page_bytes=1 << 30,
        tls=tls_context(route.ca_file, with_system=True),
        proxy=ProxyRule(route.proxy),
    ).__aenter__()


@cache
def _thread() -> _IoThread:
    return _IoThread()


async def exchange(route: Route, request: StoreRequest) -> StoreAnswer:
    """Send one request, from any event loop; a cancelled caller ends it. Raises ApiError without an answer."""
    thread = _thread()
    if asyncio.get_running_loop() is thread.loop:
        return await thread.send(route, request)
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(thread.send(route, request), thread.loop))


def start(work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine in the connections' thread, for a caller in another one."""
    return asyncio.run_coroutine_threadsafe(work, _thread().loop)


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the connections' thread, and wait for its result in this one."""
    future = start(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
