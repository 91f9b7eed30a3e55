"""Pages → batches: the documented shapes, the rules of `_extra`, faults in a page, and values never written."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.catalog.model import EXTRA_COLUMN, FIXED_COLUMNS, Paging
from crawler.errors import NormalizeError, PaginationError, TransientError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.fast.gate import most_records
from crawler.normalizer.pending import ReadyBatch
from crawler.normalizer.redaction import MASK, Redaction

CATALOG = load_catalog()
SAMPLES = Path(__file__).parents[1] / "fixtures" / "documentation"
KEY = b"k" * 32
NOW = datetime(2026, 11, 22, 2, 0, 0, 123456, tzinfo=UTC)
FINGERPRINTS = Redaction("fingerprint", "fingerprint", KEY)
KEEPS = Redaction("keep", "keep", KEY)
PARAMETERS = {"serviceName": "s", "functionName": "f", "appGroupIdentity": "g"}
PEM = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"


def utc(*args):
    return datetime(*args, tzinfo=UTC)


def fingerprint(text):
    return FINGERPRINTS.fingerprint(text)


def read(table, body, redaction=FINGERPRINTS):
    operation = CATALOG.operations[table]
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    parameters = {name: PARAMETERS[name] for name in operation.parameters}
    context = RowContext("1000000000000001", "cn-hangzhou", NOW, parameters)
    page = Normalizer(operation, redaction, "snapshot-1").read(body, context)
    assert page.batch.schema.equals(operation.schema, check_metadata=True)
    assert page.seen == len(page.keys) == len(page.digests)
    page.batch.validate(full=True)
    return page


def read_functions(*records, redaction=FINGERPRINTS):
    """A page of fc_functions; a record of bytes is put in as it is."""
    texts = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    return read("fc_functions", b'{"functions":[' + b",".join(texts) + b"]}", redaction)


def function(**fields):
    return {"functionName": "f", **fields}


def row_of(page):
    [row] = page.batch.to_pylist(maps_as_pydicts="strict")
    return row


def extra_of(page):
    text = row_of(page)[EXTRA_COLUMN]
    return None if text is None else json.loads(text)


def sample(name):
    return (SAMPLES / f"{name}.json").read_bytes()


def records_of(name):
    page = json.loads(sample(name))
    return next(value for value in page.values() if isinstance(value, list))


# --- the documented samples ---


def test_a_function_of_fc_3_comes_back_whole():
    page = read("fc_functions", sample("fc_functions"), Redaction("keep", "keep", KEY))
    row, [record] = row_of(page), records_of("fc_functions")
    assert {name: row[name] for name in FIXED_COLUMNS} == {
        "account_id": "1000000000000001",
        "region_id": "cn-hangzhou",
        "snapshot_id": "snapshot-1",
        "fetched_at": NOW,
    }
    assert row["created_time"] == utc(2024, 5, 6, 7, 8, 9)
    assert (row["cpu"], row["code_checksum"], row["internet_access"]) == (0.35, "18446744073709551557", False)
    assert row["environment_variables"] == {"DB_URL": "canary-env"}
    assert row["custom_dns"]["dns_options"] == record["customDNS"]["dnsOptions"]
    assert row["vpc_config"]["v_switch_ids"] == ["vsw-1", "vsw-2"]
    assert row["custom_container_config"]["registry_config"]["auth_config"]["user_name"] == "canary-user"
    assert row["instance_lifecycle_config"]["initializer"] == {"command": None, "handler": "main.init", "timeout": 20}
    assert row["state_reason"] == ""
    assert (row["lock_info"], row["tags"], row["_extra"]) == (None, None, None)
    assert (page.token, page.total, page.keys) == ("orders-2", None, [("orders",)])
    assert (page.coerced, page.misfits.total(), page.unknown) == (0, 0, {})


def test_a_functions_secrets_are_fingerprints_and_their_names_stay():
    """T01."""
    page = read("fc_functions", sample("fc_functions"))
    row = row_of(page)
    registry = row["custom_container_config"]["registry_config"]
    assert row["environment_variables"] == {"DB_URL": fingerprint("canary-env")}
    assert row["tracing_config"] == {"params": {"endpoint": fingerprint("canary-tracing")}, "type": "Jaeger"}
    assert registry["auth_config"] == {
        "password": fingerprint("canary-password"),
        "user_name": fingerprint("canary-user"),
    }
    assert registry["cert_config"]["insecure"] is False
    assert set(registry["network_config"].values()) == {"vpc-1", "vsw-1", "sg-1"}
    assert row["custom_runtime_config"]["command"] == [fingerprint("/app/run")]
    assert b"canary" not in written(page.batch)


def test_instances_of_fc_2_with_a_version_as_text_and_as_a_number():
    page = read("fc2_instances", sample("fc2_instances"))
    assert page.batch.column("version_id").to_pylist() == ["3", "0"]
    assert page.batch.column("service_name").to_pylist() == ["s", "s"]
    assert page.keys == [("s", "f", record["instanceId"]) for record in records_of("fc2_instances")]
    assert (page.coerced, page.misfits.total(), page.token) == (1, 0, None)


def test_stateful_functions_with_a_token_of_two_quotation_marks():
    page = read("fc2_stateful_async_invocation_functions", sample("fc2_stateful_async_invocation_functions"))
    assert page.token == '""'
    assert page.keys == [("shop", "mail", "LATEST")]


def test_async_configs_with_a_null_in_a_struct():
    page = read("fc2_function_async_invoke_configs", sample("fc2_function_async_invoke_configs"))
    row = row_of(page)
    [record] = records_of("fc2_function_async_invoke_configs")
    assert row["destination_config"] == {"on_failure": record["destinationConfig"]["onFailure"], "on_success": None}
    assert (row["service"], row["service_name"], row["function_name"]) == ("shop", "s", "f")
    assert (row["created_time"], row["max_async_retry_attempts"]) == (utc(2021, 2, 3, 4, 5, 6), 1)
    assert page.keys == [("s", "f", "prod")]
    assert page.token == "t0ken"


def test_function_instances_in_camel_case():
    page = read("opensearch_function_instances", sample("opensearch_function_instances"))
    first, second = page.batch.to_pylist()
    assert first["belongs"] == {"category": "general", "domain": "general", "language": "en"}
    assert (first["create_time"], second["create_time"]) == (utc(2020, 9, 13, 12, 26, 40), utc(2020, 9, 13, 12, 26, 41))
    assert (first["description"], first["create_parameters"], first["_extra"]) == ("", None, None)
    assert second["_extra"] == '{"default":true}'
    assert (page.total, page.token) == (2, None)
    assert page.keys == [("g", "pop", "clicks"), ("g", "pop", "builtin_pop")]
    assert page.unknown == {"default": 1}


def test_function_instances_in_pascal_case():
    page = read("opensearch_function_instances", sample("opensearch_function_instances_pascal"))
    row = row_of(page)
    assert page.keys == [("g", '"pop"', '"pop_test"')]
    assert row["belongs"]["language"] == '"en"\t'
    assert row["create_parameters"] == [{"name": '"window"', "value": fingerprint('"canary-create"')}]
    assert row["usage_parameters"] == [{"name": "boost", "value": fingerprint("canary-usage")}]
    assert row["create_time"] == utc(1970, 1, 1, 1, 12, 1)
    assert row["extend_info"] == '"{\\"errors\\":{}}"'
    assert (page.total, page.unknown, page.misfits.total(), row["_extra"]) == (1, {}, 0, None)


# --- values ---


def test_absent_and_null_are_null_and_empty_is_not():
    page = read_functions(
        function(customDNS={}, environmentVariables={}, layers=[], description="", handler=None),
        {"functionName": "g"},
    )
    first, second = page.batch.to_pylist()
    assert first["custom_dns"] == {"dns_options": None, "name_servers": None, "searches": None}
    assert (first["environment_variables"], first["layers"], first["description"]) == ([], [], "")
    assert first["handler"] is None
    assert {second[name] for name in ("custom_dns", "environment_variables", "layers", "description")} == {None}
    assert page.batch.column(EXTRA_COLUMN).null_count == 2


def test_nulls_in_lists_and_maps_keep_their_place():
    row = row_of(read_functions(function(layers=[None, {"arn": "a"}], environmentVariables={"A": None, "B": ""})))
    assert row["layers"] == [None, {"arn": "a", "size": None}]
    assert row["environment_variables"] == {"A": None, "B": ""}


@pytest.mark.parametrize(
    ("table", "wire", "text", "expected"),
    [
        ("fc_functions", "description", "7", "7"),
        ("fc_functions", "description", "1.10", "1.10"),
        ("fc_functions", "description", "1E5", "1E5"),
        ("fc_functions", "description", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("fc_functions", "memorySize", '"512"', 512),
        ("fc_functions", "memorySize", '"-1"', -1),
        ("fc_functions", "memorySize", "512.0", 512),
        ("fc_functions", "memorySize", "5.12e2", 512),
        ("fc_functions", "memorySize", "0e999999999", 0),
        ("fc_functions", "memorySize", "-9223372036854775808.0", -(2**63)),
        ("fc_functions", "memorySize", '"9223372036854775807"', 2**63 - 1),
        ("fc_functions", "internetAccess", '"true"', True),
        ("fc_functions", "internetAccess", '"false"', False),
        ("fc_functions", "createdTime", "1600000000", utc(2020, 9, 13, 12, 26, 40)),
        ("fc_functions", "createdTime", '"1600000000123"', utc(2020, 9, 13, 12, 26, 40, 123000)),
        ("fc_functions", "createdTime", '"2020-09-13T12:26:40.1234567Z"', utc(2020, 9, 13, 12, 26, 40, 123456)),
    ],
)
def test_what_can_be_read_without_loss_is_read(table, wire, text, expected):
    """F42."""
    page = read_functions(f'{{"functionName":"f","{wire}":{text}}}'.encode())
    row = row_of(page)
    assert row[CATALOG.operations[table].column_names[wire]] == expected
    assert row["_extra"] is None
    is_counted = not (wire == "createdTime" and text == "1600000000")  # a number is one of the forms of an instant
    assert (page.coerced, page.misfits.total()) == (int(is_counted), 0)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("description", "true"),
        ("description", "[]"),
        ("description", '{"a":"x"}'),
        ("memorySize", '"007"'),
        ("memorySize", '"+1"'),
        ("memorySize", '" 1"'),
        ("memorySize", '"１"'),
        ("memorySize", '""'),
        ("memorySize", "512.5"),
        ("memorySize", "9223372036854775808"),
        ("memorySize", "-9223372036854775809"),
        ("memorySize", "1e400"),
        ("memorySize", "1e999999999"),
        ("memorySize", "1e-999999999"),
        ("memorySize", "1e-99999999999999999999"),
        ("memorySize", "12." + "0" * 400 + "1"),
        ("memorySize", "true"),
        ("cpu", '"0.5"'),
        ("cpu", "0.1000000000000000055511151231257828"),
        ("cpu", "1e400"),
        ("cpu", "1e-99999999999999999999"),
        ("cpu", "9007199254740993"),
        ("cpu", "123456789012345678901234567890"),
        ("internetAccess", "1"),
        ("internetAccess", '"True"'),
        ("internetAccess", '"yes"'),
        ("createdTime", '"2006-01-02T15:04:05Z07:00"'),
        ("createdTime", '"2020-09-10 02:45:02"'),
        ("createdTime", "-1"),
        ("createdTime", "1e999999999"),
        ("createdTime", "1e-99999999999999999999"),
        ("createdTime", "true"),
        ("createdTime", '"9999-12-31T23:59:59-00:01"'),
        ("layers", '{"arn":"a"}'),
        ("layers", '"a"'),
        ("customDNS", "[]"),
        ("customDNS", "0"),
        ("gpuConfig", "false"),
    ],
)
def test_what_does_not_fit_is_null_and_stays_in_extra_as_received(wire, text):
    """F42."""
    page = read_functions(f'{{"functionName":"f","{wire}":{text}}}'.encode())
    row = row_of(page)
    assert row[CATALOG.operations["fc_functions"].column_names[wire]] is None
    assert row["_extra"] == f'{{"{wire}":{text}}}'
    assert (page.misfits.total(), page.coerced, page.unknown) == (1, 0, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1.0), ("0.35", 0.35), ("1.10", 1.1), ("1e2", 100.0), ("-0.0", -0.0), ("9007199254740992", 2.0**53)],
)
def test_a_number_that_a_float_holds_exactly_is_one(text, expected):
    page = read_functions(f'{{"functionName":"f","cpu":{text}}}'.encode())
    assert repr(row_of(page)["cpu"]) == repr(expected)
    assert page.misfits.total() == 0


def test_free_form_objects_are_json_text_with_every_digit():
    ranks = b'[{"meta":[{"w":1E5}]},{"meta":"x"}]'
    record = b'{"id":"1","interpretations":{"a":{"b":[1.10,null]},"n":null},"firstRanks":' + ranks + b"}"
    row = row_of(read("opensearch_apps", b'{"result":[' + record + b"]}"))
    assert row["interpretations"] == {"a": '{"b":[1.10,null]}', "n": None}
    assert [rank["meta"] for rank in row["first_ranks"]] == ['[{"w":1E5}]', '"x"']
    assert row["_extra"] is None


def test_secret_free_form_objects_keep_their_nesting():
    parameters = {"auth": {"user": "canary", "port": 3306}, "flag": True, "none": None}
    page = read("opensearch_apps", {"result": [{"id": "1", "dataSources": [{"parameters": parameters}]}]})
    found = row_of(page)["data_sources"][0]["parameters"]
    assert json.loads(found["auth"]) == {"user": fingerprint("canary"), "port": fingerprint("3306")}
    assert (json.loads(found["flag"]), found["none"]) == (fingerprint("true"), None)


def test_kept_secret_objects_keep_their_types():
    page = read(
        "opensearch_apps", {"result": [{"id": "1", "dataSources": [{"parameters": {"p": {"n": 1, "k": PEM}}}]}]}, KEEPS
    )
    found = json.loads(row_of(page)["data_sources"][0]["parameters"]["p"])
    assert found == {"n": 1, "k": fingerprint(PEM)}


@pytest.mark.parametrize(
    ("is_current", "expected", "misfits"), [(True, True, 0), ("true", True, 0), (1, None, 1), (0, None, 1)]
)
def test_a_flag_that_is_documented_as_an_integer_is_no_guess(is_current, expected, misfits):
    page = read("opensearch_apps", {"result": [{"id": 7, "isCurrent": is_current}]})
    assert row_of(page)["is_current"] is expected
    assert page.keys == [("g", "7")]
    assert page.misfits.total() == misfits


def test_epoch_seconds_of_app_groups_and_zero_for_never():
    page = read("opensearch_app_groups", {"result": [{"name": "a", "created": 1600000000, "switchedTime": 0}]})
    row = row_of(page)
    assert (row["created"], row["switched_time"]) == (utc(2020, 9, 13, 12, 26, 40), None)
    assert (row["_extra"], page.coerced) == (None, 0)


def test_a_record_wins_over_a_path_parameter_which_stands_where_it_says_nothing():
    records = [{"instanceName": "a", "functionName": "own"}, {"instanceName": "b"}]
    page = read("opensearch_function_instances", {"result": records})
    assert page.keys == [("g", "own", "a"), ("g", "f", "b")]


# --- _extra ---


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"newFlag": True}, {"newFlag": True}),
        ({"newNull": None}, {"newNull": None}),
        ({"vpcConfig": {"ipv6Enabled": False}}, {"vpcConfig.ipv6Enabled": False}),
        ({"layers": [{}, {}, {"size": "x", "kind": 3}]}, {"layers[2].kind": 3, "layers[2].size": "x"}),
        ({"a.b": 1, "c[0]": 2, 'd"e': 3, "": 4, "$": 5}, {'"a.b"': 1, '"c[0]"': 2, '"d\\"e"': 3, '""': 4, '"$"': 5}),
        ({"new": {"deep": [{"er": 1}], "other": None}}, {"new": {"deep": [{"er": 1}], "other": None}}),
        ({"nasConfig": {"mountPoints": [{"new.x": [1]}]}}, {'nasConfig.mountPoints[0]."new.x"': [1]}),
        ({"customDNS": {"searches": [1.5, {"a": 1}]}}, {"customDNS.searches[1]": {"a": 1}}),
        ({"VpcConfig": {"x": 1}}, {"VpcConfig.x": 1}),
        ({"ünï": 1}, {"ünï": 1}),
    ],
)
def test_extra_has_the_highest_node_that_does_not_fit_under_its_path(fields, expected):
    assert extra_of(read_functions(function(**fields))) == expected


def test_extras_keys_are_sorted_and_its_values_as_received():
    page = read_functions(b'{"functionName":"f","z":{"b":1.10,"a":2},"m":1,"a":123456789012345678901234567890}')
    assert row_of(page)["_extra"] == '{"a":123456789012345678901234567890,"m":1,"z":{"b":1.10,"a":2}}'


def test_text_of_unknown_fields_is_hidden_unless_it_is_asked_for():
    """T08."""
    record = function(new={"key": "canary", "n": 1, "on": True, "none": None, "empty": "", "list": ["canary"]})
    hidden = fingerprint("canary")
    expected = {"key": hidden, "n": 1, "on": True, "none": None, "empty": "", "list": [hidden]}
    assert extra_of(read_functions(record)) == {"new": expected}
    masks = Redaction("mask", "fingerprint", KEY)
    assert extra_of(read_functions(record, redaction=masks))["new"]["key"] == MASK
    assert extra_of(read_functions(record, redaction=Redaction("fingerprint", "keep", KEY))) == {"new": record["new"]}


@pytest.mark.parametrize(
    ("fields", "path", "json_text"),
    [
        ({"environmentVariables": "canary"}, "environmentVariables", '"canary"'),
        ({"environmentVariables": ["canary"]}, "environmentVariables", '["canary"]'),
        ({"environmentVariables": 5}, "environmentVariables", "5"),
        ({"environmentVariables": {"A.B": {"x": "canary"}}}, 'environmentVariables."A.B"', '{"x":"canary"}'),
        ({"customContainerConfig": ["canary"]}, "customContainerConfig", '["canary"]'),
        ({"customRuntimeConfig": {"command": "canary"}}, "customRuntimeConfig.command", '"canary"'),
        ({"customRuntimeConfig": {"args": [["canary"]]}}, "customRuntimeConfig.args[0]", '["canary"]'),
        ({"microSandboxConfig": {"startCommand": True}}, "microSandboxConfig.startCommand", "true"),
        (
            {"customContainerConfig": {"registryConfig": {"certConfig": {"rootCaCertBase64": ["canary"]}}}},
            "customContainerConfig.registryConfig.certConfig.rootCaCertBase64",
            '["canary"]',
        ),
    ],
)
def test_a_node_with_a_secret_that_has_the_wrong_type_is_one_fingerprint(fields, path, json_text):
    """T04."""
    for unknown in ("fingerprint", "keep"):
        page = read_functions(function(**fields), redaction=Redaction("fingerprint", unknown, KEY))
        assert extra_of(page) == {path: fingerprint(json_text)}
        assert page.misfits.total() == 1


def test_a_secret_number_is_text_like_any_and_counted():
    page = read_functions(function(environmentVariables={"PORT": 8080}))
    assert row_of(page)["environment_variables"] == {"PORT": fingerprint("8080")}
    assert (page.coerced, page.misfits.total()) == (1, 0)


def test_a_misfit_without_a_secret_keeps_its_value():
    """F42."""
    assert extra_of(read_functions(function(vpcConfig="vpc-1"))) == {"vpcConfig": "vpc-1"}


@pytest.mark.parametrize("record", [b"null", b"7", b'"canary"', b"[]", b'["canary"]', b"1.50"])
def test_a_record_that_is_no_object_is_a_row_without_a_key(record):
    """F42."""
    page = read_functions(record, function())
    row, _ = page.batch.to_pylist()
    assert row["_extra"] == '{"$":' + record.decode().replace("canary", fingerprint("canary")) + "}"
    assert row["account_id"] == "1000000000000001"
    assert row["function_name"] is None
    assert (page.keys, page.misfits.total(), page.seen) == ([None, ("f",)], 1, 2)


def test_names_in_the_other_case_of_their_first_letter_are_the_same():
    page = read("fc_functions", {"Functions": [{"FunctionName": "f", "VpcConfig": {"VpcId": "v"}}], "NextToken": "t"})
    row = row_of(page)
    assert (row["vpc_config"]["vpc_id"], page.token, row["_extra"]) == ("v", "t", None)


def test_a_field_in_both_cases_keeps_the_second_value_in_extra():
    page = read_functions(function(handler="a", Handler="b", Environment=1))
    assert row_of(page)["handler"] == "a"
    assert extra_of(page)["Handler"] == "b"
    null_first = read_functions(function(handler=None, Handler="b"))
    assert (row_of(null_first)["handler"], extra_of(null_first)) == ("b", None)


def test_a_secret_in_both_cases_is_hidden_in_both():
    """T04."""
    record = function(environmentVariables={"A": "canary"}, EnvironmentVariables={"B": "canary", "C": 12345})
    page = read_functions(record, redaction=Redaction("fingerprint", "keep", KEY))
    assert extra_of(page) == {"EnvironmentVariables": fingerprint('{"B":"canary","C":12345}')}


def test_unknown_paths_are_counted_without_positions():
    layers = [{"new": 1}, {"new": 2}]
    page = read_functions(function(layers=layers, x=1), {"functionName": "g", "x": 2, "vpcConfig": {"y": "z"}})
    assert page.unknown == {"layers[].new": 2, "x": 2, "vpcConfig.y": 1}


def test_unexpected_names_beside_the_list_are_counted():
    page = read("fc_functions", {"functions": [], "requestId": "r", "warnings": ["w"], "a.b": 1})
    assert page.unknown == {"$.warnings": 1, '$."a.b"': 1}
    pascal = read("opensearch_app_groups", {"Result": [], "RequestId": "r", "TotalCount": 0, "Extra": 1})
    assert (pascal.unknown, pascal.total) == ({"$.Extra": 1}, 0)


def test_the_names_that_one_page_adds_have_an_end():
    """F42."""
    page = read_functions(function(**{f"new{number}": number for number in range(3000)}))
    assert len(page.unknown) == 1000
    assert len(extra_of(page)) == 3000


# --- fields that the pages show ---


def test_the_local_times_of_policies_are_instants_of_their_zone():
    start, end = "2030-10-10T10:10:10", "2035-10-10T10:10:10"
    policy = {"name": "s3", "startTime": start, "endTime": end, "timeZone": "Asia/Shanghai"}
    record = {
        "functionArn": "acs:fc:cn-hangzhou:1:functions/f1/LATEST",
        "scheduledActions": [policy, {**policy, "startTime": "2030-10-10T10:10:10Z"}],
        "targetTrackingPolicies": [{**policy, "timeZone": "Nowhere"}],
    }
    page = read("fc_provision_configs", {"provisionConfigs": [record]})
    row = row_of(page)
    times = [(action["start_time"], action["end_time"]) for action in row["scheduled_actions"]]
    assert times == [
        (utc(2030, 10, 10, 2, 10, 10), utc(2035, 10, 10, 2, 10, 10)),
        (utc(2030, 10, 10, 10, 10, 10), utc(2035, 10, 10, 2, 10, 10)),
    ]
    assert row["target_tracking_policies"][0]["start_time"] is None
    assert json.loads(row["_extra"]) == {
        "targetTrackingPolicies[0].endTime": end,
        "targetTrackingPolicies[0].startTime": start,
    }
    assert page.misfits == {"targetTrackingPolicies[].startTime": 1, "targetTrackingPolicies[].endTime": 1}
    assert page.coerced == 0


def test_applications_and_their_versions_have_the_fields_that_their_pages_show():
    group = {
        "name": "shop",
        "versions": ["100302903", "100303063"],
        "resourceGroupId": "rg-acfm",
        "processingOrderId": "",
        "quota": {"qps": 5},
        **{f"{rank}AlgoDeploymentId": 7 for rank in ("firstRank", "secondRank", "pendingSecondRank")},
    }
    page = read("opensearch_app_groups", {"result": [group]})
    row = row_of(page)
    assert (row["versions"], row["resource_group_id"], row["processing_order_id"], row["quota"]["qps"]) == (
        ["100302903", "100303063"],
        "rg-acfm",
        "",
        5,
    )
    assert [row[f"{rank}_algo_deployment_id"] for rank in ("first_rank", "second_rank", "pending_second_rank")] == [
        7
    ] * 3
    app = read("opensearch_apps", {"result": [{"id": "1", "algoDeploymentId": 0, "created": 1590977140}]})
    assert row_of(app)["created"] == utc(2020, 6, 1, 2, 5, 40)
    assert row_of(app)["algo_deployment_id"] == 0
    assert (page.unknown, app.unknown, row["_extra"], row_of(app)["_extra"]) == ({}, {}, None, None)


# --- keys ---


@pytest.mark.parametrize("record", [{}, {"functionName": None}, {"handler": "h"}])
def test_a_record_without_its_key_stays_and_is_counted(record):
    """F42: one record that lacks its key doesn't take the others away, nor is it one with another such record."""
    page = read_functions(function(), record, record)
    assert page.batch.column("function_name").to_pylist() == ["f", None, None]
    assert page.keys == [("f",), None, None]
    assert page.misfits == {"functionName (missing, a part of the key)": 2}
    assert page.digests[0] != page.digests[1] == page.digests[2]
    with pytest.raises(NormalizeError):
        page.parent_keys(["function_name"])


