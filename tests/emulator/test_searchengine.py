"""The search engine's lists: pages, parents, filters, envelopes, and what the findings look for."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from urllib.parse import quote

import orjson
import pytest
from alibabacloud_searchengine20211025 import models as engine_models
from alibabacloud_searchengine20211025.client import Client as EngineClient
from alibabacloud_tea_openapi.models import Config
from anyio import to_thread

from crawler.catalog import schemas_folder
from crawler.client.error_rules import load_rules
from crawler.clock import SystemClock
from crawler.emulator import Cloud, CloudSpec, Rate, serve
from crawler.emulator.apis.operation import EmulatedPaging
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS
from crawler.errors import VanishedError

FIRST, SECOND = "1000000000000001", "1000000000000002"
NEAR, FAR = "cn-hangzhou", "ap-southeast-1"
PLACES = [(FIRST, NEAR), (FIRST, FAR), (SECOND, NEAR), (SECOND, FAR)]
ENGINE = [operation for operation in OPERATIONS if operation.product == "searchengine"]
BELOW = [operation for operation in ENGINE if operation.not_found_codes]
NUMBERED = [operation for operation in ENGINE if operation.paging is EmulatedPaging.NUMBER]
# The parameters that are necessary for a complete list.
ASKED = {"ListTagResources": {"resourceType": "instance"}, "ListDateSourceGenerations": {"validStatus": "false"}}


def named(operation):
    return operation.action


@pytest.fixture
def spec():
    return CloudSpec(rate=Rate(rate=50_000, burst=50_000))


async def ask(client, action, parent=(), **query):
    """Send one request, with the required parameters unless the test sets them. None: not sent."""
    operation = BY_NAME[f"searchengine.{action}"]
    values = dict(zip(operation.parameters, (quote(part, safe="~") for part in parent), strict=True))
    below = {name: part for name, part in zip(operation.parameters, parent, strict=True) if name not in operation.path}
    sent = {**ASKED.get(action, {}), **below, **query}
    path = operation.path.format(**values)
    return await client.get(operation.name, path, {name: value for name, value in sent.items() if value is not None})


def lists(cloud, action, account=FIRST, region=NEAR):
    return cloud.lists(account, region, f"searchengine.{action}")


def longest(cloud, action):
    found = lists(cloud, action)
    parent = max(found, key=lambda parent: len(found[parent]))
    return parent, found[parent]


def records_of(body, operation):
    """The records of a response, wherever its page shows them."""
    if operation.envelope == "whole":
        return [{name: value for name, value in body.items() if name != "requestId"}]
    found = body
    for step in operation.records.split("."):
        found = found[step]
    return [found] if isinstance(found, dict) else found


async def read(client, operation, parent):
    found, size = [], {} if operation.paging is EmulatedPaging.NONE else {"pageSize": "7"}
    for number in range(1, 50):
        page = {operation.page_parameter: str(number)} if operation.paging is EmulatedPaging.NUMBER else {}
        body = (await ask(client, operation.action, parent, **size, **page)).json
        records = records_of(body, operation)
        found += records
        if operation.paging is not EmulatedPaging.NUMBER or not records:
            return found
    pytest.fail(f"{operation.name} doesn't end")


@pytest.mark.parametrize(("account", "region"), PLACES)
async def test_every_list_comes_whole_in_every_place(client, cloud, account, region):
    client.account, client.region = account, region
    for operation in ENGINE:
        for parent, records in lists(cloud, operation.action, account, region).items():
            assert await read(client, operation, parent) == records, (operation.action, parent)


def test_all_list_operations_of_the_sdk_are_served_that_need_no_text_and_no_key_of_the_user():
    methods = {name.replace("_", "") for name in dir(EngineClient) if name.startswith("list_")}
    actions = {name for name in methods if not name.endswith(("async", "options"))}
    served = {operation.action.lower() for operation in ENGINE if operation.action.startswith("List")}
    left = {"listschemas", *(f"list{kind}queryresult" for kind in ("", "post", "rest", "vector"))}
    assert (actions - served, served - actions) == (left, set())
    assert len(actions) == 28


@pytest.mark.parametrize("operation", ENGINE, ids=named)
async def test_the_asynchronous_official_client_gets_every_list(operation):
    cloud = Cloud(CloudSpec(rate=Rate(rate=5000, burst=5000)), SystemClock())
    async with serve(cloud) as emulator:
        key_id, secret = cloud.credentials(FIRST)
        endpoint = emulator.url("searchengine", NEAR).removeprefix("http://")
        keys = {"access_key_id": key_id, "access_key_secret": secret}
        config = Config(endpoint=endpoint, protocol="HTTP", region_id=NEAR, **keys)
        for parent, records in lists(cloud, operation.action).items():
            found = await to_thread.run_sync(asyncio_run, list_with(config, operation, parent))
            assert without_nulls(found) == without_nulls(records), parent


def asyncio_run(work):
    return asyncio.run(work())


def list_with(config, operation, parent):
    """Return a coroutine function that lists all pages with the official client."""
    request_class = getattr(engine_models, f"{operation.action}Request", None)
    name = next(name for name in dir(EngineClient) if name.replace("_", "") == f"{operation.action.lower()}async")
    values = {parameter.lower(): part for part, parameter in zip(parent, operation.parameters, strict=True)}
    taken = [argument.replace("_", "") for argument in inspect.signature(getattr(EngineClient, name)).parameters]
    path = [values[argument] for argument in taken if argument in values]
    given = dict(zip(operation.parameters, parent, strict=True)) | ASKED.get(operation.action, {})

    async def work():
        client, found = EngineClient(config), []
        for number in range(1, 50):
            page = {"pageSize": 10, operation.page_parameter: number} if operation in NUMBERED else {}
            request = [request_class().from_map({**given, **page})] if request_class else []
            body = (await getattr(client, name)(*path, *request)).body.to_map()
            found += records_of(body, operation)
            if operation not in NUMBERED or not records_of(body, operation):
                return found
        return found

    return work


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item not in (None, [])}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("operation", BELOW, ids=named)
async def test_f158_each_parent_that_is_not_there_is_named_and_known_as_gone(client, cloud, operation):
    """F161."""
    rules = load_rules(schemas_folder() / "errors.toml")
    parent, _ = longest(cloud, operation.action)
    kinds = [step for step in operation.path.split("/") if not step.startswith("{")]
    for depth, code in enumerate(operation.not_found_codes):
        wrong = (*parent[:depth], "no/such thing", *parent[depth + 1 :])
        got = await ask(client, operation.action, wrong)
        assert (got.status, got.code) == (400, code), (operation.action, depth)
        assert set(got.json) == {"code", "message", "requestId"}
        assert rules.error_type("searchengine", code, got.json["message"], 400, kinds) is VanishedError


@pytest.mark.parametrize("operation", NUMBERED, ids=named)
async def test_pages_by_number_have_bounds_a_default_and_an_end(client, cloud, operation):
    parent, records = longest(cloud, operation.action)
    for query in ({"pageSize": "0"}, {"pageSize": "101"}, {"pageSize": "x"}, {operation.page_parameter: "0"}):
        got = await ask(client, operation.action, parent, **query)
        assert (got.status, got.code) == (400, "InvalidArgument"), query
    first = (await ask(client, operation.action, parent)).json
    assert records_of(first, operation) == records[:10]
    beyond = (await ask(client, operation.action, parent, **{operation.page_parameter: "99"})).json
    assert records_of(beyond, operation) == []
    totals = {"ListLogs": beyond["result"]["totalCount"]} if operation.action == "ListLogs" else {}
    total = totals.get(operation.action, beyond.get("totalCount"))
    assert total == (None if operation.action == "ListAdvanceConfigs" else len(records))


async def test_instances_have_pages_of_50_at_most(client):
    assert (await ask(client, "ListInstances", pageSize="50")).status == 200
    assert (await ask(client, "ListInstances", pageSize="51")).code == "InvalidArgument"


@pytest.mark.parametrize(
    "query",
    [
        {"edition": "engine"},
        {"tags": '[{"key":"部门"}]'},
        {"dataSourceType": "hdfs"},
        {"table": "another"},
        {"instanceId": "ha-cn-none"},
        {"resourceGroupId": "rg-none"},
        {"description": "none has this"},
    ],
)
async def test_a_filter_narrows_the_list_of_instances(client, cloud, query):
    whole = lists(cloud, "ListInstances")[()]
    found = (await ask(client, "ListInstances", **query)).json["result"]
    assert len(found) < len(whole)
    assert all(record in whole for record in found)


async def test_tags_of_one_instance_and_with_one_key(client, cloud):
    whole = lists(cloud, "ListTagResources")[()]
    one = whole[0]["resourceId"]
    of_one = (await ask(client, "ListTagResources", resourceId=orjson.dumps([one]).decode())).json["tagResources"]
    assert of_one == [tag for tag in whole if tag["resourceId"] == one]
    with_key = (await ask(client, "ListTagResources", tag='[{"key":"env"}]')).json["tagResources"]
    assert with_key == [tag for tag in whole if tag["tagKey"] == "env"]
    assert (await ask(client, "ListTagResources", resourceType=None)).code == "InvalidArgument"
    many = orjson.dumps([str(number) for number in range(51)]).decode()
    assert (await ask(client, "ListTagResources", resourceId=many)).code == "InvalidArgument"


async def test_unfinished_generations_are_left_out_by_default(client, cloud):
    parent, records = longest(cloud, "ListDateSourceGenerations")
    usual = (await ask(client, "ListDateSourceGenerations", parent, validStatus=None)).json["result"]
    assert usual == [record for record in records if record["status"] != "RUNNING"]
    assert len(usual) < len(records)


async def test_configurations_are_offline_ones_by_default(client, cloud):
    (instance, _), _ = longest(cloud, "ListAdvanceConfigs")
    path = f"/openapi/ha3/instances/{instance}/advanced-configs"
    found = (await client.get("searchengine.ListAdvanceConfigs", path)).json["result"]
    assert found == lists(cloud, "ListAdvanceConfigs")[instance, "offline"]


async def test_the_names_of_clusters_are_an_object_and_a_list(client):
    assert isinstance((await ask(client, "ListClusterNames")).json["result"], dict)
    client.account = SECOND
    assert isinstance((await ask(client, "ListClusterNames")).json["result"], list)


async def test_what_is_below_an_instance_goes_with_it(client, cloud):
    whole = lists(cloud, "ListInstances")[()]
    gone = whole[0]["instanceId"]
    cloud.edit(FIRST, NEAR, "searchengine.ListInstances", whole[1:])
    for operation in BELOW:
        assert all(parent[0] != gone for parent in lists(cloud, operation.action)), operation.action
    assert (await ask(client, "ListClusters", (gone,))).code == "InstanceNotExist"


async def test_a_region_without_the_product_has_no_such_action_and_is_not_described(client, emulator):
    assert set(emulator.endpoints["searchengine"]) == {NEAR, FAR}
    regions = (await ask(client, "DescribeRegions")).json["result"]
    assert [region["regionId"] for region in regions] == [FAR, NEAR]
    assert {region["endpoint"] for region in regions} == {f"searchengine.{name}.aliyuncs.com" for name in (NEAR, FAR)}
    elsewhere = {**emulator.endpoints, "searchengine": emulator.endpoints["fc"]}
    client.emulator, client.region = replace(emulator, endpoints=elsewhere), "cn-shanghai"
    assert (await ask(client, "ListInstances")).code == "InvalidAction.NotFound"


def test_instances_have_what_the_findings_look_for(cloud):
    found = lists(cloud, "ListInstances")[()]
    assert {record["network"]["allow"] for record in found} >= {"", "0.0.0.0/0"}
    assert all(bool(record["network"]["publicEndpoint"]) is bool(record["network"]["allow"]) for record in found)
    assert {record["inDebt"] for record in found} == {True, False}
    assert {record["lockMode"] for record in found} == {"Unlock", "LockByExpiration"}
    assert all(record["expiredTime"].isdecimal() for record in found)
    standalone = [record["instanceId"] for record in found if record["noQrs"]]
    assert standalone
    assert all(cluster["queryNode"] is None for name in standalone for cluster in lists(cloud, "ListClusters")[name,])
