"""Values as text: every type, without rounding, nested values as JSON; and the texts that count as formulas."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from unicodedata import normalize

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.audit.export.cell_text import escape_formula, is_formula, json_texts, object_column, plain_texts
from tests.support.hostile_rows import FORMULAS, HARMLESS

TYPES = [
    ("NULL", None, "null"),
    ("true", "true", "true"),
    ("170141183460469231731687303715884105727::HUGEINT", *["170141183460469231731687303715884105727"] * 2),
    ("sum(9223372036854775807) OVER ()", *["9223372036854775807"] * 2),
    ("1.10::DECIMAL(5, 2)", "1.10", "1.10"),
    ("1e-9::DECIMAL(18, 10)", "0.0000000010", "0.0000000010"),
    ("0.1::DOUBLE", "0.1", "0.1"),
    ("0.1::FLOAT", "0.1", "0.1"),
    ("1e300", "1e+300", "1e+300"),
    ("'nan'::DOUBLE", "nan", "null"),
    ("'-inf'::FLOAT", "-inf", "null"),
    ("'a\"\\é\n'", 'a"\\é\n', '"a\\"\\\\é\\n"'),
    ("TIMESTAMPTZ '2026-11-21 02:00:00+00'", "2026-11-21T02:00:00Z", '"2026-11-21T02:00:00Z"'),
    ("TIMESTAMPTZ '2026-11-21 02:00:00.000004+02'", "2026-11-21T00:00:00.000004Z", '"2026-11-21T00:00:00.000004Z"'),
    ("TIMESTAMP '0001-01-01 00:00:10'", "0001-01-01T00:00:10", '"0001-01-01T00:00:10"'),
    ("TIMESTAMP_NS '2026-11-21 02:00:00.000000001'", "2026-11-21T02:00:00.000000001", None),
    ("'infinity'::TIMESTAMPTZ", "infinity", '"infinity"'),
    ("'-infinity'::TIMESTAMP", "-infinity", '"-infinity"'),
    ("DATE '2026-11-21'", "2026-11-21", '"2026-11-21"'),
    ("TIME '10:00:00.5'", "10:00:00.500000", '"10:00:00.500000"'),
    ("INTERVAL '1 month 2 days 3.5 seconds'", "P1M2DT3.5S", '"P1M2DT3.5S"'),
    ("-INTERVAL '1 second'", "PT-1S", '"PT-1S"'),
    ("INTERVAL '0 days'", "PT0S", '"PT0S"'),
    ("'ab'::BLOB", "YWI=", '"YWI="'),
    ("'a'::ENUM('a', 'b')", "a", '"a"'),
    ("uuid()", None, None),
    ("{'a': 1, 'b%s': [NULL, {'c': 'x'}]}", *['{"a":1,"b%s":[null,{"c":"x"}]}'] * 2),
    ("MAP {'k\"': 1, 'l': NULL}", *['{"k\\"":1,"l":null}'] * 2),
    ("MAP {1: 'a'}", *['{"1":"a"}'] * 2),
    ("MAP {{'x': 1}: 2}", *['{"{\\"x\\":1}":2}'] * 2),
    ("[TIMESTAMPTZ '2026-11-21 02:00:00+00']", *['["2026-11-21T02:00:00Z"]'] * 2),
    ("[1, 2]::INTEGER[2]", "[1,2]", "[1,2]"),
    ("[]::INTEGER[]", "[]", "[]"),
    ("{'a': 'nan'::DOUBLE}", '{"a":null}', '{"a":null}'),
    ("union_value(a := 1)", "1", "1"),
]


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


@pytest.mark.parametrize(("sql", "plain", "as_json"), TYPES, ids=[sql[:40] for sql, _, _ in TYPES])
def test_every_type_has_one_text(connection, sql, plain, as_json):
    [column] = connection.sql(f"SELECT {sql} AS value").to_arrow_table().combine_chunks().columns
    array = column.chunk(0)
    if sql == "uuid()":
        plain, as_json = str(array[0]), f'"{array[0]}"'
    assert plain_texts(array) == [plain]
    assert json_texts(array) == [as_json or f'"{plain}"']


LEAVES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))
VALUES = st.fixed_dictionaries(
    {
        "number": LEAVES,
        "text": st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
        "list": st.one_of(st.none(), st.lists(LEAVES, max_size=3)),
        "struct": st.one_of(
            st.none(), st.fixed_dictionaries({"a": LEAVES, "b": st.one_of(st.none(), st.lists(LEAVES, max_size=2))})
        ),
        "map": st.one_of(
            st.none(), st.dictionaries(st.text("ab", max_size=2), st.lists(LEAVES, max_size=2), max_size=2)
        ),
        "deep": st.one_of(st.none(), st.lists(st.fixed_dictionaries({"c": LEAVES}), max_size=2)),
    }
)
NUMBERS = pa.list_(pa.int64())
SCHEMA = pa.schema(
    {
        "number": pa.int64(),
        "text": pa.string(),
        "list": NUMBERS,
        "struct": pa.struct({"a": pa.int64(), "b": NUMBERS}),
        "map": pa.map_(pa.string(), NUMBERS),
        "deep": pa.list_(pa.struct({"c": pa.int64()})),
    }
)


@given(st.lists(VALUES, max_size=6), st.integers(0, 4), st.integers(0, 4))
def test_objects_say_what_the_rows_have_wherever_a_batch_is_cut(rows, start, length):
    batch = pa.RecordBatch.from_pylist(
        [{**row, "map": row["map"] and list(row["map"].items())} for row in rows], SCHEMA
    )
    cut = batch.slice(start, length)
    objects = object_column(SCHEMA.names, cut.columns).to_pylist()
    assert [json.loads(text) for text in objects] == rows[start : start + length]


def test_decimals_and_instants_in_a_struct_keep_their_digits():
    kind = pa.struct({"d": pa.decimal128(38, 9), "t": pa.timestamp("us", tz="UTC")})
    moment = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)
    array = pa.array([{"d": Decimal("12345678901234567890.123456789"), "t": moment}], kind)
    assert json_texts(array) == ['{"d":12345678901234567890.123456789,"t":"2026-01-02T03:04:05.600000Z"}']


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_what_a_spreadsheet_may_run_gets_an_apostrophe_t24(text):
    """T24."""
    assert is_formula(text)
    shown = escape_formula(text)
    assert shown.startswith("'")
    assert shown.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x\t=1+1", "x\t'=1+1"),
        ("x|=1+1", "x|'=1+1"),
        ('x;=HYPERLINK("http://127.0.0.1:9/";"a")', 'x;\'=HYPERLINK("http://127.0.0.1:9/";"a")'),
        ('";=1+1', "\";'=1+1"),
        ("x; ＝1", "x;' ＝1"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        ("x;\N{ZERO WIDTH SPACE}@a;-b", "x;'\N{ZERO WIDTH SPACE}@a;'-b"),
        ("x\n=1+1;y", "x\n'=1+1;y"),
        ("x;\t=1", "x;'\t'=1"),
        ("=1;=2", "'=1;'=2"),
        ("\t=1", "'\t'=1"),
    ],
)
def test_text_after_a_separator_gets_an_apostrophe_too_t35(text, shown):
    """T35."""
    assert escape_formula(text) == shown


@pytest.mark.parametrize("text", ["a;b", "a; b = c", "x=1;y=2", "a|b-c", "a-b\n", "a,=b", "mail@host;x"])
def test_a_separator_alone_changes_nothing(text):
    assert escape_formula(text) == text


def test_the_signs_of_a_formula_are_all_of_unicodes_forms():
    """T24: every character that Unicode's compatibility forms make a sign, and the minus sign."""
    forms = {chr(code) for code in range(0x110000) if normalize("NFKC", chr(code))[:1] in {"=", "+", "-", "@"}}
    for sign in forms | {"\N{MINUS SIGN}"}:
        assert is_formula(sign)
        assert escape_formula(f"a;{sign}") == f"a;'{sign}"


@pytest.mark.parametrize(
    "text",
    ["\t" * 200_000, "; " * 100_000, ";=" * 20_000, " " * 200_000 + "x"],
    ids=["tabs", "separators", "formulas", "spaces"],
)
def test_a_long_text_is_searched_once(text):
    started = time.process_time()
    escape_formula(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("text", HARMLESS, ids=ascii)
def test_other_texts_stay_what_they_are(text):
    assert not is_formula(text)
    assert escape_formula(text) is text


@given(st.text(st.sampled_from(" \t\r\n\"'=+-@＝－a1\x00\xa0\ufeff"), max_size=6))
def test_no_text_that_begins_like_a_formula_is_left_without_an_apostrophe(text):
    """T24."""
    shown = escape_formula(text)
    assert shown.startswith("'") or not shown.strip(" \"'\x00\xa0\ufeff").startswith(tuple("=+-@＝－\t\r\n"))
