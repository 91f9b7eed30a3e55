"""The lakes whose tables may name files of an output: those that `prune` must ask before it removes files.

They don't depend on `[output] format`, which may have been another one when the tables were made. A lake that is known
of and can't be asked is an error.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import ConfigError
from crawler.snapshot.lake.base import ICEBERG, LakeSettings
from crawler.snapshot.lake.delta import LOG
from crawler.snapshot.lake.identity import check_record, read_catalogs, read_record
from crawler.snapshot.lake.publish import require_extra
from crawler.snapshot.layout import is_table
from crawler.snapshot.reader import storage_of

if TYPE_CHECKING:
    from crawler.snapshot.reader import OutputLocation


def known_lakes(location: OutputLocation, configured: LakeSettings | None) -> list[LakeSettings]:
    """Return the lakes in an output, those that its record names, and the catalog of `[output.iceberg]`.

    `configured` is that catalog, whatever the configured format; None without a configuration. Raises ConfigError if
    the record names a catalog that isn't configured, or another place; OutputError if the output can't be read.
    """
    root = location if isinstance(location, Path) else location.place
    iceberg = configured or LakeSettings("iceberg", root)
    record = read_record(location)
    check_record(record, iceberg)
    found = [LakeSettings("delta", root)] if _has_delta(location) else []
    outside = iceberg if iceberg.catalog_uri else None
    if isinstance(location, Path) and (location / ICEBERG).exists():
        found += _own_lakes(location, has_outside=outside is not None or record is not None)
    found += _outside_lakes(location, outside)
    output_id = record.id if record is not None else ""
    return [dataclasses.replace(settings, output_id=output_id, umask=iceberg.umask) for settings in found]


def _own_lakes(root: Path, *, has_outside: bool) -> list[LakeSettings]:
    """Return the lake of each namespace of the catalog in a local output, which may have had several settings."""
    from crawler.snapshot.lake.catalog import OWN_FILE, own_namespaces

    if (root / OWN_FILE).exists():
        return [LakeSettings("iceberg", root, namespace=name) for name in own_namespaces(root)]
    if has_outside:
        return []
    raise ConfigError(
        f"{root / ICEBERG} has the metadata of Iceberg tables, and their catalog isn't known; name it in "
        "[output.iceberg] of the configuration and use --config, or remove the folder if no catalog has these tables"
    )


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
    return any(LOG in storage.folders(table) for table in filter(is_table, storage.folders("")))
