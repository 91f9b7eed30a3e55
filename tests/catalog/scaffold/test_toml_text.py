"""The writer of TOML against Python's own reader."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.catalog.scaffold.toml_text import columns_text, comment_lines, doubt_text, line
from tests.support.examples import examples

TEXTS = st.text(st.characters(exclude_categories=()), max_size=30)
ENCODABLE = st.text(max_size=30)
KEYS = st.text(min_size=1, max_size=12)
TYPES = st.sampled_from(["string", "integer(MB)", "map<string> secret"])
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        TYPES,
        lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=5) | inner.map(lambda item: [item]),
        max_leaves=30,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(300), deadline=None)
@given(KEYS, ENCODABLE | st.lists(ENCODABLE) | st.booleans() | st.integers(-(2**63), 2**63 - 1), TEXTS)
def test_a_line_is_read_as_it_was_written(key, value, doubt):
    assert tomllib.loads(line(key, value, doubt)) == {key: value}


@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_every_character_is_written_printable(text):
    written = line("key", text, text)
    assert "\n" not in written
    assert written.isprintable()
    assert set(tomllib.loads(written)) == {"key"}


@settings(max_examples=examples(300), deadline=None)
@given(TREES, TEXTS)
def test_columns_are_read_as_they_were_written(tree, doubt):
    doubts = {(wire,): doubt for wire in tree}
    assert tomllib.loads(columns_text(tree, doubts)) == {"columns": tree}


@settings(max_examples=examples(100), deadline=None)
@given(TEXTS)
def test_comments_are_comments(text):
    assert tomllib.loads("\n".join(comment_lines(text))) == {}
    assert tomllib.loads(f"a = 1{doubt_text([text])}") == {"a": 1}


def test_a_doubt_names_what_is_below_the_lines_key():
    tree = {"Auth": {"Token": "string secret", "Kind": "string"}}
    assert columns_text(tree, {("Auth", "Token"): "secret?"}) == (
        '[columns]\nAuth = { Token = "string secret", Kind = "string" } # check: Token: secret?\n'
    )


def test_a_long_list_has_one_text_in_each_line():
    text = line("filters", [f"Parameter{number}" for number in range(20)], "why")
    assert text.startswith('filters = [\n    "Parameter0",\n')
    assert text.endswith("\n] # check: why")
