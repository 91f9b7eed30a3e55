"""The resource, the owner and the ID of a finding's rows."""

from __future__ import annotations

import pytest

from crawler.audit.findings import Evaluation, Subject, evaluate_findings, load_findings
from crawler.audit.findings.files import parse_finding
from crawler.errors import ConfigError
from crawler.snapshot import Status
from tests.support.finding_cases import CASES
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_ACCOUNT, REGION, write

FINDINGS = {finding.name: finding for finding in load_findings()}
OPEN = {"auth_type": "anonymous", "disable_url_internet": False}


def ask(snapshot, name, **options):
    [outcome] = evaluate_findings(snapshot, [FINDINGS[name]], CATALOG, Evaluation(**options))
    return outcome


def owners(snapshot, name, **options):
    found = ask(snapshot, name, **options).found.open
    return {row.subject.resource: (row.subject.owner, row.subject.is_owner_known) for row in found}


def service(name, tags=None):
    """A service without logging, and its row of tags."""
    arn = f"acs:fc:{REGION}:{ACCOUNT}:services/{name}"
    return {"service_name": name}, [{"resource_arn": arn, "tags": tags}] * (tags is not None)


def test_a_row_names_its_resource_account_and_region(tmp_path):
    trigger = {"function_name": "f", "trigger_name": "t", "trigger_type": "http", "trigger_config": OPEN}
    [row] = ask(write(tmp_path, {"fc_triggers": [trigger]}), "anonymous_public_urls").found.open
    subject = row.subject
    assert (subject.account_id, subject.region_id, subject.resource) == (ACCOUNT, REGION, "f / t")


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_rows_of_a_finding_have_ids_of_their_own(tmp_path, name):
    finding = FINDINGS[name]
    empty = {table: [] for table in (*finding.tables, *finding.lookups)}
    found = ask(write(tmp_path, empty | CASES[name].rows), name).found.open
    ids = [row.subject.row_id(name) for row in found]
    assert len(set(ids)) == len(ids) > 0
    assert all(row.subject.resource for row in found)


def test_an_id_depends_on_all_of_finding_account_region_and_resource():
    parts = [
        ("f", "1", "r", "x"),
        ("g", "1", "r", "x"),
        ("f", "2", "r", "x"),
        ("f", "1", "s", "x"),
        ("f", "1", "r", "y"),
    ]
    ids = {Subject(account, region, resource).row_id(finding) for finding, account, region, resource in parts}
    assert len(ids) == len(parts)
    # Users compare IDs with those of earlier versions.
    assert Subject("1", "r", "x").row_id("f") == "462da243addee208"


def test_the_owner_of_a_function_is_its_tag_without_regard_to_capitals(tmp_path):
    rows = [
        {"function_name": "team", "tags": [{"key": "Team", "value": "search"}]},
        {"function_name": "both", "tags": [{"key": "team", "value": "search"}, {"key": "OWNER", "value": "li"}]},
        {"function_name": "empty", "tags": [{"key": "owner", "value": " "}]},
        {"function_name": "none"},
    ]
    assert owners(write(tmp_path, {"fc_functions": rows, "fc2_services": []}), "no_log_project") == {
        "team": ("search", True),
        "both": ("li", True),
        "empty": (None, True),
        "none": (None, True),
    }


def test_other_tags_name_the_owner_if_the_user_says_so(tmp_path):
    rows = [{"function_name": "f", "tags": [{"key": "cost-center", "value": "'7\\"}, {"key": "team", "value": "a"}]}]
    snapshot = write(tmp_path, {"fc_functions": rows, "fc2_services": []})
    assert owners(snapshot, "no_log_project", owner_tags=("Cost-Center",)) == {"f": ("'7\\", True)}
    assert owners(snapshot, "no_log_project", owner_tags=("it's", "none")) == {"f": (None, True)}
    assert owners(snapshot, "no_log_project", owner_tags=()) == {"f": (None, True)}


