"""Keys of rows say the same whether they are kept whole or, beyond a number, as hashes."""

from __future__ import annotations

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.snapshot import keys as module
from crawler.snapshot.keys import Keys

parts = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["a", "b", "None", "1", ""]))
rows = st.lists(st.tuples(st.none() | st.tuples(parts, parts), st.integers(-2, 2)), max_size=30)


def claimed(found):
    """The keys of rows, each once, as a list writer claims them; and the positions of those that came before."""
    keys, repeated = Keys(), []
    for position, (key, digest) in enumerate(found):
        known = None if key is None else keys.get(key)
        if known is None:
            keys.add(key, digest)
        else:
            repeated.append((position, known == digest))
    return keys, repeated


def story(first, second):
    """All that can be asked of two lists that end one after the other, and a third that asks for every key."""
    settled, mine = Keys(), []
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


def test_a_million_keys_take_little_memory():
    keys = Keys()
    for number in range(200_000):
        keys.add((f"function-{number}",), number)
    arrays = (keys._marks, keys._digests, keys._slots)
    assert sum(len(each) * each.itemsize for each in arrays) < 28 * 200_000
    assert keys.get(("function-199999",)) == 199_999
    assert keys.get(("function-200000",)) is None
