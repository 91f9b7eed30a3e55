"""The counts of a scope: names that are data take bounded memory."""

from __future__ import annotations

from crawler.run.scope import add_names


def test_names_of_unknown_fields_are_bounded_in_number_and_in_length():
    """T46: a record may have a million names of a million characters; a summary and a manifest have all counts."""
    names: dict[str, int] = {}
    add_names(names, {f"{n}{'x' * 5000}": 1 for n in range(3000)})
    add_names(names, {"short": 2})
    assert len(names) == 1001
    assert sum(names.values()) == 3002
    assert max(map(len, names)) == 256


def test_names_that_differ_in_their_ends_alone_are_counted_together():
    names: dict[str, int] = {}
    add_names(names, {"x" * 300 + end: 1 for end in "abc"})
    assert names == {"x" * 255 + "…": 3}
