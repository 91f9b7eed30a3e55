"""A session: a connection to the cloud with the configuration's accounts, their credentials and their regions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import structlog

from crawler.catalog.model import Product, RegionsOperation
from crawler.client.client import RequestCounts, SignedAccount
from crawler.client.clock_skew import CLOCK_WRONG
from crawler.client.credentials import Provider, RoleDeniedError, assumed_role
from crawler.config.resolve import ResolvedConfig
from crawler.config.sections import Account
from crawler.errors import (
    UNREACHABLE_CODE,
    ApiError,
    ConfigError,
    CredentialsError,
    DeniedError,
    PaginationError,
    UnreachableError,
    UnsupportedError,
    may_answer_later,
)
from crawler.run.connection import CloudConnection, open_connection
from crawler.run.discovery import DescribedRegions, StsCall, caller_identity, describe_regions
from crawler.run.regions import ProductRegions
from crawler.run.snapshot_clock import SnapshotClock
from crawler.run.system import System
from crawler.run.targets import SkipReason
from crawler.snapshot import Status
from crawler.text import GLOBAL_REGION, account_label, escape_control

_MAX_SHOWN = 5
# Accounts whose refusal is a warning of the log.
_MOST_LOGGED = 20
# STS lets a caller assume a hundred roles a second; more tasks would only take memory.
_AT_ONCE = 256
# Accounts that are asked for the regions of a product.
MAX_CALLERS = 3


@dataclass(frozen=True, slots=True)
class ResolvedAccount:
    """An account whose credentials were tried. `refusal`: its skip reason, if it can't be crawled.

    `name` is printable and has no secret; it may be empty.
    """

    account: Account
    caller: SignedAccount
    refusal: SkipReason | None = None
    name: str = ""

    @property
    def label(self) -> str:
        """The account for a reader: name and ID."""
        return account_label(self.account.id, self.name)


class Session:
    """An open session. `overhead` counts the requests outside of tables: identity, roles, regions, members.

    `clock` stamps the snapshot. It is corrected once `identify` has asked STS.
    `warnings`: sentences about answers to DescribeRegions that can't be used. `identities`: the accounts that were
    tried, by ID.
    """

    def __init__(self, resolved: ResolvedConfig, connection: CloudConnection) -> None:
        self.resolved = resolved
        self.config = resolved.config
        self.catalog = resolved.catalog
        self.system = connection.system
        self.client = connection.client
        self.dispatcher = connection.dispatcher
        self.overhead: dict[str, RequestCounts] = {
            "sts": RequestCounts(),
            "regions": RequestCounts(),
            "directory": RequestCounts(),
        }
        self.clock = SnapshotClock(connection.system.clock)
        self.warnings: list[str] = []
        self.identities: dict[str, ResolvedAccount] = {}
        self._refused = 0
        self._connection = connection
        self._log = structlog.get_logger()

    async def identify(self, accounts: Sequence[Account] | None = None) -> list[ResolvedAccount]:
        """Identify accounts (default: the configured ones) concurrently, in order, by one GetCallerIdentity each."""

        async def one(account: Account) -> ResolvedAccount:
            if account.id in self.identities:
                return self.identities[account.id]
            call = self._sts_call(account.id)
            provider = self._connection.provider(account.credentials, call)
            return await self._try_credentials(account, call, provider)

        return await _concurrently(self.config.accounts if accounts is None else accounts, one)

    async def assume(self, accounts: Sequence[Account], role_name: str, source: SignedAccount) -> list[ResolvedAccount]:
        """Try a role in all accounts concurrently, assumed with the source's credentials, as `identify` tries them.

        AssumeRole counts for the calling account: the source's limit paces all of them. A role that doesn't exist or
        may not be assumed is a refusal with the status denied.
        """
        assert source.provider is not None, "the account that lists the members has credentials"
        provider = source.provider
        context = self._connection.provider_context(self._sts_call(source.account_id))

        async def one(account: Account) -> ResolvedAccount:
            if account.id in self.identities:
                return self.identities[account.id]
            role = assumed_role(context, provider, f"acs:ram::{account.id}:role/{role_name}")
            call = self._sts_call(account.id)
            return await self._try_credentials(account, call, role, is_member=True)

        return await _concurrently(accounts, one)

    def account_name(self, account: Account) -> str:
        """Return an account's name as it may be shown and stored: printable, and without a secret; or empty."""
        return escape_control(self.system.secrets.clean(account.name or ""))

    def _sts_call(self, account_id: str) -> StsCall:
        return StsCall(self.client, account_id, self.overhead["sts"], self.clock.observe)

    async def _try_credentials(
        self, account: Account, call: StsCall, provider: Provider, *, is_member: bool = False
    ) -> ResolvedAccount:
        refusal = await self._refusal_of(account, call, provider, is_member=is_member)
        if refusal is not None:
            self._log_refusal(account, refusal)
        found = ResolvedAccount(account, SignedAccount(account.id, provider), refusal, self.account_name(account))
        self.identities[account.id] = found
        return found

    def _log_refusal(self, account: Account, refusal: SkipReason) -> None:
        """Log the first refusals as warnings, and the others at debug: an organization may refuse thousands."""
        self._refused += 1
        log = self._log.warning if self._refused <= _MOST_LOGGED else self._log.debug
        named = {"account_name": self.account_name(account)} if account.name else {}
        log("account_refused", account_id=account.id, **named, code=refusal.code, reason=refusal.message)
        if self._refused == _MOST_LOGGED:
            self._log.warning("more_refusals_at_debug", logged=_MOST_LOGGED)

    async def _refusal_of(
        self, account: Account, call: StsCall, provider: Provider, *, is_member: bool
    ) -> SkipReason | None:
        try:
            actual = await caller_identity(call, await provider.get())
        except CredentialsError as error:
            reason = self.system.secrets.hide(str(error))
            if is_member and isinstance(error, RoleDeniedError):
                return SkipReason(error.code, reason, Status.DENIED)
            if isinstance(error, UnreachableError):
                return SkipReason(UNREACHABLE_CODE, reason, is_temporary=True)
            return SkipReason("InvalidCredentials", reason)
        except ApiError as error:
            return _refusal_by_sts(error)
        if actual == account.id:
            return None
        return SkipReason("AccountMismatch", f"The credentials of account {account.id} belong to account {actual}.")

    async def regions(self, products: Iterable[Product], *callers: SignedAccount) -> dict[str, ProductRegions]:
        """Return product → regions: from DescribeRegions, else from the catalog if it is missing or fails.

        The first of the callers is asked, and the next one if it is denied or hasn't activated the product.
        The hosts that an answer names for regions without a known host are used from then on.
        """
        found: dict[str, ProductRegions] = {}
        for product in products:
            found[product.key] = self.known_regions(product)
            if product.regions is None:
                continue
            ask = self._region_to_ask(product, product.regions)
            try:
                described, caller = await self._describe_regions(product, ask, callers)
            except (ApiError, PaginationError) as error:
                reason = f"its regions can't be listed, so the known ones are used: {error}"
                self._warn("regions_not_described", product, reason)
                continue
            self._use_answer(product, described, caller)
            found[product.key] = ProductRegions(frozenset(described.hosts))
        return found

    async def _describe_regions(
        self, product: Product, ask: str, callers: Sequence[SignedAccount]
    ) -> tuple[DescribedRegions, SignedAccount]:
        """Return the first answer with its caller. Raises the error of the last caller, as `describe_regions`."""
        *others, last = callers[:MAX_CALLERS]
        for caller in others:
            try:
                return await describe_regions(self.client, product, caller, ask, self.overhead["regions"]), caller
            except (DeniedError, UnsupportedError) as error:
                found = self.identities.get(caller.account_id)
                named = {"account_name": found.name} if found is not None and found.name else {}
                self._log.info(
                    "regions_denied", product=product.key, account_id=caller.account_id, **named, code=error.code
                )
        return await describe_regions(self.client, product, last, ask, self.overhead["regions"]), last

    def _region_to_ask(self, product: Product, operation: RegionsOperation) -> str:
        """Return the region whose host is asked for the regions: an open one with a URL in the configuration, if any.

        Such URLs may belong to a cloud of their own, which only they reach.
        """
        override = self.config.endpoints.get(product.key)
        urls = sorted(set(override) - product.closed) if isinstance(override, dict) else []
        return operation.ask if operation.ask in urls or not urls else urls[0]

    def _use_answer(self, product: Product, described: DescribedRegions, caller: SignedAccount) -> None:
        """Use the hosts of an answer to DescribeRegions, and warn about the parts that can't be used."""
        if described.malformed:
            shown = ", ".join(repr(name) for name in described.malformed[:_MAX_SHOWN])
            number = len(described.malformed)
            self._warn("regions_malformed", product, f"malformed region IDs are left out ({number}): {shown}")
        override = self.config.endpoints.get(product.key, {})
        refused = []
        for region_id, hosts in described.hosts.items():
            if isinstance(override, str) or region_id in override or region_id in product.endpoints:
                continue
            if hosts and (reason := self._describe_host(product, region_id, hosts, caller)):
                refused.append(f"{region_id} ({reason}), {self.resolved.endpoints.pattern(product.key, region_id)} is")
        if refused:
            more = f"; and {len(refused) - _MAX_SHOWN} more" if len(refused) > _MAX_SHOWN else ""
            reason = f"the host that it names isn't used for {'; for '.join(refused[:_MAX_SHOWN])}{more}"
            self._warn("region_hosts_refused", product, reason)

    def _describe_host(self, product: Product, region_id: str, hosts: Sequence[str], caller: SignedAccount) -> str:
        """Use the first host that may be used. Return the reason why none was, "" for success."""
        reason = ""
        for host in hosts:
            try:
                self.resolved.endpoints.describe(product.key, region_id, host, caller.account_id)
            except ConfigError as error:
                reason = reason or str(error)
            else:
                return ""
        return reason

    def _warn(self, event: str, product: Product, reason: str) -> None:
        self._log.warning(event, product=product.key, reason=reason)
        self.warnings.append(f"{product.title}: {reason}")

    def known_regions(self, product: Product) -> ProductRegions:
        """Return a product's regions by the catalog and the configuration, without a request."""
        if product.is_global:
            return ProductRegions(frozenset((GLOBAL_REGION,)))
        override = self.config.endpoints.get(product.key)
        known = frozenset((*product.endpoints, *(override if isinstance(override, dict) else ())))
        return ProductRegions(known - product.closed, product.closed)


