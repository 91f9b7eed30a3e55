"""What a list's pages show of it, and whether two readings of one that is paged by number are of the same list."""

from __future__ import annotations

from typing import Any, Protocol


class PageLike(Protocol):
    """What the walk looks at. `token` and `total` are as received; `keys` and `digests` have one item a record."""

    @property
    def seen(self) -> int:
        """How many records the page has."""
        ...

    @property
    def keys(self) -> Any:
        """The records' keys; None for a record without one."""
        ...

    @property
    def digests(self) -> Any:
        """What tells records without a key apart."""
        ...

    @property
    def token(self) -> Any:
        """The token for the next page."""
        ...

    @property
    def total(self) -> Any:
        """How many records the service says there are in all."""
        ...


class Reading:
    """What one reading of a list by page numbers showed; `count` counts its records, `pages` those that had any."""

    def __init__(self) -> None:
        self.count = 0
        self.pages = 0
        self.totals: set[int] = set()
        self._identities: set[Any] = set()
        self._pages: set[int] = set()
        self._has_repeats = False

    def take(self, page: PageLike) -> bool:
        """Add a page that has records; False for one that has come before."""
        found = {key if key is not None else digest for key, digest in zip(page.keys, page.digests, strict=True)}
        fingerprint = hash(frozenset(found))
        if fingerprint in self._pages:
            return False
        self._pages.add(fingerprint)
        self.pages += 1
        self.count += page.seen
        if (total := count(page.total)) is not None:
            self.totals.add(total)
        self._has_repeats |= any(key is not None and key in self._identities for key in page.keys)
        self._identities |= found
        return True

    def confirms(self, earlier: Reading) -> bool:
        """Whether both show the same list, and neither a list that moved under it.

        The same keys twice don't say so alone: what is inserted and deleted in front of the reader pushes a record
        over a page's edge and back, each time the same one. The total changes then, or, where there is none, a record
        comes on two pages.
        """
        is_same = (self._identities, self.totals, self.count) == (earlier._identities, earlier.totals, earlier.count)
        return is_same and not self._has_moved and not earlier._has_moved

    @property
    def _has_moved(self) -> bool:
        return len(self.totals) > 1 or (not self.totals and self._has_repeats)


def count(total: Any) -> int | None:
    """A total as a number: text of digits counts, anything else is no total."""
    if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 19:
        return int(total)
    return total if isinstance(total, int) and not isinstance(total, bool) else None
