"""Reads lists of every paging family from services that end, loop, state wrong totals and change."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.catalog.model import Paging
from crawler.errors import InvalidArgumentError, PaginationError, ThrottledError
from crawler.run.pagination import pager_for
from crawler.run.pagination.page import MAX_PAGES
from crawler.testing import FakePage
from tests.support.examples import examples
from tests.support.numbered_lists import Moves, Numbered, numbered

TOKEN = Paging("token", "nextToken", "nextToken", "limit", 100)
MARKER = Paging("token", "Marker", "Marker", "MaxItems", 100, more_key="IsTruncated")
VERSION = Paging("version", "startVersion", "nextVersion", "limit", 100)
LIMIT_ONLY = Paging("limit-only", limit_key="limit", limit=1000)
NONE = Paging("none")


class Walked:
    """The result of a pager: `kept` as a writer keeps it, the parameters of every request, the pager."""

    def __init__(self, paging, answer) -> None:
        self.asked: list[dict[str, str]] = []
        self.kept: list = []
        self.restarts = 0
        self.settled: list[bool] = []
        self.error: Exception | None = None

        async def fetch(parameters):
            self.asked.append(dict(parameters))
            return answer(dict(parameters))

        self.walk = pager_for(paging, fetch)

    async def run(self) -> None:
        await self.walk.run(self.take)

    async def take(self, page, *, restarts):
        assert isinstance(restarts, bool)
        if restarts:
            self.kept.clear()
            self.restarts += 1
        self.kept += page.keys
        self.settled.append(self.walk.is_settled)

    @property
    def code(self) -> str:
        assert isinstance(self.error, PaginationError)
        return self.error.code


def done_at_once(work):
    """Run a coroutine that never waits, without a loop."""
    with pytest.raises(StopIteration) as end:
        work.send(None)
    return end.value.value


def walked(paging, answer) -> Walked:
    result = Walked(paging, answer)
    try:
        done_at_once(result.run())
    except (PaginationError, InvalidArgumentError, ThrottledError) as error:
        result.error = error
    return result


def by_token(pages, first=None):
    """A service that maps a token to a page; `first` is the key of the first page."""
    return lambda parameters: pages[parameters.get("nextToken", first)]


def chain(chunks, tokens):
    """Pages in a row: each chunk with the token of the next one, the last with None."""
    following = [*tokens[: len(chunks) - 1], None]
    return {
        token: FakePage(chunk, after)
        for token, chunk, after in zip([None, *following], chunks, following, strict=False)
    }


@pytest.mark.parametrize("end", [None, "", '""'])
def test_a_token_list_ends_where_the_token_is_absent_empty_or_two_quotation_marks(end):
    """F30."""
    result = walked(TOKEN, lambda parameters: FakePage(["a"], end))
    assert (result.kept, len(result.asked), result.walk.status) == (["a"], 1, "complete")


@pytest.mark.parametrize("token", ["null", "0", "None", "false", " ", "x" * 4096, "übergröße/…&=%2F", "𝒳", "\n"])
def test_any_other_token_is_opaque_and_sent_back_as_it_came(token):
    """F30."""
    result = walked(TOKEN, by_token(chain([["a"], ["b"]], [token])))
    assert result.kept == ["a", "b"]
    assert result.asked[1]["nextToken"] == token


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (7, "7"), (10**30, "1" + "0" * 30)])
def test_a_number_is_a_token_too(number, text):
    """F30."""
    pages = {None: FakePage(["a"], number), text: FakePage(["b"])}
    assert walked(TOKEN, by_token(pages)).kept == ["a", "b"]


@pytest.mark.parametrize("token", [True, False, 1.5, ["t"], {"t": 1}, "\ud800"])
def test_a_token_that_cannot_be_sent_back_is_an_error(token):
    """F30."""
    result = walked(TOKEN, lambda parameters: FakePage(["a"], token))
    assert (result.code, len(result.asked)) == ("TokenInvalid", 1)
    what = "not valid Unicode and can't be sent back" if isinstance(token, str) else "neither text nor a number"
    assert str(result.error) == f"TokenInvalid: nextToken is {what}."


@pytest.mark.parametrize("count", [1, 5, 50])
def test_empty_pages_with_a_token_do_not_end_the_list(count):
    """F27."""
    chunks = [["a"], *([[]] * count), ["b"]]
    result = walked(TOKEN, by_token(chain(chunks, [f"t{n}" for n in range(count + 1)])))
    assert result.kept == ["a", "b"]
    assert len(result.asked) == count + 2


@pytest.mark.parametrize("length", range(1, 8))
@pytest.mark.parametrize("before", [0, 3])
def test_a_repeated_token_is_an_error_as_soon_as_it_is_seen(length, before):
    """F28."""
    tokens = [f"t{n}" for n in range(before)] + [f"c{n}" for n in range(length)]
    following = dict(zip([None, *tokens], [*tokens, f"c{0}"], strict=True))
    result = walked(TOKEN, lambda parameters: FakePage(["a"], following[parameters.get("nextToken")]))
    assert result.code == "TokenRepeated"
    assert len(result.asked) == before + length + 1
    said = f"TokenRepeated: nextToken is repeated on page {before + length + 1}; the list loops."
    assert str(result.error) == said


def test_tokens_without_end_are_cut_off_at_the_page_cap():
    """F29."""
    result = walked(TOKEN, lambda parameters: FakePage([], str(int(parameters.get("nextToken", "0")) + 1)))
    assert result.code == "TooManyPages"
    assert len(result.asked) == MAX_PAGES


def by_marker(*pages):
    """A service whose pages have a record each, with the marker and the flag of another page as given."""
    numbers = {None: 0} | {marker: number for number, (marker, _) in enumerate(pages, 1) if marker}
    return lambda parameters: FakePage(
        [number := numbers[parameters.get("Marker")]], pages[number][0], None, pages[number][1]
    )


@pytest.mark.parametrize(
    "end", [("", False), (None, False), ("left over", False), (None, "false"), ("", None), (None, None)]
)
@pytest.mark.parametrize("flag", [True, "true", "True", None])
def test_f147_a_flag_decides_whether_there_is_another_page(flag, end):
    result = walked(MARKER, by_marker(("m1", flag), ("m2", flag), end))
    assert (result.kept, result.error, result.walk.status) == ([0, 1, 2], None, "complete")


@pytest.mark.parametrize("marker", [None, "", '""'])
def test_f147_a_flag_without_a_marker_fails_the_list(marker):
    """The list isn't whole, and nothing says where it goes on."""
    result = walked(MARKER, by_marker(("m1", True), (marker, True)))
    assert (result.code, result.kept) == ("TokenMissing", [0, 1])


