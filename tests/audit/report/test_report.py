"""The report: its statements about a snapshot, the same bytes each time, and a page that can only show."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import date
from itertools import pairwise

import anyio
import pytest

from crawler.audit.database import open_snapshot
from crawler.audit.diff.comparison import compare, table_keys
from crawler.audit.findings import Acceptances, Evaluation
from crawler.audit.report import make_report
from crawler.audit.report.charts import Bar, Chart, bar_chart
from crawler.audit.report.markup import _ADDRESS, _LONG_WORD, _PIECE, Html, breakable, element, is_address
from crawler.audit.report.page import asset
from crawler.audit.report.tables import FIRST_ROWS, DataTable, data_table
from crawler.config.sections import AcceptedFinding
from crawler.snapshot import DirectoryEntry, Status
from crawler.snapshot.manifest import SkippedMember
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, scope_statuses, site
from tests.support.finding_cases import CASES
from tests.support.hostile_pages import ADDRESS, BAD_ADDRESSES, PAYLOADS, hostile_page
from tests.support.ledger_rows import stored
from tests.support.report_page import read_page
from tests.support.written_snapshots import (
    ACCOUNT,
    CATALOG,
    OTHER_ACCOUNT,
    OTHER_REGION,
    REGION,
    SNAPSHOT,
    START,
    write,
)

TABLES = ["fc_functions", "fc_layers", "fc2_functions", "fc2_services", "opensearch_app_groups"]
SECTIONS = ["summary", "findings", "changes", "inventory", "coverage", "evidence"]
DAY_1, DAY_2 = "20261120T020000Z-00aa", SNAPSHOT


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """A small cloud crawled on two days: the result, the snapshot, and the secrets that the cloud has.

    On the second day OpenSearch is denied to one account.
    """
    folder = tmp_path_factory.mktemp("report")

    async def crawl(day):
        async with site(folder, fast_cloud(day=day, regions=("cn-shanghai", "ap-southeast-1"))) as place:
            result = await place.crawl(place.config(tables=TABLES))
            return result, open_snapshot(place.output, result.manifest.snapshot_id), place.cloud.canaries

    return [anyio.run(crawl, day) for day in (1, 2)]


@pytest.fixture(scope="module")
def html(nights):
    (_, old, _), (_, new, _) = nights
    return make_report(new, CATALOG, against=old).html


@pytest.fixture(scope="module")
def page(html):
    return read_page(html)


def report_of(snapshot, **options):
    return read_page(make_report(snapshot, CATALOG, **options).html)


def rows_of(page, table):
    """A table's rows as dictionaries, by its headings."""
    data = page.data[table]
    return [dict(zip((name for name, _ in data["columns"]), row, strict=True)) for row in data["rows"]]


def test_the_sections_are_there_and_the_navigation_leads_to_them(page):
    ids = {found["id"] for _, found in page.elements if "id" in found}
    targets = [found["href"] for found in page.having("a") if found["href"][1:] in {*SECTIONS} and "class" not in found]
    sections = [found["id"] for found in page.having("section")]
    assert targets == [f"#{name}" for name in sections]
    assert sections == SECTIONS
    assert {found["href"][1:] for found in page.having("a")} <= ids


def test_what_there_is_adds_up_to_the_manifest(page, nights):
    manifest = nights[1][0].manifest
    tables = {row["table"]: row for row in rows_of(page, "tables")}
    assert {name: row["rows"] for name, row in tables.items()} == {n: e.rows for n, e in manifest.tables.items()}
    places = rows_of(page, "places")
    assert sum(row["rows"] for row in places) == sum(entry.rows for entry in manifest.tables.values())
    assert sum(row["not complete"] for row in places) == len(manifest.scopes.not_complete)
    assert {(row["account"], row["region"]) for row in places} == {
        (account, region) for account in (BIG, SMALL) for region in ("cn-shanghai", "ap-southeast-1")
    }


