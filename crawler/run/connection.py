"""The connection to the cloud that a command opens: one transport, one client, one dispatcher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import structlog

from crawler import __version__
from crawler.catalog import schemas_folder
from crawler.client.client import Client
from crawler.client.clock_skew import ClockSkews
from crawler.client.credentials import CredentialSpec, Provider, ProviderContext, StsClient, build_provider
from crawler.client.dispatcher import Dispatcher
from crawler.client.endpoints import Endpoints
from crawler.client.error_rules import load_rules
from crawler.client.rate_limit import LimitRule, TokenBuckets
from crawler.client.request import RequestBuilder
from crawler.client.retry import RetryPolicy
from crawler.client.transport import MOST_LOOKUPS, HttpRequest, Transport
from crawler.config import Config
from crawler.config.secrets import register_secrets
from crawler.run.system import System, open_share
from crawler.secret_text import url_secrets

# The default chain always tries this host, but outside the cloud nothing answers there.
_METADATA_HOST = "100.100.100.200"
_METADATA_TIMEOUT_S = 1.0
_FETCH_TIMEOUT_S = 5.0
_MAX_FETCH_BYTES = 64 * 1024


class CloudConnection:
    """An open connection. `client` calls APIs when `dispatcher` allows it; credential providers use both."""

    def __init__(self, system: System, transport: Transport, client: Client, dispatcher: Dispatcher) -> None:
        self.system = system
        self.client = client
        self.dispatcher = dispatcher
        self._transport = transport

    def provider(self, spec: CredentialSpec, call: StsClient) -> Provider:
        """Return the provider of an account, which calls STS by `call`. Sends nothing yet."""
        return build_provider(
            spec,
            call=call,
            fetch=self._fetch,
            clock=self.system.clock,
            environ=self.system.environ,
            home=self.system.home,
        )

    def provider_context(self, call: StsClient) -> ProviderContext:
        """Return what a provider that calls STS by `call` may use."""
        return ProviderContext(call, self._fetch, self.system.clock, self.system.environ, self.system.home)

    async def _fetch(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Exchange one unsigned request with a metadata service, for the credential providers."""
        self.system.secrets.add(*headers.values(), *url_secrets(url), owner="metadata")
        timeout_s = _METADATA_TIMEOUT_S if urlsplit(url).hostname == _METADATA_HOST else _FETCH_TIMEOUT_S
        request = HttpRequest(method, url, headers, timeout_s=timeout_s, max_bytes=_MAX_FETCH_BYTES)
        response = await self._transport.send(request)
        return response.status, response.body


@asynccontextmanager
async def open_connection(
    config: Config,
    endpoints: Endpoints,
    limit_rules: Mapping[str, LimitRule],
    system: System,
    success_codes: Mapping[str, Collection[str]] | None = None,
) -> AsyncIterator[CloudConnection]:
    """Open a connection for the block; `success_codes` as in `Client`.

    Raises ConfigError and CatalogError before anything is sent.
    """
    register_secrets(config, system.secrets, config.proxy.url)
    concurrency = _concurrency(config)
    dispatcher = Dispatcher(concurrency, system.clock)
    async with Transport(
        connections=concurrency,
        max_page_bytes=config.transport.max_page_bytes,
        ca_file=config.tls.ca_file,
        proxy=config.proxy,
        lookups=min(MOST_LOOKUPS, open_share()),
    ) as transport:
        builder = RequestBuilder(
            endpoints,
            ClockSkews(system.clock),
            timeout_s=config.crawl.request_timeout_s,
            user_agent=f"acs-inventory/{__version__}",
            secrets=system.secrets,
        )
        client = Client(
            transport,
            dispatcher,
            builder,
            load_rules(schemas_folder() / "errors.toml", *_own_rules(config)),
            TokenBuckets(limit_rules["default"], limit_rules),
            RetryPolicy(config.retry.max_attempts, config.retry.max_delay_s),
            system.random.random,
            success_codes,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            yield CloudConnection(system, transport, client, dispatcher)
            tasks.cancel_scope.cancel()


def _concurrency(config: Config) -> int:
    """Return the configured concurrency, or less where this process may not open as many connections."""
    most = open_share()
    if config.crawl.concurrency > most:
        structlog.get_logger().warning(
            "concurrency_lowered", concurrency=most, reason="the limit of open files (ulimit -n) allows no more"
        )
    return min(config.crawl.concurrency, most)


def _own_rules(config: Config) -> list[Path]:
    return [path for folder in config.catalog.extra if (path := folder / "errors.toml").is_file()]
