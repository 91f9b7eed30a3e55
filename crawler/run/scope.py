"""One scope while it is crawled: the counts of its lists, its outcome, and at its end the row of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from crawler.catalog.model import Operation
from crawler.client.client import RequestChannel, RequestCounts, SignedAccount
from crawler.errors import ApiError, CrawlError
from crawler.normalizer import RowPage
from crawler.run.details import DetailReader
from crawler.run.outcome import ScopeOutcome
from crawler.run.targets import Target
from crawler.snapshot import ChildList, ScopeRow, ScopeWriter
from crawler.snapshot.status import Status, has_rows

MAX_PENDING = 1000
_MAX_NAMES = 1000
_LONGEST_NAME = 256


def add_names(names: dict[str, int], found: Mapping[str, int]) -> None:
    """Add counts of fields by name. Beyond 1,000 names, the names are data: they are counted together as `…`.

    So is the end of a long name.
    """
    for name, number in found.items():
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        kept = short if short in names or len(names) < _MAX_NAMES else "…"
        names[kept] = names.get(kept, 0) + number


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """Counts of fields by table and path: those that the schemas lack, and the values that don't fit them."""

    unknown: dict[str, dict[str, int]] = field(default_factory=dict)
    misfits: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, table: str, unknown: Mapping[str, int], misfits: Mapping[str, int]) -> None:
        """Add the counts of one scope."""
        for fields, found in ((self.unknown, unknown), (self.misfits, misfits)):
            if found:
                add_names(fields.setdefault(table, {}), found)


@dataclass(slots=True)
class ListRowCounts:
    """Counts of rows, of one list or of all lists of a scope.

    `unknown` counts the fields that the schema lacks, `misfits` the values that don't fit it and the missing keys.
    """

    seen: int = 0
    coerced: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, int] = field(default_factory=dict)

    def add(self, page: RowPage) -> None:
        """Add the counts of one page."""
        self.seen += page.seen
        self.coerced += page.coerced
        if page.unknown:
            add_names(self.unknown, page.unknown)
        if page.misfits:
            add_names(self.misfits, page.misfits)


