"""F34, F36: lists that change while they are read, as state machines. The oracle is the history of the list."""

from __future__ import annotations

import traceback
import types
from bisect import bisect_right

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from crawler.catalog.model import Paging
from crawler.errors import PaginationError
from crawler.run.pagination import pager_for
from crawler.testing import FakePage
from tests.support.changing_lists import FIRST_FAILURE, NAMES, ChangingList, run

TOKEN = Paging("token", "nextToken", "nextToken", "limit", 100)


@types.coroutine
def next_page():
    """Wait until the test sends the coroutine on. No event loop runs, because a thousand loops are slow."""
    yield


class MovingList(ChangingList):
    """The list, and a pager that reads one page per step."""

    has_total = True

    @initialize(names=st.sets(NAMES, max_size=14), size=st.integers(1, 5))
    def begin(self, names, size):
        self.size = size
        self.items = self.ordered(names)
        self.set_out()

    def set_out(self):
        """Start a pager on the current list."""
        self.stable, self.ever = set(self.items), set(self.items)
        self.kept, self.changes, self.is_over, self.failed = [], 0, False, ""
        self.walk = pager_for(self.paging(self.size), self.fetch)
        self.walking = self.walk.run(self.take)

    def ordered(self, names):
        return sorted(names)

    async def fetch(self, parameters):
        return self.page(parameters)

    async def take(self, page, *, restarts):
        if restarts:
            self.kept.clear()
        self.kept += page.keys
        await next_page()

    @rule()
    def read_on(self):
        if self.is_over:
            self.set_out()
        try:
            self.walking.send(None)
        except StopIteration:
            self.is_over = True
        except PaginationError as error:
            self.is_over, self.failed = True, error.code
        if self.is_over:
            self.judge()

    def may_come(self, name):
        return self.has_total or name not in self.ever  # without a total it can't be told from one that stayed

    def teardown(self):
        if not hasattr(self, "walking"):
            return
        for _ in range(200):  # to the end: an interleaving without a final check proves nothing
            if self.is_over:
                break
            self.read_on()
        assert self.is_over
        self.walking.close()


class TokenWalk(MovingList):
    """F34: FC's tokens continue after the record that they name, even if it was deleted."""

    def paging(self, size):
        return TOKEN

    def page(self, parameters):
        start = bisect_right(self.items, parameters.get("nextToken", ""))
        rows = self.items[start : start + self.size]
        return FakePage(list(rows), rows[-1] if start + self.size < len(self.items) else None)

    def judge(self):
        assert self.failed == ""
        assert self.walk.status == "complete"
        assert len(self.kept) == len(set(self.kept)), "twice"
        assert self.stable <= set(self.kept), "missing"
        assert set(self.kept) <= self.ever, "made up"


class NumberWalk(MovingList):
    """F36: never `complete` while a record that was there all the time is missing."""

    def paging(self, size):
        return Paging("page-number", "pageNumber", limit_key="pageSize", limit=size, total_key="totalCount")

    def ordered(self, names):
        return sorted(names, key=hash)

    def insert(self, name, place):
        self.items.insert(place, name)

    def page(self, parameters):
        size, number = int(parameters["pageSize"]), int(parameters["pageNumber"])
        rows = self.items[(number - 1) * size : number * size]
        return FakePage(list(rows), total=len(self.items) if self.has_total else None)

    def judge(self):
        if self.failed:
            assert self.failed == "PageRepeated"
            return
        assert self.walk.status in {"complete", "unstable"}
        if self.walk.status == "complete":
            assert self.stable <= set(self.kept), "missing, and nobody says so"
            assert set(self.kept) <= self.ever, "made up"


class NumberWalkWithoutTotal(NumberWalk):
    """The same without a total."""

    has_total = False


MACHINES = {"token": TokenWalk, "number": NumberWalk, "number, no total": NumberWalkWithoutTotal}


@pytest.mark.parametrize("name", MACHINES)
def test_what_was_there_all_the_time_is_there_or_the_list_says_that_it_moved(name):
    """F34, F36, P6: some of the interleavings; test_pagers has thousands of another kind."""
    run(MACHINES[name], 30)


@pytest.mark.trust
@pytest.mark.parametrize(("name", "interleavings"), [("token", 3000), ("number", 10_000), ("number, no total", 3000)])
def test_what_was_there_all_the_time_is_there_in_thousands_of_interleavings(name, interleavings):
    """F34, F36, P6."""
    run(MACHINES[name], interleavings)


class OffByOne(TokenWalk):
    """A service that skips a record at every token."""

    def page(self, parameters):
        page = super().page(parameters)
        page.keys = list(page.keys)[bool(parameters.get("nextToken")) :]
        return page


def shows_what_is_missing(machine):
    with pytest.raises((AssertionError, ExceptionGroup)) as caught:
        run(machine, 50_000, phases=FIRST_FAILURE)  # one walk in some 3,000 shows it
    return "missing" in "".join(traceback.format_exception(caught.value))


def test_the_machines_find_a_record_that_a_token_skips():
    """Control."""
    assert shows_what_is_missing(OffByOne)


@pytest.mark.trust
def test_the_machines_find_a_walk_that_is_content_with_any_two_readings(monkeypatch):
    """Control: without the guard."""
    monkeypatch.setattr("crawler.run.pagination.by_number.ListReading.confirms", lambda *_: True)
    assert shows_what_is_missing(NumberWalk)
