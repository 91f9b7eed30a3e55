"""A row that isn't there is gone only where both sides were read whole: P5, F40."""

from __future__ import annotations

import pytest

from crawler.snapshot import Status
from tests.support.diff_fakes import FIRST, HERE, SECOND, TABLE, THERE, Night, Scope, compared, names, schema_of

SCHEMA = schema_of("name", "runtime")
ROWS_OLD = [{"name": "stays", "runtime": "go1"}, {"name": "goes", "runtime": "go1"}]
ROWS_NEW = [{"name": "stays", "runtime": "java11"}, {"name": "comes", "runtime": "go1"}]
CHANGED = {"account_id": FIRST, "region_id": HERE, "name": "stays"}


def night(*scopes, tables=(TABLE,)):
    return Night(dict.fromkeys(tables, SCHEMA), scopes)


def compared_with(tmp_path, old, new):
    """Compare scopes of `ROWS_OLD` and `ROWS_NEW` with these statuses, next to an empty complete scope."""
    scopes = [
        [Scope(rows, status=status), Scope(account=SECOND)] for rows, status in ((ROWS_OLD, old), (ROWS_NEW, new))
    ]
    return compared(tmp_path, night(*scopes[0]), night(*scopes[1]))["tables"][TABLE]


def test_whole_on_both_sides_everything_is_told(tmp_path):
    found = compared_with(tmp_path, Status.COMPLETE, Status.COMPLETE)
    assert found == {
        "added": [{"account_id": FIRST, "region_id": HERE, "name": "comes"}],
        "removed": [{"account_id": FIRST, "region_id": HERE, "name": "goes"}],
        "changed": [{"key": CHANGED, "columns": {"runtime": ["go1", "java11"]}}],
        "unknown_scopes": [],
    }


@pytest.mark.parametrize("status", [Status.DENIED, Status.FAILED, Status.NOT_ATTEMPTED])
@pytest.mark.parametrize("side", ["older", "newer"])
def test_where_one_side_has_no_rows_nothing_is_told_but_that(tmp_path, status, side):
    sides = (status, Status.COMPLETE) if side == "older" else (Status.COMPLETE, status)
    found = compared_with(tmp_path, *sides)
    unknown = [{"account_id": FIRST, "region_id": HERE, "status": str(status)}]
    assert found == {"added": [], "removed": [], "changed": [], "unknown_scopes": unknown}


@pytest.mark.parametrize("status", [Status.TRUNCATED, Status.UNSTABLE])
def test_of_a_list_that_is_not_whole_now_additions_and_changes_are_facts(tmp_path, status):
    found = compared_with(tmp_path, Status.COMPLETE, status)
    assert (names(found["added"]), found["removed"]) == (["comes"], [])
    assert [change["key"] for change in found["changed"]] == [CHANGED]
    assert found["unknown_scopes"] == [{"account_id": FIRST, "region_id": HERE, "status": str(status)}]


@pytest.mark.parametrize("status", [Status.TRUNCATED, Status.UNSTABLE])
def test_of_a_list_that_was_not_whole_before_only_changes_are(tmp_path, status):
    found = compared_with(tmp_path, status, Status.COMPLETE)
    assert (found["added"], found["removed"]) == ([], [])
    assert [change["key"] for change in found["changed"]] == [CHANGED]
    assert found["unknown_scopes"] == [{"account_id": FIRST, "region_id": HERE, "status": str(status)}]


def test_where_both_sides_have_gaps_the_newer_one_says_why(tmp_path):
    found = compared_with(tmp_path, Status.DENIED, Status.FAILED)
    assert [scope["status"] for scope in found["unknown_scopes"]] == ["failed"]


def test_a_product_that_is_not_offered_is_known_to_have_nothing(tmp_path):
    found = compared_with(tmp_path, Status.UNSUPPORTED, Status.COMPLETE)
    assert (names(found["added"]), found["unknown_scopes"]) == (["comes", "stays"], [])


