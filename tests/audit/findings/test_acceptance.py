"""Accepted findings: which rows they match, until when, and the warnings."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from crawler.audit.findings import Acceptances, Evaluation, evaluate_findings, load_findings
from crawler.config.sections import AcceptedFinding
from crawler.snapshot import Status
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, START, write

DAY = START.date()
FINDINGS = {finding.name: finding for finding in load_findings()}
FINDING = "opensearch_without_quota"


def entry(resource="*", until=date(2027, 3, 31), finding=FINDING, account="*"):
    return AcceptedFinding(finding=finding, resource=resource, account=account, reason="known", until=until)


def judged(snapshot, *entries, max_rows=2000):
    acceptances = Acceptances(entries, DAY)
    evaluation = Evaluation(max_rows, acceptances=acceptances)
    [outcome] = evaluate_findings(snapshot, [FINDINGS[FINDING]], CATALOG, evaluation)
    return outcome, acceptances


def warnings(snapshot, *entries):
    outcome, acceptances = judged(snapshot, *entries)
    uncertain = [] if outcome.coverage == "complete" else [FINDING]
    return acceptances.warnings([FINDING], uncertain, list(FINDINGS))


@pytest.fixture
def snapshot(tmp_path):
    names = ["alpha", "beta-1", "beta-2"]
    rows = [{"name": name} for name in names] + [{"name": "alpha", "account_id": OTHER_ACCOUNT}]
    return write(tmp_path, {"opensearch_app_groups": rows})


def test_matching_rows_are_accepted_with_the_reason_and_are_not_open(snapshot):
    outcome, _ = judged(snapshot, entry("beta-*"))
    assert [row.subject.resource for row in outcome.found.open] == ["alpha", "alpha"]
    assert [(row.subject.resource, row.reason, row.until) for row in outcome.found.accepted] == [
        ("beta-1", "known", date(2027, 3, 31)),
        ("beta-2", "known", date(2027, 3, 31)),
    ]
    assert (outcome.total, outcome.found.accepted_total) == (2, 2)


def test_an_entry_may_be_about_one_account(snapshot):
    outcome, _ = judged(snapshot, entry("alpha", account=OTHER_ACCOUNT))
    assert [(row.subject.account_id, row.subject.resource) for row in outcome.found.open] == [
        (ACCOUNT, "alpha"),
        (ACCOUNT, "beta-1"),
        (ACCOUNT, "beta-2"),
    ]


def test_an_entry_may_name_findings_by_a_glob(snapshot):
    assert judged(snapshot, entry(finding="opensearch_*"))[0].total == 0
    assert judged(snapshot, entry(finding="fc_*"))[0].total == 4


def test_accepted_rows_do_not_take_the_place_of_open_ones(snapshot):
    outcome, _ = judged(snapshot, entry("alpha"), max_rows=1)
    assert (outcome.total, [row.subject.resource for row in outcome.found.open]) == (2, ["beta-1"])
    assert (outcome.found.accepted_total, len(outcome.found.accepted)) == (2, 1)


def test_the_last_day_of_an_entry_is_in_it(snapshot):
    assert judged(snapshot, entry(until=DAY))[0].total == 0
    assert judged(snapshot, entry(until=DAY - timedelta(days=1)))[0].total == 4


def test_of_several_entries_the_one_that_lasts_longest_is_shown(snapshot):
    outcome, _ = judged(snapshot, entry("beta-1", DAY), entry("beta-*", DAY + timedelta(days=30)))
    assert {row.until for row in outcome.found.accepted} == {DAY + timedelta(days=30)}


@pytest.mark.parametrize(("resource", "said"), [("beta-*", "2 resources are"), ("beta-1", "1 resource is")])
def test_an_expired_entry_is_warned_of(snapshot, resource, said):
    [sentence] = warnings(snapshot, entry(resource, date(2026, 11, 20)))
    assert sentence == f"accepted_findings[0] ({FINDING}, {resource}) expired on 2026-11-20: {said} open again"


@pytest.mark.parametrize(("days", "is_warned"), [(0, True), (13, True), (14, False)])
def test_an_entry_that_expires_within_two_weeks_is_warned_of(snapshot, days, is_warned):
    found = warnings(snapshot, entry(until=DAY + timedelta(days=days)))
    assert [sentence.partition(" expires on ")[2] for sentence in found] == (
        [f"{DAY + timedelta(days=days)}: 4 resources will be open again"] if is_warned else []
    )


def test_an_entry_that_matches_nothing_is_warned_of(snapshot):
    [sentence] = warnings(snapshot, entry("*"), entry("gamma"))
    assert sentence == (
        f"accepted_findings[1] ({FINDING}, gamma) matches no resource; remove the entry if the problem is solved"
    )


def test_an_entry_of_a_finding_that_is_not_known_is_not_said_to_match_nothing(tmp_path):
    assert warnings(write(tmp_path, {}, {"opensearch_app_groups": Status.DENIED}), entry("gamma")) == []


def test_an_entry_of_a_finding_that_was_not_evaluated_is_not_warned_of(snapshot):
    assert warnings(snapshot, entry("gamma", finding="no_tracing")) == []


def test_an_entry_that_names_no_finding_is_warned_of(snapshot):
    [sentence] = warnings(snapshot, entry(finding="opensearch_without_quotas"))
    assert sentence == (
        "accepted_findings[0] (opensearch_without_quotas, *) names no finding; did you mean opensearch_without_quota?"
    )