@asynccontextmanager
async def open_session(resolved: ResolvedConfig, system: System) -> AsyncIterator[Session]:
    """Open a session for the block. Raises ConfigError and CatalogError before anything is sent."""
    _check_regions(resolved)
    success_codes = {key: product.success_codes for key, product in resolved.catalog.products.items()}
    async with open_connection(
        resolved.config, resolved.endpoints, resolved.limit_rules, system, success_codes
    ) as connection:
        yield Session(resolved, connection)


def _check_regions(resolved: ResolvedConfig) -> None:
    """Refuse tables of a product without a known region: no scope would say that they weren't read."""
    catalog = resolved.catalog
    for product in catalog.products_of(catalog.with_parents(resolved.tables)):
        has_regions = product.is_global or product.endpoints or product.regions
        if not has_regions and not isinstance(resolved.config.endpoints.get(product.key), dict):
            example = product.endpoint.replace("{region}", "cn-hangzhou")
            raise ConfigError(
                f"{product.title} ({product.key}) has no known regions: name those to crawl with their hosts, such as "
                f'[endpoints.{product.key}] cn-hangzhou = "{example}".'
            )


async def _concurrently(
    accounts: Sequence[Account], one: Callable[[Account], Awaitable[ResolvedAccount]]
) -> list[ResolvedAccount]:
    """Return the result of `one` for each account, in the accounts' order. At most `_AT_ONCE` run concurrently."""
    found: dict[str, ResolvedAccount] = {}
    waiting = iter(accounts)

    async def work() -> None:
        for account in waiting:
            found[account.id] = await one(account)

    async with anyio.create_task_group() as tasks:
        for _ in range(min(_AT_ONCE, len(accounts))):
            tasks.start_soon(work)
    return [found[account.id] for account in accounts]