def test_a_partial_snapshot_says_so_first_and_names_every_scope_with_its_reason(page, nights):
    result = nights[1][0]
    statuses = scope_statuses(result)
    assert statuses, "the second day denies something"
    assert f"Partial: {len(statuses)} of {result.manifest.scopes.total} scopes aren't complete" in page.text
    named = {(row["account"], row["region"], row["table"]): row["status"] for row in rows_of(page, "scopes")}
    assert named == statuses
    assert all("not authorized" in row["why"] for row in rows_of(page, "scopes"))


async def test_a_global_scope_is_no_region_and_its_kind_has_a_tile(tmp_path, page):
    async with site(tmp_path, fast_cloud(regions=("cn-shanghai", "ap-southeast-1"))) as place:
        result = await place.crawl(place.config(tables=["fc_layers", "ram_roles"]))
        first = report_of(open_snapshot(place.output, result.manifest.snapshot_id))
        roles = len(place.rows("ram_roles"))
    assert "accounts 2 regions 2 functions" in first.text
    assert f"roles {roles} rows in total" in first.text
    assert "search instances" not in first.text
    assert {row["region"] for row in rows_of(first, "places")} == {"cn-shanghai", "ap-southeast-1", "global"}
    assert " roles " not in page.text.partition("rows in total")[0], "RAM wasn't crawled"


def test_a_finding_about_what_was_denied_says_that_it_knows_only_a_part(page):
    assert "Partly unknown: 1 of 2 scopes of opensearch_app_groups aren't complete" in page.text


def test_a_complete_snapshot_says_so_and_names_nothing(nights):
    first = report_of(nights[0][1])
    assert f"Complete: all {nights[0][0].manifest.scopes.total} scopes were read to their end." in first.text
    assert "scopes" not in first.data
    assert "This snapshot was not compared with an earlier one." in first.text


def test_the_changes_are_those_of_diff(page, nights):
    (_, old, _), (_, new, _) = nights
    with compare(old, new, table_keys(CATALOG)) as tables:
        read = [table.read(10_000) for table in tables.values()]
    counts = {kind: sum(table.counts.get(kind, 0) for table in read) for kind in ("added", "removed", "changed")}
    assert all(counts.values())
    assert ", ".join(f"{number} {kind}" for kind, number in counts.items()) in page.text
    rows = [row for table in read if table.total for row in rows_of(page, f"changes-{table.table}")]
    assert [sum(row["what"] == kind for row in rows) for kind in ("added", "removed")] == [
        counts["added"],
        counts["removed"],
    ]
    unknown = {(s.account_id, s.region_id, table.table) for table in read for s in table.unknown_scopes}
    assert unknown == {(row["account"], row["region"], row["table"]) for row in rows_of(page, "unknown-changes")}


def test_nothing_changed_is_said_in_words(nights):
    _, old, _ = nights[0]
    page = report_of(old, against=old)
    assert "0 added, 0 removed, 0 changed. Every scope is complete on both sides." in page.text
    assert "No known changes." in page.text


def test_the_evidence_is_that_of_the_files(nights, page):
    _, snapshot, _ = nights[1]
    path = snapshot.root / "_snapshots" / f"{snapshot.manifest.snapshot_id}.json"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.with_name(f"{path.name}.sha256").read_text().startswith(digest)
    assert page.text.count(digest) == 2
    for text in (snapshot.manifest.snapshot_id, snapshot.manifest.ledger.sha256, "fingerprint: a keyed hash"):
        assert text in page.text


def test_the_same_snapshot_gives_the_same_page_byte_for_byte(nights, html):
    (_, old, _), (_, new, _) = nights
    assert make_report(new, CATALOG, against=old).html == html


def test_opt_in_tables_and_those_that_were_left_out_are_named_with_the_reason(page):
    why = {row["table"]: row["why"] for row in rows_of(page, "not-crawled")}
    assert set(why) == set(CATALOG.operations) - set(TABLES)
    assert why["fc_triggers"] == "left out of this crawl, or no account has the product"
    assert why["fc_sessions"].startswith("opt-in: ")
    assert why["opensearch_data_source_tables"].startswith("out: ")


