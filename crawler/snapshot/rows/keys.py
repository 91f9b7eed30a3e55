"""The seen keys of a scope, each with a digest of its row. Few keys are kept as they are, many as hashes.

A key as it is takes about 200 bytes, which for a million rows would be most of a crawl's memory. Beyond `EXACT_KEYS`
a key takes 22 to 28 bytes: its 64-bit hash, its digest and its slot in a table. The chance that two of a million keys
have the same hash is 1 in 30 million; one of their rows would then be counted as a conflict. All methods work on whole
pages, because a call per key would take more time than its work.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

EXACT_KEYS = 1024
# The approximate memory of a key as it is, of its digest and of their entry in a dict.
_EXACT_BYTES = 200

_KEYLESS = 0
_EMPTY = -1


_NONE = array("q")
_NO_SLOTS = array("i")


class SeenKeys:
    """Keys in the order of their rows. A row without a key has an entry too, which equals no other."""

    __slots__ = ("_digests", "_exact", "_marks", "_slots")

    def __init__(self) -> None:
        self._exact: dict[Hashable, int] | None = {}
        # Most scopes never use hashes: they share these empty arrays.
        self._marks = self._digests = _NONE
        self._slots = _NO_SLOTS

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._marks) if self._exact is None else len(self._exact)

    @property
    def nbytes(self) -> int:
        """The approximate memory of the keys, in bytes."""
        if self._exact is not None:
            return len(self._exact) * _EXACT_BYTES
        return 8 * (len(self._marks) + len(self._digests)) + 4 * len(self._slots)

    def claim(self, keys: Sequence[Hashable | None], digests: Sequence[int]) -> dict[int, bool]:
        """Add the rows whose key is new. Return the positions of the others, and whether the digests are equal.

        The key of a row without one is None.
        """
        if self._exact is None:
            return self._claim_marks(list(map(_mark, keys)), digests)
        found = _claim_exact(self._exact, keys, digests)
        if len(self._exact) > EXACT_KEYS:
            self._compact()
        return found

    def adopt(self, other: SeenKeys) -> None:
        """Take over the rows of another, whose keys are all new here. It must not be used afterwards."""
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

    def found_in(self, finished: SeenKeys) -> dict[int, bool]:
        """Return the positions of the rows whose key `finished` has, and whether the digests are equal."""
        if not len(finished):
            return {}
        if self._exact is not None and finished._exact is not None:
            if finished._exact.keys().isdisjoint(self._exact):
                return {}
            digests, theirs = self._exact.values(), map(finished._exact.get, self._exact)
            known = enumerate(zip(digests, theirs, strict=True))
        else:
            marks, mine = self._rows()
            known = enumerate(zip(mine, finished._digests_of(marks), strict=True))
        return {row: digest == their for row, (digest, their) in known if their is not None}

    def without(self, rows: Collection[int]) -> SeenKeys:
        """Return a copy without these rows."""
        kept = SeenKeys()
        wanted = [row not in rows for row in range(len(self))]
        if self._exact is not None:
            kept._exact = dict(compress(self._exact.items(), wanted))
        else:
            kept._begin_hashes()
            kept._extend(array("q", compress(self._marks, wanted)), array("q", compress(self._digests, wanted)))
        return kept

    def _rows(self) -> tuple[array[int], array[int]]:
        """Return the hashes and digests of all rows."""
        if self._exact is None:
            return self._marks, self._digests
        return array("q", map(_mark, self._exact)), array("q", self._exact.values())

    def _claim_marks(self, keys: Iterable[int], digests: Sequence[int]) -> dict[int, bool]:
        self._grow(len(digests))
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
        """Return the digests of the rows with these hashes; None for a hash that no row has."""
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
        """Add rows, whose keys are all new."""
        self._grow(len(marks))
        first = len(self._marks)
        self._marks.extend(marks)
        self._digests.extend(digests)
        self._index(first)

    def _grow(self, more: int) -> None:
        """Enlarge the table for this many more rows. At most two thirds of it are in use."""
        size = len(self._slots)
        while 2 * size < 3 * (len(self._marks) + more):
            size *= 2
        if size > len(self._slots):
            self._slots = array("i", [_EMPTY]) * size
            self._index(0)

    def _index(self, first: int) -> None:
        """Enter this row and the following ones into the table."""
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
    """Return the 64-bit hash of a key's text: -1 and -2 have the same hash, and so have 1 and True."""
    return _KEYLESS if key is None or type(key) is object else hash(repr(key)) or 1
