"""Checks every file under `schemas/` against the project's rules; `sdk/test_check.py` compares them with the SDK."""

from __future__ import annotations

import re
import tomllib
from datetime import date

import pytest
from alibabacloud_fc20230330.client import Client as FcClient
from alibabacloud_fc_open20210406.client import Client as FcOpenClient
from alibabacloud_opensearch20171225.client import Client as OpenSearchClient

from crawler.catalog import load_catalog, schemas_folder
from crawler.catalog.columns import snake_case

CATALOG = load_catalog()
TABLES = sorted(CATALOG.operations)
FILES = {
    path.relative_to(schemas_folder()).as_posix(): path
    for path in sorted(schemas_folder().rglob("*.toml"))
    if path.name != "errors.toml"
}
TABLE_FILES = [name for name in FILES if not name.endswith("/product.toml")]
RAW = {name: tomllib.loads(path.read_text("utf-8")) for name, path in FILES.items()}

# Wire paths of all that is secret; `.*` is every value below, `[]` every item. From the threat model, by operation.
FUNCTION_SECRETS = {
    "environmentVariables.*",
    "customContainerConfig.registryConfig.authConfig.*",
    "customContainerConfig.registryConfig.certConfig.rootCaCertBase64",
    "microSandboxConfig.registryConfig.authConfig.*",
    "microSandboxConfig.registryConfig.certConfig.rootCaCertBase64",
    "microSandboxConfig.startCommand",
    "microSandboxConfig.readyCommand",
    "tracingConfig.params.*",
    "customRuntimeConfig.command[]",
    "customRuntimeConfig.args[]",
    "customContainerConfig.command[]",
    "customContainerConfig.entrypoint[]",
    "instanceLifecycleConfig.initializer.command[]",
    "instanceLifecycleConfig.preStop.command[]",
    "juiceFsConfig.envs.*",
    "juiceFsConfig.mountPoints[].token",
    "juiceFsConfig.mountPoints[].args[]",
    "polarFsConfig.mountPoints[].extraOptions",
}
TRIGGER_SOURCES = "triggerConfig.eventSourceConfig.eventSourceParameters"
TRIGGER_SECRETS = {
    "triggerConfig.authConfig",
    "triggerConfig.payload",
    "triggerConfig.functionParameter.*",
    f"{TRIGGER_SOURCES}.sourceDTSParameters.Username",
    f"{TRIGGER_SOURCES}.sourceDTSParameters.Password",
    f"{TRIGGER_SOURCES}.sourceRocketMQParameters.InstanceUsername",
    f"{TRIGGER_SOURCES}.sourceRocketMQParameters.InstancePassword",
}
SECRETS = {
    "fc_async_tasks": {"taskPayload", "returnPayload", "events[].eventDetail"},
    "fc_custom_domains": {"certConfig.privateKey", "certConfig.certificate", "authConfig.authInfo"},
    "fc_functions": FUNCTION_SECRETS,
    "fc_layer_versions": {"code.location"},
    "fc_layers": {"code.location"},
    "fc_sessions": {
        "trafficAccessToken",
        "network.rules.*[].transform.headerValueReplacements[].placeholder",
        "network.rules.*[].transform.headerValueReplacements[].value",
        "network.rules.*[].transform.headers.*",
        "juiceFsConfig.envs.*",
        "juiceFsConfig.mountPoints[].token",
        "juiceFsConfig.mountPoints[].args[]",
        "polarFsConfig.mountPoints[].extraOptions",
    },
    "fc_snapshots": {"envs.*", "startCommand", "readyCommand"},
    "fc_triggers": TRIGGER_SECRETS,
    "fc2_custom_domains": {"certConfig.privateKey", "certConfig.certificate"},
    "fc2_functions": {
        "environmentVariables.*",
        "customRuntimeConfig.command[]",
        "customRuntimeConfig.args[]",
        "customContainerConfig.args",
        "customContainerConfig.command",
    },
    "fc2_layer_versions": {"code.location"},
    "fc2_layers": {"code.location"},
    "fc2_services": {"tracingConfig.params.*"},
    "fc2_stateful_async_invocations": {"invocationPayload", "returnPayload", "events[].eventDetail"},
    "fc2_triggers": TRIGGER_SECRETS,
    "opensearch_ab_test_experiments": {"params.*"},
    "opensearch_apps": {"dataSources[].parameters.*", "dataSources[].plugins.*"},
    "opensearch_function_instances": {"CreateParameters[].Value", "UsageParameters[].Value"},
    "opensearch_function_resources": {"Data.Content"},
}


