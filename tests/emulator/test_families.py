"""The rules of Function Compute's lists: sizes, tokens, versions, orders, parents, and required parameters."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from crawler.emulator import Cloud, CloudSpec, Error, PageFault, Rate, RepeatToken
from crawler.emulator.apis.operation import EmulatedPaging
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS
from crawler.emulator.cloud import build
from crawler.emulator.data.region import RegionData

FIRST, REGION = "1000000000000001", "cn-hangzhou"
FC = [operation for operation in OPERATIONS if operation.product in {"fc", "fc-open"}]
PAGED = [operation for operation in FC if operation.paging is not EmulatedPaging.NONE]
TOKENS = [operation for operation in FC if operation.paging is EmulatedPaging.TOKEN]
BELOW = [operation for operation in FC if operation.not_found_codes]
LAYER_VERSIONS = [operation for operation in FC if operation.paging is EmulatedPaging.VERSION]
ASKED = {"fc.ListTagResources": {"ResourceType": "ALIYUN::FC::FUNCTION"}, "fc.ListFunctions": {"fcVersion": "v3"}}


def named(operation):
    return operation.name


@pytest.fixture(scope="module")
def seeded() -> RegionData:
    """Return the first account's resources in the first region. Making them takes longer than most of these tests."""
    return build(CloudSpec(), FIRST, REGION)


@pytest.fixture
def cloud(seeded, clock, monkeypatch) -> Cloud:
    """Return a cloud without limits that would stop a list, and with its own copy of the data."""
    lists = {name: dict(lists) for name, lists in seeded.lists.items()}
    own = {(FIRST, REGION): RegionData(lists, set(seeded.names), list(seeded.secrets))}
    monkeypatch.setattr("crawler.emulator.cloud.build", lambda _, *where: own[where])
    return Cloud(CloudSpec(rate=Rate(rate=5000, burst=5000)), clock)


def longest(cloud, name):
    """Return the path parameters of an operation's longest list."""
    lists = cloud.lists(FIRST, REGION, name)
    return max(lists, key=lambda parent: len(lists[parent]))


async def ask(client, operation, parent, **query):
    """Send one request, with the parameters that the operation needs to return the complete list."""
    values = dict(zip(operation.parameters, (quote(part, safe="~") for part in parent), strict=True))
    return await client.get(operation.name, operation.path.format(**values), {**ASKED.get(operation.name, {}), **query})


async def walk(client, operation, parent, **query):
    """Return all records of a list and the responses of its pages."""
    bodies, token = [], ""
    while token not in {None, '""', 0} and (token or not bodies):
        got = await ask(client, operation, parent, **query, **({operation.token: str(token)} if token else {}))
        assert got.status == 200, got.body
        bodies.append(got.json)
        token = got.json.get(operation.next_name)
    return [record for body in bodies for record in body[operation.records]], bodies


@pytest.mark.parametrize("operation", PAGED, ids=named)
async def test_a_size_is_an_integer_within_the_bounds(client, cloud, operation):
    parent, bounds = longest(cloud, operation.name), operation.bounds
    for size in (str(bounds.low - 1), str(bounds.high + 1), "many", "", "2.0"):
        got = await ask(client, operation, parent, **{bounds.parameter: size})
        assert (got.status, got.code) == (400, "InvalidArgument"), size
        assert f"{bounds.low} to {bounds.high}" in got.json["Message"]
    whole = len(cloud.lists(FIRST, REGION, operation.name)[parent])
    usual = 50 if operation.action == "ListStatefulAsyncInvocations" else 20
    for query, size in (({bounds.parameter: str(bounds.high)}, bounds.high), ({}, usual)):
        got = await ask(client, operation, parent, **query)
        assert len(got.json[operation.records]) == min(size, whole)


@pytest.mark.parametrize("operation", TOKENS, ids=named)
async def test_a_token_that_the_list_did_not_give_is_refused(client, cloud, operation):
    parent = longest(cloud, operation.name)
    other = BY_NAME["fc-open.ListTriggers" if operation.name != "fc-open.ListTriggers" else "fc.ListTriggers"]
    theirs = (await ask(client, other, longest(cloud, other.name), limit="1")).json["nextToken"]
    for token in ("made-up", '""', "null", theirs):
        got = await ask(client, operation, parent, **{operation.token: token})
        assert (got.status, got.code) == (400, "InvalidArgument"), token
        assert operation.token in got.json["Message"]


