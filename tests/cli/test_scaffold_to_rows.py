"""From an official package to rows, by the commands that docs/own-tables.md shows, in their own processes."""

from __future__ import annotations

import json
import re

import pytest
from anyio.from_thread import start_blocking_portal

from crawler.catalog import load_catalog
from crawler.config import parse_config
from tests.support.commands import acs_inventory
from tests.support.model_crawls import ModelCrawl, configuration
from tests.support.model_rows import compare
from tests.support.model_server import ModelCloud, serve_models

PACKAGE, ACTIONS = "alibabacloud-vpc20160428", ("DescribeVpcs", "DescribeRouteEntryList")
TABLES = ["vpc_vpcs", "vpc_route_entry_list"]


@pytest.fixture
def cloud():
    return ModelCloud(PACKAGE.replace("-", "_"))


def test_two_tables_of_a_package_that_nobody_prepared(tmp_path, cloud):
    code, said, _ = acs_inventory("catalog", "scaffold", PACKAGE, *ACTIONS, "--to", "my-tables", cwd=tmp_path)
    assert code == 0
    files = sorted(path.name for path in tmp_path.glob("my-tables/vpc/2016-04-28/*.toml"))
    assert "route_tables.toml" in files  # added: it gives the ID that a list of route entries needs
    assert all(name in said for name in files)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve_models(cloud)) as [url]:
        text = configuration({"vpc": url}, cloud, tmp_path / "my-tables", tmp_path / "snapshots", TABLES)
        config = tmp_path / "config.toml"
        config.write_text(text)
        config.chmod(0o600)

        def run(*arguments):
            code, out, err = acs_inventory(*arguments, "--config", str(config), cwd=tmp_path)
            assert code == 0, err
            return out, err

        _, warned = run("tables", "vpc_vpcs")
        assert warned.count("# check:") == len(files)
        confirm_all(tmp_path / "my-tables")
        shown, warned = run("tables", "vpc_*", "--json")
        assert {entry["table"] for entry in json.loads(shown)} == {f"vpc_{name[:-5]}" for name in files} - {
            "vpc_product"
        }
        assert "# check:" not in warned
        allowed, _ = run("policy")
        [statement] = json.loads(allowed)["Statement"]
        assert {"vpc:DescribeVpcs", "vpc:DescribeRouteTables", "vpc:DescribeRouteEntryList"} <= set(statement["Action"])
        assert "vpc" in run("plan")[0]
        run("crawl", "--no-progress")
        counted, _ = run("query", "SELECT count(*) AS n FROM vpc_route_entry_list", "--format", "json")
        assert json.loads(counted) == [{"n": 9}]
        done = ModelCrawl(cloud, parse_config(text, source="t", environ={}), None, tmp_path / "snapshots")
        operations = load_catalog([tmp_path / "my-tables"]).operations
        assert [compare(done, operations[table]) for table in TABLES] == [3, 9]


def confirm_all(folder):
    """Remove the marks, as a person does who finds every proposal right."""
    for path in folder.rglob("*.toml"):
        path.write_text(re.sub(r" # check:.*", "", path.read_text()))
