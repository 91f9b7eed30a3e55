"""Findings: checks of a snapshot, each an SQL file with the reason and the remedy.

Read `files` (the format), `evaluate`, and `coverage`: a result is "none" only if the scopes of its tables are complete.
"""

from __future__ import annotations

from crawler.audit.findings.coverage import Coverage
from crawler.audit.findings.evaluate import MAX_ROWS, FindingResult, FindingValue, evaluate_findings
from crawler.audit.findings.files import SEVERITIES, Finding, load_findings

__all__ = [
    "MAX_ROWS",
    "SEVERITIES",
    "Coverage",
    "Finding",
    "FindingResult",
    "FindingValue",
    "evaluate_findings",
    "load_findings",
]