def test_null_in_place_of_a_list_is_an_empty_page_only_after_a_page_with_a_list():
    """F22: a service in Go writes an empty list as null."""
    normalizer = Normalizer(CATALOG.operations["fc_functions"], FINGERPRINTS, "snapshot-1")
    context = RowContext("1000000000000001", "cn-hangzhou", NOW, {})
    for body in (b'{"functions": null}', b'{"functions": null, "nextToken": "t"}'):
        with pytest.raises(PaginationError, match="not a list"):
            normalizer.read(body, context)
        page = normalizer.read(body, context, null_is_empty=True)
        assert (page.seen, page.misfits, page.unknown) == (0, {}, {})
    for body in (b"{}", b'{"functions": {}}', b'{"functions": ""}', b'{"functions": 0}'):
        with pytest.raises(PaginationError):
            normalizer.read(body, context, null_is_empty=True)


@pytest.mark.parametrize("wire", ["functionName", "FunctionName"])
def test_a_key_of_a_wrong_type_is_null_and_stays_in_extra(wire):
    """F42."""
    page = read_functions({wire: {"a": 1}}, {wire: {"a": 2}})
    assert page.batch.column("function_name").to_pylist() == [None, None]
    assert page.batch.column(EXTRA_COLUMN).to_pylist() == [f'{{"{wire}":{{"a":1}}}}', f'{{"{wire}":{{"a":2}}}}']
    assert page.keys == [None, None]  # two records without a key are never one
    assert page.misfits.total() == 2


