"""Instants in every form that the API has been seen to write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog.columns import TIMESTAMP
from crawler.normalizer.scalars import from_number, from_text

START = datetime(1970, 1, 1, tzinfo=UTC)


def us(*args):
    return (datetime(*args, tzinfo=UTC) - START) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "expected", "is_coerced"),
    [
        ("2020-09-10T02:45:02Z", us(2020, 9, 10, 2, 45, 2), False),
        ("2020-09-10 02:45:02Z", us(2020, 9, 10, 2, 45, 2), False),
        ("2020-09-10T02:45:02 Z", us(2020, 9, 10, 2, 45, 2), False),
        (" 2020-09-10T02:45:02Z\t\t", us(2020, 9, 10, 2, 45, 2), False),
        ("2020-09-10T02:45:02Z\n", us(2020, 9, 10, 2, 45, 2), False),
        ("2020-09-10T02:45:02.5Z", us(2020, 9, 10, 2, 45, 2, 500000), False),
        ("2020-09-10T02:45:02,25Z", us(2020, 9, 10, 2, 45, 2, 250000), False),
        ("2016-08-15T17:42:30.000+0000", us(2016, 8, 15, 17, 42, 30), False),
        ("2016-08-15T17:42:30+00:00", us(2016, 8, 15, 17, 42, 30), False),
        ("2016-08-15T17:42:30+0800", us(2016, 8, 15, 9, 42, 30), False),
        ("2016-08-15T17:42:30 +08:00", us(2016, 8, 15, 9, 42, 30), False),
        ("2016-08-15T17:42:30-05:30", us(2016, 8, 15, 23, 12, 30), False),
        ("2020-09-10T02:45:02.123456Z", us(2020, 9, 10, 2, 45, 2, 123456), False),
        ("2020-09-10T02:45:02.123456000Z", us(2020, 9, 10, 2, 45, 2, 123456), False),
        ("2020-09-10T02:45:02.123456789Z", us(2020, 9, 10, 2, 45, 2, 123456), True),
        ("2017-12-10T04:04Z", us(2017, 12, 10, 4, 4), False),
        ("2017-12-10 04:04+08:00", us(2017, 12, 9, 20, 4), False),
        ("1969-12-31T23:59:59.999999Z", -1, False),
        ("0001-01-01T00:00:00Z", us(1, 1, 1), False),
        ("9999-12-31T23:59:59.999999Z", us(9999, 12, 31, 23, 59, 59, 999999), False),
        ("2024-02-29T00:00:00Z", us(2024, 2, 29), False),
        ("1600000000", 1_600_000_000_000_000, True),
        ("1600000000123", 1_600_000_000_123_000, True),
        (" 1600000000\t", 1_600_000_000_000_000, True),
        ("1234", 1_234_000_000, True),
    ],
)
def test_instants_in_text(text, expected, is_coerced):
    assert from_text(text, "") == (expected, is_coerced)


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
def test_empty_text_is_null(text):
    assert from_text(text, "") == (None, False)


def test_zero_is_null():
    assert from_text("0", "") == (None, True)
    assert from_number(Decimal(0), "") == (None, False)
    assert from_number(Decimal("0.0"), "s") == (None, False)


@pytest.mark.parametrize(
    "text",
    [
        "2006-01-02T15:04:05Z07:00",  # a layout in place of a time
        "2020-09-10 02:45:02",  # no zone
        "2020-09-10T02:45:02",
        "2020-09-10",
        "020-09-10T02:45:02Z",  # a digit is lost
        "2020-9-10T02:45:02Z",
        "2020-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2020-09-10T24:00:00Z",
        "2020-09-10T24:00Z",
        "2020-09-10T02:60Z",
        "2020-09-10T02:45",  # no zone
        "2020-09-10T02Z",
        "2020-09-10T02:45.5Z",
        "2020-09-10T02:60:00Z",
        "2020-09-10T02:45:60Z",
        "2020-09-10T02:45:02+24:00",
        "2020-09-10T02:45:02+08:60",
        "2020-09-10T02:45:02+8",
        "2020-09-10T02:45:02.Z",
        "2020-09-10T02:45:02.1234567890123456789Z",
        "0001-01-01T00:00:00+00:01",  # before the first instant of any calendar here
        "9999-12-31T23:59:59-00:01",  # after the last
        "٢٠٢٠-09-10T02:45:02Z",
        "16٠0000000",
        "1600000000.5",
        "-1600000000",
        "1e9",
        "007",
        "00",
        "1" * 19,
        "9" * 18,
        "now",
    ],
)
def test_what_is_no_instant_is_not_guessed(text):
    assert from_text(text, "") is None


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        ("1600000000", "s", 1_600_000_000_000_000),
        ("1600000000", "ms", 1_600_000_000_000),
        ("99999999999", "", 99_999_999_999_000_000),
        ("100000000000", "", 100_000_000_000_000),
        ("100010", "", 100_010_000_000),
        ("1600000000.5", "s", 1_600_000_000_500_000),
        ("1600000000.123456", "s", 1_600_000_000_123_456),
        ("1600000000123.456", "ms", 1_600_000_000_123_456),
        ("1.6E9", "s", 1_600_000_000_000_000),
    ],
)
def test_epoch_numbers_by_their_unit_or_else_by_their_size(number, unit, expected):
    assert from_number(Decimal(number), unit) == (expected, False)


@pytest.mark.parametrize(
    "number",
    [
        "1600000000." + "0" * 80 + "1",
        "-1",
        "-1e11",
        "1600000000.1234567",
        "1600000000." + "0" * 40 + "1",
        "1e17",
        "1e400",
        "1e-7",
        "1e-400",
    ],
)
def test_a_number_that_no_instant_has_is_not_rounded_to_one(number):
    assert from_number(Decimal(number), "s") is None


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.integers(-(23 * 60 + 59), 23 * 60 + 59),
    st.sampled_from(["T", " "]),
    st.sampled_from(["", ":"]),
)
def test_any_instant_in_any_zone_reads_back(moment, minutes, separator, colon):
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    zone = f"{sign}{size // 60:02}{colon}{size % 60:02}"
    text = moment.replace(tzinfo=None).isoformat(separator, "microseconds") + zone
    found, is_coerced = from_text(text, "")
    assert pa.scalar(found, TIMESTAMP).as_py() == moment
    assert not is_coerced


@given(st.text(max_size=40))
def test_any_text_is_read_or_not_and_raises_nothing(text):
    found = from_text(text, "")
    assert found is None or found[0] is None or pa.scalar(found[0], TIMESTAMP).as_py() is not None


@given(st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["", "s", "ms"]))
def test_a_number_is_an_exact_instant_or_none(number, unit):
    found = from_number(number, unit)
    if found is not None and found[0] is not None:
        assert Decimal(found[0]) in {number * 1000, number * 1_000_000}
        assert pa.scalar(found[0], TIMESTAMP).as_py() >= START
