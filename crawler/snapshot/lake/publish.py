"""Lake tables over a snapshot's own files: what a commit to Iceberg or Delta is made of, whichever it is.

The files are those that the snapshot has anyway; a lake table's commit only names them. A table's content is what
LATEST has of it: a partial snapshot isn't committed to any, since a scope that failed would look deleted there. Each
table moves by one atomic commit, forwards only, and carries the snapshot's ID, which ties one crawl's tables together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import ConfigError, OutputError, UnfinishedCommitError
from crawler.snapshot.lake.base import Lake, LakeSettings
from crawler.snapshot.location import BucketLocation

if TYPE_CHECKING:
    import pyarrow as pa

    from crawler.snapshot.ledger import ScopeRow
    from crawler.snapshot.manifest import Manifest

_MODULES = {"iceberg": "pyiceberg", "delta": "deltalake"}


def open_lake(settings: LakeSettings) -> Lake:
    """The lake, reached but not changed. Raises ConfigError: a missing extra, a place that the format can't be on, a
    catalog that doesn't answer.
    """
    if find_spec(_MODULES[settings.format]) is None:
        extra = f"acs-inventory[{settings.format}]"
        raise ConfigError(f'output.format is "{settings.format}", which needs an extra: pip install "{extra}"')
    if isinstance(settings.root, BucketLocation) and settings.root.kind == "oss":
        raise ConfigError(
            f'output.format is "{settings.format}", which this version writes to local disks and S3, not to oss://: '
            'write "parquet", which does'
        )
    if settings.format == "iceberg":
        from crawler.snapshot.lake.iceberg import IcebergLake

        return IcebergLake(settings)
    from crawler.snapshot.lake.delta import DeltaLake

    return DeltaLake(settings)


def lakes_beside(root: Path) -> list[LakeSettings]:
    """The lakes that crawls have made in a local output, whose catalogs are there as well."""
    found = []
    if (root / "_iceberg" / "catalog.db").is_file():
        found.append(LakeSettings("iceberg", root))
    if root.is_dir() and any(root.glob("*/_delta_log")):
        found.append(LakeSettings("delta", root))
    return found


def publish(lake: Lake, manifest: Manifest, schemas: Mapping[str, pa.Schema], ledger: Sequence[ScopeRow]) -> None:
    """Let every table that was asked for have what a committed snapshot has of it.

    Raises UnfinishedCommitError where a table's commit fails: others may have moved, and the next crawl moves it.
    """
    if manifest.status != "complete":
        return
    for table in sorted({row.table for row in ledger if row.written}):
        entry = manifest.tables.get(table)
        files = [file for file in entry.files if file.rows] if entry is not None else []
        try:
            lake.move(table, schemas[table], files, manifest.snapshot_id)
        except Exception as error:  # noqa: BLE001
            # Several libraries meet here, and their texts may hold URLs with passwords.
            reason = str(error) if isinstance(error, OutputError) else type(error).__name__
            raise UnfinishedCommitError(
                f"snapshot {manifest.snapshot_id} is committed, but the lake's table {table} isn't moved to it, which "
                f"the next crawl does: {reason}"
            ) from None
