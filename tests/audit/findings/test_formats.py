"""Findings as data: JSON, CSV and OCSF, rows that are new, and the exit code of a check."""

from __future__ import annotations

import csv
import io
import json
from datetime import date

import pytest

from crawler.audit.findings import (
    Acceptances,
    Evaluation,
    FindingsHead,
    OutcomeCounts,
    choose_findings,
    evaluate_findings,
    load_findings,
    outcomes_of,
    row_ids,
)
from crawler.audit.findings.formats import CSV_SCHEMA, write_findings_csv, write_findings_json, write_findings_ocsf
from crawler.audit.report import make_report
from crawler.config.sections import AcceptedFinding
from crawler.errors import ConfigError
from crawler.snapshot import Status
from crawler.snapshot.manifest import AccountEntry
from tests.support.report_page import read_page
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, REGION, SNAPSHOT, START, write

FINDINGS = load_findings()
BEFORE = "20261120T020000Z-00aa"
ACCEPTED = AcceptedFinding(finding="no_tracing", resource="b", reason="a batch job", until=date(2027, 1, 31))
FUNCTIONS = [
    {"function_name": "a", "runtime": "=1+1", "tags": [{"key": "owner", "value": "li"}]},
    {"function_name": "b"},
]


def outcomes(snapshot, *names, earlier=None, accepted=()):
    chosen = [finding for finding in FINDINGS if finding.name in names]
    rules = Evaluation(None, acceptances=Acceptances(accepted, START.date()))
    return list(outcomes_of(evaluate_findings(snapshot, chosen, CATALOG, rules), earlier))


def ids_of(snapshot, *names):
    chosen = [finding for finding in FINDINGS if finding.name in names]
    return row_ids(evaluate_findings(snapshot, chosen, CATALOG, Evaluation(None)))


@pytest.fixture
def snapshot(tmp_path):
    tables = {"fc_functions": FUNCTIONS, "fc2_services": []}
    return write(tmp_path / "snapshots", tables, {"fc_triggers": Status.DENIED})


@pytest.fixture
def found(snapshot):
    return outcomes(snapshot, "no_tracing", "anonymous_public_urls", "shared_roles", accepted=[ACCEPTED])


def test_json_has_the_snapshot_and_each_finding_with_its_state_and_rows(snapshot, found):
    parts = []
    write_findings_json(FindingsHead.of(snapshot, None), found, parts.append, lambda: ["a warning"])
    document = json.loads("".join(parts))
    assert (document["snapshot_id"], document["started_at"]) == (SNAPSHOT, "2026-11-21T02:00:00Z")
    assert (document["manifest_sha256"], document["against"]) == (snapshot.manifest_sha256, None)
    assert document["verified"] is True
    assert document["warnings"] == ["a warning"]
    states = {one["finding"]: (one["state"], one["open"], one["accepted"]) for one in document["findings"]}
    assert states == {
        "anonymous_public_urls": ("unknown", 0, 0),
        "no_tracing": ("found", 1, 1),
        "shared_roles": ("partly unknown", 0, 0),
    }
    [tracing] = [one for one in document["findings"] if one["finding"] == "no_tracing"]
    first, second = tracing["rows"]
    assert {key: first[key] for key in ("account_id", "region_id", "resource", "owner", "owner_known", "new")} == {
        "account_id": ACCOUNT,
        "region_id": REGION,
        "resource": "a",
        "owner": "li",
        "owner_known": True,
        "new": None,
    }
    assert first["details"] == {"function_or_service": "a", "runtime": "=1+1"}
    assert (first["accepted"], second["accepted"]) == (None, {"reason": "a batch job", "until": "2027-01-31"})


