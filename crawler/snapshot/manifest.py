"""The manifest: the files of a snapshot and its status. Its appearance in the output is the commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
import pyarrow as pa

from crawler.errors import OutputError
from crawler.snapshot.layout import (
    is_part_path,
    is_scope_part_path,
    is_snapshot_id,
    is_table,
    ledger_path,
    manifest_path,
)
from crawler.snapshot.ledger import LedgerView, ScopeRow, judged_statuses, odd_row
from crawler.snapshot.limits import MANIFEST_BYTES, TABLES, Count, Words, decode_json, is_instant
from crawler.snapshot.status import SnapshotStatus, Status, can_be_latest, has_rows, is_whole, snapshot_status

FORMAT = 2
# A manifest is small; its ledger has all rows.
_MAX_ROWS = 1000
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_FewTables = msgspec.Meta(max_length=TABLES)


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one table, in the order of their paths; `bytes` is the sum of their sizes."""

    rows: Count
    bytes: Count
    schema_sha256: Words
    files: list[PartFile]


class StatusCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of scopes: in total and by each of the seven statuses, and the rows of those that aren't whole.

    From format 2 on, `not_complete` has the first 1,000 of these rows, and `not_complete_total` is their number.
    `accepted` counts those that a rule of `[[accepted]]` covers.
    """

    total: Count
    by_status: Annotated[dict[Words, Count], msgspec.Meta(max_length=100)]
    not_complete: list[ScopeRow]
    not_complete_total: Count | msgspec.UnsetType = msgspec.UNSET
    accepted: Count = 0

    @property
    def missing(self) -> int:
        """The number of scopes that aren't whole."""
        return len(self.not_complete) if self.not_complete_total is msgspec.UNSET else self.not_complete_total


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The list of the organization's members: the account that requested it, its status and its length.

    `status`: complete, unstable, denied or failed. Unless complete, the snapshot is partial: it may lack accounts.
    """

    account_id: Words
    status: Status
    members: Count = 0
    error_code: Words = ""
    error_message: Words = ""
    request_id: Words = ""

    @property
    def is_listed(self) -> bool:
        """Whether there is a list of members."""
        return has_rows(self.status)


class CrawlSelection(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the command line that made a crawl narrower than its configuration; None for each other option.

    `tables` are patterns. `published`: the user asked that LATEST and the lake's tables move to the snapshot anyway.
    """

    accounts: list[Words] | None = None
    regions: list[Words] | None = None
    tables: list[Words] | None = None
    published: bool = False

    @property
    def options(self) -> str:
        """The options as on the command line."""
        given = {"--account": self.accounts, "--region": self.regions, "--table": self.tables}
        return " ".join(f"{option} {value}" for option, values in given.items() for value in values or ())


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the crawl. `name` may be empty. `source` is configured, or member: one of the directory's."""

    id: Words
    name: Words = ""
    source: Words = "configured"


class AcceptedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of `[[accepted]]` that held: patterns, reason, last day, and the number of scopes that it covered."""

    account: Words
    region: Words
    table: Words
    reason: Words
    until: Words
    scopes: Count = 0


def is_unpublished_part(selection: CrawlSelection | None) -> bool:
    """Return whether a crawl with this selection covers a part of the inventory that the user didn't publish."""
    return selection is not None and not selection.published


class ShardEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One shard of a crawl by several processes: its number from 0 and what became of it.

    `status` is reported or lost. `attempts` counts the processes that tried it, `hosts` names the machines of those, as
    far as they are known. `seconds` and `requests` are those of the attempt whose rows are in the snapshot.
    """

    number: Count
    status: Words
    attempts: Count = 0
    hosts: list[Words] = []
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0.0
    requests: Count = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a manifest. Times are UTC; `unknown_fields` is {table: {path: count}}; `overhead` counts requests.

    `fingerprint_key_id` identifies the key of the fingerprints and reveals nothing of it; empty without a key.
    `fingerprint_scope`: `account` if a fingerprint has its account in it, `all` if not, as in manifests without it.
    `directory` is None without an organization; `left_out` are the skipped members, with their reasons. `selection` is
    None for a crawl of the whole configuration. `replaced_latest`: the ID of a snapshot from the future, from which
    LATEST and the lake's tables moved back to this one. Nearly all manifests are without it. `shards` is empty for a
    crawl in one process. `accounts` are those of the crawl, by ID, and `accepted` the rules that held; both are empty
    in manifests of early versions.
    """

    format: int
    snapshot_id: Words
    status: SnapshotStatus
    started_at: Instant
    finished_at: Instant
    version: Words
    secrets: Words
    fingerprint_key_id: Words = ""
    fingerprint_scope: Words = "all"
    clock_skew_s: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
    plan_sha256: Words
    tables: Annotated[dict[str, TableEntry], _FewTables]
    scopes: StatusCounts
    unknown_fields: Annotated[dict[str, dict[str, Count]], _FewTables]
    overhead: Annotated[dict[Words, Count], msgspec.Meta(max_length=100)]
    directory: DirectoryEntry | None = None
    left_out: list[SkippedMember] = []
    selection: CrawlSelection | None = None
    replaced_latest: Words | msgspec.UnsetType = msgspec.UNSET
    shards: list[ShardEntry] = []
    accounts: list[AccountEntry] = []
    accepted: list[AcceptedEntry] = []
    ledger: PartFile

    @property
    def account_names(self) -> dict[str, str]:
        """The name of each account by its ID. Names may be empty; a manifest of an early version has no accounts."""
        return {account.id: account.name for account in self.accounts}

    @property
    def can_be_latest(self) -> bool:
        """Whether LATEST and the lake's tables may move to the snapshot; see `status.can_be_latest`."""
        return can_be_latest(self.status, is_whole_inventory=not is_unpublished_part(self.selection))


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """The fields of the manifest that come from the crawl; the snapshot's writer adds the others."""

    finished_at: datetime
    version: str
    secrets: str
    plan_sha256: str
    clock_skew_s: float
    unknown_fields: Mapping[str, Mapping[str, int]]
    overhead: Mapping[str, int]
    directory: DirectoryEntry | None = None
    left_out: Sequence[SkippedMember] = ()
    selection: CrawlSelection | None = None
    fingerprint_key_id: str = ""
    replaced_latest: str = ""
    fingerprint_scope: str = "all"
    shards: Sequence[ShardEntry] = ()
    accounts: Sequence[AccountEntry] = ()
    accepted: Sequence[AcceptedEntry] = ()


