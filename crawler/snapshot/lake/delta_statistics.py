"""The statistics of a part as a Delta log has them: JSON with counts and bounds, by which readers skip files."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from crawler.snapshot.rows.statistics import cut_high

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.snapshot.rows.statistics import PartStatistics

# As other writers of Delta by default.
_MOST_COLUMNS = 32
_TEXT_LENGTH = 32
_MILLISECOND = timedelta(milliseconds=1)


def encode_statistics(found: PartStatistics, schema: pa.Schema, first: Sequence[str]) -> str:
    """Return the rows of a part, and counts and bounds of `first` and of the columns after, 32 together.

    Fields of structs have statistics, lists and maps have none. Text is cut; times are rounded outwards to
    milliseconds. A bound may therefore be wider than the values, which the protocol allows.
    """
    columns = {column.path: column for column in found.columns}
    paths = [path for name in dict.fromkeys([*first, *schema.names]) for path in _leaves(name, schema.field(name).type)]
    kept: dict[str, dict[str, Any]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    for path in paths[:_MOST_COLUMNS]:
        column = columns.get(".".join(path))
        if column is None:
            continue
        bounds = {"minValues": _low(column.low), "maxValues": _high(column.high), "nullCount": column.nulls}
        for name, value in bounds.items():
            if value is not None:
                _put(kept[name], path, value)
    return msgspec.json.encode({"numRecords": found.rows, **kept}).decode()


def _leaves(name: str, kind: pa.DataType) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the columns of a field that have one value a row."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from ((name, *inner) for inner in _leaves(field.name, field.type))
    elif not pa.types.is_nested(kind):
        yield (name,)


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _low(value: Any) -> Any:
    if isinstance(value, datetime):
        return _text_of(value)
    return value[:_TEXT_LENGTH] if isinstance(value, str) else _as_number(value)


def _high(value: Any) -> Any:
    if isinstance(value, datetime):
        with suppress(OverflowError):  # at the end of the year 9999
            return _text_of(value if value.microsecond % 1000 == 0 else value + _MILLISECOND)
        return None
    return cut_high(value, _TEXT_LENGTH) if isinstance(value, str) else _as_number(value)


def _as_number(value: Any) -> int | float | None:
    """Return a number that JSON has; None for others, and for booleans, of which Delta has no bounds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return value if is_number else None


def _text_of(value: datetime) -> str:
    """Return an instant, cut to milliseconds."""
    utc = value.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"
