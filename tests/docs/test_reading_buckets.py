"""docs/reading.md: every block for a bucket reads the tables of a crawl there, from a real S3 server."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import obstore
import pyiceberg.utils.config
import pytest
from obstore.fsspec import FsspecStore
from obstore.store import S3Store

from crawler.catalog import load_catalog
from crawler.snapshot import LakeSettings, open_lake, publish_lake, read_ledger, read_manifest
from crawler.snapshot.location import bucket_place
from tests.support import command_server
from tests.support.crawl_runner import SMALL, fast_cloud, site
from tests.support.lakes import Local
from tests.support.object_stores import BUCKET, KEY_ID, KEY_SECRET, s3_server

PAGE = (Path(__file__).parents[2] / "docs/reading.md").read_text()
BLOCKS = dict(re.findall(r"<!-- ((?:duckdb-)?bucket(?:-\w+)?) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))
PREFIX = "nightly"


async def crawl(place):
    async with site(place, fast_cloud(accounts=(SMALL,))) as cloud:
        await cloud.crawl(cloud.config(tables=["fc_functions", "fc_layers"]))
        return cloud.output


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """The manifest and the environment of a bucket with a crawl's output, and Iceberg and Delta tables over it."""
    output = asyncio.run(crawl(tmp_path_factory.mktemp("bucket")))
    manifest = read_manifest(output, "latest")
    Local("delta", output).publish(manifest.snapshot_id, schemas_of(manifest))
    with (
        tempfile.TemporaryDirectory() as folder,
        s3_server(Path(folder)) as server,
        pytest.MonkeyPatch.context() as env,
    ):
        environ = {**server, "AWS_REGION": "us-east-1"}
        catalog = "PYICEBERG_CATALOG__ACS_INVENTORY__"
        environ[f"{catalog}CREDENTIAL"] = f"{KEY_ID}:{KEY_SECRET}"
        environ[f"{catalog}OAUTH2_SERVER_URI"] = f"{server['CATALOG']}/v1/oauth/tokens"
        for name, value in environ.items():
            env.setenv(name, value)
        env.setattr("pyiceberg.catalog._ENV_CONFIG", pyiceberg.utils.config.Config())  # read once per process
        store = S3Store(BUCKET, endpoint=server["AWS_ENDPOINT_URL"], client_options={"allow_http": True})
        for path in output.rglob("*"):
            if path.is_file() and "_staging" not in path.parts:
                obstore.put(store, f"{PREFIX}/{path.relative_to(output)}", path.read_bytes())
        place = bucket_place(f"s3://{BUCKET}/{PREFIX}", environ, output)
        lake = open_lake(LakeSettings("iceberg", place, server["CATALOG"], "lake"))
        publish_lake(lake, manifest, schemas_of(manifest), read_ledger(output, manifest))
        yield manifest, environ


def schemas_of(manifest):
    catalog = load_catalog()
    return {table: catalog.operations[table].schema for table in manifest.tables}


def block(name):
    return BLOCKS[name].replace("bucket/prefix", f"{BUCKET}/{PREFIX}")


def typed(bucket, name):
    """The output of a block of Python."""
    command = [sys.executable, "-W", "error", "-c", block(name)]
    environ = {**os.environ, **bucket[1]}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_for_a_bucket_is_tried():
    assert BLOCKS.keys() == {"duckdb-bucket", "bucket", "bucket-delta", "bucket-iceberg"}


def test_duckdb_reads_the_files_of_the_manifest(bucket):
    """DuckDB's extension `httpfs` can't be installed here, so a file system of obstore takes its place."""
    manifest, environ = bucket
    install, load, secret, *rest = block("duckdb-bucket").strip().removesuffix(";").split(";\n")
    assert (install, load, secret[:30]) == ("INSTALL httpfs", "LOAD httpfs", "CREATE SECRET (TYPE s3, KEY_ID")
    with duckdb.connect() as connection:
        options = {"endpoint": environ["AWS_ENDPOINT_URL"], "client_options": {"allow_http": True}}
        connection.register_filesystem(FsspecStore("s3", **options))
        rows = [connection.execute(statement).fetchall() for statement in rest][-1]
        found = {t: connection.execute(f"SELECT count(*) FROM latest('{t}')").fetchone()[0] for t in manifest.tables}
    assert found == {table: entry.rows for table, entry in manifest.tables.items()}
    assert sum(row[-1] for row in rows) == manifest.tables["fc_functions"].rows


def test_command_writes_views_of_the_files_in_a_bucket(bucket, tmp_path):
    manifest, environ = bucket
    arguments = ["tables", "--ddl", "duckdb", "--output", f"s3://{BUCKET}/{PREFIX}", "--snapshot", "latest"]
    done = command_server.run(arguments, cwd=tmp_path, env={**os.environ, **environ})
    assert done.returncode == 0, done.stderr
    with duckdb.connect() as connection:
        options = {"endpoint": environ["AWS_ENDPOINT_URL"], "client_options": {"allow_http": True}}
        connection.register_filesystem(FsspecStore("s3", **options))
        connection.execute(done.stdout)
        found = {t: connection.execute(f"SELECT count(*) FROM {t}_latest").fetchone()[0] for t in manifest.tables}
    assert found == {table: entry.rows for table, entry in manifest.tables.items()}


def test_pyarrow_and_polars_read_the_files_of_the_manifest(bucket):
    counted, *shown = typed(bucket, "bucket").splitlines()
    number = bucket[0].tables["fc_functions"].rows
    assert counted == f"{number} string"
    assert sum(int(found[1]) for line in shown if (found := re.search(r"┆ (\d+) +│$", line))) == number


@pytest.mark.parametrize("name", ["bucket-delta", "bucket-iceberg"])
def test_lake_table_in_a_bucket_is_read(bucket, name):
    assert typed(bucket, name) == f"{bucket[0].tables['fc_functions'].rows}\n"
