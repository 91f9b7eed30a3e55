"""A client that signs with the official library and can replace any part of the signature."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest
from yarl import URL

from crawler.emulator import Cloud, CloudSpec, Emulator, serve
from crawler.testing import FakeClock

FIRST, SECOND = "1000000000000001", "1000000000000002"
ALGORITHM = "ACS3-HMAC-SHA256"
VERSIONS = {
    "fc": "2023-03-30",
    "fc-open": "2021-04-06",
    "opensearch": "2017-12-25",
    "searchengine": "2021-10-25",
    "sts": "2015-04-01",
    "resourcedirectory": "2022-04-19",
    "fcsandbox": "2026-05-09",
    "ram": "2015-05-01",
}


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        found = self.json
        return found.get("Code") or found.get("code") or found.get("ErrorCode") or ""


@dataclass
class Client:
    """Sends signed requests to an emulator; each part of the signature can be replaced or left out."""

    emulator: Emulator
    clock: FakeClock
    session: aiohttp.ClientSession
    account: str = FIRST
    region: str = "cn-hangzhou"
    nonces: Any = field(default_factory=itertools.count)

    def request(
        self,
        action: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes = b"",
        key: tuple[str, str] | None = None,
        token: str = "",
        headers: Mapping[str, str | None] | None = None,
        unsigned: tuple[str, ...] = (),
        secret: str = "",
    ) -> tuple[URL, dict[str, str]]:
        """Return the URL and the headers; `headers` set to None are removed before signing, `unsigned` ones after."""
        product, _, name = action.partition(".")
        url = URL(self.emulator.url(product, self.region))
        key_id, own_secret = key or self.emulator.cloud.credentials(self.account)
        made: dict[str, str | None] = {
            "host": f"{url.host}:{url.port}",
            "x-acs-action": name,
            "x-acs-version": VERSIONS[product],
            "x-acs-date": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": f"nonce-{next(self.nonces)}",
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        if token:
            made |= {"x-acs-security-token": token, "x-acs-accesskey-id": key_id}
        made |= headers or {}
        sent = {header: value for header, value in made.items() if value is not None}
        signed = DaraRequest()
        signed.method, signed.pathname, signed.query = method, path, dict(query or {})
        signed.headers = {header: value for header, value in sent.items() if header not in unsigned}
        payload = sent.get("x-acs-content-sha256", "")
        sent["Authorization"] = Utils.get_authorization(signed, ALGORITHM, payload, key_id, secret or own_secret)
        pairs = "&".join(f"{name}={quote(value, safe='~')}" for name, value in sorted((query or {}).items()))
        return URL(f"{url}{path}" + (f"?{pairs}" if pairs else ""), encoded=True), sent

    async def send(self, url: URL, headers: Mapping[str, str], method: str = "GET", body: bytes = b"") -> Got:
        async with self.session.request(method, url, headers=headers, data=body or None, allow_redirects=False) as got:
            return Got(got.status, got.headers.copy(), await got.read())

    async def get(self, action: str, path: str, query: Mapping[str, str] | None = None, **parts: Any) -> Got:
        method, body = parts.get("method", "GET"), parts.get("body", b"")
        url, headers = self.request(action, path, query, **parts)
        return await self.send(url, headers, method, body)

    async def functions(self, **query: str) -> Got:
        return await self.get("fc.ListFunctions", "/2023-03-30/functions", query)

    async def groups(self, **query: str) -> Got:
        return await self.get("opensearch.ListAppGroups", "/v4/openapi/app-groups", query)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 22, 8, 0, tzinfo=UTC))


@pytest.fixture
def spec() -> CloudSpec:
    return CloudSpec()


@pytest.fixture
def cloud(spec: CloudSpec, clock: FakeClock) -> Cloud:
    return Cloud(spec, clock)


@pytest.fixture
async def emulator(cloud: Cloud) -> AsyncIterator[Emulator]:
    async with serve(cloud) as served:
        yield served


@pytest.fixture
async def client(emulator: Emulator, clock: FakeClock) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=("Accept-Encoding",)) as session:
        yield Client(emulator, clock, session)