@pytest.mark.parametrize("operation", TOKENS, ids=named)
async def test_short_pages_put_together_are_the_list(client, cloud, operation):
    parent = longest(cloud, operation.name)
    records = cloud.lists(FIRST, REGION, operation.name)[parent]
    size = 17 if len(records) > 34 else 1
    found, bodies = await walk(client, operation, parent, **{operation.bounds.parameter: str(size)})
    assert found == records
    assert {len(body[operation.records]) for body in bodies[:-1]} == {size}


@pytest.mark.parametrize("operation", BELOW, ids=named)
async def test_each_parent_that_is_not_there_is_named(client, cloud, operation):
    parent = longest(cloud, operation.name)
    for depth, code in enumerate(operation.not_found_codes):
        wrong = (*parent[:depth], "no/such thing", *parent[depth + 1 :])
        got = await ask(client, operation, wrong)
        assert (got.status, got.code) == (404, code)
        assert "no/such thing" in got.json["Message"]


async def test_a_function_is_no_layer_and_a_layer_no_function(client, cloud):
    function, layer = longest(cloud, "fc.ListAliases"), longest(cloud, "fc.ListLayerVersions")
    assert (await ask(client, BY_NAME["fc.ListLayerVersions"], function)).code == "LayerNotFound"
    assert (await ask(client, BY_NAME["fc.ListAliases"], layer)).code == "FunctionNotFound"


@pytest.mark.parametrize("operation", LAYER_VERSIONS, ids=named)
async def test_layer_versions_ascend_from_the_one_asked_for(client, cloud, operation):
    parent = longest(cloud, operation.name)
    records = cloud.lists(FIRST, REGION, operation.name)[parent]
    found, bodies = await walk(client, operation, parent, limit="40")
    assert found == records
    assert [len(body["layers"]) for body in bodies] == [40, 40, 23]
    numbers = [record["version"] for record in found]
    assert numbers == sorted(set(range(1, 106)) - {2, 7})
    assert [body.get("nextVersion") for body in bodies[:2]] == [numbers[40], numbers[80]]
    for start, first in (("6", 6), ("7", 8), ("105", 105)):
        got = await ask(client, operation, parent, startVersion=start, limit="1")
        assert got.json["layers"][0]["version"] == first
    assert (await ask(client, operation, parent, startVersion="106")).json["layers"] == []


async def test_after_the_last_version_of_a_layer_comes_nothing_in_3_0_and_0_in_2_0(client, cloud):
    ends = {}
    for operation in LAYER_VERSIONS:
        ends[operation.product] = (
            await ask(client, operation, longest(cloud, operation.name), startVersion="100")
        ).json
    assert set(ends["fc"]) == {"layers"}
    assert ends["fc-open"]["nextVersion"] == 0


@pytest.mark.parametrize("operation", LAYER_VERSIONS, ids=named)
@pytest.mark.parametrize("start", ["0", "-1", "one", "", "1.0", "2147483648"])
async def test_a_version_to_start_from_is_a_positive_integer(client, cloud, operation, start):
    got = await ask(client, operation, longest(cloud, operation.name), startVersion=start)
    assert (got.status, got.code) == (400, "InvalidArgument")
    assert "startVersion" in got.json["Message"]


async def test_faults_hit_the_pages_of_a_list_by_version_too(client, cloud):
    operation = LAYER_VERSIONS[0]
    parent = longest(cloud, operation.name)
    cloud.faults.add(Error(status=503), action="ListLayerVersions", page=(2,), times=1)
    got = [await ask(client, operation, parent, limit="50", startVersion=start) for start in ("50", "51", "51")]
    assert [answer.status for answer in got] == [200, 503, 200]
    cloud.faults.add(RepeatToken(cycle=1), times=2)
    got = [await ask(client, operation, parent, limit="50", startVersion=start) for start in ("1", "53", "53")]
    assert [answer.json.get("nextVersion") for answer in got] == [53, 53, 103]
    cloud.faults.add(PageFault(endless=True), times=2)
    got = [await ask(client, operation, parent, limit="50", startVersion=start) for start in ("103", "106")]
    assert [answer.json["nextVersion"] for answer in got] == [106, 107]