def test_accounts_have_their_names(tmp_path):
    named = [AccountEntry(id=ACCOUNT, name="prod", source="configured")]
    snapshot = write(tmp_path, {"fc_functions": FUNCTIONS, "fc2_services": []}, accounts=named)
    found, head, parts = outcomes(snapshot, "no_tracing"), FindingsHead.of(snapshot, None), []
    write_findings_json(head, found, parts.append, list)
    assert json.loads("".join(parts))["findings"][0]["rows"][0]["account_name"] == "prod"
    parts.clear()
    write_findings_csv(head, found, parts.append, is_raw=False)
    assert {row["account_name"] for row in csv.DictReader(io.StringIO("".join(parts)))} == {"prod"}
    parts.clear()
    write_findings_ocsf(head, found, parts.append)
    assert {event["cloud"]["account"]["name"] for event in json.loads("".join(parts))} == {"prod"}
    page = read_page(make_report(snapshot, CATALOG).html)
    assert {row[0] for row in page.data["no_tracing"]["rows"]} == {f"prod ({ACCOUNT})"}


def test_csv_has_a_line_for_what_is_not_known_and_no_cell_that_a_spreadsheet_runs(snapshot, found):
    parts = []
    result = write_findings_csv(FindingsHead.of(snapshot, None), found, parts.append, is_raw=False)
    rows = list(csv.DictReader(io.StringIO("".join(parts))))
    assert [(row["status"], row["finding"], row["resource"]) for row in rows] == [
        ("unknown", "anonymous_public_urls", ""),
        ("partly unknown", "shared_roles", ""),
        ("open", "no_tracing", "a"),
        ("accepted", "no_tracing", "b"),
    ]
    assert list(rows[0]) == CSV_SCHEMA.names
    assert "1 of 1 scopes of fc_triggers aren't complete" in rows[0]["gaps"]
    assert rows[3]["accepted_reason"] == "a batch job"
    assert json.loads(rows[2]["details"]) == {"function_or_service": "a", "runtime": "=1+1"}
    assert result.rows == 4


def test_an_owner_that_looks_like_a_formula_is_escaped(tmp_path):
    rows = [{"function_name": "a", "tags": [{"key": "owner", "value": "=cmd()"}]}]
    snapshot, parts = write(tmp_path, {"fc_functions": rows, "fc2_services": []}), []
    found = outcomes(snapshot, "no_tracing")
    assert write_findings_csv(FindingsHead.of(snapshot, None), found, parts.append, is_raw=False).guarded_cells == 1
    assert ",'=cmd()," in "".join(parts)


def test_ocsf_events_have_what_the_schema_requires(snapshot, found):
    """The required attributes of the class Compliance Finding and of its objects, in OCSF 1.5.0."""
    parts = []
    write_findings_ocsf(FindingsHead.of(snapshot, None), found, parts.append)
    events = json.loads("".join(parts))
    assert [(event["compliance"]["status"], event.get("status")) for event in events] == [
        ("Warning", None),
        ("Warning", None),
        ("Fail", "New"),
        ("Fail", "Suppressed"),
    ]
    for event in events:
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert (event["class_uid"], event["category_uid"]) == (2003, 2)
        assert event["time"] == int(START.timestamp() * 1000)
        assert event["severity_id"] in {1, 2, 3, 4}
        assert {"version", "product"} <= event["metadata"].keys()
        assert {"title", "uid"} <= event["finding_info"].keys()
        assert event["compliance"]["standards"]
        assert event["cloud"]["provider"]
    assert events[2]["resources"][0]["labels"] == ["owner:li"]
    assert (events[3]["comment"], events[3]["status_detail"]) == ("a batch job", "accepted until 2027-01-31")
    assert len({event["finding_info"]["uid"] for event in events}) == len(events)


def test_a_finding_without_rows_passed(tmp_path):
    snapshot, parts = write(tmp_path, {"fc_triggers": [], "fc2_triggers": []}), []
    write_findings_ocsf(FindingsHead.of(snapshot, None), outcomes(snapshot, "anonymous_public_urls"), parts.append)
    [event] = json.loads("".join(parts))
    assert (event["compliance"]["status"], "status" in event) == ("Pass", False)


