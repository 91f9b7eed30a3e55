"""The seeded data has the cases of Function Compute's documentation: unusual times, JSON in text, secrets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
import pytest

from crawler.emulator import Cloud, CloudSpec
from crawler.emulator.apis.operations import OPERATIONS

FIRST, REGION = "1000000000000001", "cn-hangzhou"
ACCOUNTS = (FIRST, "1000000000000002")
FUNCTIONS = "fc.ListFunctions"
LAYOUT = "2006-01-02T15:04:05Z07:00"
ISO_Z = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CANARY = re.compile(r"canary[0-9a-f]{24}")


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def records(cloud):
    return lambda name: cloud.records(FIRST, REGION, name)


@pytest.mark.parametrize("name", ["ListAliases", "ListFunctionVersions", "ListAsyncInvokeConfigs"])
def test_one_time_is_the_layout_of_times(records, name):
    times = [record["createdTime"] for record in records(f"fc.{name}")]
    assert LAYOUT in times
    assert all(ISO_Z.fullmatch(time) for time in times if time != LAYOUT)


@pytest.mark.parametrize("product", ["fc", "fc-open"])
def test_triggers_of_every_type_are_configured_by_json_in_text(records, product):
    triggers = records(f"{product}.ListTriggers")
    kinds = {record["triggerType"] for record in triggers}
    assert kinds == {"http", "timer", "oss", "log", "tablestore", "cdn_events", "mns_topic", "eventbridge"}
    read: list[Any] = []
    for text in (record["triggerConfig"] for record in triggers):
        try:
            read.append(orjson.loads(text))
        except orjson.JSONDecodeError:
            read.append(None)
    assert any("\n" in record["triggerConfig"] for record in triggers)
    assert {record["triggerConfig"] for record in triggers if record["triggerType"] == "tablestore"} == {""}
    cut = [record for record, config in zip(triggers, read, strict=True) if config is None and record["triggerConfig"]]
    assert cut
    assert all(CANARY.search(record["triggerConfig"]) for record in cut)
    twice = [config for config in read if isinstance(config, str)]
    assert twice
    assert all(
        CANARY.search(
            orjson.loads(text)["eventSourceConfig"]["eventSourceParameters"]["sourceDTSParameters"]["Password"]
        )
        for text in twice
    )


def test_times_of_2_0_are_written_in_several_ways(records):
    triggers = records("fc-open.ListTriggers")
    assert any(record["lastModifiedTime"].startswith("0") for record in triggers)
    assert {record["createdTime"][-1] for record in triggers} == {"Z", "0"}
    aliases = records("fc-open.ListAliases")
    assert all(re.fullmatch(r".*\.\d{3}\+0000", record["createdTime"]) for record in aliases)
    assert any((record.get("description") or "").endswith("\n") for record in aliases)
    assert any(isinstance(weight, int) for record in aliases for weight in weights(record))
    assert any(isinstance(weight, float) for record in aliases for weight in weights(record))


def weights(record):
    return (record.get("additionalVersionWeight") or {}).values()


def test_policies_have_epochs_in_text_or_iso_times_and_may_end_before_they_start(records):
    configs = records("fc.ListScalingConfigs")
    scheduled = [policy for record in configs for policy in record.get("scheduledPolicies") or []]
    assert all(re.fullmatch(r"\d{13}", policy["startTime"]) for policy in scheduled)
    assert any(int(policy["endTime"]) < int(policy["startTime"]) for policy in scheduled)
    others = [policy for record in configs for policy in record.get("horizontalScalingPolicies") or []]
    assert all(ISO_Z.fullmatch(policy["startTime"]) for policy in others)


def test_reserved_capacities_have_numbers_and_flags_in_text(records):
    reserved = records("fc-open.ListReservedCapacities")
    assert all(re.fullmatch(r"\d{13}", record["deadline"]) for record in reserved)
    assert {record.get("isRefunded") for record in reserved} >= {"true", "false"}


def test_custom_domains(records):
    domains = records("fc.ListCustomDomains")
    assert {type(record["authConfig"]["authInfo"]) for record in domains} == {str, dict}
    tabs = [record for record in records("fc-open.ListCustomDomains") if record["createdTime"].endswith("Z\t")]
    assert [ISO_Z.fullmatch(record["accountId"].strip()) is not None for record in tabs] == [True]
    for record in (*domains, *records("fc-open.ListCustomDomains")):
        assert record["certConfig"]["privateKey"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")


def test_resources_of_2_0_are_written_in_two_ways(records):
    resources = [record["resource"] for record in records("fc-open.ListOnDemandConfigs")]
    assert any(resource.startswith(f"{FIRST}#") for resource in resources)
    assert any(resource.startswith("services/") for resource in resources)


def test_the_acl_of_a_layer_is_text_in_3_0_and_a_number_in_2_0(records):
    assert {record["acl"] for record in records("fc.ListLayerVersions")} == {"0", "1"}
    assert {record["acl"] for record in records("fc-open.ListLayerVersions")} == {0, 1}


def test_the_layers_listed_are_the_newest_versions(cloud):
    for product in ("fc", "fc-open"):
        versions = cloud.lists(FIRST, REGION, f"{product}.ListLayerVersions")
        for layer in cloud.records(FIRST, REGION, f"{product}.ListLayers"):
            newest = versions[layer["layerName"],][-1]
            assert {**layer, "code": None} == {**newest, "code": None}
            assert layer["code"] != newest["code"], "a URL is signed anew for each answer"


def test_functions_use_layers_that_are_listed_and_some_layers_have_no_user(records):
    versions = {record["layerVersionArn"] for record in records("fc.ListLayerVersions")}
    used = {layer["arn"] for record in records("fc.ListFunctions") for layer in record.get("layers") or []}
    versions_2 = {record["arnV2"] for record in records("fc-open.ListLayerVersions")}
    used_2 = {arn for record in records("fc-open.ListFunctions") for arn in record.get("layersArnV2") or []}
    assert used
    assert used < versions
    # The vendor's own layers are in no list of the account.
    assert {arn.split(":")[3] for arn in used_2 - versions_2} == {"official"}
    assert used_2 & versions_2
    named = {arn.split("/")[1] for arn in used | used_2}
    assert {record["layerName"] for record in records("fc.ListLayers")} - named


def test_instances_may_be_known_by_their_id_only(records):
    instances = records("fc.ListInstances")
    assert {record["versionId"] for record in instances} >= {"0", "LATEST"}
    bare = [record for record in instances if record["createdTimeMs"] == 0]
    assert {(record["status"], record["qualifier"], record["resourceType"]) for record in bare} == {("", "", "")}


def test_tags_are_those_of_the_functions(records):
    wanted = {
        (record["functionArn"], tag["Key"], tag["Value"])
        for record in records("fc.ListFunctions")
        for tag in record.get("tags") or []
    }
    tags = records("fc.ListTagResources")
    assert {(tag["ResourceId"], tag["TagKey"], tag["TagValue"]) for tag in tags} == wanted
    assert len(tags) == len(wanted) > 50
    assert any(tag["TagValue"] == "" for tag in tags)


def test_vpc_bindings_are_ids(records):
    for product in ("fc", "fc-open"):
        bindings = records(f"{product}.ListVpcBindings")
        assert bindings
        assert all(re.fullmatch(r"vpc-[a-z0-9]{20}", binding) for binding in bindings)


def test_tasks_ran_at_milliseconds(records):
    for name in ("fc.ListAsyncTasks", "fc-open.ListStatefulAsyncInvocations"):
        started = [datetime.fromtimestamp(record["startedTime"] / 1000) for record in records(name)]
        assert all(2020 <= moment.year <= 2026 for moment in started)


@pytest.mark.parametrize(
    "name",
    [
        "fc.ListAliases",
        "fc.ListFunctionVersions",
        "fc.ListLayerVersions",
        "fc-open.ListAliases",
        "fc-open.ListServiceVersions",
        "fc-open.ListLayerVersions",
    ],
)
def test_one_list_of_each_kind_is_more_than_a_page(cloud, name):
    sizes = sorted(len(records) for records in cloud.lists(FIRST, REGION, name).values())
    assert sizes[-1] == 103
    assert all(size <= 5 for size in sizes[:-1])


@pytest.mark.parametrize(
    "operation",
    [op for op in OPERATIONS if "{functionName}" in op.path and op.product != "opensearch"],
    ids=lambda operation: operation.name,
)
def test_every_function_has_its_lists(cloud, operation):
    """Each path that a client may request is in `lists`, even if its list is empty."""
    listed = cloud.lists(FIRST, REGION, f"{operation.product}.ListFunctions")
    names = {(*parent, record["functionName"]) for parent, records in listed.items() for record in records}
    lists = cloud.lists(FIRST, REGION, operation.name)
    assert set(lists) == names
    assert operation.envelope == "object" or [] in lists.values()


def test_a_region_without_functions_has_nothing_that_hangs_on_them():
    counts = Cloud(CloudSpec()).counts()
    second = {name: number for (account, region, name), number in counts.items() if (account, region) == EMPTY}
    assert {name for name, number in second.items() if name.startswith("fc.") and number} == set()
    assert {name for name, number in second.items() if name.startswith("fc-open.") and number} <= {
        "fc-open.ListServices",
        "fc-open.ListAliases",
        "fc-open.ListServiceVersions",
        "fc-open.ListVpcBindings",
    }


EMPTY = ("1000000000000002", "ap-southeast-1")

# All fields with secrets, by operation: [] means all items, .* all values below.
SECRETS = {
    "fc-open.ListCustomDomains": "certConfig.privateKey certConfig.certificate",
    "fc-open.ListFunctions": (
        "environmentVariables.* customRuntimeConfig.command[] customRuntimeConfig.args[] customContainerConfig.args"
        " customContainerConfig.command"
    ),
    "fc-open.ListLayerVersions": "code.location",
    "fc-open.ListLayers": "code.location",
    "fc-open.ListServices": "tracingConfig.params.*",
    "fc-open.ListStatefulAsyncInvocations": "invocationPayload returnPayload",
    "fc-open.ListTriggers": "triggerConfig",
    "fc.ListAsyncTasks": "taskPayload returnPayload",
    "fc.ListCustomDomains": "certConfig.privateKey certConfig.certificate authConfig.authInfo",
    "fc.ListFunctions": (
        "environmentVariables.* customContainerConfig.registryConfig.authConfig.*"
        " customContainerConfig.registryConfig.certConfig.rootCaCertBase64"
        " microSandboxConfig.registryConfig.authConfig.* microSandboxConfig.registryConfig.certConfig.rootCaCertBase64"
        " microSandboxConfig.startCommand microSandboxConfig.readyCommand tracingConfig.params.*"
        " customRuntimeConfig.command[] customRuntimeConfig.args[] customContainerConfig.command[]"
        " customContainerConfig.entrypoint[] instanceLifecycleConfig.initializer.command[]"
        " instanceLifecycleConfig.preStop.command[] juiceFsConfig.envs.* juiceFsConfig.mountPoints[].token"
        " juiceFsConfig.mountPoints[].args[] polarFsConfig.mountPoints[].extraOptions"
    ),
    "fc.ListLayerVersions": "code.location",
    "fc.ListLayers": "code.location",
    "fc.ListSessions": (
        "trafficAccessToken network.rules.* juiceFsConfig.envs.* juiceFsConfig.mountPoints[].token"
        " juiceFsConfig.mountPoints[].args[] polarFsConfig.mountPoints[].extraOptions"
    ),
    "fc.ListSnapshots": "envs.* startCommand readyCommand",
    "fc.ListTriggers": "triggerConfig",
}


def below(value: Any, path: list[str]) -> Iterator[Any]:
    """Return the values at a path, through all lists."""
    if isinstance(value, list):
        for item in value:
            yield from below(item, path)
    elif not path or path == ["*"]:
        yield value
    elif isinstance(value, dict) and value.get(path[0]) is not None:
        yield from below(value[path[0]], path[1:])


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in SECRETS.items() for path in paths.split()])
def test_every_field_that_may_hold_a_secret_holds_one(records, name, path):
    values = list(below(records(name), path.replace("[]", "").split(".")))
    assert CANARY.search(orjson.dumps(values).decode())


def test_no_other_field_holds_a_secret(records):
    """Otherwise a crawler that hides only the documented fields would leak it."""
    for operation in OPERATIONS:
        if operation.product not in {"fc", "fc-open"} or operation.envelope == "object":
            continue
        left = orjson.loads(orjson.dumps(records(operation.name)))
        for path in SECRETS.get(operation.name, "").split():
            *way, last = path.replace("[]", "").split(".")
            for holder in below(left, way):
                holder.clear() if last == "*" else holder.pop(last, None)
        assert not CANARY.search(orjson.dumps(left).decode()), operation.name


def test_the_weaknesses_that_a_report_looks_for_are_there(cloud, records):
    """A few of each, so that the first report of a user isn't empty."""
    kinds = Counter(
        orjson.loads(record["triggerConfig"])["authType"]
        for name in ("fc.ListTriggers", "fc-open.ListTriggers")
        for record in records(name)
        if record["triggerType"] == "http"
    )
    assert kinds.keys() == {"function", "jwt", "anonymous"}
    domains = [record for account in ACCOUNTS for record in cloud.records(account, REGION, "fc.ListCustomDomains")]
    versions = Counter(record["tlsConfig"]["minVersion"] for record in domains if record.get("tlsConfig"))
    assert versions["TLSv1.2"] > versions["TLSv1.0"] > 0
    functions = {record["functionName"] for account in ACCOUNTS for record in cloud.records(account, REGION, FUNCTIONS)}
    routed = [route["functionName"] for record in domains for route in record["routeConfig"]["routes"]]
    assert 0 < len([name for name in routed if name not in functions]) < len(routed) / 2


def test_two_functions_of_an_account_share_a_secret_in_every_region(cloud):
    shared = [
        record["environmentVariables"]["CACHE_PASSWORD"]
        for record in cloud.records(FIRST, REGION, FUNCTIONS)
        if "CACHE_PASSWORD" in (record.get("environmentVariables") or {})
    ]
    assert len(shared) == 2
    assert len(set(shared)) == 1
