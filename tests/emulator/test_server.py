"""The ports: one per region, TLS, compression, a quick shutdown; and the independence of the emulator."""

from __future__ import annotations

import ast
import contextlib
import gzip
import socket
import ssl
import time
from pathlib import Path

import aiohttp
import anyio
import pytest
import trustme

import crawler.emulator
from crawler.emulator import Cloud, CloudSpec, Delay, Slow, serve, spec
from crawler.errors import ConfigError
from crawler.text import REGION_ID

FIRST = "1000000000000001"
PATH = "/2023-03-30/functions"


async def test_every_region_has_a_port_of_its_own(emulator):
    urls = [*emulator.endpoints["fc"].values(), emulator.endpoints["sts"]]
    assert len(set(urls)) == 4
    assert emulator.endpoints["fc"] == emulator.endpoints["fc-open"]
    assert set(emulator.endpoints["opensearch"]) == {"cn-hangzhou", "ap-southeast-1"}
    assert emulator.url("sts").startswith("http://127.0.0.1:")


async def serve_on_chosen_ports(cloud) -> tuple[int, list[str]]:
    """Serve on a chosen port with free neighbours, which other processes may take in the meantime; return the URLs."""
    for _ in range(20):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            first = probe.getsockname()[1]
        with contextlib.suppress(ConfigError):
            async with serve(cloud, port=first) as emulator:
                return first, [emulator.url("sts"), *(emulator.url("fc", region) for region in cloud.spec.regions)]
    raise AssertionError("no four free ports in a row")


async def test_ports_can_be_chosen(cloud):
    first, urls = await serve_on_chosen_ports(cloud)
    assert urls == [f"http://127.0.0.1:{port}" for port in range(first, first + 4)]


@pytest.mark.looptime
async def test_delays_pass_in_virtual_time():
    cloud = Cloud()
    cloud.faults.add(Delay(seconds=240))
    started = time.monotonic()
    never = aiohttp.ClientTimeout(total=None, sock_connect=None)
    async with serve(cloud) as emulator, aiohttp.ClientSession(timeout=never) as session:
        before = anyio.current_time()
        async with session.get(emulator.url("fc", "cn-hangzhou") + PATH) as got:
            assert got.status == 400
        assert anyio.current_time() - before == pytest.approx(240, abs=5)
    assert time.monotonic() - started < 30


async def test_a_taken_port_is_an_error_that_says_so(cloud):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"ports {port} to {port + 3}"):
            async with serve(cloud, port=port):
                pass


async def test_the_same_cloud_can_be_served_twice_at_once(cloud, client):
    async with serve(cloud) as other:
        client.emulator = other
        assert (await client.functions()).status == 200


async def test_a_port_serves_its_region(client, cloud):
    for region in cloud.spec.regions:
        client.region = region
        got = (await client.functions(fcVersion="v3", limit="100")).json["functions"]
        assert got == cloud.records(FIRST, region, "fc.ListFunctions")[:100]


async def test_tls(cloud, client):
    authority = trustme.CA()
    server, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trust)
    async with serve(cloud, ssl_context=server) as emulator:
        client.emulator = emulator
        url, headers = client.request("fc.ListFunctions", PATH)
        assert url.scheme == "https"
        async with client.session.get(url, headers=headers, ssl=trust) as got:
            assert got.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.session.get(url, headers=headers)


@pytest.mark.parametrize(("limit", "encoding"), [("20", "gzip"), ("20", ""), ("20", "identity")])
async def test_large_bodies_are_compressed_for_who_asks(client, limit, encoding):
    expected = (await client.functions(limit=limit)).body
    url, headers = client.request("fc.ListFunctions", PATH, {"limit": limit})
    got = await client.send(url, {**headers, **({"Accept-Encoding": encoding} if encoding else {})})
    is_packed = got.headers.get("Content-Encoding") == "gzip"
    assert is_packed == (encoding == "gzip")
    assert (gzip.decompress(got.body) if is_packed else got.body) == expected


