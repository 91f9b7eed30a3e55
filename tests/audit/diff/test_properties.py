"""Any two small snapshots, compared with an oracle that follows the definition."""

from __future__ import annotations

import tempfile
from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot import Status, has_rows, is_whole
from tests.support.diff_fakes import FIRST, HERE, SECOND, TABLE, THERE, Night, Scope, compared, schema_of
from tests.support.examples import examples

SCHEMA = schema_of(
    "name",
    "part",
    pa.field("number", pa.int64()),
    pa.field("nest", pa.struct([pa.field("text", pa.string()), pa.field("items", pa.list_(pa.int64()))])),
)
TEXTS = st.sampled_from([None, "", "a", "b", "null", "é", "a.b"])
NUMBERS = st.none() | st.integers(-1, 2)
ROWS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", "", "'"]),
        "part": st.sampled_from([None, "", "x"]),
        "number": NUMBERS,
        "nest": st.none() | st.fixed_dictionaries({"text": TEXTS, "items": st.none() | st.lists(NUMBERS, max_size=2)}),
    }
)
KEYED_ROWS = st.lists(ROWS, max_size=6, unique_by=lambda row: (row["name"], row["part"]))
PLACES = [(FIRST, HERE), (FIRST, THERE), (SECOND, HERE)]


def nights(rows):
    """Scopes of one table, in some of the places, each as whole as it may be, and one at least written."""
    scope = st.tuples(st.sampled_from(Status), st.booleans() | st.just(True), rows)
    scopes = st.fixed_dictionaries({}, optional=dict.fromkeys(PLACES, scope))
    return scopes.filter(lambda found: any(written for _, written, _ in found.values()))


def written(night):
    scopes = [
        Scope(rows, account=account, region=region, status=status, written=is_written)
        for (account, region), (status, is_written, rows) in night.items()
    ]
    return Night({TABLE: SCHEMA}, scopes)


def is_known(night, where):
    return where in night and night[where][1] and is_whole(night[where][0])


def kept(night, where):
    """The rows that the snapshot has of a scope."""
    status, is_written, rows = night.get(where, (Status.FAILED, False, []))
    return rows if is_written and has_rows(status) else []


def keyed(where, row):
    return {"account_id": where[0], "region_id": where[1], "name": row["name"], "part": row["part"]}


def frozen(value):
    if isinstance(value, dict):
        return tuple((name, frozen(item)) for name, item in sorted(value.items()) if item is not None)
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def told(found, kind):
    return Counter(frozen(item) for item in found[kind])


def compare_nights(old, new, key):
    with tempfile.TemporaryDirectory() as folder:
        return compared(folder, written(old), written(new), key=key, optional=("part",))["tables"][TABLE]


def check_unknown(found, old, new):
    unknown = [
        where for where in PLACES if where in {*old, *new} and not (is_known(old, where) and is_known(new, where))
    ]
    assert [(scope["account_id"], scope["region_id"]) for scope in found["unknown_scopes"]] == sorted(unknown)


@settings(max_examples=examples(25))
@given(nights(KEYED_ROWS), nights(KEYED_ROWS))
def test_rows_with_a_key_differ_as_their_definition_says(old, new):
    found = compare_nights(old, new, ("name", "part"))
    added, removed, changed = [], [], {}
    for where in PLACES:
        before = {(row["name"], row["part"]): row for row in kept(old, where)}
        after = {(row["name"], row["part"]): row for row in kept(new, where)}
        if is_known(old, where):
            added += [keyed(where, row) for key, row in after.items() if key not in before]
        if is_known(old, where) and is_known(new, where):
            removed += [keyed(where, row) for key, row in before.items() if key not in after]
        for key in before.keys() & after.keys():
            if before[key] != after[key]:
                changed[frozen(keyed(where, before[key]))] = (before[key], after[key])
    assert told(found, "added") == Counter(map(frozen, added))
    assert told(found, "removed") == Counter(map(frozen, removed))
    assert {frozen(change["key"]) for change in found["changed"]} == changed.keys()
    for change in found["changed"]:
        before, after = changed[frozen(change["key"])]
        for path, values in change["columns"].items():
            assert values == [_at(before, path), _at(after, path)]
            assert values[0] != values[1]
        assert {path.partition(".")[0] for path in change["columns"]} == {
            name for name in before if before[name] != after[name]
        }
    check_unknown(found, old, new)


def _at(row, path):
    name, _, inner = path.partition(".")
    return row[name][inner] if inner else row[name]


@settings(max_examples=examples(25))
@given(nights(st.lists(ROWS, max_size=6)), nights(st.lists(ROWS, max_size=6)))
def test_rows_without_a_key_count_as_often_as_they_come(old, new):
    found = compare_nights(old, new, ())
    added, removed = Counter(), Counter()
    for where in PLACES:
        place = {"account_id": where[0], "region_id": where[1]}
        before, after = (Counter(frozen({**place, **row}) for row in kept(night, where)) for night in (old, new))
        if is_known(old, where):
            added += after - before
        if is_known(old, where) and is_known(new, where):
            removed += before - after
    # The report omits a row's own nulls and shows the nulls inside its values.
    assert told(found, "added") == added
    assert told(found, "removed") == removed
    assert found["changed"] == []
    check_unknown(found, old, new)
