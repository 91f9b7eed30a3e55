"""Scalars as received → scalars as declared: what can be read without loss is read, all else is a misfit.

Every reader is called with what to do with a misfit, the value (never null), and the record's `Drift`, which counts
the values that were read from another type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from crawler.catalog.columns import Column
from crawler.normalizer import timestamps
from crawler.normalizer.exact_json import InvalidJsonError, WireFloat, has_repeated, to_text
from crawler.normalizer.extra import Convert, Drift

_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1


def reader(column: Column, misfit: Convert) -> Convert:
    """The function for a scalar column that is not JSON text."""
    if column.kind == "timestamp":
        return partial(_timestamp, misfit, column.unit)
    return partial(_READERS[column.kind], misfit)


def read_string(misfit: Convert, value: Any, drift: Drift) -> Any:
    """Text; a number as it was on the wire."""
    if type(value) is str:
        return value
    if type(value) is int or type(value) is WireFloat:
        drift.coerced += 1
        return to_text(value)
    return misfit(value, drift)


def _integer(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is int:
        return value if _MIN_INT64 <= value <= _MAX_INT64 else misfit(value, drift)
    number = None
    if type(value) is str and _INTEGER.fullmatch(value):
        number = int(value)
    elif type(value) is WireFloat and abs(value) < 2.0**64:  # int(Decimal("1e999999999")) would never end
        exact = _decimal(value)
        number = int(exact) if exact is not None and exact == exact.to_integral_value() else None
    if number is None or not _MIN_INT64 <= number <= _MAX_INT64:
        return misfit(value, drift)
    drift.coerced += 1
    return number


def _decimal(value: WireFloat) -> Decimal | None:
    """The number exactly; None where its exponent is beyond what can be (18 digits)."""
    try:
        return Decimal(value.literal)
    except InvalidOperation:
        return None


def _number(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is WireFloat:
        shortest = repr(float(value))
        is_exact = shortest == value.literal or (abs(value) < float("inf") and Decimal(shortest) == _decimal(value))
        return float(value) if is_exact else misfit(value, drift)
    if type(value) is int and abs(value) <= _MAX_INT64 and int(float(value)) == value:
        return float(value)
    return misfit(value, drift)


def _boolean(misfit: Convert, value: Any, drift: Drift) -> Any:
    if type(value) is bool:
        return value
    if type(value) is str and value in {"true", "false"}:
        drift.coerced += 1
        return value == "true"
    return misfit(value, drift)


def _timestamp(misfit: Convert, unit: str, value: Any, drift: Drift) -> Any:
    found: tuple[int | None, bool] | None = None
    if type(value) is str:
        found = timestamps.from_text(value, unit)
    elif type(value) is int and abs(value) < 10**18:
        found = timestamps.from_number(Decimal(value), unit)
    elif type(value) is WireFloat and abs(value) < 1e18 and (exact := _decimal(value)) is not None:
        found = timestamps.from_number(exact, unit)
    if found is None:
        return misfit(value, drift)
    drift.coerced += found[1]
    return found[0]


def read_json(misfit: Convert, change: Callable[[Any], Any] | None, value: Any, drift: Drift) -> Any:
    """The JSON text of a value, after `change`, which makes a name that an object has twice look like a list."""
    if change is not None and has_repeated(value):
        return misfit(value, drift)
    try:
        return to_text(change(value) if change else value)
    except InvalidJsonError:
        return misfit(value, drift)


_READERS: dict[str, Callable[[Convert, Any, Drift], Any]] = {
    "string": read_string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
