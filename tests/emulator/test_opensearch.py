"""OpenSearch's lists: the required parameters, the envelopes, and the shapes of records."""

from __future__ import annotations

import re
from urllib.parse import quote

import orjson
import pytest

from crawler.emulator import Cloud, CloudSpec, Rate
from crawler.emulator.apis.operation import EmulatedPaging
from crawler.emulator.apis.operations import BY_NAME, OPERATIONS

FIRST, SECOND = "1000000000000001", "1000000000000002"
NEAR, FAR = "cn-hangzhou", "ap-southeast-1"
PLACES = [(FIRST, NEAR), (FIRST, FAR), (SECOND, NEAR), (SECOND, FAR)]
SEARCH = [operation for operation in OPERATIONS if operation.product == "opensearch"]
NUMBERED = [operation for operation in SEARCH if operation.paging is EmulatedPaging.NUMBER]
BELOW = [operation for operation in SEARCH if operation.not_found_codes]
SPAN = {"start": "1589986800", "end": "1589990340"}
PARAMS = {"params": '{"dbName":"shop"}'}
TAGS = {"resourceType": "AppGroup", "tag": '[{"key":"env"},{"key":"部门"}]'}

# The parameters that are necessary for a complete list.
ASKED = {
    "ListFunctionInstances": {"source": "all", "output": "detail"},
    "ListTagResources": TAGS,
    "ListDataSourceTables": PARAMS,
    "ListDataSourceTableFields": PARAMS,
    "ListInterventionDictionaryNerResults": {"query": "nike"},
    "ListQueryProcessorAnalyzerResults": {"text": "nike"},
    "ListQueryProcessorNers": {"domain": "ECOMMERCE"},
    "ListSlowQueryCategories": SPAN,
    "ListSlowQueryQueries": SPAN,
}


@pytest.fixture
def spec() -> CloudSpec:
    """Return a spec without limits that would stop a list."""
    return CloudSpec(rate=Rate(rate=50_000, burst=50_000))


async def ask(client, action, parent=(), **query):
    """Send one request, with the required parameters unless the test sets them. None: not sent."""
    operation = BY_NAME[f"opensearch.{action}"]
    values = dict(zip(operation.parameters, (quote(part, safe="~") for part in parent), strict=True))
    sent = {**ASKED.get(action, {}), **query}
    path = operation.path.format(**values)
    return await client.get(operation.name, path, {name: value for name, value in sent.items() if value is not None})


def lists(cloud, action, account=FIRST, region=NEAR):
    return cloud.lists(account, region, f"opensearch.{action}")


def longest(cloud, action, account=FIRST, region=NEAR):
    """Return the path parameters and the records of an operation's longest list."""
    found = lists(cloud, action, account, region)
    parent = max(found, key=lambda parent: len(found[parent]))
    return parent, found[parent]


def records_of(body, action):
    """Return the records of a response in any of the documented shapes."""
    found = body.get("result", body.get("Result", []))
    if BY_NAME[f"opensearch.{action}"].envelope in {"single", "bare", "entries"} and isinstance(found, dict):
        return [found] if found else []
    return found


async def read(client, operation, parent):
    """Return all records of a list, and the number of pages requested."""
    found, query = [], {}
    for number in range(1, 50):
        if operation.paging is EmulatedPaging.NUMBER:
            query = {"pageNumber": str(number), "pageSize": "100"}
        got = await ask(client, operation.action, parent, **query)
        assert got.status == 200, got.body
        page = records_of(got.json, operation.action)
        found += page
        if operation.paging is EmulatedPaging.NONE or "data-quality" in parent:
            return found
        if operation.paging is EmulatedPaging.TOKEN and not got.json["nextToken"]:
            return found
        if operation.paging is EmulatedPaging.NUMBER and not page:
            return found
        query = {"nextToken": got.json["nextToken"]} if operation.paging is EmulatedPaging.TOKEN else {}
    pytest.fail(f"{operation.name} doesn't end")


