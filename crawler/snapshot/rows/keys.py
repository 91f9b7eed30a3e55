"""The keys that rows have brought, each with a digest of its row: whole while they are few, as hashes where not.

A key as it is takes some 200 bytes, which for a million rows would be most of a crawl's memory. Beyond `EXACT_KEYS`
each is 22 to 28 bytes: its 64-bit hash, its digest, its place in a table. That two of a million keys have one hash, and
a row of them were counted as a conflict, has a chance of 1 in 30 million.

All goes by the page, since a call for each key would cost more than what it does.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

EXACT_KEYS = 1024
# A key as it is, its digest and their place in a dict, about.
_EXACT_BYTES = 200

_KEYLESS = 0
_EMPTY = -1


_NONE = array("q")
_NO_SLOTS = array("i")


class SeenKeys:
    """Keys in the order of their rows. A row without a key has its place too; no key is like it."""

    __slots__ = ("_digests", "_exact", "_marks", "_slots")

    def __init__(self) -> None:
        self._exact: dict[Hashable, int] | None = {}
        # Of most scopes nothing is ever a hash: they share these.
        self._marks = self._digests = _NONE
        self._slots = _NO_SLOTS

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._marks) if self._exact is None else len(self._exact)

    @property
    def cost_bytes(self) -> int:
        """What holding them takes, about."""
        if self._exact is not None:
            return len(self._exact) * _EXACT_BYTES
        return 8 * (len(self._marks) + len(self._digests)) + 4 * len(self._slots)

    def claim(self, keys: Sequence[Hashable | None], digests: Sequence[int]) -> dict[int, bool]:
        """Add rows, less those whose key is there already: gives their positions, and whether the digest is the same.

        None is the key of a row without one.
        """
        if self._exact is None:
            return self._claim_marks(list(map(_mark, keys)), digests)
        found = _claim_exact(self._exact, keys, digests)
        if len(self._exact) > EXACT_KEYS:
            self._compact()
        return found

    def adopt(self, other: SeenKeys) -> None:
        """Take over another's rows, whose keys are all new here. The other must not be used afterwards."""
        if not len(self):
            self._exact, self._marks, self._digests, self._slots = (
                other._exact,
                other._marks,
                other._digests,
                other._slots,
            )
        elif self._exact is not None and other._exact is not None:
            self._exact.update(other._exact)
            if len(self._exact) > EXACT_KEYS:
                self._compact()
        else:
            self._compact()
            self._extend(*other._rows())

    def found_in(self, settled: SeenKeys) -> dict[int, bool]:
        """Which rows have a key that is settled: their positions, and whether the digest is the same."""
        if not len(settled):
            return {}
        if self._exact is not None and settled._exact is not None:
            if settled._exact.keys().isdisjoint(self._exact):
                return {}
            digests, theirs = self._exact.values(), map(settled._exact.get, self._exact)
            known = enumerate(zip(digests, theirs, strict=True))
        else:
            marks, mine = self._rows()
            known = enumerate(zip(mine, settled._digests_of(marks), strict=True))
        return {row: digest == their for row, (digest, their) in known if their is not None}

    def without(self, rows: Collection[int]) -> SeenKeys:
        """The same less these rows."""
        kept = SeenKeys()
        wanted = [row not in rows for row in range(len(self))]
        if self._exact is not None:
            kept._exact = dict(compress(self._exact.items(), wanted))
        else:
            kept._begin_hashes()
            kept._extend(array("q", compress(self._marks, wanted)), array("q", compress(self._digests, wanted)))
        return kept

    def _rows(self) -> tuple[array[int], array[int]]:
        """All rows' hashes and digests."""
        if self._exact is None:
            return self._marks, self._digests
        return array("q", map(_mark, self._exact)), array("q", self._exact.values())

    def _claim_marks(self, keys: Iterable[int], digests: Sequence[int]) -> dict[int, bool]:
        self._make_room(len(digests))
        found: dict[int, bool] = {}
        slots, marks, known, last = self._slots, self._marks, self._digests, len(self._slots) - 1
        for position, (mark, digest) in enumerate(zip(keys, digests, strict=True)):
            if mark != _KEYLESS:
                at = mark & last
                while (row := slots[at]) != _EMPTY and marks[row] != mark:
                    at = (at + 1) & last
                if row != _EMPTY:
                    found[position] = known[row] == digest
                    continue
                slots[at] = len(marks)
            marks.append(mark)
            known.append(digest)
        return found

    def _digests_of(self, wanted: Iterable[int]) -> list[int | None]:
        """The digests of the rows with these hashes; None where there is none."""
        self._compact()
        slots, marks, last = self._slots, self._marks, len(self._slots) - 1
        found: list[int | None] = []
        for mark in wanted:
            at = mark & last
            while (row := slots[at]) != _EMPTY and marks[row] != mark:
                at = (at + 1) & last
            found.append(None if row == _EMPTY else self._digests[row])
        return found

    def _compact(self) -> None:
        if self._exact is not None:
            marks, digests = self._rows()
            self._begin_hashes()
            self._extend(marks, digests)

    def _begin_hashes(self) -> None:
        self._exact = None
        self._marks, self._digests = array("q"), array("q")
        self._slots = array("i", [_EMPTY]) * 8

    def _extend(self, marks: array[int], digests: array[int]) -> None:
        """Add rows whose keys are all new."""
        self._make_room(len(marks))
        first = len(self._marks)
        self._marks.extend(marks)
        self._digests.extend(digests)
        self._index(first)

    def _make_room(self, more: int) -> None:
        """Have the table as large as so many rows more take: two thirds of it may be taken."""
        size = len(self._slots)
        while 2 * size < 3 * (len(self._marks) + more):
            size *= 2
        if size > len(self._slots):
            self._slots = array("i", [_EMPTY]) * size
            self._index(0)

    def _index(self, first: int) -> None:
        """Enter the rows from this one on into the table."""
        slots, marks, last = self._slots, self._marks, len(self._slots) - 1
        for row in range(first, len(marks)):
            if (mark := marks[row]) != _KEYLESS:
                at = mark & last
                while slots[at] != _EMPTY:
                    at = (at + 1) & last
                slots[at] = row


def _claim_exact(
    exact: dict[Hashable, int], keys: Sequence[Hashable | None], digests: Sequence[int]
) -> dict[int, bool]:
    fresh = dict(zip(keys, digests, strict=True))
    if len(fresh) == len(keys) and None not in fresh and exact.keys().isdisjoint(fresh):  # nearly always
        exact.update(fresh)
        return {}
    found = {}
    for position, (key, digest) in enumerate(zip(keys, digests, strict=True)):
        known = None if key is None else exact.get(key)
        if known is None:
            exact[object() if key is None else key] = digest
        else:
            found[position] = known == digest
    return found


def _mark(key: Hashable | None) -> int:
    """A key's 64-bit hash. Of its text, since -1 and -2 have one hash, and so have 1 and True."""
    return _KEYLESS if key is None or type(key) is object else hash(repr(key)) or 1
