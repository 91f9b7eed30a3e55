"""How a list ends. Every paging family is walked here, and ends, loops and drift are judged here once.

`walk` decides; fetching, writing and waiting are its caller's. A list ends because the service said so, or with an
error or a status: never quietly.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from crawler.catalog import Paging
from crawler.errors import InvalidArgumentError, PaginationError
from crawler.lookahead import Lookahead, Spawn
from crawler.wire_json import is_encodable

MAX_PAGES = 10_000
_SMALLER = (50, 20, 10)
_MAX_RESTARTS = 2
_MAX_READINGS = 5

WalkStatus = Literal["complete", "truncated", "unstable"]


class PageLike(Protocol):
    """What the walk looks at. `token` and `total` are as received; `keys` and `digests` have one item a record."""

    @property
    def seen(self) -> int:
        """How many records the page has."""
        ...

    @property
    def keys(self) -> Any:
        """The records' keys; None for a record without one."""
        ...

    @property
    def digests(self) -> Any:
        """What tells records without a key apart."""
        ...

    @property
    def token(self) -> Any:
        """The token for the next page."""
        ...

    @property
    def total(self) -> Any:
        """How many records the service says there are in all."""
        ...


_Page = TypeVar("_Page", bound=PageLike)

Fetch = Callable[[Mapping[str, str]], Awaitable[_Page]]


@dataclass(slots=True)
class Step(Generic[_Page]):
    """A page, and whether what came before it in this walk is void (`restarts`) because the reading began anew."""

    page: _Page
    restarts: bool


class Reading:
    """What one reading of a list by page numbers showed; `count` counts its records, `pages` those that had any."""

    def __init__(self) -> None:
        self.count = 0
        self.pages = 0
        self.totals: set[int] = set()
        self._identities: set[Any] = set()
        self._pages: set[int] = set()
        self._has_repeats = False

    def take(self, page: PageLike) -> bool:
        """Add a page that has records; False for one that has come before."""
        found = {key if key is not None else digest for key, digest in zip(page.keys, page.digests, strict=True)}
        fingerprint = hash(frozenset(found))
        if fingerprint in self._pages:
            return False
        self._pages.add(fingerprint)
        self.pages += 1
        self.count += page.seen
        if (total := _count(page.total)) is not None:
            self.totals.add(total)
        self._has_repeats |= any(key is not None and key in self._identities for key in page.keys)
        self._identities |= found
        return True

    def confirms(self, earlier: Reading) -> bool:
        """Whether both show the same list, and neither a list that moved under it.

        The same keys twice don't say so alone: what is inserted and deleted in front of the reader pushes a record
        over a page's edge and back, each time the same one. The total changes then, or, where there is none, a record
        comes on two pages.
        """
        is_same = (self._identities, self.totals, self.count) == (earlier._identities, earlier.totals, earlier.count)
        return is_same and not self._has_moved and not earlier._has_moved

    @property
    def _has_moved(self) -> bool:
        return len(self.totals) > 1 or (not self.totals and self._has_repeats)