@pytest.mark.parametrize(("account", "region"), PLACES)
async def test_every_list_comes_whole_in_every_place(client, cloud, account, region):
    client.account, client.region = account, region
    for operation in SEARCH:
        for parent, records in lists(cloud, operation.action, account, region).items():
            assert await read(client, operation, parent) == records, (operation.action, parent)


def test_all_list_operations_of_the_sdk_are_served():
    assert len(SEARCH) == 36
    assert len({operation.action for operation in SEARCH if operation.action.startswith("List")}) == 34


async def test_each_parent_that_is_not_there_is_named(client, cloud):
    for operation in BELOW:
        parent, _ = longest(cloud, operation.action)
        for depth, code in enumerate(operation.not_found_codes):
            wrong = (*parent[:depth], "no/such thing", *parent[depth + 1 :])
            got = await ask(client, operation.action, wrong)
            # Below an app group, unknown functions and instances have status 200.
            status = 200 if operation.envelope == "function" and depth else 404
            assert (got.status, got.code) == (status, code), (operation.action, depth)
            assert code.endswith(("NotExist", "NotFound"))


@pytest.mark.parametrize(
    ("action", "other", "code"),
    [
        ("ListFirstRanks", "ListABTestGroups", "App.NotFound"),
        ("ListABTestGroups", "ListFirstRanks", "ABTestScene.NotExist"),
        ("ListFunctionInstances", "ListFirstRanks", "Instance.NotExist"),
        ("ListSlowQueryQueries", "ListFunctionInstances", "SlowQueryCategory.NotFound"),
        ("ListUserAnalyzerEntries", "ListInterventionDictionaryEntries", "UserAnalyzer.NotFound"),
        ("ListInterventionDictionaryEntries", "ListUserAnalyzerEntries", "InterventionDictionary.NotFound"),
        ("ListElasticPlans", "ListUserAnalyzerEntries", "AppGroup.NotExist"),
    ],
)
async def test_a_name_of_another_kind_names_nothing(client, cloud, action, other, code):
    parent, _ = longest(cloud, other)
    assert (await ask(client, action, parent)).code == code


async def test_what_hangs_on_an_app_group_goes_with_it(client, cloud):
    parent, _ = longest(cloud, "ListABTestExperiments")
    groups = lists(cloud, "ListAppGroups")[()]
    left = [record for record in groups if record["name"] != parent[0]]
    cloud.edit(FIRST, NEAR, "opensearch.ListAppGroups", left)
    for operation in BELOW:
        assert all(path[:1] != parent[:1] for path in lists(cloud, operation.action)), operation.action
    assert (await ask(client, "ListABTestExperiments", parent)).code == "AppGroup.NotExist"
    assert (await ask(client, "ListElasticPlans", (left[0]["name"],))).status == 200


async def test_a_new_experiment_may_have_a_white_list(client, cloud):
    parent, _ = longest(cloud, "ListABTestExperiments")
    assert (await ask(client, "ListABTestFixedFlowDividers", (*parent, "77"))).code == "ABTestExperiment.NotExist"
    cloud.edit(FIRST, NEAR, "opensearch.ListABTestExperiments", [{"id": 77}], parent)
    cloud.edit(FIRST, NEAR, "opensearch.ListABTestFixedFlowDividers", ["A", "B"], (*parent, "77"))
    assert (await ask(client, "ListABTestFixedFlowDividers", (*parent, "77"))).json["result"] == ["A", "B"]


async def test_pages_by_number_have_bounds_a_default_and_an_end(client, cloud):
    for operation in NUMBERED:
        action, (parent, records) = operation.action, longest(cloud, operation.action)
        for query in ({"pageSize": "0"}, {"pageSize": "101"}, {"pageSize": "x"}, {"pageNumber": "0"}):
            got = await ask(client, action, parent, **query)
            assert (got.status, got.code) == (400, "InvalidArgument"), (action, query)
        first = (await ask(client, action, parent)).json
        assert records_of(first, action) == records[: 1 if action == "ListFunctionTasks" else 10], action
        beyond = (await ask(client, action, parent, pageNumber="99", pageSize="100")).json
        assert records_of(beyond, action) == [], action
        total = "TotalCount" if operation.envelope == "function" else "totalCount"
        is_told = action not in {"ListUserAnalyzerEntries", "ListSortExpressions"}
        assert beyond.get(total) == (len(records) if is_told else None), action


