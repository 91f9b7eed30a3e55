"""Rate limits: per account, region and operation, by the cloud's clock, with the refusal of each product."""

from __future__ import annotations

import pytest

from crawler.emulator import CloudSpec, Rate

SECOND = "1000000000000002"


@pytest.fixture
def spec() -> CloudSpec:
    return CloudSpec(rate=Rate(rate=2, burst=3), rates={"opensearch.ListAppGroups": Rate(rate=1, burst=1)})


async def test_the_burst_is_served_and_then_the_rate(client, clock):
    assert [(await client.functions()).status for _ in range(4)] == [200, 200, 200, 429]
    clock.elapsed_s = 0.499
    assert (await client.functions()).status == 429
    clock.elapsed_s = 0.5
    assert [(await client.functions()).status for _ in range(2)] == [200, 429]
    clock.elapsed_s = 100
    assert [(await client.functions()).status for _ in range(4)] == [200, 200, 200, 429]


async def test_fc_tells_how_long_to_wait_in_milliseconds(client):
    for _ in range(3):
        await client.functions()
    got = await client.functions()
    assert (got.code, got.headers["x-acs-retry-after"]) == ("Throttling.User", "500")


async def test_fc_open_is_exhausted(client):
    path = "/2021-04-06/services"
    codes = [await client.get("fc-open.ListServices", path) for _ in range(4)]
    assert (codes[-1].status, codes[-1].code) == (429, "ResourceExhausted")
    assert codes[-1].headers["x-acs-retry-after"] == "500"


async def test_opensearch_has_the_older_header_and_its_own_rate(client):
    assert (await client.groups()).status == 200
    got = await client.groups()
    assert (got.status, got.code) == (400, "Throttling")
    assert got.headers["x-ratelimit-user-api"] == "Limit:1,Remain:0,TimeLeft:1000,Reset:1000"
    assert "x-acs-retry-after" not in got.headers


async def test_limits_are_apart_by_account_region_and_operation(client):
    for _ in range(4):
        last = await client.functions()
    assert last.status == 429
    assert (await client.get("fc.DescribeRegions", "/2023-03-30/regions")).status == 200
    client.region = "cn-shanghai"
    assert (await client.functions()).status == 200
    client.region, client.account = "cn-hangzhou", SECOND
    assert (await client.functions()).status == 200


async def test_the_log_counts_what_was_throttled(client, cloud):
    for _ in range(5):
        await client.functions(limit="1")
    assert cloud.requests.count(action="ListFunctions") == 5
    assert cloud.requests.count(action="ListFunctions", outcome="Throttling.User") == 2
    assert cloud.requests.count(product="fc", region="cn-hangzhou", outcome="OK") == 3
    last = cloud.requests.entries[-1]
    assert (last.account, last.status, last.query, last.page) == (client.account, 429, {"limit": "1"}, 1)
    cloud.requests.clear()
    assert cloud.requests.count() == 0
