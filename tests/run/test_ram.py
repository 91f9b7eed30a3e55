"""Crawls of Resource Access Management: one scope per account, pages by marker, parents that go, and denials."""

from __future__ import annotations

import json
from collections import Counter

import anyio
import orjson
import pytest

from crawler.catalog import load_catalog
from crawler.emulator import Body, Deny, Error, PageFault, RepeatToken
from crawler.emulator.apis.operation import GLOBAL
from crawler.emulator.data.ram import CRAWLER
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, scope_statuses, site
from tests.support.secret_sweep import Sweep

CATALOG = load_catalog()
DEFAULT = CATALOG.select(["ram_*"])
HOME = {"regions": ["cn-hangzhou"], "tables": ["ram_*"]}


def crawl(folder, *faults, cloud=None, change=None, more="", **crawl):
    """One crawl, with the tables of RAM unless others are named: the site and the result."""

    async def main():
        async with site(folder, cloud) as here:
            for effect, selectors in faults:
                here.cloud.faults.add(effect, product="ram", **selectors)
            if change is not None:
                change(here.cloud)
            return here, await here.crawl(here.config(more, **{**HOME, **crawl}))

    return anyio.run(main)


def row_of(result, table, account=BIG):
    [row] = [row for row in result.ledger if (row.table, row.account_id) == (table, account)]
    return row


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    return crawl(tmp_path_factory.mktemp("ram"))


def test_every_scope_lies_at_global_once_per_account(crawled):
    here, result = crawled
    assert result.exit_code == 0
    assert {(row.account_id, row.region_id, row.table, row.status) for row in result.ledger} == {
        (account, "global", table, "complete") for account in (BIG, SMALL) for table in DEFAULT
    }
    assert {row["region_id"] for table in DEFAULT for row in here.rows(table)} == {"global"}
    assert result.unknown_fields == {}


def test_requests_are_sent_as_the_official_client_sends_them(crawled):
    here, _ = crawled
    entries = [entry for entry in here.cloud.requests.entries if entry.product == "ram"]
    assert {(entry.account, entry.region) for entry in entries} == {(BIG, GLOBAL), (SMALL, GLOBAL)}
    assert {entry.query.get("MaxItems") for entry in entries if entry.action == "ListRoles"} == {"1000"}
    assert {entry.query.get("MaxItems") for entry in entries if entry.action == "ListGroups"} == {"100"}
    assert all(entry.query["UserName"] for entry in entries if entry.action == "ListAccessKeys")
    roles = len(here.cloud.records(BIG, GLOBAL, "ram.ListRoles"))
    counts = Counter(entry.action for entry in entries if entry.account == BIG)
    assert (counts["ListRoles"], counts["GetRole"], counts["ListPoliciesForRole"]) == (1, roles, roles)
    assert not counts["GetUser"]


def test_documents_are_read_into_their_statements(crawled):
    here, _ = crawled
    roles = {row["role_name"]: row for row in here.rows("ram_roles") if row["account_id"] == BIG}
    [statement] = roles["fc-report"]["assume_role_policy_document"]["statement"]
    assert (statement["effect"], json.loads(statement["action"])) == ("Allow", "sts:AssumeRole")
    assert json.loads(statement["principal"]["service"]) == ["fc.aliyuncs.com"]
    assert roles["fc-report"]["details_status"] == "fetched"
    versions = {
        (row["policy_name"], row["version_id"]): row
        for row in here.rows("ram_policy_versions")
        if row["account_id"] == BIG
    }
    [everything] = versions["AdministratorAccess", "v1"]["policy_document"]["statement"]
    assert [json.loads(everything[name]) for name in ("action", "resource")] == ["*", "*"]
    [denial] = versions["office-only", "v1"]["policy_document"]["statement"]
    condition = json.loads(denial["condition"])
    assert list(condition) == ["NotIpAddress", "StringNotEquals", "Bool"]
    values = [value for operator in condition.values() for value in operator.values()]
    assert all(text.startswith("hmac:") for value in values for text in (value if isinstance(value, list) else [value]))
    assert [versions["legacy-everything", f"v{n}"]["is_default_version"] for n in (1, 2, 3)] == [False, False, True]


def test_f154_the_key_that_signs_is_a_row_like_the_others(crawled):
    """F156: in an error or any other text its ID is replaced."""
    here, _ = crawled
    for account in (BIG, SMALL):
        key_id, secret = here.cloud.credentials(account)
        rows = [row for row in here.rows("ram_access_keys") if row["account_id"] == account]
        assert [row["user_name"] for row in rows if row["access_key_id"] == key_id] == [CRAWLER]
        assert "***" not in {row["access_key_id"] for row in rows}
        assert Sweep(secret).found_in_folder(here.output) == {}
    others = [table for table in DEFAULT if table != "ram_access_keys"]
    assert not Sweep(key_id).found(repr([here.rows(table) for table in others]).encode())


def test_no_secret_that_was_planted_is_anywhere(crawled):
    here, _ = crawled
    planted = [secret for account in (BIG, SMALL) for secret in here.cloud.place(account, GLOBAL).secrets]
    assert len(planted) == 4
    assert Sweep(*planted).found_in_folder(here.output) == {}


