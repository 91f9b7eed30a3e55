"""How a list ends. Every paging family is walked here, and ends, loops and drift are judged here once.

`walk` decides; fetching, writing and waiting are its caller's. A list ends because the service said so, or with an
error or a status: never quietly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from crawler.catalog.model import Paging
from crawler.errors import InvalidArgumentError, PaginationError
from crawler.run.pagination.by_number import ListReading, Prefetcher, Spawn, count
from crawler.run.pagination.page import PageLike
from crawler.text import is_encodable

MAX_PAGES = 10_000
_SMALLER = (50, 20, 10)
_MAX_RESTARTS = 2
_MAX_READINGS = 5

WalkStatus = Literal["complete", "truncated", "unstable"]


_Page = TypeVar("_Page", bound=PageLike)
_Taken = TypeVar("_Taken", bound=PageLike, contravariant=True)

Fetch = Callable[[Mapping[str, str]], Awaitable[_Page]]


class Take(Protocol[_Taken]):
    """Who is given a list's pages."""

    async def __call__(self, page: _Taken, *, restarts: bool) -> None:
        """Take a page; `restarts`: what came before it in this walk is void, because the reading began anew."""


class ListWalk(Generic[_Page]):
    """One list, walked. `run` it, then read `status` and `note`.

    `is_settled` says whether the pages given so far stand: a list by page numbers may be read again. `spawn` begins a
    task; with it pages whose number is known to be there are fetched side by side.
    """

    def __init__(self, paging: Paging, fetch: Fetch[_Page], spawn: Spawn | None = None) -> None:
        self.status: WalkStatus = "complete"
        self.pages = 0
        self.readings = 1
        self.is_settled = paging.style != "page-number"
        self._paging = paging
        self._fetch = fetch
        self._spawn = spawn
        self._limit = paging.limit
        self._remark = ""

    @property
    def note(self) -> str:
        """How the list was walked, in a few words: `token`, `page-number (2 readings, total said 12, had 10)`."""
        details = [f"{self.readings} readings"] if self.readings > 1 else []
        if self._limit != self._paging.limit:
            details.append(f"{self._limit} a page")
        details += [self._remark] if self._remark else []
        return self._paging.style + (f" ({', '.join(details)})" if details else "")

    def run(self, take: Take[_Page]) -> Awaitable[None]:
        """Give the pages to `take`, in order, one at a time.

        Raises PaginationError for a repeated token, a token that is no text, a page by number that comes twice in one
        reading, and more than 10,000 pages; and whatever fetching and `take` raise.
        """
        match self._paging.style:
            case "token" | "version":
                return self._by_token(take)
            case "page-number":
                return self._by_number(take)
            case _:
                return self._single(take)

    async def _single(self, take: Take[_Page]) -> None:
        page = await self._page({})
        if self._paging.limit_key and page.seen >= self._limit:
            self.status, self._remark = "truncated", f"{page.seen} records, as many as were asked for"
        await take(page, restarts=False)

    async def _by_token(self, take: Take[_Page]) -> None:
        key, restarts = self._paging.input_key, 0
        token: str | None = None
        seen: set[int] = set()  # of hashes: 10,000 tokens of 4 KiB each would be 40 MB
        begins_anew = False
        while True:
            try:
                page = await self._page({key: token} if token is not None else {})
            except InvalidArgumentError:
                if token is None or restarts == _MAX_RESTARTS:
                    raise
                # A token can expire while its list is walked: begin again, what was read is void.
                restarts, self.readings = restarts + 1, self.readings + 1
                token, begins_anew = None, True
                seen.clear()
                continue
            await take(page, restarts=begins_anew)
            begins_anew = False
            following = self._next_token(page.token)
            if following is None:
                return
            is_below = self._paging.style == "version" and int(following) < int(token or 0)
            if is_below and hash(following) not in seen:
                return
            self._see(following, seen)
            token = following

    def _see(self, token: str, seen: set[int]) -> None:
        if hash(token) in seen:
            message = f"{self._paging.input_key} came a second time, on page {self.pages}: the list loops."
            raise PaginationError("TokenRepeated", message)
        seen.add(hash(token))

    def _next_token(self, received: Any) -> str | None:
        """The end of a list: absent, null, empty or two quotation marks; 0 ends the version family only."""
        if received is None or received in ("", '""'):
            return None
        if isinstance(received, bool) or not isinstance(received, str | int):
            raise PaginationError("TokenInvalid", f"{self._paging.output_key} is neither text nor a number.")
        if self._paging.style == "token":
            return _sendable(str(received), self._paging.output_key)
        try:
            return str(int(received)) if int(received) else None
        except ValueError:
            raise PaginationError("TokenInvalid", f"{self._paging.output_key} is no version number.") from None

    async def _by_number(self, take: Take[_Page]) -> None:
        page = await self._page(self._numbered(1))
        if self._is_whole(page):
            self.is_settled = True
            await take(page, restarts=False)
            self._judge_total({total} if (total := count(page.total)) is not None else set(), page.seen)
            return
        previous: ListReading | None = None
        for number in range(1, _MAX_READINGS + 1):
            self.readings, reading = number, ListReading()
            ahead = self._ahead(page, previous)
            await self._read(page if previous is None else None, reading, ahead, take)
            if previous is not None and reading.confirms(previous):
                break
            previous = reading
        else:
            self.status, self._remark = "unstable", "no two readings in a row were the same"
        self._judge_total(reading.totals, reading.count)

    def _is_whole(self, first: PageLike) -> bool:
        """Whether a first page is the whole list. A total of 0 beside rows is no total: nobody has filled it in."""
        total = count(first.total)
        return total is not None and first.seen < self._limit and min(first.seen, 1) <= total <= first.seen

    def _ahead(self, first: _Page, previous: ListReading | None) -> Prefetcher[_Page]:
        """What to fetch ahead: a reading asks for the empty page after the last as well.

        A total says how many pages there are, the reading before says it better. Without a total pages go one by one.
        """
        last, total = 0, count(first.total)
        if total is not None and first.seen:
            last = min(MAX_PAGES, -(-total // first.seen)) + 1 if previous is None else previous.pages + 1
        return Prefetcher(
            lambda number: self._page(self._numbered(number)), self._spawn, last, sure=previous is not None
        )

    async def _read(
        self, first: _Page | None, reading: ListReading, ahead: Prefetcher[_Page], take: Take[_Page]
    ) -> None:
        """One reading to an empty page. `first`: its first page, where that is there already."""
        number, restarts = 1, first is None
        try:
            while True:
                page = first if first is not None else await ahead.take(number)
                first = None
                await take(page, restarts=restarts)
                restarts = False
                if not page.seen:
                    return
                if not reading.take(page):
                    raise PaginationError("PageRepeated", f"Page {number} is one that came before: the list loops.")
                number += 1
        finally:
            ahead.drop()

    def _judge_total(self, totals: set[int], found: int) -> None:
        total = max(totals, default=found)
        if total == found:
            return
        remark = f"total said {total}, had {found}"
        self._remark = f"{self._remark}, {remark}" if self._remark else remark
        if total > found and self.status == "complete":
            self.status = "unstable"  # there may be rows that no page shows

    def _numbered(self, number: int) -> dict[str, str]:
        return {self._paging.input_key: str(number)}

    async def _page(self, parameters: Mapping[str, str]) -> _Page:
        if self.pages >= MAX_PAGES:
            raise PaginationError("TooManyPages", f"The list hasn't ended after {MAX_PAGES} pages.")
        key = self._paging.limit_key
        try:
            page = await self._fetch({key: str(self._limit), **parameters} if key else parameters)
        except InvalidArgumentError:
            smaller = await self._smaller(parameters) if key and not self.pages else None
            if smaller is None:
                raise
            page = smaller
        self.pages += 1
        return page

    async def _smaller(self, parameters: Mapping[str, str]) -> _Page | None:
        """The very first page where the largest was refused: smaller; None where every size is."""
        for smaller in _SMALLER:
            if smaller >= self._limit:
                continue
            try:
                page = await self._fetch({**parameters, self._paging.limit_key: str(smaller)})
            except InvalidArgumentError:
                continue
            self._limit = smaller
            return page
        return None


def _sendable(token: str, name: str) -> str:
    """A token that a query can carry. Raises PaginationError for one with a lone surrogate: it has no encoding."""
    if not is_encodable(token):
        raise PaginationError("TokenInvalid", f"{name} is no text that can be sent back.")
    return token
