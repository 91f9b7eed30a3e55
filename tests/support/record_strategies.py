"""Hypothesis strategies for records, and for small changes to them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from hypothesis import strategies as st

from crawler.catalog import load_catalog
from crawler.catalog.model import WHOLE_ANSWER
from crawler.normalizer.redaction import Redaction

CATALOG = load_catalog()
# The tables of lists: an answer that is the one record itself has no list.
LISTS = sorted(table for table, operation in CATALOG.operations.items() if operation.records != WHOLE_ANSWER)
KEEPS = Redaction("keep", "keep", b"k" * 32)
HIDES = [Redaction("fingerprint", "fingerprint", b"k" * 32), Redaction("mask", "fingerprint", None)]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
names = st.one_of(st.sampled_from(["new", "a.b", "x[0]", "", "$", "*", '"q"']), texts)
floats = st.floats(allow_nan=False, allow_infinity=False)
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.isoformat() + "Z")


leaves = st.one_of(
    *(st.none(), st.booleans(), st.integers(), floats, texts, st.integers().map(str), instants),
    st.sampled_from(["", "true", "false", "0", 0, 0.0, 1e300, 2**63, -(2**63), 2**63 - 1, "007", "12", 12.0]),
)


junk = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)


scalars = {
    "string": texts,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": floats,
    "boolean": st.booleans(),
    "timestamp": instants,
    "json": st.one_of(st.booleans(), st.integers(), texts, st.lists(texts, max_size=2), st.dictionaries(texts, texts)),
}


@st.composite
def fitting(draw, column, string=texts):
    """A value as declared. `string` gives the text of secret leaves."""
    if column.is_embedded:
        return json.dumps(draw(fitting(replace(column, is_embedded=False), string)))
    if column.kind == "struct":
        chosen = draw(st.sets(st.sampled_from(column.children), max_size=4))
        return {child.wire: draw(fitting(child, string)) for child in column.children if child in chosen}
    if column.kind == "list":
        item = st.none() | fitting(column.children[0], string)
        return draw(st.lists(item, max_size=2))
    if column.kind == "map":
        return draw(st.dictionaries(texts, st.none() | fitting(column.children[0], string), max_size=2))
    if column.secret and column.kind in {"string", "json"}:
        return draw(string)
    return draw(scalars[column.kind])


@st.composite
def records(draw, operation, string=texts):
    """A record with its key and some of its other fields."""
    key = {wire for wire, name in operation.column_names.items() if name in operation.key}
    others = st.sets(st.sampled_from([column.wire for column in operation.columns]), max_size=5)
    chosen = key | draw(others)
    return {column.wire: draw(fitting(column, string)) for column in operation.columns if column.wire in chosen}


def places(value, path=()):
    """Every node of a JSON value, by the steps that lead to it."""
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in members:
        yield from places(inner, (*path, step))


def changed(value, path, new):
    """The value with another at a place."""
    if not path:
        return new
    step, *rest = path
    inner = changed(value[step], rest, new)
    if isinstance(value, dict):
        return {**value, step: inner}
    return [*value[:step], inner, *value[step + 1 :]]


def node_at(value, path):
    for step in path:
        value = value[step]
    return value


@st.composite
def mutated(draw, value, replacement):
    """The value with a few nodes below its top replaced, and fields added to a few objects."""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(list(places(value))))
        node = node_at(value, place)
        if isinstance(node, dict) and draw(st.booleans()):
            value = changed(value, place, {**node, draw(names): draw(replacement)})
        elif place:
            value = changed(value, place, draw(replacement))
    return value


# --- pages that the fast path reads ---

layouts = st.sampled_from(
    [
        {"separators": (",", ":"), "ensure_ascii": False},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"indent": 1, "sort_keys": True},
        {"separators": (" , ", " : "), "ensure_ascii": False},
    ]
)


def body_of(value, layout):
    return json.dumps(value, **layout).encode()


@st.composite
def plain(draw, column):
    """A typical value, which the fast path should read."""
    if column.is_embedded and column.kind != "json":
        inner = draw(plain(replace(column, is_embedded=False)))
        return draw(st.sampled_from(["", body_of(inner, draw(layouts)).decode()]))
    if column.kind == "json" or (column.secret and column.kind in ("number", "timestamp")):
        return None
    if column.kind == "struct":
        chosen = draw(st.sets(st.sampled_from(column.children), max_size=4))
        return {child.wire: draw(st.none() | plain(child)) for child in column.children if child in chosen}
    if column.kind == "list":
        return draw(st.lists(st.none() | plain(column.children[0]), max_size=3))
    if column.kind == "map":
        return draw(st.dictionaries(texts, plain(column.children[0]), max_size=3))
    if column.kind == "timestamp":
        return draw(moments)
    if column.kind == "number":
        return draw(st.integers(-(10**14), 10**14) | st.decimals(0, 1000, places=3).map(float))
    return draw({"string": texts, "integer": st.integers(-(2**63), 2**63 - 1), "boolean": st.booleans()}[column.kind])


moments = st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30)).flatmap(
    lambda at: st.sampled_from(
        [
            at.isoformat(timespec="minutes") + "Z",
            at.isoformat(timespec="seconds") + "Z",
            at.isoformat(timespec="milliseconds") + "Z",
            at.isoformat(" ", timespec="microseconds") + "Z",
            at.isoformat(timespec="seconds") + "+08:00",
            at.isoformat(timespec="milliseconds") + "-0130",
            "",
        ]
    )
)


@st.composite
def plain_records(draw, operation):
    wires = {name: wire for wire, name in operation.column_names.items()}
    key = {wires[name] for name in operation.key if name in wires}
    chosen = key | draw(st.sets(st.sampled_from([column.wire for column in operation.columns]), max_size=6))
    return {
        column.wire: draw(
            plain(column).filter(lambda value: value is not None) if column.wire in key else st.none() | plain(column)
        )
        for column in operation.columns
        if column.wire in chosen
    }


def is_flat(operation):
    """Whether the list and all that paging reads lie at the top of an answer, so that the fast path may read it."""
    keys = (*operation.records, *operation.paging.answer_keys, *operation.envelope)
    is_at_top = len(operation.records) == 1 and not any("." in key for key in keys)
    return is_at_top and operation.records != WHOLE_ANSWER and not operation.paging.more_key


def nested(operation, found):
    """The records of an operation where its answer has them."""
    if operation.records == WHOLE_ANSWER:
        return dict(found[0])
    *outer, last = operation.records
    node = {last: found}
    for step in reversed(outer):
        node = {step: node}
    return node


def answer(operation, found, **beside):
    return {**nested(operation, found), "requestId": "1", **beside}
