"""What a type doesn't say: whether a float has the number, whether a text is an instant. Only plain forms pass."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

# Up to 15 digits: each such decimal has a float of its own, which is written back as the same number.
_NUMBER = r"(?=[^,]{1,16}(?:,|\Z))(?:-(?=[\d.]*[1-9]))?(?:0|[1-9]\d{0,14})(?:\.\d+)?"
_NUMBERS = re.compile(rf"(?:(?:null|{_NUMBER})(?:,|\Z))*".encode())

_ZONE = r"(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)"
_INSTANT = re.compile(rf"\d{{4}}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{{1,6}})?{_ZONE}", re.ASCII)
_TO_ZERO = str.maketrans("123456789", "000000000")
_SHAPES = frozenset(
    f"0000-00-00{between}00:00:00{'.' * bool(digits)}{'0' * digits}Z" for between in "T " for digits in range(7)
)


def are_numbers(literals: Sequence[Any]) -> bool:
    """Whether JSON literals are nulls, or numbers that a float holds exactly, written without an exponent."""
    return _NUMBERS.fullmatch(b",".join(map(bytes, literals))) is not None


def are_instants(texts: Sequence[str]) -> bool:
    """Whether texts are instants of the calendar to the microsecond, with their zone, far from its first and last day.

    Most have one shape: it is compared for all at once.
    """
    whole = "".join(texts)
    shape = texts[0].translate(_TO_ZERO)
    is_same = shape in _SHAPES and whole.translate(_TO_ZERO) == shape * len(texts)
    if not is_same and not all(map(_INSTANT.fullmatch, texts)):
        return False
    if is_same and ("T24" in whole or " 24" in whole):  # midnight at the day's end, which newer Pythons take
        return False
    if min(texts) < "0002" or max(texts) >= "9999":
        return False
    try:
        deque(map(datetime.fromisoformat, texts), maxlen=0)
    except ValueError:  # the 30th of February
        return False
    return True
