"""Converts scalars as received to scalars as declared. A value that doesn't fit without loss is a type mismatch.

A reader gets the function for type mismatches, the value (never null), and the record's `ExtraFields`, which counts
the values that were converted from another type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import Any

from crawler.catalog.columns import Column
from crawler.normalizer.exact_json import InvalidJsonError, WireFloat, has_repeated, to_text
from crawler.normalizer.extra import Convert, ExtraFields
from crawler.normalizer.redaction import Redaction

_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1


_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,](\d{1,18}))?)? ?"
    r"(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)",
    re.ASCII,
)
_EPOCH = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH_START) // _MICROSECOND
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH_START) // _MICROSECOND


# A number without a documented unit: 1e11 seconds is the year 5138, 1e11 milliseconds March 1973.
_MILLISECONDS_FROM = 10**11
_EXACT = Context(prec=64, traps=[Inexact])


def from_text(text: str, unit: str) -> tuple[int | None, bool] | None:
    """Return microseconds, and whether digits were cut or the text is a number; None if it isn't a timestamp.

    White space around it is stripped; empty text is null. Accepted are `Z` and offsets with or without a colon,
    fractions of any length (cut to microseconds), times without seconds, and epoch numbers. A time without a zone isn't
    a timestamp.
    """
    text = text.strip()
    if not text:
        return None, False
    if match := _ISO.fullmatch(text):
        return _from_iso(match)
    if text == "0" or _EPOCH.fullmatch(text):
        found = from_number(Decimal(text), unit)
        return found and (found[0], True)
    return None


def _from_iso(match: re.Match[str]) -> tuple[int | None, bool] | None:
    *date, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(*(int(part) for part in (*date, hour, minute, second or "0")), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:  # the 30th of February
        return None
    fraction = fraction or ""
    micros = (moment - _EPOCH_START) // _MICROSECOND + int(fraction[:6].ljust(6, "0"))
    if zone != "Z":
        offset = int(zone[1:3]) * 60 + int(zone[-2:])
        micros -= offset * 60_000_000 * (1 if zone[0] == "+" else -1)
    if not _FIRST_US <= micros <= _LAST_US:  # the year 0 or 10000 in UTC, which no calendar of a reader has
        return None
    return micros, any(digit != "0" for digit in fraction[6:])


def from_number(number: Decimal, unit: str) -> tuple[int | None, bool] | None:
    """Convert an epoch number as `from_text` does: in seconds (`s`), milliseconds (`ms`) or, without a unit, either."""
    if number == 0:
        return None, False
    if not unit:
        unit = "ms" if abs(number) >= _MILLISECONDS_FROM else "s"
    try:
        micros = _EXACT.multiply(number, Decimal(1000 if unit == "ms" else 1_000_000))
    except Inexact:  # more digits than a timestamp has
        return None
    if micros < 0 or micros > _LAST_US or micros != micros.to_integral_value():
        return None
    return int(micros), False


def reader(column: Column, misfit: Convert) -> Convert:
    """Return the function for a scalar column that is not JSON text."""
    if column.kind == "timestamp":
        return partial(_timestamp, misfit, column.unit)
    return partial(_READERS[column.kind], misfit)


def read_string(misfit: Convert, value: Any, extra: ExtraFields) -> Any:
    """Convert to text; a number keeps its literal."""
    if type(value) is str:
        return value
    if type(value) is int or type(value) is WireFloat:
        extra.coerced += 1
        return to_text(value)
    return misfit(value, extra)


def _integer(misfit: Convert, value: Any, extra: ExtraFields) -> Any:
    if type(value) is int:
        return value if _MIN_INT64 <= value <= _MAX_INT64 else misfit(value, extra)
    number = None
    if type(value) is str and _INTEGER.fullmatch(value):
        number = int(value)
    elif type(value) is WireFloat and abs(value) < 2.0**64:  # int(Decimal("1e999999999")) would never end
        exact = _decimal(value)
        number = int(exact) if exact is not None and exact == exact.to_integral_value() else None
    if number is None or not _MIN_INT64 <= number <= _MAX_INT64:
        return misfit(value, extra)
    extra.coerced += 1
    return number


def _decimal(value: WireFloat) -> Decimal | None:
    """Return the exact number; None if its exponent is too large (18 digits)."""
    try:
        return Decimal(value.literal)
    except InvalidOperation:
        return None


def _number(misfit: Convert, value: Any, extra: ExtraFields) -> Any:
    if type(value) is WireFloat:
        shortest = repr(float(value))
        is_exact = shortest == value.literal or (abs(value) < float("inf") and Decimal(shortest) == _decimal(value))
        return float(value) if is_exact else misfit(value, extra)
    if type(value) is int and abs(value) <= _MAX_INT64 and int(float(value)) == value:
        return float(value)
    return misfit(value, extra)


def _boolean(misfit: Convert, value: Any, extra: ExtraFields) -> Any:
    if type(value) is bool:
        return value
    if type(value) is str and value in {"true", "false"}:
        extra.coerced += 1
        return value == "true"
    return misfit(value, extra)


def _timestamp(misfit: Convert, unit: str, value: Any, extra: ExtraFields) -> Any:
    found: tuple[int | None, bool] | None = None
    if type(value) is str:
        found = from_text(value, unit)
    elif type(value) is int and abs(value) < 10**18:
        found = from_number(Decimal(value), unit)
    elif type(value) is WireFloat and abs(value) < 1e18 and (exact := _decimal(value)) is not None:
        found = from_number(exact, unit)
    if found is None:
        return misfit(value, extra)
    extra.coerced += found[1]
    return found[0]


def read_json(misfit: Convert, change: Callable[[Redaction, Any], Any] | None, value: Any, extra: ExtraFields) -> Any:
    """Return the JSON text of a value after `change`, which turns a name that an object has twice into a list."""
    if change is not None and has_repeated(value):
        return misfit(value, extra)
    try:
        return to_text(change(extra.redaction, value) if change else value)
    except InvalidJsonError:
        return misfit(value, extra)


_READERS: dict[str, Callable[[Convert, Any, ExtraFields], Any]] = {
    "string": read_string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
