"""Accepted findings: rows that the user has accepted, with a reason and until a day. They aren't counted as open."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawler.audit.findings.subjects import Subject
    from crawler.config.sections import AcceptedFinding

WARN_DAYS = 14


@dataclass(slots=True)
class Acceptances:
    """The entries of `[[accepted_findings]]` on one day, the UTC date on which the snapshot was started.

    `judge` counts the rows that each entry matches, for `warnings`.
    """

    entries: Sequence[AcceptedFinding]
    day: dt.date
    _patterns: list[tuple[re.Pattern[str], ...]] = field(init=False)
    _matched: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._patterns = [_patterns(entry) for entry in self.entries]
        self._matched = [0] * len(self.entries)

    def concerns(self, finding: str) -> bool:
        """Return whether an entry names this finding."""
        return any(name.fullmatch(finding) for name, _, _ in self._patterns)

    def judge(self, finding: str, subject: Subject) -> AcceptedFinding | None:
        """Return the entry that accepts a row on this day, the one that lasts longest; None if the row is open."""
        accepting: list[AcceptedFinding] = []
        for at, (name, resource, account) in enumerate(self._patterns):
            if (
                name.fullmatch(finding)
                and resource.fullmatch(subject.resource)
                and account.fullmatch(subject.account_id)
            ):
                self._matched[at] += 1
                if self.entries[at].until >= self.day:
                    accepting.append(self.entries[at])
        return max(accepting, key=lambda entry: entry.until, default=None)

    def warnings(self, judged: Collection[str], uncertain: Collection[str], known: Sequence[str]) -> list[str]:
        """Return a sentence for each entry that has expired, that expires soon, or that matches nothing.

        `judged` are the findings that were evaluated, `uncertain` those of them without all their data, `known` all.
        """
        found = []
        for at, entry in enumerate(self.entries):
            pattern = self._patterns[at][0]
            names = {name for name in known if pattern.fullmatch(name)}
            where, matched = f"accepted_findings[{at}] ({entry.finding}, {entry.resource})", self._matched[at]
            if not names:
                near = difflib.get_close_matches(entry.finding, known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                found.append(f"{where} names no finding{hint}")
            elif matched and entry.until < self.day:
                found.append(f"{where} expired on {entry.until}: {_count(matched, 'is', 'are')} open again")
            elif matched and (entry.until - self.day).days < WARN_DAYS:
                found.append(f"{where} expires on {entry.until}: {_count(matched, 'will be', 'will be')} open again")
            elif not matched and names <= set(judged) and not names & set(uncertain):
                found.append(f"{where} matches no resource; remove the entry if the problem is solved")
        return found


def _patterns(entry: AcceptedFinding) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(translate(text)) for text in (entry.finding, entry.resource, entry.account))


def _count(number: int, one: str, many: str) -> str:
    return f"1 resource {one}" if number == 1 else f"{number:,} resources {many}"
