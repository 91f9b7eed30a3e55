"""The commit of a snapshot to Iceberg or Delta tables over the snapshot's own files.

A lake table's commit only names files that the snapshot has already. A table's content is that of LATEST: partial
snapshots and those of a narrowed crawl aren't published, since the missing rows would look deleted. Each table moves by
one atomic commit, forwards only. The commit has the snapshot's ID, by which all tables of one crawl are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from crawler.errors import ConfigError, CrawlError, UnfinishedCommitError
from crawler.snapshot.lake.base import Lake, LakeSettings, TableContent
from crawler.snapshot.lake.catalog import reason_of
from crawler.snapshot.lake.footers import read_statistics
from crawler.snapshot.lake.places import check_place
from crawler.snapshot.lake.turns import turn_of_crawl
from crawler.snapshot.location import BucketLocation
from crawler.snapshot.reader import BucketReader, snapshot_ids

if TYPE_CHECKING:
    import pyarrow as pa

    from crawler.snapshot.ledger import LedgerView
    from crawler.snapshot.manifest import Manifest, PartFile
    from crawler.snapshot.rows.statistics import PartStatistics

_SORTED_FIRST = ("account_id", "region_id")
_MODULES = {"iceberg": "pyiceberg", "delta": "deltalake"}


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
        extra = f"acs-inventory[{kind}]"
        raise ConfigError(f'{kind.capitalize()} tables need an extra; run pip install "{extra}"')


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
) -> None:
    """Move each requested table to the content of a committed snapshot, if it can be LATEST.

    `keys` has the key columns of each table, `statistics` those of each part by its path; the footers of other parts
    are read. A snapshot that a `prune` has removed since its commit isn't published: a newer one is complete. Where
    LATEST left a snapshot from the future, the tables leave it, too. Raises UnfinishedCommitError if a table's commit
    fails: others may have moved, and the next crawl moves it.
    """
    if not manifest.can_be_latest:
        return

    def describe(file: PartFile) -> PartStatistics:
        return statistics.get(file.path) or read_statistics(lake.settings, file)

    tables = sorted(table for table, figures in ledger.by_table.items() if figures.written)
    with _unfinished(manifest, "tables aren't moved to it; the next crawl moves them"), turn_of_crawl(lake.settings):
        if not _is_committed(lake.settings, manifest.snapshot_id):
            return
        for table in tables:
            with _unfinished(manifest, f"table {table} isn't moved to it; the next crawl moves it"):
                lake.move(_content(table, manifest, schemas[table], keys.get(table, ()), describe))


def _content(
    table: str,
    manifest: Manifest,
    schema: pa.Schema,
    key: Sequence[str],
    describe: Callable[[PartFile], PartStatistics],
) -> TableContent:
    entry = manifest.tables.get(table)
    return TableContent(
        table,
        schema,
        (*_SORTED_FIRST, *key),
        [file for file in entry.files if file.rows] if entry is not None else [],
        describe,
        manifest.snapshot_id,
        manifest.finished_at if manifest.replaced_latest else None,
    )


@contextmanager
def _unfinished(manifest: Manifest, what: str) -> Iterator[None]:
    try:
        yield
    except UnfinishedCommitError:
        raise
    except Exception as error:  # noqa: BLE001
        # The errors come from several libraries, whose texts may contain URLs with passwords.
        reason = str(error) if isinstance(error, CrawlError) else reason_of(error)
        raise UnfinishedCommitError(
            f"snapshot {manifest.snapshot_id} is committed, but the lake's {what}: {reason}"
        ) from None


def _is_committed(settings: LakeSettings, snapshot_id: str) -> bool:
    location = settings.root if isinstance(settings.root, Path) else BucketReader(settings.root, settings.keys)
    return snapshot_id in snapshot_ids(location)
