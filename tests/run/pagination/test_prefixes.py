"""A long list that is split by prefix: the union is exact, whatever the names, the order and the service do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.catalog import load_catalog
from crawler.catalog.model import Paging
from crawler.errors import InvalidArgumentError, ThrottledError, unwrap_group
from crawler.run.pagination.prefixes import (
    ALPHABET,
    LEAST_PAGES,
    MOST_EXTRA,
    MOST_PAGES,
    OddListError,
    Split,
    Watch,
    ascending,
)
from crawler.run.pagination.walk import ListWalk
from crawler.testing import FakePage
from tests.support.examples import examples

LIMIT = 4
PAGING = Paging("token", "nextToken", "nextToken", "limit", LIMIT, prefix_key="prefix")


class Names:
    """A list of names by token, in the order of `order`. `changes`: what happens to it before which request."""

    def __init__(self, names, order=str, changes=()) -> None:
        self.names = set(names)
        self.order = order
        self.changes = list(changes)
        self.asked: list[dict[str, str]] = []

    def __call__(self, parameters):
        while self.changes and self.changes[0][0] <= len(self.asked):
            _, change, name = self.changes.pop(0)
            getattr(self.names, change)(name)
        self.asked.append(parameters)
        found = sorted((name for name in self.names if self.fits(name, parameters)), key=self.order)
        found = [name for name in found if self.order(name) > self.order(parameters.get("nextToken", ""))]
        shown = found[: int(parameters["limit"])]
        return FakePage([(name,) for name in shown], shown[-1] if len(shown) < len(found) else None)

    def fits(self, name, parameters):
        return name.startswith(parameters.get("prefix", ""))

    @property
    def prefixes(self):
        return [asked["prefix"] for asked in self.asked if "prefix" in asked and "nextToken" not in asked]


async def walk_of(service, *, pays=True, dice=None):
    """The walk, and the names it kept. `pays`: whether to split, or a function of the pages and what is to be added."""
    dice, kept = dice or random.Random(1), []

    async def fetch(parameters):
        for _ in range(dice.randint(0, 3)):
            await asyncio.sleep(0)
        return service(dict(parameters))

    async def take(page, *, restarts):
        assert isinstance(restarts, bool)
        if restarts:
            kept.clear()
        kept.extend(name for (name,) in page.keys)

    async with anyio.create_task_group() as tasks:
        walk = ListWalk(PAGING, fetch, tasks.start_soon, pays if callable(pays) else lambda pages, extra: pays)
        await walk.run(take)
    return walk, kept


def plain_requests(names):
    return max(1, -(-len(names) // LIMIT))


def numbered(count, begin="app-"):
    return [f"{begin}{n:04d}" for n in range(count)]


async def test_a_long_list_is_split_and_every_name_comes_once():
    names = [*numbered(500, ""), *numbered(300, "m-"), *numbered(200, "z")]
    service = Names(names)
    walk, kept = await walk_of(service)
    assert sorted(kept) == sorted(names)
    assert walk.status == "complete"
    assert walk.note.startswith("token (by ")
    assert len(set(service.prefixes)) == len(service.prefixes) <= MOST_EXTRA * len(service.asked)


async def test_what_a_split_costs_is_a_request_a_prefix_and_what_is_cut_short():
    names = numbered(1000, "")
    service = Names(names)
    _, kept = await walk_of(service)
    assert sorted(kept) == names
    partial_pages = len(service.prefixes) + 2  # a list's last page may be short; the walk's own end is asked for twice
    assert len(service.asked) <= plain_requests(names) + partial_pages


@pytest.mark.parametrize("count", [0, 1, LIMIT, LIMIT * LEAST_PAGES])
async def test_a_list_that_is_not_long_costs_not_one_request_more(count):
    service = Names(numbered(count))
    walk, kept = await walk_of(service)
    assert sorted(kept) == numbered(count)
    assert len(service.asked) == plain_requests(numbered(count))
    assert walk.note == "token"


async def test_nor_does_one_that_it_would_not_pay_to_split():
    service = Names(numbered(900))
    walk, _ = await walk_of(service, pays=False)
    assert (len(service.asked), walk.note) == (225, "token")


@pytest.mark.parametrize(("prefix_key", "has_tasks"), [("", True), ("prefix", False), ("", False)])
async def test_without_a_prefix_or_without_tasks_nobody_asks_whether_it_pays(prefix_key, has_tasks):
    service, kept = Names(numbered(900)), []

    async def fetch(parameters):
        return service(dict(parameters))

    async def take(page, *, restarts):
        kept.extend(name for (name,) in page.keys)

    async with anyio.create_task_group() as tasks:
        paging = replace(PAGING, prefix_key=prefix_key)
        walk = ListWalk(
            paging, fetch, tasks.start_soon if has_tasks else None, lambda pages, extra: pytest.fail("asked")
        )
        await walk.run(take)
    assert (kept, walk.note) == (numbered(900), "token")


async def test_whether_it_pays_is_asked_every_twenty_pages_with_what_it_would_cost_and_not_beyond_three_hundred():
    names, asked = numbered(1300, "0"), []

    def pays(pages, extra):
        asked.append((pages, extra))
        return False

    walk, kept = await walk_of(Names(names), pays=pays)
    assert (kept, walk.note) == (names, "token")
    watch, expected = Watch(), []
    for pages in range(1, MOST_PAGES + 1):
        watch.take([(name,) for name in names[LIMIT * (pages - 1) : LIMIT * pages]], LIMIT)
        if pages % LEAST_PAGES == 0 and (extra := len(watch.split().prefixes)) <= MOST_EXTRA * pages:
            expected.append((pages, extra))
    assert asked == expected
    assert (asked[0][0] % LEAST_PAGES, asked[-1][0]) == (0, MOST_PAGES)


async def test_a_list_may_still_be_split_after_three_hundred_pages():
    names = numbered(1300, "0")
    walk, kept = await walk_of(Names(names), pays=lambda pages, extra: pages == MOST_PAGES)
    assert sorted(kept) == names
    assert walk.note.endswith(f" prefixes from page {MOST_PAGES} on)")


async def test_two_requests_more_for_each_page_are_not_too_many():
    """24 first letters are met in 20 pages, so that 40 prefixes are left."""
    first = [f"{letter}{n}" for at, letter in enumerate(ALPHABET[:24]) for n in range(4 if at < 8 else 3)]
    names = [*first, *numbered(60, "z")]
    asked = []
    _, kept = await walk_of(Names(names), pays=lambda pages, extra: asked.append((pages, extra)) or True)
    assert sorted(kept) == sorted(names)
    assert asked == [(LEAST_PAGES, MOST_EXTRA * LEAST_PAGES)]


letters = st.sampled_from("-09AZaz_b")
names_drawn = st.sets(st.text(letters, min_size=1, max_size=5), min_size=60, max_size=400)


@settings(max_examples=examples(60))
@given(names_drawn, st.sampled_from(["", "a", "prod-", "A0"]), st.integers(0, 10**6))
def test_the_union_is_exact_for_any_names(drawn, begin, seed):
    names = [begin + name for name in drawn]
    walk, kept = asyncio.run(walk_of(Names(names), dice=random.Random(seed)))
    assert sorted(kept) == sorted(names)
    assert walk.status == "complete"


def by_letters(name):
    """An order without regard to case, which only then tells names apart."""
    return (name.lower(), name)


@settings(max_examples=examples(60))
@given(names_drawn, st.sampled_from(["", "a", "B-"]), st.integers(0, 10**6))
def test_the_union_is_exact_in_an_order_without_regard_to_case(drawn, begin, seed):
    names = [begin + name for name in drawn]
    _, kept = asyncio.run(walk_of(Names(names, by_letters), dice=random.Random(seed)))
    assert sorted(kept) == sorted(names)


def changes_of(dice, names, count):
    """Names that come and go, and those that stay all the time."""
    stable, changes, there = set(names), [], set(names)
    for at in sorted(dice.randint(0, 150) for _ in range(count)):
        if dice.random() < 0.5:
            name = dice.choice(sorted(there))
            there.discard(name)
            stable.discard(name)
            changes.append((at, "discard", name))
        else:
            name = dice.choice(sorted(names)) + dice.choice("-0zZ")
            there.add(name)
            changes.append((at, "add", name))
    return stable, changes


@pytest.mark.parametrize("seeds", [20, pytest.param(60, marks=pytest.mark.trust)])
async def test_f34_every_name_that_stays_comes_exactly_once_while_others_come_and_go(seeds):
    splits = 0
    for seed in range(seeds):
        dice = random.Random(seed)
        begin = dice.choice(["", "", "a"])
        names = {begin + "".join(dice.choice("09afmzZ_-") for _ in range(4)) for _ in range(dice.randint(400, 700))}
        stable, changes = changes_of(dice, names, 40)
        walk, kept = await walk_of(Names(names, changes=changes), dice=dice)
        counts = Counter(kept)
        assert {name for name in stable if counts[name] != 1} == set(), f"seed {seed}"
        assert walk.status == "complete"
        splits += "prefixes" in walk.note
    assert splits > seeds / 2


class NoPrefix(Names):
    def fits(self, name, parameters):
        return True


class Refusing(Names):
    def __call__(self, parameters):
        if "prefix" in parameters:
            self.asked.append(parameters)
            raise InvalidArgumentError("InvalidArgument", "no such parameter")
        return super().__call__(parameters)


class AnyCase(Names):
    def fits(self, name, parameters):
        return name.lower().startswith(parameters.get("prefix", "").lower())


UNASKED = "names come without the prefix that was asked for"
LETTERS = "names have other characters than were expected"
ODD = [
    pytest.param(NoPrefix(numbered(600, "")), UNASKED, id="prefix ignored"),
    pytest.param(Refusing(numbered(600, "")), "a prefix or its token was refused", id="prefix refused"),
    pytest.param(AnyCase([*numbered(400, ""), *numbered(200, "a"), *numbered(200, "A")]), UNASKED, id="any case"),
    pytest.param(Names([*numbered(500, ""), "99 "]), LETTERS, id="another alphabet"),
    pytest.param(
        Names(
            numbered(600, ""), order=lambda name: (name >= "0300" and -int(name or 0), name) if name else (-9999, "")
        ),
        "",
        id="not in order",
    ),
]


@pytest.mark.parametrize(("service", "reason"), ODD)
async def test_where_the_service_is_odd_the_list_is_walked_in_one_chain_and_is_whole(service, reason):
    walk, kept = await walk_of(service)
    assert sorted(kept) == sorted(service.names)
    assert walk.note == (f"token (2 readings, not by prefix: {reason})" if reason else "token")


class Own(Names):
    """`own` says what becomes of the walk's own n-th page once the list is split, from 1."""

    def __init__(self, names, own) -> None:
        super().__init__(names)
        self.own = own
        self.own_pages = 0
        self.is_split = False

    def __call__(self, parameters):
        page = super().__call__(parameters)
        self.is_split |= "prefix" in parameters or len(self.asked) > LEAST_PAGES
        if "prefix" in parameters or "nextToken" not in parameters or not self.is_split:
            return page
        self.own_pages += 1
        return self.own(self.own_pages, parameters["nextToken"], page)


