"""`tables --ddl` and `tables --dbt`: the options, the snapshot, the location and the file, as users type them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil

import duckdb
import pytest
import yaml

from crawler.catalog import Catalog, load_catalog
from crawler.cli.options import CommonOptions
from crawler.cli.tables.scripts import ScriptOptions, write_script
from crawler.snapshot import read_manifest
from tests.support import command_server, extra_catalog
from tests.support.crawl_runner import SMALL, fast_cloud, site
from tests.support.few_files import RELEASED

CATALOG = load_catalog()
ENVIRON = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


async def crawl(place):
    async with site(place, fast_cloud(accounts=(SMALL,))) as cloud:
        await cloud.crawl(cloud.config(tables=["fc_functions", "fc_layers"]))
        return cloud.output


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The output of a crawl of two tables."""
    return asyncio.run(crawl(tmp_path_factory.mktemp("scripts")))


@pytest.fixture
def run(tmp_path):
    """Run `tables` with these arguments: exit code, stdout, stderr."""

    def show(*arguments):
        done = command_server.run(["tables", *map(str, arguments)], cwd=tmp_path, env=ENVIRON)
        return done.returncode, done.stdout, done.stderr

    return show


def test_views_of_the_latest_snapshot_hold_its_rows(run, output, tmp_path):
    manifest = read_manifest(output, "latest")
    code, text, errors = run("--ddl", "duckdb", "--output", output, "--snapshot", "latest")
    assert (code, errors) == (0, "")
    with duckdb.connect(tmp_path / "inventory.duckdb") as connection:
        connection.execute(text)
        views = {
            name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
        assert views == {"fc_functions_latest", "fc_layers_latest", "scopes_latest"}
        for table, entry in manifest.tables.items():
            assert connection.execute(f"SELECT count(*) FROM {table}_latest").fetchone() == (entry.rows,)
        assert connection.execute("SELECT count(*) FROM scopes_latest").fetchone() == (manifest.scopes.total,)


def test_macros_of_all_tables_run_over_an_output_that_has_two(run, output):
    code, text, _ = run("--ddl", "duckdb", "--output", output)
    assert code == 0
    manifest = read_manifest(output, "latest")
    with duckdb.connect() as connection:
        connection.execute(text)
        for table, entry in manifest.tables.items():
            assert connection.execute(f"SELECT count(*) FROM {table}_latest()").fetchone() == (entry.rows,)
        assert connection.execute("SELECT count(*) FROM scopes_latest()").fetchone() == (manifest.scopes.total,)


@pytest.mark.parametrize("dialect", ["spark", "hive", "trino", "starrocks"])
def test_only_tables_of_the_snapshot_are_described(run, output, dialect):
    manifest = read_manifest(output, "latest")
    code, text, _ = run("--ddl", dialect, "--output", output, "--snapshot", "latest", "--location", "s3://b/p/")
    assert code == 0
    assert "s3://b/p/fc_layers" in text
    assert "p//" not in text
    assert text.count("fc_layers_latest") >= 1
    assert "fc_aliases" not in text
    assert manifest.snapshot_id in text


def test_several_tables_can_be_named(run):
    """As `export` takes them. A list of them has each table once, in the catalog's order."""
    code, text, errors = run("fc_triggers", "fc_layers", "fc_l*", "--ddl", "spark", "--location", "s3://b/p")
    assert (code, errors) == (0, "")
    assert re.findall(r"CREATE TABLE IF NOT EXISTS acs_inventory\.(\w+)", text) == [
        "fc_layer_versions",
        "fc_layers",
        "fc_triggers",
    ]
    _, text, _ = run("fc_triggers", "fc_layers", "--json")
    assert [table["table"] for table in json.loads(text)] == ["fc_layers", "fc_triggers"]
    _, text, _ = run("fc_triggers", "--json")
    assert json.loads(text)["table"] == "fc_triggers"
    code, _, errors = run("fc_triggers", "fc_nothing")
    assert code == 2
    assert "fc_nothing" in errors


def test_local_output_is_a_uri_for_engines(run, output, tmp_path):
    _, text, _ = run("fc_layers", "--ddl", "spark", "--output", output)
    assert f"LOCATION '{output.resolve().as_uri()}/fc_layers'" in text


def test_schema_is_the_one_that_is_given(run):
    _, text, _ = run("fc_layers", "--ddl", "spark", "--location", "s3://b/p", "--schema", "order")
    assert "CREATE TABLE IF NOT EXISTS `order`.fc_layers" in text
    _, text, _ = run(
        "fc_layers", "--ddl", "maxcompute", "--location", "oss://oss-x.aliyuncs.com/b", "--schema", "inventory"
    )
    assert "CREATE EXTERNAL TABLE IF NOT EXISTS inventory.fc_layers" in text
    _, text, _ = run("fc_layers", "--ddl", "maxcompute", "--location", "oss://oss-x.aliyuncs.com/b")
    assert "CREATE EXTERNAL TABLE IF NOT EXISTS fc_layers" in text


def test_all_tables_that_can_be_crawled_are_described(run):
    _, text, _ = run("--ddl", "hive", "--location", "s3://b/p")
    for name, operation in CATALOG.operations.items():
        assert (f"acs_inventory.{name} " in text) == (operation.selection != "out")


def test_tables_of_ones_own_are_described(run, tmp_path):
    extra_catalog.write(tmp_path / "extra")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[catalog]\nextra = ["{tmp_path}/extra"]\n[output]\nuri = "s3://bucket/own"\n[[accounts]]\nid = "1"\n'
    )
    config.chmod(0o600)
    code, text, errors = run("shop_*", "--ddl", "hive", "--config", config)
    assert (code, errors) == (0, "")
    assert "LOCATION 's3://bucket/own/shop_carts/'" in text
    code, text, _ = run("shop_carts", "--dbt", "--config", config)
    assert [table["name"] for table in yaml.safe_load(text)["sources"][0]["tables"]] == ["shop_carts"]


