"""Every file under `schemas/`, against the house's rules and against the official SDK packages that are installed."""

from __future__ import annotations

import inspect
import re
import tomllib
import typing
from datetime import date
from functools import cache

import pytest
from alibabacloud_fc20230330.client import Client as FcClient
from alibabacloud_fc_open20210406.client import Client as FcOpenClient
from alibabacloud_opensearch20171225.client import Client as OpenSearchClient
from alibabacloud_tea_openapi.utils_models import Config

from crawler.catalog import load_catalog, schemas_folder
from crawler.columns import snake_case

CLIENTS = {"fc": FcClient, "fc-open": FcOpenClient, "opensearch": OpenSearchClient}
CATALOG = load_catalog()
TABLES = sorted(CATALOG.operations)
FILES = {
    path.relative_to(schemas_folder()).as_posix(): path
    for path in sorted(schemas_folder().rglob("*.toml"))
    if path.name != "errors.toml"
}
TABLE_FILES = [name for name in FILES if not name.endswith("/product.toml")]
ENVELOPE = {"requestId", "code", "message", "status", "httpCode", "latency"}

# Where a column isn't declared as the SDK's model has it: table → wire path → (ours, the SDK's, why).
TIME = ("timestamp", "string", "a time as text, in several forms")
EPOCH = ("timestamp", "integer", "epoch seconds")
TIMES = {"createdTime": TIME, "lastModifiedTime": TIME}
DIFFERENCES = {
    "fc_functions": {
        **TIMES,
        "invocationRestriction.lastModifiedTime": TIME,
        "lockInfo.lockedAt": TIME,
    },
    "fc2_functions": TIMES,
    "fc2_services": TIMES,
    "fc2_function_async_invoke_configs": TIMES,
    "opensearch_app_groups": {"created": EPOCH, "updated": EPOCH, "switchedTime": EPOCH},
    "opensearch_function_instances": {"CreateTime": EPOCH},
}

# Query parameters that the SDK has and the catalog leaves out, so that a new one is seen: filters, all of them.
FILTERS = {
    "fc_functions": {
        *("description", "functionName", "gpuType", "prefix", "resourceGroupId", "runtime", "tags"),
    },
    "fc2_functions": {"prefix", "qualifier", "startKey"},
    "fc2_services": {"prefix", "startKey"},
    "fc2_instances": {"instanceIds", "qualifier"},
    "opensearch_app_groups": {"instanceId", "name", "resourceGroupId", "sortBy", "tags", "type"},
    "opensearch_function_instances": {"functionType", "modelType"},
}

# Wire paths of all that is secret; `.*` is every value below, `[]` every item.
SECRETS = {
    "fc_functions": {
        "environmentVariables.*",
        "customContainerConfig.registryConfig.*",
        "microSandboxConfig.registryConfig.*",
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
    },
    "fc2_functions": {
        "environmentVariables.*",
        "customRuntimeConfig.command[]",
        "customRuntimeConfig.args[]",
        "customContainerConfig.args",
        "customContainerConfig.command",
    },
    "fc2_services": {"tracingConfig.params.*"},
    "opensearch_apps": {"dataSources[].parameters.*", "dataSources[].plugins.*"},
    "opensearch_function_instances": {"CreateParameters[].Value", "UsageParameters[].Value"},
}


def raw(name):
    return tomllib.loads(FILES[name].read_text("utf-8"))


def table_of(name):
    return CATALOG.operations[raw(name)["table"]["name"]]


# --- the house's rules ---


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
    file = raw(name)
    assert re.fullmatch(r"https://(www\.)?(alibabacloud\.com|help\.aliyun\.com)/[!-~]+", file["source"])
    assert type(file["checked"]) is date
    assert file["checked"].isoformat() == table_of(name).checked
    assert table_of(name).action.lower() in file["source"]


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_key_is_of_columns_that_the_table_has(name):
    operation = table_of(name)
    assert set(operation.key) <= set(operation.schema.names)
    assert set(operation.parameter_columns.values()) <= set(operation.schema.names)


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_page_has_the_size_that_the_documentation_allows(name):
    operation = table_of(name)
    expected = {"token": 100, "page-number": 100, "limit-only": 1000, "none": 0}[operation.paging.style]
    assert operation.paging.limit == expected