SPLIT_SOON = [*(f"{letter}{n}" for letter in ALPHABET[:24] for n in range(3)), *numbered(300, "M-"), *numbered(60, "z")]


async def test_an_empty_page_with_a_token_does_not_end_the_walks_own_chain():
    """F27."""

    def own(number, token, page):
        return FakePage([], token + "-") if number == 2 else page

    service = Own(SPLIT_SOON, own)
    walk, kept = await walk_of(service)
    assert sorted(kept) == sorted(SPLIT_SOON)
    assert "prefixes from page" in walk.note


async def test_names_that_go_back_from_one_page_to_the_next_are_noticed_in_the_walks_own_chain():
    def own(number, token, page):
        return FakePage([("M-0012-",)], page.token) if number == 9 else page

    walk, _ = await walk_of(Own(SPLIT_SOON, own))
    assert "not by prefix: names aren't ascending" in walk.note


async def test_a_token_that_leads_to_itself_is_an_error_at_once_in_the_walks_own_chain():
    """F28."""

    def own(number, token, page):
        return FakePage(page.keys, token)

    service = Own(SPLIT_SOON, own)
    with pytest.raises(BaseExceptionGroup) as caught:
        await walk_of(service)
    assert unwrap_group(caught.value).code == "TokenRepeated"
    assert service.own_pages == 1


