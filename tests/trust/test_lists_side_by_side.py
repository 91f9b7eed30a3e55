"""F36: numbered lists that change while several pages are pending, with responses in any order.

The machines extend those of test_moving_lists: they also choose the request that the service answers next. Pages are
prefetched.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from crawler.catalog.model import Paging
from crawler.errors import PaginationError
from crawler.run.pagination import pager_for
from crawler.testing import FakePage
from tests.support.changing_lists import FIRST_FAILURE, ChangingList, run

NAMES = st.text("ab-Z_", min_size=1, max_size=3)


class Service(ChangingList):
    """The list, a pager in an event loop of its own, and requests that wait for their responses."""

    names = NAMES
    least, most = 0, 14

    @initialize(data=st.data(), size=st.integers(1, 3))
    def begin(self, data, size):
        self.size, self.most_asked = size, 0
        self.items = self.ordered(data.draw(st.sets(NAMES, min_size=self.least, max_size=self.most)))
        self.runner = asyncio.Runner()
        self.loop = self.runner.get_loop()
        self.tasks = set()
        self.set_out()

    def set_out(self):
        """Start a pager on the current list."""
        self.stable, self.ever, self.changes = set(self.items), set(self.items), 0
        self.kept, self.asked, self.failed = [], [], ""
        self.walking = self.loop.create_task(self.walk_on())
        self.settle()

    async def walk_on(self):
        self.walk = pager_for(self.paging(), self.fetch, self.spawn)
        try:
            await self.walk.run(self.take)
        except PaginationError as error:
            self.failed = error.code

    async def take(self, page, *, restarts):
        if restarts:
            self.kept.clear()
        self.kept += page.keys

    def spawn(self, begin):
        task = self.loop.create_task(begin())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def fetch(self, parameters):
        answer = self.loop.create_future()
        self.asked.append((parameters, answer))
        self.most_asked = max(self.most_asked, len(self.asked))
        return await answer

    def settle(self):
        """Run the loop until every task waits for a response."""

        async def turns():
            for _ in range(20):
                await asyncio.sleep(0)

        self.runner.run(turns())
        self.asked = [(parameters, answer) for parameters, answer in self.asked if not answer.done()]

    @rule(which=st.integers(0, 15))
    def answer(self, which):
        if self.walking.done():
            self.set_out()
        parameters, answer = self.asked.pop(which % len(self.asked))
        answer.set_result(self.page(parameters))
        self.settle()
        if self.walking.done():
            self.walking.result()
            self.judge()

    def teardown(self):
        if not hasattr(self, "runner"):
            return
        try:
            for _ in range(2000):  # to the end: an interleaving without a final check proves nothing
                if self.walking.done():
                    break
                self.answer(0)
            assert self.walking.done()
        finally:
            self.runner.close()


class NumbersAhead(Service):
    """F36: a numbered list with a total."""

    def paging(self):
        return Paging("page-number", "pageNumber", limit_key="pageSize", limit=self.size, total_key="totalCount")

    def ordered(self, names):
        return sorted(names, key=lambda name: name[::-1])

    def insert(self, name, place):
        self.items.insert(place, name)

    def page(self, parameters):
        number = int(parameters["pageNumber"])
        return FakePage(self.items[(number - 1) * self.size : number * self.size], total=len(self.items))

    def judge(self):
        if self.failed:
            assert self.failed == "PageRepeated"
        elif self.walk.status == "complete":
            assert self.stable <= set(self.kept), "missing, and nobody says so"
            assert set(self.kept) <= self.ever, "made up"


MACHINES = {"number": NumbersAhead}


@pytest.mark.parametrize("name", MACHINES)
def test_what_was_there_all_the_time_is_there_whichever_answer_comes_first(name):
    """F36, P6: some of the interleavings."""
    run(MACHINES[name], 25)


@pytest.mark.trust
@pytest.mark.parametrize(("name", "interleavings"), [("number", 2000)])
def test_what_was_there_all_the_time_is_there_in_thousands_of_orders(name, interleavings):
    """F36, P6."""
    run(MACHINES[name], interleavings)


def test_the_machines_see_several_requests_at_once():
    """Control: without concurrent requests the machines would equal those of test_moving_lists."""
    seen = dict.fromkeys(MACHINES, 0)
    for name, machine in MACHINES.items():

        class Counting(machine):
            def teardown(self, name=name):
                super().teardown()
                seen[name] = max(seen[name], getattr(self, "most_asked", 0))

        run(Counting, 25)
    assert min(seen.values()) > 2, seen


@pytest.mark.trust
def test_the_machines_find_a_reading_ahead_that_nothing_confirms(monkeypatch):
    """Control: without the guard."""
    monkeypatch.setattr("crawler.run.pagination.by_number.ListReading.confirms", lambda *_: True)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run(NumbersAhead, 50_000, phases=FIRST_FAILURE)
