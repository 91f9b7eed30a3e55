"""Resource Access Management at the central port: pages by marker, parents, refusals, and lists that agree.

`test_every_operation` compares each list with the official client, `TestOfficialClient` some with its asynchronous one.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from alibabacloud_ram20150501 import models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from crawler.emulator import Cloud, CloudOrganization, CloudSpec, Deny, PageFault, RepeatToken
from crawler.emulator.apis.operation import GLOBAL
from crawler.emulator.apis.operations import BY_NAME
from crawler.emulator.data.ram import CRAWLER

FIRST, SECOND = "1000000000000001", "1000000000000002"
MARKED = ("ListRoles", "ListPolicies", "ListUsers", "ListGroups")


async def ask(client, action, method="POST", **query):
    return await client.get(f"ram.{action}", "/", query, method=method)


def records_of(got, action):
    found = got.json
    for key in BY_NAME[f"ram.{action}"].records.split("."):
        found = found[key]
    return found


async def walk(client, action, size, **query):
    """Return the records of all pages and the pages' bodies."""
    found, bodies, marker = [], [], {}
    while not bodies or bodies[-1]["IsTruncated"]:
        got = await ask(client, action, MaxItems=str(size), **query, **marker)
        found += records_of(got, action)
        bodies.append(got.json)
        marker = {"Marker": got.json["Marker"]} if "Marker" in got.json else {}
    return found, bodies


@pytest.mark.parametrize("action", MARKED)
async def test_pages_put_together_are_the_list_and_the_last_has_no_marker(client, cloud, action):
    records = cloud.records(FIRST, GLOBAL, f"ram.{action}")
    found, bodies = await walk(client, action, 3)
    assert found == records
    assert [body["IsTruncated"] for body in bodies] == [True] * (len(bodies) - 1) + [False]
    assert ["Marker" in body for body in bodies] == [body["IsTruncated"] for body in bodies]
    assert not any(record[BY_NAME[f"ram.{action}"].key[0]] in bodies[0]["Marker"] for record in records)


async def test_a_list_below_a_parent_has_pages_too(client, cloud):
    found, bodies = await walk(client, "ListUsersForGroup", 1, GroupName="developers")
    assert found == cloud.lists(FIRST, GLOBAL, "ram.ListUsersForGroup")["developers",]
    assert len(bodies) == len(found) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_both_methods_are_answered(client, cloud, method):
    got = await ask(client, "ListRoles", method)
    assert records_of(got, "ListRoles") == cloud.records(FIRST, GLOBAL, "ram.ListRoles")
    assert got.json.keys() == {"RequestId", "IsTruncated", "Roles"}


@pytest.mark.parametrize(("action", "most"), [("ListRoles", 1000), ("ListUsers", 1000), ("ListGroups", 100)])
async def test_a_page_size_out_of_bounds_is_refused(client, action, most):
    for size in ("0", str(most + 1), "many"):
        got = await ask(client, action, MaxItems=size)
        assert (got.status, got.code) == (400, "InvalidParameter.MaxItems"), size
        assert f"1 to {most}" in got.json["Message"]
        assert got.json.keys() == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert (await ask(client, action, MaxItems=str(most))).status == 200


async def test_a_marker_is_good_for_its_list_only(client):
    marker = (await ask(client, "ListRoles", MaxItems="2")).json["Marker"]
    for action, wrong in (("ListRoles", "guessed"), ("ListUsers", marker)):
        got = await ask(client, action, MaxItems="2", Marker=wrong)
        assert (got.status, got.code) == (400, "InvalidParameter.Marker")
    client.account = SECOND
    assert (await ask(client, "ListRoles", MaxItems="2", Marker=marker)).code == "InvalidParameter.Marker"


