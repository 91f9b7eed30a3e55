"""The start of a crawl into a lake: the output gets its record, and the catalog is asked before a table is touched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from crawler.snapshot.lake.base import OWN_TABLES
from crawler.snapshot.lake.catalog import catalog_record
from crawler.snapshot.lake.identity import (
    check_record,
    find_record,
    keep_record,
    new_record,
    note_catalog,
    read_record,
)
from crawler.snapshot.lake.publish import check_settings, open_lake

if TYPE_CHECKING:
    from collections.abc import Collection

    from crawler.snapshot.lake.base import Lake, LakeSettings
    from crawler.snapshot.object_store import ObjectStore


def check_lake(settings: LakeSettings) -> None:
    """Check what can be known of a lake without its catalog, and make nothing.

    Raises ConfigError as `check_settings` and `check_record`, OutputError if the record can't be read.
    """
    check_settings(settings)
    if settings.format == "iceberg" and isinstance(settings.root, Path):
        check_record(read_record(settings.root), settings)


async def claim_lake(settings: LakeSettings, bucket: ObjectStore | None, tables: Collection[str]) -> Lake:
    """Open the lake of an output for these tables, which must belong to it or be new. `bucket`: None for a folder.

    Raises ConfigError if they belong to another output, OutputError if the output's record can't be made.
    """
    if settings.format == "delta":
        return await _open(settings, tables)
    record = await find_record(bucket, settings)
    own = record or new_record(settings)
    lake = await _open(dataclasses.replace(settings, output_id=own.id), tables)
    if record is None:
        kept = await keep_record(bucket, settings, own)
        # Another crawl may have begun at the same time.
        lake = lake if kept == own else await _open(dataclasses.replace(settings, output_id=kept.id), tables)
    outside = catalog_record(settings)
    if outside is not None:
        await note_catalog(bucket, settings, outside)
    return lake


async def _open(settings: LakeSettings, tables: Collection[str]) -> Lake:
    def open_blocking() -> Lake:
        lake = open_lake(settings)
        lake.check([*tables, *OWN_TABLES])
        return lake

    return await anyio.to_thread.run_sync(open_blocking)