def test_digests_tell_contents_apart_whatever_the_order_of_fields():
    """F33."""
    texts = [
        b'{"functionName":"f","cpu":1.5,"tags":[{"Key":"a","Value":"b"}]}',
        b'{"tags":[{"Value":"b","Key":"a"}],"cpu":1.5,"functionName":"f"}',
        b'{"functionName":"f","cpu":1.6,"tags":[{"Key":"a","Value":"b"}]}',
        b'{"functionName":"f","cpu":1.5000000000000000001,"tags":[{"Key":"a","Value":"b"}]}',
        b'{"functionName":"f","cpu":"1.5","tags":[{"Key":"a","Value":"b"}]}',
        b'{"functionName":"f","cpu":1.5,"tags":null}',
    ]
    first, same, *others = read_functions(*texts).digests
    assert first == same
    assert len({first, *others}) == 5


def test_digests_tell_secrets_apart_that_are_masked():
    """F33."""
    records = [function(environmentVariables={"A": value}) for value in ("x", "y", "x", "\ud800", 2**70)]
    digests = read_functions(*records, redaction=Redaction("mask", "fingerprint", KEY)).digests
    assert digests[0] == digests[2]
    assert len(set(digests)) == 4


# --- pages that are none ---


@pytest.mark.parametrize(
    "body",
    [
        *(b"null", b"[]", b"{}", b"7", b'"functions"', b'{"function":[]}', b'{"FUNCTIONS":[]}', b'{"functions":null}'),
        *(b'{"functions":{}}', b'{"functions":"[]"}', b'{"functions":0}', b'{"code":"X","message":"m"}', b"[[]]"),
        b'{"functions":[],"functions":[]}',
    ],
)
def test_an_answer_without_its_list_is_a_paging_error(body):
    """F22."""
    with pytest.raises(PaginationError):
        read("fc_functions", body)