@pytest.mark.parametrize("name", TABLE_FILES)
def test_titles_and_descriptions_are_a_line_without_a_full_stop(name):
    file = raw(name)
    assert file["table"]["title"][0].isupper()
    for text in (file["table"]["title"], *file["descriptions"].values()):
        assert 5 < len(text) < 100
        assert text == text.strip()
        assert "\n" not in text
        assert not text.endswith(".")


@pytest.mark.parametrize("name", TABLE_FILES)
def test_a_ram_action_is_of_the_product(name):
    operation = table_of(name)
    assert re.fullmatch(r"(fc|opensearch):[A-Z][A-Za-z]+", operation.ram)
    assert operation.ram.split(":")[0] == operation.product.removesuffix("-open")


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

    check(raw(name)["columns"])


# --- the official SDK ---


@cache
def calls(product):
    """Action → the source of the SDK method that makes the call, and its response class."""
    found = {}
    for name, method in inspect.getmembers(CLIENTS[product], inspect.isfunction):
        if name.endswith("_with_options"):
            source = inspect.getsource(method)
            found[re.search(r"action\s*=\s*'(\w+)'", source)[1]] = source, typing.get_type_hints(method)["return"]
    return found


def fields_of(model):
    """Wire name → annotation of an SDK model's field, from its constructor and the source of its `from_map`."""
    hints = typing.get_type_hints(model.__init__)
    source = inspect.getsource(model.from_map)
    pairs = re.findall(r"if m\.get\('([^']+)'\) is not None:.*?self\.(\w+)", source, re.DOTALL)
    assert {attribute for _, attribute in pairs} == hints.keys() - {"return"}, model
    return {wire: hints[attribute] for wire, attribute in pairs}


def sdk_tree(hint):
    """An annotation in the words of the schema files."""
    plain = {str: "string", int: "integer", float: "number", bool: "boolean", typing.Any: "json"}
    if hint in plain:
        return plain[hint]
    if typing.get_origin(hint) is list:
        return [sdk_tree(typing.get_args(hint)[0])]
    if typing.get_origin(hint) is dict:
        return f"map<{sdk_tree(typing.get_args(hint)[1])}>"
    return {wire: sdk_tree(inner) for wire, inner in fields_of(hint).items()}


def our_tree(column):
    if column.kind == "struct":
        return {child.wire: our_tree(child) for child in column.children}
    if column.kind == "list":
        return [our_tree(column.children[0])]
    return f"map<{column.children[0].kind}>" if column.kind == "map" else column.kind