async def test_entries_have_several_pages_and_exactly_full_ones(client, cloud):
    entries = lists(cloud, "ListInterventionDictionaryEntries")
    assert sorted(map(len, entries.values())) == [0, 3, 100, 230]
    for parent, records in entries.items():
        pages = [
            (
                await ask(client, "ListInterventionDictionaryEntries", parent, pageNumber=str(number), pageSize="100")
            ).json
            for number in (1, 2, 3, 4)
        ]
        assert [len(page["result"]) for page in pages] == [
            max(0, min(100, len(records) - before)) for before in (0, 100, 200, 300)
        ]
        assert {page["totalCount"] for page in pages} == {len(records)}


SLOW = [
    {"start": None},
    {"end": None},
    {"end": ""},
    {"start": SPAN["end"]},
    {"start": "1589986800000", "end": "1589990340000"},
]
REFUSED = {
    "ListTagResources": [
        {"resourceType": None},
        {"tag": None},
        {"tag": "[]"},
        {"resourceId": "348288906", "tag": None},
        {"resourceId": "not JSON", "tag": None},
        {"resourceId": orjson.dumps([str(number) for number in range(51)]).decode()},
        {"tag": orjson.dumps([{"key": str(number)} for number in range(21)]).decode()},
    ],
    "ListDataSourceTables": [{"params": None}, {"params": "rds"}, {"params": "[]"}],
    "ListDataSourceTableFields": [{"params": None}, {"rawType": "maybe"}],
    "ListInterventionDictionaryNerResults": [{"query": None}, {"query": ""}],
    "ListQueryProcessorAnalyzerResults": [{"text": None}],
    "ListQueryProcessorNers": [{"domain": "GENERAL"}],
    "ListQueryProcessors": [{"isActive": "3"}],
    "ListInterventionDictionaries": [{"types": "synonym"}, {"types": '["colour"]'}],
    "ListProceedings": [{"filterFinished": "yes"}],
    "ListFunctionInstances": [{"source": "mine"}, {"output": "full"}],
    "ListFunctionResources": [{"resourceType": "file"}],
    "ListFunctionTasks": [{"status": "lost"}, {"startTime": "yesterday"}],
    "ListStatisticLogs": [{"startTime": "1589986800000"}],
    "ListStatisticReport": [{"endTime": "x"}],
    "ListAppGroups": [{"sortBy": "2"}, {"tags": "{}"}],
    "ListSlowQueryCategories": [*SLOW, {"sort": "min"}],
    "ListSlowQueryQueries": SLOW,
}


@pytest.mark.parametrize("action", REFUSED)
async def test_what_is_required_or_limited_is_enforced(client, cloud, action):
    parent, _ = longest(cloud, action)
    assert (await ask(client, action, parent)).status == 200
    for query in REFUSED[action]:
        got = await ask(client, action, parent, **query)
        assert (got.status, got.code) == (400, "InvalidArgument"), query
        assert next(iter(query)) in got.json["message"]


@pytest.mark.parametrize(
    ("action", "wrong"),
    [("ListStatisticLogs", "error"), ("ListStatisticReport", "weather"), ("ListDataSourceTables", "oracle")],
)
async def test_a_module_or_source_that_the_page_does_not_name_is_refused(client, cloud, action, wrong):
    parent, _ = longest(cloud, action)
    got = await ask(client, action, (*parent[:-1], wrong))
    assert (got.status, got.code) == (400, "InvalidArgument")
    assert (await ask(client, action, parent)).status == 200


async def test_the_domain_is_optional_on_one_page_and_required_on_another(client):
    assert len((await ask(client, "ListQueryProcessorNers", domain=None)).json["result"]) == 5
    client.account = SECOND
    assert (await ask(client, "ListQueryProcessorNers", domain=None)).code == "InvalidArgument"
    assert len((await ask(client, "ListQueryProcessorNers")).json["result"]) == 5


