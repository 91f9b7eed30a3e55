"""Spark and dbt, in an environment of their own, run what `tables --ddl spark` and `tables --dbt` print.

The snapshot is one of the whole built-in cloud, so that most tables have rows.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import duckdb
import pytest

from crawler.snapshot import read_manifest
from tests.support import command_server

pytestmark = pytest.mark.trust

ROOT = Path(__file__).parents[2]
ENGINES = ROOT / ".engines/bin"
ENVIRON = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

# Runs each statement of a script, and prints the rows of each view, counted and read whole, as JSON.
SPARK = """
import json, re, sys
from pathlib import Path

from pyspark.sql import SparkSession

script, tables = Path(sys.argv[1]).read_text(), json.loads(sys.argv[2])
options = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.warehouse.dir": "warehouse",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:;databaseName=metastore;create=true",
}
builder = SparkSession.builder.master("local[2]")
for name, value in options.items():
    builder = builder.config(name, value)
spark = builder.enableHiveSupport().getOrCreate()
statements = [re.sub("^--.*\\n", "", text.strip(), flags=re.M).strip() for text in script.split(";\\n")]
for statement in filter(None, statements):
    spark.sql(statement)
found = {}
for table in tables:
    rows = spark.sql(f"SELECT * FROM acs_inventory.{table}_latest").collect()
    kinds = {type(row.account_id).__name__ for row in rows}
    found[table] = [len(rows), sorted({row.snapshot_id for row in rows}), sorted(kinds)]
made = [row.tableName for row in spark.sql("SHOW TABLES IN acs_inventory").collect()]
Path("found.json").write_text(json.dumps({"rows": found, "made": made}))
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    done = command_server.run(["demo", "--output", folder / "out", "--quiet"], cwd=folder, env=ENVIRON)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def script(output, target, *arguments):
    given = ["tables", *arguments, "--to", target]
    done = command_server.run(given, cwd=output, env=ENVIRON)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.parametrize("more", [(), ("--snapshot", "latest")], ids=["LATEST", "pinned"])
def test_spark_makes_every_table_and_reads_the_rows_of_the_snapshot(output, tmp_path, more):
    """The views follow LATEST, or show the snapshot that the script names."""
    manifest = read_manifest(output, "latest")
    written = script(output, tmp_path / "spark.sql", "--ddl", "spark", "--output", output, *more)
    (tmp_path / "run.py").write_text(SPARK)
    command = [ENGINES / "python", "run.py", written, json.dumps(list(manifest.tables))]
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert {table: rows for table, (rows, *_) in found["rows"].items()} == {
        table: entry.rows for table, entry in manifest.tables.items()
    }
    filled = [rest for rows, *rest in found["rows"].values() if rows]
    assert all(rest == [[manifest.snapshot_id], ["str"]] for rest in filled)
    assert len(found["made"]) == written.read_text().count("CREATE TABLE") * 2


def test_dbt_parses_the_sources_and_their_tests_pass_on_a_crawl(output, tmp_path):
    """Each test of a key is run against the views that `--ddl duckdb` makes."""
    manifest = read_manifest(output, "latest")
    views = script(
        output,
        tmp_path / "views.sql",
        "--ddl",
        "duckdb",
        "--output",
        output,
        "--snapshot",
        "latest",
        "--schema",
        "acs_inventory",
    )
    with duckdb.connect(tmp_path / "inventory.duckdb") as connection:
        connection.execute(views.read_text())
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text(
        'name: inventory\nversion: "1.0"\nprofile: inventory\nmodel-paths: [models]\n'
    )
    profile = {"type": "duckdb", "path": str(tmp_path / "inventory.duckdb"), "schema": "main"}
    (tmp_path / "profiles.yml").write_text(json.dumps({"inventory": {"target": "t", "outputs": {"t": profile}}}))
    script(output, tmp_path / "models/sources.yml", "--dbt")
    (tmp_path / "models/functions.sql").write_text(
        "select runtime, count(*) as functions from {{ source('acs_inventory', 'fc_functions') }} group by 1\n"
    )
    environ = {**ENVIRON, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "HOME": str(tmp_path)}
    crawled = [f"source:acs_inventory.{table}" for table in manifest.tables]
    for arguments in (["parse", "--show-all-deprecations"], ["run"], ["test", "--select", *crawled]):
        command = [ENGINES / "dbt", "--no-use-colors", *arguments, "--project-dir", ".", "--profiles-dir", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environ)
        assert done.returncode == 0, done.stdout[-3000:]
        assert "Deprecat" not in done.stdout
    assert " ERROR=0 " in done.stdout
    assert int(done.stdout.split("PASS=")[1].split()[0]) > 2 * len(manifest.tables)