def test_snapshot_of_the_configured_output_may_have_own_tables(run, output, tmp_path):
    """The configuration in the working folder says where the snapshots are, so its tables count, too."""
    extra_catalog.write(tmp_path / "extra")
    config = tmp_path / "config.toml"
    config.write_text(f'[catalog]\nextra = ["{tmp_path}/extra"]\n[output]\nuri = "{output}"\n[[accounts]]\nid = "1"\n')
    config.chmod(0o600)
    code, text, errors = run("--ddl", "duckdb", "--snapshot", "latest")
    assert (code, errors) == (0, "")
    assert f"'{output}/_snapshots/" in text
    code, _, errors = run("shop_carts", "--ddl", "duckdb", "--snapshot", "latest")
    assert code == 2
    assert "has no table that matches 'shop_carts'" in errors


def test_pattern_without_a_table_of_the_snapshot_is_one_sentence(run, output):
    code, _, errors = run("fc_aliases", "--ddl", "spark", "--output", output, "--snapshot", "latest")
    assert code == 2
    assert "has no table that matches 'fc_aliases'" in errors


def test_table_that_the_catalog_lacks_is_left_out_with_a_warning(output, monkeypatch, capsys):
    operations = {name: found for name, found in CATALOG.operations.items() if name != "fc_functions"}
    fewer = Catalog(CATALOG.products, operations)
    options = ScriptOptions("duckdb", False, None, None, "latest", None, str(output), None)
    write_script(CommonOptions(), fewer, None, options)
    shown = capsys.readouterr()
    assert "left out, since the catalog doesn't have them: fc_functions; --config names" in shown.err
    assert "fc_layers_latest" in shown.out
    assert "fc_functions" not in shown.out


def test_snapshot_of_0_1_is_for_duckdb_only(run, tmp_path):
    released = tmp_path / "released"
    shutil.copytree(RELEASED, released)
    code, text, _ = run("--ddl", "duckdb", "--output", released, "--snapshot", "newest")
    assert code == 0
    with duckdb.connect() as connection:
        connection.execute(text)
        assert connection.execute("SELECT count(*) > 0 FROM fc_functions_latest").fetchone() == (True,)
    code, _, errors = run("--ddl", "spark", "--output", released, "--snapshot", "newest")
    assert code == 2
    assert "has the layout of version 0.1, a folder per account and region" in errors


def test_file_is_written_and_replaced(run, tmp_path):
    for _ in range(2):
        code, text, _ = run("fc_layers", "--dbt", "--to", tmp_path / "sources.yml")
        assert (code, text) == (0, "")
    assert yaml.safe_load((tmp_path / "sources.yml").read_text())["version"] == 2
    code, _, errors = run("fc_layers", "--dbt", "--to", tmp_path / "no/sources.yml")
    assert code in {2, 4}
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ddl", "spark"], "--ddl needs --location URI, the output as the engine reaches it; or --output URI."),
        (["--ddl", "spark", "--dbt"], "--ddl and --dbt are two kinds of result; give one."),
        (["--dbt", "--location", "s3://b"], "--location is for --ddl; dbt's sources are the views that --ddl creates."),
        (["--dbt", "--snapshot", "latest"], "--snapshot is for --ddl; dbt's sources are the views that --ddl creates."),
        (["--location", "s3://b"], "--location needs --ddl DIALECT or --dbt."),
        (["--to", "x"], "--to needs --ddl DIALECT or --dbt."),
        (["--schema", "x"], "--schema needs --ddl DIALECT or --dbt."),
        (["--dbt", "--json"], "--ddl and --dbt print SQL and YAML; give no --json and no --check-sdk."),
        (["nope", "--dbt"], "No table is called or matches 'nope'"),
        (["--ddl", "athena", "--location", "oss://b"], "Athena reads Amazon S3 only: --location s3://BUCKET/PREFIX"),
    ],
)
def test_wrong_use_is_one_sentence(run, arguments, message):
    code, text, errors = run(*arguments)
    assert (code, text) == (2, "")
    assert message in errors
    assert "Traceback" not in errors
