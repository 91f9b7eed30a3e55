"""Render Arrow columns as JSON and as plain texts, and escape texts that a spreadsheet would run as formulas.

Whole columns are converted by Arrow's functions, and only their rare values by Python, which costs several times as
much. Values are never rounded: integers and decimals keep their digits, timestamps their microseconds; timestamps are
UTC and end in Z.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import date
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
_NON_FINITE = pa.array(["nan", "inf", "-inf"])
_JSON_ESCAPED = r'["\\\x00-\x1f]'


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column's values are numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_plain_scalar(kind: pa.DataType) -> bool:
    """Return whether a column's plain texts are valid JSON and never formulas: numbers and booleans."""
    return is_number(kind) or bool(pa.types.is_boolean(kind))


def plain_texts(array: pa.Array) -> Texts:
    """Return a column's values as a table shows them: nested ones as JSON, timestamps as ISO 8601, None for null."""
    return list(plain_column(array).to_pylist())


def json_texts(array: pa.Array) -> list[str]:
    """Return a column's values as JSON; `null` for null, NaN and infinity."""
    return list(json_column(array).to_pylist())


def plain_column(array: pa.Array) -> pa.Array:
    """Return the texts of `plain_texts` as an Arrow column."""
    if pa.types.is_union(array.type):  # its nulls are in its members
        texts = json_column(array)
        return pc.if_else(pc.equal(texts, "null"), None, texts)
    if pa.types.is_nested(array.type):
        return pc.if_else(array.is_valid(), json_column(array), None) if array.null_count else json_column(array)
    for accepts, convert in _SCALARS:
        if accepts(array.type):
            found = convert(array)
            return found if isinstance(found, pa.Array) else pa.array(found, pa.string())
    return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())


def json_column(array: pa.Array) -> pa.Array:
    """Return the texts of `json_texts` as an Arrow column without nulls."""
    kind = array.type
    if len(array) and array.null_count == len(array):
        return pa.repeat("null", len(array))
    for accepts, convert in _NESTED:
        if accepts(kind):
            return convert(array)
    texts = plain_column(array)
    if not is_plain_scalar(kind):
        texts = by_distinct(texts, _quoted)
    elif pa.types.is_floating(kind):
        texts = pc.if_else(pc.is_in(texts, _NON_FINITE), None, texts)
    return pc.fill_null(texts, "null")


def object_column(names: Sequence[str], columns: Sequence[pa.Array]) -> pa.Array:
    """Return rows as JSON objects; there is at least one column, and all have the same length."""
    pieces: list[str | pa.Array] = []
    for name, column in zip(names, columns, strict=True):
        pieces += [f"{',' if pieces else '{'}{encode_basestring(name)}:", json_column(column)]
    return pc.binary_join_element_wise(*pieces, "}", "")


