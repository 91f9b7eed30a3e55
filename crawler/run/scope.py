"""What becomes of a scope: its lists' outcomes, its parents' status, and the one status that the manifest shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from crawler.catalog.model import Operation
from crawler.client.client import RequestChannel, RequestCounts, SignedAccount
from crawler.errors import (
    ApiError,
    CrawlError,
    DeniedError,
    NormalizeError,
    PaginationError,
    UnsupportedError,
)
from crawler.normalizer import RowPage
from crawler.run.details import DetailReader
from crawler.run.targets import Target
from crawler.snapshot import ChildList, ScopeWriter
from crawler.snapshot.ledger import ScopeRow, Status, has_rows, worst

MAX_PENDING = 1000
_MAX_MESSAGE = 500
_MAX_NAMES = 1000
_INHERITED = "Its parent "
_WITH_SOME_ROWS = frozenset({Status.TRUNCATED, Status.UNSTABLE})


def add_names(names: dict[str, int], found: Mapping[str, int]) -> None:
    """Count fields by name; beyond 1,000 names, which are data and no names, together as `…`."""
    for name, number in found.items():
        kept = name if name in names or len(names) < _MAX_NAMES else "…"
        names[kept] = names.get(kept, 0) + number


@dataclass(slots=True)
class ListRowCounts:
    """What one list gave so far; void when its reading begins anew."""

    seen: int = 0
    coerced: int = 0
    misfits: int = 0
    unknown: dict[str, int] = field(default_factory=dict)

    def add(self, page: RowPage) -> None:
        """Count one more page."""
        self.seen += page.seen
        self.coerced += page.coerced
        self.misfits += page.misfits
        if page.unknown:
            add_names(self.unknown, page.unknown)


@dataclass(slots=True, eq=False)
class Scope:
    """One table in one account and region, while it is crawled.

    `sources` are the parents' scopes that may still give lists, `pending` the lists that haven't ended, `running` those
    of them that have begun. `writer` is None for a parent that was walked and not asked for. `has_pages`: some list
    gave a page. `details` is None where the records' details aren't asked for. `begun` has every list that a parent's
    row gave, by its parameters, and whether it's a guess; with `has_unknown_lists` some row didn't say which.
    """

    operation: Operation
    target: Target
    caller: SignedAccount
    channel: RequestChannel
    row: ScopeRow
    writer: ScopeWriter | None
    children: list[Scope] = field(default_factory=list)
    sources: int = 0
    pending: int = 0
    begun: dict[tuple[str, ...], bool] = field(default_factory=dict)
    tally: RequestCounts = field(default_factory=RequestCounts)
    walks: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    running: set[anyio.CancelScope] = field(default_factory=set)
    room: anyio.Event | None = None
    is_ended: bool = False
    has_pages: bool = False
    has_unknown_lists: bool = False
    details: DetailReader | None = None

    @property
    def is_doomed(self) -> bool:
        """Whether the scope's rows won't be in the snapshot whatever comes: asking on would be in vain."""
        return not has_rows(self.row.status)

    def stop(self) -> None:
        """Forget the lists that haven't begun, and end those that have.

        Where one list says that the product isn't there, those that have begun may go on: they say whether it's true.
        """
        self.pending -= len(self.channel.lane.not_started)
        self.channel.lane.not_started.clear()
        if self.row.status is not Status.UNSUPPORTED:
            for walk in self.running:
                walk.cancel()
        self.make_room()

    async def wait_for_room(self) -> None:
        """Wait while too many lists are pending. Whoever comes back may submit one page's before waiting again."""
        while self.pending >= MAX_PENDING and not self.is_doomed:
            self.room = self.room or anyio.Event()
            await self.room.wait()

    def make_room(self) -> None:
        """Wake the parents that wait for fewer pending lists."""
        if self.room is not None and (self.pending < MAX_PENDING or self.is_doomed):
            self.room.set()
            self.room = None

    def judge(self, status: Status, code: str = "", message: str = "", request_id: str = "") -> None:
        """Count an outcome: the worst stands, with the first reason for it."""
        if status is Status.UNSUPPORTED and self.row.status in _WITH_SOME_ROWS:
            status = Status.FAILED  # other lists were there, so this one is missing
        elif status in _WITH_SOME_ROWS and self.row.status is Status.UNSUPPORTED:
            self.row.status = Status.FAILED  # the same, the other way round
            return
        if worst((self.row.status, status)) != self.row.status:
            self.row.status = status
            self.row.error_code, self.row.request_id = code, request_id
            self.row.error_message = message[:_MAX_MESSAGE]

    def judge_error(self, error: CrawlError) -> None:
        """Count a list that ended with an error."""
        match error:
            case DeniedError():
                needed = (
                    f"{self.operation.ram}: " if self.operation.ram and self.operation.ram not in error.message else ""
                )
                self.judge(Status.DENIED, error.code, needed + error.message, error.request_id)
            case UnsupportedError():
                self.judge(Status.UNSUPPORTED, error.code, error.message, error.request_id)
            case ApiError():
                self.judge(Status.FAILED, error.code, error.message, error.request_id)
            case PaginationError() | NormalizeError():
                self.judge(Status.FAILED, error.code, error.message)
            case _:
                self.judge(Status.FAILED, type(error).__name__, str(error))

    def judge_details(self) -> None:
        """Count rows whose details were asked for and couldn't be had: there is less in them than there should be."""
        details = self.details
        if details is None or details.error is None:
            return
        error = details.error
        message = f"{details.action} failed for {details.missing} of {details.asked} rows: {error.message}"
        request_id = error.request_id if isinstance(error, ApiError) else ""
        self.judge(Status.TRUNCATED, error.code, message, request_id)

    def inherit(self, parent: ScopeRow) -> None:
        """A child is never better than its parent."""
        if parent.status is not Status.COMPLETE:
            cause = parent.error_message
            is_inherited = cause.startswith(_INHERITED)
            reason = cause if is_inherited else f"{_INHERITED}{parent.table} is {parent.status}: {cause}"
            self.judge(parent.status, parent.error_code, reason, parent.request_id)

    def known_lists(self) -> list[ChildList] | None:
        """All lists that the parents' rows gave so far; None where a row didn't say which."""
        if self.has_unknown_lists:
            return None
        return [ChildList(values, is_guess) for values, is_guess in self.begun.items()]

    def count(self, counts: ListRowCounts, note: str, pages: int) -> None:
        """Add one ended list's counts to the ledger's row. `note`: how it was walked, if any page came."""
        row = self.row
        row.lists += 1
        row.pages += pages
        row.rows_seen += counts.seen
        row.coerced += counts.coerced
        row.misfits += counts.misfits
        if pages:
            way = f"{note} + {self.details.action}" if self.details else note
            self.walks[way] = self.walks.get(way, 0) + 1
        if counts.unknown:
            add_names(self.unknown, counts.unknown)

    async def end(self, now: datetime) -> None:
        """Settle the rows and fill in what only the end knows. Raises OutputError."""
        row, self.is_ended = self.row, True
        if row.status is Status.UNSUPPORTED and self.has_pages:
            row.status = Status.FAILED  # some of its lists were there, so the product is: nothing may look gone
        if self.writer is not None:
            await (self.writer.keep() if has_rows(row.status) else self.writer.drop())
            row.duplicates, row.conflicts = self.writer.duplicates, self.writer.conflicts
            row.rows = self.writer.rows if has_rows(row.status) else 0
        row.requests, row.retries, row.throttled = self.tally.requests, self.tally.retries, self.tally.throttled
        row.walk = describe_walks(self.walks)
        row.finished_at = now if row.started_at else None
        self.begun.clear()
        if self.details is not None:
            self.details.close()


def describe_walks(walks: Mapping[str, int]) -> str:
    """How a scope's lists were walked: the most frequent way first, with how many lists went each other way."""
    ordered = sorted(walks.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(note if len(ordered) == 1 else f"{note} × {number}" for note, number in ordered[:5])


@dataclass(slots=True)
class Job:
    """One list to walk. `is_guess`: nobody said that it is there. `has_place`: its first request may go at once.

    `body` is the last page as received, kept where its records' details are asked for.
    """

    scope: Scope
    parameters: Mapping[str, str]
    is_guess: bool
    has_place: bool = False
    body: bytes = b""
