"""Keys of rows say the same whether they are kept whole or, beyond a number, as hashes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot.rows import keys as module
from crawler.snapshot.rows.keys import SeenKeys
from tests.support.examples import examples

parts = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["a", "b", "None", "1", ""]))
rows = st.lists(st.tuples(st.none() | st.tuples(parts, parts), st.integers(-2, 2)), max_size=30)


def claimed(found, page=5):
    """The keys of rows, each once, as a list writer claims them; and the rows of each page that came before."""
    keys, repeated = SeenKeys(), []
    for first in range(0, len(found), page):
        rows = found[first : first + page]
        repeated.append(keys.claim([key for key, _ in rows], [digest for _, digest in rows]))
    return keys, repeated


def story(first, second):
    """All that can be asked of two lists that end one after the other, and a third that asks for every key."""
    settled, mine = SeenKeys(), []
    for found in (first, second, [*first, *second]):
        keys, repeated = claimed(found)
        shared = keys.found_in(settled)
        rest = keys.without(shared)
        mine.append((repeated, shared, len(keys), len(rest), rest.found_in(settled)))
        settled.adopt(rest)
    return mine, len(settled)


@pytest.mark.parametrize("limit", [0, 3, 12])
@settings(deadline=None, max_examples=examples(150))
@given(first=rows, second=rows)
def test_hashes_say_what_whole_keys_say(limit, first, second):
    whole = story(first, second)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EXACT_KEYS", limit)
        assert story(first, second) == whole


@settings(deadline=None, max_examples=examples(150))
@given(rows)
def test_a_page_says_what_its_rows_say_one_by_one(found):
    keys, repeated = claimed(found)
    single, each = claimed(found, page=1)
    assert [at + 5 * number for number, page in enumerate(repeated) for at in page] == [
        number for number, page in enumerate(each) if page
    ]
    assert [same for page in repeated for same in page.values()] == [same for page in each for same in page.values()]
    assert len(keys) == len(single) == len(found) - sum(map(len, repeated))


def test_a_million_keys_take_little_memory():
    keys = SeenKeys()
    for first in range(0, 200_000, 100):
        numbers = range(first, first + 100)
        assert not keys.claim([(f"function-{number}",) for number in numbers], numbers)
    arrays = (keys._marks, keys._digests, keys._slots)
    assert sum(len(each) * each.itemsize for each in arrays) < 28 * 200_000
    asked = [("function-199999",), ("function-200000",), ("function-0",)]
    assert keys.claim(asked, [199_999, 1, 1]) == {0: True, 2: False}
