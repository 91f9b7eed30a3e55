"""Calls that aren't lists: STS, and each product's DescribeRegions, by the same client as everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crawler.catalog.model import Product
from crawler.client.client import Client, RequestChannel, RequestCounts, SignedAccount
from crawler.client.credentials import Credentials
from crawler.client.request import ApiRequest
from crawler.errors import CredentialsError, FatalError, PaginationError, TransientError
from crawler.normalizer.exact_json import InvalidJsonError, find, parse
from crawler.text import ACCOUNT_ID, REGION_ID

# Security Token Service, RPC style (Alibaba Cloud's API reference of STS, checked 2026-11-22).
STS_VERSION = "2015-04-01"


class FixedProvider:
    """A provider of credentials that are already at hand: they can't be refreshed here."""

    name = "given"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self) -> Credentials:
        """The credentials."""
        return self._credentials

    def ready(self) -> Credentials | None:
        """The credentials."""
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:  # noqa: ARG002 - the protocol's
        """Always raises: whoever gave the credentials refreshes them."""
        raise CredentialsError("The credentials have expired.")


class StsCall:
    """One account's calls to STS: what `credentials.Call` asks for. `tally` counts them all.

    STS limits who calls, so hundreds of roles that are assumed with one key share that key's bucket.
    """

    def __init__(self, client: Client, account_id: str, tally: RequestCounts) -> None:
        self._client = client
        self._account_id = account_id
        self._tally = tally
        self._channels: dict[tuple[str, str], RequestChannel] = {}

    async def __call__(
        self, product: str, action: str, parameters: Mapping[str, str], credentials: Credentials | None
    ) -> Mapping[str, object]:
        """The answer's object. Raises ApiError."""
        key = credentials.access_key_id if credentials else self._account_id, action
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = self._client.channel(key[0], "", product, action)
        request = ApiRequest(product, STS_VERSION, action, "", "/", {}, parameters)
        caller = SignedAccount(self._account_id, FixedProvider(credentials) if credentials else None)
        return await self._client.call(request, caller, channel, read_object, self._tally)


async def caller_identity(call: StsCall, credentials: Credentials) -> str:
    """The account ID that the credentials belong to. Raises ApiError."""
    answer = await call("sts", "GetCallerIdentity", {}, credentials)
    account_id = answer.get("AccountId")
    if not isinstance(account_id, str) or not ACCOUNT_ID.fullmatch(account_id):
        raise FatalError("InvalidResponse", "STS named no account in its answer to GetCallerIdentity.")
    return account_id


async def describe_regions(
    client: Client, product: Product, caller: SignedAccount, region_id: str, tally: RequestCounts
) -> tuple[str, ...]:
    """The regions that a product says it is in. Raises ApiError, and PaginationError where the list isn't there."""
    assert product.regions is not None, "the catalog says which products have the operation"
    operation = product.regions
    request = ApiRequest(product.key, product.version, operation.action, region_id, operation.path)
    channel = client.channel(caller.account_id, region_id, product.key, operation.action)
    node: Any = await client.call(request, caller, channel, read_object, tally)
    for step in operation.records:
        name = find(node, step) if isinstance(node, dict) else None
        node = None if name is None else node[name]
    if not isinstance(node, list) or not node:
        raise PaginationError("ListMissing", f"{product.key} {operation.action} gave no list of regions.")
    ids = [item.get(find(item, operation.id)) if isinstance(item, dict) else None for item in node]
    regions = [region for region in ids if isinstance(region, str) and REGION_ID.fullmatch(region)]
    if len(regions) < len(ids):
        raise PaginationError("RegionInvalid", f"{product.key} {operation.action} named something that is no region.")
    return tuple(sorted(set(regions)))


def read_object(body: bytes) -> Mapping[str, Any]:
    """The body's JSON object. Raises TransientError where it is none: it may have been cut on its way."""
    try:
        value = parse(body)
    except InvalidJsonError as error:
        raise TransientError("InvalidResponse", f"The answer is {error}.", http_status=200) from None
    if not isinstance(value, dict):
        raise FatalError("InvalidResponse", "The answer is no JSON object.", http_status=200)
    return value