@pytest.mark.parametrize(
    "body",
    [
        *(b'{"functions":[],"Functions":[{"functionName":"f"}]}', b'{"functions":[],"nextToken":"a","NextToken":"b"}'),
        *(b'{"functions":[],"nextToken":"a","nextToken":"b"}', b'{"functions":[{"functionName":"f"}],"functions":[]}'),
    ],
)
def test_an_answer_with_two_lists_or_tokens_is_a_paging_error(body):
    """F22."""
    with pytest.raises(PaginationError, match=r"^RepeatedName: The answer has '\w+' twice\.$"):
        read("fc_functions", body)


@pytest.mark.parametrize("body", [b"", b"<html>503</html>", b'{"functions":[NaN]}', b"\xff\xfe", b'{"functions":[]}x'])
def test_an_answer_that_is_no_json_is_transient(body):
    """F22."""
    with pytest.raises(TransientError) as caught:
        read("fc_functions", body)
    assert (caught.value.code, caught.value.http_status) == ("InvalidResponse", 200)


def test_a_page_that_is_cut_anywhere_is_never_rows():
    """F19."""
    records = [function(description=f"é {number}", environmentVariables={"A": "b"}) for number in range(12)]
    body = json.dumps({"functions": records, "nextToken": "t"}, ensure_ascii=False).encode()
    assert 900 < len(body) < 1300
    assert read("fc_functions", body).seen == 12
    for end in range(len(body)):
        with pytest.raises(TransientError):
            read("fc_functions", body[:end])