def encode(manifest: Manifest) -> bytes:
    """Return indented JSON in the order of the fields, mappings sorted, with a final newline: always the same bytes.

    Raises OutputError for a manifest that is larger than a reader accepts.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=2) + b"\n"
    if len(text) > MANIFEST_BYTES:
        raise OutputError(
            f"the manifest of {manifest.snapshot_id} has {len(text):,} bytes, more than the {MANIFEST_BYTES:,} that a "
            "reader accepts; crawl fewer accounts, regions or tables into one output"
        )
    return text


def decode(text: bytes, name: str) -> Manifest:
    """Return the manifest in this JSON. Fields of later versions are ignored.

    Raises OutputError, which names `name`, for content that isn't a manifest, for a later format, and for values that
    no snapshot with its ID has: names of tables, paths, instants.
    """
    try:
        if (found := decode_json(text, _Head).format) not in _PART_PATHS:
            raise OutputError(f"{name} has format {found}, this version reads 1 and 2; use a newer acs-inventory")
        manifest = decode_json(text, Manifest)
    except ValueError as error:
        raise OutputError(f"{name} is not a readable manifest: {error}") from error
    if odd := next(_oddities(manifest), ""):
        raise OutputError(f"{name} is not a readable manifest: {odd}")
    return manifest


def decode_of(snapshot_id: str, text: bytes, name: str) -> Manifest:
    """As `decode`. Raises OutputError also for the manifest of another snapshot."""
    manifest = decode(text, name)
    if manifest.snapshot_id != snapshot_id:
        raise OutputError(f"{name} is the manifest of another snapshot, {manifest.snapshot_id}")
    return manifest


def checksum_line(text: bytes, snapshot_id: str) -> bytes:
    """Return the line that `sha256sum` prints for the manifest in its folder."""
    name = manifest_path(snapshot_id).rpartition("/")[2]
    return f"{hashlib.sha256(text).hexdigest()}  {name}\n".encode()


def count_scopes(ledger: LedgerView, format_number: int = FORMAT) -> StatusCounts:
    """Return the counts of a ledger's scopes, as a manifest of this format has them."""
    by_status = {str(status): ledger.by_status[status] for status in Status}
    if format_number == 1:
        return StatusCounts(total=len(ledger), by_status=by_status, not_complete=ledger.not_whole())
    return StatusCounts(
        total=len(ledger),
        by_status=by_status,
        not_complete=ledger.not_whole(_MAX_ROWS),
        not_complete_total=sum(number for status, number in ledger.by_status.items() if not is_whole(status)),
        accepted=ledger.accepted.total(),
    )


def status_of(ledger: LedgerView, directory: DirectoryEntry | None) -> SnapshotStatus:
    """Return the status of a snapshot with this ledger and this list of the organization's members."""
    return snapshot_status(judged_statuses(ledger), directory.status if directory is not None else None)


def schema_sha256(schema: pa.Schema) -> str:
    """Return the SHA-256, in hex, of the schema's names, types and nullability, in order, without metadata."""
    return hashlib.sha256("\n".join(_describe_field(field) for field in schema).encode()).hexdigest()


class _Head(msgspec.Struct):
    format: int


# By format: which paths its parts can have.
_PART_PATHS = {1: is_scope_part_path, 2: is_part_path}


def _oddities(manifest: Manifest) -> Iterator[str]:
    """Yield what no snapshot has, so that later steps can use its paths and instants without checks."""
    snapshot_id = manifest.snapshot_id
    if not is_snapshot_id(snapshot_id):
        yield f"{snapshot_id[:80]!a} is not a snapshot ID"
        return
    if not is_instant(manifest.started_at) or not is_instant(manifest.finished_at):
        yield "its start or its end is not in the years 1900 to 9998"
    for table in filter(lambda name: not is_table(name), (*manifest.tables, *manifest.unknown_fields)):
        yield f"{table[:80]!a} can't be a table's name"
    seen = set()
    for table, entry in manifest.tables.items():
        for file in entry.files:
            if not _PART_PATHS[manifest.format](file.path, table, snapshot_id):
                yield f"{file.path[:200]!a} is not a path of its snapshot"
            if file.path in seen:
                yield f"{file.path} is named twice"
            seen.add(file.path)
    if manifest.ledger.path != ledger_path(snapshot_id):
        yield f"{manifest.ledger.path[:200]!a} is not a path of its snapshot"
    yield from filter(None, map(odd_row, manifest.scopes.not_complete))


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
    # The name of the item has no meaning, and Parquet readers change it.
    return f"{_describe_type(field.type)}{'' if field.nullable else ' not null'}"


@dataclass(frozen=True, slots=True)
class SkippedMember:
    """A member that isn't crawled, with its name in the resource directory and the reason."""

    account_id: Words
    name: Words
    reason: Words


@dataclass(frozen=True, slots=True)
class PartFile:
    """A committed file: its path relative to the root, its rows, its size in bytes and its SHA-256 in hex."""

    path: Words
    rows: Count
    bytes: Count
    sha256: Words
