"""Documents with too many values: known by their bytes, before anything is built of them."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler import json_bounds
from crawler.json_bounds import MAX_VALUES, excess_of
from tests.support.examples import examples

MANY = 2 * MAX_VALUES
REPEATED = {
    "numbers": b"1,",
    "floats": b"1.5,",
    "lists": b"[],",
    "objects": b"{},",
    "nulls": b"null,",
    "spaced": b" 1 ,\n",
    "members": b'"":0,',
    "texts": b'"",',
    "nested": b"[[[[[[[[",
    "not JSON at all": b",,",
}


@pytest.mark.parametrize("item", REPEATED.values(), ids=REPEATED)
def test_millions_of_values_of_any_kind_are_known_without_memory_for_them(item):
    """T46."""
    document = b'{"functions":[' + item * MANY + b"0]}"
    tracemalloc.start()
    try:
        assert excess_of(document).startswith("more than 500000 ")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(document)  # two copies of it


def test_separators_inside_of_texts_are_no_values():
    """T46: the largest page may hold any text."""
    text = ',[{"' * MANY
    assert excess_of(json.dumps({"a": text, "b": text}).encode().replace(b'\\"', b"\\\\")) == ""
    assert excess_of(b'["' + b",[{" * MANY + b'\\",", 1]') == ""
    assert excess_of(b'["' + b",[{" * MANY) != ""  # a text without an end is none


def test_the_bounds_are_those_of_pages_that_exist():
    """T46: as many values as the bound are taken, one more is not."""
    taken = b"[" + b"0," * (MAX_VALUES - 1) + b"0]"
    assert excess_of(taken) == ""
    assert excess_of(taken[:-1] + b",0]") == "more than 500000 values"


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=40,
)


def count_values(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count_values, inner))


@given(documents, st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=examples(300), deadline=None)
def test_no_document_has_more_values_than_were_counted(document, indent, is_ascii):
    """T46: whatever the texts hold, and however the document is written."""
    body = json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_bounds, "MAX_VALUES", 10)
        # A container and its first value share a bracket.
        assert (excess_of(body) == "") <= (count_values(document) <= 1 + 10)
        assert excess_of(body) == "" or count_values(document) >= 10 // 2
