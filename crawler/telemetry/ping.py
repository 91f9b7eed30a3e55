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

from crawler import __version__
from crawler.client.endpoints import split_hook
from crawler.client.transport import HttpRequest, Transport
from crawler.clock import Clock, SystemClock
from crawler.config import Config
from crawler.errors import ApiError, ConfigError

Event = Literal["start", "success", "fail"]

_TIMEOUT_S = 5.0
_PAUSES_S = (0.0, 1.0, 3.0)
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_TEXT_BYTES = 4096
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
    reason = ""
    try:
        url = ping_url(config.ping.url.reveal() if config.ping.url is not None else "", event)
        headers = {"User-Agent": f"acs-inventory/{__version__}", "Content-Type": "text/plain; charset=utf-8"}
        request = HttpRequest("POST", url, headers, text.encode()[:_MAX_TEXT_BYTES], timeout_s=_TIMEOUT_S)
        async with Transport(
            connections=1,
            max_page_bytes=_MAX_ANSWER_BYTES,
            ca_file=config.tls.ca_file,
            proxy=config.proxy,
        ) as transport:
            for pause_s in _PAUSES_S:
                await (clock or SystemClock()).sleep(pause_s)
                reason, is_final = await _send(transport, request)
                if is_final:
                    break
    except (ConfigError, OSError) as error:
        reason = type(error).__name__
    return reason


@asynccontextmanager
async def ping_start(config: Config) -> AsyncIterator[None]:
    """Ping the start of a crawl concurrently with the block, which doesn't wait for it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ping, config, "start")
        yield
        tasks.cancel_scope.cancel()


async def _send(transport: Transport, request: HttpRequest) -> tuple[str, bool]:
    """Return the reason of a failure, empty on success, and whether a retry is useless."""
    try:
        response = await transport.send(request)
    except ApiError as error:
        # The message has no URL, which is a secret.
        return str(error), False
    if 200 <= response.status < 300:
        return "", True
    return f"HTTP status {response.status}", response.status < 500 and response.status != 429