class Walk(Generic[_Page]):
    """One list, walked. Iterate `steps` to its end, then read `status` and `note`.

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

    def steps(self) -> AsyncGenerator[Step[_Page]]:
        """The pages in order.

        Raises PaginationError for a repeated token, a token that is no text, a page by number that comes twice in one
        reading, and more than 10,000 pages; and whatever fetching raises.
        """
        match self._paging.style:
            case "token" | "version":
                return self._by_token()
            case "page-number":
                return self._by_number()
            case _:
                return self._single()

    async def _single(self) -> AsyncGenerator[Step[_Page]]:
        page = await self._page({})
        if self._paging.limit_key and page.seen >= self._limit:
            self.status, self._remark = "truncated", f"{page.seen} records, as many as were asked for"
        yield Step(page, restarts=False)

    async def _by_token(self) -> AsyncGenerator[Step[_Page]]:
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
            yield Step(page, restarts=begins_anew)
            begins_anew = False
            following = self._next_token(page.token)
            if following is None:
                return
            if hash(following) in seen:
                raise PaginationError(
                    "TokenRepeated", f"{key} came a second time, on page {self.pages}: the list loops."
                )
            if self._paging.style == "version" and int(following) < int(token or 0):
                return
            seen.add(hash(following))
            token = following

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

    async def _by_number(self) -> AsyncGenerator[Step[_Page]]:
        page = await self._page(self._numbered(1))
        if self._is_whole(page):
            self.is_settled = True
            yield Step(page, restarts=False)
            self._judge_total({total} if (total := _count(page.total)) is not None else set(), page.seen)
            return
        previous: Reading | None = None
        for number in range(1, _MAX_READINGS + 1):
            self.readings, reading = number, Reading()
            ahead = self._ahead(page, previous)
            async with aclosing(self._reading(page if previous is None else None, reading, ahead)) as steps:
                async for step in steps:
                    yield step
            if previous is not None and reading.confirms(previous):
                break
            previous = reading
        else:
            self.status, self._remark = "unstable", "no two readings in a row were the same"
        self._judge_total(reading.totals, reading.count)

    def _is_whole(self, first: PageLike) -> bool:
        """Whether a first page is the whole list. A total of 0 beside rows is no total: nobody has filled it in."""
        total = _count(first.total)
        return total is not None and first.seen < self._limit and min(first.seen, 1) <= total <= first.seen

    def _ahead(self, first: _Page, previous: Reading | None) -> Lookahead[_Page]:
        """What to fetch ahead: a reading asks for the empty page after the last as well.

        A total says how many pages there are, the reading before says it better. Without a total pages go one by one.
        """
        last, total = 0, _count(first.total)
        if total is not None and first.seen:
            last = min(MAX_PAGES, -(-total // first.seen)) + 1 if previous is None else previous.pages + 1
        return Lookahead(
            lambda number: self._page(self._numbered(number)), self._spawn, last, sure=previous is not None
        )

    async def _reading(
        self, first: _Page | None, reading: Reading, ahead: Lookahead[_Page]
    ) -> AsyncGenerator[Step[_Page]]:
        """One reading to an empty page. `first`: its first page, where that is there already."""
        number, restarts = 1, first is None
        try:
            while True:
                page = first if first is not None else await ahead.take(number)
                first = None
                yield Step(page, restarts=restarts)
                restarts = False
                if not page.seen:
                    return
                if not reading.take(page):
                    raise PaginationError("PageRepeated", f"Page {number} is one that came before: the list loops.")
                number += 1
        finally:
            ahead.drop()

    def _judge_total(self, totals: set[int], count: int) -> None:
        total = max(totals, default=count)
        if total == count:
            return
        remark = f"total said {total}, had {count}"
        self._remark = f"{self._remark}, {remark}" if self._remark else remark
        if total > count and self.status == "complete":
            self.status = "unstable"  # there may be rows that no page shows

    def _numbered(self, number: int) -> dict[str, str]:
        return {self._paging.input_key: str(number)}

    async def _page(self, parameters: Mapping[str, str]) -> _Page:
        if self.pages >= MAX_PAGES:
            raise PaginationError("TooManyPages", f"The list hasn't ended after {MAX_PAGES} pages.")
        if not self._paging.limit_key:
            page = await self._fetch(parameters)
        else:
            page = await self._sized(parameters)
        self.pages += 1
        return page

    async def _sized(self, parameters: Mapping[str, str]) -> _Page:
        """Ask for the largest page; where the very first one is refused, for smaller ones."""
        key = self._paging.limit_key
        try:
            return await self._fetch({**parameters, key: str(self._limit)})
        except InvalidArgumentError:
            if self.pages:
                raise
            for smaller in _SMALLER:
                if smaller >= self._limit:
                    continue
                try:
                    page = await self._fetch({**parameters, key: str(smaller)})
                except InvalidArgumentError:
                    continue
                self._limit = smaller
                return page
            raise


def _count(total: Any) -> int | None:
    """A total as a number: text of digits counts, anything else is no total."""
    if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 19:
        return int(total)
    return total if isinstance(total, int) and not isinstance(total, bool) else None


def _sendable(token: str, name: str) -> str:
    """A token that a query can carry. Raises PaginationError for one with a lone surrogate: it has no encoding."""
    if not is_encodable(token):
        raise PaginationError("TokenInvalid", f"{name} is no text that can be sent back.")
    return token