@pytest.mark.parametrize("flag", [0, 1, "", "yes", [], {}, 1.0])
def test_f147_a_flag_that_is_none_fails_the_list(flag):
    assert walked(MARKER, by_marker(("m1", flag))).code == "FlagInvalid"


def test_f147_a_marker_that_comes_again_is_an_error():
    result = walked(MARKER, lambda parameters: FakePage(["a"], "m1", None, True))
    assert (result.code, len(result.asked)) == ("TokenRepeated", 2)


def refusing(service, refused, times):
    """A service that rejects a token `times` times."""
    left = Counter({refused: times})

    def answer(parameters):
        token = parameters.get("nextToken")
        if left[token] > 0:
            left[token] -= 1
            raise InvalidArgumentError("InvalidArgument", "the token has expired")
        return service(parameters)

    return answer


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("times", [1, 2])
def test_an_expired_token_begins_the_list_anew(page, times):
    """F31."""
    service = by_token(chain([["a"], ["b"], ["c"], ["d"]], ["t1", "t2", "t3"]))
    result = walked(TOKEN, refusing(service, f"t{page}", times))
    assert result.kept == ["a", "b", "c", "d"]
    assert (result.error, result.restarts, result.walk.status) == (None, times, "complete")
    assert result.walk.note == f"token ({times + 1} readings)"


def test_a_token_that_is_refused_a_third_time_fails_the_list():
    """F31."""
    service = by_token(chain([["a"], ["b"]], ["t1"]))
    result = walked(TOKEN, refusing(service, "t1", 99))
    assert isinstance(result.error, InvalidArgumentError)
    assert (result.restarts, len(result.asked)) == (2, 6)


def test_a_list_that_began_anew_may_meet_the_same_tokens_again():
    """F31."""
    pages = chain([["a"], ["b"], ["c"]], ["t1", "t2"])
    result = walked(TOKEN, refusing(by_token(pages), "t2", 1))
    assert (result.error, result.kept) == (None, ["a", "b", "c"])


