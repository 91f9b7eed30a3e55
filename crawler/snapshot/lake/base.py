"""The settings of a lake, and the protocol of its two formats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from crawler.snapshot.location import BucketLocation

if TYPE_CHECKING:
    import pyarrow as pa

    from crawler.snapshot.manifest import PartFile

# The property of a commit that names the snapshot.
SNAPSHOT_PROPERTY = "acs-inventory.snapshot-id"


@dataclass(frozen=True, slots=True, repr=False)
class LakeSettings:
    """A lake over an output. There is no `repr`, since the catalog's URI may contain a password."""

    format: Literal["iceberg", "delta"]
    root: Path | BucketLocation
    catalog_uri: str = ""
    warehouse: str = ""
    namespace: str = "acs_inventory"
    # Certificate authorities of a REST catalog, in place of the system's.
    ca_file: Path | None = None

    @property
    def base(self) -> str:
        """The output as a URI for other libraries, without a slash at its end."""
        if isinstance(self.root, Path):
            return f"file://{self.root.resolve()}"
        return f"s3://{self.root.bucket}/{self.root.prefix}".rstrip("/")


class Lake(Protocol):
    """The tables of one output in one format. Methods block. `move` raises any error, the others OutputError."""

    def move(self, table: str, schema: pa.Schema, files: Sequence[PartFile], snapshot_id: str) -> None:
        """Make these files the table's content by one commit, unless it has those of this snapshot or a newer one."""
        ...

    def heads(self, tables: Iterable[str]) -> dict[str, str]:
        """Return table → the ID of the snapshot whose files are its content, for the tables that have any."""
        ...

    def expire(self, tables: Iterable[str], snapshot_ids: Collection[str]) -> None:
        """Remove the versions of these tables that name files of these snapshots, none of which is a head."""
        ...
