"""Findings: checks of a snapshot, each an SQL file with the reason and the remedy.

Read `files` (the format), `evaluate`, and `coverage`: a result is "none" only if the scopes of its tables are complete.
`subjects` names the resource of a row, `owners` its owner; `acceptance` decides which rows the user has accepted.
`outcomes`, `formats` and `ocsf` make data of the results.
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
from crawler.audit.findings.outcomes import (
    UNCERTAIN,
    FindingOutcome,
    FindingsHead,
    OutcomeCounts,
    OutcomeRow,
    choose_findings,
    outcomes_of,
    row_ids,
)
from crawler.audit.findings.owners import OWNER_TAGS, has_owners
from crawler.audit.findings.subjects import FindingValue, Subject, resource_columns

__all__ = [
    "BY_DEFAULT",
    "MAX_ROWS",
    "OWNER_TAGS",
    "SEVERITIES",
    "UNCERTAIN",
    "Acceptances",
    "Coverage",
    "Evaluation",
    "Finding",
    "FindingOutcome",
    "FindingResult",
    "FindingValue",
    "FindingsHead",
    "FoundRow",
    "FoundRows",
    "OutcomeCounts",
    "OutcomeRow",
    "Subject",
    "choose_findings",
    "evaluate_findings",
    "has_owners",
    "iterate_findings",
    "load_findings",
    "outcomes_of",
    "resource_columns",
    "row_ids",
]