def table_of(name):
    return CATALOG.operations[RAW[name]["table"]["name"]]


# --- the house's rules ---


@pytest.mark.parametrize(
    ("product", "client"), [("fc", FcClient), ("fc-open", FcOpenClient), ("opensearch", OpenSearchClient)]
)
def test_every_list_operation_of_a_product_has_a_table(product, client):
    methods = {name.removesuffix("_with_options") for name in dir(client) if re.match("list_.*_with_options$", name)}
    ours = [op.action for op in CATALOG.operations.values() if op.product == product and op.action.startswith("List")]
    assert {re.sub("[^a-z]", "", method) for method in methods} == {action.lower() for action in ours}
    assert len(ours) == len(methods) == {"fc": 17, "fc-open": 18, "opensearch": 34}[product]


def test_what_is_not_inventory_is_not_on_by_default():
    """T07."""
    chosen = {op.table: op.selection for op in CATALOG.operations.values() if op.selection != "default"}
    assert chosen == {
        **dict.fromkeys(("fc_async_tasks", "fc_instances", "fc_sessions"), "opt-in"),
        **dict.fromkeys(("fc2_reserved_capacities", "fc2_stateful_async_invocations"), "opt-in"),
        "opensearch_function_tasks": "opt-in",
        "opensearch_proceedings": "opt-in",
        "opensearch_query_processor_ners": "opt-in",
        "opensearch_slow_query_categories": "opt-in",
        "opensearch_slow_query_queries": "opt-in",
        "opensearch_statistic_logs": "opt-in",
        "opensearch_statistic_report": "opt-in",
        "opensearch_tag_resources": "opt-in",
        "opensearch_data_source_table_fields": "out",
        "opensearch_data_source_tables": "out",
        "opensearch_intervention_dictionary_ner_results": "out",
        "opensearch_query_processor_analyzer_results": "out",
    }


def test_parents_go_up_to_five_levels():
    way = "opensearch_ab_test_fixed_flow_dividers"
    assert CATALOG.depth(way) == 4
    assert CATALOG.with_parents([way]) == (
        "opensearch_app_groups",
        "opensearch_ab_test_scenes",
        "opensearch_ab_test_groups",
        "opensearch_ab_test_experiments",
        way,
    )


@pytest.mark.parametrize("name", FILES)
def test_a_file_lies_in_the_folder_of_its_product_and_version(name):
    product, version, _ = name.split("/")
    assert CATALOG.products[product].version == version


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_table_is_named_after_its_file_and_its_operation(name):
    operation = table_of(name)
    prefix, stem = CATALOG.products[operation.product].prefix, name.split("/")[-1].removesuffix(".toml")
    verb = re.match("List|Describe", operation.action)
    assert operation.table == prefix + stem == prefix + snake_case(operation.action.removeprefix(verb[0]))


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_file_names_the_page_that_it_was_checked_against(name):
    file, action = RAW[name], table_of(name).action
    is_page = re.fullmatch(r"https://(www\.)?(alibabacloud\.com|help\.aliyun\.com)/[!-~]+", file["source"])
    is_old_page = re.fullmatch(r"https://help\.aliyun\.com/document_detail/\d+\.html?", file["source"])
    is_package = re.fullmatch(r"https://www\.npmjs\.com/package/@alicloud/[a-z0-9]+", file["source"])
    assert is_package or is_old_page or (is_page and action.lower() in file["source"])
    assert type(file["checked"]) is date
    assert file["checked"].isoformat() == table_of(name).checked


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_key_is_of_columns_that_the_table_has(name):
    operation = table_of(name)
    assert set(operation.key) <= set(operation.schema.names)
    assert set(operation.parameter_columns.values()) <= set(operation.schema.names)


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_key_holds_what_tells_a_list_from_its_siblings(name):
    """Two parents may have children of one name: their names must be in the key, unless a record's own field is."""
    operation = table_of(name)
    own = set(operation.column_names.values())
    needed = {column for column in operation.parameter_columns.values() if column not in own}
    assert not operation.key or needed <= set(operation.key)


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_page_is_as_large_as_the_documentation_allows(name):
    paging = table_of(name).paging
    allowed = {"token": {100, 0}, "version": {100}, "page-number": {100}, "limit-only": {1000, 100}, "none": {0}}
    assert paging.limit in allowed[paging.style]