@pytest.mark.parametrize(
    ("action", "query", "code"),
    [
        ("GetRole", {"RoleName": "no-such"}, "EntityNotExist.Role"),
        ("ListPoliciesForRole", {"RoleName": "no-such"}, "EntityNotExist.Role"),
        ("ListPoliciesForUser", {"UserName": "no-such"}, "EntityNotExist.User"),
        ("ListGroupsForUser", {"UserName": "no-such"}, "EntityNotExist.User"),
        ("ListAccessKeys", {"UserName": "no-such"}, "EntityNotExist.User"),
        ("ListPoliciesForGroup", {"GroupName": "no-such"}, "EntityNotExist.Group"),
        ("ListUsersForGroup", {"GroupName": "no-such"}, "EntityNotExist.Group"),
        ("ListPolicyVersions", {"PolicyName": "no-such", "PolicyType": "Custom"}, "EntityNotExist.Policy"),
        ("ListPolicyVersions", {"PolicyName": "pass-roles", "PolicyType": "System"}, "EntityNotExist.Policy"),
        ("ListEntitiesForPolicy", {"PolicyName": "no-such", "PolicyType": "System"}, "EntityNotExist.Policy"),
        (
            "GetAccessKeyLastUsed",
            {"UserName": CRAWLER, "UserAccessKeyId": "LTAI5tNobody"},
            "EntityNotExist.User.AccessKey",
        ),
    ],
)
async def test_a_parent_that_is_not_there_is_named(client, action, query, code):
    got = await ask(client, action, **query)
    assert (got.status, got.code) == (404, code)


async def test_tags_want_a_type_and_may_be_asked_for_by_name(client, cloud):
    assert (await ask(client, "ListTagResources")).code == "InvalidParameter.ResourceType"
    assert (await ask(client, "ListTagResources", ResourceType="user")).code == "InvalidParameter.ResourceType"
    every = cloud.records(FIRST, GLOBAL, "ram.ListTagResources")
    name = next(tag["ResourceName"] for tag in every if tag["ResourceType"] == "role")
    got = await ask(client, "ListTagResources", ResourceType="role", ResourceNames=json.dumps([name, "no-such"]))
    assert got.json["TagResources"] == [tag for tag in every if tag["ResourceName"] == name]
    assert got.json["TagResources"]


async def test_policies_may_be_asked_for_by_their_type(client):
    for kind in ("System", "Custom"):
        got = await ask(client, "ListPolicies", PolicyType=kind)
        assert {record["PolicyType"] for record in records_of(got, "ListPolicies")} == {kind}


async def test_a_version_and_a_signature_are_needed(client):
    older = await client.get("ram.ListRoles", "/", method="POST", headers={"x-acs-version": "2014-05-01"})
    assert older.code == "InvalidVersion"
    url, signed = client.request("ram.ListRoles", "/", method="POST")
    del signed["Authorization"]
    assert (await client.send(url, signed, "POST")).code == "SignatureDoesNotMatch"


async def test_regions_do_not_have_it_and_it_has_no_other_product(client, emulator):
    url, signed = client.request("ram.ListRoles", "/", method="GET")
    elsewhere = emulator.url("fc", "cn-hangzhou")
    signed = {**signed, "host": elsewhere.removeprefix("http://")}
    got = await client.send(url.with_port(int(elsewhere.rpartition(":")[2])), signed)
    assert (got.status, got.code) == (404, "InvalidAction.NotFound")
    assert (await client.get("ram.ListFunctions", "/", method="POST")).code == "InvalidAction.NotFound"


async def test_a_denial_names_the_action_in_the_product_s_own_words(client, cloud):
    cloud.faults.add(Deny(), product="ram", region=GLOBAL, action="ListUsers", account=FIRST)
    got = await ask(client, "ListUsers")
    assert (got.status, got.code) == (403, "NoPermission")
    assert "ram:ListUsers" in got.json["Message"]
    assert (await ask(client, "ListGroups")).status == 200
    client.account = SECOND
    assert (await ask(client, "ListUsers")).status == 200


async def test_faults_go_by_page_and_the_log_has_the_place(client, cloud):
    cloud.faults.add(PageFault(rows=1), product="ram", action="ListRoles", page=(2,))
    cloud.faults.add(RepeatToken(), product="ram", action="ListUsers")
    first = await ask(client, "ListRoles", MaxItems="4")
    second = await ask(client, "ListRoles", MaxItems="4", Marker=first.json["Marker"])
    assert (len(records_of(second, "ListRoles")), second.json["IsTruncated"]) == (1, True)
    markers = [(await ask(client, "ListUsers", MaxItems=size)).json["Marker"] for size in ("1", "2")]
    assert len(set(markers)) == 1
    assert [(e.region, e.product, e.action, e.page) for e in cloud.requests.entries][:2] == [
        (GLOBAL, "ram", "ListRoles", 1),
        (GLOBAL, "ram", "ListRoles", 2),
    ]