@pytest.mark.parametrize(
    ("name", "parameter", "usual", "other", "field"),
    [
        ("fc.ListFunctionVersions", "direction", "BACKWARD", "FORWARD", "versionId"),
        ("fc-open.ListServiceVersions", "direction", "BACKWARD", "FORWARD", "versionId"),
        ("fc.ListAsyncTasks", "sortOrderByTime", "desc", "asc", "startedTime"),
        ("fc-open.ListStatefulAsyncInvocations", "sortOrderByTime", "desc", "asc", "startedTime"),
    ],
)
async def test_newest_first_unless_turned_round(client, cloud, name, parameter, usual, other, field):
    operation, parent = BY_NAME[name], longest(cloud, name)
    records = cloud.lists(FIRST, REGION, name)[parent]
    numbers = [int(record[field]) for record in records]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) > 3
    down, bodies = await walk(client, operation, parent, limit="3")
    up, turned = await walk(client, operation, parent, limit="3", **{parameter: other})
    assert (down, up) == (records, records[::-1])
    told = [body.get("direction") for body in (bodies[0], turned[-1])]
    assert told == ([usual, other] if parameter == "direction" else [None, None])
    token = bodies[0][operation.next_name]
    assert (await ask(client, operation, parent, nextToken=token, **{parameter: other})).code == "InvalidArgument"
    assert (await ask(client, operation, parent, **{parameter: "sideways"})).code == "InvalidArgument"


async def test_snapshots_come_newest_first_and_a_session_needs_its_function(client, cloud):
    operation = BY_NAME["fc.ListSnapshots"]
    records = cloud.records(FIRST, REGION, operation.name)
    times = [record["createdTime"] for record in records]
    assert times == sorted(times, reverse=True)
    session, function = records[0]["sourceSessionId"], records[0]["functionName"]
    assert (await ask(client, operation, (), sessionId=session)).code == "InvalidArgument"
    got = await ask(client, operation, (), sessionId=session, functionName=function)
    assert got.json["snapshots"] == records[:1]


async def test_a_qualifier_of_provision_configs_needs_its_service(client, cloud):
    operation = BY_NAME["fc-open.ListProvisionConfigs"]
    record = cloud.records(FIRST, REGION, operation.name)[0]
    _, service, qualifier, _ = record["resource"].split("#")
    assert (await ask(client, operation, (), qualifier=qualifier)).code == "InvalidArgument"
    got = await ask(client, operation, (), qualifier=qualifier, serviceName=service)
    assert record in got.json["provisionConfigs"]
    assert (await ask(client, operation, (), qualifier="none", serviceName=service)).json["provisionConfigs"] == []


@pytest.mark.parametrize("query", [{}, {"ResourceType": ""}, {"ResourceType": "function"}, {"resourceType": "x"}])
async def test_tags_want_the_type_of_their_resources(client, query):
    got = await client.get("fc.ListTagResources", "/2023-03-30/tags-v2", query)
    assert (got.status, got.code) == (400, "InvalidArgument")
    assert "ResourceType" in got.json["Message"]


async def test_tags_are_asked_and_answered_in_pascal_case(client, cloud):
    operation = BY_NAME["fc.ListTagResources"]
    got = (await ask(client, operation, (), limit="1", Limit="2")).json
    assert set(got) == {"TagResources", "NextToken", "RequestId"}
    assert got["TagResources"] == cloud.records(FIRST, REGION, operation.name)[:2]
    assert got["TagResources"][0]["ResourceType"] == "function"
    again = (await ask(client, operation, (), Limit="2", nextToken=got["NextToken"])).json
    assert again["TagResources"] == got["TagResources"], "a token in camel case isn't the parameter"
    found, bodies = await walk(client, operation, (), Limit="100")
    assert found == cloud.records(FIRST, REGION, operation.name)
    assert bodies[-1]["NextToken"] == ""


async def test_an_instance_list_of_3_0_says_nothing_of_what_is_left(client, cloud):
    operation = BY_NAME["fc.ListInstances"]
    parent = longest(cloud, operation.name)
    got = (await ask(client, operation, parent, limit="24")).json
    assert set(got) == {"instances", "requestId"}
    records = cloud.lists(FIRST, REGION, operation.name)[parent]
    assert got["instances"] == records[:24]
    rest = (await ask(client, operation, parent, startKey=records[24]["instanceId"])).json
    assert rest["instances"] == records[24:]


@pytest.mark.parametrize(
    ("name", "query", "is_kept"),
    [
        ("fc.ListSessions", {"sessionStatus": "Active"}, lambda record: record["sessionStatus"] == "Active"),
        ("fc.ListAliases", {"prefix": "pro"}, lambda record: record["aliasName"].startswith("pro")),
        ("fc.ListLayers", {"public": "true"}, lambda record: record["acl"] == "1"),
        ("fc-open.ListLayers", {"public": "true"}, lambda record: record["acl"] == 1),
        ("fc.ListLayers", {"public": "false"}, lambda _: True),
        ("fc.ListLayers", {"official": "true"}, lambda _: False),
        ("fc-open.ListAliases", {"startKey": "gray"}, lambda record: record["aliasName"] >= "gray"),
    ],
    ids=lambda value: str(value) if isinstance(value, str | dict) else "",
)
async def test_a_filter_keeps_what_it_says(client, cloud, name, query, is_kept):
    parent = longest(cloud, name)
    found, _ = await walk(client, BY_NAME[name], parent, **query)
    assert found == [record for record in cloud.lists(FIRST, REGION, name)[parent] if is_kept(record)]