FUNCTION_BODY = {"Status", "HttpCode", "RequestId", "Code", "Message", "Latency", "TotalCount", "Result"}
PLANS_BODY = {"requestId", "httpCode", "code", "message", "result", "nextToken", "maxResults", "totalCount"}
BODIES = {
    "result": {"requestId", "result"},
    "counted": {"requestId", "result", "totalCount"},
    "single": {"requestId", "result"},
    "bare": {"requestId"},
    "entries": {"RequestId", "result"},
    "plans": PLANS_BODY,
    "function": FUNCTION_BODY,
}


def expected_body(operation):
    if operation.action == "ListTagResources":
        return {"requestId", "result", "nextToken"}
    if operation.action == "ListQueryProcessorAnalyzerResults":
        return {"RequestId", "result"}
    numbered = operation.envelope == "result" and operation.paging is EmulatedPaging.NUMBER and operation.total
    return BODIES["counted" if numbered else operation.envelope]


async def test_the_keys_around_the_records_are_the_documented_ones(client, cloud):
    for operation in SEARCH:
        parent, _ = longest(cloud, operation.action)
        got = await ask(client, operation.action, parent)
        assert set(got.json) == expected_body(operation), operation.action
        assert (got.json.get("requestId") or got.json["RequestId"]) == got.headers["x-acs-request-id"]


async def test_every_second_account_gets_the_functions_envelopes_in_camel_case(client, cloud):
    client.account = SECOND
    for action in ("ListFunctionInstances", "ListFunctionResources", "ListFunctionTasks"):
        parent, records = longest(cloud, action, SECOND)
        got = (await ask(client, action, parent, pageSize="100")).json
        assert set(got) == {key[:1].lower() + key[1:] for key in FUNCTION_BODY}
        assert (got["code"], got["message"], got["totalCount"], got["result"]) == ("", "", len(records), records)
    assert {"resourceName", "data", "referencedInstances"} < set(longest(cloud, "ListFunctionResources", SECOND)[1][0])


async def test_analyzer_entries_are_a_list_in_one_account_and_an_object_in_another(client, cloud):
    parent, records = longest(cloud, "ListUserAnalyzerEntries")
    body = (await ask(client, "ListUserAnalyzerEntries", parent, pageSize="100")).json
    assert (set(body), body["result"]) == ({"RequestId", "result"}, records)
    assert len({record["key"] for record in records}) < len(records) == 12
    assert [record["cmd"] for record in records if "value" not in record] == ["delete"] * 3
    client.account = SECOND
    parent, (record,) = longest(cloud, "ListUserAnalyzerEntries", SECOND)
    body = (await ask(client, "ListUserAnalyzerEntries", parent)).json
    assert (set(body), body["result"]) == ({"requestId", "result"}, record)
    assert (await ask(client, "ListUserAnalyzerEntries", parent, pageNumber="2")).json["result"] == {}
    assert (await ask(client, "ListUserAnalyzerEntries", parent, word="no such word")).json["result"] == {}
    cloud.edit(SECOND, NEAR, "opensearch.ListUserAnalyzerEntries", [{"key": "a"}, {"key": "b"}], parent)
    assert (await ask(client, "ListUserAnalyzerEntries", parent)).json["result"] == [{"key": "a"}, {"key": "b"}]


async def test_strategies_and_proceedings_come_without_a_result_mostly(client, cloud):
    group = lists(cloud, "ListAppGroups")[()][0]["name"]
    assert set((await ask(client, "ListProceedings", (group,))).json) == {"requestId"}
    client.account = SECOND
    kinds = set()
    for action in ("ListSearchStrategies", "ListProceedings"):
        for parent, records in lists(cloud, action, SECOND).items():
            body = (await ask(client, action, parent)).json
            kinds.add(type(body.get("result")))
            assert body.get("result") == (records[0] if records else None)
    assert kinds == {dict, type(None)}
    client.account, client.region = FIRST, FAR
    parent, records = longest(cloud, "ListSearchStrategies", FIRST, FAR)
    assert (await ask(client, "ListSearchStrategies", parent)).json["result"] == records
    assert len(records) == 2
    assert {"secondRankName", "secondName"} <= {name for config in records[0]["searchConfigs"] for name in config}


