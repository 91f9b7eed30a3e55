"""Marks the scopes that aren't whole before the commit: since when they aren't, and by which rule this is accepted.

The age of a gap comes from the ledger of the crawl before. Both ledgers are sorted, so that they are read side by side,
and no more than a batch of each is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import anyio.to_thread
import structlog

from crawler.errors import OutputError
from crawler.run.accepted import AcceptedRules, Places
from crawler.run.output import open_location
from crawler.run.preparation import PreparedCrawl
from crawler.snapshot import ScopeRow, is_whole, read_ledger, read_manifest
from crawler.snapshot.ledger_file import NOT_WHOLE
from crawler.snapshot.manifest import AcceptedEntry
from crawler.snapshot.reader import snapshot_ids

if TYPE_CHECKING:
    from crawler.config.sections import AcceptedSection
    from crawler.snapshot import OutputLocation, StoredLedger

# Crawls of a part that came after the last crawl of the whole configuration; earlier ones aren't read.
_MOST_LEDGERS = 8
_Scope = tuple[str, str, str]


class EarlierLedger:
    """The scopes of an earlier snapshot, in the order of its ledger. Ask for scopes in this order.

    `is_last`: no older ledger will be asked, so that whole scopes need not be read.
    """

    def __init__(self, ledger: StoredLedger, started_at: datetime, *, is_last: bool) -> None:
        self._started_at = started_at
        self._rows = ledger.rows(("incomplete_since",), NOT_WHOLE if is_last else ())
        self._row: ScopeRow | None = None
        self._is_read = False
        self.problem = ""

    def find(self, scope: _Scope) -> tuple[bool, datetime | None]:
        """Return whether the snapshot has the scope, and since when it wasn't whole; None if it was."""
        while self._row is None or _scope_of(self._row) < scope:
            row = self._next()
            if row is None:
                return False, None
            self._row = row
        if _scope_of(self._row) != scope:
            return False, None
        if is_whole(self._row.status):
            return True, None
        return True, self._row.incomplete_since or self._started_at

    def _next(self) -> ScopeRow | None:
        if self._is_read:
            return None
        try:
            row = next(self._rows, None)
        except OutputError as error:
            row, self.problem = None, str(error)
        self._is_read = row is None
        return row


@dataclass(slots=True)
class _Gaps:
    """The gaps that no rule accepts and that an earlier snapshot had, too."""

    scopes: int = 0
    since: datetime | None = None


class GapMarker:
    """Marks rows of scopes that aren't whole, in the order of a ledger.

    `open_earlier` returns the earlier ledgers, the newest first; it is called for the first row, and may block.
    """

    def __init__(
        self, rules: AcceptedRules, started_at: datetime, open_earlier: Callable[[], Sequence[EarlierLedger]]
    ) -> None:
        self._rules = rules
        self._started_at = started_at
        self._open_earlier = open_earlier
        self._earlier: Sequence[EarlierLedger] | None = None
        self._covered: dict[AcceptedSection, int] = {}
        self._old = _Gaps()

    def mark(self, row: ScopeRow) -> None:
        """Set `incomplete_since`, `accepted_reason` and `accepted_until`."""
        if self._earlier is None:
            self._earlier = self._open_earlier()
        row.incomplete_since = self._since(_scope_of(row))
        rule = self._rules.covering(row.account_id, row.region_id, row.table)
        row.accepted_reason, row.accepted_until = "", ""  # another rule may have held where the lists were read
        if rule is not None:
            row.accepted_reason, row.accepted_until = rule.reason, rule.until.isoformat()
            self._covered[rule] = self._covered.get(rule, 0) + 1
        elif row.incomplete_since < self._started_at:
            self._old.scopes += 1
            self._old.since = min(self._old.since or row.incomplete_since, row.incomplete_since)

    def entries(self) -> tuple[AcceptedEntry, ...]:
        """Return the rules that hold, with the numbers of scopes that have been marked."""
        return tuple(self._rules.entries(self._covered))

    def warnings(self) -> list[str]:
        """Return what the user should know of gaps that last, and of ledgers that can't be read."""
        problems = [ledger.problem for ledger in self._earlier or () if ledger.problem]
        found = [f"the age of some gaps is not known: {problem}" for problem in problems]
        if self._old.since is not None:
            days = (self._started_at - self._old.since).days
            scopes = "1 scope was" if self._old.scopes == 1 else f"{self._old.scopes:,} scopes were"
            age = f"since {self._old.since:%Y-%m-%d}" + (f", {days} days" if days > 1 else "")
            found.append(
                f"{scopes} incomplete in earlier crawls, too, the oldest {age}; correct the causes, or accept them by "
                "[[accepted]]"
            )
        return found

    def _since(self, scope: _Scope) -> datetime:
        for ledger in self._earlier or ():
            is_there, since = ledger.find(scope)
            if is_there:
                return since or self._started_at
        return self._started_at


async def open_marker(prepared: PreparedCrawl, snapshot_id: str, started_at: datetime) -> GapMarker:
    """Return the marker of a snapshot before its commit. If no earlier ledger can be read, its gaps begin with it."""
    rules = AcceptedRules(prepared.config.accepted, started_at.date())
    try:
        location = await open_location(prepared.config.output.uri, prepared.system, prepared.config)
    except OutputError as error:
        structlog.get_logger().info("earlier_ledger_not_read", reason=str(error))
        return GapMarker(rules, started_at, tuple)
    return GapMarker(rules, started_at, lambda: list(_earlier_ledgers(location, snapshot_id)))


def _earlier_ledgers(location: OutputLocation, snapshot_id: str) -> Iterator[EarlierLedger]:
    """Yield the ledgers before a snapshot, the newest first, up to that of a crawl of the whole configuration."""
    log, number = structlog.get_logger(), 0
    try:
        ids = [found for found in snapshot_ids(location) if found < snapshot_id]
    except OutputError as error:
        log.info("earlier_ledger_not_read", reason=str(error))
        return
    for earlier in ids:
        if number == _MOST_LEDGERS:
            return
        number += 1
        try:
            manifest = read_manifest(location, earlier)
            is_last = manifest.selection is None or number == _MOST_LEDGERS
            yield EarlierLedger(read_ledger(location, manifest), manifest.started_at, is_last=is_last)
        except OutputError as error:
            log.info("earlier_ledger_not_read", reason=str(error))
            continue
        if is_last:
            return


def accepted_warnings(prepared: PreparedCrawl, started_at: datetime, places: Places) -> list[str]:
    """Return the warnings about `[[accepted]]` for a crawl of these places, and log them."""
    rules = AcceptedRules(prepared.config.accepted, started_at.date())
    found = rules.date_warnings()
    if prepared.selection is None:
        found += rules.unmatched_warnings(places)
    for warning in found:
        structlog.get_logger().warning("warning", reason=warning)
    return found


async def mark_ledger(marker: GapMarker, revise: Callable[[Callable[[ScopeRow], None]], None]) -> None:
    """Let a ledger in memory mark its rows, in a thread."""
    await anyio.to_thread.run_sync(revise, marker.mark)


def _scope_of(row: ScopeRow) -> _Scope:
    return row.table, row.account_id, row.region_id
