"""What an auditor asks of a snapshot first: one SQL file each, with what it means and what to do.

Read `files` for what a file says, and `evaluate` for what becomes of it: an answer is only as good as the scopes that
it came from, so a finding says what it doesn't know before it says that there is nothing.
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