async def test_an_app_of_the_smallest_specification_has_no_list_of_scripts(client, cloud):
    known = lists(cloud, "ListSortScripts")
    apps = {(*group, app["id"]): app for group, found in lists(cloud, "DescribeApps").items() for app in found}
    without = [path for path in apps if path not in known]
    assert {apps[path]["quota"]["spec"] for path in without} == {"opensearch.share.junior"}
    got = await ask(client, "ListSortScripts", without[0])
    assert (got.status, got.code) == (400, "InvalidAppSpec")
    assert set(got.json) == {"code", "message", "requestId", "httpCode"}
    assert (await ask(client, "ListFirstRanks", without[0])).status == 200


async def plans_by(client, parent, **query):
    return (await ask(client, "ListElasticPlans", parent, **query)).json


async def test_elastic_plans_go_by_tokens_or_by_numbers(client, cloud):
    parent, records = longest(cloud, "ListElasticPlans")
    first = await plans_by(client, parent, maxResults="100")
    assert (len(first["result"]), first["maxResults"], first["totalCount"]) == (100, 100, 103)
    second = await plans_by(client, parent, maxResults="50", nextToken=first["nextToken"])
    assert (second["result"], second["nextToken"], second["maxResults"]) == (records[100:], "", 50)
    numbered = await plans_by(client, parent, pageNumber="3", pageSize="50")
    assert (numbered["result"], numbered["nextToken"], numbered["totalCount"]) == (records[100:], "", 103)
    assert len((await plans_by(client, parent))["result"]) == 10
    other = next(path for path in lists(cloud, "ListElasticPlans") if path != parent)
    for query in (
        {"nextToken": "20"},
        {"maxResults": "101"},
        {"maxResults": "0"},
        {"pageNumber": "1", "nextToken": first["nextToken"]},
    ):
        assert (await ask(client, "ListElasticPlans", parent, **query)).code == "InvalidArgument", query
    assert (await ask(client, "ListElasticPlans", other, nextToken=first["nextToken"])).code == "InvalidArgument"


async def test_tags_are_those_of_the_app_groups_by_their_ids(client, cloud):
    groups = lists(cloud, "ListAppGroups")[()]
    tagged = next(group for group in groups if group.get("tags"))
    got = await ask(client, "ListTagResources", tag=None, resourceId=orjson.dumps([tagged["id"]]).decode())
    assert [(tag["tagKey"], tag["tagValue"]) for tag in got.json["result"]] == sorted(
        (tag["key"], tag["value"]) for tag in tagged["tags"]
    )
    got = await ask(client, "ListTagResources", tag='[{"key":"env","value":"dev"}]')
    assert got.json["result"] == []
    many = [{"resourceId": f"{n:03d}", "resourceType": "AppGroup", "tagKey": "env", "tagValue": ""} for n in range(60)]
    cloud.edit(FIRST, NEAR, "opensearch.ListTagResources", many)
    first = (await ask(client, "ListTagResources")).json
    assert first["result"] == many[:50]
    second = (await ask(client, "ListTagResources", nextToken=first["nextToken"])).json
    assert (second["result"], second["nextToken"]) == (many[50:], "")


