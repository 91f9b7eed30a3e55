"""The statistics of a finished part, from its footer: what lake tables say of a file, so that readers can skip it.

A footer has an entry for each column of each row group. Here each column has one entry, and long text is cut.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Longer than what either format keeps by default (16 characters of Iceberg, 32 of Delta).
TEXT_LENGTH = 64
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """A column of a part. `path` is that of Parquet, such as `layers.list.element.size`; `kind` is its physical type.

    `values` counts nulls and the items of lists, too; `bytes` are compressed. `nulls` is None where it isn't known. No
    value is less than `low` or greater than `high`; None where there is no value, or no such bound.
    """

    path: str
    kind: str
    values: int
    nulls: int | None
    bytes: int
    low: Any
    high: Any


@dataclass(frozen=True, slots=True)
class PartStatistics:
    """The rows of a part, the offsets of its row groups in bytes, and its columns in the order of the file."""

    rows: int
    offsets: tuple[int, ...]
    columns: tuple[ColumnStatistics, ...]


def statistics_of(footer: pq.FileMetaData) -> PartStatistics:
    """Return the statistics in a footer."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    offsets = tuple(_offset(group.column(0)) for group in groups)
    columns = (_column([group.column(number) for group in groups]) for number in range(footer.num_columns))
    # A file without a row group has no description of its columns but in its schema, and nothing to say of them.
    return PartStatistics(footer.num_rows, offsets, tuple(columns) if groups else ())


def cut_high(text: str, length: int) -> str | None:
    """Return a text of at most `length` characters that isn't less than the text; None if there is none."""
    if len(text) <= length:
        return text
    for end in range(length, 0, -1):
        following = ord(text[end - 1]) + 1
        if following <= sys.maxunicode:
            return text[: end - 1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
    return None


def _offset(first: pq.ColumnChunkMetaData) -> int:
    has_dictionary = first.has_dictionary_page and first.dictionary_page_offset < first.data_page_offset
    return int(first.dictionary_page_offset if has_dictionary else first.data_page_offset)


def _column(chunks: list[pq.ColumnChunkMetaData]) -> ColumnStatistics:
    found = [chunk.statistics for chunk in chunks]
    known = [each for each in found if each is not None]
    has_nulls = len(known) == len(found) and all(each.has_null_count for each in known)
    bounded = [each for each in known if each.has_min_max]
    # A chunk of nulls has no bounds and needs none.
    empty = sum(each.has_null_count and each.num_values == 0 for each in known if not each.has_min_max)
    low = high = None
    if bounded and len(bounded) + empty == len(found):
        with suppress(ValueError, OverflowError, NotImplementedError):  # of a value that Python doesn't have
            low, high = min(each.min for each in bounded), max(each.max for each in bounded)
    return ColumnStatistics(
        path=sys.intern(chunks[0].path_in_schema),
        kind=sys.intern(chunks[0].physical_type),
        values=sum(chunk.num_values for chunk in chunks),
        nulls=sum(each.null_count for each in known) if has_nulls else None,
        bytes=sum(chunk.total_compressed_size for chunk in chunks),
        low=low[:TEXT_LENGTH] if isinstance(low, str) else low,
        high=cut_high(high, TEXT_LENGTH) if isinstance(high, str) else high,
    )
