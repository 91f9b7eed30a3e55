"""The pages of lists, and the parameters that are refused."""

from __future__ import annotations

import pytest

from crawler.emulator import CloudSpec

FIRST, SECOND = "1000000000000001", "1000000000000002"
STATEFUL = ("fc-open.ListStatefulAsyncInvocationFunctions", "/2021-04-06/stateful-async-invocation-functions")


async def walk(client, action, path, key, **query):
    """Return all records of a list with tokens, and the bodies of its pages."""
    bodies, token = [], ""
    while True:
        got = await client.get(action, path, {**query, **({"nextToken": token} if token else {})})
        assert got.status == 200, got.body
        bodies.append(got.json)
        token = got.json.get("nextToken") or ""
        if token in {"", '""'}:
            return [record for body in bodies for record in body[key]], bodies


@pytest.mark.parametrize("limit", ["7", "20", "100"])
async def test_a_token_walk_gives_every_function_once_in_order(client, cloud, limit):
    found, bodies = await walk(
        client, "fc.ListFunctions", "/2023-03-30/functions", "functions", limit=limit, fcVersion="v3"
    )
    assert found == cloud.records(FIRST, "cn-hangzhou", "fc.ListFunctions")
    names = [record["functionName"] for record in found]
    assert names == sorted(set(names))
    assert {len(body["functions"]) for body in bodies[:-1]} == {int(limit)}


async def test_the_default_limit_is_twenty(client):
    assert len((await client.functions()).json["functions"]) == 20


async def test_without_fc_version_functions_of_both_generations_are_listed(client, cloud):
    both, _ = await walk(client, "fc.ListFunctions", "/2023-03-30/functions", "functions", limit="100")
    old, _ = await walk(client, "fc.ListFunctions", "/2023-03-30/functions", "functions", limit="100", fcVersion="v2")
    assert len(old) == len(cloud.records(FIRST, "cn-hangzhou", "fc-open.ListFunctions")) == 24
    assert len(both) == 24 + 103
    assert {record["functionName"] for record in old} < {record["functionName"] for record in both}


@pytest.mark.parametrize("limit", ["0", "-1", "101", "abc", "", "1.5", "1e1", " 1", "99999999999999999999"])
async def test_a_limit_out_of_range_is_refused(client, limit):
    got = await client.functions(limit=limit)
    assert (got.status, got.code) == (400, "InvalidArgument")
    assert "1 to 100" in got.json["Message"]


@pytest.mark.parametrize(
    ("parameter", "value"), [("pageSize", "0"), ("pageSize", "101"), ("pageNumber", "0"), ("pageNumber", "x")]
)
async def test_a_page_out_of_range_is_refused(client, parameter, value):
    got = await client.groups(**{parameter: value})
    assert (got.status, got.code) == (400, "InvalidArgument")
    assert set(got.json) == {"code", "message", "requestId", "httpCode"}


async def test_an_unknown_parameter_is_ignored_and_an_unknown_generation_refused(client):
    assert (await client.functions(colour="red")).status == 200
    assert (await client.functions(fcVersion="v1")).code == "InvalidArgument"


async def test_a_token_is_opaque_and_good_for_its_list_only(client):
    token = (await client.functions(limit="2", fcVersion="v3")).json["nextToken"]
    name = (await client.functions(limit="2", fcVersion="v3")).json["functions"][-1]["functionName"]
    assert name not in token
    assert (await client.functions(limit="50", fcVersion="v3", nextToken=token)).status == 200
    for query in ({"fcVersion": "v2"}, {}, {"fcVersion": "v3", "prefix": "a"}):
        assert (await client.functions(nextToken=token, **query)).code == "InvalidArgument"
    other = await client.get("fc-open.ListServices", "/2021-04-06/services", {"nextToken": token})
    assert (other.status, other.code) == (400, "InvalidArgument")
    client.region = "cn-shanghai"
    assert (await client.functions(fcVersion="v3", nextToken=token)).code == "InvalidArgument"
    client.region, client.account = "cn-hangzhou", SECOND
    assert (await client.functions(fcVersion="v3", nextToken=token)).code == "InvalidArgument"


async def test_a_token_of_one_service_is_refused_by_another(client, cloud):
    lists = cloud.lists(FIRST, "cn-hangzhou", "fc-open.ListFunctions")
    (large,) = max(lists, key=lambda parent: len(lists[parent]))
    other = next(parent[0] for parent in lists if parent[0] != large)
    path = "/2021-04-06/services/{}/functions"
    token = (await client.get("fc-open.ListFunctions", path.format(large), {"limit": "1"})).json["nextToken"]
    got = await client.get("fc-open.ListFunctions", path.format(other), {"nextToken": token})
    assert (got.status, got.code) == (400, "InvalidArgument")


