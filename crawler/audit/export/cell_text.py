"""Render Arrow columns as JSON and as plain texts, and escape texts that a spreadsheet would run as formulas.

Whole columns are converted, because converting each value costs five times as much. Values are never rounded:
integers and decimals keep their digits, timestamps their microseconds; timestamps are UTC and end in Z.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

Texts = list[str | None]

# A spreadsheet may skip these before a formula: white space, controls, quotes, characters without width.
_SKIPPED = r"\s\x00-\x1f\x7f-\x9f\"'`´‘’‚“”„«»‹›＂＇\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_LEAD = re.compile(f"[{_SKIPPED}]*")
_BREAKS = re.compile(r"[\t\r\n]")
# `= + - @` in any width and position, as Unicode's compatibility forms have them, and the minus sign.
_STARTS = "=+\\-@\u207a\u207c\u208a\u208c\u2212\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
_START = re.compile(f"[{_STARTS}]")
# A spreadsheet may part cells or rows here, even within quotes: those count only if they begin a cell.
_SEPARATORS = r";|\t\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029"
_SEPARATOR = re.compile(f"[{_SEPARATORS}]")
# All characters between a word and a formula. The lookbehind makes the search linear.
_BEFORE_START = re.compile(f"(?<![{_SKIPPED}{_SEPARATORS}])[{_SKIPPED}{_SEPARATORS}]++(?=[{_STARTS}])")
# DuckDB's infinity, by the bits of the type. Minus infinity is its negative.
_INFINITE = {32: 2**31 - 1, 64: 2**63 - 1}
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S = 86_400
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400  # the calendar repeats after this time
_UNIX_DAY = date(1970, 1, 1).toordinal() - 1
_ZERO_FRACTION = r"\.0+$"
_NON_FINITE = {"nan": "null", "inf": "null", "-inf": "null"}


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column's values are numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_plain_scalar(kind: pa.DataType) -> bool:
    """Return whether a column's plain texts are valid JSON and never formulas: numbers and booleans."""
    return is_number(kind) or bool(pa.types.is_boolean(kind))


def plain_texts(array: pa.Array) -> Texts:
    """Return a column's values as a table shows them: nested ones as JSON, timestamps as ISO 8601, None for null."""
    if pa.types.is_union(array.type):  # its nulls are in its members
        return [None if text == "null" else text for text in json_texts(array)]
    if pa.types.is_nested(array.type):
        return _with_nulls(array, json_texts(array), None)
    for accepts, convert in _SCALARS:
        if accepts(array.type):
            return convert(array)
    return [None if value is None else str(value) for value in array.to_pylist()]


def json_texts(array: pa.Array) -> list[str]:
    """Return a column's values as JSON; `null` for null, NaN and infinity."""
    kind = array.type
    for accepts, convert in _NESTED:
        if accepts(kind):
            return convert(array)
    texts = plain_texts(array)
    if is_plain_scalar(kind):
        return ["null" if text is None else _NON_FINITE.get(text, text) for text in texts]
    return ["null" if text is None else encode_basestring(text) for text in texts]


def object_texts(names: Sequence[str], columns: Sequence[pa.Array]) -> list[str]:
    """Return rows as JSON objects; there is at least one column, and all have the same length."""
    members = ",".join(f"{encode_basestring(name).replace('%', '%%')}:%s" for name in names)
    return [f"{{{members}}}" % row for row in zip(*map(json_texts, columns), strict=True)]


def is_formula(text: str) -> bool:
    """Return whether a spreadsheet may run the text (T24): it starts with `= + - @` in any width, a tab or a break.

    Leading white space, quotes and invisible characters are skipped.
    """
    if not text or text[0].isalnum():
        return False
    lead = _LEAD.match(text)
    end = lead.end() if lead else 0
    first = text[end : end + 1]
    return bool(_BREAKS.search(text, 0, end)) or _START.match(first) is not None


