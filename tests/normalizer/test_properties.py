"""Any record of any table: valid values come back, others are in `_extra`, secrets are in neither."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import NormalizeError, PaginationError, TransientError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.exact_json import toggle_initial_case
from crawler.normalizer.extra import path_name
from tests.support.examples import examples
from tests.support.record_strategies import CATALOG, HIDES, KEEPS, LISTS, junk, mutated, names, nested, records, texts

NOW = datetime(2026, 11, 22, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CANARY = "canary-7f3a"


secret_junk = st.recursive(
    st.just(CANARY), lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(names, inner, min_size=1)
)
tables = st.sampled_from([table for table in LISTS if not CATALOG.operations[table].item])


def given_values(operation):
    """Column → its value if the record's own field doesn't give it."""
    return {column: f"p-{wire}" for wire, column in operation.parameter_columns.items()}


def read(operation, body, redaction=KEEPS):
    parameters = {wire: f"p-{wire}" for wire in operation.parameters}
    return Normalizer(operation, redaction, "s").read(body, RowContext("1", "r", NOW, parameters))


def page_of(operation, record):
    return json.dumps(nested(operation, [record])).encode()


def instant(text):
    return datetime.fromisoformat(text)


def expected(column, value):
    """The row's value for a valid value, if secrets are kept."""
    if value is None:
        return None
    if column.is_embedded:
        return expected(replace(column, is_embedded=False), json.loads(value))
    if column.kind == "struct":
        return {child.name: expected(child, value.get(child.wire)) for child in column.children}
    if column.kind == "list":
        return [expected(column.children[0], item) for item in value]
    if column.kind == "map":
        return [(name, expected(column.children[0], item)) for name, item in value.items()]
    if column.kind == "json":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if column.kind == "timestamp":
        return instant(value)
    return json.dumps(value) if column.secret and column.kind == "boolean" else value


@settings(deadline=None)
@given(st.data())
def test_a_record_as_declared_comes_back_exactly(data):
    operation = CATALOG.operations[data.draw(tables)]
    record = data.draw(records(operation))
    page = read(operation, page_of(operation, record))
    [row] = page.batch.to_pylist()
    for column in operation.columns:
        name = operation.column_names[column.wire]
        value = expected(column, record.get(column.wire))
        if value is None:
            value = given_values(operation).get(name)
        assert row[name] == value
    assert row["_extra"] is None
    assert (page.coerced, page.misfits.total(), page.unknown) == (0, 0, {})


class Checker:
    """Compare a record with its row and its `_extra`, and check that every leaf is in exactly one of them."""

    def __init__(self, extra):
        self.extra = extra
        self.found = set()

    def node(self, column, value, got, path):
        if path in self.extra:
            self.same(value, path)
            assert got is None, path
        elif value is None or (column.is_embedded and value == ""):
            assert got is None, path
        elif column.is_embedded:
            inner = json.loads(value) if isinstance(value, str) else value
            self.node(replace(column, is_embedded=False), inner, got, path)
        elif column.kind == "struct":
            self.struct(column.children, value, got, path)
        elif column.kind == "list":
            assert type(value) is list, path
            for index, (item, inner) in enumerate(zip(value, got, strict=True)):
                self.node(column.children[0], item, inner, f"{path}[{index}]")
        elif column.kind == "map":
            assert [name for name, _ in got] == list(value), path
            for name, inner in got:
                self.node(column.children[0], value[name], inner, f"{path}.{path_name(name)}")
        else:
            assert self.is_lossless(column, value, got), (path, value, got)

    def struct(self, children, value, got, path, names=None):
        assert type(value) is dict, path
        known = {wire: child for child in children for wire in (toggle_initial_case(child.wire), child.wire)}
        for wire, item in value.items():
            below = f"{path}.{path_name(wire)}" if path else path_name(wire)
            child = known.get(wire)
            if child is None or (below in self.extra and toggle_initial_case(wire) in value):
                self.same(item, below)
            else:
                name = names[child.wire] if names else child.name
                is_overruled = toggle_initial_case(wire) in value and item is None
                if not is_overruled:
                    self.node(child, item, None if below in self.extra else got[name], below)

    def same(self, value, path):
        assert path in self.extra, path
        assert json.dumps(self.extra[path]) == json.dumps(value)
        self.found.add(path)

    def is_lossless(self, column, value, got):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if column.kind in {"string", "json"}:
            return got == (
                json.dumps(value, ensure_ascii=False, separators=(",", ":")) if column.kind == "json" else text
            )
        if column.kind == "timestamp":
            return is_instant(value, got)
        if column.kind == "boolean":
            return (json.dumps(got) if isinstance(got, bool) else got) == text
        if isinstance(value, float) and column.kind == "number":
            return value == got
        return not isinstance(value, bool) and Fraction(text) == Fraction(got)


