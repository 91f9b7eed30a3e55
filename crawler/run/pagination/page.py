"""The parts that all pagers share: page, consumer, fetcher, and the base class of a pager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from crawler.catalog.model import Paging
from crawler.errors import InvalidArgumentError, PaginationError

MAX_PAGES = 10_000
_SMALLER_LIMITS = (50, 20, 10)

WalkStatus = Literal["complete", "truncated", "unstable"]


class PageLike(Protocol):
    """A page of a list. `token`, `total`, `more` are as received; `keys` and `digests` have one item per record."""

    @property
    def seen(self) -> int:
        """The number of records on the page."""
        ...

    @property
    def keys(self) -> Any:
        """The records' keys; None for a record without a key."""
        ...

    @property
    def digests(self) -> Any:
        """Hashes that identify records without a key."""
        ...

    @property
    def token(self) -> Any:
        """The token of the next page."""
        ...

    @property
    def total(self) -> Any:
        """The number of records in the whole list, as the service states it."""
        ...

    @property
    def more(self) -> Any:
        """The flag that says whether there is another page."""
        ...


_Page = TypeVar("_Page", bound=PageLike)
_Consumed = TypeVar("_Consumed", bound=PageLike, contravariant=True)

FetchPage = Callable[[Mapping[str, str]], Awaitable[_Page]]


def parse_total(total: Any) -> int | None:
    """Return a total as an integer; None unless it is an integer or text of at most 18 digits."""
    if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 19:
        return int(total)
    return total if isinstance(total, int) and not isinstance(total, bool) else None


class PageConsumer(Protocol[_Consumed]):
    """Receives the pages of a list."""

    async def __call__(self, page: _Consumed, *, restarts: bool) -> None:
        """Process one page. `restarts`: the list is read again from its start; the pages before this one are void."""


class PageFetcher(Generic[_Page]):
    """Fetches at most `MAX_PAGES` pages of a list. `limit` is the page size, reduced if it is refused for page 1."""

    def __init__(self, paging: Paging, fetch: FetchPage[_Page]) -> None:
        self.pages = 0
        self.limit = paging.limit
        self._limit_key = paging.limit_key
        self._fetch = fetch

    async def fetch(self, parameters: Mapping[str, str]) -> _Page:
        """Fetch a page of `limit` records. Raises as the fetch function; PaginationError after `MAX_PAGES` pages."""
        if self.pages >= MAX_PAGES:
            raise PaginationError("TooManyPages", f"The list hasn't ended after {MAX_PAGES} pages.")
        key = self._limit_key
        try:
            page = await self._fetch({key: str(self.limit), **parameters} if key else parameters)
        except InvalidArgumentError:
            smaller = await self._fetch_smaller(parameters) if key and not self.pages else None
            if smaller is None:
                raise
            page = smaller
        self.pages += 1
        return page

    async def _fetch_smaller(self, parameters: Mapping[str, str]) -> _Page | None:
        """Fetch the first page with a smaller page size. Return None if the service refuses every size."""
        for smaller in _SMALLER_LIMITS:
            if smaller >= self.limit:
                continue
            try:
                page = await self._fetch({**parameters, self._limit_key: str(smaller)})
            except InvalidArgumentError:
                continue
            self.limit = smaller
            return page
        return None


class Pager(ABC, Generic[_Page]):
    """Reads one list to its end. Call `run` once; then read `status`, `pages` and `note`.

    `readings`: how often the list was read from its start. `is_settled`: the pages delivered so far are final; while it
    is False, the list may be read again.
    """

    def __init__(self, paging: Paging, fetcher: PageFetcher[_Page]) -> None:
        self.status: WalkStatus = "complete"
        self.readings = 1
        self.is_settled = True
        self._paging = paging
        self._fetcher = fetcher
        self._remark = ""

    @property
    def pages(self) -> int:
        """The number of fetched pages."""
        return self._fetcher.pages

    @property
    def note(self) -> str:
        """How the list was read, in a few words: `token`, `page-number (2 readings, total said 12, had 10)`."""
        details = [f"{self.readings} readings"] if self.readings > 1 else []
        if self._fetcher.limit != self._paging.limit:
            details.append(f"{self._fetcher.limit} a page")
        if self._remark:
            details.append(self._remark)
        return self._paging.style + (f" ({', '.join(details)})" if details else "")

    def _check_total(self, total: int | None, records: int, status: WalkStatus = "unstable") -> None:
        """Note a total that isn't the number of records. A larger one sets `status`: no page may show some records."""
        if total is None or total == records:
            return
        remark = f"total said {total}, had {records}"
        self._remark = f"{self._remark}, {remark}" if self._remark else remark
        if total > records:
            self.status = status

    @abstractmethod
    async def run(self, consume: PageConsumer[_Page]) -> None:
        """Pass the pages to `consume` in order, one at a time.

        Raises PaginationError for a repeated token, a token that is not text, a numbered page that is repeated within
        one reading, and more than `MAX_PAGES` pages; and the errors of fetching and of `consume`.
        """
