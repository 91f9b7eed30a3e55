"""The manifest of a snapshot: its files, the result of its scopes, its status. Its creation is the commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import pyarrow as pa

from crawler.errors import OutputError
from crawler.snapshot.layout import is_part_path, is_snapshot_id, ledger_path, manifest_path
from crawler.snapshot.ledger import Ledger, ScopeRow, Status, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


FORMAT = 1
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the snapshot. `files` are sorted by path; `bytes` is their size on the disk."""

    rows: int
    bytes: int
    schema_sha256: str
    files: list[PartFile]


class StatusCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the scopes: their number, the count of each of the seven statuses, the rows that aren't whole."""

    total: int
    by_status: dict[str, int]
    not_complete: list[ScopeRow]


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """How the organization's resource directory was listed: by which account, with which result, how many members.

    `status` is complete, unstable, denied or failed. Unless it is complete the snapshot is partial: accounts may be
    missing in it.
    """

    account_id: str
    status: Status
    members: int = 0
    error_code: str = ""
    error_message: str = ""
    request_id: str = ""

    @property
    def is_listed(self) -> bool:
        """Whether there is a list of members."""
        return self.status in {Status.COMPLETE, Status.UNSTABLE}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a manifest. Instants are UTC; `unknown_fields` is {table: {path: count}}; `overhead` counts
    requests that no scope needed.

    `fingerprint_key_id` tells fingerprint keys apart without revealing them; empty without a key. `directory` is None
    without an organization; `left_out` has its members that were not crawled, each with the reason.
    """

    format: int
    snapshot_id: str
    status: Literal["complete", "partial"]
    started_at: Instant
    finished_at: Instant
    version: str
    secrets: str
    fingerprint_key_id: str = ""
    clock_skew_s: float
    plan_sha256: str
    tables: dict[str, TableEntry]
    scopes: StatusCounts
    unknown_fields: dict[str, dict[str, int]]
    overhead: dict[str, int]
    directory: DirectoryEntry | None = None
    left_out: list[SkippedMember] = []
    ledger: PartFile


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """The part of a manifest that a crawl provides; the snapshot's writer adds the rest."""

    finished_at: datetime
    version: str
    secrets: str
    plan_sha256: str
    clock_skew_s: float
    unknown_fields: Mapping[str, Mapping[str, int]]
    overhead: Mapping[str, int]
    directory: DirectoryEntry | None = None
    left_out: Sequence[SkippedMember] = ()
    fingerprint_key_id: str = ""


def encode(manifest: Manifest) -> bytes:
    """Encode as indented JSON, fields in order, mappings sorted, with a final newline: the same bytes each time."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=2) + b"\n"


def decode(text: bytes, name: str) -> Manifest:
    """Decode a manifest. Fields of later versions are ignored.

    Raises OutputError, which names `name`, for JSON that isn't a manifest, for a later format, and for paths that a
    snapshot with this ID can't have.
    """
    try:
        if (found := msgspec.json.decode(text, type=_Head).format) != FORMAT:
            raise OutputError(f"{name} has format {found}, this version reads {FORMAT}; use a newer acs-inventory")
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise OutputError(f"{name} is not a readable manifest: {str(error) or type(error).__name__}") from error
    _check_paths(manifest, name)
    return manifest


def checksum_line(text: bytes, snapshot_id: str) -> bytes:
    """Return the line that `sha256sum` prints for the manifest in its folder."""
    name = manifest_path(snapshot_id).rpartition("/")[2]
    return f"{hashlib.sha256(text).hexdigest()}  {name}\n".encode()


def count_scopes(ledger: Sequence[ScopeRow]) -> StatusCounts:
    """The ledger in short."""
    rows = Ledger.of(ledger)
    by_status = {str(status): rows.by_status[status] for status in Status}
    return StatusCounts(total=len(rows), by_status=by_status, not_complete=rows.not_whole())


def status_of(ledger: Sequence[ScopeRow], directory: DirectoryEntry | None) -> Literal["complete", "partial"]:
    """A snapshot's status: complete where every scope is whole and no member account can be missing."""
    knows_all = directory is None or is_whole(directory.status)
    return "complete" if knows_all and Ledger.of(ledger).is_whole else "partial"


def schema_sha256(schema: pa.Schema) -> str:
    """Return the SHA-256, in hex, of the schema's names, types and nullability, in order, without metadata."""
    return hashlib.sha256("\n".join(_describe_field(field) for field in schema).encode()).hexdigest()


class _Head(msgspec.Struct):
    format: int


def _check_paths(manifest: Manifest, name: str) -> None:
    snapshot_id = manifest.snapshot_id
    if not is_snapshot_id(snapshot_id):
        raise OutputError(f"{name} is not a readable manifest: {snapshot_id[:80]!r} is not a snapshot ID")
    foreign = [
        file.path
        for table, entry in manifest.tables.items()
        for file in entry.files
        if not is_part_path(file.path, table, snapshot_id)
    ]
    if manifest.ledger.path != ledger_path(snapshot_id):
        foreign.append(manifest.ledger.path)
    if foreign:
        raise OutputError(f"{name} is not a readable manifest: {foreign[0][:200]!r} is not a path of its snapshot")


def _describe_field(field: pa.Field) -> str:
    return f"{field.name!r} {_describe_type(field.type)}{'' if field.nullable else ' not null'}"


def _describe_type(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(_describe_field(kind.field(i)) for i in range(kind.num_fields))}>"
    if pa.types.is_map(kind):
        return f"map<{_describe_type(kind.key_type)}, {_describe_item(kind.item_field)}>"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_describe_item(kind.value_field)}>"
    return str(kind)


def _describe_item(field: pa.Field) -> str:
    # The item's name has no meaning, and Parquet readers change it.
    return f"{_describe_type(field.type)}{'' if field.nullable else ' not null'}"


@dataclass(frozen=True, slots=True)
class SkippedMember:
    """A member account of the organization that isn't crawled, and the reason. `name` is its name in the directory."""

    account_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class PartFile:
    """A committed file in the manifest: its path relative to the root, its SHA-256 in hex."""

    path: str
    rows: int
    bytes: int
    sha256: str