async def test_small_bodies_are_not_compressed(client):
    url, headers = client.request("fc.DescribeRegions", "/2023-03-30/regions")
    assert "Content-Encoding" not in (await client.send(url, {**headers, "Accept-Encoding": "gzip"})).headers


async def test_many_requests_at_once(client, cloud):
    cloud.edit(FIRST, "cn-hangzhou", "opensearch.ListAppGroups", [{"name": f"group{n}"} for n in range(130)])
    got = []

    async def one(number):
        got.append((await client.groups(pageNumber=str(number), pageSize="10")).json["result"])

    async with anyio.create_task_group() as tasks:
        for number in range(1, 51):
            tasks.start_soon(one, number)
    assert sum(map(len, got)) == 130
    assert cloud.requests.count(action="ListAppGroups", outcome="OK") == 50


async def test_request_ids_differ(client):
    ids = {(await client.groups()).json["requestId"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("effect", [Delay(seconds=1000), Slow(every_s=1000)])
async def test_it_ends_within_a_second_while_requests_are_under_way(effect):
    cloud = Cloud()
    cloud.faults.add(effect)
    key_id, _ = cloud.credentials(FIRST)
    async with anyio.create_task_group() as tasks, aiohttp.ClientSession() as session:
        async with serve(cloud) as emulator:
            head = f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders=host,Signature={'0' * 64}"

            async def ask():
                with pytest.raises(aiohttp.ClientError):
                    async with session.get(
                        emulator.url("fc", "cn-hangzhou") + PATH, headers={"Authorization": head}
                    ) as got:
                        await got.read()

            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            started = time.monotonic()
        assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "region_id",
    ["cn-hangzhou", "me-central-1", "0-1", "CN-1", "cn", "cn_1", "cn-", "-1", "a" * 62 + "-1", "cn-1\n", ""],
)
def test_one_grammar_says_what_a_region_is(region_id):
    """F94: the emulator, which shares no code with the crawler, takes the regions that the configuration takes."""
    assert bool(spec.REGION.fullmatch(region_id)) == bool(REGION_ID.fullmatch(region_id))


async def test_products_have_regions_of_their_own_and_closed_regions_answer_nothing(client, clock):
    hosts = {"fc.cn-shanghai": "f.aliyuncs.com", "opensearch.cn-hangzhou": "o.aliyuncs.com"}
    served = CloudSpec(fc_open_regions=("cn-shanghai",), closed_regions=("ap-southeast-1",), region_hosts=hosts)
    cloud = Cloud(served, clock)
    async with serve(cloud) as emulator:
        assert set(emulator.endpoints["fc-open"]) == {"cn-shanghai"}
        client.emulator = emulator
        found = (await client.get("fc.DescribeRegions", "/2023-03-30/regions")).json["Regions"]["Region"]
        assert {item["RegionId"]: item.get("RegionEndpoint") for item in found} == {
            "cn-hangzhou": None,
            "cn-shanghai": "f.aliyuncs.com",
        }
        [search] = (await client.get("opensearch.DescribeRegions", "/v4/openapi/regions")).json["result"]
        assert (search["regionId"], search["endpoint"]) == ("cn-hangzhou", "o.aliyuncs.com")
        client.region = "ap-southeast-1"
        with pytest.raises(aiohttp.ClientError):
            await client.functions()


async def test_nothing_listens_after_the_end(cloud):
    async with serve(cloud) as emulator:
        port = int(emulator.url("sts").rpartition(":")[2])
    with pytest.raises(OSError, match=r"refused|failed"):
        await anyio.connect_tcp("127.0.0.1", port)


def test_the_emulator_is_an_independent_witness():
    folder = Path(crawler.emulator.__file__).parent
    allowed = {"crawler.clock", "crawler.errors"}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                own = not name.startswith("crawler") or name.startswith("crawler.emulator") or name in allowed
                assert own, f"{path.name} imports {name}"
        assert "schemas" not in path.read_text() or path.name == "opensearch_seed.py"