# Codes of the crawler itself, for answers that STS didn't give.
_NOT_OF_STS = frozenset({"Excessive", "InvalidResponse", "RedirectRefused", "TlsFailed", "TooLarge"})


def _refusal_by_sts(error: ApiError) -> SkipReason:
    """Return code, request ID and advice, without the service's own text, which may quote the signed string."""
    if error.code == CLOCK_WRONG:
        return SkipReason(CLOCK_WRONG, error.message)
    is_temporary = may_answer_later(error)
    is_page = error.code == f"Http{error.http_status}"  # the page of a proxy, which has no code of STS
    if is_page or error.http_status == 0 or error.code in _NOT_OF_STS:
        reason = f"STS can't identify the credentials: {error}"
        return SkipReason(UNREACHABLE_CODE, reason, is_temporary=is_temporary)
    answered = f"STS answered {error.code} to GetCallerIdentity (request {error.request_id or 'unknown'})"
    if is_temporary:
        return SkipReason(UNREACHABLE_CODE, f"{answered}: try again later.", is_temporary=True)
    return SkipReason("InvalidCredentials", f"{answered}: {_advice(error.code)}.")


def _advice(code: str) -> str:
    if code.startswith("InvalidSecurityToken"):
        return (
            "the token is wrong or has expired; get new temporary keys: key, secret and token are issued together, and "
            "expire"
        )
    return {
        "InvalidAccessKeyId.NotFound": "there is no such access key; compare it with those in the RAM console",
        "InvalidAccessKeyId.Inactive": "the access key is disabled; enable it in the RAM console, or use another one",
        "SignatureDoesNotMatch": "the access key's secret is wrong; create a new key in the RAM console if it is lost",
    }.get(code, "look up the code in the error reference of STS")
