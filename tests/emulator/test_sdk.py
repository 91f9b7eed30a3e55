"""The official SDK clients list all records from the emulator, page by page, and get exactly its own."""

from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_fc20230330 import models as fc_models
from alibabacloud_fc20230330.client import Client as FcClient
from alibabacloud_fc_open20210406 import models as open_models
from alibabacloud_fc_open20210406.client import Client as FcOpenClient
from alibabacloud_opensearch20171225 import models as search_models
from alibabacloud_opensearch20171225.client import Client as SearchClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions
from anyio import to_thread

from crawler.catalog import schemas_folder
from crawler.client.error_parsing import error_from_response
from crawler.client.error_rules import load_rules
from crawler.clock import SystemClock
from crawler.emulator import Cloud, CloudSpec, Error
from crawler.errors import DeniedError, ReauthError, ResignError, ThrottledError, TransientError, UnsupportedError

FIRST = "1000000000000001"
REGION = "cn-hangzhou"
ENDS = (None, "", '""')


@pytest.fixture
def cloud() -> Cloud:
    """Return a cloud on the system's clock, which the SDK signs with."""
    return Cloud(CloudSpec())


def config(emulator, product: str, region: str = REGION, account: str = FIRST, **parts: str) -> Config:
    key_id, secret = emulator.cloud.credentials(account)
    endpoint = emulator.url(product, region).removeprefix("http://")
    made = {"access_key_id": key_id, "access_key_secret": secret, **parts}
    return Config(endpoint=endpoint, protocol="HTTP", region_id=region, **made)


