"""Findings as events of the Open Cybersecurity Schema Framework (OCSF), for security lakes and SIEMs.

The class is Compliance Finding (2003), https://schema.ocsf.io/1.5.0/classes/compliance_finding, checked 2026-12-01:
unlike Detection Finding it can say that a check passed, and that it has no result because data is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crawler import __version__
from crawler.audit.findings.outcomes import UNCERTAIN, FindingOutcome, FindingsHead, OutcomeRow, details_of
from crawler.audit.findings.subjects import Subject

VERSION = "1.5.0"

_PROGRAM = "acs-inventory"
_SEVERITIES = {"info": (1, "Informational"), "low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High")}
_PASS, _WARNING, _FAIL = (1, "Pass"), (2, "Warning"), (3, "Fail")
_NEW, _SUPPRESSED = (1, "New"), (3, "Suppressed")
_OTHER_TYPE = 99
_FIXED = {
    "activity_id": 1,
    "activity_name": "Create",
    "category_uid": 2,
    "category_name": "Findings",
    "class_uid": 2003,
    "class_name": "Compliance Finding",
    "type_uid": 200301,
    "type_name": "Compliance Finding: Create",
}


def ocsf_events(head: FindingsHead, outcome: FindingOutcome) -> Iterator[dict[str, Any]]:
    """Yield one event per row of a finding.

    A finding without open rows yields one that it passed; one whose data is missing, one that it has no result.
    """
    for row in outcome.rows:
        yield _row_event(head, outcome, row)
    if outcome.state in UNCERTAIN:
        yield _event(head, outcome, _WARNING, detail=". ".join(outcome.result.gaps))
    elif not outcome.open:
        yield _event(head, outcome, _PASS)


def _row_event(head: FindingsHead, outcome: FindingOutcome, row: OutcomeRow) -> dict[str, Any]:
    event = _event(head, outcome, _FAIL, row.row.subject)
    status_id, status = _SUPPRESSED if row.is_accepted else _NEW
    event |= {"status_id": status_id, "status": status, "resources": [_resource(outcome, row)]}
    if row.is_accepted:
        event |= {"comment": row.row.reason, "status_detail": f"accepted until {row.row.until}"}
    if row.is_new is not None:
        event["unmapped"] |= {"new": row.is_new}
    return event


def _event(
    head: FindingsHead,
    outcome: FindingOutcome,
    result: tuple[int, str],
    subject: Subject | None = None,
    detail: str = "",
) -> dict[str, Any]:
    finding, about = outcome.result.finding, subject or Subject("", "", "")
    severity_id, severity = _SEVERITIES[finding.severity]
    compliance = {"standards": [_PROGRAM], "control": finding.name, "status_id": result[0], "status": result[1]}
    event = {
        **_FIXED,
        "time": int(head.started_at.timestamp() * 1000),
        "message": finding.title,
        "severity_id": severity_id,
        "severity": severity,
        "metadata": {
            "version": VERSION,
            "profiles": ["cloud"],
            "event_code": finding.name,
            "product": {"name": _PROGRAM, "vendor_name": _PROGRAM, "version": __version__},
        },
        "cloud": _cloud(head, about),
        "finding_info": {
            "uid": about.row_id(finding.name),
            "title": finding.title,
            "desc": finding.reason,
            "types": [finding.name],
        },
        "compliance": {**compliance, "status_detail": detail} if detail else compliance,
        "unmapped": {"snapshot_id": head.snapshot_id, "manifest_sha256": head.manifest_sha256},
    }
    if finding.remedy:
        event["remediation"] = {"desc": finding.remedy}
    return event


def _cloud(head: FindingsHead, subject: Subject) -> dict[str, Any]:
    cloud: dict[str, Any] = {"provider": "Alibaba Cloud"}
    if subject.account_id:
        account = {"uid": subject.account_id, "name": head.account_names.get(subject.account_id) or subject.account_id}
        cloud["account"] = {**account, "type_id": _OTHER_TYPE, "type": "Alibaba Cloud Account"}
    if subject.region_id:
        cloud["region"] = subject.region_id
    return cloud


def _resource(outcome: FindingOutcome, row: OutcomeRow) -> dict[str, Any]:
    subject = row.row.subject
    resource: dict[str, Any] = {
        "uid": " / ".join(filter(None, (subject.account_id, subject.region_id, subject.resource))),
        "name": subject.resource,
        "data": details_of(outcome.result.columns, row.row),
    }
    if subject.region_id:
        resource["region"] = subject.region_id
    if subject.owner:
        resource["labels"] = [f"owner:{subject.owner}"]
    return resource