def client_of(emulator, account=FIRST):
    key_id, secret = emulator.cloud.credentials(account)
    endpoint = emulator.url("ram", GLOBAL).removeprefix("http://")
    return RamClient(Config(access_key_id=key_id, access_key_secret=secret, endpoint=endpoint, protocol="HTTP"))


class TestOfficialClient:
    @pytest.fixture
    def cloud(self) -> Cloud:
        """A cloud on the system's clock, which the SDK signs with."""
        return Cloud(CloudSpec())

    @pytest.mark.parametrize("action", MARKED)
    async def test_the_asynchronous_client_lists_every_page(self, emulator, action):
        for account in (FIRST, SECOND):
            client, found, marker = client_of(emulator, account), [], None
            while True:
                request = getattr(models, f"{action}Request")(max_items=5, marker=marker)
                body = (await getattr(client, f"list_{action[4:].lower()}_async")(request)).body.to_map()
                outer, inner = BY_NAME[f"ram.{action}"].records.split(".")
                found += body[outer][inner]
                marker = body.get("Marker")
                if not body["IsTruncated"]:
                    break
            assert found == emulator.cloud.records(account, GLOBAL, f"ram.{action}")

    async def test_it_sees_the_documented_codes(self, emulator, cloud):
        cloud.faults.add(Deny(), product="ram", action="ListGroups")
        client = client_of(emulator)
        calls = {
            "EntityNotExist.Role": lambda: client.get_role_async(models.GetRoleRequest(role_name="no-such")),
            "InvalidParameter.MaxItems": lambda: client.list_users_async(models.ListUsersRequest(max_items=1001)),
            "NoPermission": lambda: client.list_groups_async(models.ListGroupsRequest()),
        }
        for code, call in calls.items():
            with pytest.raises(ClientException) as caught:
                await call()
            assert caught.value.code == code


# --- the data ---


def test_the_roles_of_functions_services_and_triggers_exist(cloud):
    for account in (FIRST, SECOND):
        known = {role["Arn"] for role in cloud.records(account, GLOBAL, "ram.ListRoles")}
        used = set()
        for region in cloud.spec.regions:
            for action, field in (
                ("fc.ListFunctions", "role"),
                ("fc-open.ListServices", "role"),
                ("fc.ListTriggers", "invocationRole"),
                ("fc-open.ListTriggers", "invocationRole"),
            ):
                used |= {record.get(field) for record in cloud.records(account, region, action)}
        assert len(used - {None, ""}) > 10
        assert used - {None, ""} <= known


def test_roles_of_sts_are_among_them_unless_the_account_lacks_them():
    lacking = CloudOrganization(without_role=(SECOND,))
    cloud = Cloud(CloudSpec(organization=lacking, roles=("reader", "other-reader")))
    names = {a: {role["RoleName"] for role in cloud.records(a, GLOBAL, "ram.ListRoles")} for a in (FIRST, SECOND)}
    assert names[FIRST] - names[SECOND] == {"reader", "other-reader"}


def trusted_services(cloud, role):
    [found] = cloud.lists(FIRST, GLOBAL, "ram.GetRole")[role,]
    [statement] = json.loads(found["AssumeRolePolicyDocument"])["Statement"]
    return statement["Principal"].get("Service", [])


