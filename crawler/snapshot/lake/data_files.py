"""The entries of parts in the manifests of an Iceberg table, with column bounds from the parts' statistics."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from crawler.snapshot.lake.base import SNAPSHOT_DATE
from crawler.snapshot.layout import started_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyiceberg.io.pyarrow import StatisticsCollector
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.rows.statistics import ColumnStatistics, PartStatistics


def data_files(
    metadata: TableMetadata, base: str, parts: Iterable[tuple[PartFile, PartStatistics]], snapshot_id: str
) -> Iterator[DataFile]:
    """Yield the entry of each part below `base`, all of one snapshot.

    A table with the rows of many snapshots is partitioned by their date, which the files don't have as a column:
    readers take it from the entries. No other column of a partition spec is in use.

    The table's properties say which columns have bounds, as for other writers of Iceberg; nested ones have counts. An
    entry doesn't claim the table's sort order: the parts of formats 1 and 2 aren't sorted by the same columns.
    """
    from pyiceberg.io.pyarrow import compute_statistics_plan, parquet_path_to_id_mapping
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    plan = compute_statistics_plan(metadata.schema(), metadata.properties)
    ids = parquet_path_to_id_mapping(metadata.schema())
    spec = metadata.spec()
    day = (started_at(snapshot_id).date() - date(1970, 1, 1)).days
    partition = [day if field.name == SNAPSHOT_DATE else None for field in spec.fields]
    for file, statistics in parts:
        # A column that the table lacks is one of another release.
        columns = [(plan[ids[column.path]], column) for column in statistics.columns if column.path in ids]
        entry: dict[str, Any] = {
            "content": DataFileContent.DATA,
            "file_path": f"{base}/{file.path}",
            "file_format": FileFormat.PARQUET,
            "partition": Record(*partition),
            "record_count": file.rows,
            "file_size_in_bytes": file.bytes,
            "split_offsets": sorted(statistics.offsets),
            "sort_order_id": None,
            "spec_id": spec.spec_id,
            "equality_ids": None,
            "key_metadata": None,
            **_metrics(columns),
        }
        yield DataFile.from_args(**entry)


def _metrics(columns: list[tuple[StatisticsCollector, ColumnStatistics]]) -> dict[str, dict[int, Any]]:
    """Return the counts, sizes and bounds of columns by their field IDs."""
    from pyiceberg.io.pyarrow import MetricModeTypes, StatsAggregator

    sizes: dict[int, int] = {}
    values: dict[int, int] = {}
    nulls: dict[int, int] = {}
    lows: dict[int, bytes | None] = {}
    highs: dict[int, bytes | None] = {}
    for wanted, column in columns:
        field = wanted.field_id
        sizes[field] = column.bytes
        if wanted.mode.type == MetricModeTypes.NONE:
            continue
        values[field] = column.values
        if column.nulls is not None:
            nulls[field] = column.nulls
        if wanted.mode.type == MetricModeTypes.COUNTS or column.low is None:
            continue
        bounds = StatsAggregator(wanted.iceberg_type, column.kind, wanted.mode.length)
        bounds.update_min(column.low)
        bounds.update_max(column.high)
        lows[field], highs[field] = bounds.min_as_bytes(), bounds.max_as_bytes()
    return {
        "column_sizes": sizes,
        "value_counts": values,
        "null_value_counts": nulls,
        "nan_value_counts": {},
        "lower_bounds": lows,
        # Text of which every character is the last one has no upper bound that is shorter.
        "upper_bounds": {field: high for field, high in highs.items() if high is not None},
    }