@pytest.mark.parametrize("name", TABLE_FILES)
def test_titles_reasons_and_descriptions_are_a_line_without_a_full_stop(name):
    file = RAW[name]
    assert file["table"]["title"][0].isupper()
    texts = [
        file["table"]["title"],
        *file.get("descriptions", {}).values(),
        *filter(None, [file["table"].get("reason")]),
    ]
    texts += [difference["reason"] for difference in file.get("differences", {}).values()]
    for text in texts:
        assert 5 <= len(text) <= 110, text
        assert text == text.strip()
        assert "\n" not in text
        assert not text.endswith(".")


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_ram_action_is_of_the_product(name):
    operation = table_of(name)
    assert re.fullmatch(r"(fc|opensearch):[A-Z][A-Za-z]+", operation.ram)
    assert operation.ram.split(":")[0] == operation.product.removesuffix("-open")
    assert operation.ram not in {"fc:GetFunctionCode", "fc:InvokeFunction"}


@pytest.mark.parametrize("name", TABLE_FILES)
def test_columns_are_in_the_order_of_their_names(name):
    def check(columns):
        if isinstance(columns, dict):
            plain = [wire for wire, node in columns.items() if isinstance(node, str)]
            assert plain == sorted(plain, key=str)
            for node in columns.values():
                check(node)
        elif isinstance(columns, list):
            check(columns[0])

    check(RAW[name]["columns"])


@pytest.mark.parametrize("table", TABLES)
def test_a_time_is_a_timestamp(table):
    """A column named like a time is a timestamp, unless it is a time span or the file gives a reason."""
    moments = re.compile(r"(created|updated|modified|switched)$|Time(Ms)?$|^gmt")
    spans = {"sessionIdleTimeoutInSeconds", "maxRetryTime", "timeout"}
    excused = {("opensearch_sort_scripts", "createTime"), ("opensearch_sort_scripts", "modifyTime")}
    for path, column in leaves_of(CATALOG.operations[table]):
        wire = path.split(".")[-1].removesuffix("[]")
        if moments.search(wire) and wire not in spans and (table, wire) not in excused and not column.secret:
            assert column.kind == "timestamp", path


# --- secrets ---


def leaves(column, path):
    """(path, column) of every scalar below a column."""
    if column.kind == "struct":
        for child in column.children:
            yield from leaves(child, f"{path}.{child.wire}")
    elif column.kind in {"list", "map"}:
        yield from leaves(column.children[0], path + ("[]" if column.kind == "list" else ".*"))
    else:
        yield path, column


def leaves_of(operation):
    for column in operation.columns:
        yield from leaves(column, column.wire)


def is_below(path, pattern):
    return path == pattern or (pattern.endswith(".*") and path.startswith(pattern[:-1]))


@pytest.mark.parametrize("table", TABLES)
def test_exactly_what_is_known_to_be_secret_is_marked_so(table):
    """T01, T03, T05, T07."""
    found = dict(leaves_of(CATALOG.operations[table]))
    patterns = SECRETS.get(table, set())
    expected = {path for path in found if any(is_below(path, pattern) for pattern in patterns)}
    assert {path for path, column in found.items() if column.secret} == expected
    assert all(any(is_below(path, pattern) for path in found) for pattern in patterns), "a secret that is no column"


@pytest.mark.parametrize("table", TABLES)
def test_what_is_named_like_a_secret_is_one(table):
    """T01, T08."""
    # The words of a text that was analysed, and which way a function gets its credentials.
    harmless = {"tokens[].token", "token", "disableInjectCredentials"}
    named = re.compile(r"password|passwd|secret|credential|privatekey|accesskey|token$", re.IGNORECASE)
    for path, column in leaves_of(CATALOG.operations[table]):
        if named.search(path.split(".")[-1].removesuffix("[]")) and path not in harmless and column.kind != "boolean":
            assert column.secret, path