def test_an_empty_page_has_the_schema_and_no_rows():
    page = read("fc_functions", b'{"functions":[],"nextToken":"t"}')
    assert (page.seen, page.keys, page.digests, page.token) == (0, [], [], "t")


# --- strange values ---


def test_strange_text_and_numbers_are_kept_and_survive_parquet(tmp_path):
    """F43."""
    text = json.dumps(
        {
            **function(description="a\0b", handler="x" * 2**20, runtime="😀\u2028\x7f"),
            "environmentVariables": {"": "", "é.ö": "\0"},
            "big": 2**63,
        }
    )
    bodies = [
        text.encode(),
        b'{"functionName":"s","description":"lone \\ud800","tags":[{"Key":"\\udfff","Value":"v"}]}',
        b'{"functionName":"n","memorySize":9223372036854775808,"cpu":1e400,"timeout":-9223372036854775808}',
        b'{"functionName":"i","codeSize":123456789012345678901234567890,"role":123456789012345678901234567890}',
    ]
    page = read_functions(*bodies, redaction=KEEPS)
    path = tmp_path / "page.parquet"
    pq.write_table(pa.Table.from_batches([page.batch]), path)
    back = pq.read_table(path)
    assert back.to_pylist() == page.batch.to_pylist()
    first, surrogates, numbers, integers = back.to_pylist()
    assert (first["description"], len(first["handler"]), first["runtime"]) == ("a\0b", 2**20, "😀\u2028\x7f")
    assert dict(first["environment_variables"]) == {"": "", "é.ö": "\0"}
    assert json.loads(first["_extra"]) == {"big": 2**63}
    assert (surrogates["description"], surrogates["tags"][0]["key"], surrogates["tags"][0]["value"]) == (
        None,
        None,
        "v",
    )
    assert surrogates["_extra"] == '{"description":"lone \\ud800","tags[0].Key":"\\udfff"}'
    assert numbers["_extra"] == '{"cpu":1e400,"memorySize":9223372036854775808}'
    assert numbers["timeout"] == -(2**63)
    assert integers["_extra"] == '{"codeSize":123456789012345678901234567890}'
    assert integers["role"] == "123456789012345678901234567890"


