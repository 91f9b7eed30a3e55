"""Days of the cloud: equal on all machines, consistent, and with known differences."""

from __future__ import annotations

import re
from collections import Counter

import orjson
import pytest

from crawler.emulator import Cloud, CloudOrganization, CloudSpec, Deny, difference
from crawler.emulator.apis.operation import GLOBAL
from crawler.emulator.apis.operations import BY_NAME, TABLES
from crawler.emulator.days.days import denied
from crawler.emulator.days.rules import FIELDS, NEVER_ADDED, UNCHANGED, identity
from crawler.errors import ConfigError

FIRST, SECOND = "1000000000000001", "1000000000000002"
BIG = (FIRST, "cn-hangzhou")
WHOLE = (FIRST, GLOBAL)
# Responses of one object, of one object if there is one record, or of records that are never added or removed.
STEADY = {
    "opensearch.ListProceedings",
    "opensearch.ListQueryProcessorNers",
    "opensearch.ListSearchStrategies",
    "opensearch.ListSlowQueryCategories",
    "opensearch.ListUserAnalyzerEntries",
}
UNTOUCHED = {"opensearch.ListDataSourceTables", "opensearch.ListDataSourceTableFields"}


@pytest.fixture(scope="module")
def clouds():
    return {day: Cloud(CloudSpec(day=day)) for day in (1, 2, 3)}


@pytest.fixture(scope="module")
def overnight(clouds):
    return difference(clouds[1], clouds[2])


def everything(cloud):
    """The records of all lists, and the roles as GetRole returns them: their list lacks the trusted parties."""
    roles = [(account, GLOBAL, "ram.GetRole") for account in cloud.spec.accounts]
    return [[*place, cloud.records(*place)] for place in (*cloud.counts(), *roles)]


def names(cloud, action, field, where=BIG):
    return {record[field] for record in cloud.records(*where, action)}


def test_the_first_day_is_the_seeded_cloud(clouds):
    assert everything(Cloud()) == everything(clouds[1])
    assert Cloud().faults.rules == []


def test_a_day_is_the_same_every_time_and_in_any_order(clouds):
    again = Cloud(CloudSpec(day=2))
    again.place(SECOND, "cn-shanghai")
    assert everything(again) == everything(clouds[2])
    assert again.canaries == clouds[2].canaries


def test_days_go_on(clouds):
    assert difference(clouds[2], clouds[3])
    assert difference(clouds[2], clouds[2]) == {}


def test_accounts_keep_their_keys(clouds):
    assert clouds[1].credentials(FIRST) == clouds[2].credentials(FIRST)


def test_every_product_changes_in_every_way(overnight):
    kinds = Counter()
    for (_, _, action), differs in overnight.items():
        product = BY_NAME[action].product
        kinds += Counter(
            {
                (product, "added"): len(differs.added),
                (product, "removed"): len(differs.removed),
                (product, "changed"): len(differs.changed),
            }
        )
    products = {BY_NAME[name].product for name in TABLES}
    assert kinds.keys() == {(product, kind) for product in products for kind in ("added", "removed", "changed")}


@pytest.mark.parametrize("action", [name for name in TABLES if name not in STEADY | UNCHANGED | UNTOUCHED])
def test_in_the_first_place_every_list_has_its_day(overnight, action):
    differs = overnight[*(WHOLE if BY_NAME[action].is_global else BIG), action]
    assert differs.removed or differs.added
    assert differs.changed or action not in FIELDS or not identity(BY_NAME[action])


def test_functions_change_in_what_an_auditor_looks_for(clouds, overnight):
    changes = overnight[*BIG, "fc.ListFunctions"].changed.values()
    assert {name for change in changes for name in change.fields} >= {
        "memorySize",
        "runtime",
        "environmentVariables",
        "lastModifiedTime",
    }
    [variables] = [change for change in changes if "environmentVariables" in change.fields]
    old, new = (side["environmentVariables"] for side in (variables.old, variables.new))
    assert [name for name in old if old[name] != new[name]] == ["API_TOKEN"]
    added = overnight[*BIG, "fc.ListTriggers"].added
    stayed = names(clouds[1], "fc.ListFunctions", "functionName") & names(clouds[2], "fc.ListFunctions", "functionName")
    assert {key[0] for key in added} & stayed
    assert overnight[*BIG, "fc.ListAsyncInvokeConfigs"].removed


def test_children_come_and_go_with_their_parents(clouds):
    for cloud in clouds.values():
        for account in cloud.spec.accounts:
            for region in cloud.spec.places:
                place = cloud.place(account, region)
                for action in TABLES:
                    for parent in place.lists.get(action, {}):
                        # The last name of a list may be a choice instead of a parent.
                        parents = BY_NAME[action].ancestors(parent)[: len(BY_NAME[action].not_found_codes)]
                        assert not set(parents) - place.names, (action, parent)


