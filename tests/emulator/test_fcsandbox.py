"""The emulated sandboxes of Function Compute: pages, teams, refusals, planted secrets, and days."""

from __future__ import annotations

import re

import orjson
import pytest

from crawler.emulator import Cloud, CloudSpec, difference

FIRST, SECOND, REGION = "1000000000000001", "1000000000000002", "cn-hangzhou"
ROOT = "/pop/2026-05-09"
CANARY = re.compile("canary[0-9a-f]{24}")
NUMBERED = {"ListTeams": ("/teams", "teams"), "ListApiKeys": ("/api-keys", "apiKeys")}
OF_TEAM = {
    "ListTemplates": ("/templates", "templates"),
    "ListTemplateCache": ("/template-caches", "templateCaches"),
    "ListVolumes": ("/volumes", "volumes"),
}
# The emulator plants a marker in each of these fields, and in no other.
PLANTED = {
    "ListApiKeys": {"apiKeyMask", "apiKeyValue"},
    "ListTemplates": {
        "runtimeConfig.sandboxConfig.readyCommand",
        "runtimeConfig.sandboxConfig.startCommand",
        "runtimeConfig.sandboxConfig.steps.args",
    },
}


async def ask(client, action, path, **query):
    return await client.get(f"fcsandbox.{action}", ROOT + path, query)


def paths(value, path=""):
    """Yield the path of each text with a marker; a list adds nothing to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, path)
    elif isinstance(value, str) and CANARY.search(value):
        yield path


@pytest.mark.parametrize("action", NUMBERED)
async def test_a_numbered_page_has_a_code_the_total_and_its_size(client, cloud, action):
    path, field = NUMBERED[action]
    records = cloud.records(FIRST, REGION, f"fcsandbox.{action}")
    got = await ask(client, action, path, pageNumber="2", pageSize="7")
    assert got.json[field] == records[7:14]
    others = {name: value for name, value in got.json.items() if name not in {field, "requestId"}}
    assert others == {"code": "200", "message": "success", "pageNumber": 2, "pageSize": 7, "total": len(records)}
    assert got.json["requestId"] == got.headers["x-acs-request-id"]
    usual = (await ask(client, action, path)).json
    assert (len(usual[field]), usual["pageNumber"], usual["pageSize"]) == (20, 1, 20)


@pytest.mark.parametrize("action", OF_TEAM)
async def test_lists_of_a_team_are_walked_by_token_to_an_empty_one(client, cloud, action):
    path, field = OF_TEAM[action]
    lists = cloud.lists(FIRST, REGION, f"fcsandbox.{action}")
    team = max(lists, key=lambda parent: len(lists[parent]))
    found, token, pages = [], "", 0
    while token or not pages:
        got = await ask(client, action, path, teamID=team[0], **({"nextToken": token} if token else {}))
        assert (got.json["code"], got.json["maxResults"]) == ("200", 20)
        found, token, pages = found + got.json[field], got.json["nextToken"], pages + 1
    assert (found, pages) == (lists[team], 3)
    assert {record["teamID"] for record in found} == {team[0]}


@pytest.mark.parametrize("action", OF_TEAM)
async def test_a_team_is_needed_and_must_exist(client, action):
    path, _ = OF_TEAM[action]
    without = await ask(client, action, path)
    unknown = await ask(client, action, path, teamID="nobody")
    assert (without.status, without.code) == (400, "InvalidArgument")
    assert (unknown.status, unknown.json.keys()) == (404, {"code", "message", "requestId"})
    assert unknown.json["code"] == "TeamNotFound"


@pytest.mark.parametrize(
    ("action", "query"),
    [
        ("ListTeams", {"pageSize": "51"}),
        ("ListTeams", {"pageSize": "0"}),
        ("ListTeams", {"plan": "free"}),
        ("ListApiKeys", {"status": "Active"}),
        ("ListQuota", {"maxResults": "101"}),
        ("ListQuota", {"nextToken": "guessed"}),
    ],
)
async def test_wrong_parameters_are_refused(client, action, query):
    path = {**NUMBERED, "ListQuota": ("/quotas", "quotas")}[action][0]
    got = await ask(client, action, path, **query)
    assert (got.status, got.json["code"]) == (400, "InvalidArgument")
    assert next(iter(query)) in got.json["message"]


async def test_filters_narrow_a_list(client, cloud):
    keys = cloud.records(FIRST, REGION, "fcsandbox.ListApiKeys")
    team = keys[0]["teamID"]
    for query in ({"teamID": team}, {"status": "inactive"}, {"teamID": team, "status": keys[0]["status"]}):
        got = await ask(client, "ListApiKeys", "/api-keys", pageSize="50", **query)
        wanted = [key for key in keys if all(key[name] == value for name, value in query.items())]
        assert (got.json["apiKeys"], got.json["total"]) == (wanted[:50], len(wanted))
        assert 0 < len(wanted) < len(keys)


@pytest.mark.parametrize("action", PLANTED)
def test_a_secret_is_planted_in_each_field_that_may_have_one(action):
    cloud = Cloud()
    for account in cloud.spec.accounts:
        for region in cloud.spec.regions:
            records = cloud.records(account, region, f"fcsandbox.{action}")
            assert records
            assert {path for record in records for path in paths(record)} == PLANTED[action]


def test_no_other_list_has_a_secret():
    cloud = Cloud()
    for action in ("ListTeams", "ListQuota", "ListTemplateCache", "ListVolumes"):
        assert not CANARY.search(orjson.dumps(cloud.records(FIRST, REGION, f"fcsandbox.{action}")).decode())


def test_a_region_without_sandboxes_has_no_lists():
    cloud = Cloud(CloudSpec(fcsandbox_regions=("cn-shanghai",)))
    assert not [place for place in cloud.counts() if place[1] != "cn-shanghai" and place[2].startswith("fcsandbox.")]
    assert cloud.counts()[FIRST, "cn-shanghai", "fcsandbox.ListTeams"] == 3


@pytest.mark.parametrize("day", [2, 3, 4])
def test_what_names_a_team_names_one_that_exists(day):
    cloud = Cloud(CloudSpec(day=day))
    for account in cloud.spec.accounts:
        for region in cloud.spec.regions:
            teams = {record["teamID"] for record in cloud.records(account, region, "fcsandbox.ListTeams")}
            assert {record["teamID"] for record in cloud.records(account, region, "fcsandbox.ListApiKeys")} <= teams
            assert {record["tagValue"] for record in cloud.records(account, region, "fcsandbox.ListQuota")} <= teams
            for action in OF_TEAM:
                for (team,), records in cloud.lists(account, region, f"fcsandbox.{action}").items():
                    assert team in teams
                    assert {record["teamID"] for record in records} <= {team}
            templates = cloud.lists(account, region, "fcsandbox.ListTemplates")
            for parent, caches in cloud.lists(account, region, "fcsandbox.ListTemplateCache").items():
                known = {template["templateID"] for template in templates[parent]}
                assert {cache["templateID"] for cache in caches} <= known


def test_a_day_replaces_a_key_and_changes_a_template():
    changes = difference(Cloud(), Cloud(CloudSpec(day=2)))
    keys = changes[FIRST, REGION, "fcsandbox.ListApiKeys"]
    assert keys.added
    assert {name for change in keys.changed.values() for name in change.fields} >= {"status", "apiKeyValue"}
    templates = changes[FIRST, REGION, "fcsandbox.ListTemplates"]
    assert {name for change in templates.changed.values() for name in change.fields} == {"runtimeConfig"}
