"""What every command that talks to the cloud needs: one transport, one client, and who the accounts are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import structlog

from crawler import __version__
from crawler.catalog import schemas_folder
from crawler.catalog.model import Catalog, Product
from crawler.client.client import Client, RequestCounts, SignedAccount
from crawler.client.clock_skew import CLOCK_WRONG
from crawler.client.credentials import (
    CredentialSpec,
    DefaultSpec,
    Provider,
    ProviderContext,
    RoleDeniedError,
    assumed_role,
    build_provider,
)
from crawler.client.dispatcher import Dispatcher
from crawler.client.endpoints import ProductHosts
from crawler.client.error_rules import load_rules
from crawler.client.rate_limit import TokenBuckets
from crawler.client.retry import RetryPolicy
from crawler.client.transport import HttpRequest, Transport
from crawler.config import Config
from crawler.config.resolve import limit_rules
from crawler.config.sections import Account
from crawler.errors import ApiError, CredentialsError, PaginationError
from crawler.run.discovery import STS_ENDPOINT, StsCall, caller_identity, describe_regions
from crawler.run.resource_directory import ENDPOINT as DIRECTORY_ENDPOINT
from crawler.run.system import System, open_share
from crawler.run.targets import SkipReason
from crawler.snapshot import Status

# Why an account can't be crawled, beside InvalidCredentials and AccountMismatch: nobody could be asked.
UNREACHABLE = "Unreachable"


# On a machine outside the cloud nothing answers there, and the default chain asks all the same.
_METADATA_HOST = "100.100.100.200"
_METADATA_TIMEOUT_S = 1.0
_FETCH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ResolvedAccount:
    """An account whose credentials were tried. `refusal`: why it can't be crawled."""

    account: Account
    caller: SignedAccount
    refusal: SkipReason | None = None