def test_names_addresses_and_numbers_of_people_are_kept(crawled):
    """They are personal data, and no secrets."""
    here, _ = crawled
    rows = {row["user_name"]: row for row in here.rows("ram_users") if row["account_id"] == BIG}
    for user in here.cloud.records(BIG, GLOBAL, "ram.ListUsers"):
        row = rows[user["UserName"]]
        assert (row["email"], row["mobile_phone"], row["display_name"]) == (
            user["Email"],
            user["MobilePhone"],
            user["DisplayName"],
        )


def test_details_of_users_and_keys_are_there_when_asked_for(tmp_path):
    here, result = crawl(tmp_path, tables=["ram_users", "ram_access_keys"], details=["ram_users", "ram_access_keys"])
    assert result.exit_code == 0
    for account in (BIG, SMALL):
        used = here.cloud.lists(account, GLOBAL, "ram.GetAccessKeyLastUsed")
        rows = [row for row in here.rows("ram_access_keys") if row["account_id"] == account]
        assert {(row["user_name"], row["access_key_id"]) for row in rows} == used.keys()
        for row in rows:
            [last] = used[row["user_name"], row["access_key_id"]]
            assert row["last_used_date"].strftime("%Y-%m-%dT%H:%M:%SZ") == last["LastUsedDate"]
        logins = {row["user_name"]: row["last_login_date"] for row in here.rows("ram_users")}
        assert logins[CRAWLER] is None
        assert logins["alice-admin"] is not None