class Names:
    """A sorted token list; a token is the last name of its page. `changes`: request number, change, name."""

    def __init__(self, names, changes):
        self.names = set(names)
        self.changes = list(changes)
        self.requests = 0

    def __call__(self, parameters):
        while self.changes and self.changes[0][0] <= self.requests:
            _, change, name = self.changes.pop(0)
            getattr(self.names, change)(name)
        self.requests += 1
        found = sorted(name for name in self.names if name > parameters.get("nextToken", ""))
        shown = found[:4]
        return FakePage(shown, shown[-1] if len(shown) < len(found) else None)


def changes_of(dice, names, count):
    """Return the names that stay all the time, and changes for `Names`."""
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
def test_f34_every_name_that_stays_comes_exactly_once_while_others_come_and_go(seeds):
    for seed in range(seeds):
        dice = random.Random(seed)
        begin = dice.choice(["", "", "a"])
        names = {begin + "".join(dice.choice("09afmzZ_-") for _ in range(4)) for _ in range(dice.randint(400, 700))}
        stable, changes = changes_of(dice, names, 40)
        result = walked(TOKEN, Names(names, changes))
        counts = Counter(result.kept)
        assert {name for name in stable if counts[name] != 1} == set(), f"seed {seed}"
        assert (result.error, result.walk.status, result.walk.note) == (None, "complete", "token")


def test_other_errors_pass_through():
    def answer(parameters):
        raise ThrottledError("Throttling", "")

    assert isinstance(walked(TOKEN, answer).error, ThrottledError)


@pytest.mark.parametrize(("most", "asked"), [(100, ["100"]), (50, ["100", "50"]), (49, ["100", "50", "20"])])
@pytest.mark.parametrize("paging", [TOKEN, VERSION, numbered()])
def test_a_refused_page_size_is_made_smaller(paging, most, asked):
    """F26."""

    def answer(parameters):
        if int(parameters[paging.limit_key]) > most:
            raise InvalidArgumentError("InvalidArgument", "the limit is out of range")
        return FakePage(["a"], total=1)

    result = walked(paging, answer)
    assert [parameters[paging.limit_key] for parameters in result.asked] == asked
    assert result.kept == ["a"]
    assert ("a page" in result.walk.note) is (most < 100)


def test_the_smaller_page_size_stays_for_the_other_pages():
    """F26."""
    pages = chain([["a"], ["b"], ["c"]], ["t1", "t2"])

    def answer(parameters):
        if parameters["limit"] != "20":
            raise InvalidArgumentError("InvalidArgument", "the limit is out of range")
        return by_token(pages)(parameters)

    result = walked(TOKEN, answer)
    assert [parameters["limit"] for parameters in result.asked] == ["100", "50", "20", "20", "20"]


def test_a_service_that_refuses_every_page_size_is_asked_four_times():
    def answer(parameters):
        raise InvalidArgumentError("InvalidArgument", "no")

    result = walked(TOKEN, answer)
    assert isinstance(result.error, InvalidArgumentError)
    assert [parameters["limit"] for parameters in result.asked] == ["100", "50", "20", "10"]


def test_a_page_size_below_the_smaller_ones_is_not_made_larger():
    def answer(parameters):
        raise InvalidArgumentError("InvalidArgument", "no")

    paging = Paging("token", "nextToken", "nextToken", "limit", 20)
    assert [parameters["limit"] for parameters in walked(paging, answer).asked] == ["20", "10"]


def by_version(pages):
    return lambda parameters: pages[parameters.get("startVersion")]


@pytest.mark.parametrize("end", [None, "", '""', 0, "0"])
def test_a_version_list_ends_at_0_as_well(end):
    result = walked(VERSION, by_version({None: FakePage([1, 2], 3), "3": FakePage([3], end)}))
    assert (result.kept, result.walk.status) == ([1, 2, 3], "complete")


@pytest.mark.parametrize("end", [0, "0", "00"])
def test_a_version_list_may_end_at_0_on_its_first_page(end):
    result = walked(VERSION, by_version({None: FakePage([1, 2], end)}))
    assert (result.kept, len(result.asked), result.walk.status) == ([1, 2], 1, "complete")


def test_a_version_below_the_last_one_ends_the_list():
    result = walked(VERSION, by_version({None: FakePage([1, 2], 5), "5": FakePage([5], 4)}))
    assert (result.kept, result.error) == ([1, 2, 5], None)


@pytest.mark.parametrize("cycle", [[3], [3, 5], [3, 5, 9]])
def test_a_version_that_comes_again_is_an_error(cycle):
    """F28."""
    following = dict(zip([None, *map(str, cycle)], [*cycle, cycle[0]], strict=True))
    result = walked(VERSION, lambda parameters: FakePage([0], following[parameters.get("startVersion")]))
    assert result.code == "TokenRepeated"
    assert len(result.asked) == len(cycle) + 1


