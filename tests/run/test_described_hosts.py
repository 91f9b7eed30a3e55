"""A crawl sends the requests for a new region to the host that DescribeRegions names, and nowhere else."""

from __future__ import annotations

import json
import re

import anyio

from crawler.emulator import Body
from tests.support.crawl_runner import BIG, fast_cloud, site

REGIONS = [
    {"RegionId": "cn-hangzhou", "RegionEndpoint": "fcv3.cn-hangzhou.aliyuncs.com"},
    {"RegionId": "na-south-1", "RegionEndpoint": "http://NA-SOUTH-1.fc.aliyuncs.com/"},
    {"RegionId": "eu-west-9", "RegionEndpoint": "evil.example"},
]


async def test_f93_requests_for_a_new_region_leave_for_the_host_that_is_named(tmp_path):
    """F93: seen at a proxy, which gets the host of each connection and no request."""
    asked = []

    async def refuse(stream):
        async with stream:
            line = (await stream.receive()).split(b"\r\n")[0].decode()
            asked.append(line.split()[1])
            await stream.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    cloud = fast_cloud(accounts=(BIG,), regions=("cn-hangzhou",))
    body = json.dumps({"Regions": {"Region": REGIONS}}).encode()
    cloud.faults.add(Body(body=body), product="fc", action="DescribeRegions")
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, site(tmp_path, cloud) as here, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, refuse)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        proxy = f'\n[network]\nproxy = "http://127.0.0.1:{port}"\n[retry]\nmax_attempts = 1\n'
        result = await here.crawl(here.config(proxy, tables='["fc_functions"]', regions='"all"'))
        tasks.cancel_scope.cancel()
    assert sorted(asked) == ["fcv3.eu-west-9.aliyuncs.com:443", "na-south-1.fc.aliyuncs.com:443"]
    assert {row.region_id: row.error_code for row in result.ledger} == {
        "cn-hangzhou": "",
        "na-south-1": "ProxyRefused",
        "eu-west-9": "ProxyRefused",
    }
    assert re.search(r"isn't used for eu-west-9 \(its host isn't under aliyuncs.com", result.warnings[0])
