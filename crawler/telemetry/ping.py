"""Pings the URL of a monitoring service such as Healthchecks at the start and the end of a crawl.

`URL/start` at the start; at the end `URL` with exit code 0, `URL/fail` with any other. Each ping is a POST with a line
of text. A failed ping doesn't affect the crawl.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import structlog

from crawler.client.endpoints import split_hook
from crawler.clock import Clock
from crawler.config import Config
from crawler.errors import ConfigError
from crawler.telemetry.post import post

Event = Literal["start", "success", "fail"]

# Healthchecks keeps 100 kB of a ping, others 10 kB.
MAX_TEXT_BYTES = 10_000
_PATHS = {"start": "/start", "success": "", "fail": "/fail"}


def ping_url(url: str, event: Event) -> str:
    """Return the URL of an event: its path is added before the query. Raises ConfigError for an invalid URL."""
    origin, path, query = split_hook(url)
    return f"{origin}{path.rstrip('/')}{_PATHS[event]}{query}" if _PATHS[event] else url


async def ping(config: Config, event: Event, text: str = "", clock: Clock | None = None) -> bool:
    """Call the configured URL and return whether it was accepted; a failure is logged."""
    if config.ping.url is None:
        return False
    reason = await send_ping(config, event, text, clock)
    if reason:
        structlog.get_logger().warning("ping_failed", ping=event, reason=reason)
    return not reason


async def send_ping(config: Config, event: Event, text: str = "", clock: Clock | None = None) -> str:
    """Call the configured URL. Return the reason of a failure, empty on success. Three attempts in about 20 s."""
    try:
        url = ping_url(config.ping.url.reveal() if config.ping.url is not None else "", event)
    except ConfigError as error:
        return type(error).__name__
    body = text.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode()
    return await post(config, url, body, "text/plain; charset=utf-8", clock)


@asynccontextmanager
async def ping_start(config: Config) -> AsyncIterator[None]:
    """Ping the start of a crawl concurrently with the block, which doesn't wait for it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ping, config, "start")
        yield
        tasks.cancel_scope.cancel()