async def test_a_token_changed_in_any_character_is_refused(client):
    token = (await client.functions(limit="1")).json["nextToken"]
    for position in range(0, len(token), 7):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert (await client.functions(nextToken=changed)).code == "InvalidArgument", position
    for made_up in ('""', "null", "next_function_name", token + "=", token[:-1], "é"):
        assert (await client.functions(nextToken=made_up)).code == "InvalidArgument", made_up


async def test_the_last_page_ends_as_each_operation_documents_it(client, cloud):
    functions = await client.functions(fcVersion="v3", prefix="no-such-prefix")
    assert functions.json == {"functions": []}
    services = await client.get("fc-open.ListServices", "/2021-04-06/services", {"prefix": "no-such-prefix"})
    assert services.json == {"services": [], "nextToken": ""}
    (service,), _ = next(iter(cloud.lists(FIRST, "cn-hangzhou", "fc-open.ListFunctions").items()))
    inner = await client.get("fc-open.ListFunctions", f"/2021-04-06/services/{service}/functions", {"limit": "100"})
    assert inner.json["nextToken"] is None
    stateful, bodies = await walk(client, *STATEFUL, "data", limit="100")
    assert bodies[-1]["nextToken"] == '""'
    assert [len(body["data"]) for body in bodies] == [100, 1]
    assert stateful == cloud.records(FIRST, "cn-hangzhou", STATEFUL[0])


async def test_a_full_last_page_has_no_token(client):
    client.account = SECOND
    got = await client.functions(fcVersion="v3", limit="100")
    assert (len(got.json["functions"]), got.json.get("nextToken")) == (100, None)


async def test_filters_narrow_a_list(client, cloud):
    services = [record["serviceName"] for record in cloud.records(FIRST, "cn-hangzhou", "fc-open.ListServices")]
    got = await client.get("fc-open.ListServices", "/2021-04-06/services", {"startKey": services[3], "limit": "2"})
    assert [record["serviceName"] for record in got.json["services"]] == services[3:5]
    got = await client.get("fc-open.ListServices", "/2021-04-06/services", {"prefix": services[3]})
    assert [record["serviceName"] for record in got.json["services"]] == [services[3]]


async def test_numbered_pages_give_every_group_and_then_nothing(client, cloud):
    cloud.edit(FIRST, "cn-hangzhou", "opensearch.ListAppGroups", [{"name": f"group{n}"} for n in range(130)])
    pages = [(await client.groups(pageNumber=str(number), pageSize="50")).json for number in (1, 2, 3, 4)]
    assert [len(page["result"]) for page in pages] == [50, 50, 30, 0]
    assert {page["totalCount"] for page in pages} == {130}
    assert [group for page in pages for group in page["result"]] == cloud.records(
        FIRST, "cn-hangzhou", "opensearch.ListAppGroups"
    )
    assert len((await client.groups()).json["result"]) == 10


@pytest.fixture
def spec() -> CloudSpec:
    return CloudSpec(first_function_instances=1000)


async def test_a_list_with_a_limit_only_says_nothing_of_what_is_left(client, cloud):
    service, function = min(cloud.lists(FIRST, "cn-hangzhou", "fc-open.ListInstances"))
    path = f"/2021-04-06/services/{service}/functions/{function}/instances"
    found = {limit: await client.get("fc-open.ListInstances", path, {"limit": limit}) for limit in ("0", "999", "1000")}
    assert {limit: len(got.json["instances"]) for limit, got in found.items()} == {"0": 0, "999": 999, "1000": 1000}
    assert set(found["999"].json) == {"instances"}
    assert len((await client.get("fc-open.ListInstances", path)).json["instances"]) == 20
    for limit in ("1001", "-1", "x"):
        assert (await client.get("fc-open.ListInstances", path, {"limit": limit})).code == "InvalidArgument"


@pytest.mark.parametrize(
    ("path", "action", "code"),
    [
        ("/2021-04-06/services/none/functions", "fc-open.ListFunctions", "ServiceNotFound"),
        ("/2021-04-06/services/none/functions/none/instances", "fc-open.ListInstances", "ServiceNotFound"),
        ("/2021-04-06/services/{}/functions/none/instances", "fc-open.ListInstances", "FunctionNotFound"),
        (
            "/2021-04-06/services/{}/functions/none/async-invoke-configs",
            "fc-open.ListFunctionAsyncInvokeConfigs",
            "FunctionNotFound",
        ),
        ("/v4/openapi/app-groups/none/apps", "opensearch.DescribeApps", "AppGroup.NotExist"),
        (
            "/v4/openapi/app-groups/none/functions/ctr/instances",
            "opensearch.ListFunctionInstances",
            "AppGroup.NotExist",
        ),
    ],
)
async def test_a_parent_that_is_not_there_is_named(client, cloud, path, action, code):
    service = cloud.records(FIRST, "cn-hangzhou", "fc-open.ListServices")[0]["serviceName"]
    got = await client.get(action, path.format(service))
    assert (got.status, got.code) == (404, code)