@pytest.mark.parametrize("token", ["three", 1.5, True, "1" * 5000])
def test_a_version_that_is_no_number_is_an_error(token):
    result = walked(VERSION, lambda parameters: FakePage([0], token))
    what = "not a version number" if isinstance(token, str) else "neither text nor a number"
    assert str(result.error) == f"TokenInvalid: nextVersion is {what}."


@pytest.mark.parametrize(
    ("count", "status"), [(0, "complete"), (999, "complete"), (1000, "truncated"), (1001, "truncated")]
)
def test_a_limit_only_list_is_truncated_at_the_brim(count, status):
    result = walked(LIMIT_ONLY, lambda parameters: FakePage(range(count)))
    assert (len(result.kept), len(result.asked), result.walk.status) == (count, 1, status)
    assert str(count) in result.walk.note or status == "complete"


def test_a_limit_only_list_is_judged_by_the_page_size_that_was_granted():
    def answer(parameters):
        if parameters["limit"] == "1000":
            raise InvalidArgumentError("InvalidArgument", "no")
        return FakePage(range(50))

    assert walked(LIMIT_ONLY, answer).walk.status == "truncated"


def test_a_list_without_paging_is_one_request_without_parameters():
    result = walked(NONE, lambda parameters: FakePage(range(5000)))
    assert (len(result.kept), result.asked, result.walk.status) == (5000, [{}], "complete")
    assert (result.restarts, result.settled) == (0, [True])


@pytest.mark.parametrize(
    ("totals", "status", "note"),
    [
        ((4, 4), "unstable", "total said 4, had 3"),
        (("5", 4), "unstable", "total said 4, had 3"),
        ((4, 3), "complete", "token"),
        ((4, None), "unstable", "total said 4, had 3"),
        ((2, 2), "complete", "total said 2, had 3"),
        (("many", True), "complete", "token"),
    ],
)
def test_a_token_list_whose_every_total_is_larger_than_its_rows_is_unstable(totals, status, note):
    """F37."""
    pages = {None: FakePage(["a", "b"], "t", total=totals[0]), "t": FakePage(["c"], total=totals[1])}
    result = walked(TOKEN, by_token(pages))
    assert (result.kept, result.walk.status) == (["a", "b", "c"], status)
    assert note in result.walk.note


def test_the_totals_before_a_restart_of_a_token_list_do_not_count():
    answers = iter(
        [FakePage(["a"], "t", total=1), InvalidArgumentError("InvalidArgument", "no"), FakePage(["b"], total=2)]
    )

    def answer(parameters):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    result = walked(TOKEN, answer)
    assert (result.kept, result.walk.status) == (["b"], "unstable")


@pytest.mark.parametrize("paging", [LIMIT_ONLY, NONE], ids=["limit-only", "none"])
@pytest.mark.parametrize(
    ("total", "status"), [(4, "truncated"), ("4", "truncated"), (3, "complete"), (0, "complete"), (None, "complete")]
)
def test_a_list_of_one_page_whose_total_is_larger_is_truncated(paging, total, status):
    """F37."""
    result = walked(paging, lambda parameters: FakePage(["a", "b", "c"], total=total))
    assert (len(result.kept), result.walk.status) == (3, status)
    assert (f"total said {total}, had 3" in result.walk.note) == (total not in (3, None))


@pytest.mark.parametrize("count", [0, 1, 99])
def test_a_first_page_that_says_it_is_the_whole_list_is_one_request(count):
    service = Numbered(range(count))
    result = walked(numbered(), service)
    assert (len(result.kept), service.requests, result.walk.status) == (count, 1, "complete")
    assert (result.settled, result.restarts) == ([True], 0)
    assert result.walk.note == "page-number"


@pytest.mark.parametrize(("count", "pages"), [(100, 2), (101, 3), (250, 4), (300, 4)])
def test_any_other_is_read_to_an_empty_page_twice(count, pages):
    service = Numbered(range(count))
    result = walked(numbered(), service)
    assert (result.kept, result.walk.status) == (list(range(count)), "complete")
    assert service.requests == 2 * pages
    assert result.restarts == 1
    assert not any(result.settled)


@pytest.mark.parametrize("count", [0, 3, 100, 250])
def test_a_list_without_a_total_is_read_to_an_empty_page_twice(count):
    result = walked(numbered(), Numbered(range(count), total=None))
    assert (result.kept, result.walk.status) == (list(range(count)), "complete")