def is_instant(value, got):
    if got is None:
        return value == 0 or (isinstance(value, str) and value.strip() in {"", "0"})
    if isinstance(value, str) and not value.strip().isdigit():
        return instant(value.strip()) == got
    micros = (got - EPOCH) // timedelta(microseconds=1)
    return micros in {Fraction(value) * 1000, Fraction(value) * 1_000_000}


@settings(deadline=None, max_examples=examples(200))
@given(st.data())
def test_every_leaf_of_a_changed_record_is_in_its_column_or_in_extra(data):
    """F42."""
    operation = CATALOG.operations[data.draw(tables)]
    record = data.draw(mutated(data.draw(records(operation)), junk))
    page = read(operation, page_of(operation, record))
    [row] = page.batch.to_pylist()
    checker = Checker(json.loads(row["_extra"] or "{}"))
    for wire, name in operation.column_names.items():
        if name in operation.parameter_columns.values() and not {wire, toggle_initial_case(wire)} & record.keys():
            row[name] = None
    checker.struct(operation.columns, record, overruled(operation, record, row), "", operation.column_names)
    assert checker.found == checker.extra.keys()
    missing = {name for name in page.misfits if name.endswith("(missing, a part of the key)")}
    assert page.misfits.total() - len(missing) + page.unknown.total() == len(checker.found)
    keys = {wire for wire, name in operation.column_names.items() if name in operation.key}
    assert not missing or any(record.get(wire, record.get(toggle_initial_case(wire))) is None for wire in keys)
    assert not missing or page.keys == [None]


def overruled(operation, record, row):
    """The row with null where a path parameter stands in for a field that says null or doesn't fit."""
    own = {name: wire for wire, name in operation.column_names.items()}
    given = given_values(operation)
    extra = json.loads(row["_extra"] or "{}")
    for name in given.keys() & own.keys():
        if record.get(own[name]) is None or own[name] in extra:
            row[name] = None
    return row


@st.composite
def with_canaries(draw, columns, record):
    """The record with canaries in unknown fields and in place of nodes with a secret below."""
    record = {**record, draw(names.filter(lambda name: name not in _wires(columns))): draw(secret_junk)}
    for column in columns:
        inner = record.get(column.wire)
        if column.has_secret and draw(st.integers(0, 4)) == 0:
            record[column.wire] = draw(secret_junk)
        elif column.kind == "struct" and isinstance(inner, dict):
            record[column.wire] = draw(with_canaries(column.children, inner))
    return record


def _wires(columns):
    return {wire for column in columns for wire in (column.wire, toggle_initial_case(column.wire))}


@settings(deadline=None, max_examples=examples(150))
@given(st.data(), st.sampled_from(HIDES), st.booleans())
def test_no_canary_in_a_secret_or_an_unknown_field_gets_out(data, redaction, is_careful):
    """T04, T08."""
    operation = CATALOG.operations[data.draw(tables)]
    canaries = st.just(CANARY) | texts.map(lambda text: text + CANARY)
    record = data.draw(with_canaries(operation.columns, data.draw(records(operation, canaries))))
    body = page_of(operation, record)
    if is_careful:
        body = body.replace(b"canary", b"\\u0063anary")
    page = read(operation, body, redaction)
    assert CANARY.encode() not in written(page.batch)
    assert page.seen == 1


def written(batch):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


@settings(deadline=None, max_examples=examples(150))
@given(st.data())
def test_any_page_is_read_or_refused_with_one_of_three_errors(data):
    """F43, T21."""
    operation = CATALOG.operations[data.draw(tables)]
    many = st.lists(st.one_of(junk, records(operation).flatmap(lambda record: mutated(record, junk))), max_size=3)
    held = many
    for step in reversed(operation.records[1:]):
        held = st.fixed_dictionaries({}, optional={step: held})
    pages = st.fixed_dictionaries({}, optional={operation.records[0]: held, "nextToken": junk, "totalCount": junk})
    body = json.dumps(data.draw(st.one_of(pages, junk))).encode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + data.draw(st.integers(0, 3)) :]
    with suppress(TransientError, PaginationError, NormalizeError):
        page = read(operation, body, data.draw(st.sampled_from([KEEPS, *HIDES])))
        page.batch.validate(full=True)
        page.batch.to_pylist()
        json.dumps(page.unknown, ensure_ascii=False).encode()
