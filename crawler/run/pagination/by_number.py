"""What a list's pages show of it, and whether two readings of one that is paged by number are of the same list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio

from crawler.run.pagination.page import PageLike

MOST_AHEAD = 8
_Page = TypeVar("_Page")
Spawn = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


class ListReading:
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
        if (total := count(page.total)) is not None:
            self.totals.add(total)
        self._has_repeats |= any(key is not None and key in self._identities for key in page.keys)
        self._identities |= found
        return True

    def confirms(self, earlier: ListReading) -> bool:
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


def count(total: Any) -> int | None:
    """A total as a number: text of digits counts, anything else is no total."""
    if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 19:
        return int(total)
    return total if isinstance(total, int) and not isinstance(total, bool) else None


@dataclass(slots=True, eq=False)
class _Slot(Generic[_Page]):
    """A page on its way. Its error waits for its turn: a page before it may end the list."""

    running: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    page: _Page | None = None
    error: Exception | None = None


class Prefetcher(Generic[_Page]):
    """Fetches pages up to `last` ahead of who takes them; at most `MOST_AHEAD` are held or on their way.

    `last`: the number of the last page that reading on would ask for, as far as anybody knows; 0: nobody does, and
    pages are fetched one by one. Where that isn't `sure`, pages that come show whether it can be trusted: first one is
    fetched ahead, then two, then four. `spawn` begins a task that nobody waits for; without it, one by one.
    """

    def __init__(self, fetch: Callable[[int], Awaitable[_Page]], spawn: Spawn | None, last: int, *, sure: bool) -> None:
        self._fetch = fetch
        self._spawn = spawn
        self._last = last
        self._width = MOST_AHEAD if sure else 1
        self._begun = 0
        self._slots: dict[int, _Slot[_Page]] = {}

    async def take(self, number: int) -> _Page:
        """The page of that number, to be asked for in order. Raises what fetching it raised."""
        if self._spawn is None or number > self._last:
            return await self._fetch(number)
        for ahead in range(max(number, self._begun + 1), min(self._last, number + self._width - 1) + 1):
            self._begin(ahead, self._spawn)
        slot = self._slots[number]
        await slot.done.wait()
        del self._slots[number]
        self._width = min(MOST_AHEAD, 2 * self._width)
        if slot.error is not None:
            raise slot.error
        assert slot.page is not None
        return slot.page

    def drop(self) -> None:
        """Stop what is on its way: nobody will take it."""
        for slot in self._slots.values():
            slot.running.cancel()
        self._slots.clear()

    def _begin(self, number: int, spawn: Spawn) -> None:
        slot = self._slots[number] = _Slot[_Page]()
        self._begun = number

        async def run() -> None:
            with slot.running:
                try:
                    slot.page = await self._fetch(number)
                except Exception as error:  # noqa: BLE001 - kept for who takes the page
                    slot.error = error
            slot.done.set()

        spawn(run)
