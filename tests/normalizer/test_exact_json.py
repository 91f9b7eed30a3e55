"""JSON without loss: every number's digits, every name of an object, every lone surrogate."""

from __future__ import annotations

import json
import math
import traceback
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.json_bounds import MAX_TEXTS
from crawler.normalizer.exact_json import (
    MAX_DEPTH,
    ExcessiveJsonError,
    InvalidJsonError,
    Repeated,
    WireFloat,
    has_repeated,
    parse,
    to_text,
)
from crawler.text import is_encodable

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "text",
    [
        *("1.10", "1.0", "-0.0", "1e5", "1E+05", "0.1000000000000000055511151231257827", "1e400", "-1e400", "1e-400"),
        *("0", "-1", "9223372036854775808", "123456789012345678901234567890", "1" * 4000, f"1.{'1' * 100_000}"),
        *('""', '"\\u0000"', '"é 中 😀"', '"\\ud800"', '"\\ud83d"', '{"\\udfff":1}', '"a\\nb\\"c\\\\"'),
        *("null", "true", "false", "[]", "{}", "[[]]", '{"b":1,"a":[{}]}', '{"":{"":""}}'),
    ],
)
def test_a_compact_document_comes_back_as_it_was(text):
    assert to_text(parse(text.encode())) == text


@given(values)
def test_any_value_reads_back_from_its_text(value):
    text = to_text(parse(json.dumps(value).encode()))
    assert json.loads(text) == value
    text.encode()


def test_a_float_is_a_number_that_remembers_its_literal():
    """F43."""
    number = parse(b"1.10")
    assert isinstance(number, float)
    assert (number, number.literal, repr(number)) == (1.1, "1.10", "1.10")
    assert type(number) is WireFloat
    assert math.isinf(parse(b"1e400"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON at character 0: Expecting value"),
        (b"<html></html>", "not JSON at character 0: Expecting value"),
        (b'{"a":', "not JSON at character 5: Expecting value"),
        (b'{"a":1}{', "not JSON at character 7: Extra data"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "not UTF-8 at byte 1"),  # a surrogate in UTF-8's clothes
        (b"NaN", "not JSON: NaN is not a JSON number"),
        (b'[{"a":-Infinity}]', "not JSON: -Infinity is not a JSON number"),
        (b'"a\nb"', "not JSON at character 2: Invalid control character at"),
        (b"\xef\xbb\xbf{}", "not JSON at character 0: Unexpected UTF-8 BOM (decode using utf-8-sig)"),
        (b"01", "not JSON at character 1: Extra data"),
    ],
)
def test_what_is_no_json_is_refused(body, reason):
    with pytest.raises(InvalidJsonError) as caught:
        parse(body)
    assert str(caught.value) == reason
    assert type(caught.value) is InvalidJsonError


@pytest.mark.parametrize("body", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
def test_a_document_that_is_nested_beyond_measure_is_refused(body):
    """T21."""
    with pytest.raises(ExcessiveJsonError, match="nested too deeply"):
        parse(body)


def test_an_integer_of_100000_digits_is_refused():
    """T21."""
    with pytest.raises(ExcessiveJsonError, match="a number of thousands of digits"):
        parse(b"[" + b"9" * 100_000 + b"]")


@pytest.mark.parametrize(
    ("opening", "text", "closing"), [(b"{", b'"%d":1', b"}"), (b"[", b'"x%d"', b"]")], ids=["names", "texts"]
)
def test_a_million_names_are_refused_before_they_are_read(opening, text, closing):
    """T21."""
    body = opening + b",".join(text % number for number in range(10**6)) + closing
    with pytest.raises(ExcessiveJsonError, match="more than 500000 names and texts"):
        parse(body)


def test_as_many_texts_as_the_largest_pages_could_have_are_read():
    """T21."""
    assert parse(b'["x"%s]' % (b',"x"' * (MAX_TEXTS - 1))) == ["x"] * MAX_TEXTS


@pytest.mark.parametrize("body", [b'{"secret-value', b'["secret-value" 1]', b'{"secret-value": NaN}'])
def test_a_reason_holds_nothing_of_the_body(body):
    with pytest.raises(InvalidJsonError) as caught:
        parse(body)
    assert "secret-value" not in str(caught.value)
    assert "secret-value" not in "".join(traceback.format_exception(caught.value))


def test_text_is_written_down_to_64_levels():
    assert to_text(parse(b"[" * 63 + b"1" + b"]" * 63)) == "[" * 63 + "1" + "]" * 63
    for deep in (b"[" * 64 + b"1" + b"]" * 64, b'{"a":' * 200 + b"1" + b"}" * 200):
        with pytest.raises(ExcessiveJsonError, match=f"nested more than {MAX_DEPTH} levels deep"):
            to_text(parse(deep))


def test_a_name_that_an_object_has_twice_has_all_of_its_values():
    """F43."""
    value = parse(b'{"a":1,"b":2,"a":{"c":3,"c":3,"c":null}}')
    assert value == {"a": [1, {"c": [3, 3, None]}], "b": 2}
    assert list(value) == ["a", "b"]
    assert type(value["a"]) is Repeated
    assert type(value["a"][1]["c"]) is Repeated


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"a":[{"b":1,"b":1}]}', True), (b'{"a":1,"a":1}', True), (b'{"a":[1,[1]],"b":{"a":2}}', False), (b"1", False)],
)
def test_a_repeated_name_is_found_and_never_written_as_one(body, expected):
    value = parse(body)
    assert has_repeated(value) is expected
    if expected:
        with pytest.raises(InvalidJsonError, match="an object with a name twice"):
            to_text(value)


def test_many_repeated_names_take_no_more_than_linear_time():
    """T21."""
    names = ",".join(f'"{number % 50_000}":{number}' for number in range(100_000))
    value = parse(f"{{{names}}}".encode())
    assert len(value) == 50_000
    assert value["7"] == [7, 50_007]


def test_lone_surrogates_can_not_be_encoded():
    """F43."""
    assert is_encodable("plain")
    assert is_encodable("é 😀 \0")
    assert not is_encodable("a\ud800")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body):
    """T21, F43."""
    with suppress(InvalidJsonError):  # any other exception is a failure
        to_text(parse(body))