@pytest.mark.parametrize("cap", [1, 10, 50])
@pytest.mark.parametrize("total", [..., None, 0, -1, "87"])
def test_a_page_size_that_is_capped_in_silence_loses_nothing(cap, total):
    """F26, with every odd total: a first page may state wrongly that it is the whole list."""
    result = walked(numbered(), Numbered(range(87), total=total, cap=cap))
    assert result.kept == list(range(87))
    assert result.walk.status == "complete"


@pytest.mark.parametrize(
    ("total", "status", "note"),
    [
        (0, "complete", "total said 0, had 250"),
        (-1, "complete", "total said -1, had 250"),
        ("250", "complete", "2 readings"),
        ("249", "complete", "total said 249"),
        (251, "unstable", "total said 251, had 250"),
        (10**12, "unstable", "total said 1000000000000"),
        ("many", "complete", "2 readings"),
        (True, "complete", "2 readings"),
        (1.5, "complete", "2 readings"),
        ("9" * 30, "complete", "2 readings"),
        (lambda request, shown: request, "unstable", "no two readings"),
        (lambda request, shown: len(shown), "unstable", "no two readings"),
        (lambda request, shown: 250 if shown else 0, "complete", "2 readings"),
        (lambda request, shown: 251 if shown else None, "unstable", "total said 251"),
    ],
)
def test_a_wrong_total_loses_nothing_and_is_noted(total, status, note):
    """F37."""
    service = Numbered(range(250), total=total)
    result = walked(numbered(), service)
    assert result.kept == list(range(250))
    assert result.walk.status == status
    assert note in result.walk.note
    assert service.requests <= 20


@pytest.mark.parametrize(
    ("total", "status"),
    [(5, "unstable"), ("1", "unstable"), (10**30, "unstable"), (0, "complete"), (None, "complete"), (-1, "complete")],
)
def test_an_empty_list_whose_total_states_records_is_unstable(total, status):
    """F37: a list that is empty although its total says otherwise never counts as zero records."""
    result = walked(numbered(), Numbered([], total=total))
    assert (result.kept, result.walk.status) == ([], status)


def test_a_list_that_loses_its_records_but_not_its_total_is_unstable():
    """F37: what the first reading showed isn't forgotten for two empty ones."""
    result = walked(numbered(), Numbered(["a"], total=10, changes=[(1, list.clear)]))
    assert (result.kept, result.walk.status) == ([], "unstable")


@pytest.mark.parametrize("total", [1, 3, 4])
def test_a_total_below_a_single_pages_rows_is_noted(total):
    """F37."""
    result = walked(numbered(), Numbered(range(5), total=total))
    assert (result.walk.note, result.walk.status) == (f"page-number (total said {total}, had 5)", "complete")
    assert len(result.asked) == 1


def test_a_list_of_which_no_two_readings_were_the_same_says_so():
    """F36."""
    result = walked(numbered(1), Numbered(range(2), total=lambda request, shown: request))
    said = "5 readings, no two readings in a row were the same, total said 14, had 2"
    assert (result.walk.note, result.walk.status) == (f"page-number ({said})", "unstable")


def test_a_server_that_ignores_the_page_number_is_an_error():
    """F28."""
    result = walked(numbered(), lambda parameters: FakePage(range(100), total=500))
    assert (result.code, len(result.asked)) == ("PageRepeated", 2)


@pytest.mark.parametrize("length", range(1, 8))
def test_pages_that_come_around_again_are_an_error(length):
    """F28."""

    def answer(parameters):
        page = (int(parameters["pageNumber"]) - 1) % length
        return FakePage(range(100 * page, 100 * page + 100))

    result = walked(numbered(), answer)
    assert (result.code, len(result.asked)) == ("PageRepeated", length + 1)
    assert str(result.error) == f"PageRepeated: Page {length + 1} repeats an earlier page; the list loops."


def test_pages_without_end_are_cut_off():
    """F29."""
    result = walked(numbered(1), lambda parameters: FakePage([parameters["pageNumber"]]))
    assert (result.code, len(result.asked)) == ("TooManyPages", MAX_PAGES)
    assert str(result.error) == "TooManyPages: The list hasn't ended after 10000 pages."


