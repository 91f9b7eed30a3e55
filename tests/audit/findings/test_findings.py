"""Findings: the hits and misses of each one, its report where data is unknown, and the user's own files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.audit.findings import SEVERITIES, Coverage, Evaluation, Finding, evaluate, evaluate_findings, load_findings
from crawler.audit.findings.coverage import Assessment
from crawler.audit.findings.files import parse_finding
from crawler.config import parse_config
from crawler.errors import ConfigError
from crawler.snapshot import DirectoryEntry, Status
from tests.support.finding_cases import CASES
from tests.support.ledger_rows import stored
from tests.support.odd_files import ends_within, put
from tests.support.written_snapshots import ACCOUNT, CATALOG, OTHER_REGION, REGION, write

FINDINGS = {finding.name: finding for finding in load_findings()}
TABLES = sorted({table for finding in FINDINGS.values() for table in (*finding.tables, *finding.lookups)})
DOCUMENT = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
WHOLE = Assessment(Coverage.COMPLETE)
HEADER = "-- severity: low\n-- title: Mine\n-- tables: fc_functions\n-- reason: because\n"


def ask(snapshot, name, **options):
    [outcome] = evaluate_findings(snapshot, [FINDINGS[name]], CATALOG, Evaluation(**options))
    return outcome


def texts(outcome):
    return {str(cell) for row in outcome.rows for cell in row}


def mine(sql, **changes):
    fields = {"severity": "low", "title": "Mine", "reason": "because", "tables": ("fc_functions",), "is_own": True}
    return Finding(name="mine", sql=sql, **(fields | changes))


def test_every_finding_has_a_case():
    assert set(CASES) == set(FINDINGS)
    assert len(FINDINGS) >= 15


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_finding_finds_what_it_is_about_and_passes_over_the_rest(tmp_path, name):
    case, finding = CASES[name], FINDINGS[name]
    empty = {table: [] for table in (*finding.tables, *finding.lookups)}
    assert set(case.rows) <= set(empty), "a case has a table that the finding doesn't ask for"
    outcome = ask(write(tmp_path, empty | case.rows), name)
    assert outcome.coverage is Coverage.COMPLETE, outcome.gaps
    assert set(case.found) <= texts(outcome)
    assert not set(case.passed) & texts(outcome)
    assert outcome.total == len(outcome.rows) > 0


def test_where_all_is_known_and_nothing_is_there_every_finding_says_so(tmp_path):
    outcomes = evaluate_findings(write(tmp_path, {table: [] for table in TABLES}), load_findings(), CATALOG)
    assert {(outcome.coverage, outcome.gaps, outcome.total) for outcome in outcomes} == {(Coverage.COMPLETE, (), 0)}


@pytest.mark.parametrize("table", TABLES)
def test_no_finding_says_none_where_one_of_its_tables_is_not_known(tmp_path, table):
    rest = {other: [] for other in TABLES if other != table}
    concerned = [finding for finding in FINDINGS.values() if table in (*finding.tables, *finding.lookups)]
    for outcome in evaluate_findings(write(tmp_path / "missing", rest), concerned, CATALOG):
        assert outcome.coverage is not Coverage.COMPLETE, outcome.finding.name
        assert f"{table} wasn't crawled" in outcome.gaps
    for outcome in evaluate_findings(write(tmp_path / "denied", rest, {table: Status.DENIED}), concerned, CATALOG):
        assert outcome.coverage is not Coverage.COMPLETE, outcome.finding.name
        assert f"1 of 1 scopes of {table} aren't complete" in outcome.gaps


def test_a_finding_whose_tables_are_not_there_is_unknown(tmp_path):
    outcome = ask(write(tmp_path, {"fc_functions": []}), "opensearch_locked")
    assert (outcome.coverage, outcome.gaps) == (Coverage.UNKNOWN, ("opensearch_app_groups wasn't crawled",))


def test_rows_of_what_is_known_are_found_beside_what_is_not(tmp_path):
    rows = CASES["retired_runtimes"].rows["fc_functions"]
    outcome = ask(write(tmp_path, {"fc_functions": rows}, {"fc2_functions": Status.FAILED}), "retired_runtimes")
    assert (outcome.coverage, outcome.total) == (Coverage.PARTIAL, 1)


def test_a_product_that_is_not_offered_is_known_to_have_nothing(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": []}, {"opensearch_app_groups": Status.UNSUPPORTED})
    assert ask(snapshot, "opensearch_locked").coverage is Coverage.COMPLETE


def test_a_table_that_was_only_walked_was_not_crawled(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": [], "fc2_functions": []})
    walked = stored([replace(row, written=False) for row in snapshot.ledger])
    assert ask(replace(snapshot, ledger=walked), "retired_runtimes").coverage is Coverage.UNKNOWN


def test_members_that_nobody_knows_leave_findings_open(tmp_path):
    directory = DirectoryEntry(account_id=ACCOUNT, status=Status.DENIED, error_code="NoPermission", error_message="…")
    outcome = ask(write(tmp_path, {"opensearch_app_groups": []}, directory=directory), "opensearch_locked")
    assert outcome.coverage is Coverage.PARTIAL
    assert outcome.gaps == ("the list of the organization's members is denied, so accounts may be missing",)


def test_what_is_looked_up_where_the_list_is_not_whole_is_not_said_to_be_missing(tmp_path):
    case = CASES["routes_to_missing_functions"]
    snapshot = write(tmp_path, dict(case.rows), {"fc_functions": Status.UNSTABLE})
    outcome = ask(snapshot, "routes_to_missing_functions")
    assert (outcome.coverage, outcome.total) == (Coverage.PARTIAL, 0)


def test_equal_secrets_are_not_looked_for_where_all_of_them_are_masked(tmp_path):
    rows = CASES["shared_secrets"].rows
    outcome = ask(write(tmp_path, rows, secrets="mask"), "shared_secrets")
    assert (outcome.coverage, outcome.total) == (Coverage.UNKNOWN, 0)
    assert outcome.gaps == ("secrets are mask in this snapshot, not fingerprints",)


@pytest.mark.parametrize(("scope", "is_said"), [("account", True), ("all", False)])
def test_the_finding_on_shared_secrets_says_that_it_looked_within_accounts(tmp_path, scope, is_said):
    """T39."""
    snapshot = write(tmp_path, CASES["shared_secrets"].rows, fingerprint_scope=scope)
    outcome = ask(snapshot, "shared_secrets")
    assert outcome.coverage is Coverage.COMPLETE
    assert ("compared within each account" in outcome.note) is is_said
    assert ask(snapshot, "secret_names_in_environment").note == ""


def test_columns_that_an_older_snapshot_lacks_are_null(tmp_path):
    rows = [{"function_name": "outside", "internet_access": True}]
    outcome = ask(write(tmp_path, {"fc_functions": rows}, without=("vpc_config", "role")), "internet_without_vpc")
    assert (outcome.coverage, texts(outcome) >= {"outside", "None"}) == (Coverage.COMPLETE, True)


def test_rows_beyond_the_limit_are_counted_and_not_kept(tmp_path):
    rows = [{"name": f"group-{number:02d}"} for number in range(30)]
    outcome = ask(write(tmp_path, {"opensearch_app_groups": rows}), "opensearch_without_quota", max_rows=7)
    assert (outcome.total, len(outcome.rows)) == (30, 7)
    assert [row[2] for row in outcome.rows] == [f"group-{number:02d}" for number in range(7)]


def test_a_finding_that_needs_more_memory_than_the_limit_has_its_result_all_the_same(tmp_path, monkeypatch):
    limits = {**evaluate._SETTINGS, "memory_limit": "30MB"}
    monkeypatch.setattr(evaluate, "_SETTINGS", limits)
    large = mine("SELECT len(list(range)) AS number FROM range(8_000_000)")
    snapshot = write(tmp_path, {table: [] for table in TABLES})
    with evaluate._prepared(snapshot, [large], CATALOG, Evaluation(), limits) as connection:
        assert evaluate._evaluate_one(connection, snapshot, large, WHOLE, Evaluation(), set(), has_limit=True) is None
    outcomes = evaluate_findings(snapshot, [FINDINGS["no_tracing"], large, FINDINGS["shared_roles"]], CATALOG)
    assert [outcome.rows for outcome in outcomes] == [(), ((8_000_000,),), ()]


def test_nested_values_instants_and_lists_become_text_that_a_cell_can_hold(tmp_path):
    sql = (
        "SELECT TIMESTAMPTZ '2026-11-21 02:00:00.5+00' AS instant, DATE '2026-11-21' AS day, ['a', 'b'] AS list, "
        "{'x': 1} AS struct, map {'k': 2} AS map, 12.50::DECIMAL(9, 2) AS price, 3 AS number, true AS flag, "
        "count(*) AS rows FROM fc_functions"
    )
    [outcome] = evaluate_findings(write(tmp_path, {"fc_functions": []}), [mine(sql)], CATALOG)
    assert outcome.rows == (
        ("2026-11-21T02:00:00.500000Z", "2026-11-21", "a, b", '{"x":1}', '{"k":2}', "12.50", 3, True, 0),
    )


def test_findings_come_by_severity_and_name():
    order = [(SEVERITIES.index(finding.severity), finding.name) for finding in load_findings()]
    assert order == sorted(order)


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=lambda finding: finding.name)
def test_built_in_findings_say_what_to_do_and_name_their_tables(finding):
    assert finding.reason.endswith(".")
    assert finding.remedy.endswith(".")
    assert not finding.title.endswith(".")
    asked = set(re.findall(r"\b[a-z0-9]+_[a-z_]+", finding.sql)) & set(CATALOG.operations)
    assert asked == {*finding.tables, *finding.lookups}
    assert bool(finding.source) == bool(finding.checked)


def test_own_findings_are_added_and_take_the_place_of_built_in_ones(tmp_path):
    (tmp_path / "mine.sql").write_text(HEADER + "SELECT function_name FROM fc_functions")
    (tmp_path / "no_tracing.sql").write_text(HEADER + "SELECT 1 AS one")
    found = {finding.name: finding for finding in load_findings([tmp_path])}
    assert set(found) == {*FINDINGS, "mine"}
    assert (found["mine"].is_own, found["no_tracing"].title, found["no_log_project"].is_own) == (True, "Mine", False)


SHARED = HEADER.replace("fc_functions", "fc_functions, fc2_services") + "-- with: role_uses\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT function_or_service, role_name FROM role_uses",
        "with mine AS (SELECT * FROM role_uses)\nSELECT function_or_service, role_name FROM mine",
    ],
)
def test_an_own_finding_may_begin_with_what_the_built_in_ones_share(tmp_path, sql):
    finding = parse_finding("mine", SHARED + sql, "mine.sql", is_own=True)
    rows = {"fc_functions": [{"function_name": "f", "role": "acs:ram::1:role/R"}], "fc2_services": []}
    [outcome] = evaluate_findings(write(tmp_path, rows), [finding], CATALOG)
    assert outcome.rows == (("f", "r"),)
    assert finding.sql.startswith("WITH\n")
    assert finding.sql.count("role_uses AS (") == 1


def test_undecided_rows_are_counted_by_their_reason_and_are_not_found(tmp_path):
    sql = (
        "SELECT function_name, if(function_name < 'f3', NULL, 'no list') AS _unknown FROM fc_functions "
        "UNION ALL SELECT 'other', 'reason ' || range FROM range(11)"
    )
    rows = [{"function_name": f"f{number}"} for number in range(5)]
    [outcome] = evaluate_findings(write(tmp_path, {"fc_functions": rows}), [mine(sql)], CATALOG, Evaluation(max_rows=2))
    assert (outcome.coverage, outcome.columns, outcome.total) == (Coverage.PARTIAL, ("function_name",), 3)
    assert outcome.rows == (("f0",), ("f1",))
    assert outcome.gaps[:2] == ("2 undecided: no list", "1 undecided: reason 0")
    assert outcome.gaps[-1] == "2 undecided for other reasons"
    assert len(outcome.gaps) == 11


def test_a_column_for_undecided_rows_that_is_empty_leaves_a_result_complete(tmp_path):
    sql = "SELECT function_name, NULL AS _unknown FROM fc_functions"
    [outcome] = evaluate_findings(write(tmp_path, {"fc_functions": []}), [mine(sql)], CATALOG)
    assert (outcome.coverage, outcome.columns, outcome.gaps) == (Coverage.COMPLETE, ("function_name",), ())


def test_a_value_goes_on_in_lines_that_begin_further_in():
    text = "-- severity: high\n-- title: One\n-- tables: fc_functions,\n--   fc2_functions\n"
    finding = parse_finding("one", text + "-- reason: first\n--   second\nSELECT 1", "one.sql")
    assert (finding.tables, finding.reason) == (("fc_functions", "fc2_functions"), "first second")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "no `-- severity: …` line"),
        (HEADER.replace("low", "urgent") + "SELECT 1", "severity 'urgent' isn't one of high, medium, low, info"),
        (HEADER + "-- owner: me\nSELECT 1", "line 5: unknown key 'owner'"),
        (HEADER + "-- just a remark\nSELECT 1", "line 5: a header's lines are"),
        (HEADER.replace("fc_functions", "../etc") + "SELECT 1", "'../etc' isn't a table's name"),
        (HEADER + "SELEKT 1", "not SQL"),
        (HEADER, "there must be one SELECT"),
        (HEADER + "SELECT 1; SELECT 2", "there must be one SELECT"),
        (HEADER + "COPY (SELECT 1) TO 'x.csv'", "there must be one SELECT"),
        (HEADER + "-- secrets: keep\nSELECT 1", "the only value of secrets is fingerprint"),
        (
            HEADER + "-- with: ../role_uses\nSELECT 1",
            "there is nothing shared as '../role_uses'; known: role_permissions, ",
        ),
        (HEADER + "-- with: role_uses\nSELECT 1; SELECT 2", "there must be one SELECT"),
    ],
)
def test_a_file_that_is_no_finding_is_refused_with_its_name_and_the_reason(tmp_path, text, message):
    (tmp_path / "mine.sql").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_findings([tmp_path])
    assert "mine.sql" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Mine.sql", b"", "may have small letters"),
        ("mine.sql", b"\xff\xfe", "not UTF-8 at byte 0"),
        ("mine.txt", b"", "the folder has no .sql file"),
        ("mine.sql", b"-" * (1 << 20) + b"-", "is larger than 1,048,576 bytes"),
    ],
)
def test_a_folder_with_something_else_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_findings([tmp_path])


def test_file_of_ones_own_that_is_not_regular_is_refused_and_a_link_to_one_is_read(tmp_path):
    """F72: mounted configurations are links."""
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "text").write_text(HEADER + "SELECT 1 AS one")
    (own / "mine.sql").symlink_to(tmp_path / "text")
    assert [finding.name for finding in load_findings([own]) if finding.is_own] == ["mine"]
    put(own / "mine.sql", "a named pipe")
    with ends_within(20), pytest.raises(ConfigError, match=r"mine.sql can't be used: is a named pipe"):
        load_findings([own])


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        load_findings([tmp_path / "none"])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM fc_triggers",
        "SELECT nothing FROM fc_functions",
        "SELECT function_name::INTEGER FROM fc_functions",
    ],
)
def test_an_own_finding_that_does_not_run_is_refused_and_reaches_nothing_else(tmp_path, sql):
    snapshot = write(tmp_path, {"fc_functions": [{"function_name": "f"}]})
    with pytest.raises(ConfigError, match=r"the finding mine (doesn't run on this snapshot: .+|reads the table)"):
        evaluate_findings(snapshot, [mine(sql)], CATALOG)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SELECT * FROM fc_triggers",
            "reads the table fc_triggers, which its header doesn't name; add it to `-- tables:`",
        ),
        ("SELECT * FROM fc_trigers", "names the table fc_trigers, which doesn't exist; did you mean fc_triggers?"),
        ("SELECT * FROM role_uses", "reads role_uses, which its header doesn't name; add it to `-- with:`"),
        ("SELECT function_nam FROM fc_functions", 'Candidate bindings: "function_name"'),
    ],
)
def test_an_own_finding_with_a_typo_is_refused_with_the_name_that_is_meant(tmp_path, sql, said):
    snapshot = write(tmp_path, {"fc_functions": [{"function_name": "f"}]})
    with pytest.raises(ConfigError) as refused:
        evaluate_findings(snapshot, [mine(sql)], CATALOG)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT getenv('HOME')",
        "SELECT * FROM '/etc/hostname'",
        "WITH w AS (COPY (SELECT 1) TO '/tmp/x.csv') SELECT * FROM w",
    ],
)
def test_an_own_finding_is_checked_as_a_query_is(tmp_path, sql):
    """T33: SQL of a findings file that could write or reach anything is refused before DuckDB binds it."""
    snapshot = write(tmp_path, {"fc_functions": [{"function_name": "f"}]})
    refused = r"the finding mine(: line 1, column \d+: (\w+\(\) isn't|there is no table)| has a part that writes)"
    with pytest.raises(ConfigError, match=refused):
        evaluate_findings(snapshot, [mine(sql)], CATALOG)


def test_a_built_in_finding_that_does_not_run_is_unknown(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": []})
    [outcome] = evaluate_findings(snapshot, [mine("SELECT nothing FROM fc_functions", is_own=False)], CATALOG)
    assert outcome.coverage is Coverage.UNKNOWN
    assert "its SQL doesn't run on this snapshot" in outcome.gaps[0]


def test_tables_of_ones_own_can_be_asked_without_the_catalog(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": [{"function_name": "f"}]})
    bare = type(CATALOG)(CATALOG.products, {})
    [outcome] = evaluate_findings(snapshot, [mine("SELECT function_name FROM fc_functions")], bare)
    assert outcome.rows == (("f",),)


def test_the_same_name_in_another_region_is_another_resource(tmp_path):
    rows = {
        "fc_custom_domains": [
            {"domain_name": "d.example", "route_config": {"routes": [{"path": "/", "function_name": "f"}]}}
        ],
        "fc_functions": [{"function_name": "f", "region_id": OTHER_REGION}],
    }
    outcome = ask(write(tmp_path, rows), "routes_to_missing_functions")
    assert [row[:3] for row in outcome.rows] == [(ACCOUNT, REGION, "d.example")]


def test_the_documentation_lists_the_findings_that_there_are():
    listed = re.findall(r"^\| (high|medium|low|info) \| `(\w+)` \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert listed == [(finding.severity, finding.name, finding.title) for finding in load_findings()]


def test_the_finding_that_the_documentation_shows_runs(tmp_path):
    text = re.search(r"<!-- finding -->\n```sql\n(.*?)```", DOCUMENT, re.DOTALL)[1]
    rows = [
        {"function_name": name, "timeout": seconds} for name, seconds in (("a-prod", 600), ("b-prod", 60), ("c", 600))
    ]
    snapshot = write(tmp_path, {"fc_functions": rows, "fc2_functions": []})
    [outcome] = evaluate_findings(snapshot, [parse_finding("shown", text, "docs/report.md", is_own=True)], CATALOG)
    assert [row[2:] for row in outcome.rows] == [("a-prod", 600)]


def test_the_configuration_that_the_documentation_shows_is_accepted():
    blocks = re.findall(r"<!-- config -->\n```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    account = '[[accounts]]\nid = "1000000000000001"\n'
    config = parse_config(account + "".join(blocks), source="report.md", environ={})
    assert config.report.owner_tags == ("squad", "cost-center")
    assert [entry.finding for entry in config.accepted_findings] == ["anonymous_public_urls"]
