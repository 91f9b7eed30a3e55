"""The commit of a snapshot to Iceberg or Delta tables over the snapshot's own files: how it is asked for.

`publication` has the rules. Here are the conditions of a lake, and the steps around a publication: its turn, its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING

from crawler.errors import ConfigError
from crawler.extras import how_to_install
from crawler.snapshot.lake.base import Lake, LakeSettings
from crawler.snapshot.lake.places import check_place
from crawler.snapshot.lake.publication import Publication, unfinished
from crawler.snapshot.lake.turns import turn_of_crawl
from crawler.snapshot.location import BucketLocation

if TYPE_CHECKING:
    import pyarrow as pa

    from crawler.snapshot.ledger import LedgerView
    from crawler.snapshot.manifest import Manifest
    from crawler.snapshot.rows.statistics import PartStatistics

_MODULES = {"iceberg": "pyiceberg", "delta": "deltalake"}


@dataclass(frozen=True, slots=True)
class LakeResult:
    """The result of a publication: how many tables moved, and in which time. `problems` are sentences for users."""

    format: str
    tables_moved: int
    seconds: float
    problems: tuple[str, ...] = ()


def check_settings(settings: LakeSettings) -> None:
    """Raise ConfigError for a missing extra, and for an output that can't hold the format's tables. Makes nothing."""
    require_extra(settings.format)
    is_on_oss = isinstance(settings.root, BucketLocation) and settings.root.kind == "oss"
    if is_on_oss and settings.format == "delta":
        raise ConfigError(
            'output.format is "delta", which can\'t be written to oss://: a commit of Delta is a file that must not '
            'replace another one, and OSS has no such request in the S3 protocol; set it to "iceberg" or "parquet"'
        )
    check_place(settings)


def require_extra(kind: str) -> None:
    """Raise ConfigError if the library of a format isn't installed."""
    if find_spec(_MODULES[kind]) is None:
        raise ConfigError(f"{kind.capitalize()} tables: {how_to_install(kind)}")


def open_lake(settings: LakeSettings, *, is_new: bool = True) -> Lake:
    """Connect to the lake without changing a table. `is_new`: make what a first crawl needs, such as its catalog.

    Raises ConfigError as `check_settings`, and for a catalog that doesn't answer.
    """
    check_settings(settings)
    if settings.format == "iceberg":
        from crawler.snapshot.lake.iceberg import IcebergLake

        return IcebergLake(settings, is_new=is_new)
    from crawler.snapshot.lake.delta import DeltaLake

    return DeltaLake(settings)


def publish(
    lake: Lake,
    manifest: Manifest,
    schemas: Mapping[str, pa.Schema],
    ledger: LedgerView,
    keys: Mapping[str, Sequence[str]] = MappingProxyType({}),
    statistics: Mapping[str, PartStatistics] = MappingProxyType({}),
    on_step: Callable[[int, int], object] = lambda *_: None,
) -> LakeResult:
    """Publish a committed snapshot, and those that a stopped crawl has left. See `Publication`.

    `keys` has the key columns of each table, `statistics` those of each part by its path; the footers of other parts
    are read. `on_step` is called with the number of tables that are done, and of all. Raises UnfinishedCommitError if a
    table's commit fails: others may have moved, and the next crawl moves it.
    """
    start = time.monotonic()
    publication = Publication(lake, schemas, keys, statistics, on_step)
    with unfinished(manifest, "tables aren't moved to it; the next crawl moves them"), turn_of_crawl(lake.settings):
        publication.run(manifest, ledger)
    seconds = time.monotonic() - start
    return LakeResult(lake.settings.format, len(publication.moved), seconds, tuple(publication.problems))
