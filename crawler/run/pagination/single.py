"""Reads a list that has one page."""

from __future__ import annotations

from typing import TypeVar

from crawler.run.pagination.page import PageConsumer, PageLike, Pager, parse_total

_Page = TypeVar("_Page", bound=PageLike)


class SinglePage(Pager[_Page]):
    """A pager for the styles `none` and `limit-only`.

    A full page of `limit-only`, or a total that is larger than the page, makes the list `truncated`.
    """

    async def run(self, consume: PageConsumer[_Page]) -> None:
        """See `Pager.run`."""
        page = await self._fetcher.fetch({})
        if self._paging.limit_key and page.seen >= self._fetcher.limit:
            self.status, self._remark = "truncated", f"{page.seen} records, as many as were asked for"
        self._check_total(parse_total(page.total), page.seen, "truncated")
        await consume(page, restarts=False)