def test_a_new_function_has_what_functions_have(clouds, overnight):
    added = [found.record for found in overnight[*BIG, "fc.ListFunctions"].added.values()]
    assert added
    for record in added:
        name = record["functionName"]
        assert record["functionArn"].endswith(f":functions/{name}")
        assert clouds[2].lists(*BIG, "fc.GetFunction")[name,][0]["functionName"] == name
        arns = names(clouds[2], "fc.ListConcurrencyConfigs", "functionArn")
        assert record["functionArn"] in arns


def test_what_names_a_function_goes_with_it(clouds, overnight):
    gone = {key[0] for key in overnight[*BIG, "fc.ListFunctions"].removed}
    assert gone
    lists = ("ListAsyncInvokeConfigs", "ListConcurrencyConfigs", "ListProvisionConfigs", "ListScalingConfigs")
    for action in lists:
        for arn in names(clouds[2], f"fc.{action}", "functionArn"):
            assert not gone & set(re.split("[:/]", arn))
    assert not gone & names(clouds[2], "fc.ListSnapshots", "functionName")


def test_the_second_generation_is_shown_as_it_is(clouds):
    for cloud in clouds.values():
        place = cloud.place(*BIG)
        own = {
            f"{parent[0]}${record['functionName']}"
            for parent, records in place.lists["fc-open.ListFunctions"].items()
            for record in records
        }
        assert {record["functionName"] for record in place.lists["fc.ListFunctions/v2"][()]} == own


def test_details_say_what_the_list_says_and_more(clouds):
    cloud = clouds[3]
    details = cloud.lists(*BIG, "fc.GetFunction")
    listed = cloud.records(*BIG, "fc.ListFunctions")
    assert {record["functionName"] for record in listed} == {name for (name,) in details}
    for record in listed:
        assert details[record["functionName"],][0].items() >= record.items()


def test_keys_stay_unique(clouds):
    for cloud in clouds.values():
        for account, region, action in cloud.counts():
            key = identity(BY_NAME[action])
            if not key or action == "opensearch.ListSortExpressions":
                continue
            for records in cloud.lists(account, region, action).values():
                found = [
                    tuple(record.get(name, record.get(name[:1].lower() + name[1:])) for name in key)
                    for record in records
                    if isinstance(record, dict)
                ]
                assert len(set(map(str, found))) == len(found), action


@pytest.mark.parametrize("day", [2, 3])
def test_every_canary_is_in_the_data_once(clouds, day):
    found = re.findall(r"canary[0-9a-f]{24}", orjson.dumps(everything(clouds[day])).decode())
    assert len(found) > 1000
    assert sorted(found) == sorted(clouds[day].canaries)
    assert len(set(found)) == len(found)


def test_addresses_are_signed_anew(overnight):
    for action in ("fc.ListLayers", "fc-open.ListLayerVersions"):
        assert all("code" in change.fields for change in overnight[*BIG, action].changed.values())


def test_every_rule_is_about_an_operation():
    assert FIELDS.keys() | UNCHANGED | NEVER_ADDED <= set(TABLES)


def test_on_even_days_one_account_is_denied_one_product():
    assert denied(CloudSpec()) is None
    assert denied(CloudSpec(day=2)) == (SECOND, "opensearch")
    assert denied(CloudSpec(day=3)) is None
    rules = Cloud(CloudSpec(day=2)).faults.rules
    assert {(rule.effect, rule.account, rule.product, rule.action) for rule in rules} == {
        (Deny(), SECOND, "opensearch", "List*"),
        (Deny(), SECOND, "opensearch", "DescribeApps"),
    }


def test_the_account_that_is_denied_is_one_that_would_be_crawled():
    accounts = tuple(str(1_000_000_000_000_001 + number) for number in range(4))
    odd = CloudOrganization(without_role=accounts[2:3], deletions={accounts[3]: "Deleting"})
    assert denied(CloudSpec(day=2, accounts=accounts, organization=odd)) == (accounts[1], "opensearch")


@pytest.mark.parametrize("day", [0, -1, 401])
def test_a_day_that_can_t_be_is_refused(day):
    with pytest.raises(ConfigError, match=r"^The emulated cloud can't be built: day"):
        CloudSpec(day=day)


def test_a_difference_by_hand(clouds):
    cloud = Cloud()
    records = cloud.records(*BIG, "fc.ListFunctions")
    changed = {**records[0], "memorySize": 1, "handler": "other"}
    cloud.edit(*BIG, "fc.ListFunctions", [changed, *records[2:], {**records[1], "functionName": "a-new-one"}])
    found = difference(clouds[1], cloud)[*BIG, "fc.ListFunctions"]
    assert found.added.keys() == {("a-new-one",)}
    assert found.removed.keys() == {(records[1]["functionName"],)}
    [(key, change)] = found.changed.items()
    assert (key, set(change.fields)) == ((records[0]["functionName"],), {"memorySize", "handler"})
    assert (change.old, change.new) == (records[0], changed)
    bindings = [place for place in difference(clouds[1], cloud) if place[2] == "fc.ListVpcBindings"]
    assert bindings in ([], [(*BIG, "fc.ListVpcBindings")])
