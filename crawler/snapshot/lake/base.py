"""The settings of a lake, and the protocol of its two formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from crawler.snapshot.layout import is_future, is_snapshot_id
from crawler.snapshot.location import BucketLocation

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from crawler.snapshot.manifest import PartFile
    from crawler.snapshot.rows.statistics import PartStatistics
    from crawler.snapshot.s3.client import KeySource

# The property of a commit that names the snapshot.
SNAPSHOT_PROPERTY = "acs-inventory.snapshot-id"
# The folder of the catalog and the metadata of Iceberg tables that need no other place.
ICEBERG = "_iceberg"
# The folder of what only the lake needs: the output's record, and the files of the lake's own tables.
FOLDER = "_lake"
DEFAULT_NAMESPACE = "acs_inventory"
# The lake's own tables: the coverage of each snapshot, and the snapshots themselves. Each crawl adds rows to them.
SCOPES = "_scopes"
SNAPSHOT_TABLE = "_snapshots"
OWN_TABLES = (SCOPES, SNAPSHOT_TABLE)
# The column of a table with the rows of many snapshots that its files don't have.
SNAPSHOT_DATE = "snapshot_date"

LakeMode = Literal["replace", "append"]


@dataclass(frozen=True, slots=True, repr=False)
class LakeSettings:
    """A lake over an output. There is no `repr`, since the catalog's URI may contain a password.

    `output_id` is the ID of the output (see `identity`), empty if it has none. `umask` is that of a local output.
    `keys` returns the keys of a bucket whose location has none; they are asked for as long as tables move. `mode`: a
    snapshot's rows replace those of the table, or are added to those of older snapshots.
    """

    format: Literal["iceberg", "delta"]
    root: Path | BucketLocation
    catalog_uri: str = ""
    warehouse: str = ""
    namespace: str = DEFAULT_NAMESPACE
    output_id: str = ""
    umask: int = 0o077
    # Certificate authorities of a REST catalog, in place of the system's.
    ca_file: Path | None = None
    keys: KeySource | None = field(default=None, compare=False)
    mode: LakeMode = field(default="replace", compare=False)

    @property
    def base(self) -> str:
        """The output as a location for other libraries, without a slash at its end. See `places`."""
        if isinstance(self.root, Path):
            return f"file://{self.root.resolve()}"
        return f"{self.root.kind}://{self.root.bucket}/{self.root.prefix}".rstrip("/")

    @property
    def has_own_catalog(self) -> bool:
        """Whether the catalog is a file in the output."""
        return self.format == "iceberg" and not self.catalog_uri


@dataclass(frozen=True, slots=True)
class TableContent:
    """The content that a snapshot gives a lake table: its files, each with rows, and how these are described.

    `order` are the columns by which the rows of a part are sorted. `statistics` returns those of a file; it may have to
    read the file, and raises OutputError. With `now`, the table leaves a snapshot from the future, as LATEST does.
    `is_added`: the rows of other snapshots stay, and `committed` are the snapshots of the output.
    """

    table: str
    schema: pa.Schema
    order: Sequence[str]
    files: Sequence[PartFile]
    statistics: Callable[[PartFile], PartStatistics]
    snapshot_id: str
    now: datetime | None = None
    is_added: bool = False
    committed: Collection[str] = ()

    @property
    def folder(self) -> str:
        """The folder of the table's files in the output."""
        return folder_of(self.table)

    def is_reached(self, current: str) -> bool:
        """Return whether a table at the snapshot `current`, or at none (""), stays as it is."""
        from_future = self.now is not None and is_snapshot_id(current) and is_future(current, self.now)
        return current >= self.snapshot_id and not from_future


class Lake(Protocol):
    """The tables of one output in one format. Methods block. `move` raises any error, the others CrawlError."""

    settings: LakeSettings

    def check(self, tables: Iterable[str]) -> None:
        """Raise ConfigError if any of these tables belongs to another output, or can't be written safely."""
        ...

    def move(self, content: TableContent) -> bool:
        """Make this the table's content, or a part of it, by one commit. Return False if it is so already.

        Content that replaces another one doesn't replace that of a newer snapshot.
        """
        ...

    def added(self, tables: Iterable[str]) -> set[str]:
        """Return the snapshots that were added to any of these tables, as far as a table has the rows of many."""
        ...

    def named(self, tables: Iterable[str], expiring: Collection[str]) -> dict[str, set[str]]:
        """Return table → the snapshots whose files the table would name after `expire(tables, expiring)`."""
        ...

    def missing(self, tables: Iterable[str]) -> list[tuple[str, str]]:
        """Return (table, file) for each file on this machine that a kept version of these tables names in vain."""
        ...

    def expire(self, tables: Iterable[str], snapshot_ids: Collection[str]) -> None:
        """Remove these snapshots, none of which is in `named`: their rows, and the versions that name their files."""
        ...


def folder_of(table: str) -> str:
    """Return the folder of a table's files, relative to the output."""
    return f"{FOLDER}/{table}" if table in OWN_TABLES else table
