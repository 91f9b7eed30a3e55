"""The documents of a run: the plan, a shard's report, and the note that the run is joined. None has a secret.

They have IDs, names, regions, tables and numbers. Each process takes credentials and settings from its own
configuration; `conditions` shows whether that is the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from crawler.errors import OutputError
from crawler.snapshot.layout import (
    MOST_ATTEMPTS,
    MOST_SHARDS,
    is_attempt_ledger,
    is_part_path,
    is_snapshot_id,
    is_table,
    parent,
)
from crawler.snapshot.limits import TABLES, Count, Words, decode_json, is_instant
from crawler.snapshot.manifest import CrawlSelection, DirectoryEntry, Instant, PartFile, SkippedMember
from crawler.text import ACCOUNT_ID, REGION_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
_KEY_CHARACTERS = 256

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=_KEY_CHARACTERS)]
ShardNumber = Annotated[int, msgspec.Meta(ge=0, lt=MOST_SHARDS)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
_Document = TypeVar("_Document", bound="_Head")
_FieldCounts = Annotated[dict[str, dict[str, Count]], msgspec.Meta(max_length=TABLES)]


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of every document."""

    format: int = FORMAT
    snapshot_id: Words
    started_at: Instant


class PlannedAccount(msgspec.Struct, frozen=True, array_like=True):
    """An account of the plan. `place` is the index of its regions with their tables. Members are assumed by a role."""

    id: Words
    name: Words
    is_member: bool
    place: Count


class ShardAccount(msgspec.Struct, frozen=True, array_like=True):
    """An account of a shard, by its index in the plan. `regions` are those of the shard, None for all."""

    account: Count
    regions: list[Words] | None = None


class RunPlan(_Head, frozen=True, kw_only=True):
    """The plan of a run: the same for all of its processes.

    `at_once` shards run at a time at most: limits that they share are divided by it. `engine` is what starts the
    processes of a coordinator; empty for those that start by themselves. `output_format` is that of `[output] format`
    or of the command line. `tables` are those to write. A place has the index in `table_sets` of each region's tables,
    parents first. `hosts` are those that products named for regions: product → region → template. `overhead`,
    `warnings`, `directory`, `left_out`, `not_offered` and `selection` are those of the manifest and the summary.
    """

    key: Key
    shard_count: Annotated[int, msgspec.Meta(ge=1, le=MOST_SHARDS)]
    at_once: Annotated[int, msgspec.Meta(ge=1, le=MOST_SHARDS)] = 1
    engine: Words = ""
    output_format: Words = "parquet"
    clock_skew_s: Seconds = 0.0
    deadline_at: Instant | None = None
    plan_sha256: Words
    conditions: dict[str, Words]
    tables: list[Words]
    table_sets: list[list[Words]]
    places: list[dict[str, Count]]
    accounts: list[PlannedAccount]
    shards: list[list[ShardAccount]]
    hosts: dict[str, dict[str, Words]] = {}
    overhead: dict[str, Count] = {}
    warnings: list[Words] = []
    directory: DirectoryEntry | None = None
    left_out: list[SkippedMember] = []
    not_offered: dict[str, list[Words]] = {}
    selection: CrawlSelection | None = None

    def targets(self, shard: int) -> Iterator[tuple[PlannedAccount, str, tuple[str, ...]]]:
        """Yield the account, the region and the tables of each target of a shard."""
        table_sets = [tuple(tables) for tables in self.table_sets]
        for entry in self.shards[shard]:
            account = self.accounts[entry.account]
            place = self.places[account.place]
            for region_id in place if entry.regions is None else entry.regions:
                yield account, region_id, table_sets[place[region_id]]