@pytest.mark.parametrize(
    "name", ["ListAsyncInvokeConfigs", "ListConcurrencyConfigs", "ListProvisionConfigs", "ListScalingConfigs"]
)
async def test_configurations_of_one_function(client, cloud, name):
    operation = BY_NAME[f"fc.{name}"]
    records = cloud.records(FIRST, REGION, operation.name)
    function = records[0]["functionArn"].split("functions/")[1].split("/")[0]
    found, _ = await walk(client, operation, (), functionName=function)
    assert found == records[:1]
    assert (await walk(client, operation, (), functionName=function[:-1]))[0] == []


@pytest.mark.parametrize(
    ("name", "payload"),
    [("fc.ListAsyncTasks", "taskPayload"), ("fc-open.ListStatefulAsyncInvocations", "invocationPayload")],
)
async def test_what_went_into_a_task_can_be_left_out(client, cloud, name, payload):
    operation, parent = BY_NAME[name], longest(cloud, name)
    records = cloud.lists(FIRST, REGION, name)[parent]
    for query in ({}, {"includePayload": "true"}):
        assert (await walk(client, operation, parent, **query))[0] == records
    found, _ = await walk(client, operation, parent, includePayload="false")
    assert found == [{key: record[key] for key in record if key != payload} for record in records]


async def test_get_function_says_more_than_the_list(client, cloud):
    operation = BY_NAME["fc.GetFunction"]
    details = cloud.lists(FIRST, REGION, operation.name)
    lacking = 0
    for record in cloud.records(FIRST, REGION, "fc.ListFunctions"):
        parent = (record["functionName"],)
        detail = (await ask(client, operation, parent)).json
        assert [detail] == details[parent]
        assert record.items() <= detail.items()
        more = set(detail) - set(record)
        assert more in (set(), {"state", "stateReason", "stateReasonCode", *UPDATE})
        lacking += bool(more)
    assert lacking == 100


UPDATE = ("lastUpdateStatus", "lastUpdateStatusReason", "lastUpdateStatusReasonCode")


async def test_a_function_of_2_0_has_no_details_in_3_0(client):
    old = (await client.functions(fcVersion="v2", limit="1")).json["functions"][0]["functionName"]
    assert (await ask(client, BY_NAME["fc.GetFunction"], (old,))).code == "FunctionNotFound"


async def test_an_edit_of_the_functions_reaches_their_details_and_children(client, cloud):
    kept, gone = cloud.records(FIRST, REGION, "fc.ListFunctions")[40:42]
    before = (await ask(client, BY_NAME["fc.GetFunction"], (kept["functionName"],))).json
    cloud.edit(FIRST, REGION, "fc.ListFunctions", [{**kept, "memorySize": 1}, {"functionName": "new"}])
    after = (await ask(client, BY_NAME["fc.GetFunction"], (kept["functionName"],))).json
    assert after == {**before, "memorySize": 1}
    assert (await ask(client, BY_NAME["fc.GetFunction"], ("new",))).json == {"functionName": "new"}
    assert (await ask(client, BY_NAME["fc.ListTriggers"], ("new",))).json == {"triggers": []}
    for name in ("fc.GetFunction", "fc.ListTriggers", "fc.ListVpcBindings"):
        assert (await ask(client, BY_NAME[name], (gone["functionName"],))).code == "FunctionNotFound"
    assert set(cloud.lists(FIRST, REGION, "fc.ListAliases")) == {(kept["functionName"],)}
    assert set(cloud.lists(FIRST, REGION, "fc.GetFunction")) == {(kept["functionName"],), ("new",)}


async def test_a_service_that_goes_takes_its_functions_along(client, cloud):
    services = cloud.records(FIRST, REGION, "fc-open.ListServices")
    service, function = longest(cloud, "fc-open.ListTriggers")
    cloud.edit(
        FIRST, REGION, "fc-open.ListServices", [record for record in services if record["serviceName"] != service]
    )
    assert (await ask(client, BY_NAME["fc-open.ListTriggers"], (service, function))).code == "ServiceNotFound"
    for name in ("ListFunctions", "ListTriggers", "ListAliases", "ListInstances"):
        assert service not in {parent[0] for parent in cloud.lists(FIRST, REGION, f"fc-open.{name}")}
    assert cloud.lists(FIRST, REGION, "fc-open.ListLayerVersions")