class Session:
    """An open session. `overhead` counts requests that no table is made of: identity, roles, regions, members."""

    def __init__(
        self, config: Config, catalog: Catalog, transport: Transport, client: Client, dispatcher: Dispatcher
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.client = client
        self.dispatcher = dispatcher
        self.overhead: dict[str, RequestCounts] = {
            "sts": RequestCounts(),
            "regions": RequestCounts(),
            "directory": RequestCounts(),
        }
        self._transport = transport
        self._log = structlog.get_logger()

    async def identify(self, surroundings: System, accounts: Sequence[Account] | None = None) -> list[ResolvedAccount]:
        """Try every account's credentials at once, one GetCallerIdentity each: the configured ones, in their order."""

        async def one(account: Account) -> ResolvedAccount:
            call = StsCall(self.client, account.id, self.overhead["sts"])
            provider = self._provider(account.credentials, call, surroundings)
            return await self._tried(account, call, provider)

        return await _side_by_side(self.config.accounts if accounts is None else accounts, one)

    async def assume(
        self, accounts: Sequence[Account], role_name: str, source: SignedAccount, surroundings: System
    ) -> list[ResolvedAccount]:
        """Try a role in every account at once, assumed with the source's credentials, as `identify` tries them.

        AssumeRole counts for who asks: the source's limit paces them all. A role that isn't there or may not be
        assumed is a refusal with the status denied.
        """
        assert source.provider is not None, "whoever asks for the members has credentials"
        asking, provider = StsCall(self.client, source.account_id, self.overhead["sts"]), source.provider
        outside = ProviderContext(asking, self._fetch, surroundings.clock, surroundings.environ, surroundings.home)

        async def one(account: Account) -> ResolvedAccount:
            role = assumed_role(outside, provider, f"acs:ram::{account.id}:role/{role_name}")
            call = StsCall(self.client, account.id, self.overhead["sts"])
            return await self._tried(account, call, role, is_member=True)

        return await _side_by_side(accounts, one)

    def default_provider(self, surroundings: System) -> Provider:
        """The official default chain, for whoever is no account of the crawl. Asks for nothing yet."""
        call = StsCall(self.client, "output", self.overhead["sts"])
        return self._provider(DefaultSpec(), call, surroundings)

    def _provider(self, spec: CredentialSpec, call: StsCall, surroundings: System) -> Provider:
        return build_provider(
            spec,
            call=call,
            fetch=self._fetch,
            clock=surroundings.clock,
            environ=surroundings.environ,
            home=surroundings.home,
        )

    async def _tried(
        self, account: Account, call: StsCall, provider: Provider, *, is_member: bool = False
    ) -> ResolvedAccount:
        refusal = await self._why_not(account, call, provider, is_member=is_member)
        if refusal is not None:
            self._log.warning("account_refused", account_id=account.id, code=refusal.code, reason=refusal.message)
        return ResolvedAccount(account, SignedAccount(account.id, provider), refusal)

    async def _why_not(
        self, account: Account, call: StsCall, provider: Provider, *, is_member: bool
    ) -> SkipReason | None:
        try:
            actual = await caller_identity(call, await provider.get())
        except CredentialsError as error:
            if is_member and isinstance(error, RoleDeniedError):
                return SkipReason(error.code, str(error), Status.DENIED)
            return SkipReason("InvalidCredentials", str(error))
        except ApiError as error:
            return _identity_refused(error)
        if actual == account.id:
            return None
        return SkipReason("AccountMismatch", f"The credentials of account {account.id} belong to account {actual}.")

    async def regions(self, products: Iterable[Product], caller: SignedAccount) -> dict[str, tuple[str, ...]]:
        """Product → its regions: from DescribeRegions where it has one and answers, else the catalog's map."""
        found: dict[str, tuple[str, ...]] = {}
        for product in products:
            try:
                found[product.key] = await self._ask_regions(product, caller)
            except (ApiError, PaginationError) as error:
                self._log.warning("regions_not_described", product=product.key, reason=str(error))
                found[product.key] = self.known_regions(product)
        return found

    async def _ask_regions(self, product: Product, caller: SignedAccount) -> tuple[str, ...]:
        if product.regions is None:
            return self.known_regions(product)
        override = self.config.endpoints.get(product.key)
        ask = min(override) if isinstance(override, dict) and override else product.regions.ask
        return await describe_regions(self.client, product, caller, ask, self.overhead["regions"])

    def known_regions(self, product: Product) -> tuple[str, ...]:
        """A product's regions by the catalog and the configuration, without asking."""
        override = self.config.endpoints.get(product.key)
        return tuple(sorted({*product.endpoints, *(override if isinstance(override, dict) else ())}))

    async def _fetch(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One unsigned exchange with a metadata service, for the credentials providers."""
        timeout_s = _METADATA_TIMEOUT_S if urlsplit(url).hostname == _METADATA_HOST else _FETCH_TIMEOUT_S
        response = await self._transport.send(HttpRequest(method, url, headers, timeout_s=timeout_s))
        return response.status, response.body


def _concurrency(config: Config) -> int:
    """As many requests at once as are configured, or fewer where this process may not open as many connections."""
    most = open_share()
    if config.crawl.concurrency > most:
        structlog.get_logger().warning(
            "concurrency_lowered", concurrency=most, reason="the limit of open files (ulimit -n) allows no more"
        )
    return min(config.crawl.concurrency, most)


@asynccontextmanager
async def open_session(config: Config, catalog: Catalog, surroundings: System) -> AsyncIterator[Session]:
    """A session that lasts as long as the block. Raises ConfigError and CatalogError before anything is sent."""
    hosts = {key: ProductHosts(product.endpoint, product.endpoints) for key, product in catalog.products.items()}
    endpoints = config.endpoint_map(
        {"sts": ProductHosts(STS_ENDPOINT), "resourcedirectory": ProductHosts(DIRECTORY_ENDPOINT), **hosts}
    )
    concurrency = _concurrency(config)
    dispatcher = Dispatcher(concurrency, surroundings.clock)
    async with Transport(
        connections=concurrency,
        max_page_bytes=config.transport.max_page_bytes,
        ca_file=config.tls.ca_file,
        proxy=config.network.proxy_url,
    ) as transport:
        client = Client(
            transport,
            dispatcher,
            endpoints,
            load_rules(schemas_folder() / "errors.toml", *_own_rules(config)),
            _buckets(config, catalog),
            RetryPolicy(config.retry.max_attempts, config.retry.max_delay_s),
            surroundings.clock,
            timeout_s=config.crawl.request_timeout_s,
            user_agent=f"acs-inventory/{__version__}",
            random=surroundings.random.random,
        )
        session = Session(config, catalog, transport, client, dispatcher)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            yield session
            tasks.cancel_scope.cancel()


async def _side_by_side(
    accounts: Sequence[Account], one: Callable[[Account], Awaitable[ResolvedAccount]]
) -> list[ResolvedAccount]:
    """Each account's identity, all asked for at once, in the accounts' order."""
    found: dict[str, ResolvedAccount] = {}

    async def keep(account: Account) -> None:
        found[account.id] = await one(account)

    async with anyio.create_task_group() as tasks:
        for account in accounts:
            tasks.start_soon(keep, account)
    return [found[account.id] for account in accounts]


def _identity_refused(error: ApiError) -> SkipReason:
    """Code, request ID and advice; never the service's own words, which may quote what was signed."""
    if error.code == CLOCK_WRONG:
        return SkipReason(CLOCK_WRONG, error.message)
    if error.http_status == 0 or error.code in {"InvalidResponse", "TlsFailed", "TooLarge"}:
        return SkipReason(UNREACHABLE, f"STS can't be asked who the credentials belong to: {error}")
    advice = {
        "InvalidAccessKeyId.NotFound": "there is no such access key",
        "InvalidAccessKeyId.Inactive": "the access key is disabled",
        "SignatureDoesNotMatch": "the access key's secret is wrong",
    }.get(error.code, "see the product's error reference")
    request = f"request {error.request_id or 'unknown'}"
    sentence = f"STS answered {error.code} to GetCallerIdentity ({request}): {advice}."
    return SkipReason("InvalidCredentials", sentence)


def _own_rules(config: Config) -> list[Path]:
    return [path for folder in config.catalog.extra if (path := folder / "errors.toml").is_file()]


def _buckets(config: Config, catalog: Catalog) -> TokenBuckets:
    rules = limit_rules(config, catalog)
    return TokenBuckets(rules.pop("default"), rules)