def test_only_rows_that_the_other_snapshot_does_not_have_are_new(tmp_path):
    tables = {"fc2_services": [], "fc_functions": FUNCTIONS[:1]}
    old = write(tmp_path, tables, snapshot_id=BEFORE)
    new = write(tmp_path, tables | {"fc_functions": FUNCTIONS})
    [outcome] = outcomes(new, "no_tracing", earlier=ids_of(old, "no_tracing"))
    assert [(row.row.subject.resource, row.is_new) for row in outcome.rows] == [("b", True)]


def test_what_the_other_snapshot_can_not_tell_is_listed_and_not_said_to_be_new(tmp_path):
    old = write(tmp_path, {"fc_functions": FUNCTIONS[:1]}, {"fc2_services": Status.DENIED}, snapshot_id=BEFORE)
    new = write(tmp_path, {"fc_functions": FUNCTIONS, "fc2_services": []})
    [outcome] = outcomes(new, "no_tracing", earlier=ids_of(old, "no_tracing"))
    assert [(row.row.subject.resource, row.is_new) for row in outcome.rows] == [("b", None)]


@pytest.mark.parametrize(
    ("names", "accepted", "statuses", "names_findings", "code"),
    [
        (["no_tracing"], [], {}, False, 1),
        (["no_tracing"], ["*"], {}, False, 0),
        (["shared_roles"], [], {}, False, 0),  # fc2_functions wasn't crawled: the user didn't ask for it
        (["shared_roles"], [], {}, True, 3),
        (["anonymous_public_urls"], [], {"fc_triggers": Status.DENIED}, False, 3),
        (["anonymous_public_urls", "no_tracing"], [], {"fc_triggers": Status.DENIED}, False, 1),
        (["administrator_roles"], [], {}, False, 0),
        (["administrator_roles"], [], {}, True, 3),
    ],
)
def test_a_check_fails_for_an_open_row_and_can_not_pass_where_data_is_missing(
    tmp_path, names, accepted, statuses, names_findings, code
):
    snapshot = write(tmp_path, {"fc_functions": FUNCTIONS, "fc2_services": []}, statuses)
    entries = [AcceptedFinding(finding="*", resource=text, reason="x", until=START.date()) for text in accepted]
    counts = OutcomeCounts()
    for outcome in outcomes(snapshot, *names, accepted=entries):
        counts.add(outcome)
    assert counts.exit_code(names_findings=names_findings) == code


@pytest.mark.parametrize(
    ("until", "names_findings", "code"), [("", False, 3), ("2027-01-01", False, 0), ("2027-01-01", True, 3)]
)
def test_a_gap_that_is_accepted_does_not_stop_a_check_and_is_unknown_nevertheless(
    tmp_path, until, names_findings, code
):
    denied = {("fc_triggers", ACCOUNT): Status.DENIED}
    places = {"fc_triggers": [(OTHER_ACCOUNT, REGION)]}
    tables = {"fc_triggers": [], "fc2_triggers": []}
    snapshot = write(tmp_path, tables, denied, places=places, accepted_until=until)
    counts = OutcomeCounts()
    [outcome] = outcomes(snapshot, "anonymous_public_urls")
    counts.add(outcome)
    assert outcome.state == "partly unknown"
    assert counts.exit_code(names_findings=names_findings) == code


def test_findings_are_chosen_by_severity_and_name():
    assert {finding.severity for finding in choose_findings(FINDINGS, "medium", ())} == {"high", "medium"}
    assert choose_findings(FINDINGS, "info", ()) == FINDINGS
    assert [finding.name for finding in choose_findings(FINDINGS, "low", ("no_*",))] == ["no_log_project"]
    with pytest.raises(ConfigError, match="--finding no_traces names no finding; did you mean no_tracing"):
        choose_findings(FINDINGS, "low", ("no_traces",))