def test_a_lone_surrogate_in_a_name_is_written_as_its_escape():
    """F43."""
    page = read_functions(b'{"functionName":"f","new\\ud800":1,"juiceFsConfig":{"envs":{"\\ud800":"canary"}}}')
    assert extra_of(page) == {
        '"new\\ud800"': 1,
        "juiceFsConfig.envs": fingerprint('{"\\ud800":"canary"}'),
    }
    assert json.dumps(page.unknown, ensure_ascii=False).encode()
    kept = read("opensearch_apps", b'{"result":[{"id":"1","interpretations":{"a\\ud800":"\\ud801"}}]}', KEEPS)
    assert row_of(kept)["_extra"] == '{"interpretations":{"a\\ud800":"\\ud801"}}'


def test_a_kept_secret_that_no_file_can_hold_goes_to_extra():
    """F43."""
    page = read_functions(b'{"functionName":"f","environmentVariables":{"A":"x\\ud800"}}', redaction=KEEPS)
    assert row_of(page)["environment_variables"] == {"A": None}
    assert row_of(page)["_extra"] == '{"environmentVariables.A":"x\\ud800"}'


@pytest.mark.parametrize("wire", ["new", "environmentVariables", "description", "functionName"])
@pytest.mark.parametrize("depth", [66, 200, 900, 100_000])
def test_a_record_that_is_nested_beyond_measure_fails_the_page(wire, depth):
    """F43, T21."""
    record = f'{{"functionName":"f","{wire}":'.replace('"functionName":"f","functionName"', '"functionName"').encode()
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        with pytest.raises(NormalizeError, match=r"^Excessive: The answer is nested "):
            read_functions(record + opening * depth + b"1" + closing * depth + b"}")


