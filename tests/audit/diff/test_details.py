"""Rows with details on one side only: fields that only the details have are neither removed nor added."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.support.diff_fakes import changed, compared_rows, schema_of

LOG = pa.struct([pa.field("project", pa.string()), pa.field("store", pa.string())])
SCHEMA = schema_of("name", "runtime", "state", pa.field("log", LOG), "details_status")
LISTED = {"name": "a", "runtime": "go1", "log": {"project": "p"}}
FETCHED = {**LISTED, "state": "Active", "log": {"project": "p", "store": "s"}, "details_status": "fetched"}
WHY = "details were fetched on one side only"


@pytest.mark.parametrize("status", [None, "denied", "failed", "vanished"])
@pytest.mark.parametrize("is_later", [True, False])
def test_what_only_details_tell_is_unknown_where_one_side_lacks_them(tmp_path, status, is_later):
    rows = [[{**LISTED, "details_status": status}], [FETCHED]]
    found = compared_rows(tmp_path, SCHEMA, *(rows if is_later else reversed(rows)))
    assert found["changed"] == []
    assert found["unknown_columns"] == {"state": WHY, "log.store": WHY}


def test_what_both_sides_tell_is_compared_all_the_same(tmp_path):
    found = compared_rows(tmp_path, SCHEMA, [{**LISTED, "runtime": "java11"}], [FETCHED])
    assert changed(found) == {"runtime": ("java11", "go1")}


def test_what_the_list_had_and_the_details_have_no_more_is_gone(tmp_path):
    found = compared_rows(tmp_path, SCHEMA, [LISTED], [{**FETCHED, "runtime": None}])
    assert changed(found) == {"runtime": ("go1", None)}


def test_with_details_on_both_sides_every_value_counts(tmp_path):
    found = compared_rows(tmp_path, SCHEMA, [FETCHED], [{**FETCHED, "state": None}])
    assert changed(found) == {"state": ("Active", None)}
    assert "unknown_columns" not in found


def test_the_status_of_details_is_no_change_of_the_resource(tmp_path):
    rows = [{**LISTED, "details_status": "denied"}], [{**LISTED, "details_status": "failed"}]
    assert compared_rows(tmp_path, SCHEMA, *rows)["changed"] == []
