"""One finding of `doctor`, and the findings that stand on one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

# Accounts that the line of a problem names.
_MOST_ACCOUNTS = 3


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check: its subject, its observation and, if there is a problem, the remedy.

    The check of a list has its `table` and the label of its `account`.
    """

    subject: str
    seen: str
    remedy: str = ""
    table: str = ""
    account: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is no problem."""
        return not self.remedy

    def value(self) -> dict[str, str | bool]:
        """Return the check as JSON values."""
        return {"subject": self.subject, "is_well": self.is_well, "seen": self.seen, "remedy": self.remedy}


def fold_lists(checks: Sequence[DoctorCheck]) -> list[DoctorCheck]:
    """Return the checks with one line for all lists of which the same was seen, in the place of the first of them.

    There is a check per table and account, so an estate of 200 accounts would have thousands of lines. A problem is
    folded over accounts only, and names the first of them.
    """
    same: dict[tuple[str, str, str], list[DoctorCheck]] = {}
    for check in checks:
        if check.table:
            same.setdefault(_kind(check), []).append(check)
    folded: list[DoctorCheck] = []
    for check in checks:
        alike = same[_kind(check)] if check.table else [check]
        if len(alike) == 1:
            folded.append(check)
        elif check is alike[0]:
            folded.append(replace(check, subject=_lists_text(alike)))
    return folded


def _kind(check: DoctorCheck) -> tuple[str, str, str]:
    return check.seen, check.remedy, "" if check.is_well else check.table


def _lists_text(checks: Sequence[DoctorCheck]) -> str:
    tables = sorted({check.table for check in checks})
    accounts = sorted({check.account for check in checks})
    lists = tables[0] if len(tables) == 1 else f"{len(tables)} lists"
    if len(accounts) == 1:
        return f"{lists} in {accounts[0]}"
    if checks[0].is_well:
        return f"{lists} in {len(accounts)} accounts"
    more = len(accounts) - _MOST_ACCOUNTS
    return f"{lists} in {', '.join(accounts[:_MOST_ACCOUNTS])}{f' and {more:,} more accounts' if more > 0 else ''}"
