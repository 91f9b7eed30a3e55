"""The quick way from bytes to rows says what the slow way says, of any page of any table."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from test_normalizer_properties import CATALOG, HIDES, KEEPS, junk, leaves, mutated, names, records, texts

from crawler.converters import swap_case
from crawler.decode.rows import Undecoded
from crawler.errors import CrawlError
from crawler.normalizer import Normalizer, RowContext

NOW = datetime(2026, 11, 22, tzinfo=UTC)
tables = st.sampled_from(sorted(CATALOG.operations))
redactions = st.sampled_from([KEEPS, *HIDES])


def context(operation, at=NOW):
    return RowContext("1", "r", at, {wire: f"p-{wire}" for wire in operation.parameters})


def outcome(normalizer, body, where):
    """What became of a page: all that it says, or the error."""
    try:
        return normalizer.read(body, where)
    except CrawlError as error:
        return (type(error), str(error), getattr(error, "code", ""))


def assert_same(quick, slow, paths):
    if not isinstance(slow, tuple):
        batch = quick.rows.decoder.decode_quickly([quick.rows]) if isinstance(quick.rows, Undecoded) else quick.batch
        batch.validate(full=True)
        assert batch.schema.equals(slow.batch.schema, check_metadata=True)
        assert batch.to_pylist() == slow.batch.to_pylist()
        assert list(quick.keys) == list(slow.keys)
        assert list(quick.digests) == list(slow.digests)
        assert (quick.token, quick.total, quick.seen) == (slow.token, slow.total, slow.seen)
        assert (type(quick.token), type(quick.total)) == (type(slow.token), type(slow.total))
        assert quick.unknown == slow.unknown
        assert (quick.coerced, quick.misfits) == (slow.coerced, slow.misfits)
        for each in paths:
            assert bound(quick, each) == bound(slow, each)
    else:
        assert quick == slow


def bound(page, paths):
    try:
        return page.bound_values(paths)
    except CrawlError as error:
        return str(error)


def bindings(operation):
    """How the lists below this one's rows are asked for."""
    children = (CATALOG.operations[name] for name in CATALOG.children(operation.table))
    return [
        list(parent.bind.values()) for child in children for parent in child.parents if parent.table == operation.table
    ]


def check(operation, bodies, redaction=KEEPS):
    """Read pages in a row both ways; gives how many the quick way read."""
    quick = Normalizer(operation, redaction, "s", quick_from_bytes=0)
    slow = Normalizer(operation, redaction, "s", quick_from_bytes=None)
    found = []
    for body in bodies:
        page, reference = (outcome(each, body, context(operation)) for each in (quick, slow))
        assert_same(page, reference, bindings(operation))
        found.append(isinstance(getattr(page, "rows", None), Undecoded))
    return found


@st.composite
def plain(draw, column):
    """A value as it mostly comes: what the quick way should read."""
    if column.is_embedded or column.kind == "json" or (column.secret and column.kind in ("number", "timestamp")):
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


def answer(operation, found, **beside):
    return {operation.records[0]: found, "requestId": "1", **beside}


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


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pages_as_declared_are_read_the_quick_way_and_say_the_same(data):
    operation = CATALOG.operations[data.draw(tables.filter(lambda name: not CATALOG.operations[name].item))]
    layout = data.draw(layouts)
    pages = data.draw(st.lists(st.lists(plain_records(operation), max_size=4), min_size=1, max_size=3))
    token = data.draw(st.sampled_from([None, "", "t", 7]))
    beside = {operation.paging.output_key: token} if operation.paging.output_key and token is not None else {}
    bodies = [body_of(answer(operation, found, **beside), layout) for found in pages]
    found = check(operation, bodies, data.draw(redactions))
    for body, is_quick in zip(bodies, found, strict=True):
        assert is_quick or b"\\u" in body


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_records_as_declared_in_every_form_say_the_same(data):
    operation = CATALOG.operations[data.draw(tables.filter(lambda name: not CATALOG.operations[name].item))]
    pages = data.draw(st.lists(st.lists(records(operation), max_size=3), min_size=1, max_size=3))
    layout = data.draw(layouts)
    check(operation, [body_of(answer(operation, found), layout) for found in pages], data.draw(redactions))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pages_that_drift_say_the_same_whatever_was_learned_before(data):
    operation = CATALOG.operations[data.draw(tables)]
    layout = data.draw(layouts)
    record = st.one_of(
        junk,
        plain_records(operation).flatmap(lambda found: mutated(found, junk)),
        plain_records(operation).flatmap(lambda found: st.dictionaries(names, leaves, max_size=2).map(found.__or__)),
        plain_records(operation).flatmap(lambda found: st.just({swap_case(name): v for name, v in found.items()})),
    )
    bodies = []
    for _ in range(data.draw(st.integers(1, 4))):
        found = data.draw(st.lists(record | plain_records(operation), max_size=3))
        beside = data.draw(st.dictionaries(st.sampled_from(["nextToken", "totalCount", "new", "RequestId"]), junk))
        body = body_of(answer(operation, found, **beside), layout)
        if data.draw(st.integers(0, 3)) == 0:
            at = data.draw(st.integers(0, len(body)))
            body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
        bodies.append(body)
    check(operation, bodies, data.draw(redactions))
