"""Results of findings as data: which rows are new since another snapshot, and whether a check of them fails."""

from __future__ import annotations

import datetime as dt
import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from crawler.audit.findings.coverage import Coverage
from crawler.audit.findings.evaluate import FindingResult
from crawler.audit.findings.files import SEVERITIES, Finding, Severity
from crawler.audit.findings.found_rows import FoundRow
from crawler.errors import ConfigError

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot

UNCERTAIN = ("unknown", "partly unknown")

_LARGEST_JSON = 2**53 - 1


@dataclass(frozen=True, slots=True)
class FindingsHead:
    """The snapshot that findings are about, and the other one, from which their rows are new; empty for none.

    `account_names` are the names of accounts by their ID. `is_verified`: each file is hashed before it is read.
    """

    snapshot_id: str
    status: str
    started_at: dt.datetime
    manifest_sha256: str
    against: str = ""
    account_names: Mapping[str, str] = field(default_factory=dict)
    is_verified: bool = True

    @classmethod
    def of(cls, snapshot: OpenSnapshot, against: OpenSnapshot | None) -> FindingsHead:
        """Return the head of findings of an open snapshot."""
        manifest, other = snapshot.manifest, "" if against is None else against.manifest.snapshot_id
        return cls(
            manifest.snapshot_id,
            manifest.status,
            manifest.started_at,
            snapshot.manifest_sha256,
            other,
            manifest.account_names,
            snapshot.is_hashed,
        )

    def document(self) -> dict[str, Any]:
        """Return the head as plain values for JSON."""
        return {
            "snapshot_id": self.snapshot_id,
            "status": self.status,
            "started_at": f"{self.started_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "manifest_sha256": self.manifest_sha256,
            "verified": self.is_verified,
            "against": self.against or None,
        }


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """A row of a finding. `is_new` is None without another snapshot, and if the other one can't tell."""

    row: FoundRow
    is_new: bool | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether an entry of `[[accepted_findings]]` accepts the row."""
        return self.row.until is not None


@dataclass(frozen=True, slots=True)
class FindingOutcome:
    """The result of a finding, with its open and accepted rows; with another snapshot, those that aren't in it."""

    result: FindingResult
    rows: tuple[OutcomeRow, ...]

    @property
    def state(self) -> str:
        """The result in words. `none` only if no data is missing."""
        match self.result.coverage:
            case Coverage.UNKNOWN:
                return "unknown"
            case Coverage.PARTIAL:
                return "partly unknown"
            case _:
                return "found" if self.open else "none"

    @property
    def open(self) -> int:
        """The number of open rows."""
        return sum(not row.is_accepted for row in self.rows)

    @property
    def accepted(self) -> int:
        """The number of accepted rows."""
        return len(self.rows) - self.open


@dataclass(slots=True)
class OutcomeCounts:
    """The open rows by severity, and the findings whose result isn't completely known."""

    open: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    findings: int = 0
    uncertain: list[str] = field(default_factory=list)
    has_unread: bool = False
    evaluated: list[str] = field(default_factory=list)

    def add(self, outcome: FindingOutcome) -> None:
        """Count an outcome."""
        finding = outcome.result.finding
        self.evaluated.append(finding.name)
        self.open[finding.severity] += outcome.open
        self.accepted += outcome.accepted
        self.findings += bool(outcome.open)
        if outcome.state in UNCERTAIN:
            self.uncertain.append(finding.name)
            self.has_unread = self.has_unread or outcome.result.has_unread

    def exit_code(self, *, names_findings: bool) -> int:
        """Return 1 with an open row, 3 if there may be one, else 0.

        A finding on tables that the crawl wasn't to read is uncertain only if the user named it (`names_findings`).
        """
        if self.open.total():
            return 1
        return 3 if self.has_unread or (names_findings and self.uncertain) else 0


def choose_findings(findings: Sequence[Finding], least: Severity, patterns: Sequence[str]) -> list[Finding]:
    """Return the findings of this severity or a higher one whose names match a pattern; without patterns, any name.

    Raises ConfigError for a pattern that matches no name.
    """
    names = [finding.name for finding in findings]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, 1)
            hint = f"did you mean {near[0]}?" if near else "`acs-inventory findings --json` has all names"
            raise ConfigError(f"--finding {pattern} names no finding; {hint}")
    severities = SEVERITIES[: SEVERITIES.index(least) + 1]
    return [
        finding
        for finding in findings
        if finding.severity in severities
        and (not patterns or any(fnmatchcase(finding.name, pattern) for pattern in patterns))
    ]


def row_ids(results: Iterable[FindingResult]) -> dict[str, tuple[frozenset[str], bool]]:
    """Return the IDs of each finding's rows, and whether they are all: finding → (IDs, is complete)."""
    return {
        result.finding.name: (
            frozenset(row.subject.row_id(result.finding.name) for row in (*result.found.open, *result.found.accepted)),
            result.coverage is Coverage.COMPLETE,
        )
        for result in results
    }


def outcomes_of(
    results: Iterable[FindingResult], earlier: Mapping[str, tuple[frozenset[str], bool]] | None = None
) -> Iterator[FindingOutcome]:
    """Yield the outcome of each result. With `earlier`, of `row_ids`, rows that were there are left out."""
    for result in results:
        found = (*result.found.open, *result.found.accepted)
        if earlier is None:
            yield FindingOutcome(result, tuple(map(OutcomeRow, found)))
            continue
        ids, is_complete = earlier.get(result.finding.name, (frozenset(), False))
        added = (row for row in found if row.subject.row_id(result.finding.name) not in ids)
        yield FindingOutcome(result, tuple(OutcomeRow(row, True if is_complete else None) for row in added))


def outcome_document(head: FindingsHead, outcome: FindingOutcome) -> dict[str, Any]:
    """Return an outcome as plain values for JSON."""
    result, finding = outcome.result, outcome.result.finding
    return {
        "finding": finding.name,
        "severity": finding.severity,
        "title": finding.title,
        "reason": finding.reason,
        "remedy": finding.remedy,
        "tables": [*finding.tables, *finding.lookups],
        "state": outcome.state,
        "gaps": list(result.gaps),
        "note": result.note,
        "open": outcome.open,
        "accepted": outcome.accepted,
        "rows": [row_document(head, outcome, row) for row in outcome.rows],
    }


def row_document(head: FindingsHead, outcome: FindingOutcome, row: OutcomeRow) -> dict[str, Any]:
    """Return a row as plain values for JSON. `details` has the values of the finding's own columns."""
    found, subject = row.row, row.row.subject
    accepted = {"reason": found.reason, "until": str(found.until)} if row.is_accepted else None
    return {
        "id": subject.row_id(outcome.result.finding.name),
        "account_id": subject.account_id,
        "account_name": head.account_names.get(subject.account_id, ""),
        "region_id": subject.region_id,
        "resource": subject.resource,
        "owner": subject.owner,
        "owner_known": subject.is_owner_known,
        "new": row.is_new,
        "accepted": accepted,
        "details": details_of(outcome.result.columns, found),
    }


def details_of(columns: Sequence[str], row: FoundRow) -> dict[str, Any]:
    """Return the values of a finding's own columns by name. Numbers that JSON readers would round are text."""
    return {
        name: _plain(value)
        for name, value in zip(columns, row.cells, strict=True)
        if name not in ("account_id", "region_id")
    }


def _plain(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_JSON:
        return str(value)
    if isinstance(value, float) and value - value != 0:
        return None
    return value
