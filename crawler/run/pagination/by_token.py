"""Reads a list by tokens: each page has the token of the next one."""

from __future__ import annotations

from typing import Any, TypeVar

from crawler.errors import InvalidArgumentError, PaginationError
from crawler.run.pagination.page import PageConsumer, PageLike, Pager, parse_total
from crawler.text import is_encodable

_MAX_RESTARTS = 2

_Page = TypeVar("_Page", bound=PageLike)


class TokenPager(Pager[_Page]):
    """A pager for the styles `token` and `version`. A version is a number; 0 or a lower one than before ends the list.

    If the answers have a flag for another page, the flag decides, and must have its token. An expired token restarts
    the list, at most twice. A list whose smallest total is larger than its rows is `unstable`.
    """

    async def run(self, consume: PageConsumer[_Page]) -> None:
        """See `Pager.run`."""
        key, token, restarts = self._paging.input_key, None, False
        totals, records = set[int](), 0
        seen: set[int] = set()  # hashes: 10,000 tokens of 4 KiB each would take 40 MB
        while True:
            try:
                page = await self._fetcher.fetch({key: token} if token is not None else {})
            except InvalidArgumentError:
                if token is None or self.readings > _MAX_RESTARTS:
                    raise
                # The token may have expired while the list was read.
                self.readings += 1
                token, restarts, records = None, True, 0
                seen.clear()
                totals.clear()
                continue
            await consume(page, restarts=restarts)
            restarts, records = False, records + page.seen
            if (total := parse_total(page.total)) is not None:
                totals.add(total)
            following = self._parse_token(page.token)
            if not self._has_next(page.more, following) or following is None:
                break
            if hash(following) in seen:
                raise PaginationError("TokenRepeated", f"{key} is repeated on page {self.pages}; the list loops.")
            if self._paging.style == "version" and int(following) < int(token or 0):
                break
            seen.add(hash(following))
            token = following
        self._check_total(min(totals, default=None), records)

    def _has_next(self, more: Any, token: str | None) -> bool:
        """Whether there is a next page. Raises PaginationError for a flag that isn't one, or whose token is missing."""
        if more is None:
            return token is not None
        flag = {"true": True, "false": False}.get(str(more).lower()) if isinstance(more, bool | str) else None
        name = self._paging.more_key
        if flag is None:
            raise PaginationError("FlagInvalid", f"{name} is neither true nor false.")
        if flag and token is None:
            raise PaginationError("TokenMissing", f"{name} is true, and the answer has no {self._paging.output_key}.")
        return flag

    def _parse_token(self, received: Any) -> str | None:
        """Return the next page's token; None for an absent, null or empty one, two quotation marks, or version 0."""
        if received is None or received in ("", '""'):
            return None
        name = self._paging.output_key
        if isinstance(received, bool) or not isinstance(received, str | int):
            raise PaginationError("TokenInvalid", f"{name} is neither text nor a number.")
        if self._paging.style == "version":
            return _parse_version(received, name)
        if not is_encodable(str(received)):
            raise PaginationError("TokenInvalid", f"{name} is not valid Unicode and can't be sent back.")
        return str(received)


def _parse_version(received: str | int, name: str) -> str | None:
    try:
        return str(int(received)) if int(received) else None
    except ValueError:
        raise PaginationError("TokenInvalid", f"{name} is not a version number.") from None