def test_there_is_something_to_find(cloud):
    """An administrator, one that may pass roles, readers of every bucket, unused roles, a trigger's wide role."""
    functions = cloud.records(FIRST, "cn-hangzhou", "fc.ListFunctions")
    used = {record["role"].rpartition("/")[2] for record in functions if record.get("role")}
    policies = {
        role: {policy["PolicyName"] for policy in found}
        for (role,), found in cloud.lists(FIRST, GLOBAL, "ram.ListPoliciesForRole").items()
    }
    documents = {
        name: json.loads(found[-1]["PolicyDocument"])["Statement"]
        for (name, _), found in cloud.lists(FIRST, GLOBAL, "ram.ListPolicyVersions").items()
    }
    assert any("AdministratorAccess" in policies[role] for role in used)
    passing = {
        name for name, found in documents.items() if any("ram:PassRole" in one.get("Action", "") for one in found)
    }
    assert any(passing & policies[role] for role in used)
    assert any("AliyunOSSReadOnlyAccess" in policies[role] for role in used)
    assert {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*"} in documents["all-objects"]
    assert any("all-objects" in policies[role] for role in used)
    unused = {role for role in policies if "fc.aliyuncs.com" in trusted_services(cloud, role)} - used
    assert {"fc-old-migration", "fc-legacy-export"} <= unused
    assert "AliyunOSSFullAccess" in policies["fc-trigger"]
    assert "oss.aliyuncs.com" in trusted_services(cloud, "fc-trigger")


@pytest.mark.parametrize("day", [1, 2, 5])
def test_lists_that_say_the_same_agree(day):
    cloud = Cloud(CloudSpec(day=day))
    for account in (FIRST, SECOND):
        lists = cloud.place(account, GLOBAL).lists
        attached = Counter(
            (kind, name, record["PolicyName"])
            for kind in ("Role", "User", "Group")
            for (name,), records in lists[f"ram.ListPoliciesFor{kind}"].items()
            for record in records
        )
        entities = Counter(
            (kind, entity[f"{kind}Name"], policy)
            for (policy, _), [record] in lists["ram.ListEntitiesForPolicy"].items()
            for kind in ("Role", "User", "Group")
            for entity in record[f"{kind}s"][kind]
        )
        assert attached == entities
        counts = {record["PolicyName"]: record["AttachmentCount"] for record in lists["ram.ListPolicies"][()]}
        assert sum(counts.values()) == attached.total()
        groups = {(user, g["GroupName"]) for (user,), gs in lists["ram.ListGroupsForUser"].items() for g in gs}
        members = {(u["UserName"], group) for (group,), us in lists["ram.ListUsersForGroup"].items() for u in us}
        assert groups == members
        for policy in lists["ram.ListPolicies"][()]:
            versions = lists["ram.ListPolicyVersions"].get((policy["PolicyName"], policy["PolicyType"]), [])
            defaults = [version["VersionId"] for version in versions if version["IsDefaultVersion"]]
            assert defaults == ([policy["DefaultVersion"]] if versions else [])
        for role in lists["ram.ListRoles"][()]:
            own = {name: value for name, value in role.items() if name != "Tags"}
            assert lists["ram.GetRole"][role["RoleName"],][0].items() >= own.items()
        keys = {(u, key["AccessKeyId"]) for (u,), made in lists["ram.ListAccessKeys"].items() for key in made}
        assert lists["ram.GetAccessKeyLastUsed"].keys() == keys
        assert len({key for _, key in keys}) == len(keys)


def test_the_key_that_signs_is_one_of_a_user(cloud):
    for account in (FIRST, SECOND):
        [key] = cloud.lists(account, GLOBAL, "ram.ListAccessKeys")[CRAWLER,]
        assert key["AccessKeyId"] == cloud.credentials(account)[0]


def test_no_list_has_a_key_s_secret_or_a_device_s_seed(cloud):
    for account in (FIRST, SECOND):
        assert cloud.credentials(account)[1] not in repr(cloud.place(account, GLOBAL).lists)
    fields = {name for key in cloud.records(FIRST, GLOBAL, "ram.ListAccessKeys") for name in key}
    assert fields == {"AccessKeyId", "CreateDate", "Status"}


def test_an_edited_list_takes_what_follows_from_it_along(cloud):
    cloud.edit(FIRST, GLOBAL, "ram.ListRoles", cloud.records(FIRST, GLOBAL, "ram.ListRoles")[:2])
    lists = cloud.place(FIRST, GLOBAL).lists
    assert len(lists["ram.GetRole"]) == len(lists["ram.ListPoliciesForRole"]) == 2
    [admins] = lists["ram.ListEntitiesForPolicy"]["AdministratorAccess", "System"]
    assert admins["Roles"]["Role"] == []