def test_short_pages_are_followed_to_the_end(tmp_path):
    faults = [(PageFault(rows=2), {"action": action}) for action in ("ListRoles", "ListUsersForGroup")]
    here, result = crawl(tmp_path, *faults, tables=["ram_roles", "ram_users_for_group"])
    assert result.exit_code == 0
    roles = here.cloud.records(BIG, GLOBAL, "ram.ListRoles")
    assert (row_of(result, "ram_roles").rows, row_of(result, "ram_roles").pages) == (len(roles), -(-len(roles) // 2))
    members = here.cloud.records(BIG, GLOBAL, "ram.ListUsersForGroup")
    assert row_of(result, "ram_users_for_group").rows == len(members)


def answer_of(records, **beside):
    return Body(body=orjson.dumps({"RequestId": "1", "Users": {"User": records}, **beside}))


USER = {"UserName": "only", "UserId": "2"}


def test_f155_a_list_that_says_that_it_goes_on_without_a_marker_is_not_whole(tmp_path):
    """F157: nothing below it is said to be whole either."""
    faults = [(answer_of([USER], IsTruncated=True), {"action": "ListUsers", "account": BIG})]
    here, result = crawl(tmp_path, *faults, tables=["ram_users", "ram_access_keys"])
    assert result.exit_code == 3
    assert row_of(result, "ram_users").status == "failed"
    assert row_of(result, "ram_access_keys").status != "complete"
    assert {row.status for row in result.ledger if row.account_id == SMALL} == {"complete"}
    assert BIG not in {row["account_id"] for row in here.rows("ram_users")}


def test_f155_a_last_page_with_a_marker_ends_the_list(tmp_path):
    faults = [(answer_of([USER], IsTruncated=False, Marker="EXAMPLE"), {"action": "ListUsers", "account": BIG})]
    _, result = crawl(tmp_path, *faults, tables=["ram_users"])
    assert (row_of(result, "ram_users").status, row_of(result, "ram_users").requests) == ("complete", 1)


def test_f155_a_marker_that_comes_again_fails_the_list(tmp_path):
    faults = [(PageFault(rows=1), {"action": "ListGroups", "account": SMALL})]
    faults = [(RepeatToken(cycle=2), {"action": "ListRoles", "account": BIG}), *faults]
    cloud = fast_cloud()
    records = [
        {"RoleName": f"r{number:05}", "RoleId": str(number), "Arn": f"acs:ram::{BIG}:role/r{number:05}"}
        for number in range(3500)
    ]

    def change(cloud):
        cloud.edit(BIG, GLOBAL, "ram.ListRoles", records)

    _, result = crawl(tmp_path, *faults, cloud=cloud, change=change, tables=["ram_groups", "ram_roles"])
    assert row_of(result, "ram_roles").status == "failed"
    assert row_of(result, "ram_roles", SMALL).status == "complete"
    assert row_of(result, "ram_groups", SMALL).status == "complete"


CHILDREN = [
    ("ram_policies_for_role", "ListPoliciesForRole", "EntityNotExist.Role"),
    ("ram_policies_for_user", "ListPoliciesForUser", "EntityNotExist.User"),
    ("ram_groups_for_user", "ListGroupsForUser", "EntityNotExist.User"),
    ("ram_access_keys", "ListAccessKeys", "EntityNotExist.User"),
    ("ram_policies_for_group", "ListPoliciesForGroup", "EntityNotExist.Group"),
    ("ram_users_for_group", "ListUsersForGroup", "EntityNotExist.Group"),
    ("ram_policy_versions", "ListPolicyVersions", "EntityNotExist.Policy"),
    ("ram_entities_for_policy", "ListEntitiesForPolicy", "EntityNotExist.Policy"),
]


def test_f158_a_parent_that_goes_during_the_crawl_has_no_list(tmp_path):
    """F158: a code that is about something that the request doesn't name is a failure."""
    faults = [
        (Error(status=404, code=code, message="It does not exist."), {"action": action, "account": BIG, "nth": (2,)})
        for _, action, code in CHILDREN
    ]
    wrong = Error(status=404, code="EntityNotExist.Role", message="The role does not exist.")
    faults.append((wrong, {"action": "ListVirtualMFADevices", "account": BIG}))
    tables = [table for table, _, _ in CHILDREN]
    here, result = crawl(tmp_path, *faults, tables=[*tables, "ram_virtual_mfa_devices"])
    assert scope_statuses(result) == {(BIG, "global", "ram_virtual_mfa_devices"): "failed"}
    assert {row_of(result, table).vanished for table in tables} == {1}
    assert len(here.rows("ram_policy_versions")) < 2 * len(here.cloud.records(BIG, GLOBAL, "ram.ListPolicyVersions"))


def test_f158_a_role_that_goes_before_its_details_stays_as_it_was_listed(tmp_path):
    gone = Error(status=404, code="EntityNotExist.Role", message="The role does not exist.")
    here, result = crawl(tmp_path, (gone, {"action": "GetRole", "account": BIG, "nth": (3,)}), tables=["ram_roles"])
    assert result.exit_code == 0
    [row] = [row for row in here.rows("ram_roles") if row["details_status"] != "fetched"]
    assert (row["details_status"], row["assume_role_policy_document"]) == ("vanished", None)


def test_a_role_whose_details_come_twice_stays_as_it_was_listed(tmp_path):
    twice = Body(body=b'{"Role": {"RoleName": "a"}, "role": {"RoleName": "b"}}')
    _, result = crawl(tmp_path, (twice, {"action": "GetRole", "account": BIG, "nth": (1, 3)}), tables=["ram_roles"])
    roles = row_of(result, "ram_roles")
    assert (roles.status, roles.error_code, roles.rows) == ("truncated", "RepeatedName", 28)
    assert "GetRole failed for 2 of 28 rows" in roles.error_message


def test_f156_what_is_denied_names_its_action_and_leaves_the_rest(tmp_path):
    """F159: a list, the list below it, and the details that a table always has."""
    faults = [(Deny(), {"action": action, "account": BIG}) for action in ("ListUsers", "GetRole", "ListPolicyVersions")]
    _, result = crawl(tmp_path, *faults)
    assert result.exit_code == 3
    denied = {row.table: row.error_message for row in result.ledger if row.status == "denied" and row.account_id == BIG}
    assert denied["ram_users"].startswith("You are not authorized to do this action")
    assert "ram:ListUsers" in denied["ram_users"]
    assert "ram:ListPolicyVersions" in denied["ram_policy_versions"]
    roles = row_of(result, "ram_roles")
    assert (roles.status, roles.error_code, roles.rows) == ("truncated", "NoPermission", 28)
    assert "ram:GetRole" in roles.error_message
    whole = {row.table for row in result.ledger if row.status == "complete" and row.account_id == BIG}
    assert whole >= {"ram_groups", "ram_policies", "ram_virtual_mfa_devices", "ram_policies_for_group"}
    assert {row.status for row in result.ledger if row.account_id == SMALL} == {"complete"}


def test_f156_an_account_without_the_service_has_none_of_it(tmp_path):
    inactive = Error(status=403, code="Inactive", message="Your ram service is inactive, please activate it.")
    _, result = crawl(tmp_path, (inactive, {"account": SMALL}), tables=["ram_users", "ram_access_keys"])
    assert result.exit_code == 0
    assert {row.status for row in result.ledger if row.account_id == SMALL} == {"unsupported"}


def test_without_a_pattern_of_its_own_it_is_not_requested(tmp_path):
    here, result = crawl(tmp_path, tables=["*"], exclude=["opensearch_*", "fc2_*"])
    assert not [row for row in result.ledger if row.table.startswith("ram_")]
    assert not [entry for entry in here.cloud.requests.entries if entry.product == "ram"]


def test_the_next_day_is_another_list_of_the_same_people(tmp_path):
    """Two nights: what the cloud changed in between is what the rows differ in."""
    rows = {}
    for day in (1, 2):
        here, result = crawl(tmp_path / str(day), cloud=fast_cloud(day=day), tables=["ram_roles"])
        assert result.exit_code == 0
        rows[day] = {row["role_name"] for row in here.rows("ram_roles") if row["account_id"] == BIG}
        known = {record["RoleName"] for record in here.cloud.records(BIG, GLOBAL, "ram.ListRoles")}
        assert rows[day] == known
    assert rows[1] - rows[2]
    assert rows[2] - rows[1]