def by_distinct(texts: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Return converted texts, null for null. Where they repeat, only the distinct ones are converted."""
    if texts.null_count == len(texts):
        return texts
    found = texts.dictionary_encode()
    if len(found.dictionary) * 2 > len(texts):
        return convert(texts)
    return convert(found.dictionary).take(found.indices)


def _quoted(texts: pa.Array) -> pa.Array:
    """Return texts as JSON strings; null for null."""
    is_escaped = pc.match_substring_regex(texts, _JSON_ESCAPED)
    if pc.any(is_escaped).as_py():
        is_escaped = pc.fill_null(is_escaped, False)
        escaped = [encode_basestring(text)[1:-1] for text in texts.filter(is_escaped).to_pylist()]
        texts = pc.replace_with_mask(texts, is_escaped, pa.array(escaped, pa.string()))
    return pc.binary_join_element_wise('"', texts, '"', "")


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


def _struct_column(array: pa.StructArray) -> pa.Array:
    names = [array.type.field(place).name for place in range(array.type.num_fields)]
    objects = object_column(names, array.flatten()) if names else pa.repeat("{}", len(array))
    return pc.if_else(array.is_valid(), objects, "null") if array.null_count else objects


def _list_column(array: pa.ListArray) -> pa.Array:
    if not pa.types.is_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    return _joined(array, lambda start, length: json_column(array.values.slice(start, length)), "[", "]")


def _map_column(array: pa.MapArray) -> pa.Array:
    def pairs(start: int, length: int) -> pa.Array:
        names = _quoted(plain_column(array.keys.slice(start, length)))
        return pc.binary_join_element_wise(names, json_column(array.items.slice(start, length)), ":")

    return _joined(array, pairs, "{", "}")


def _joined(array: pa.Array, texts_of: Callable[[int, int], pa.Array], first: str, last: str) -> pa.Array:
    """Return the items of each row between two brackets. `texts_of` gives the texts of a range of items."""
    if not len(array):
        return pa.array([], pa.string())
    offsets = array.offsets
    start = offsets[0].as_py()
    texts = texts_of(start, offsets[-1].as_py() - start)
    lists = pa.ListArray.from_arrays(pc.subtract(offsets, pa.scalar(start, offsets.type)), texts)
    joined = pc.binary_join_element_wise(first, pc.binary_join(lists, ","), last, "")
    return pc.if_else(array.is_valid(), joined, "null") if array.null_count else joined


def _union_column(array: pa.UnionArray) -> pa.Array:
    # As arrays of one value, because a Python object may not hold the value.
    texts = [json_texts(pa.repeat(scalar.value, 1))[0] if scalar.is_valid else "null" for scalar in array]
    return pa.array(texts, pa.string())


def _cast(array: pa.Array) -> pa.Array:
    return array.cast(pa.string())


def _number_texts(array: pa.Array) -> Texts:
    if array.type != pa.float64():
        # Through its shortest text: 0.1 stays 0.1.
        array = array.cast(pa.string()).cast(pa.float64())
    return [None if value is None else repr(value) for value in array.to_pylist()]


def _decimal_texts(array: pa.Array) -> Texts:
    return [None if value is None else format(value, "f") for value in array.to_pylist()]


def _instant_texts(array: pa.Array) -> pa.Array | Texts:
    # Without its zone, which is UTC: text with a zone needs the system's time zone database.
    unit, zone = array.type.unit, "Z" if array.type.tz else ""
    found = _without_zero_fraction(array.cast(pa.timestamp(unit)).cast(pa.string()), unit)
    iso = pc.binary_join_element_wise(pc.replace_substring(found, " ", "T"), zone, "")
    if unit != "ns" and not pc.any(pc.starts_with(found, "<")).as_py():
        return iso
    texts, shown = found.to_pylist(), iso.to_pylist()
    for place, value in _beyond(array.cast(pa.int64()), texts, may_hide_infinity=unit == "ns"):
        days, rest = divmod(value, _DAY_S * _UNITS_PER_SECOND[unit])
        shown[place] = _infinity(value, 64) or f"{_far_date(days)}T{_clock_text(rest, unit)}{zone}"
    return shown


def _date_texts(array: pa.Array) -> Texts:
    texts: Texts = _cast(array).to_pylist()
    for place, value in _beyond(array.cast(pa.int32()), texts) if pa.types.is_date32(array.type) else ():
        texts[place] = _infinity(value, 32) or _far_date(value)
    return texts


def _time_texts(array: pa.Array) -> Texts:
    texts: Texts = _without_zero_fraction(array.cast(pa.string()), array.type.unit).to_pylist()
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
    digits = _fraction_digits(unit)
    shown = f".{fraction:0{digits}}" if fraction else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{shown}"


def _without_zero_fraction(texts: pa.Array, unit: str) -> pa.Array:
    digits = _fraction_digits(unit)
    return pc.replace_substring(texts, f".{'0' * digits}", "") if digits else texts


def _fraction_digits(unit: str) -> int:
    return len(str(_UNITS_PER_SECOND[unit])) - 1


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


_SCALARS: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[Any], pa.Array | Texts]]] = (
    (pa.types.is_string, lambda array: array),
    (pa.types.is_large_string, _cast),
    (pa.types.is_integer, _cast),
    (pa.types.is_boolean, _cast),
    (pa.types.is_timestamp, _instant_texts),
    (pa.types.is_floating, _number_texts),
    (pa.types.is_decimal, _decimal_texts),
    (pa.types.is_date, _date_texts),
    (pa.types.is_time, _time_texts),
    (pa.types.is_interval, _interval_texts),
    (pa.types.is_binary, _bytes_texts),
    (pa.types.is_large_binary, _bytes_texts),
    (pa.types.is_dictionary, lambda array: plain_column(array.dictionary_decode())),
)
_NESTED: Sequence[tuple[Callable[[pa.DataType], bool], Callable[[Any], pa.Array]]] = (
    (pa.types.is_struct, _struct_column),
    (pa.types.is_map, _map_column),
    (pa.types.is_list, _list_column),
    (pa.types.is_large_list, _list_column),
    (pa.types.is_fixed_size_list, _list_column),
    (pa.types.is_union, _union_column),
    (pa.types.is_dictionary, lambda array: json_column(array.dictionary_decode())),
)
