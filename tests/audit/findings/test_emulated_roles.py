"""The findings on roles and instances over a crawl of the emulator, against what its clouds were made of."""

from __future__ import annotations

import anyio
import pytest

from crawler.audit.column_order import catalog_keys
from crawler.audit.database import open_snapshot
from crawler.audit.findings import Coverage, evaluate_findings, load_findings
from crawler.audit.query import run_query
from crawler.audit.sql_errors import TableNames
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site
from tests.support.written_snapshots import CATALOG

REGIONS = ("ap-southeast-1", "cn-shanghai")
TABLES = [
    "fc_functions",
    "fc2_services",
    "fc_triggers",
    "fc2_triggers",
    "ram_*",
    "searchengine_instances",
    "fcsandbox_*",
]
FINDINGS = {finding.name: finding for finding in load_findings()}
# The emulator's roles by what their policies allow, written a second time.
ADMINISTRATORS = {"fc-report", "fc-default"}
PASSING = ADMINISTRATORS | {"fc-invoice"}
READING = ADMINISTRATORS | {"fc-audit", "fc-search"}
UNUSED = {"fc-legacy-export", "fc-old-migration"}


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """A crawl of the default cloud in two regions: the site, with its rows, and the snapshot."""

    async def crawl():
        async with site(tmp_path_factory.mktemp("roles"), fast_cloud(regions=REGIONS)) as place:
            result = await place.crawl(place.config(tables=TABLES))
            return place, open_snapshot(place.output, result.manifest.snapshot_id)

    return anyio.run(crawl)


def ask(crawled, name):
    [outcome] = evaluate_findings(crawled[1], [FINDINGS[name]], CATALOG)
    assert (outcome.coverage, outcome.gaps) == (Coverage.COMPLETE, ())
    return [dict(zip(outcome.columns, row, strict=True)) for row in outcome.rows]


def users(place, names):
    """The functions and services of roles with these names."""
    rows = [*place.rows("fc_functions"), *place.rows("fc2_services")]
    roles = {f"acs:ram::{account}:role/{name}" for account in (BIG, SMALL) for name in names}
    return {
        (row["account_id"], row["region_id"], row.get("function_name") or f"{row['service_name']}/", row["role"])
        for row in rows
        if row["role"] in roles
    }


@pytest.mark.parametrize(
    ("finding", "names"),
    [
        ("administrator_roles", ADMINISTRATORS),
        ("roles_that_pass_roles", PASSING),
        ("roles_that_read_all_buckets", READING),
    ],
)
def test_exactly_the_users_of_the_emulators_strong_roles_are_found(crawled, finding, names):
    found = {
        (row["account_id"], row["region_id"], row["function_or_service"], row["role"]) for row in ask(crawled, finding)
    }
    assert found == users(crawled[0], names)
    assert {role.rpartition("/")[2] for *_, role in found} == names


def test_the_emulators_roles_for_functions_that_nothing_uses_are_found(crawled):
    found = {(row["account_id"], row["role"]) for row in ask(crawled, "unused_roles")}
    assert found == {(account, name) for account in (BIG, SMALL) for name in UNUSED}
    assert ask(crawled, "missing_roles") == []


def test_the_emulators_role_of_triggers_may_do_more_than_their_sources_need(crawled):
    rows = ask(crawled, "wide_invocation_roles")
    place = crawled[0]
    triggers = [*place.rows("fc_triggers"), *place.rows("fc2_triggers")]
    named = [row for row in triggers if row["invocation_role"]]
    assert sum(row["triggers"] for row in rows) == len(named)
    assert {row["trigger_type"] for row in rows} == {row["trigger_type"] for row in named}
    assert {(row["policies"], row["first_ten_actions"]) for row in rows} == {("AliyunOSSFullAccess", "oss:*")}


def test_the_emulators_instances_are_found_by_their_whitelist_and_their_payment(crawled):
    instances = crawled[0].rows("searchengine_instances")
    public = {row["instance_id"] for row in ask(crawled, "searchengine_public")}
    assert public == {row["instance_id"] for row in instances if "0.0.0.0/0" in (row["network"]["allow"] or "")}
    locked = {row["instance_id"] for row in ask(crawled, "searchengine_locked")}
    assert locked == {row["instance_id"] for row in instances if row["in_debt"]}
    assert public
    assert locked
    assert len(public | locked) < len(instances)


def test_the_sql_that_a_report_shows_runs_as_a_query(crawled):
    """The report says so under each finding, also of those that begin with shared expressions."""
    snapshot = crawled[1]
    for name in ("administrator_roles", "unused_roles", "wide_invocation_roles", "searchengine_public"):
        with run_query(snapshot, FINDINGS[name].sql, TableNames(snapshot, lambda: catalog_keys(CATALOG))) as rows:
            assert sum(batch.num_rows for batch in rows.batches) == len(ask(crawled, name))
