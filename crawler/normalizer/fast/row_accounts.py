"""The accounts of the rows of a batch: each account has its own key for fingerprints, and its own literal secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from operator import attrgetter

import pyarrow as pa

from crawler.normalizer.pending import UndecodedPage
from crawler.normalizer.redaction import Redaction

# The accounts whose literal secrets are searched for at once. With those of 4 accounts, RE2 takes twice as long as with
# none; with those of 200, two thousand times.
_MOST_SEARCHED = 4

_account_id = attrgetter("context.account_id")


@dataclass(frozen=True, slots=True)
class RowAccounts:
    """The accounts of the values of an array: those of `redactions[i]` end before position `ends[i]`.

    `marks` is a case-insensitive regular expression of RE2: texts without a match have nothing that is never kept, and
    no literal secret of their account.
    """

    redactions: Sequence[Redaction]
    ends: Sequence[int]
    marks: str

    @classmethod
    def of(cls, pages: Sequence[UndecodedPage], redaction: Redaction) -> RowAccounts:
        """Return the accounts of the rows of pages. Raises ValueError if too many of them may have literal secrets."""
        runs = [list(run) for _, run in groupby(pages, _account_id)]
        redactions = [redaction.for_account(_account_id(run[0])) for run in runs]
        ends = list(accumulate(sum(page.num_rows for page in run) for run in runs))
        if len(runs) == 1:
            return cls(redactions, ends, redactions[0].marks)
        searched = {own.account_id for own in redactions}
        if len(searched) > _MOST_SEARCHED:
            pairs = zip(redactions, runs, strict=True)
            searched = {own.account_id for own, run in pairs if _may_have_literals(own, run)}
        if len(searched) > _MOST_SEARCHED:
            raise ValueError("the pages of too many accounts may have literal secrets")
        return cls(redactions, ends, redaction.marks_of(sorted(searched)))

    @property
    def first(self) -> Redaction:
        """The redaction of the first value."""
        return self.redactions[0]

    @property
    def is_one(self) -> bool:
        """Whether all values are of one account."""
        return len(self.redactions) == 1

    def runs(self) -> Iterator[tuple[Redaction, slice]]:
        """Yield the values of each account."""
        for own, (start, end) in zip(self.redactions, pairwise([0, *self.ends]), strict=True):
            yield own, slice(start, end)

    def items_of(self, array: pa.Array) -> RowAccounts:
        """Return the accounts of all items of lists or maps."""
        if self.is_one:
            return self
        ends = memoryview(array.buffers()[1]).cast("i")
        return replace(self, ends=[ends[array.offset + end] for end in self.ends])


def _may_have_literals(own: Redaction, pages: Sequence[UndecodedPage]) -> bool:
    return any(own.may_have_own_literals(page.body) for page in pages)
