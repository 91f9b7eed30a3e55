"""The content of one reading of a numbered list, and the readings that confirm it (F36, F37)."""

from __future__ import annotations

import pytest

from crawler.run.pagination.by_number import ListReading
from crawler.run.pagination.page import parse_total
from crawler.testing import FakePage


def reading(*pages):
    found = ListReading()
    for page in pages:
        assert found.add(page)
    return found


def test_a_reading_counts_records_and_pages_and_remembers_every_total():
    found = reading(FakePage(["a", "b"], total=3), FakePage(["c"], total="4"), FakePage(["d", "e", "f"], total=None))
    assert (found.records, found.pages, found.totals) == (6, 3, {3, 4})


@pytest.mark.parametrize("keys", [["a", "b"], ["b", "a"]])
def test_a_page_that_came_before_in_whatever_order_is_not_taken(keys):
    """F28."""
    found = reading(FakePage(["a", "b"], total=2), FakePage(["c"], total=2))
    assert not found.add(FakePage(keys, total=7))
    assert (found.records, found.pages, found.totals) == (3, 2, {2})


def test_records_without_a_key_are_told_apart_by_their_digests():
    class Keyless:
        keys, seen, total, token = (None, None), 2, None, None

        def __init__(self, *digests):
            self.digests = digests

    found = reading(Keyless(1, 2), Keyless(3, 4))
    assert not found.add(Keyless(2, 1))
    assert reading(Keyless(1, 2)).confirms(reading(Keyless(2, 1)))
    assert not reading(Keyless(1, 2)).confirms(reading(Keyless(1, 3)))
    # A record on two pages doesn't show that the list moved: several records may have the same content.
    assert reading(Keyless(1, 2), Keyless(2, 3)).confirms(reading(Keyless(1, 2), Keyless(2, 3)))


def test_a_page_with_another_number_of_keys_than_of_digests_is_a_mistake_and_not_read_in_part():
    page = FakePage(["a", "b"])
    page.digests = page.digests[:1]
    with pytest.raises(ValueError, match="shorter"):
        ListReading().add(page)


@pytest.mark.parametrize("total", [None, 3])
def test_the_same_records_confirm_a_reading_however_they_are_cut_into_pages(total):
    first = reading(FakePage(["a", "b"], total=total), FakePage(["c"], total=total))
    assert reading(FakePage(["a"], total=total), FakePage(["b", "c"], total=total)).confirms(first)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(reading(FakePage(["a", "x"], total=2)), id="another record"),
        pytest.param(reading(FakePage(["a"], total=2)), id="one less"),
        pytest.param(reading(FakePage(["a", "b", "b"], total=2)), id="one twice"),
        pytest.param(reading(FakePage(["a", "b"], total=3)), id="another total"),
        pytest.param(reading(FakePage(["a", "b"])), id="no total"),
    ],
)
def test_whatever_differs_confirms_nothing(other):
    first = reading(FakePage(["a", "b"], total=2))
    assert first.confirms(reading(FakePage(["a", "b"], total=2)))
    assert not first.confirms(other)
    assert not other.confirms(first)


def test_two_readings_that_moved_alike_do_not_confirm_each_other():
    """F36."""

    def of_two_totals():
        return reading(FakePage(["a", "b"], total=3), FakePage(["c"], total=4))

    def of_a_record_on_two_pages(total=None, then=()):
        return reading(*(FakePage(keys, total=total) for keys in (["a", "b"], ["b", "c"], then)))

    assert not of_two_totals().confirms(of_two_totals())
    assert not of_a_record_on_two_pages().confirms(of_a_record_on_two_pages())
    assert not of_a_record_on_two_pages(then=["d"]).confirms(of_a_record_on_two_pages(then=["d"]))
    assert of_a_record_on_two_pages(4).confirms(of_a_record_on_two_pages(4))


def test_a_reading_that_stood_still_is_not_confirmed_by_one_that_moved_nor_the_other_way():
    """F36: `a` is on two pages of one reading, and twice on one page of the other."""
    still, moved = reading(FakePage(["a", "a", "b"])), reading(FakePage(["a"]), FakePage(["a", "b"]))
    assert (still.records, moved.records) == (3, 3)
    assert not still.confirms(moved)
    assert not moved.confirms(still)


@pytest.mark.parametrize(
    ("total", "number"),
    [
        *((0, 0), (7, 7), (-1, -1), (10**30, 10**30)),
        *(("0", 0), ("12", 12), ("9" * 18, 10**18 - 1)),
        *((value, None) for value in ("9" * 19, "", "-1", "1.0", " 1", "٣", "many", None, True, False, 1.5, [1])),
    ],
)
def test_a_total_is_a_number_or_text_of_digits(total, number):
    """F37."""
    assert parse_total(total) == number
    assert not isinstance(parse_total(total), bool)