def escape_formula(text: str) -> str:
    """Return the text, with an apostrophe before each part that may be a formula in CSV (T24, T35).

    A part begins at the text's start, and after each `;`, `|`, tab or break, where a spreadsheet may part cells.
    """
    if text.isalnum():  # the fast check: true for most texts
        return text
    parted = _BEFORE_START.sub(_guard_parts, text) if _SEPARATOR.search(text) else text
    return f"'{parted}" if is_formula(text) else parted


def _guard_parts(found: re.Match[str]) -> str:
    return _SEPARATOR.sub(r"\g<0>'", found[0])


def _with_nulls(array: pa.Array, texts: Iterable[str], null: Any) -> list[Any]:
    if not array.null_count:
        return list(texts)
    return [text if is_valid else null for text, is_valid in zip(texts, array.is_valid().to_pylist(), strict=True)]


def _struct_texts(array: pa.StructArray) -> list[str]:
    if array.null_count == len(array):
        return ["null"] * len(array)
    if not array.type.num_fields:
        return _with_nulls(array, ["{}"] * len(array), "null")
    names = [array.type.field(place).name for place in range(array.type.num_fields)]
    return _with_nulls(array, object_texts(names, array.flatten()), "null")


def _list_texts(array: pa.ListArray) -> list[str]:
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    offsets = array.offsets.to_pylist()
    start = offsets[0]
    items = json_texts(array.values.slice(start, offsets[-1] - start))
    joined = [f"[{','.join(items[a - start : b - start])}]" for a, b in pairwise(offsets)]
    return _with_nulls(array, joined, "null")


def _map_texts(array: pa.MapArray) -> list[str]:
    offsets = array.offsets.to_pylist()
    start, length = offsets[0], offsets[-1] - offsets[0]
    keys, values = array.keys.slice(start, length), json_texts(array.items.slice(start, length))
    names = [encode_basestring(str(text)) for text in plain_texts(keys)]
    pairs = [f"{name}:{value}" for name, value in zip(names, values, strict=True)]
    joined = [f"{{{','.join(pairs[a - start : b - start])}}}" for a, b in pairwise(offsets)]
    return _with_nulls(array, joined, "null")


def _union_texts(array: pa.UnionArray) -> list[str]:
    # As arrays of one value, because a Python object may not hold the value.
    return [json_texts(pa.repeat(scalar.value, 1))[0] if scalar.is_valid else "null" for scalar in array]


def _cast_texts(array: pa.Array) -> Texts:
    return list(array.cast(pa.string()).to_pylist())


def _number_texts(array: pa.Array) -> Texts:
    if array.type != pa.float64():
        # Through its shortest text: 0.1 stays 0.1.
        array = array.cast(pa.string()).cast(pa.float64())
    return [None if value is None else repr(value) for value in array.to_pylist()]


def _decimal_texts(array: pa.Array) -> Texts:
    return [None if value is None else format(value, "f") for value in array.to_pylist()]


def _instant_texts(array: pa.Array) -> Texts:
    # Without its zone, which is UTC: text with a zone needs the system's time zone database.
    unit, zone = array.type.unit, "Z" if array.type.tz else ""
    texts = _without_zero_fraction(array.cast(pa.timestamp(unit)).cast(pa.string()))
    shown = [text and text.replace(" ", "T") + zone for text in texts]
    for place, value in _beyond(array.cast(pa.int64()), texts, may_hide_infinity=unit == "ns"):
        days, rest = divmod(value, _DAY_S * _UNITS_PER_SECOND[unit])
        shown[place] = _infinity(value, 64) or f"{_far_date(days)}T{_clock_text(rest, unit)}{zone}"
    return shown


def _date_texts(array: pa.Array) -> Texts:
    texts = _cast_texts(array)
    for place, value in _beyond(array.cast(pa.int32()), texts) if pa.types.is_date32(array.type) else ():
        texts[place] = _infinity(value, 32) or _far_date(value)
    return texts


