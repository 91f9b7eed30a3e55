"""A crawl of the search engine's tables: what is requested of which region, and what happens if a parent is gone."""

from __future__ import annotations

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.emulator import Deny, Error
from crawler.emulator.apis.operations import BY_NAME
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, scope_statuses, site
from tests.support.hostile_cloud import stage
from tests.support.secret_sweep import Sweep

CATALOG = load_catalog()
TABLES = {
    table: op for table, op in CATALOG.operations.items() if op.product == "searchengine" and op.selection != "out"
}
# Parameters that each request of an operation has, in addition to those of its pages and of its parent.
ALWAYS = {
    "ListDateSourceGenerations": {"validStatus"},
    "ListLogs": {"startTime", "endTime"},
    "ListTagResources": {"resourceType", "resourceId"},
}


def crawl(folder, cloud, **keys):
    async def main():
        async with site(folder, cloud) as here:
            return here, await here.crawl(here.config(**keys))

    return anyio.run(main)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    cloud = fast_cloud()
    here, result = crawl(tmp_path_factory.mktemp("whole"), cloud, tables=list(TABLES))
    return here, result, [entry for entry in cloud.requests.entries if entry.product == "searchengine"]


def test_only_the_product_s_regions_are_requested_and_the_others_are_named(whole):
    _, result, requests = whole
    assert {entry.region for entry in requests} == {"cn-hangzhou", "ap-southeast-1"}
    assert result.not_offered["searchengine"] == ("cn-shanghai",)
    assert result.exit_code == 0


@pytest.mark.parametrize("table", TABLES)
def test_no_request_narrows_a_list(whole, table):
    operation, emulated = TABLES[table], BY_NAME[f"searchengine.{TABLES[table].action}"]
    sent = {name for entry in whole[2] if entry.action == operation.action for name in entry.query}
    paging = {operation.paging.input_key, operation.paging.limit_key} - {""}
    assert sent <= paging | {*emulated.parent_query} | ALWAYS.get(operation.action, set())
    assert not sent & {*operation.filters}


def test_f157_a_standalone_instance_has_online_configurations_of_its_data_nodes_only(whole):
    """F160."""
    here, result, _ = whole
    standalone = {row["instance_id"] for row in here.rows("searchengine_instances") if row["no_qrs"]}
    nodes = {row["node_name"] for row in here.rows("searchengine_online_configs") if row["instance_id"] in standalone}
    assert standalone
    assert {name.rpartition("_")[2] for name in nodes} == {"searcher"}
    assert "searchengine_online_configs" not in {table for _, _, table in scope_statuses(result)}


def test_f158_an_instance_that_is_gone_leaves_empty_lists_and_a_complete_crawl(tmp_path):
    """F161."""
    cloud = fast_cloud(accounts=(BIG,))
    gone = Error(status=400, code="InstanceNotExist", message="instance not exit")
    cloud.faults.add(gone, product="searchengine", action="ListClusters")
    here, result = crawl(tmp_path, cloud, tables=["searchengine_instances", "searchengine_clusters"])
    assert (result.exit_code, scope_statuses(result)) == (0, {})
    assert here.rows("searchengine_clusters") == []
    assert len(here.rows("searchengine_instances")) == 5


def test_a_cluster_without_indexes_has_no_online_configurations(tmp_path):
    cloud = fast_cloud(accounts=(BIG,))
    empty = Error(status=400, code="ClusterNoIndex", message="cluster has not index")
    cloud.faults.add(empty, product="searchengine", action="ListOnlineConfigs")
    here, result = crawl(tmp_path, cloud, tables=["searchengine_online_configs"])
    assert (result.exit_code, here.rows("searchengine_online_configs")) == (0, [])


def test_an_account_without_the_permission_is_denied_with_its_name(tmp_path):
    cloud = fast_cloud()
    cloud.faults.add(Deny(), account=SMALL, product="searchengine", action="ListInstances")
    _, result = crawl(tmp_path, cloud, tables=["searchengine_instances", "searchengine_tables"])
    rows = [row for row in result.ledger if row.account_id == SMALL and row.table == "searchengine_instances"]
    assert {(str(row.status), row.error_code) for row in rows} == {("denied", "Forbidden.RAM")}
    assert all("searchengine:ListInstances" in row.error_message for row in rows)


def test_no_secret_of_the_product_gets_out_of_a_crawl_and_an_export(tmp_path):
    """T01, T08: markers in every secret column, in unknown fields and in other types."""
    with stage(tmp_path, list(TABLES), faulty=False) as here:
        asked = [("crawl", "--log-level", "debug")]
        asked += [
            ("export", "*", "--to", f"to-{kind}", "--format", kind, "--snapshot", "newest") for kind in ("csv", "jsonl")
        ]
        assert [here.run(*command).returncode for command in asked] == [0, 0, 0]
        assert Sweep().found_in_folder(here.out) == {}
        assert len(here.planter.planted) > 1000
