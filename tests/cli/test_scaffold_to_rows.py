"""From an official package to rows, by the commands that docs/own-tables.md shows, in their own processes."""

from __future__ import annotations

import json
import re

import pytest
from anyio.from_thread import start_blocking_portal

from crawler.catalog import load_catalog
from tests.support.commands import acs_inventory
from tests.support.model_crawls import ModelCrawl, configuration
from tests.support.model_rows import compare
from tests.support.model_server import ModelCloud, serve_models

PACKAGE, PRODUCT, ACTION = "alibabacloud-kms20160120", "kms", "ListKeyVersions"
TABLES = ["kms_keys", "kms_key_versions"]


@pytest.fixture
def cloud():
    return ModelCloud(PACKAGE.replace("-", "_"))


def test_two_tables_of_a_package_that_nobody_prepared(tmp_path, cloud):
    code, said, _ = acs_inventory("catalog", "scaffold", PACKAGE, ACTION, "--to", "my-tables", cwd=tmp_path)
    assert code == 0
    files = sorted(path.name for path in tmp_path.glob("my-tables/kms/2016-01-20/*.toml"))
    assert files == ["key_versions.toml", "keys.toml", "product.toml"]  # keys: they give the ID that the list needs
    assert all(name in said for name in files)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serve_models(cloud)) as [url]:
        text = configuration({PRODUCT: url}, cloud, tmp_path / "my-tables", tmp_path / "snapshots", TABLES)
        config = tmp_path / "config.toml"
        config.write_text(text)
        config.chmod(0o600)

        def run(*arguments):
            code, out, err = acs_inventory(*arguments, "--config", str(config), cwd=tmp_path)
            assert code == 0, err
            return out, err

        _, warned = run("tables", "kms_keys")
        assert warned.count("# check:") == len(files)
        confirm_all(tmp_path / "my-tables")
        shown, warned = run("tables", "kms_*", "--json")
        assert sorted(entry["table"] for entry in json.loads(shown)) == sorted(TABLES)
        assert "# check:" not in warned
        allowed, _ = run("policy")
        [statement] = json.loads(allowed)["Statement"]
        assert {"kms:ListKeys", "kms:ListKeyVersions"} <= set(statement["Action"])
        assert "kms" in run("plan")[0]
        run("crawl", "--no-progress")
        counted, _ = run("query", "SELECT count(*) AS n FROM kms_key_versions", "--format", "json")
        assert json.loads(counted) == [{"n": 9}]
        done = ModelCrawl(cloud, None, None, tmp_path / "snapshots")
        operations = load_catalog([tmp_path / "my-tables"]).operations
        assert [compare(done, operations[table]) for table in TABLES] == [3, 9]


def confirm_all(folder):
    """Remove the marks, as a person does who finds every proposal right."""
    for path in folder.rglob("*.toml"):
        path.write_text(re.sub(r" # check:.*", "", path.read_text()))
