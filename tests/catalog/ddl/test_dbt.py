"""The dbt sources: valid YAML, a source for each table, with the descriptions and the tests of the key."""

from __future__ import annotations

import yaml

from crawler.catalog.ddl.dbt import sources_text
from tests.support.ddl_scripts import CATALOG, TABLES, request

TEXT = sources_text(request("duckdb").tables, "acs_inventory", "1.2.3")
[SOURCE] = yaml.safe_load(TEXT)["sources"]
TABLE = {table["name"]: table for table in SOURCE["tables"]}


def test_every_table_is_a_source_over_its_view():
    assert list(TABLE) == TABLES
    assert {name: table["identifier"] for name, table in TABLE.items()} == {name: f"{name}_latest" for name in TABLES}
    assert (SOURCE["name"], SOURCE["schema"]) == ("acs_inventory", "acs_inventory")
    assert TEXT.startswith("# acs-inventory 1.2.3\n")


def test_every_column_is_listed_with_its_description():
    for described in request("duckdb").tables:
        found = {column["name"]: column.get("description", "") for column in TABLE[described.name]["columns"]}
        assert found == {name: described.comments[name] for name in described.order}
        assert TABLE[described.name]["description"] == described.title
        assert list(found) == list(described.order)


def test_key_is_tested():
    for name, operation in CATALOG.operations.items():
        tested = {column["name"]: column["data_tests"] for column in TABLE[name]["columns"] if "data_tests" in column}
        warned = [{"not_null": {"config": {"severity": "warn"}}}]
        needed = dict.fromkeys([key for key in operation.key if key not in operation.optional_key], warned)
        assert tested == {"account_id": ["not_null"], "region_id": ["not_null"], **needed}
        tests = TABLE[name].get("data_tests", [])
        assert len(tests) == (1 if operation.key else 0)
        for test in tests:
            joined = test["unique"]["arguments"]["column_name"]
            assert all(key in joined for key in ("account_id", "region_id", *operation.key))


def test_number_in_a_key_is_cast():
    [test] = TABLE["fc_layer_versions"]["data_tests"]
    joined = test["unique"]["arguments"]["column_name"]
    assert joined == "concat(account_id, '|', region_id, '|', layer_name, '|', cast(version as string))"