def test_members_left_out_and_a_directory_that_could_not_be_read_are_said(tmp_path):
    left_out = [SkippedMember(OTHER_ACCOUNT, "staging", "excluded by [organization] exclude")]
    directory = DirectoryEntry(
        account_id=ACCOUNT, status=Status.DENIED, error_code="NoPermission", error_message="ListAccounts is missing."
    )
    page = report_of(write(tmp_path, {"fc_functions": []}, directory=directory, left_out=left_out))
    assert rows_of(page, "left-out") == [
        {"account": OTHER_ACCOUNT, "name": "staging", "why": "excluded by [organization] exclude"}
    ]
    assert f"listed by {ACCOUNT}: denied, 0 members. NoPermission: ListAccounts is missing." in page.text
    assert "Partial: all scopes were read to their end, but accounts may be missing." in page.text


def test_a_directory_that_was_read_whole_is_said_in_one_line(tmp_path):
    directory = DirectoryEntry(account_id=ACCOUNT, status=Status.COMPLETE, members=12)
    page = report_of(write(tmp_path, {"fc_functions": []}, directory=directory))
    assert f"listed by {ACCOUNT}: complete, 12 members." in page.text


def test_fields_that_no_schema_knows_are_counted(tmp_path):
    page = report_of(write(tmp_path, {"fc_functions": []}, unknown_fields={"fc_functions": {"newField": 3}}))
    assert rows_of(page, "unknown-fields") == [{"table": "fc_functions", "field": "newField", "records": 3}]