def _time_texts(array: pa.Array) -> Texts:
    texts = _without_zero_fraction(array.cast(pa.string()))
    integer = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
    for place, value in _beyond(array.cast(integer), texts):
        texts[place] = _clock_text(value, array.type.unit)
    return texts


def _beyond(values: pa.Array, texts: Texts, *, may_hide_infinity: bool = False) -> list[tuple[int, int]]:
    """Return place and value where Arrow has no text for a date or time: infinity, distant years, 24:00."""
    if not may_hide_infinity and not any(text and text.startswith("<") for text in texts):
        return []
    numbers = enumerate(zip(texts, values.to_pylist(), strict=True))
    return [(at, value) for at, (text, value) in numbers if text and (text.startswith("<") or _infinity(value, 64))]


def _infinity(value: int, bits: int) -> str:
    return {_INFINITE[bits]: "infinity", -_INFINITE[bits]: "-infinity"}.get(value, "")


def _far_date(days: int) -> str:
    """Return the date that is this number of days after 1970-01-01, in any year; the year before 1 is 0."""
    cycles, day = divmod(days + _UNIX_DAY, _CYCLE_DAYS)
    found = date.fromordinal(day + 1)
    year = found.year + cycles * _CYCLE_YEARS
    return f"{'-' * (year < 0)}{abs(year):04}-{found.month:02}-{found.day:02}"


def _clock_text(value: int, unit: str) -> str:
    """Return a time of day, such as 24:00:00, without a fraction of zeros."""
    seconds, fraction = divmod(value, _UNITS_PER_SECOND[unit])
    digits = len(str(_UNITS_PER_SECOND[unit])) - 1
    shown = f".{fraction:0{digits}}" if fraction else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{shown}"


def _without_zero_fraction(texts: pa.Array) -> Texts:
    return list(pc.replace_substring_regex(texts, _ZERO_FRACTION, "").to_pylist())


def _bytes_texts(array: pa.Array) -> Texts:
    return [None if value is None else b64encode(value).decode() for value in array.to_pylist()]


def _interval_texts(array: pa.Array) -> Texts:
    return [None if value is None else _interval_text(*value) for value in array.to_pylist()]


def _interval_text(months: int, days: int, nanoseconds: int) -> str:
    """Return an interval as ISO 8601: P1M2DT3.5S. Each negative part has a sign."""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    fraction = f"{rest:09}".rstrip("0")
    time = f"T{'-' if nanoseconds < 0 else ''}{seconds}{'.' if fraction else ''}{fraction}S" if nanoseconds else ""
    date = (f"{months}M" if months else "") + (f"{days}D" if days else "")
    return f"P{date}{time}" if date or time else "PT0S"


_SCALARS: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[Any], Texts]]] = (
    (pa.types.is_string, lambda array: list(array.to_pylist())),
    (pa.types.is_large_string, lambda array: list(array.to_pylist())),
    (pa.types.is_integer, _cast_texts),
    (pa.types.is_boolean, _cast_texts),
    (pa.types.is_timestamp, _instant_texts),
    (pa.types.is_floating, _number_texts),
    (pa.types.is_decimal, _decimal_texts),
    (pa.types.is_date, _date_texts),
    (pa.types.is_time, _time_texts),
    (pa.types.is_interval, _interval_texts),
    (pa.types.is_binary, _bytes_texts),
    (pa.types.is_large_binary, _bytes_texts),
    (pa.types.is_dictionary, lambda array: plain_texts(array.dictionary_decode())),
)
_NESTED: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[Any], list[str]]]] = (
    (pa.types.is_struct, _struct_texts),
    (pa.types.is_map, _map_texts),
    (pa.types.is_list, _list_texts),
    (pa.types.is_large_list, _list_texts),
    (pa.types.is_fixed_size_list, _list_texts),
    (pa.types.is_union, _union_texts),
    (pa.types.is_dictionary, lambda array: json_texts(array.dictionary_decode())),
)