def differences(ours, theirs, path=""):
    """Wire path → (ours, theirs) wherever the two trees aren't the same; None for what is missing."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = {}
        for wire in {*ours, *theirs}:
            found |= differences(ours.get(wire), theirs.get(wire), f"{path}.{wire}" if path else wire)
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        return differences(ours[0], theirs[0], f"{path}[]")
    return {} if ours == theirs else {path: (ours, theirs)}


@pytest.mark.parametrize("table", TABLES)
def test_path_and_version_are_the_sdks(table):
    operation = CATALOG.operations[table]
    source, _ = calls(operation.product)[operation.action]
    path = re.search(r"pathname\s*=\s*f?'([^']+)'", source)[1]
    path = re.sub(r"\{[\w.]+\((\w+)\)\}", r"{\1}", path)
    assert re.sub(r"\{(\w+)\}", lambda match: f"{{{snake_case(match[1])}}}", operation.path) == path
    assert re.search(r"version\s*=\s*'([^']+)'", source)[1] == operation.version
    assert re.search(r"method\s*=\s*'(\w+)'", source)[1] == "GET"
    assert re.search(r"style\s*=\s*'(\w+)'", source)[1] == CATALOG.products[operation.product].style


@pytest.mark.parametrize("table", TABLES)
def test_query_parameters_are_the_sdks(table):
    operation = CATALOG.operations[table]
    source, _ = calls(operation.product)[operation.action]
    paging = {name for name in (operation.paging.input_key, operation.paging.limit_key) if name}
    assert {*operation.query, *paging} | FILTERS.get(table, set()) == set(re.findall(r"query\['(\w+)'\]", source))


@pytest.mark.parametrize("table", TABLES)
def test_records_have_the_fields_of_the_sdks_model(table):
    operation = CATALOG.operations[table]
    body = fields_of(typing.get_type_hints(calls(operation.product)[operation.action][1].__init__)["body"])
    [records] = operation.records
    ours = {column.wire: our_tree(column) for column in operation.columns}
    expected = {path: (here, there) for path, (here, there, _) in DIFFERENCES.get(table, {}).items()}
    assert differences(ours, sdk_tree(body.pop(records))[0]) == expected
    known = {operation.paging.output_key, operation.paging.total_key, *operation.envelope}
    assert {name for name in body if name not in known and name[0].lower() + name[1:] not in ENVELOPE} == set()


@pytest.mark.parametrize("product", CLIENTS)
def test_hosts_are_the_sdks(product):
    client = CLIENTS[product](Config(access_key_id="x", access_key_secret="y", region_id="cn-hangzhou"))
    theirs = {region.strip(): host.strip() for region, host in client._endpoint_map.items()}
    ours = CATALOG.products[product].endpoints
    assert {region: host.replace("{account_id}", "account-id") for region, host in ours.items()} == theirs


@pytest.mark.parametrize("product", [key for key in CLIENTS if CATALOG.products[key].regions])
def test_the_list_of_regions_is_where_the_sdk_has_it(product):
    operation = CATALOG.products[product].regions
    source, response = calls(product)[operation.action]
    assert re.search(r"pathname\s*=\s*f?'([^']+)'", source)[1] == operation.path
    node = sdk_tree(typing.get_type_hints(response.__init__)["body"])
    for step in operation.records:
        node = node[step]
    assert node[0][operation.id] == "string"


def test_a_product_without_a_list_of_regions_has_none_in_the_sdk():
    without = [key for key in CLIENTS if not CATALOG.products[key].regions]
    assert without == ["fc-open"]
    assert not any("Region" in action for key in without for action in calls(key))


# --- secrets ---


def secret_paths(column, path):
    if column.secret:
        yield path
    if column.kind == "map":
        yield from secret_paths(column.children[0], f"{path}.*")
    elif column.kind == "list":
        yield from secret_paths(column.children[0], f"{path}[]")
    for child in column.children if column.kind == "struct" else ():
        yield from secret_paths(child, f"{path}.{child.wire}")


def leaf_paths(column, path):
    """The paths of all scalars below a column."""
    if column.kind == "struct":
        for child in column.children:
            yield from leaf_paths(child, f"{path}.{child.wire}")
    else:
        yield {"list": f"{path}[]", "map": f"{path}.*"}.get(column.kind, path)


@pytest.mark.parametrize("table", TABLES)
def test_exactly_what_is_known_to_be_secret_is_marked_so(table):
    columns = {column.wire: column for column in CATALOG.operations[table].columns}
    marked = {path for wire, column in columns.items() for path in secret_paths(column, wire)}
    expected = set()
    for path in SECRETS.get(table, ()):
        first, *steps = path.removesuffix(".*").split(".")
        node = columns.get(first)
        for step in steps:
            node = next((child for child in node.children if child.wire == step), None) if node else None
        is_whole_struct = path.endswith(".*") and node is not None and node.kind == "struct"
        expected |= set(leaf_paths(node, path.removesuffix(".*"))) if is_whole_struct else {path}
    assert marked == expected