def test_scopes_of_one_cause_stand_together(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": []}, {"fc_triggers": Status.DENIED, "fc_aliases": Status.DENIED})
    rows = list(snapshot.ledger)
    scopes = [row for row in rows if row.status is Status.DENIED]
    scopes[0].error_message = scopes[1].error_message = "fc:ListFunctions is missing"
    scopes[1].error_message = f"Its parent fc_functions is denied: {scopes[1].error_message}"
    [cause] = rows_of(report_of(replace(snapshot, ledger=stored(rows))), "causes")
    assert (cause["why"], cause["scopes"], cause["tables"]) == (
        "AccessDenied: fc:ListFunctions is missing",
        2,
        "fc_aliases, fc_triggers",
    )


def test_scopes_beyond_those_of_the_manifest_are_in_the_coverage(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": []}, {"fc_triggers": Status.DENIED, "fc_aliases": Status.FAILED})
    del snapshot.manifest.scopes.not_complete[1:]
    page = report_of(snapshot)
    assert [row["table"] for row in rows_of(page, "scopes")] == ["fc_aliases", "fc_triggers"]
    assert sorted(cause["status"] for cause in rows_of(page, "causes")) == ["denied", "failed"]


def test_a_finding_that_is_unknown_never_says_none(tmp_path):
    html = make_report(write(tmp_path, {"fc_functions": []}), CATALOG).html
    [summary] = re.findall(r'id="finding-opensearch_locked"><summary>.*?</summary>', html)
    assert "unknown" in summary
    assert "none" not in summary
    [summary] = re.findall(r'id="finding-no_tracing"><summary>.*?</summary>', html)
    assert "partly unknown" in summary
    [summary] = re.findall(r'id="finding-internet_without_vpc"><summary>.*?</summary>', html)
    assert "none" in summary


def test_what_was_found_is_in_the_page_with_its_reason_and_its_sql(tmp_path):
    page = report_of(write(tmp_path, CASES["anonymous_public_urls"].rows))
    assert {row["function"] for row in rows_of(page, "anonymous_public_urls")} == {"open", "unsaid", "svc/open2"}
    for text in (
        "Functions that anyone on the internet may call",
        "doesn't authenticate callers",
        "What to do:",
        "FROM fc_triggers",
    ):
        assert text in page.text


def test_the_source_of_a_list_is_named_with_the_day_it_was_checked(page):
    assert "Source: Cloud Config's rule fc-function-runtime-check" in page.text
    assert "checked 2026-11-22." in page.text


def test_own_findings_are_on_the_page_and_said_to_be_ones_own(tmp_path):
    folder = tmp_path / "findings"
    folder.mkdir()
    header = "-- severity: high\n-- title: Mine\n-- tables: fc_functions\n-- reason: because\n"
    (folder / "mine.sql").write_text(f"{header}SELECT function_name FROM fc_functions")
    page = report_of(write(tmp_path / "s", {"fc_functions": [{"function_name": "f"}]}), findings=[folder])
    assert rows_of(page, "mine") == [{"function name": "f"}]
    assert "This finding is your own file" in page.text


TAGGED = {"function_name": "f", "tags": [{"key": "Team", "value": "search"}]}


def test_findings_have_the_owners_of_their_resources_after_the_resource(tmp_path):
    tables = {"fc_functions": [TAGGED, {"function_name": "g"}], "fc2_services": [{"service_name": "svc"}]}
    page = report_of(write(tmp_path, tables))
    assert page.data["no_log_project"]["columns"][:4] == [
        ["account", "tight"],
        ["region", "tight"],
        ["function or service", ""],
        ["owner", "owner"],
    ]
    assert [row["owner"] for row in rows_of(page, "no_log_project")] == ["search", None, "not known"]
    assert page.data["owners"]["rows"] == [["search"]]


def test_the_owner_tags_are_the_users(tmp_path):
    page = report_of(write(tmp_path, {"fc_functions": [TAGGED]}), evaluation=Evaluation(owner_tags=("squad",)))
    assert [row["owner"] for row in rows_of(page, "no_log_project")] == [None]
    assert "owners" not in page.data


def accepted(resource, until):
    entry = AcceptedFinding(finding="no_log_project", resource=resource, reason="a batch", until=until)
    return Evaluation(acceptances=Acceptances([entry], START.date()))


def test_accepted_rows_stand_apart_with_their_reason_and_are_not_counted(tmp_path):
    tables = {"fc_functions": [TAGGED, {"function_name": "g"}], "fc2_services": []}
    page = report_of(write(tmp_path, tables), evaluation=accepted("g", date(2027, 1, 31)))
    assert [row["function or service"] for row in rows_of(page, "no_log_project")] == ["f"]
    [row] = rows_of(page, "no_log_project-accepted")
    assert (row["function or service"], row["accepted until"], row["why accepted"]) == ("g", "2027-01-31", "a batch")
    assert "Functions and services without logging 1 · 1 accepted" in page.text
    assert "Accepted in the configuration (1), not counted as open" in page.text


def test_a_finding_with_accepted_rows_only_is_in_a_group_of_its_own(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": [TAGGED], "fc2_services": []})
    page = report_of(snapshot, evaluation=accepted("*", date(2027, 1, 31)))
    assert "Accepted (1)" in page.text
    assert "no_log_project" not in page.data
    assert "Functions and services without logging none · 1 accepted" in page.text


def test_warnings_about_accepted_findings_are_on_the_page(tmp_path):
    snapshot = write(tmp_path, {"fc_functions": [TAGGED], "fc2_services": []})
    made = make_report(snapshot, CATALOG, evaluation=accepted("*", date(2026, 11, 1)))
    [sentence] = made.warnings
    assert "expired on 2026-11-01: 1 resource is open again" in sentence
    assert sentence in read_page(made.html).text
    assert [row["function or service"] for row in rows_of(read_page(made.html), "no_log_project")] == ["f"]


def test_the_summary_links_to_the_findings_of_high_and_medium_severity_and_each_has_a_link_to_itself(tmp_path):
    page = report_of(
        write(tmp_path, CASES["anonymous_public_urls"].rows | {"fc_functions": [TAGGED], "fc2_services": []})
    )
    linked = [found["href"] for found in page.having("a") if not found.get("class") and "finding-" in found["href"]]
    assert linked == [
        "#finding-anonymous_public_urls",
        "#finding-anonymous_http_triggers",
        "#finding-no_log_project",
    ]
    permanent = {found["href"][1:] for found in page.having("a", class_="permalink")}
    assert permanent == {found["id"] for found in page.having("details", class_="fold finding")}
    assert len(permanent) > 20


def test_the_title_names_the_products_that_were_crawled(tmp_path):
    assert title(report_of(write(tmp_path / "one", {"fc_functions": []}))) == "Inventory of Function Compute 3.0"
    tables = {"fc_functions": [], "ram_roles": [], "opensearch_app_groups": []}
    named = "Function Compute 3.0, OpenSearch and Resource Access Management"
    assert title(report_of(write(tmp_path / "more", tables))) == f"Inventory of {named}"
    many = tables | {"fc2_functions": [], "fcsandbox_teams": [], "searchengine_instances": []}
    first = "Function Compute 3.0, Function Compute 2.0, OpenSearch"
    assert title(report_of(write(tmp_path / "many", many))) == f"Inventory of {first} and 3 other products"


def title(page):
    """The text of the page's first heading."""
    return page.texts[page.texts.index("Skip to the findings") + 1]


def test_no_table_takes_the_place_of_others_among_the_changes(tmp_path):
    many = [{"function_name": f"f{number:03d}", "alias_name": "a"} for number in range(80)]
    few = [{"function_name": "one", "trigger_name": "t"}]
    old = write(tmp_path, {"fc_aliases": [], "fc_layers": [], "fc_triggers": []}, snapshot_id=DAY_1)
    tables = {"fc_aliases": many, "fc_layers": [{"layer_name": f"l{at}"} for at in range(30)], "fc_triggers": few}
    page = report_of(write(tmp_path, tables), against=old, max_rows=51)
    kept = {name: len(rows_of(page, f"changes-{name}")) for name in tables}
    assert kept == {"fc_triggers": 1, "fc_aliases": 25, "fc_layers": 25}
    assert "This file has 25 of 80 rows" in page.text
    assert "fc_aliases 80 added" in page.text


def test_names_between_backticks_in_a_findings_texts_are_code_and_their_text_is_escaped(tmp_path):
    header = "-- severity: low\n-- title: Own\n-- tables: fc_functions\n"
    sql = "SELECT function_name FROM fc_functions"
    own = {
        "own_pair": "-- reason: `<b>limits` are `conditions`.\n-- remedy: Set `x`.\n",
        "own_single": "-- reason: one ` <i>alone</i>\n",
    }
    for name, texts in own.items():
        (tmp_path / f"{name}.sql").write_text(f"{header}{texts}{sql}\n")
    snapshot = write(tmp_path / "out", {"fc_functions": [{"function_name": "f"}]})
    html = make_report(snapshot, CATALOG, findings=[tmp_path]).html
    assert "<p><code>&lt;b&gt;limits</code> are <code>conditions</code>.</p>" in html
    assert "<p><strong>What to do: </strong>Set <code>x</code>.</p>" in html
    assert "<p>one ` &lt;i&gt;alone&lt;/i&gt;</p>" in html


def test_rows_beyond_the_limit_are_left_out_and_that_is_said(tmp_path):
    rows = [{"name": f"group-{number:03d}"} for number in range(120)]
    page = report_of(write(tmp_path, {"opensearch_app_groups": rows}), max_rows=50)
    assert len(rows_of(page, "opensearch_without_quota")) == 50
    assert "This file has 50 of 120 rows; `query` has all of them." in page.text
    assert "The first 10 of 50 rows." in page.text


def test_rows_of_changes_beyond_the_limit_are_counted(tmp_path):
    rows = [{"name": f"group-{number:03d}"} for number in range(120)]
    old = write(tmp_path, {"opensearch_app_groups": []}, snapshot_id=DAY_1)
    new = write(tmp_path, {"opensearch_app_groups": rows}, snapshot_id=DAY_2)
    page = report_of(new, against=old, max_rows=50)
    assert len(rows_of(page, "changes-opensearch_app_groups")) == 50
    assert "120 added" in page.text
    assert "This file has 50 of 120 rows" in page.text


def changed(tmp_path, secrets, **columns):
    """The rows of changes of one function whose columns have an old and a new value."""
    before, after = ({"function_name": "f", **{n: v[at] for n, v in columns.items()}} for at in (0, 1))
    old = write(tmp_path, {"fc_functions": [before]}, snapshot_id=DAY_1, secrets=secrets)
    new = write(tmp_path, {"fc_functions": [after]}, snapshot_id=DAY_2, secrets=secrets)
    html = make_report(new, CATALOG, against=old).html
    return html, {
        row["column"]: (row["before"], row["now"]) for row in rows_of(read_page(html), "changes-fc_functions")
    }


def test_changed_columns_have_their_old_and_new_value(tmp_path):
    _, rows = changed(
        tmp_path,
        "fingerprint",
        runtime=("nodejs18", "nodejs20"),
        memory_size=(512, 1024),
        vpc_config=(None, {"vpc_id": "vpc-1"}),
        environment_variables=([("TOKEN", "hmac:0011223344556677")], [("TOKEN", "hmac:8899aabbccddeeff")]),
    )
    assert rows["runtime"] == ("nodejs18", "nodejs20")
    assert rows["memory_size"] == ("512", "1024")
    assert rows["vpc_config"][0] == "null"
    assert '"vpc_id": "vpc-1"' in rows["vpc_config"][1]
    assert rows["environment_variables.TOKEN"] == ("hmac:0011223344556677", "hmac:8899aabbccddeeff")


@pytest.mark.parametrize("column", ["environment_variables", "custom_container_config", "_extra"])
def test_t01_t08_no_secret_of_a_snapshot_that_keeps_them_is_on_the_page(tmp_path, column):
    """T01, T08."""
    values = {
        "environment_variables": [[("TOKEN", f"canary-{at}")] for at in (0, 1)],
        "custom_container_config": [{"command": [f"--password=canary-{at}"]} for at in (0, 1)],
        "_extra": [f'{{"newSecret":"canary-{at}"}}' for at in (0, 1)],
    }
    html, rows = changed(tmp_path, "keep", runtime=("nodejs18", "nodejs20"), **{column: values[column]})
    assert "canary" not in html
    assert rows["runtime"] == ("nodejs18", "nodejs20")
    assert {pair for path, pair in rows.items() if path.startswith(column)} == {("not shown here", "not shown here")}


def test_t01_no_secret_of_the_cloud_is_on_the_page(nights, html):
    """T01."""
    (_, _, before), (_, _, now) = nights
    assert len(now) > 100
    assert not [secret for secret in {*before, *now} if secret in html]


# The page's capabilities (T25).


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return hostile_page(tmp_path_factory.mktemp("hostile"))


ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "wbr",
        "header",
        "h1",
        "h2",
        "h3",
        "p",
        "code",
        "nav",
        "ul",
        "li",
    ),
    *("main", "section", "dl", "div", "dt", "dd", "svg", "rect", "span", "details", "summary", "strong", "table"),
    *("caption", "thead", "tbody", "tr", "th", "td", "pre", "figure", "figcaption", "footer", "script"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "href", "class", "id", "scope", "role", "tabindex", "type"),
    *("aria-label", "aria-labelledby", "aria-hidden", "data-label", "data-table", "data-first", "data-printed"),
    *("rel", "target"),
    *("x", "width", "height"),
}


def test_t25_nothing_from_outside_becomes_an_element_or_an_attribute(hostile):
    """T25."""
    page = read_page(hostile)
    assert {name for name, _ in page.elements} <= ELEMENTS
    assert {attribute for _, attributes in page.elements for attribute in attributes} <= ATTRIBUTES
    assert [found["name"] for found in page.having("meta") if "name" in found] == ["viewport", "referrer", "robots"]


def test_t25_every_hostile_text_is_there_as_text(hostile):
    """T25."""
    page = read_page(hostile)
    shown = {row["function"] for row in rows_of(page, "internet_without_vpc")}
    assert len(shown) == len(PAYLOADS)
    assert {name for name in shown if "<script>alert(1)</script>" in name}
    for payload in (PAYLOADS[0], PAYLOADS[3]):
        assert payload in page.text, "the first rows are there without the script, too"


def test_t25_data_cannot_end_its_script_element(hostile):
    """T25."""
    scripts = re.findall(r'<script type="application/json">(.*?)</script>', hostile, re.DOTALL)
    assert len(scripts) == len(read_page(hostile).data) > 5
    assert not [script for script in scripts if re.search("[<>&\u2028\u2029]", script)]


def test_t25_no_control_or_direction_character_reaches_the_page(hostile):
    """T25."""
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", hostile)


def test_t25_texts_do_not_go_on_without_end(hostile):
    """T25."""
    longest = max(len(str(cell)) for data in read_page(hostile).data.values() for row in data["rows"] for cell in row)
    assert longest <= 1001 + 50


def test_t25_the_policy_lets_in_our_style_and_script_and_nothing_else(hostile):
    """T25."""
    page = read_page(hostile)
    [policy] = [found["content"] for found in page.having("meta", http_equiv="Content-Security-Policy")]
    [style], [script] = page.styles, page.scripts
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert (style, script) == (asset("report.css"), asset("report.js"))
    assert hostile.index("Content-Security-Policy") < hostile.index("<style>")


def test_the_page_names_no_place_outside_of_itself(hostile):
    page = read_page(hostile)
    links = [found["href"] for _, found in page.elements if "href" in found and "rel" not in found]
    assert links
    assert all(link.startswith("#") for link in links)
    ids = {found["id"] for _, found in page.elements if "id" in found}
    assert {link[1:] for link in links} <= ids
    assert not re.search(r"url\(|@import|https?:", page.styles[0])
    script = re.sub(r"const ADDRESS = .*", "", page.scripts[0])
    assert not re.search(r"https?:|\bimport\b|fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon", script)


def test_t25_only_https_addresses_become_links_and_they_tell_nothing_to_their_host(tmp_path):
    """T25."""
    addresses = [ADDRESS, *BAD_ADDRESSES[:9]]
    rows = [
        {
            "function_name": f"{at}",
            "trigger_name": "t",
            "trigger_type": "http",
            "http_trigger": {"url_internet": address},
        }
        | {"trigger_config": {"auth_type": "anonymous"}}
        for at, address in enumerate(addresses)
    ]
    page = report_of(write(tmp_path, {"fc_triggers": rows, "fc2_triggers": []}))
    assert len(rows_of(page, "anonymous_public_urls")) == len(addresses) == FIRST_ROWS
    assert page.having("a", target="_blank") == [{"href": ADDRESS, "rel": "noopener noreferrer", "target": "_blank"}]
    assert [is_address(address) for address in (ADDRESS, *BAD_ADDRESSES)] == [True] + [False] * len(BAD_ADDRESSES)


def test_the_script_breaks_words_and_makes_links_by_the_rules_of_the_markup():
    script = asset("report.js")
    assert f"const PIECE = /{_PIECE.pattern}/gsu;" in script
    assert f"const LONG_WORD = /{_LONG_WORD.pattern}/;" in script
    [found] = re.findall(r"const ADDRESS = /\^(.*)\$/;", script)
    assert found.replace(r"https:\/\/", "https://") == _ADDRESS.pattern


@pytest.mark.parametrize(
    "text", ["short", "acs:fc:cn-hangzhou:1000000000000001:functions/f", "x" * 90, "_" * 50, "a " * 30]
)
def test_long_words_break_after_separators_only(text):
    shown = breakable(text)
    assert shown.replace("<wbr>", "") == text
    assert ("<wbr>" in shown) == (len(max(text.split(), key=len)) > 16)
    assert not re.search(r"[a-z0-9]<wbr>", shown.replace("x" * 40 + "<wbr>", ""))


def test_the_script_makes_no_markup_of_text():
    script = asset("report.js")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|new Function|DOMParser|srcdoc", script
    )
    assert "textContent" in script