@pytest.mark.parametrize(
    ("action", "query", "keeps"),
    [
        ("ListQueryProcessors", {"isActive": "1"}, lambda record: record["active"]),
        ("ListQueryProcessors", {"isActive": "2"}, lambda record: not record["active"]),
        ("ListInterventionDictionaries", {"types": '["ner","synonym"]'}, lambda r: r["type"] in {"ner", "synonym"}),
        ("ListElasticPlans", {"enabled": "True", "maxResults": "100"}, lambda record: record["enabled"]),
        ("ListFunctionResources", {"resourceType": "raw_file"}, lambda r: r["ResourceType"] == "raw_file"),
        ("ListFunctionTasks", {"endTime": "1", "pageSize": "100"}, lambda record: False),
        ("ListFunctionTasks", {"startTime": "1", "pageSize": "100"}, lambda record: True),
        ("ListAppGroups", {"tags": '[{"key":"env"}]'}, lambda record: record.get("tags")),
        ("ListScheduledTasks", {"type": "nothing"}, lambda record: False),
    ],
)
async def test_filters_leave_what_they_name(client, cloud, action, query, keeps):
    parent, records = longest(cloud, action)
    got = await ask(client, action, parent, **query)
    assert records_of(got.json, action) == [record for record in records if keeps(record)][:100]


async def test_a_filter_passes_over_what_is_not_an_object(client, cloud):
    client.region = FAR
    (parent,) = [path for path, records in lists(cloud, "ListScheduledTasks", FIRST, FAR).items() if records == [[]]]
    assert (await ask(client, "ListScheduledTasks", parent)).json["result"] == [[]]
    assert (await ask(client, "ListScheduledTasks", parent, type="wipe")).json["result"] == []


async def test_tasks_come_newest_first(client, cloud):
    started = [record["StartTime"] for record in longest(cloud, "ListFunctionTasks")[1]]
    assert len(started) == 2
    assert started == sorted(started, reverse=True)


async def test_the_quality_report_comes_whole_whatever_page_is_asked_for(client, cloud):
    parent = next(
        path for path, found in lists(cloud, "ListStatisticReport").items() if path[1] == "data-quality" and found
    )
    records = lists(cloud, "ListStatisticReport")[parent]
    for query in ({}, {"pageNumber": "2", "pageSize": "1"}):
        body = (await ask(client, "ListStatisticReport", parent, **query)).json
        assert (body["result"], body["totalCount"]) == (records, len(records))


def everywhere(cloud, action):
    """Return all records of an operation: (account, region) → records."""
    return {place: cloud.records(*place, f"opensearch.{action}") for place in PLACES}


def kinds(records, *path):
    """Return the types of a field in all records that have it."""
    found = set()
    for record in records:
        value = record
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        found.add(type(value))
    return found - {type(None)}


def test_ids_of_tests_are_numbers_in_one_account_and_text_in_the_other():
    cloud = Cloud()
    for action in ("ListABTestScenes", "ListABTestExperiments"):
        found = everywhere(cloud, action)
        assert [kinds(found[place], "id") for place in PLACES] == [{int}, {int}, {str}, {str}]
    assert kinds(everywhere(cloud, "ListABTestGroups")[FIRST, NEAR], "id") == {str}
    values = [found[0]["values"][0] for found in everywhere(cloud, "ListABTestScenes").values()]
    assert [type(value) for value in values] == [str, list, str, str]
    assert orjson.loads(values[2])
    assert kinds(everywhere(cloud, "ListABTestExperiments")[FIRST, FAR], "params") == {dict, int}


def test_five_levels_hang_together():
    cloud = Cloud()
    for place in PLACES:
        below = {action: cloud.lists(*place, f"opensearch.{action}") for action in LEVELS}
        parents: set[tuple[str, ...]] = {()}
        for action, key in LEVELS.items():
            assert set(below[action]) == parents, action
            parents = {
                (*parent, str(record[key])) for parent, found in below[action].items() for record in found if key
            }


LEVELS = {
    "ListAppGroups": "name",
    "ListABTestScenes": "id",
    "ListABTestGroups": "id",
    "ListABTestExperiments": "id",
    "ListABTestFixedFlowDividers": "",
}