def plain(value: Any) -> Any:
    """Remove nulls and empty lists: the SDK's models don't distinguish them from absent values."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item not in (None, [])}
    return [plain(item) for item in value] if isinstance(value, list) else value


def same(models: list[Any], records: list[dict[str, Any]]) -> bool:
    return [plain(model.to_map()) for model in models] == [plain(record) for record in records]


def all_functions(client: FcClient) -> list[Any]:
    found, token = [], None
    while True:
        body = client.list_functions(fc_models.ListFunctionsRequest(fc_version="v3", limit=40, next_token=token)).body
        found += body.functions
        token = body.next_token
        if token in ENDS:
            return found


@pytest.mark.parametrize("region", ["cn-hangzhou", "cn-shanghai", "ap-southeast-1"])
async def test_fc_functions_sync(emulator, region):
    found = await to_thread.run_sync(all_functions, FcClient(config(emulator, "fc", region)))
    assert same(found, emulator.cloud.records(FIRST, region, "fc.ListFunctions"))


async def test_fc_functions_async(emulator):
    client, found, token = FcClient(config(emulator, "fc")), [], None
    while True:
        request = fc_models.ListFunctionsRequest(fc_version="v3", limit=100, next_token=token)
        body = (await client.list_functions_async(request)).body
        found += body.functions
        token = body.next_token
        if token in ENDS:
            break
    assert same(found, emulator.cloud.records(FIRST, REGION, "fc.ListFunctions"))


def functions_below(client: FcClient, prefix: str) -> list[str]:
    found, token = [], None
    while True:
        request = fc_models.ListFunctionsRequest(fc_version="v3", limit=7, next_token=token, prefix=prefix)
        body = client.list_functions(request).body
        found += [function.function_name for function in body.functions]
        token = body.next_token
        if token in ENDS:
            return found


async def test_fc_functions_by_prefix_are_the_list_divided(emulator):
    client = FcClient(config(emulator, "fc"))
    names = [function.function_name for function in await to_thread.run_sync(all_functions, client)]
    firsts = sorted({name[0] for name in names} | {"Q"})
    found = [await to_thread.run_sync(functions_below, client, first) for first in firsts]
    assert [name for part in found for name in part] == names
    assert all(name.startswith(first) for first, part in zip(firsts, found, strict=True) for name in part)
    begin = names[0][:3]
    below = await to_thread.run_sync(functions_below, client, begin)
    assert below == [name for name in names if name.startswith(begin)]


async def test_fc_regions(emulator):
    client = FcClient(config(emulator, "fc"))
    body = (await client.describe_regions_async(fc_models.DescribeRegionsRequest())).body
    assert same(body.regions.region, emulator.cloud.records(FIRST, REGION, "fc.DescribeRegions"))


async def test_fc_open_services_async(emulator):
    client, found, token = FcOpenClient(config(emulator, "fc-open")), [], None
    while True:
        body = (await client.list_services_async(open_models.ListServicesRequest(limit=100, next_token=token))).body
        found += body.services
        token = body.next_token
        if token in ENDS:
            break
    assert same(found, emulator.cloud.records(FIRST, REGION, "fc-open.ListServices"))


async def test_opensearch_groups_and_regions_async(emulator):
    client = SearchClient(config(emulator, "opensearch"))
    request = search_models.ListAppGroupsRequest(page_number=2, page_size=2)
    body = (await client.list_app_groups_async(request)).body
    assert (len(body.result), body.total_count) == (2, 5)
    assert same(body.result, emulator.cloud.records(FIRST, REGION, "opensearch.ListAppGroups")[2:4])
    regions = (await client.describe_regions_async()).body.result
    assert same(regions, emulator.cloud.records(FIRST, REGION, "opensearch.DescribeRegions"))


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"access_key_secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "LTAI5tNobody"}, "InvalidAccessKeyId.NotFound"),
        ({"security_token": "never-issued"}, "InvalidSecurityToken.MismatchWithAccessKey"),
    ],
)
async def test_the_sdk_sees_the_documented_codes(emulator, parts, code):
    client = FcClient(config(emulator, "fc", **parts))
    with pytest.raises(ClientException) as caught:
        await client.list_functions_async(fc_models.ListFunctionsRequest())
    assert caught.value.code == code


XML_ERRORS = [
    # status, code, what our rules make of it
    (400, "Throttling.User", ThrottledError),
    (400, "InvalidTimeStamp.Expired", ResignError),
    (400, "InvalidSecurityToken.Expired", ReauthError),
    (404, "InvalidAction.NotFound", UnsupportedError),
    (403, "Forbidden.RAM", DeniedError),
    (500, "InternalError", TransientError),
]


@pytest.mark.parametrize(("status", "code", "error_type"), XML_ERRORS)
@pytest.mark.parametrize("product", ["fc", "fc-open", "opensearch"])
async def test_f91_the_sdk_reads_an_error_in_xml_as_we_do(emulator, cloud, client, product, status, code, error_type):
    """F91: code, message and request ID are those that the official clients read in the same bytes."""
    effect = Error(status=status, code=code, message='no "such" <b>&amp; thing', form="xml")
    cloud.faults.add(effect, product=product)
    calls = {
        "fc": lambda: FcClient(config(emulator, "fc")).list_functions_with_options_async(
            fc_models.ListFunctionsRequest(), {}, RuntimeOptions(autoretry=False)
        ),
        "fc-open": lambda: FcOpenClient(config(emulator, "fc-open")).list_services_async(
            open_models.ListServicesRequest()
        ),
        "opensearch": lambda: SearchClient(config(emulator, "opensearch")).list_app_groups_async(
            search_models.ListAppGroupsRequest()
        ),
    }
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client has its own types
        await calls[product]()
    paths = {"fc": "/2023-03-30/functions", "fc-open": "/2021-04-06/services", "opensearch": "/v4/openapi/app-groups"}
    actions = {"fc": "ListFunctions", "fc-open": "ListServices", "opensearch": "ListAppGroups"}
    client.clock = SystemClock()
    got = await client.get(f"{product}.{actions[product]}", paths[product])
    assert got.headers["Content-Type"] == "text/xml;charset=utf-8"
    rules = load_rules(schemas_folder() / "errors.toml")
    now = SystemClock().now
    ours = error_from_response(rules, product=product, status=got.status, headers=got.headers, body=got.body, now=now)
    assert type(ours) is error_type
    assert caught.value.code == ours.code == code
    assert ours.message in str(caught.value)
    assert ours.request_id == got.headers["x-acs-request-id"]


async def test_the_sdk_sees_a_refused_limit(emulator):
    client = FcOpenClient(config(emulator, "fc-open"))
    with pytest.raises(ClientException) as caught:
        await client.list_services_async(open_models.ListServicesRequest(limit=101))
    assert (caught.value.code, caught.value.status_code) == ("InvalidArgument", 400)


async def test_the_sdk_works_with_keys_from_sts(emulator):
    key = emulator.cloud.keys.issue(FIRST, "inventory-reader", "test", 900)
    parts = {"access_key_id": key.key_id, "access_key_secret": key.secret, "security_token": key.token}
    body = (await FcClient(config(emulator, "fc", **parts)).list_functions_async(fc_models.ListFunctionsRequest())).body
    assert len(body.functions) == 20
    assert emulator.cloud.expire_sessions() == 1
    with pytest.raises(ClientException) as caught:
        await FcClient(config(emulator, "fc", **parts)).list_functions_async(fc_models.ListFunctionsRequest())
    assert caught.value.code == "InvalidSecurityToken.Expired"


async def test_the_account_header_of_fc_open_must_be_the_caller_s(emulator):
    client = FcOpenClient(config(emulator, "fc-open"))
    runtime, request = RuntimeOptions(), open_models.ListServicesRequest()
    own = open_models.ListServicesHeaders(x_fc_account_id=FIRST)
    assert (await client.list_services_with_options_async(request, own, runtime)).status_code == 200
    other = open_models.ListServicesHeaders(x_fc_account_id="1000000000000002")
    with pytest.raises(ClientException) as caught:
        await client.list_services_with_options_async(request, other, runtime)
    assert caught.value.code == "AccessDenied"