class ShardReport(_Head, frozen=True, kw_only=True):
    """The result of one attempt at a shard, whose parts are durable. `ledger` has its scopes.

    `requests`, `retries` and `throttled` are the attempt's. `resumed_scopes` counts the scopes that an earlier attempt
    had finished. The other fields are those of the manifest and the summary.
    """

    shard: ShardNumber
    attempt: Annotated[int, msgspec.Meta(ge=1, le=MOST_ATTEMPTS)]
    plan_sha256: Words
    host: Words = ""
    finished_at: Instant
    files: Annotated[dict[str, list[PartFile]], msgspec.Meta(max_length=TABLES)]
    ledger: PartFile
    unknown_fields: _FieldCounts = {}
    misfit_fields: _FieldCounts = {}
    overhead: dict[str, Count] = {}
    requests: Count = 0
    retries: Count = 0
    throttled: Count = 0
    resumed_scopes: Count = 0
    clock_skew_s: Seconds = 0.0
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0.0
    warnings: list[Words] = []


class JoinedRun(_Head, frozen=True, kw_only=True):
    """The end of a run: its snapshot is committed, or nothing is (`status` is none). `exit_code` is the crawl's.

    `finished_at` is that of the manifest.
    """

    key: Key
    finished_at: Instant
    status: Words
    exit_code: Count


def encode(document: RunPlan | ShardReport | JoinedRun) -> bytes:
    """Return a document as JSON: always the same bytes for the same content."""
    return msgspec.json.encode(document, order="deterministic") + b"\n"


def decode_plan(text: bytes, name: str) -> RunPlan:
    """Return the plan in this JSON. Raises OutputError, which names `name`, for what no planner writes."""
    plan = _decode(text, RunPlan, name)
    if odd := next(_odd_plan(plan), ""):
        raise OutputError(f"{name} is not a readable plan: {odd}")
    return plan


def decode_report(text: bytes, name: str, plan: RunPlan, shard: int) -> ShardReport:
    """Return a shard's report. `name` is its path, in the run's folder.

    Raises OutputError, which names it, for what no attempt at that shard writes.
    """
    report = _decode(text, ShardReport, name)
    if (report.snapshot_id, report.plan_sha256, report.shard) != (plan.snapshot_id, plan.plan_sha256, shard):
        raise OutputError(f"{name} is not a report of shard {shard} of this run")
    for table, files in report.files.items():
        if table not in plan.tables or not all(is_part_path(file.path, table, plan.snapshot_id) for file in files):
            raise OutputError(f"{name} is not a readable report: a file isn't one of its snapshot")
    if not is_attempt_ledger(report.ledger.path, parent(name), shard, report.attempt):
        raise OutputError(f"{name} is not a readable report: {report.ledger.path[:200]!a} is not a ledger's path")
    return report


def decode_joined(text: bytes, name: str) -> JoinedRun:
    """Return the note of a joined run. Raises OutputError, which names `name`, for another content."""
    return _decode(text, JoinedRun, name)


def _decode(text: bytes, kind: type[_Document], name: str) -> _Document:
    try:
        document = decode_json(text, kind)
    except ValueError as error:
        raise OutputError(f"{name} can't be read: {error}") from error
    if document.format != FORMAT:
        raise OutputError(
            f"{name} has format {document.format}, this version reads {FORMAT}; use one version for a run"
        )
    if not is_snapshot_id(document.snapshot_id) or not is_instant(document.started_at):
        raise OutputError(f"{name} can't be read: it names no snapshot")
    return document


def _odd_plan(plan: RunPlan) -> Iterator[str]:
    """Yield what no plan has, so that later steps can use its names and indices without checks."""
    if not all(map(is_table, [*plan.tables, *(table for tables in plan.table_sets for table in tables)])):
        yield "it has a name that no table has"
    for place in plan.places:
        if not all(map(REGION_ID.fullmatch, place)) or any(index >= len(plan.table_sets) for index in place.values()):
            yield "it has a region that can't be one"
    for account in plan.accounts:
        if not ACCOUNT_ID.fullmatch(account.id) or account.place >= len(plan.places):
            yield "it has an account that can't be one"
    if len(plan.shards) != plan.shard_count:
        yield f"it has {len(plan.shards)} shards, and says {plan.shard_count}"
    for shard in plan.shards:
        for entry in shard:
            if entry.account >= len(plan.accounts) or not (
                set(entry.regions or ()) <= set(plan.places[plan.accounts[entry.account].place])
            ):
                yield "a shard has an account or a region that the plan lacks"
