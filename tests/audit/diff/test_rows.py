"""Which rows are the same, and which of their values differ: nested columns, keys with holes, rows without keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from crawler.audit.diff import join, parts
from crawler.emulator.data.seeded import DESCRIPTIONS
from tests.support.diff_fakes import (
    FIRST,
    HERE,
    TABLE,
    Night,
    Scope,
    changed,
    compared,
    compared_rows,
    names,
    schema_of,
)

VPC = pa.struct([pa.field("vpc_id", pa.string()), pa.field("switches", pa.list_(pa.string()))])
LAYER = pa.struct([pa.field("arn", pa.string()), pa.field("size", pa.int64())])
NESTED = schema_of(
    "name",
    pa.field("memory", pa.int64()),
    pa.field("cpu", pa.float64()),
    pa.field("is_public", pa.bool_()),
    pa.field("modified", pa.timestamp("us", tz="UTC")),
    pa.field("vpc", VPC),
    pa.field("layers", pa.list_(LAYER)),
    pa.field("variables", pa.map_(pa.string(), pa.string())),
    pa.field("rules", pa.map_(pa.string(), LAYER)),
)
ROW = {
    "name": "f",
    "memory": 512,
    "cpu": 0.5,
    "is_public": True,
    "modified": datetime(2026, 11, 20, 8, 0, 0, 42_000, tzinfo=UTC),
    "vpc": {"vpc_id": "vpc-1", "switches": ["a", "b"]},
    "layers": [{"arn": "one", "size": 1}, {"arn": "two", "size": 2}],
    "variables": [("A", "1"), ("B.C", "2")],
    "rules": [("x", {"arn": "one", "size": 1})],
}


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        pytest.param("memory", 1024, {"memory": (512, 1024)}, id="a number"),
        pytest.param("memory", None, {"memory": (512, None)}, id="a number that is null now"),
        pytest.param("cpu", 0.35, {"cpu": (0.5, 0.35)}, id="a fraction"),
        pytest.param("is_public", False, {"is_public": (True, False)}, id="a flag"),
        pytest.param(
            "modified",
            datetime(2026, 11, 21, tzinfo=UTC),
            {"modified": ("2026-11-20T08:00:00.042000Z", "2026-11-21T00:00:00Z")},
            id="an instant",
        ),
        pytest.param(
            "vpc",
            {"vpc_id": "vpc-2", "switches": ["a", "b"]},
            {"vpc.vpc_id": ("vpc-1", "vpc-2")},
            id="a field of a struct",
        ),
        pytest.param(
            "vpc",
            {"vpc_id": "vpc-1", "switches": ["b", "a"]},
            {"vpc.switches": (["a", "b"], ["b", "a"])},
            id="a list in another order",
        ),
        pytest.param(
            "vpc", None, {"vpc": ({"vpc_id": "vpc-1", "switches": ["a", "b"]}, None)}, id="no struct any more"
        ),
        pytest.param(
            "vpc",
            {"vpc_id": None, "switches": None},
            {"vpc.vpc_id": ("vpc-1", None), "vpc.switches": (["a", "b"], None)},
            id="a struct of nulls",
        ),
        pytest.param(
            "layers",
            [{"arn": "one", "size": 1}, {"arn": "two", "size": 3}],
            {"layers[1].size": (2, 3)},
            id="a field in a list",
        ),
        pytest.param(
            "layers",
            [{"arn": "two", "size": 2}],
            {"layers": ([{"arn": "one", "size": 1}, {"arn": "two", "size": 2}], [{"arn": "two", "size": 2}])},
            id="a shorter list",
        ),
        pytest.param("layers", [], {"layers": (ROW["layers"], [])}, id="an empty list"),
        pytest.param("layers", None, {"layers": (ROW["layers"], None)}, id="no list any more"),
        pytest.param(
            "variables",
            [("A", "1"), ("B.C", "3"), ("D", "4")],
            {'variables."B.C"': ("2", "3"), "variables.D": (None, "4")},
            id="values of a map",
        ),
        pytest.param("variables", [("A", "1")], {'variables."B.C"': ("2", None)}, id="a key that a map has lost"),
        pytest.param("variables", None, {"variables": ({"A": "1", "B.C": "2"}, None)}, id="no map any more"),
        pytest.param(
            "rules", [("x", {"arn": "one", "size": 9})], {"rules.x.size": (1, 9)}, id="a field in a map's value"
        ),
        pytest.param("_extra", '{"newName":7}', {"_extra.newName": (None, 7)}, id="a field that nobody knows"),
    ],
)
def test_a_changed_value_is_told_by_its_path(tmp_path, column, value, said):
    found = compared_rows(tmp_path, NESTED, [ROW], [{**ROW, column: value}])
    assert changed(found) == said
    assert (found["added"], found["removed"]) == ([], [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param("variables", [("B.C", "2"), ("A", "1")], id="a map"),
        pytest.param("_extra", '{"b":{"y":1,"x":2},"a":1}', id="what nobody knows"),
    ],
)
def test_another_order_of_names_is_no_change(tmp_path, column, value):
    before = {**ROW, "_extra": '{"a":1,"b":{"x":2,"y":1}}'}
    after = {**before, column: value}
    assert before[column] != after[column]
    assert compared_rows(tmp_path, NESTED, [before], [after])["changed"] == []


@pytest.mark.parametrize("pair", [("1", "true"), ("1", "1.0"), ("1", '"1"'), ("null", "0"), ("0", "false")])
def test_values_that_python_takes_for_the_same_are_told_apart(tmp_path, pair):
    rows = [{**ROW, "_extra": f'{{"odd":{value}}}'} for value in pair]
    assert list(changed(compared_rows(tmp_path, NESTED, [rows[0]], [rows[1]]))) == ["_extra.odd"]


@pytest.mark.parametrize("text", DESCRIPTIONS, ids=range(len(DESCRIPTIONS)))
def test_names_of_any_kind_are_keys(tmp_path, text):
    found = compared_rows(tmp_path, NESTED, [{**ROW, "name": text}, ROW], [{**ROW, "name": text, "memory": 1}, ROW])
    assert [change["key"]["name"] for change in found["changed"]] == [text]


def test_a_key_may_have_a_part_that_is_null(tmp_path):
    schema = schema_of("name", "qualifier", "status")
    old = [{"name": "a", "qualifier": None, "status": "x"}, {"name": "a", "qualifier": "prod", "status": "x"}]
    new = [{"name": "a", "qualifier": None, "status": "y"}, {"name": "b", "qualifier": None, "status": "x"}]
    found = compared_rows(tmp_path, schema, old, new, key=("name", "qualifier"), optional=("qualifier",))
    where = {"account_id": FIRST, "region_id": HERE}
    assert found["added"] == [{**where, "name": "b", "qualifier": None}]
    assert found["removed"] == [{**where, "name": "a", "qualifier": "prod"}]
    assert [change["key"] for change in found["changed"]] == [{**where, "name": "a", "qualifier": None}]


def test_rows_that_lack_their_key_are_told_apart_by_all_that_they_hold(tmp_path):
    old = [{**ROW, "name": None, "_extra": f'{{"name":[{number}]}}'} for number in (1, 2, 2)]
    new = [{**ROW, "name": None, "_extra": f'{{"name":[{number}]}}'} for number in (2, 3)]
    found = compared_rows(tmp_path, NESTED, [*old, ROW], [*new, {**ROW, "memory": 1}])
    assert [item["_extra"] for item in found["added"]] == [{"name": [3]}]
    assert [item["_extra"] for item in found["removed"]] == [{"name": [1]}, {"name": [2]}]
    assert [change["key"]["name"] for change in found["changed"]] == ["f"]


def test_a_key_that_comes_twice_says_nothing_of_which_row_it_is(tmp_path):
    old = [ROW, {**ROW, "memory": 1}]
    new = [{**ROW, "memory": 1}, {**ROW, "memory": 2}]
    found = compared_rows(tmp_path, NESTED, old, new)
    assert ([item["memory"] for item in found["added"]], [item["memory"] for item in found["removed"]]) == ([2], [512])
    assert found["changed"] == []


def test_rows_without_a_key_count(tmp_path):
    schema = schema_of("word", pa.field("weights", pa.map_(pa.string(), pa.int64())))
    same = {"word": "a", "weights": [("x", 1), ("y", 2)]}
    turned = {"word": "a", "weights": [("y", 2), ("x", 1)]}
    old = [same, same, same, {"word": "b", "weights": None}]
    new = [turned, {"word": "c", "weights": None}, {"word": "c", "weights": None}]
    found = compared_rows(tmp_path, schema, old, new, key=())
    where = {"account_id": FIRST, "region_id": HERE}
    assert found["added"] == [{**where, "word": "c"}] * 2
    assert found["removed"] == [{**where, "word": "a", "weights": {"x": 1, "y": 2}}] * 2 + [{**where, "word": "b"}]
    assert found["changed"] == []


def test_a_table_that_the_catalog_does_not_know_is_compared_by_what_its_rows_hold(tmp_path):
    found = compared_rows(tmp_path, schema_of("name"), [{"name": "a"}], [{"name": "b"}], key=("no_such_column",))
    assert (names(found["added"]), names(found["removed"])) == (["b"], ["a"])


def test_differences_come_in_the_order_of_their_keys_whatever_the_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "BATCH_ROWS", 3)
    schema = schema_of("name")
    regions = [f"cn-{letter}" for letter in "edcba"]
    numbers = range(7, -1, -1)
    old = Night({TABLE: schema}, [Scope([{"name": "stays"}], region=region) for region in regions])
    rows = [{"name": f"n{number}"} for number in numbers] + [{"name": "stays"}]
    new = Night({TABLE: schema}, [Scope(rows, region=region) for region in regions])
    found = compared(tmp_path, old, new)["tables"][TABLE]
    expected = [(region, f"n{number}") for region in sorted(regions) for number in sorted(numbers)]
    assert [(item["region_id"], item["name"]) for item in found["added"]] == expected


@pytest.mark.parametrize("key", [("name",), ()])
def test_a_batch_that_needs_more_memory_than_the_limit_has_its_differences_all_the_same(tmp_path, monkeypatch, key):
    """A scope of a million wide rows can't be divided."""
    asked = []
    monkeypatch.setattr(join, "_SETTINGS", {**join._SETTINGS, "memory_limit": "4MB"})
    connect = join.session
    monkeypatch.setattr(join, "session", lambda *arguments: asked.append(arguments[2]) or connect(*arguments))
    schema = schema_of("name", "text")
    rows = [{"name": f"n{number:05}", "text": f"{number}" * 40} for number in range(20_000)]
    found = compared_rows(tmp_path, schema, rows[1:], [*rows[:-1], {"name": "n19999", "text": "other"}], key=key)
    assert [found.get("memory_limit") for found in asked] == ["4MB", None]
    numbers = [len(found[kind]) for kind in ("added", "removed", "changed")]
    assert numbers == ([1, 0, 1] if key else [2, 1, 0])