# Parts of the page.


def test_text_is_escaped_and_markup_is_not():
    made = element("td", "<b>", Html("<i></i>"), 3, None, class_='"x"', hidden=True, title=None)
    assert made == '<td class="&quot;x&quot;" hidden>&lt;b&gt;<i></i>3</td>'


def test_tables_can_be_read_by_those_who_do_not_see_them(page):
    for found in page.having("th"):
        assert found["scope"] in {"col", "row"}
    captions = len(page.having("caption"))
    assert captions == len(page.having("table")) - len(page.having("table", class_="bars"))
    assert [found["lang"] for found in page.having("html")] == ["en"]
    headings = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in pairwise(headings))
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_a_table_has_its_first_rows_as_html_and_all_of_them_as_data():
    rows = [(number, f"name {number}", None, 0.5, True) for number in range(1000, 1000 + FIRST_ROWS + 5)]
    page = read_page(data_table(DataTable("t", "A table", ("number", "name", "nothing", "share", "flag"), rows)))
    assert len(page.having("tr")) == FIRST_ROWS + 1
    assert "1,000 name 1000 – 0.5 yes" in page.text
    assert page.data["t"]["rows"] == [list(row) for row in rows]
    assert [kind for _, kind in page.data["t"]["columns"]] == ["number", "", "", "number", ""]