def test_a_record_that_is_nested_within_measure_is_kept_whole():
    """F43."""
    value = b"[" * 60 + b"1" + b"]" * 60
    page = read_functions(b'{"functionName":"f","new":' + value + b"}")
    assert row_of(page)["_extra"] == f'{{"new":{value.decode()}}}'


def test_a_number_of_100000_digits_fails_the_page():
    """F43, T21."""
    with pytest.raises(
        NormalizeError, match=r"^Excessive: The answer is a document with a number of thousands of digits"
    ):
        read_functions(b'{"functionName":"f","codeSize":' + b"9" * 100_000 + b"}")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"functionName":"f","handler":"a","handler":"b"}', {"handler": ["a", "b"]}),
        (b'{"functionName":"f","timeout":1,"timeout":1}', {"timeout": [1, 1]}),
        (b'{"functionName":"f","createdTime":0,"createdTime":null}', {"createdTime": [0, None]}),
        (b'{"functionName":"f","layers":[],"layers":[{}]}', {"layers": [[], [{}]]}),
        (b'{"functionName":"f","gpuConfig":{"gpuType":"a","gpuType":"b"}}', {"gpuConfig.gpuType": ["a", "b"]}),
        (b'{"functionName":"f","new":{"x":1,"x":2}}', {"new": {"x": [1, 2]}}),
        (b'{"functionName":"a","functionName":"b"}', {"functionName": ["a", "b"]}),
    ],
)
def test_a_name_that_a_record_has_twice_keeps_all_its_values(record, expected):
    """F43."""
    page = read_functions(record, redaction=KEEPS)
    assert extra_of(page) == expected
    assert page.misfits.total() + page.unknown.total() == 1


def test_a_secret_that_a_record_has_twice_is_one_fingerprint():
    """F43, T04."""
    page = read_functions(b'{"functionName":"f","environmentVariables":{"A":"canary","A":"x","B":"y"}}')
    assert row_of(page)["environment_variables"] == {"A": None, "B": fingerprint("y")}
    assert extra_of(page) == {"environmentVariables.A": fingerprint('["canary","x"]')}


def test_a_name_twice_within_json_text_goes_to_extra_too():
    sources = b'"dataSources":[{"plugins":{"p":{"c":"x","c":"y"}}}]'
    body = b'{"result":[{"id":"1","interpretations":{"a":{"b":1,"b":2}},' + sources + b"}]}"
    for text in (body, body.replace(b'"x"', b'"\\u0078"')):
        page = read("opensearch_apps", text)
        assert extra_of(page) == {
            "interpretations.a": {"b": [1, 2]},
            "dataSources[0].plugins.p": fingerprint('{"c":["x","y"]}'),
        }
        assert page.misfits.total() == 2


