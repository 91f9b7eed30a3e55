"""Findings: checks of a snapshot, each an SQL file with the reason and the remedy.

Read `files` (the format), `evaluate`, and `coverage`: a result is "none" only if the scopes of its tables are complete.
`subjects` names the resource of a row, `owners` its owner; `acceptance` decides which rows the user has accepted.
"""

from __future__ import annotations

from crawler.audit.findings.acceptance import Acceptances
from crawler.audit.findings.coverage import Coverage
from crawler.audit.findings.evaluate import (
    BY_DEFAULT,
    MAX_ROWS,
    Evaluation,
    FindingResult,
    evaluate_findings,
    iterate_findings,
)
from crawler.audit.findings.files import SEVERITIES, Finding, load_findings
from crawler.audit.findings.found_rows import FoundRow, FoundRows
from crawler.audit.findings.owners import OWNER_TAGS
from crawler.audit.findings.subjects import FindingValue, Subject

__all__ = [
    "BY_DEFAULT",
    "MAX_ROWS",
    "OWNER_TAGS",
    "SEVERITIES",
    "Acceptances",
    "Coverage",
    "Evaluation",
    "Finding",
    "FindingResult",
    "FindingValue",
    "FoundRow",
    "FoundRows",
    "Subject",
    "evaluate_findings",
    "iterate_findings",
    "load_findings",
]
