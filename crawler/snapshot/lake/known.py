"""The lakes whose tables may name files of an output: those that `prune` must ask before it removes files.

They don't depend on `[output] format`, which may have been another one when the tables were made. A lake that is known
of and can't be asked is an error.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import ConfigError
from crawler.snapshot.lake.base import ICEBERG, OWN_TABLES, LakeSettings, folder_of
from crawler.snapshot.lake.delta import LOG
from crawler.snapshot.lake.identity import check_record, read_catalogs, read_record
from crawler.snapshot.lake.publish import require_extra
from crawler.snapshot.layout import is_table
from crawler.snapshot.reader import storage_of

if TYPE_CHECKING:
    from crawler.snapshot.location import BucketLocation
    from crawler.snapshot.reader import OutputLocation


def known_lakes(location: OutputLocation, configured: LakeSettings | None) -> list[LakeSettings]:
    """Return the lakes in an output, those that its record names, and the catalog of `[output.iceberg]`.

    `configured` is that catalog, whatever the configured format; None without a configuration. Raises ConfigError if
    the record names a catalog that isn't configured, or another place; OutputError if the output can't be read.
    """
    iceberg = configured or LakeSettings("iceberg", _root(location))
    record = read_record(location)
    check_record(record, iceberg)
    outside = iceberg if iceberg.catalog_uri else None
    found = lakes_in(location)
    if record is None and outside is None:
        _raise_if_unknown(location)
    found += _outside_lakes(location, outside)
    output_id = record.id if record is not None else ""
    keys = None if isinstance(location, Path) else location.store.keys
    return [dataclasses.replace(settings, output_id=output_id, umask=iceberg.umask, keys=keys) for settings in found]


def lakes_in(location: OutputLocation) -> list[LakeSettings]:
    """Return the lakes whose log or catalog is in the output. Raises OutputError."""
    from crawler.snapshot.lake.catalog import OWN_FILE, own_tables

    root = _root(location)
    found = [LakeSettings("delta", root)] if _has_delta(location) else []
    if isinstance(location, Path) and (location / OWN_FILE).exists():
        # The namespace is a setting, which may have been another one.
        found += [LakeSettings("iceberg", root, namespace=name) for name in own_tables(location)]
    return found


def _raise_if_unknown(location: OutputLocation) -> None:
    """Raise ConfigError for metadata of an earlier release, which didn't record its catalog."""
    from crawler.snapshot.lake.catalog import OWN_FILE

    if isinstance(location, Path) and (location / ICEBERG).exists() and not (location / OWN_FILE).exists():
        raise ConfigError(
            f"{location / ICEBERG} has the metadata of Iceberg tables, and their catalog isn't known; name it in "
            "[output.iceberg] of the configuration and use --config, or remove the folder if no catalog has these "
            "tables"
        )


def _root(location: OutputLocation) -> Path | BucketLocation:
    return location if isinstance(location, Path) else location.place


def _outside_lakes(location: OutputLocation, outside: LakeSettings | None) -> list[LakeSettings]:
    """Return the lake of each recorded namespace of a configured catalog, and the configured one."""
    recorded = read_catalogs(location)
    if outside is None and not recorded:
        return []
    require_extra("iceberg")
    from crawler.snapshot.lake.catalog import catalog_record, sqlite_file

    own = catalog_record(outside) if outside is not None else None
    for record in recorded:
        if own is None or record.catalog != own.catalog:
            raise ConfigError(
                f"files of this output are the content of Iceberg tables in the catalog {record.catalog} (namespace "
                f"{record.namespace}), which isn't configured; name it in [output.iceberg] and use --config, or remove "
                f"{record.path} from the output if these tables are gone"
            )
    if outside is None:
        return []
    file = sqlite_file(outside)
    if file is not None and not file.exists():
        if recorded:
            raise ConfigError(
                f"[output.iceberg] the catalog {file} is missing; restore it, or remove {recorded[0].path} from the "
                "output if its tables are gone"
            )
        return []
    names = sorted({outside.namespace, *(record.namespace for record in recorded)})
    return [dataclasses.replace(outside, namespace=name) for name in names]


def _has_delta(location: OutputLocation) -> bool:
    """Return whether any table has a Delta log. Buckets of OSS can't have one."""
    if not isinstance(location, Path) and location.place.kind == "oss":
        return False
    storage = storage_of(location)
    folders = [*map(folder_of, OWN_TABLES), *filter(is_table, storage.folders(""))]
    return any(LOG in storage.folders(folder) for folder in folders)