class Breaking(Names):
    """Every chain by prefix breaks on its second page."""

    def __call__(self, parameters):
        if {"prefix", "nextToken"} <= parameters.keys():
            raise ThrottledError("Throttling", "")
        return super().__call__(parameters)


async def test_who_gives_up_a_split_list_hears_no_more_of_it():
    """Its chains have pages and errors that nobody took, and errors that come of being stopped."""
    service = Breaking([letter + name for letter in ALPHABET for name in numbered(40, "")])

    async def fetch(parameters):
        try:
            await asyncio.sleep(0)
            if "prefix" not in parameters and service.prefixes:
                await anyio.sleep_forever()
        except asyncio.CancelledError:
            raise ThrottledError("Stopped", "") from None
        return service(dict(parameters))

    async def take(page, *, restarts):
        if service.prefixes:
            for _ in range(100):
                await asyncio.sleep(0)
            raise KeyError

    async with anyio.create_task_group() as tasks:
        with pytest.raises(KeyError):
            await ListWalk(PAGING, fetch, tasks.start_soon, lambda pages, extra: True).run(take)
    assert len(service.prefixes) > 1


async def test_any_other_error_is_the_lists():
    class Failing(Names):
        def __call__(self, parameters):
            if parameters.get("prefix") == "z":
                raise ThrottledError("Throttling", "")
            return super().__call__(parameters)

    with pytest.raises(BaseExceptionGroup) as caught:
        await walk_of(Failing(numbered(600, "")))
    assert isinstance(unwrap_group(caught.value), ThrottledError)