def test_functions_of_2_0_have_the_owner_of_their_service(tmp_path):
    (tagged, tags), (bare, no_tags) = service("tagged", [("Team", "ads")]), service("bare")
    tables = {
        "fc2_services": [tagged, bare],
        "fc2_tagged_resources": [*tags, *no_tags],
        "fc_functions": [{"function_name": "tagged"}],
        "fc2_functions": [{"service_name": "tagged", "function_name": "f", "runtime": "nodejs8"}],
    }
    snapshot = write(tmp_path, tables)
    assert owners(snapshot, "no_log_project") == {
        "tagged/": ("ads", True),
        "bare/": (None, True),
        "tagged": (None, True),
    }
    assert owners(snapshot, "retired_runtimes") == {"tagged/f": ("ads", True)}


def test_without_the_tags_of_services_their_owner_is_not_known(tmp_path):
    tables = {"fc2_services": [service("svc")[0]], "fc_functions": []}
    denied = write(tmp_path / "denied", tables, {"fc2_tagged_resources": Status.DENIED})
    assert owners(denied, "no_log_project") == {"svc/": (None, False)}
    assert owners(write(tmp_path / "missing", tables), "no_log_project") == {"svc/": (None, False)}


def test_the_same_name_in_another_account_has_another_owner(tmp_path):
    rows = [
        {"function_name": "f", "tags": [{"key": "owner", "value": "li"}]},
        {"function_name": "f", "account_id": OTHER_ACCOUNT},
    ]
    found = ask(write(tmp_path, {"fc_functions": rows, "fc2_services": []}), "no_log_project").found.open
    assert [(row.subject.account_id, row.subject.owner) for row in found] == [(ACCOUNT, "li"), (OTHER_ACCOUNT, None)]


def test_a_column_owner_of_a_findings_own_sql_is_the_owner(tmp_path):
    header = "-- severity: low\n-- title: Mine\n-- tables: fc_functions\n-- reason: because\n-- resource: b, a\n"
    sql = "SELECT account_id, region_id, 'x' AS a, 'y' AS b, 'me' AS owner FROM fc_functions"
    finding = parse_finding("mine", f"{header}{sql}", "mine.sql", is_own=True)
    [outcome] = evaluate_findings(write(tmp_path, {"fc_functions": [{"function_name": "f"}]}), [finding], CATALOG)
    [row] = outcome.found.open
    assert (row.subject.resource, row.subject.owner, row.subject.is_owner_known) == ("y / x", "me", True)


@pytest.mark.parametrize("key", ["tables", "lookups"])
@pytest.mark.parametrize(
    ("table", "hint"),
    [("fc_function", "did you mean fc_functions?"), ("zzz_things", "`acs-inventory tables` lists all tables")],
)
def test_an_own_finding_on_a_table_that_does_not_exist_is_refused(tmp_path, key, table, hint):
    tables = {"tables": "fc_functions", "lookups": "fc_triggers", key: table}
    header = "".join(f"-- {name}: {value}\n" for name, value in tables.items())
    text = f"-- severity: low\n-- title: Mine\n{header}-- reason: because\nSELECT 1 AS one"
    finding = parse_finding("mine", text, "mine.sql", is_own=True)
    with pytest.raises(ConfigError) as refused:
        evaluate_findings(write(tmp_path, {"fc_functions": []}), [finding], CATALOG)
    assert str(refused.value) == f"the finding mine names the table {table}, which doesn't exist; {hint}"


def test_an_own_finding_on_a_column_that_does_not_exist_is_refused(tmp_path):
    header = "-- severity: low\n-- title: Mine\n-- tables: fc_functions\n-- reason: because\n"
    finding = parse_finding("mine", f"{header}SELECT runtimes FROM fc_functions", "mine.sql", is_own=True)
    with pytest.raises(ConfigError, match=r'the finding mine doesn.t run on this snapshot: .*"runtimes" not found'):
        evaluate_findings(write(tmp_path, {"fc_functions": []}), [finding], CATALOG)
