"""Pagination: reads one list to its end, with one pager per family of paging styles.

Read `page` first (the parts that all pagers share), then `by_token`, `by_number` and `single`. A list ends because
the service says so, or with an error or a status; it never ends silently.
"""

from __future__ import annotations

from typing import TypeVar

from crawler.catalog.model import Paging
from crawler.run.pagination.by_number import NumberedPager, Spawn
from crawler.run.pagination.by_token import TokenPager
from crawler.run.pagination.page import FetchPage, PageConsumer, PageFetcher, PageLike, Pager, WalkStatus
from crawler.run.pagination.single import SinglePage

__all__ = [
    "FetchPage",
    "PageConsumer",
    "PageLike",
    "Pager",
    "Spawn",
    "WalkStatus",
    "pager_for",
]

_Page = TypeVar("_Page", bound=PageLike)


def pager_for(paging: Paging, fetch: FetchPage[_Page], spawn: Spawn | None = None) -> Pager[_Page]:
    """Return the pager for a paging style. `fetch` gets the parameters that paging adds; `spawn` is for prefetching."""
    fetcher = PageFetcher(paging, fetch)
    match paging.style:
        case "token" | "version":
            return TokenPager(paging, fetcher)
        case "page-number":
            return NumberedPager(paging, fetcher, spawn)
        case _:
            return SinglePage(paging, fetcher)