async def test_every_second_account_gets_fc_s_own_error_envelope(client):
    client.account = SECOND
    got = await client.get("fc-open.ListFunctions", "/2021-04-06/services/none/functions")
    assert (got.status, set(got.json)) == (404, {"ErrorCode", "ErrorMessage"})
    assert got.headers["x-fc-request-id"]


async def test_an_edited_list_is_served_at_once(client, cloud):
    services = cloud.records(FIRST, "cn-hangzhou", "fc-open.ListServices")
    cloud.edit(FIRST, "cn-hangzhou", "fc-open.ListServices", [{"serviceName": "zz"}, {"serviceName": "aa"}])
    got = await client.get("fc-open.ListServices", "/2021-04-06/services")
    assert got.json["services"] == [{"serviceName": "aa"}, {"serviceName": "zz"}]
    assert len(services) == 6


async def test_a_token_walk_keeps_every_function_that_stays_while_others_come_and_go(client, cloud):
    before = cloud.records(FIRST, "cn-hangzhou", "fc.ListFunctions")
    first = (await client.functions(fcVersion="v3", limit="100")).json
    cloud.edit(FIRST, "cn-hangzhou", "fc.ListFunctions", [{"functionName": "000"}, *before[50:]])
    second = (await client.functions(fcVersion="v3", limit="100", nextToken=first["nextToken"])).json
    assert second["functions"] == before[100:200]


INSTANCES = "/v4/openapi/app-groups/{}/functions/{}/instances"


async def instances(client, parent, **query):
    return await client.get("opensearch.ListFunctionInstances", INSTANCES.format(*parent), query)


def largest(cloud, account):
    lists = cloud.lists(account, "cn-hangzhou", "opensearch.ListFunctionInstances")
    return max(lists, key=lambda parent: len(lists[parent]))


async def test_function_instances_come_in_pascal_case_with_an_empty_code(client, cloud):
    parent = largest(cloud, FIRST)
    got = (await instances(client, parent, source="all", output="detail", pageSize="100")).json
    assert (got["Status"], got["Code"], got["Message"], got["TotalCount"]) == ("OK", "", "", 27)
    assert got["Result"] == cloud.lists(FIRST, "cn-hangzhou", "opensearch.ListFunctionInstances")[parent]


async def test_every_second_account_gets_function_instances_in_camel_case(client, cloud):
    client.account = SECOND
    parent = largest(cloud, SECOND)
    got = (await instances(client, parent, source="all", output="detail", pageSize="100")).json
    assert set(got) == {"status", "httpCode", "requestId", "code", "message", "latency", "totalCount", "result"}
    assert got["result"] == cloud.lists(SECOND, "cn-hangzhou", "opensearch.ListFunctionInstances")[parent]
    assert got["result"][0]["belongs"] == {"domain": "ecommerce", "category": "general", "language": "zh"}


async def test_source_and_output_choose_rows_and_fields(client, cloud):
    parent = largest(cloud, FIRST)
    user = (await instances(client, parent, pageSize="100")).json
    builtin = (await instances(client, parent, source="builtin", pageSize="100")).json
    assert (user["TotalCount"], builtin["TotalCount"]) == (21, 6)
    assert {record["Source"] for record in user["Result"]} == {"user"}
    assert "CreateParameters" in user["Result"][0]
    assert "ExtendInfo" not in user["Result"][0]
    simple = (await instances(client, parent, output="simple")).json
    assert set(simple["Result"][0]) & {"CreateParameters", "Cron", "UsageParameters"} == set()
    assert (await instances(client, parent, output="full")).code == "InvalidArgument"


async def test_a_function_that_the_group_lacks_is_an_error_inside_a_200(client, cloud):
    group = largest(cloud, FIRST)[0]
    got = await instances(client, (group, "category_prediction"))
    assert (got.status, got.json["Code"], got.json["Status"], got.json["Result"]) == (
        200,
        "Instance.NotExist",
        "OK",
        [],
    )


async def test_a_function_that_an_app_reports_may_have_no_instances(client, cloud):
    lists = cloud.lists(FIRST, "cn-hangzhou", "opensearch.ListFunctionInstances")
    parent = next(parent for parent, records in lists.items() if not records)
    got = await instances(client, parent)
    assert (got.json["Code"], got.json["Result"], got.json["TotalCount"]) == ("", [], 0)


async def test_regions_are_nested_as_each_product_nests_them(client):
    fc = (await client.get("fc.DescribeRegions", "/2023-03-30/regions")).json
    assert [region["RegionId"] for region in fc["Regions"]["Region"]] == [
        "ap-southeast-1",
        "cn-hangzhou",
        "cn-shanghai",
    ]
    search = (await client.get("opensearch.DescribeRegions", "/v4/openapi/regions")).json
    assert [region["regionId"] for region in search["result"]] == ["ap-southeast-1", "cn-hangzhou"]
    assert search["result"][0]["localName"].endswith("\n")
