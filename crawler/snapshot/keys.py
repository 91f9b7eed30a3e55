"""The keys that rows have brought, each with a digest of its row: whole while they are few, as hashes where not.

A key as it is takes some 200 bytes, which for a million rows would be most of a crawl's memory. Beyond `EXACT_KEYS`
each is 22 to 28 bytes: its 64-bit hash, its digest, its place in a table. That two of a million keys have one hash, and
a row of them were counted as a conflict, has a chance of 1 in 30 million.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

EXACT_KEYS = 1024
# A key as it is, its digest and their place in a dict, about.
_EXACT_BYTES = 200

_KEYLESS = 0
_EMPTY = -1


_NONE = array("q")
_NO_SLOTS = array("i")


class Keys:
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

    def get(self, key: Hashable) -> int | None:
        """The digest of the row with this key; None where there is none."""
        if self._exact is not None:
            return self._exact.get(key)
        row = self._slots[self._slot(mark_of(key))]
        return None if row == _EMPTY else self._digests[row]

    def add(self, key: Hashable | None, digest: int) -> None:
        """Add a row. Its key must be new."""
        if self._exact is None:
            self._add(_KEYLESS if key is None else mark_of(key), digest)
            return
        self._exact[object() if key is None else key] = digest
        if len(self._exact) > EXACT_KEYS:
            self._compact()

    def adopt(self, other: Keys) -> None:
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
            for mark, digest in other._rows():
                self._add(mark, digest)

    def found_in(self, settled: Keys) -> dict[int, bool]:
        """Which rows have a key that is settled: their positions, and whether the digest is the same."""
        if self._exact is not None and settled._exact is not None:
            if settled._exact.keys().isdisjoint(self._exact):
                return {}
            known = ((row, digest, settled._exact.get(key)) for row, (key, digest) in enumerate(self._exact.items()))
        else:
            known = ((row, digest, settled._find(mark)) for row, (mark, digest) in enumerate(self._rows()))
        return {row: digest == theirs for row, digest, theirs in known if theirs is not None}

    def without(self, rows: Iterable[int]) -> Keys:
        """The same less these rows."""
        unwanted, kept = set(rows), Keys()
        if self._exact is not None:
            pairs = enumerate(self._exact.items())
            kept._exact = {key: digest for row, (key, digest) in pairs if row not in unwanted}
            return kept
        kept._begin_hashes()
        for row, (mark, digest) in enumerate(self._rows()):
            if row not in unwanted:
                kept._add(mark, digest)
        return kept

    def _rows(self) -> Iterator[tuple[int, int]]:
        if self._exact is None:
            yield from zip(self._marks, self._digests, strict=True)
        else:
            for key, digest in self._exact.items():
                yield (_KEYLESS if type(key) is object else mark_of(key)), digest

    def _find(self, mark: int) -> int | None:
        self._compact()
        row = _EMPTY if mark == _KEYLESS else self._slots[self._slot(mark)]
        return None if row == _EMPTY else self._digests[row]

    def _compact(self) -> None:
        if self._exact is not None:
            rows = list(self._rows())
            self._begin_hashes()
            for mark, digest in rows:
                self._add(mark, digest)

    def _begin_hashes(self) -> None:
        self._exact = None
        self._marks, self._digests = array("q"), array("q")
        self._slots = array("i", [_EMPTY]) * 8

    def _add(self, mark: int, digest: int) -> None:
        if 3 * len(self._marks) >= 2 * len(self._slots):
            self._grow()
        if mark != _KEYLESS:
            self._slots[self._slot(mark)] = len(self._marks)
        self._marks.append(mark)
        self._digests.append(digest)

    def _grow(self) -> None:
        self._slots = array("i", [_EMPTY]) * (2 * len(self._slots))
        for row, mark in enumerate(self._marks):
            if mark != _KEYLESS:
                self._slots[self._slot(mark)] = row

    def _slot(self, mark: int) -> int:
        """Where a mark stands in the table, or would."""
        slots, marks, last = self._slots, self._marks, len(self._slots) - 1
        at = mark & last
        while (row := slots[at]) != _EMPTY and marks[row] != mark:
            at = (at + 1) & last
        return at


def mark_of(key: Hashable) -> int:
    """A key's 64-bit hash. Of its text, since -1 and -2 have one hash, and so have 1 and True."""
    return hash(repr(key)) or 1