@pytest.mark.parametrize(("before", "readings"), [(3, 3), (4, 4)])
def test_a_list_that_changes_is_read_until_two_readings_agree(before, readings):
    """F36: a reading during which the list changed agrees with no other."""
    service = Numbered(range(150), changes=[(before, lambda items: items.append("new"))])
    result = walked(numbered(), service)
    assert result.kept == [*range(150), "new"]
    assert (result.walk.status, result.walk.readings) == ("complete", readings)


def test_a_list_that_never_holds_still_is_unstable_with_the_rows_of_the_last_reading():
    """F36."""
    changes = [(request, lambda items, n=request: items.append(f"new {n}")) for request in range(60)]
    result = walked(numbered(), Numbered(range(150), changes=changes))
    assert (result.walk.status, result.walk.readings, result.restarts) == ("unstable", 5, 4)
    assert set(range(150)) <= set(result.kept)
    assert "no two readings in a row were the same" in result.walk.note


def test_the_same_record_on_two_pages_of_a_list_that_stands_still_is_no_movement():
    """F32: the writer keeps it once."""
    result = walked(numbered(2), Numbered(["a", "b", "a", "c", "d"]))
    assert (result.kept, result.walk.status) == (["a", "b", "a", "c", "d"], "complete")


def test_records_without_a_key_are_told_apart_by_their_content():
    pages = {"1": FakePage([None] * 2, total=None), "2": FakePage([None], total=None), "3": FakePage([])}
    pages["1"].digests, pages["2"].digests = [1, 2], [3]
    result = walked(numbered(2), lambda parameters: pages[parameters["pageNumber"]])
    assert (len(result.kept), result.walk.status) == (3, "complete")


async def missed(seed: int, *, has_total: bool) -> tuple[str, set[str]]:
    """Return the status of a moving list, and the missed records among those that stayed."""
    dice = random.Random(seed)
    moves = Moves(dice, comes_back=has_total)

    async def fetch(parameters):
        return moves.page(parameters, has_total=has_total)

    async def take(page, *, restarts):
        if restarts:
            kept.clear()
        kept.extend(page.keys)

    walk, kept = pager_for(numbered(dice.choice([2, 3, 4])), fetch), []
    try:
        await walk.run(take)
    except PaginationError:
        return "failed", set()
    return walk.status, moves.stable - set(kept)


@pytest.mark.parametrize("seeds", [2000, pytest.param(10_000, marks=pytest.mark.trust)])
@pytest.mark.parametrize("has_total", [True, False])
async def test_no_moving_list_is_complete_while_a_record_that_stayed_is_missing(has_total, seeds):
    """F36. Without a total, a name that is deleted and comes back can't be told from one that stayed."""
    outcomes = Counter()
    for seed in range(seeds):
        status, lost = await missed(seed, has_total=has_total)
        outcomes[status, bool(lost)] += 1
        assert not (status == "complete" and lost), f"seed {seed}"
    assert outcomes["complete", False] > seeds / 5
    assert outcomes["unstable", True] > 0


@st.composite
def split(draw):
    """A list cut into pages, some of them empty."""
    items = draw(st.lists(st.integers(), unique=True, max_size=60))
    cuts = sorted(draw(st.lists(st.integers(0, len(items)), max_size=8)))
    return [items[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True)]


tokens = st.text(min_size=1, max_size=20).filter(lambda token: token != '""')


@given(split(), st.data())
def test_any_list_in_any_pages_comes_back_whole_once_in_order(chunks, data):
    """P6, F30."""
    names = data.draw(st.lists(tokens, min_size=len(chunks), max_size=len(chunks), unique=True))
    result = walked(TOKEN, by_token(chain(chunks, names)))
    assert result.kept == [item for chunk in chunks for item in chunk]
    assert len(result.asked) == len(chunks)


@given(split(), st.sets(st.integers(1, 10**6), min_size=9, max_size=9))
def test_any_list_in_any_versions_comes_back_whole_once_in_order(chunks, versions):
    """P6."""
    starts = [None, *map(str, sorted(versions))][: len(chunks)]
    pages = {
        start: FakePage(chunk, following)
        for start, chunk, following in zip(starts, chunks, [*starts[1:], None], strict=True)
    }
    assert walked(VERSION, by_version(pages)).kept == [item for chunk in chunks for item in chunk]


@settings(max_examples=examples(200))
@given(
    st.lists(st.integers(), unique=True, max_size=60),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([..., None]),
)
def test_any_list_by_any_page_size_comes_back_whole_once_in_order(items, limit, cap, total):
    """P6, F26."""
    result = walked(numbered(limit), Numbered(items, total=total, cap=cap))
    assert (result.kept, result.walk.status) == (items, "complete")