@dataclass(slots=True, eq=False)
class Scope:
    """One table in one target, while it is crawled.

    `open_parents` counts the parent scopes that may still give lists. `pending` counts the lists that haven't ended,
    `running` has the cancel scopes of those that have begun. `writer` is None for a parent that the user didn't
    request. `has_any_response`: some list gave a page. `details` is None where the records' details aren't requested.
    `started_lists` has every list that a parent's row gave, by its parameters, and whether it is speculative; with
    `has_unknown_lists` some row didn't name its list.
    """

    operation: Operation
    target: Target
    caller: SignedAccount
    channel: RequestChannel
    writer: ScopeWriter | None
    details: DetailReader | None = None
    children: list[Scope] = field(default_factory=list)
    outcome: ScopeOutcome = field(default_factory=ScopeOutcome)
    open_parents: int = 0
    pending: int = 0
    lists: int = 0
    pages: int = 0
    gone_during_crawl: int = 0
    counts: ListRowCounts = field(default_factory=ListRowCounts)
    tally: RequestCounts = field(default_factory=RequestCounts)
    walks: dict[str, int] = field(default_factory=dict)
    started_lists: dict[tuple[str, ...], bool] = field(default_factory=dict)
    running: set[anyio.CancelScope] = field(default_factory=set)
    has_capacity: anyio.Event | None = None
    started_at: datetime | None = None
    is_ended: bool = False
    has_any_response: bool = False
    has_unknown_lists: bool = False

    @property
    def will_be_dropped(self) -> bool:
        """Whether the scope's rows won't be in the snapshot in any case: further requests are useless."""
        return not has_rows(self.outcome.status)

    def stop(self) -> None:
        """Drop the lists that haven't begun and cancel those that have.

        If one list says that the product isn't there, the running lists go on: they show whether that is true.
        """
        self.pending -= len(self.channel.lane.not_started)
        self.channel.lane.not_started.clear()
        if self.outcome.status is not Status.UNSUPPORTED:
            for walk in self.running:
                walk.cancel()
        self.notify_capacity()

    async def wait_for_capacity(self) -> None:
        """Wait while too many lists are pending. Afterwards the caller may submit the lists of one page."""
        while self.pending >= MAX_PENDING and not self.will_be_dropped:
            self.has_capacity = self.has_capacity or anyio.Event()
            await self.has_capacity.wait()

    def notify_capacity(self) -> None:
        """Wake the parents that wait until fewer lists are pending."""
        if self.has_capacity is not None and (self.pending < MAX_PENDING or self.will_be_dropped):
            self.has_capacity.set()
            self.has_capacity = None

    def record_outcome(self, status: Status, code: str, message: str) -> None:
        """Record the outcome of a list. The worst outcome of all lists counts, with its first reason."""
        self.outcome = self.outcome.combined_with(ScopeOutcome(status, code, message))

    def record_error(self, error: CrawlError) -> None:
        """Record a list that ended with an error."""
        self.outcome = self.outcome.combined_with(ScopeOutcome.of_error(error, self.operation.ram))

    def record_missing_details(self) -> None:
        """Record rows whose details were requested and not received: the scope is truncated."""
        if self.details is None or (error := self.details.error) is None:
            return
        details = self.details
        message = f"{details.action} failed for {details.missing} of {details.requested} rows: {error.message}"
        request_id = error.request_id if isinstance(error, ApiError) else ""
        outcome = ScopeOutcome(Status.TRUNCATED, error.code, message, request_id)
        self.outcome = self.outcome.combined_with(outcome)

    def inherit(self, table: str, parent: ScopeOutcome) -> None:
        """Record the outcome of a parent, a scope of `table`: a child is never better than its parent."""
        self.outcome = self.outcome.combined_with(parent.for_child(table))

    def known_lists(self) -> list[ChildList] | None:
        """Return all lists that the parents' rows gave so far; None if a row didn't name its list."""
        if self.has_unknown_lists:
            return None
        return [ChildList(values, is_speculative) for values, is_speculative in self.started_lists.items()]

    def count_list(self, counts: ListRowCounts, note: str, pages: int) -> None:
        """Add the counts of one list that has ended. `note` describes its pagination, if any page came."""
        total = self.counts
        self.lists += 1
        self.pages += pages
        total.seen += counts.seen
        total.coerced += counts.coerced
        if pages:
            way = f"{note} + {self.details.action}" if self.details else note
            self.walks[way] = self.walks.get(way, 0) + 1
        if counts.unknown:
            add_names(total.unknown, counts.unknown)
        if counts.misfits:
            add_names(total.misfits, counts.misfits)

    async def end(self, now: datetime) -> ScopeRow:
        """Keep or drop the rows, and return the scope's row of the ledger. Raises OutputError."""
        self.is_ended = True
        self.outcome = outcome = self.outcome.at_end(has_any_response=self.has_any_response)
        rows = duplicates = conflicts = 0
        if self.writer is not None:
            is_kept = has_rows(outcome.status)
            if is_kept:
                self.writer.keep()
            else:
                await self.writer.drop()
            rows = self.writer.rows if is_kept else 0
            duplicates, conflicts = self.writer.duplicates, self.writer.conflicts
        self.started_lists.clear()
        if self.details is not None:
            self.details.close()
        return ScopeRow(
            self.target.account_id,
            self.target.region_id,
            self.operation.table,
            outcome.status,
            written=self.writer is not None,
            rows=rows,
            rows_seen=self.counts.seen,
            lists=self.lists,
            pages=self.pages,
            requests=self.tally.requests,
            retries=self.tally.retries,
            throttled=self.tally.throttled,
            duplicates=duplicates,
            conflicts=conflicts,
            coerced=self.counts.coerced,
            misfits=sum(self.counts.misfits.values()),
            vanished=self.gone_during_crawl,
            walk=describe_walks(self.walks),
            error_code=outcome.code,
            error_message=outcome.message,
            request_id=outcome.request_id,
            started_at=self.started_at,
            finished_at=now if self.started_at else None,
        )


def describe_walks(walks: Mapping[str, int]) -> str:
    """Return how a scope's lists were paged: the most frequent way first, each with its number of lists."""
    ordered = sorted(walks.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(note if len(ordered) == 1 else f"{note} × {number}" for note, number in ordered[:5])


@dataclass(slots=True)
class Job:
    """One list to walk. `has_slot`: the dispatcher has granted a slot, so its first request may go at once.

    `body` is the last page as received, kept if the records' details are requested. `has_list`: a page had a list.
    """

    scope: Scope
    parameters: Mapping[str, str]
    is_speculative: bool
    has_slot: bool = False
    body: bytes = b""
    has_list: bool = False
