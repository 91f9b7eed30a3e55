"""What a snapshot knows of the tables that a question is about: all of it, some, or nothing."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crawler.snapshot.status import is_known, is_whole

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.audit.findings.files import Finding
    from crawler.snapshot import Manifest


class Coverage(enum.StrEnum):
    """How far an answer can be trusted: nothing is missing, something is, or there is no answer."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TableCoverage:
    """One table: its scopes, those that aren't whole, and those that have rows or have none for sure."""

    table: str
    scopes: int = 0
    open_scopes: int = 0
    known_scopes: int = 0

    @property
    def gap(self) -> str:
        """What is missing, as part of a sentence; empty where nothing is."""
        if not self.scopes:
            return f"{self.table} wasn't crawled"
        if self.open_scopes:
            return f"{self.open_scopes:,} of {self.scopes:,} scopes of {self.table} aren't complete"
        return ""


def coverage_of(snapshot: OpenSnapshot, table: str) -> TableCoverage:
    """What the snapshot knows of a table. One that was only walked for its children counts as not crawled."""
    rows = [row for row in snapshot.ledger if row.table == table and row.written]
    return TableCoverage(
        table,
        scopes=len(rows),
        open_scopes=sum(not is_whole(row.status) for row in rows),
        known_scopes=sum(is_known(row.status) for row in rows),
    )


def assess_coverage(snapshot: OpenSnapshot, finding: Finding) -> tuple[Coverage, tuple[str, ...]]:
    """How far the snapshot can answer, and what is missing for it."""
    tables = [coverage_of(snapshot, table) for table in finding.tables]
    lookups = [coverage_of(snapshot, table) for table in finding.lookups]
    gaps = [coverage.gap for coverage in (*tables, *lookups) if coverage.gap]
    if finding.secrets and snapshot.manifest.secrets != finding.secrets:
        return Coverage.UNKNOWN, (f"secrets are {snapshot.manifest.secrets} in this snapshot, not {finding.secrets}s",)
    if not _is_known(tables) or not all(coverage.known_scopes for coverage in lookups):
        return Coverage.UNKNOWN, tuple(gaps)
    if gap := directory_gap(snapshot.manifest):
        gaps.append(gap)
    return (Coverage.PARTIAL if gaps else Coverage.COMPLETE), tuple(gaps)


def directory_gap(manifest: Manifest) -> str:
    """Why there may be accounts that the snapshot knows nothing of; empty where there can't be any."""
    directory = manifest.directory
    if directory is None or is_whole(directory.status):
        return ""
    return f"the list of the organization's members is {directory.status}, so accounts may be missing"


def _is_known(tables: Iterable[TableCoverage]) -> bool:
    return any(coverage.known_scopes for coverage in tables)
