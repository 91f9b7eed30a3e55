"""Reads a list by page numbers, until two readings show the same list. Later pages are prefetched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio

from crawler.catalog.model import Paging
from crawler.errors import PaginationError
from crawler.run.pagination.page import MAX_PAGES, PageConsumer, PageFetcher, PageLike, Pager, parse_total

MAX_PREFETCH = 8
_MAX_READINGS = 5

_Page = TypeVar("_Page", bound=PageLike)
_Fetched = TypeVar("_Fetched")
Spawn = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


class NumberedPager(Pager[_Page]):
    """A pager for the style `page-number`. `spawn` starts a task; without it, pages are fetched one by one.

    One page is enough if it has as many records as its total states. Otherwise the list is read until two readings in
    a row agree, at most 5 times; then it is `unstable`. A total that is larger than the rows makes it `unstable`, too.
    """

    def __init__(self, paging: Paging, fetcher: PageFetcher[_Page], spawn: Spawn | None) -> None:
        super().__init__(paging, fetcher)
        self.is_settled = False
        self._spawn = spawn

    async def run(self, consume: PageConsumer[_Page]) -> None:
        """See `Pager.run`."""
        first = await self._fetch(1)
        if self._is_whole(first):
            self.is_settled = True
            await consume(first, restarts=False)
            self._check_total(parse_total(first.total), first.seen)
            return
        previous: ListReading | None = None
        for number in range(1, _MAX_READINGS + 1):
            self.readings = number
            reading = await self._read(first, previous, consume)
            if previous is not None and reading.confirms(previous):
                break
            previous = reading
        else:
            self.status, self._remark = "unstable", "no two readings in a row were the same"
        self._check_total(max(reading.totals, default=None), reading.records)

    def _fetch(self, number: int) -> Awaitable[_Page]:
        return self._fetcher.fetch({self._paging.input_key: str(number)})

    def _is_whole(self, first: _Page) -> bool:
        """Whether the first page is the whole list. A total of 0 with records means that it isn't filled in."""
        total = parse_total(first.total)
        return total is not None and first.seen < self._fetcher.limit and min(first.seen, 1) <= total <= first.seen

    async def _read(self, first: _Page, previous: ListReading | None, consume: PageConsumer[_Page]) -> ListReading:
        """Read the list once, to an empty page. The first reading uses `first`, later ones fetch page 1 again."""
        reading, prefetcher, number = ListReading(), self._prefetcher(first, previous), 1
        try:
            while True:
                is_start = number == 1
                page = first if is_start and previous is None else await prefetcher.get(number)
                await consume(page, restarts=is_start and previous is not None)
                if not page.seen:
                    if is_start:
                        reading.add_total(page)
                    return reading
                if not reading.add(page):
                    raise PaginationError("PageRepeated", f"Page {number} repeats an earlier page; the list loops.")
                number += 1
        finally:
            prefetcher.cancel()

    def _prefetcher(self, first: _Page, previous: ListReading | None) -> Prefetcher[_Page]:
        """Return a prefetcher up to the empty page after the last one.

        The reading before states the number of pages, else the first page's total. Without both, nothing is prefetched.
        """
        last, total = 0, parse_total(first.total)
        if total is not None and first.seen:
            last = min(MAX_PAGES, -(-total // first.seen)) + 1 if previous is None else previous.pages + 1
        return Prefetcher(self._fetch, self._spawn, last, is_exact=previous is not None)


class ListReading:
    """The content of one reading of a list. `records` counts its records, `pages` the pages that have any."""

    def __init__(self) -> None:
        self.records = 0
        self.pages = 0
        self.totals: set[int] = set()
        self._identities: set[Any] = set()
        self._pages: set[int] = set()
        self._has_repeats = False

    def add(self, page: PageLike) -> bool:
        """Add a page that has records. Return False if this reading has the same page already."""
        found = {key if key is not None else digest for key, digest in zip(page.keys, page.digests, strict=True)}
        fingerprint = hash(frozenset(found))
        if fingerprint in self._pages:
            return False
        self._pages.add(fingerprint)
        self.pages += 1
        self.records += page.seen
        self.add_total(page)
        self._has_repeats |= any(key is not None and key in self._identities for key in page.keys)
        self._identities |= found
        return True

    def add_total(self, page: PageLike) -> None:
        """Add the total that a page states. Of empty pages only the first counts: later ones end the list."""
        if (total := parse_total(page.total)) is not None:
            self.totals.add(total)

    def confirms(self, earlier: ListReading) -> bool:
        """Whether both readings show the same list and it didn't change during either of them.

        Equal keys aren't enough. Insertions and deletions before the current page can move the same record across a
        page boundary and back in both readings. Then the total changes, or without a total a record is on two pages.
        """
        is_same = (self._identities, self.totals, self.records) == (
            earlier._identities,
            earlier.totals,
            earlier.records,
        )
        return is_same and not self._has_moved and not earlier._has_moved

    @property
    def _has_moved(self) -> bool:
        return len(self.totals) > 1 or (not self.totals and self._has_repeats)


@dataclass(slots=True, eq=False)
class _PendingPage(Generic[_Fetched]):
    """A page that is being fetched. Its error is raised in its turn: an earlier page may end the list."""

    running: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    page: _Fetched | None = None
    error: Exception | None = None


class Prefetcher(Generic[_Fetched]):
    """Fetches pages concurrently and returns them in order. At most `MAX_PREFETCH` pages are pending or buffered.

    `last` is the number of the last page to prefetch, 0 if it is unknown; later pages are fetched one by one. If `last`
    is an estimate (not `is_exact`), the number of concurrent pages grows with each page that is read: 1, 2, 4, 8.
    `spawn` starts a task in the background; without it, pages are fetched one by one.
    """

    def __init__(
        self, fetch: Callable[[int], Awaitable[_Fetched]], spawn: Spawn | None, last: int, *, is_exact: bool
    ) -> None:
        self._fetch = fetch
        self._spawn = spawn
        self._last = last
        self._width = MAX_PREFETCH if is_exact else 1
        self._started = 0
        self._pending: dict[int, _PendingPage[_Fetched]] = {}

    async def get(self, number: int) -> _Fetched:
        """Return the page of this number. Call it in the order of numbers. Raises the errors of the fetch function."""
        if self._spawn is None or number > self._last:
            return await self._fetch(number)
        for ahead in range(max(number, self._started + 1), min(self._last, number + self._width - 1) + 1):
            self._start(ahead, self._spawn)
        pending = self._pending[number]
        await pending.done.wait()
        del self._pending[number]
        self._width = min(MAX_PREFETCH, 2 * self._width)
        if pending.error is not None:
            raise pending.error
        assert pending.page is not None
        return pending.page

    def cancel(self) -> None:
        """Cancel the pages that are being fetched."""
        for pending in self._pending.values():
            pending.running.cancel()
        self._pending.clear()

    def _start(self, number: int, spawn: Spawn) -> None:
        pending = self._pending[number] = _PendingPage[_Fetched]()
        self._started = number

        async def run() -> None:
            with pending.running:
                try:
                    pending.page = await self._fetch(number)
                except Exception as error:  # noqa: BLE001 - `get` raises it
                    pending.error = error
            pending.done.set()

        spawn(run)
