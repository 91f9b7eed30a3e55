"""A manual clock, and a cloud that issues credentials, for tests of `crawler.client.credentials`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

from crawler.client.credentials import Credentials, ProviderContext
from crawler.errors import ApiError

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
ROLE = "acs:ram::1000000000000001:role/inventory-reader"
KEYS = Credentials("LTAI5tFakeFakeFake1234", "source-secret")


class HandClock:
    """A clock whose two readings change only when a test says so."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.skew_s = 0.0

    def advance(self, duration_s: float) -> None:
        self.elapsed_s += duration_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s + self.skew_s)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed_s

    async def sleep(self, duration_s: float) -> None:
        self.advance(duration_s)
        await anyio.sleep(0)


@dataclass
class FakeCloud:
    """Fakes STS and the metadata service: numbers the credentials, records the requests, fails on demand."""

    clock: HandClock = field(default_factory=HandClock)
    life_s: float = 3600.0
    roles: str = "instance-role"
    errors: list[ApiError] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Credentials | None]] = field(default_factory=list)
    fetched: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None
    gate: anyio.Event | None = None
    rotates: bool = True

    def issue(self, number: int) -> dict[str, str]:
        expires_at = self.clock.now() + timedelta(seconds=self.life_s)
        return {
            "AccessKeyId": f"STS.FakeFakeFake{number:04}",
            "AccessKeySecret": f"issued-secret-{number}",
            "SecurityToken": f"issued-token-{number}",
            "Expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def call(
        self, product: str, action: str, parameters: Mapping[str, str], credentials: Credentials | None
    ) -> Mapping[str, object]:
        assert product == "sts"
        self.asked.append((action, dict(parameters), credentials))
        if self.meanwhile:
            self.meanwhile()
        await anyio.sleep(0)
        if self.gate:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return {"RequestId": "R-1", "Credentials": self.issue(len(self.asked))}

    async def fetch(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.fetched.append((method, url, dict(headers)))
        await anyio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        status = self.statuses.get(url.rpartition("/")[2], 200)
        if method == "PUT":
            return status, b"metadata-token"
        if "X-aliyun-ecs-metadata-token" not in headers and "100.100.100.200" in url:
            return 403, b"token required"
        if url.endswith("/security-credentials/"):
            return status, self.roles.encode()
        number = len(self.fetched) if self.rotates else 1
        return status, json.dumps({"Code": "Success", **self.issue(number)}).encode()

    def outside(self, home: Path = Path("/nonexistent"), **environ: str) -> ProviderContext:
        return ProviderContext(self.call, self.fetch, self.clock, environ, home)