def test_private_keys_and_signed_urls_are_never_written():
    """T02, T06."""
    signed = "https://x.aliyuncs.com/c.zip?Signature=abc"
    record = function(
        description=PEM,
        environmentVariables={"KEY": PEM},
        vpcConfig=signed,
        customDNS={"searches": [signed]},
        new={"k": PEM},
    )
    page = read_functions(record, redaction=KEEPS)
    row, out = row_of(page), written(page.batch)
    assert row["description"] == fingerprint(PEM)
    assert row["environment_variables"] == {"KEY": fingerprint(PEM)}
    assert row["custom_dns"]["searches"] == [fingerprint(signed)]
    assert extra_of(page) == {"vpcConfig": fingerprint(signed), "new": {"k": fingerprint(PEM)}}
    assert b"PRIVATE KEY" not in out
    assert b"Signature=" not in out


def written(batch):
    """Every byte that the batch holds."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


# --- parent keys: the values by which child lists are requested ---


def test_parent_keys_of_columns_are_rows_of_text():
    page = read("fc2_functions", {"functions": [{"functionName": "a"}, {"functionName": "b"}]})
    assert page.parent_keys(["service_name", "function_name"]) == [("s", "a"), ("s", "b")]
    assert page.parent_keys([]) == [(), ()]


def test_parent_keys_of_a_list_are_one_tuple_an_item():
    domains = [
        {"functions": {"algo": ["ctr", "", None, "pop"]}},
        {"functions": None},
        None,
        {"functions": {"algo": []}},
    ]
    records = [{"id": str(number), "domain": domain} for number, domain in enumerate(domains)]
    page = read("opensearch_apps", {"result": records})
    assert page.parent_keys(["id", "domain.functions.algo[]"]) == [("0", "ctr"), ("0", "pop")]
    assert page.parent_keys(["domain.functions.algo[]"]) == [("ctr",), ("pop",)]


def test_f157_a_row_without_an_optional_name_has_no_list():
    """F160: only where the path ends with `?`."""
    domains = [{"name": "a"}, {"name": ""}, {"name": None}, {}, None]
    records = [{"id": str(number), "domain": domain} for number, domain in enumerate(domains)]
    page = read("opensearch_apps", {"result": records})
    assert page.parent_keys(["id", "domain.name?"]) == [("0", "a")]
    assert page.parent_keys(["description?"]) == []
    with pytest.raises(NormalizeError, match="ParentNameless"):
        page.parent_keys(["domain.name"])


@pytest.mark.parametrize("nameless", [{"functionName": {"wrong": 1}}, "no object", {"functionName": ""}])
def test_a_row_without_the_name_that_its_list_is_asked_for_with_is_an_error(nameless):
    page = read_functions(function(), nameless)
    with pytest.raises(NormalizeError, match="ParentNameless"):
        page.parent_keys(["function_name"])


def test_a_number_is_bound_as_its_decimal_text():
    page = read("opensearch_apps", {"result": [{"id": "1", "progressPercent": 83}]})
    assert page.parent_keys(["progress_percent"]) == [("83",)]


def test_parent_keys_of_a_slice_are_the_slices():
    page = read_functions(*(function(functionName=name) for name in "abcd"))
    page.rows = ReadyBatch(page.batch.slice(1, 2))
    assert page.parent_keys(["function_name"]) == [("b",), ("c",)]


# Pages with far more records than were asked for


def many(number, record=b'{"functionName":"f%d","functionId":"i"}', name=b"functions"):
    records = b",".join(record % n if b"%d" in record else record for n in range(number))
    return b'{"%s":[%s]}' % (name, records)


@pytest.mark.parametrize("is_fast", [True, False])
def test_a_page_with_far_more_records_than_were_asked_for_is_refused(is_fast):
    """T46: on both paths, and before a row is made."""
    operation = CATALOG.operations["fc_functions"]
    context = RowContext("1000000000000001", "cn-hangzhou", NOW, {})
    normalizer = Normalizer(operation, FINGERPRINTS, "snapshot-1", is_fast=is_fast)
    assert normalizer.read(many(10_000), context).seen == 10_000
    with pytest.raises(NormalizeError, match="Excessive: The answer has 10001 records; a page may have 10000"):
        normalizer.read(many(10_001), context)


@pytest.mark.parametrize("record", [b"1", b"{}", b"[]", b"null", b'""'])
def test_a_page_of_a_million_nothings_is_refused_within_the_bounds_of_memory(record):
    """T46."""
    body = many(10**6, record)
    tracemalloc.start()
    try:
        with pytest.raises(NormalizeError, match="Excessive"):
            read("fc_functions", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_a_list_that_is_asked_for_whole_may_be_longer():
    """T46: no page size was sent, so there is none to compare with."""
    [table] = [name for name, found in CATALOG.operations.items() if not found.paging.limit_key][:1]
    operation = CATALOG.operations[table]
    assert most_records(operation.paging) == 100_000
    assert most_records(CATALOG.operations["fc_functions"].paging) == 10_000
    assert most_records(Paging("token", limit_key="limit", limit=5000)) == 50_000