def test_a_table_that_no_scope_of_one_side_has_a_file_of_is_compared_all_the_same(tmp_path):
    old = night(Scope(status=Status.UNSUPPORTED))
    found = compared(tmp_path, old, night(Scope(ROWS_NEW)))["tables"][TABLE]
    assert (names(found["added"]), found["removed"], found["unknown_scopes"]) == (["comes", "stays"], [], [])


def test_a_table_that_is_nowhere_offered_any_more_has_lost_its_rows(tmp_path):
    new = night(Scope(status=Status.UNSUPPORTED))
    found = compared(tmp_path, night(Scope(ROWS_OLD)), new)["tables"][TABLE]
    assert (names(found["removed"]), found["added"], found["unknown_scopes"]) == (["goes", "stays"], [], [])


def test_an_account_that_only_one_side_planned_is_unknown_and_not_gone(tmp_path):
    both = Scope(ROWS_OLD)
    found = compared(tmp_path, night(both, Scope(ROWS_OLD, account=SECOND)), night(both))["tables"][TABLE]
    assert (found["added"], found["removed"], found["changed"]) == ([], [], [])
    assert found["unknown_scopes"] == [{"account_id": SECOND, "region_id": HERE, "status": "not_planned"}]


def test_a_region_that_is_new_in_the_plan_is_unknown_and_not_new(tmp_path):
    both = Scope(ROWS_OLD)
    found = compared(tmp_path, night(both), night(both, Scope(ROWS_NEW, region=THERE)))["tables"][TABLE]
    assert (found["added"], found["removed"], found["changed"]) == ([], [], [])
    assert found["unknown_scopes"] == [{"account_id": FIRST, "region_id": THERE, "status": "not_planned"}]


def test_a_table_that_only_one_side_planned_is_unknown(tmp_path):
    more = night(Scope(ROWS_OLD), Scope(ROWS_OLD, table="fc_layers"), tables=(TABLE, "fc_layers"))
    found = compared(tmp_path, more, night(Scope(ROWS_OLD)))["tables"]
    unknown = [{"account_id": FIRST, "region_id": HERE, "status": "not_planned"}]
    assert found["fc_layers"] == {"added": [], "removed": [], "changed": [], "unknown_scopes": unknown}
    assert found[TABLE]["unknown_scopes"] == []


def test_a_parent_that_was_walked_and_not_written_is_unknown(tmp_path):
    old = night(Scope(ROWS_OLD, written=False), Scope(table="fc_layers"), tables=(TABLE, "fc_layers"))
    new = night(Scope(ROWS_NEW), Scope(table="fc_layers"), tables=(TABLE, "fc_layers"))
    found = compared(tmp_path, old, new)["tables"][TABLE]
    assert (found["added"], found["removed"], found["changed"]) == ([], [], [])
    assert found["unknown_scopes"] == [{"account_id": FIRST, "region_id": HERE, "status": "not_written"}]


def test_a_parent_that_neither_side_wrote_is_not_among_the_tables(tmp_path):
    scopes = (Scope(ROWS_OLD, written=False), Scope(table="fc_layers"))
    found = compared(tmp_path, night(*scopes, tables=("fc_layers",)), night(*scopes, tables=("fc_layers",)))
    assert list(found["tables"]) == ["fc_layers"]


def test_the_same_name_elsewhere_is_another_resource(tmp_path):
    old = night(Scope(ROWS_OLD), Scope(account=SECOND))
    new = night(Scope(), Scope(ROWS_OLD, account=SECOND))
    found = compared(tmp_path, old, new)["tables"][TABLE]
    assert [item["account_id"] for item in found["added"]] == [SECOND, SECOND]
    assert [item["account_id"] for item in found["removed"]] == [FIRST, FIRST]


def test_volatile_columns_are_no_change(tmp_path):
    same = night(Scope(ROWS_OLD))
    found = compared(tmp_path, same, same)
    assert found["tables"][TABLE] == {"added": [], "removed": [], "changed": [], "unknown_scopes": []}
    assert (found["from"], found["to"]) == ("20261121T020000Z-00aa", "20261122T020000Z-00bb")
