"""Where a long list of names by token can be split, so that it's walked from several places at once.

Names are of `ALPHABET` and come in ascending order: so far, on every page, and by the documentation of Function Compute
2.0 (ListFunctions, 2026-11-22). After a while the rest of them is divided by what it can begin with: each prefix that
the walk hasn't left behind is a list of its own, and the walk itself goes on to the end of its own prefix. Whatever
contradicts this is an `OddListError`: then the list is walked from its beginning, in one chain.
"""

from __future__ import annotations

import string
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

ALPHABET = "-" + string.digits + string.ascii_uppercase + "_" + string.ascii_lowercase
LEAST_PAGES = 20
MOST_PAGES = 300
MOST_EXTRA = 2
WALKS = 16

_LETTERS = frozenset(ALPHABET)


class OddListError(Exception):
    """The list isn't as it must be to be split. The message says what it does, without a name of a resource."""


@dataclass(frozen=True, slots=True)
class Split:
    """`rest`: what the names begin with that the walk goes on with, beyond `last`; all others are `prefixes`' own."""

    last: str
    rest: str
    prefixes: tuple[str, ...]

    def owned(self, names: Sequence[str]) -> int:
        """How many of a page's first names are the walk's own. Fewer than all: it has come to its end.

        Also an order without regard to case must not end it too early: there, names of two prefixes come mixed.
        """
        for number, name in enumerate(names):
            if name.startswith(self.rest):
                continue
            if name[: len(self.rest)].lower() <= self.rest.lower():
                raise OddListError("the order of names isn't known")
            return number
        return len(names)


def ascending(keys: Sequence[Hashable | None], after: str, prefix: str = "") -> list[str]:
    """A page's names. Raises OddListError for one of another alphabet, not above the one before, or without the prefix.

    `keys` are keys of one column; `after` is the last name of the page before.
    """
    names = []
    for key in keys:
        name = _name(key)
        if name <= after:
            raise OddListError("names aren't ascending")
        if not name.startswith(prefix):
            raise OddListError("names come without the prefix that was asked for")
        names.append(name)
        after = name
    return names


def _name(key: Any) -> str:
    name = key[0] if isinstance(key, tuple) and len(key) == 1 else None
    if not isinstance(name, str) or not name or not _LETTERS.issuperset(name):
        raise OddListError("names have other characters than were expected")
    return name


class Watch:
    """Looks at a list's pages from the first one on. `is_even`: they are full, and their names are as they must be."""

    def __init__(self) -> None:
        self.is_even = True
        self.pages = 0
        self._names: list[str] = []

    def take(self, keys: Sequence[Hashable | None], limit: int) -> None:
        """Look at one more page. Of a list that can't be split nothing is kept."""
        if not self.is_even or self.pages >= MOST_PAGES:
            self.is_even, self._names = False, []
            return
        self.pages += 1
        try:
            self._names += ascending(keys, self._names[-1] if self._names else "")
            self.is_even &= len(keys) == limit
        except OddListError:
            self.is_even = False

    def split(self) -> Split:
        """Where the rest of the list can be split now.

        All names have a beginning in common. What begins otherwise is asked for by a prefix a character; what shares it
        too, but for characters that the walk has met and left behind.
        """
        first, last = self._names[0], self._names[-1]
        depth = next(at for at, (a, b) in enumerate(zip(first + "\0", last, strict=False)) if a != b)
        common = last[:depth]
        met = {name[depth] for name in self._names if len(name) > depth}
        prefixes = [common[:at] + letter for at in range(depth) for letter in ALPHABET if letter != common[at]]
        prefixes += [common + letter for letter in ALPHABET if letter not in met]
        return Split(last, last[: depth + 1], tuple(prefixes))