def test_a_split_divides_all_names_that_are_left():
    watch = Watch()
    watch.take([("ab-",), ("ab-1",), ("ab1",), ("ac",)], 4)
    split = watch.split()
    assert split.rest == "ac"
    assert len(split.prefixes) == len(set(split.prefixes)) == 63 + 62
    for letter in ALPHABET:
        for other in ALPHABET:
            found = [split.rest] * (letter + other).startswith(split.rest)
            found += [prefix for prefix in split.prefixes if (letter + other).startswith(prefix)]
            assert len(found) == (letter + other != "ab"), letter + other


def test_a_split_asks_for_nothing_that_the_walk_has_left_behind():
    watch = Watch()
    watch.take([("a",), ("ba",), ("bb",)], 3)
    split = watch.split()
    assert (split.last, split.rest) == ("bb", "b")
    assert set(split.prefixes) == set(ALPHABET) - {"a", "b"}


@pytest.mark.parametrize("letter", ["-", "X", "z"])
def test_a_name_may_be_the_beginning_of_all_others(letter):
    watch = Watch()
    watch.take([("a",), (f"a{letter}",)], 2)
    split = watch.split()
    assert split.rest == f"a{letter}"
    assert set(split.prefixes) == (set(ALPHABET) - {"a"}) | {f"a{other}" for other in ALPHABET if other != letter}


def test_a_watch_gives_up_on_the_first_thing_that_is_odd():
    for keys in ([("b",), ("a",)], [("a",), ("a",)], [("a",), ("ü",)], [("a",), (1,)], [("a",), None], [("a",)]):
        watch = Watch()
        watch.take(keys, 2)
        assert watch.is_even is False
        watch.take([("x",), ("y",)], 2)
        assert (watch.is_even, watch.pages) == (False, 1)


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_a_watch_notices_a_page_that_does_not_follow_the_one_before_it(name):
    watch = Watch()
    watch.take([("b",), ("c",), ("d",)], 3)
    assert watch.is_even
    watch.take([(name,), ("e",), ("f",)], 3)
    assert not watch.is_even


def test_a_watch_ends_after_three_hundred_pages():
    watch = Watch()
    for number in range(MOST_PAGES):
        watch.take([(f"{number:03}",)], 1)
    assert (watch.is_even, watch.pages) == (True, MOST_PAGES)
    watch.take([("z",)], 1)
    assert (watch.is_even, watch.pages) == (False, MOST_PAGES)


def test_names_of_two_cases_that_come_mixed_do_not_end_the_walk():
    split = Split("S0", "S", ())
    assert split.owned(["S1", "S2", "T"]) == 2
    with pytest.raises(OddListError, match=r"^the order of names isn't known$"):
        split.owned(["S1", "s2"])


@pytest.mark.parametrize(
    ("keys", "after", "prefix", "reason"),
    [
        ([("b",), ("a",)], "", "", "names aren't ascending"),
        ([("a",)], "a", "", "names aren't ascending"),
        ([("ab",), ("b",)], "", "a", UNASKED),
        ([("a", "b")], "", "", LETTERS),
        (["a"], "", "", LETTERS),
        ([("",)], "", "", LETTERS),
        ([(None,)], "", "", LETTERS),
    ],
)
def test_a_page_that_is_odd_is_refused_with_the_reason(keys, after, prefix, reason):
    with pytest.raises(OddListError, match=f"^{reason}$"):
        ascending(keys, after, prefix)


def test_a_page_of_names_follows_the_one_before_it():
    assert ascending([("ab",), ("ac",)], "aa", "a") == ["ab", "ac"]
    assert ascending([("-",)], "") == ["-"]
    assert ascending([], "z") == []


def test_functions_can_be_split_and_their_key_is_their_name():
    operation = load_catalog().operations["fc_functions"]
    assert operation.paging.prefix_key == "prefix"
    assert operation.key == ("function_name",)
