"""The official SDK clients list everything from the emulator, page by page, and get exactly its own records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
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
from darabonba.model import DaraModel
from Tea.model import TeaModel

from crawler.emulator import Cloud, CloudSpec

FIRST = "1000000000000001"
REGION = "cn-hangzhou"
ENDS = (None, "", '""')


@pytest.fixture
def cloud() -> Cloud:
    """On the system's clock, which the SDK signs with."""
    return Cloud(CloudSpec())


def config(emulator, product: str, region: str = REGION, account: str = FIRST, **parts: str) -> Config:
    key_id, secret = emulator.cloud.credentials(account)
    endpoint = emulator.url(product, region).removeprefix("http://")
    made = {"access_key_id": key_id, "access_key_secret": secret, **parts}
    return Config(endpoint=endpoint, protocol="HTTP", region_id=region, **made)


def plain(value: Any) -> Any:
    """Without nulls and empty lists: the SDK's models don't tell these from absent ones."""
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


async def test_fc_regions(emulator):
    client = FcClient(config(emulator, "fc"))
    body = (await client.describe_regions_async(fc_models.DescribeRegionsRequest())).body
    assert same(body.regions.region, emulator.cloud.records(FIRST, REGION, "fc.DescribeRegions"))


def open_pages(call: Any, request: Any, key: str) -> Iterator[Any]:
    while True:
        body = call(request).body
        yield from getattr(body, key)
        if body.next_token in ENDS:
            return
        request.next_token = body.next_token


def all_of_fc_open(client: FcOpenClient) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    found["services"] = list(open_pages(client.list_services, open_models.ListServicesRequest(limit=30), "services"))
    for service in (record.service_name for record in found["services"]):
        functions = open_pages(
            lambda request, service=service: client.list_functions(service, request),
            open_models.ListFunctionsRequest(limit=5),
            "functions",
        )
        for function in functions:
            found["functions"].append(function)
            children(client, service, function.function_name, found)
    request = open_models.ListStatefulAsyncInvocationFunctionsRequest(limit=50)
    found["stateful"] = list(open_pages(client.list_stateful_async_invocation_functions, request, "data"))
    return found


def children(client: FcOpenClient, service: str, function: str, found: dict[str, list[Any]]) -> None:
    request = open_models.ListInstancesRequest(limit=1000)
    found["instances"] += client.list_instances(service, function, request).body.instances
    found["configs"] += open_pages(
        lambda page: client.list_function_async_invoke_configs(service, function, page),
        open_models.ListFunctionAsyncInvokeConfigsRequest(limit=10),
        "configs",
    )


async def test_fc_open_whole_tree_sync(emulator):
    found = await to_thread.run_sync(all_of_fc_open, FcOpenClient(config(emulator, "fc-open")))
    records = {
        "services": "fc-open.ListServices",
        "functions": "fc-open.ListFunctions",
        "instances": "fc-open.ListInstances",
        "configs": "fc-open.ListFunctionAsyncInvokeConfigs",
        "stateful": "fc-open.ListStatefulAsyncInvocationFunctions",
    }
    lists = {key: emulator.cloud.lists(FIRST, REGION, action) for key, action in records.items()}
    order = sorted(lists["instances"])
    for key in ("instances", "configs"):
        assert same(found[key], [record for parent in order for record in lists[key][parent]]), key
    for key in ("services", "stateful"):
        assert same(found[key], lists[key][()]), key
    services = sorted(lists["functions"])
    assert same(found["functions"], [record for parent in services for record in lists["functions"][parent]])


async def test_fc_open_services_async(emulator):
    client, found, token = FcOpenClient(config(emulator, "fc-open")), [], None
    while True:
        body = (await client.list_services_async(open_models.ListServicesRequest(limit=100, next_token=token))).body
        found += body.services
        token = body.next_token
        if token in ENDS:
            break
    assert same(found, emulator.cloud.records(FIRST, REGION, "fc-open.ListServices"))


def all_of_opensearch(client: SearchClient, known: list[tuple[str, ...]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for number in range(1, 4):
        request = search_models.ListAppGroupsRequest(page_number=number, page_size=50)
        found["groups"] += client.list_app_groups(request).body.result
    for group in found["groups"]:
        found["apps"] += client.describe_apps(group.name).body.result
    for parent in known:
        request = search_models.ListFunctionInstancesRequest(source="all", output="detail", page_size=100)
        found["instances"] += client.list_function_instances(*parent, request).body.result
    return found


async def test_opensearch_whole_tree_sync(emulator):
    names = {"groups": "ListAppGroups", "apps": "DescribeApps", "instances": "ListFunctionInstances"}
    lists = {key: emulator.cloud.lists(FIRST, REGION, f"opensearch.{action}") for key, action in names.items()}
    client = SearchClient(config(emulator, "opensearch"))
    found = await to_thread.run_sync(all_of_opensearch, client, list(lists["instances"]))
    assert same(found["groups"], lists["groups"][()])
    assert same(found["apps"], [record for parent in sorted(lists["apps"]) for record in lists["apps"][parent]])
    assert same(found["instances"], [record for records in lists["instances"].values() for record in records])


async def test_opensearch_groups_and_regions_async(emulator):
    client = SearchClient(config(emulator, "opensearch"))
    request = search_models.ListAppGroupsRequest(page_number=2, page_size=100)
    body = (await client.list_app_groups_async(request)).body
    assert (len(body.result), body.total_count) == (30, 130)
    assert same(body.result, emulator.cloud.records(FIRST, REGION, "opensearch.ListAppGroups")[100:])
    regions = (await client.describe_regions_async()).body.result
    assert same(regions, emulator.cloud.records(FIRST, REGION, "opensearch.DescribeRegions"))


def unset_fields(models: list[Any]) -> set[str]:
    """`Model.field` for every field of every model met below these that is never set."""
    seen: dict[type, dict[str, bool]] = defaultdict(dict)

    def visit(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, TeaModel | DaraModel):
            for name, item in vars(value).items():
                is_set = item not in (None, "", [], {})
                seen[type(value)][name] = seen[type(value)].get(name, False) or is_set
                visit(item)

    visit(models)
    return {f"{kind.__name__}.{name}" for kind, names in seen.items() for name, is_set in names.items() if not is_set}


async def test_every_field_that_the_sdk_knows_is_filled_somewhere(emulator):
    found = await to_thread.run_sync(all_of_fc_open, FcOpenClient(config(emulator, "fc-open")))
    search = SearchClient(config(emulator, "opensearch"))
    known = list(emulator.cloud.lists(FIRST, REGION, "opensearch.ListFunctionInstances"))
    more = await to_thread.run_sync(all_of_opensearch, search, known[:8])
    functions = await to_thread.run_sync(all_functions, FcClient(config(emulator, "fc")))
    models = [*functions, *(model for kind in (found, more) for models in kind.values() for model in models)]
    assert unset_fields(models) == set()


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
