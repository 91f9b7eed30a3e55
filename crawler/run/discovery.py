"""Calls that aren't lists, by the same client as all others: STS, and DescribeRegions of each product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.catalog.model import Product, RegionsOperation
from crawler.client.client import Client, RequestChannel, RequestCounts, SignedAccount
from crawler.client.credentials import Credentials
from crawler.client.request import ApiRequest
from crawler.client.transport import HttpResponse
from crawler.errors import CredentialsError, FatalError, PaginationError, TransientError
from crawler.normalizer.exact_json import ExcessiveJsonError, InvalidJsonError, parse
from crawler.text import ACCOUNT_ID, GLOBAL_REGION, REGION_ID, clean_message

# Security Token Service, RPC style (Alibaba Cloud's API reference of STS, checked 2026-11-22).
STS_VERSION = "2015-04-01"
# The vendor has about 30 regions.
MAX_REGIONS = 500
_LONGEST_NAMED = 40
# Many times what these operations answer.
_MAX_STS_BYTES = 256 * 1024
_MAX_REGIONS_BYTES = 1024 * 1024


class FixedProvider:
    """A provider of given credentials, which it can't refresh."""

    name = "given"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self) -> Credentials:
        """Return the credentials."""
        return self._credentials

    def ready(self) -> Credentials | None:
        """Return the credentials."""
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:  # noqa: ARG002 - the protocol's
        """Raise CredentialsError: only the original provider can refresh the credentials."""
        raise CredentialsError("The credentials have expired.")


class StsCall:
    """A `StsClient` for one account. STS limits the caller: roles that one key assumes share the bucket of that key.

    `observe_date` gets the Date header of each answer.
    """

    def __init__(
        self,
        client: Client,
        account_id: str,
        tally: RequestCounts,
        observe_date: Callable[[str], object] = str,
    ) -> None:
        self._client = client
        self._observe_date = observe_date
        self._account_id = account_id
        self._tally = tally
        self._channels: dict[tuple[str, str], RequestChannel] = {}

    async def __call__(
        self, product: str, action: str, parameters: Mapping[str, str], credentials: Credentials | None
    ) -> Mapping[str, object]:
        """Return the JSON object of the response. Raises ApiError."""
        key = credentials.access_key_id if credentials else self._account_id, action
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = self._client.channel(key[0], "", product, action)
        request = ApiRequest(product, STS_VERSION, action, "", "/", {}, parameters, max_bytes=_MAX_STS_BYTES)
        caller = SignedAccount(self._account_id, FixedProvider(credentials) if credentials else None)

        def read(response: HttpResponse) -> Mapping[str, Any]:
            self._observe_date(response.headers.get("Date", ""))
            self._client.check(request.product, response)
            return read_object(response.body)

        return await self._client.exchange(request, caller, channel, read, self._tally)


async def caller_identity(call: StsCall, credentials: Credentials) -> str:
    """Return the account ID of the credentials. Raises ApiError."""
    answer = await call("sts", "GetCallerIdentity", {}, credentials)
    account_id = answer.get("AccountId")
    if not isinstance(account_id, str) or not ACCOUNT_ID.fullmatch(account_id):
        raise FatalError("InvalidResponse", "STS answered GetCallerIdentity without an account ID.")
    return account_id


@dataclass(frozen=True, slots=True)
class DescribedRegions:
    """An answer to DescribeRegions: the regions with the hosts that it names for them, and the malformed region IDs."""

    hosts: Mapping[str, tuple[str, ...]]
    malformed: tuple[str, ...] = ()


async def describe_regions(
    client: Client, product: Product, caller: SignedAccount, region_id: str, tally: RequestCounts
) -> DescribedRegions:
    """Return the product's regions by DescribeRegions.

    Raises ApiError, and PaginationError for an answer without a list, without any region ID, or with too many.
    """
    assert product.regions is not None, "the caller checks that the product has the operation"
    operation = product.regions
    request = ApiRequest(
        product.key,
        product.version,
        operation.action,
        region_id,
        operation.path,
        max_bytes=_MAX_REGIONS_BYTES,
        method=operation.method,
    )
    channel = client.channel(caller.account_id, region_id, product.key, operation.action)
    node: Any = await client.call(request, caller, channel, read_object, tally)
    for step in operation.records:
        node = _field(node, step)
    name = f"{product.key} {operation.action}"
    if not isinstance(node, list) or not node:
        raise PaginationError("ListMissing", f"{name} returned no list of regions.")
    if len(node) > MAX_REGIONS:
        raise PaginationError("Excessive", f"{name} returned {len(node)} regions, more than {MAX_REGIONS}.")
    found = _described(node, operation)
    if not found.hosts:
        raise PaginationError("RegionInvalid", f"{name} returned no valid region ID.")
    return found


def _described(items: Sequence[Any], operation: RegionsOperation) -> DescribedRegions:
    hosts: dict[str, list[str]] = {}
    malformed: list[str] = []
    for item in items:
        region_id, host = _field(item, operation.id), _field(item, operation.endpoint)
        is_region = isinstance(region_id, str) and region_id != GLOBAL_REGION and REGION_ID.fullmatch(region_id)
        if not is_region:
            malformed.append(clean_message(region_id if isinstance(region_id, str) else "no text", _LONGEST_NAMED))
            continue
        known = hosts.setdefault(region_id, [])
        if isinstance(host, str) and host.strip():
            known.append(host)
    return DescribedRegions({region_id: tuple(named) for region_id, named in hosts.items()}, tuple(malformed))


def _field(item: Any, name: str) -> Any:
    """Return a field of a JSON object, whatever the case of its name; None without it."""
    if not isinstance(item, dict):
        return None
    return next((value for key, value in item.items() if key.lower() == name.lower()), None)


def read_object(body: bytes) -> Mapping[str, Any]:
    """Return the body's JSON object. Raises TransientError for invalid JSON, which may be a cut response.

    Raises FatalError for a document that is no object, or an excessive one.
    """
    try:
        value = parse(body)
    except ExcessiveJsonError as error:
        raise FatalError("Excessive", f"The answer is {error}.", http_status=200) from None
    except InvalidJsonError as error:
        raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None
    if not isinstance(value, dict):
        raise FatalError("InvalidResponse", "The answer is not a JSON object.", http_status=200)
    return value
