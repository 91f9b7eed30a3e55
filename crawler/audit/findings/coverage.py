"""Determine how far a snapshot covers the tables of a finding: completely, in part, or not at all."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from crawler.snapshot import TableFigures
from crawler.snapshot.ledger_file import NOT_WHOLE
from crawler.snapshot.status import is_known, is_whole

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.findings.files import Finding
    from crawler.snapshot import Manifest


class Coverage(enum.StrEnum):
    """How far a result can be trusted: all data is there, some is missing, or there is no result."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """Scope counts of one table: all, those not complete, and those with rows or certainly without any."""

    table: str
    scopes: int = 0
    open_scopes: int = 0
    known_scopes: int = 0

    @property
    def gap(self) -> str:
        """The missing part, as a clause; empty if the table is complete."""
        if not self.scopes:
            return f"{self.table} wasn't crawled"
        if self.open_scopes:
            return f"{self.open_scopes:,} of {self.scopes:,} scopes of {self.table} aren't complete"
        return ""


def table_coverage(snapshot: OpenSnapshot, table: str) -> TableCoverage:
    """Return the coverage of a table. A table that was only read for its child lists counts as not crawled."""
    figures = snapshot.ledger.by_table.get(table, TableFigures())
    return TableCoverage(
        table,
        scopes=figures.written.total(),
        open_scopes=sum(number for status, number in figures.written.items() if not is_whole(status)),
        known_scopes=sum(number for status, number in figures.written.items() if is_known(status)),
    )


@dataclass(frozen=True, slots=True)
class Assessment:
    """The coverage of a finding, and the missing parts.

    `has_unread`: the crawl asked for some of the missing data and didn't get it, and no rule of `[[accepted]]` covers
    that. Otherwise only data is missing that the user knows to be missing.
    """

    coverage: Coverage
    gaps: tuple[str, ...] = ()
    has_unread: bool = False


def accepted_scopes(snapshot: OpenSnapshot) -> Counter[str]:
    """Return the number of scopes of each table that aren't whole and that a rule of `[[accepted]]` covers."""
    if not snapshot.ledger.accepted:
        return Counter()
    return Counter(row.table for row in snapshot.ledger.rows(("accepted_until",), NOT_WHOLE) if row.accepted_until)


def assess_coverage(
    snapshot: OpenSnapshot, finding: Finding, accepted: Mapping[str, int] = MappingProxyType({})
) -> Assessment:
    """Return how far the snapshot can answer a finding. `accepted` is the result of `accepted_scopes`."""
    tables = [table_coverage(snapshot, table) for table in finding.tables]
    lookups = [table_coverage(snapshot, table) for table in finding.lookups]
    gaps = [coverage.gap for coverage in (*tables, *lookups) if coverage.gap]
    has_unread = any(found.open_scopes > accepted.get(found.table, 0) for found in (*tables, *lookups))
    if finding.secrets and snapshot.manifest.secrets != finding.secrets:
        gap = f"secrets are {snapshot.manifest.secrets} in this snapshot, not {finding.secrets}s"
        return Assessment(Coverage.UNKNOWN, (gap,))
    if not _is_known(tables) or not all(coverage.known_scopes for coverage in lookups):
        return Assessment(Coverage.UNKNOWN, tuple(gaps), has_unread)
    if gap := directory_gap(snapshot.manifest):
        gaps.append(gap)
        has_unread = True
    return Assessment(Coverage.PARTIAL if gaps else Coverage.COMPLETE, tuple(gaps), has_unread)


def fingerprint_note(manifest: Manifest, finding: Finding) -> str:
    """Return within which accounts a finding compares secrets, as a sentence; empty for all accounts, and others."""
    if not finding.secrets or manifest.fingerprint_scope != "account":
        return ""
    return (
        "In this snapshot a fingerprint has its account in it (fingerprint_scope), so that secrets are compared within "
        "each account, and a secret that two accounts share is not found."
    )


def directory_gap(manifest: Manifest) -> str:
    """Return why accounts may be missing in the snapshot; empty if none can be."""
    directory = manifest.directory
    if directory is None or is_whole(directory.status):
        return ""
    return f"the list of the organization's members is {directory.status}, so accounts may be missing"


def _is_known(tables: Iterable[TableCoverage]) -> bool:
    return any(coverage.known_scopes for coverage in tables)