def test_values_have_the_shapes_that_the_pages_show():
    cloud = Cloud()
    ranks = everywhere(cloud, "ListFirstRanks")
    assert kinds(ranks[FIRST, NEAR], "meta") == {list}
    assert {record["type"]: type(record["meta"]) for record in ranks[FIRST, FAR]} == {"STRUCT": list, "STRING": str}
    assert {type(record["meta"][0]["weight"]) for record in ranks[FIRST, FAR] if record["type"] == "STRUCT"} == {float}
    seconds = everywhere(cloud, "ListSecondRanks")[FIRST, NEAR]
    assert {record["isDefault"] for record in seconds} == {"true", "false"}
    assert {0} < {record["created"] for record in seconds}
    scripts = everywhere(cloud, "ListSortScripts")[FIRST, NEAR]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", record["createTime"]) for record in scripts)
    reviews = [record for found in everywhere(cloud, "ListQuotaReviewTasks").values() for record in found]
    assert all(record["gmtCreate"].endswith("+0000") and "newSocSize" in record for record in reviews)
    assert {record["memo"] for record in reviews} == {"null", None}
    slow = everywhere(cloud, "ListSlowQueryCategories")
    assert all("categories" in record for record in slow[FIRST, FAR])
    assert all(record["analyzeStatus"].startswith('"') for record in slow[SECOND, NEAR])
    dictionaries = everywhere(cloud, "ListInterventionDictionaries")
    assert kinds(dictionaries[FIRST, NEAR], "created") == {int}
    assert kinds(dictionaries[SECOND, NEAR], "created") == {str}
    entries = everywhere(cloud, "ListInterventionDictionaryEntries")[FIRST, NEAR]
    assert kinds(entries, "relevance", "100") == {int, str}
    assert any(r"\u8fc7" in record["word"] for record in entries)
    assert kinds(everywhere(cloud, "ListUserAnalyzers")[SECOND, NEAR], "dicts") == {dict, list}


def test_lists_in_lists_are_where_a_page_shows_them():
    cloud = Cloud()
    odd = {
        "ListScheduledTasks": (FIRST, FAR),
        "ListInterventionDictionaryRelatedEntities": (SECOND, NEAR),
        "ListStatisticLogs": (SECOND, NEAR),
        "ListABTestFixedFlowDividers": (SECOND, NEAR),
    }
    for action, place in odd.items():
        assert any(isinstance(record, list) for record in everywhere(cloud, action)[place]), action
        assert not any(isinstance(record, list) for record in everywhere(cloud, action)[FIRST, NEAR]), action
    assert {"{}"} == set(everywhere(cloud, "ListDataSourceTables")[SECOND, NEAR])
    assert {} in everywhere(cloud, "ListStatisticReport")[SECOND, NEAR]


SECRETS = {
    "DescribeApps": lambda record: [
        value for source in record["dataSources"] for part in ("parameters", "plugins") for value in [source[part]]
    ],
    "ListABTestExperiments": lambda record: (
        list(record["params"].values()) if isinstance(record["params"], dict) else []
    ),
    "ListFunctionInstances": lambda record: [
        item["Value"] for part in ("CreateParameters", "UsageParameters") for item in record[part]
    ],
    "ListFunctionResources": lambda record: [record["Data"]["Content"]] if "Content" in record["Data"] else [],
}


@pytest.mark.parametrize("action", SECRETS)
def test_every_secret_field_has_a_canary(action):
    cloud = Cloud()
    found = [value for record in everywhere(cloud, action)[FIRST, NEAR] for value in SECRETS[action](record)]
    assert found
    assert all(re.search(r"canary[0-9a-f]{24}", orjson.dumps(value).decode()) for value in found)


def test_every_parent_has_all_its_lists():
    """A parent without a list of some operation would look like an empty list."""
    cloud = Cloud()
    for place in PLACES:
        groups = {(record["name"],) for record in cloud.records(*place, "opensearch.ListAppGroups")}
        apps = {
            (*group, app["id"])
            for group, found in cloud.lists(*place, "opensearch.DescribeApps").items()
            for app in found
        }
        for operation in BELOW:
            parents = set(cloud.lists(*place, operation.name))
            if operation.namespace == "opensearch/apps" and not operation.absent_code:
                assert parents == apps, operation.action
            if len(operation.parameters) == 1 and not operation.namespace:
                assert parents == groups, operation.action
