"""Releases add columns: a column that only one side has does not change every row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.support.diff_fakes import changed, compared_rows, names, schema_of, wired

OLD = schema_of("name", "runtime", pa.field("vpc", pa.struct([wired("vpc_id", "vpcId", pa.string())])))
WIDER = pa.struct([wired("vpc_id", "vpcId", pa.string()), wired("role", "role", pa.string())])
LATER = "only the newer snapshot has it"
EARLIER = "only the older snapshot has it"


def test_a_column_of_a_newer_release_changes_no_row(tmp_path):
    new = schema_of("name", "runtime", wired("cpu", "cpu", pa.float64()), OLD.field("vpc"))
    found = compared_rows(tmp_path, (OLD, new), [{"name": "a"}], [{"name": "a", "cpu": 0.5}])
    assert (found["added"], found["removed"], found["changed"]) == ([], [], [])
    assert found["not_compared"] == {"cpu": LATER}
    assert "unknown_columns" not in found


def test_a_null_is_not_a_column_that_is_not_there(tmp_path):
    found = compared_rows(tmp_path, OLD, [{"name": "a", "runtime": None}], [{"name": "a", "runtime": "go1"}])
    assert changed(found) == {"runtime": (None, "go1")}


def test_what_both_releases_have_is_compared(tmp_path):
    new = schema_of("name", "handler", "runtime")
    rows = [{"name": "a", "runtime": "go1"}, {"name": "gone"}], [{"name": "a", "runtime": "java11"}, {"name": "new"}]
    found = compared_rows(tmp_path, (OLD, new), *rows)
    assert changed(found) == {"runtime": ("go1", "java11")}
    assert (names(found["added"]), names(found["removed"])) == (["new"], ["gone"])
    assert found["not_compared"] == {"handler": LATER, "vpc": EARLIER}


@pytest.mark.parametrize(
    ("column", "wrap"),
    [
        pytest.param("vpc", lambda kind: kind, id="struct"),
        pytest.param("vpc[]", pa.list_, id="list"),
        pytest.param("vpc.*", lambda kind: pa.map_(pa.string(), kind), id="map"),
        pytest.param("vpc.*[]", lambda kind: pa.map_(pa.string(), pa.list_(kind)), id="map of lists"),
    ],
)
@pytest.mark.parametrize("is_later", [True, False])
def test_so_is_a_field_within_a_column(tmp_path, column, wrap, is_later):
    def row(name, value):
        item = {"list": [value], "struct": value, "map": [("k", value)], "map of lists": [("k", [value])]}
        return {"name": name, "vpc": item[kind]}

    kind = {"vpc": "struct", "vpc[]": "list", "vpc.*": "map", "vpc.*[]": "map of lists"}[column]
    schemas = [schema_of("name", pa.field("vpc", wrap(inner))) for inner in (OLD.field("vpc").type, WIDER)]
    rows = [
        [row("same", {"vpc_id": "v"}), row("other", {"vpc_id": "v"}), {"name": "none", "vpc": None}],
        [row("same", {"vpc_id": "v", "role": "r"}), row("other", {"vpc_id": "w", "role": "r"}), {"name": "none"}],
    ]
    if not is_later:
        schemas.reverse()
        rows.reverse()
    found = compared_rows(tmp_path, tuple(schemas), *rows)
    [change] = found["changed"]
    assert change["key"]["name"] == "other"
    [path] = change["columns"]
    assert path.endswith(".vpc_id")
    assert change["columns"][path] == (["v", "w"] if is_later else ["w", "v"])
    assert found["not_compared"] == {f"{column}.role": LATER if is_later else EARLIER}


def test_what_was_in_extra_and_is_a_column_now_is_no_change(tmp_path):
    new = schema_of(
        "name", "runtime", wired("idle_timeout", "idleTimeout", pa.int64()), wired("vpc", "vpcConfig", WIDER)
    )
    old = schema_of("name", "runtime", wired("vpc", "vpcConfig", OLD.field("vpc").type))
    extra = '{"IdleTimeout":60,"vpcConfig.role":"hmac:0123456789abcdef","other":1}'
    before = [{"name": "a", "_extra": extra}, {"name": "b", "_extra": '{"idleTimeout":60}'}]
    after = [
        {"name": "a", "idle_timeout": 60, "vpc": {"role": "r"}, "_extra": '{"other":2}'},
        {"name": "b", "idle_timeout": 60},
    ]
    found = compared_rows(tmp_path, (old, new), before, after)
    assert [change["key"]["name"] for change in found["changed"]] == ["a"]
    assert changed(found)["_extra.other"] == (1, 2)
    assert "_extra.IdleTimeout" not in changed(found)
    assert "_extra.vpcConfig.role" not in changed(found)


def test_in_a_table_without_keys_neither(tmp_path):
    new = schema_of("word", wired("idle_timeout", "idleTimeout", pa.int64()))
    rows = [{"word": "a", "_extra": '{"idleTimeout":60}'}], [{"word": "a", "idle_timeout": 60}]
    found = compared_rows(tmp_path, (schema_of("word"), new), *rows, key=())
    assert (found["added"], found["removed"], found["changed"]) == ([], [], [])


def test_a_column_of_another_type_is_not_compared(tmp_path):
    new = schema_of("name", pa.field("runtime", pa.int64()), pa.field("vpc", pa.string()))
    rows = [{"name": "a", "runtime": "1"}, {"name": "b"}], [{"name": "a", "runtime": 1}]
    found = compared_rows(tmp_path, (OLD, new), *rows)
    assert (names(found["removed"]), found["changed"]) == (["b"], [])
    assert found["not_compared"] == {"runtime": "its type differs", "vpc": "its type differs"}


def test_a_key_of_another_type_tells_nothing_apart(tmp_path):
    new = schema_of(pa.field("name", pa.int64()), "runtime")
    found = compared_rows(tmp_path, (OLD, new), [{"name": "1", "runtime": "go1"}], [{"name": 1, "runtime": "go1"}])
    assert (found["added"], found["removed"], found["changed"]) == ([], [], [])
    assert found["not_compared"]["name"] == "its type differs"


def test_values_that_are_made_anew_for_every_answer_are_left_out(tmp_path):
    code = pa.struct([pa.field("location", pa.string()), pa.field("kind", pa.string())])
    schema = schema_of("name", pa.field("code", code), "etag")
    old = [{"name": name, "code": {"location": "signed-1", "kind": "OSS"}, "etag": "1"} for name in ("a", "b")]
    new = [
        {"name": "a", "code": {"location": "signed-2", "kind": "OSS"}, "etag": "2"},
        {"name": "b", "code": {"location": "signed-2", "kind": "NAS"}, "etag": "2"},
    ]
    found = compared_rows(tmp_path, schema, old, new, volatile=("code.location", "etag"))
    assert changed(found) == {"code.kind": ("OSS", "NAS")}
    assert "not_compared" not in found
