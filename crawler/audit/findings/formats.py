"""Write the outcomes of findings as JSON, CSV or OCSF events, finding by finding."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from crawler.audit.export.files import WriteResult, WriteText, write_csv
from crawler.audit.findings.ocsf import ocsf_events
from crawler.audit.findings.outcomes import UNCERTAIN, FindingOutcome, FindingsHead, outcome_document, row_document
from crawler.audit.query import BATCH_ROWS, Rows

_TEXT = pa.string()
CSV_SCHEMA = pa.schema(
    [
        ("id", _TEXT),
        ("status", _TEXT),
        ("severity", _TEXT),
        ("finding", _TEXT),
        ("title", _TEXT),
        ("account_id", _TEXT),
        ("account_name", _TEXT),
        ("region_id", _TEXT),
        ("resource", _TEXT),
        ("owner", _TEXT),
        ("owner_known", pa.bool_()),
        ("new", pa.bool_()),
        ("accepted_reason", _TEXT),
        ("accepted_until", _TEXT),
        ("details", _TEXT),
        ("reason", _TEXT),
        ("remedy", _TEXT),
        ("gaps", _TEXT),
    ]
)


def write_findings_json(
    head: FindingsHead, outcomes: Iterable[FindingOutcome], emit: WriteText, warnings: Callable[[], list[str]]
) -> None:
    """Write one object: the snapshot, each finding with its rows, and the warnings, which are asked for last."""
    first = _json(head.document())
    emit(f'{first[:-1]}, "findings": [')
    between = "\n"
    for outcome in outcomes:
        emit(between + _json(outcome_document(head, outcome)))
        between = ",\n"
    emit(f'\n], "warnings": {_json(warnings())}}}\n')


def write_findings_ocsf(head: FindingsHead, outcomes: Iterable[FindingOutcome], emit: WriteText) -> None:
    """Write an array of OCSF events, one per line."""
    between = "[\n"
    for outcome in outcomes:
        for event in ocsf_events(head, outcome):
            emit(between + _json(event))
            between = ",\n"
    emit("\n]\n" if between == ",\n" else "[]\n")


def write_findings_csv(
    head: FindingsHead, outcomes: Iterable[FindingOutcome], emit: WriteText, *, is_raw: bool
) -> WriteResult:
    """Write a row per row of a finding, and one per finding whose data is missing: `unknown` or `partly unknown`."""
    return write_csv(Rows(CSV_SCHEMA, _batches(head, outcomes)), emit, is_raw=is_raw)


def _batches(head: FindingsHead, outcomes: Iterable[FindingOutcome]) -> Iterator[pa.RecordBatch]:
    for outcome in outcomes:
        rows = _rows(head, outcome)
        while some := list(islice(rows, BATCH_ROWS)):
            yield pa.RecordBatch.from_pylist(some, CSV_SCHEMA)


def _rows(head: FindingsHead, outcome: FindingOutcome) -> Iterator[dict[str, Any]]:
    finding = outcome.result.finding
    common = {
        "severity": finding.severity,
        "finding": finding.name,
        "title": finding.title,
        "reason": finding.reason,
        "remedy": finding.remedy or None,
    }
    for row in outcome.rows:
        document = row_document(head, outcome, row)
        document |= {**common, "status": "open", "details": _json(document["details"])}
        if row.is_accepted:
            accepted = {"accepted_reason": row.row.reason, "accepted_until": str(row.row.until)}
            document |= {"status": "accepted", **accepted}
        yield document
    if outcome.state in UNCERTAIN:
        yield {**common, "status": outcome.state, "gaps": "; ".join(outcome.result.gaps)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
