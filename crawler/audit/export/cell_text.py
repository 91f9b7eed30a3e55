"""Render Arrow columns as JSON and as plain texts, and escape texts that a spreadsheet would run as formulas.

Whole columns are converted, because converting each value costs five times as much. Values are never rounded:
integers and decimals keep their digits, timestamps their microseconds; timestamps are UTC and end in Z.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from json.encoder import encode_basestring
from typing import Any
from unicodedata import normalize

import pyarrow as pa
import pyarrow.compute as pc

Texts = list[str | None]

# A spreadsheet may skip these before a formula: white space, controls, quotes, characters without width.
_LEAD = re.compile(r"[\s\x00-\x1f\x7f-\x9f\"'`´‘’‚“”„«»‹›＂＇\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*")
_BREAKS = re.compile(r"[\t\r\n]")
_MINUS = "\N{MINUS SIGN}"
_INFINITE = str(2**63 - 1)
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
    return bool(_BREAKS.search(text, 0, end)) or first == _MINUS or normalize("NFKC", first)[:1] in {"=", "+", "-", "@"}


def escape_formula(text: str) -> str:
    """Return the text, with an apostrophe in front if it may be a formula."""
    return f"'{text}" if is_formula(text) else text


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
    return [json_texts(pa.array([scalar.as_py()]))[0] for scalar in array]


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
    texts = array.cast(pa.timestamp(array.type.unit)).cast(pa.string())
    zone = "Z" if array.type.tz else ""
    return [text and _instant_text(text, zone) for text in _without_zero_fraction(texts)]


def _instant_text(text: str, zone: str) -> str:
    if text.startswith("<"):  # not a date: DuckDB's infinity, or a year of many digits
        return ("-" * ("-" in text) + "infinity") if _INFINITE in text else text
    return text.replace(" ", "T") + zone


def _time_texts(array: pa.Array) -> Texts:
    return _without_zero_fraction(array.cast(pa.string()))


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
    (pa.types.is_date, _cast_texts),
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
