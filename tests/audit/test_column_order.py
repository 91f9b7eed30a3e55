"""Readers see first whose row it is: account, region and key, in every view and export."""

from __future__ import annotations

import pytest

from crawler.audit.column_order import catalog_keys, reader_columns
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from tests.support.written_snapshots import CATALOG, write

ORIGIN = ["snapshot_id", "fetched_at"]


@pytest.mark.parametrize("table", sorted(CATALOG.operations))
def test_every_table_begins_with_account_region_and_key(table):
    operation = CATALOG.operations[table]
    found = reader_columns(operation.schema.names, operation.key)
    begin = ["account_id", "region_id", *operation.key, *ORIGIN]
    assert found[: len(begin)] == begin
    assert found[len(begin) :] == [name for name in operation.schema.names if name not in begin]


def test_a_column_that_is_not_there_is_left_out_and_none_comes_twice():
    assert reader_columns(["b", "region_id", "a"], ["a", "gone", "region_id"]) == ["region_id", "a", "b"]


def test_without_a_key_the_order_is_that_of_the_files():
    for operation in CATALOG.operations.values():
        assert reader_columns(operation.schema.names, ()) == operation.schema.names


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    triggers = [{"function_name": "f", "trigger_name": "t"}]
    return write(tmp_path_factory.mktemp("order") / "out", {"fc_triggers": triggers, "opensearch_sort_expressions": []})


@pytest.mark.parametrize("sql", ["FROM fc_triggers", "SELECT * FROM fc_triggers", "SELECT t.* FROM fc_triggers AS t"])
def test_the_views_of_a_query_begin_with_the_key(snapshot, sql):
    with run_query(snapshot, sql, TableNames(snapshot, lambda: catalog_keys(CATALOG))) as rows:
        names = rows.schema.names
    assert names[:6] == ["account_id", "region_id", "function_name", "trigger_name", *ORIGIN]
    assert sorted(names) == sorted(CATALOG.operations["fc_triggers"].schema.names)


@pytest.mark.parametrize("sql", ["DESCRIBE fc_triggers", "SUMMARIZE fc_triggers"])
def test_the_description_of_a_table_has_the_same_order(snapshot, sql):
    with run_query(snapshot, sql, TableNames(snapshot, lambda: catalog_keys(CATALOG))) as rows:
        names = [row["column_name"] for batch in rows.batches for row in batch.to_pylist()]
    assert names[:4] == ["account_id", "region_id", "function_name", "trigger_name"]


@pytest.mark.parametrize("keys", [{}, {"fc_triggers": ("gone",)}])
def test_a_table_whose_key_is_not_known_has_the_order_of_its_files(snapshot, keys):
    """A table of a user's own, or of another version."""
    with run_query(snapshot, "FROM fc_triggers", TableNames(snapshot, lambda: keys)) as rows:
        assert rows.schema.names == CATALOG.operations["fc_triggers"].schema.names
