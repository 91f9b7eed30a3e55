"""The verification of the lakes in a local output: each file that their tables name exists.

The content of a snapshot's files is checked against its manifest. Here a table is checked: a removed list of files, or
a removed snapshot that a table still names, breaks the table and no manifest shows it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.errors import ConfigError, OutputError
from crawler.snapshot.lake.base import OWN_TABLES
from crawler.snapshot.lake.catalog import own_tables
from crawler.snapshot.lake.identity import check_record, read_record
from crawler.snapshot.lake.known import lakes_in
from crawler.snapshot.lake.publish import open_lake
from crawler.snapshot.layout import is_table
from crawler.snapshot.orphans import BadFile
from crawler.snapshot.reader import storage_of

if TYPE_CHECKING:
    from crawler.snapshot.lake.base import LakeSettings
    from crawler.snapshot.reader import OutputLocation


def verify_lakes(location: OutputLocation) -> tuple[list[BadFile], list[str]]:
    """Return the files that tables name and that are missing, and why some tables can't be checked.

    A lake can't be checked without its extra, and in a copy of the output to which its tables belong.
    """
    if not isinstance(location, Path):
        return [], []
    bad: list[BadFile] = []
    unchecked: list[str] = []
    try:
        record, lakes = read_record(location), lakes_in(location)
    except OutputError as error:
        # The snapshots were verified before, and their results are shown, too.
        return [BadFile("Iceberg and Delta tables", f"can't be verified: {error}")], []
    for found in lakes:
        settings = dataclasses.replace(found, output_id=record.id if record is not None else "")
        name = f"{settings.format.capitalize()} table"
        try:
            if settings.format == "iceberg":
                check_record(record, settings)
            missing = open_lake(settings, is_new=False).missing(_tables(location, settings))
        except ConfigError as error:
            unchecked.append(f"the {name}s aren't verified: {error}")
        except OutputError as error:
            bad.append(BadFile(f"{name}s", str(error)))
        else:
            bad += [BadFile(f"{name} {table}", f"names {path}, which is missing") for table, path in missing]
    return bad, unchecked


def _tables(root: Path, settings: LakeSettings) -> list[str]:
    if settings.format == "iceberg":
        return own_tables(root)[settings.namespace]
    return [*OWN_TABLES, *filter(is_table, storage_of(root).folders(""))]