def test_numbers_that_a_browser_would_round_are_text():
    page = read_page(data_table(DataTable("t", "A table", ("n",), [(2**53 - 1,), (2**53 + 1,), (float("nan"),)])))
    assert page.data["t"]["rows"] == [[2**53 - 1], ["9,007,199,254,740,993"], ["nan"]]


def test_a_chart_has_its_numbers_as_text_and_sums_up_what_is_too_much():
    bars = [Bar(f"region-{number:02d}", (number, 1)) for number in range(20)]
    page = read_page(bar_chart(Chart("Rows", ("a", "b"), bars, max_bars=5)))
    assert len(page.having("tr")) == 5
    assert "region-19 a: 19 b: 1 20" in page.text
    assert "16 others" in page.text
    assert {found["aria-label"] for found in page.having("svg")} >= {"a 19, b 1"}


def test_each_of_the_catalogs_products_has_a_colour_of_its_own_and_own_products_have_one():
    names = tuple(f"product-{number:02d}" for number in range(len(CATALOG.products) + 5))
    page = read_page(bar_chart(Chart("Rows", names, [Bar("all", [1] * len(names)), Bar("more", [2] * len(names))])))
    style = asset("report.css")
    kinds = [found["class"].split()[-1] for found in page.having("span") if "key" in found.get("class", "").split()]
    assert len(kinds) == len(names)
    colours = [re.search(rf"^\.{kind} {{ fill: ([^;]+);", style, re.MULTILINE) for kind in kinds]
    assert all(colours), "a series without a colour is black"
    built_in = [found[1] for found in colours[: len(CATALOG.products)]]
    assert len(set(built_in)) == len(built_in)


def test_a_chart_of_nothing_has_no_bars():
    page = read_page(bar_chart(Chart("Rows", ("a",), [Bar("none", (0,))])))
    assert not page.having("rect")


def test_the_grid_of_scopes_shows_where_something_is_missing(tmp_path):
    rows = {"fc_functions": [{"function_name": "f"}, {"function_name": "g", "region_id": OTHER_REGION}]}
    page = report_of(write(tmp_path, rows, {"fc_triggers": Status.FAILED}))
    assert "account cn-hangzhou cn-shanghai 1000000000000001 ◐ 1/2 ✓ 1/1" in page.text
    assert REGION == "cn-hangzhou"
