"""docs/reading.md: every block of the page runs."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from operator import attrgetter
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from crawler.catalog import load_catalog
from crawler.config import parse_config
from crawler.snapshot import LakeSettings, list_snapshots, open_lake, publish_lake, read_ledger, read_manifest
from tests.support.crawl_runner import SMALL, fast_cloud, site
from tests.support.few_files import RELEASED, write_both_layouts
from tests.support.lakes import add_checkpoints

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reading.md").read_text()
BLOCKS = dict(re.findall(r"<!-- ([\w-]+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


async def crawl_twice(place):
    async with site(place, fast_cloud(accounts=(SMALL,))) as cloud:
        for _ in range(2):
            await cloud.crawl(cloud.config(tables=["fc_functions", "fc_layers"]))
        return cloud.output


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """A folder with two snapshots of a cloud, and lake tables over the newer, with Delta's checkpoints.

    Among the files is a snapshot of 0.1.0, an older one of the same account.
    """
    place = tmp_path_factory.mktemp("reading")
    output = asyncio.run(crawl_twice(place))
    shutil.copytree(RELEASED, output, dirs_exist_ok=True, ignore=shutil.ignore_patterns("LATEST"))
    (place / "demo-snapshots").symlink_to(output)
    (place / "lake").symlink_to(output)
    manifest = read_manifest(output, "latest")
    schemas = {table: load_catalog().operations[table].schema for table in manifest.tables}
    publish_lake(open_lake(LakeSettings("iceberg", output)), manifest, schemas, read_ledger(output, manifest))
    add_checkpoints(output)
    return place


@pytest.fixture(scope="module")
def both_layouts(tmp_path_factory):
    """A folder with a snapshot of 0.1.0, and a newer one with the same rows in few files."""
    place = tmp_path_factory.mktemp("both")
    write_both_layouts(place / "snapshots")
    (place / "demo-snapshots").symlink_to(place / "snapshots")
    return place


@pytest.fixture(params=["crawled", "both_layouts"])
def folder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def manifest(folder):
    return read_manifest(folder / "snapshots", "latest")


def typed(folder, name):
    """The output of a block of Python."""
    command = [sys.executable, "-W", "error", "-c", BLOCKS[name]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_block_of_the_page_is_tried():
    here = {"duckdb-latest", "duckdb-views", "polars", "polars-history", "pyarrow", "pyspark", "iceberg", "delta"}
    assert {name for name in BLOCKS if "bucket" not in name} == here


def files_opened(connection, sql):
    """The number of files that a scan of DuckDB opens, by its profile."""
    plan = connection.execute(f"EXPLAIN ANALYZE {sql}").fetchall()[0][1]
    return sum(int(number) for number in re.findall(r"Total Files Read:\s+(\d+)", plan))


def snapshots_of(folder):
    """Every snapshot of a folder: its ID and its manifest, the newest last."""
    root = folder / "snapshots"
    return {found.snapshot_id: read_manifest(root, found.snapshot_id) for found in list_snapshots(root)}


def test_duckdb_shows_the_latest_snapshot_with_accounts_as_text(folder, manifest, monkeypatch):
    monkeypatch.chdir(folder)
    with duckdb.connect() as connection:
        *setup, question = BLOCKS["duckdb-latest"].strip().removesuffix(";").split(";\n")
        for statement in setup:
            connection.execute(statement)
        rows = connection.execute(question).fetchall()
        asked = {table: f"SELECT count(*), any_value(snapshot_id) FROM latest('{table}')" for table in manifest.tables}
        found = {table: connection.execute(sql).fetchone() for table, sql in asked.items()}
        opened = {table: files_opened(connection, sql) for table, sql in asked.items()}
    assert found == {table: (kept.rows, manifest.snapshot_id) for table, kept in manifest.tables.items()}
    assert len(found) == 2
    assert sum(row[-1] for row in rows) == manifest.tables["fc_functions"].rows
    assert {row[0] for row in rows} == {SMALL}
    assert opened == {table: len(kept.files) for table, kept in manifest.tables.items()}


def test_duckdb_opens_no_file_of_another_snapshot(folder, manifest, tmp_path, monkeypatch):
    """Every other snapshot's files are broken: a reader that opens one fails."""
    shutil.copytree(folder / "snapshots", tmp_path / "demo-snapshots")
    monkeypatch.chdir(tmp_path)
    others = [kept for snapshot_id, kept in snapshots_of(folder).items() if snapshot_id != manifest.snapshot_id]
    for file in [file for kept in others for table in kept.tables.values() for file in table.files]:
        (tmp_path / "demo-snapshots" / file.path).write_bytes(b"broken")
    assert others
    setup = BLOCKS["duckdb-latest"].strip().split(";\n")
    with duckdb.connect() as connection:
        for statement in setup[:-1]:
            connection.execute(statement)
        rows = connection.execute("SELECT count(*) FROM latest('fc_functions')").fetchone()
    assert rows == (manifest.tables["fc_functions"].rows,)
    assert len(typed(tmp_path, "duckdb-views").split(",")) >= len(manifest.tables)
    with duckdb.connect(tmp_path / "inventory.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM fc_functions_latest").fetchone() == rows


def test_duckdb_variable_that_is_not_set_is_the_error_that_the_page_names(folder):
    macro = next(text for text in BLOCKS["duckdb-latest"].split(";\n") if "MACRO" in text)
    [named] = re.findall(r"The error `(.+?)`", PAGE)
    with duckdb.connect() as connection:
        connection.execute(macro)
        with pytest.raises(duckdb.Error, match=named):
            connection.execute("FROM latest('fc_functions')")


def test_the_database_has_a_view_for_each_table_of_the_latest_snapshot(folder, manifest):
    latest = folder / "snapshots/_snapshots/LATEST"
    try:
        for snapshot_id, kept in snapshots_of(folder).items():
            latest.write_text(f"{snapshot_id}\n")
            shown = typed(folder, "duckdb-views")
            with duckdb.connect(folder / "inventory.duckdb", read_only=True) as connection:
                [tags] = connection.execute("SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL").fetchone()
                assert tags == {"storage_version": "v1.0.0+"}, "an older DuckDB opens it"
                for table, entry in kept.tables.items():
                    assert f"{table}_latest" in shown
                    asked = f"SELECT count(*), any_value(snapshot_id) FROM {table}_latest"
                    assert connection.execute(asked).fetchone() == (entry.rows, snapshot_id)
    finally:
        latest.write_text(f"{manifest.snapshot_id}\n")


def test_polars_reads_all_snapshots_with_the_newest_columns(folder):
    shown = dict(re.findall(r"│ (\S+) +┆ (\d+) +│", typed(folder, "polars-history")))
    rows = {snapshot_id: kept.tables["fc_functions"].rows for snapshot_id, kept in snapshots_of(folder).items()}
    assert {snapshot_id: int(number) for snapshot_id, number in shown.items()} == rows
    assert len(rows) > 1


@pytest.fixture
def two_releases(tmp_path, monkeypatch):
    """A table of two snapshots, the second from a release that has a column more, and a field in a struct."""
    old = pa.table({"snapshot_id": ["old"], "vpc": [{"id": "v"}]})
    new = pa.table({"snapshot_id": ["new"], "added": ["a"], "vpc": [{"id": "v", "zone": "z"}]})
    for day, content in (("2026-11-20", old), ("2026-11-21", new)):
        part = tmp_path / f"demo-snapshots/fc_functions/snapshot_date={day}/snapshot={day}/part-00000.parquet"
        part.parent.mkdir(parents=True)
        pq.write_table(content, part)
    monkeypatch.chdir(tmp_path)
    return part


def test_patterns_over_snapshots_of_two_releases_have_the_newer_columns(two_releases):
    """A plain glob fails in Polars, and leaves out the newer columns in DuckDB and pyarrow."""
    [history] = re.findall(r"^History: `(.+?)`", PAGE, re.MULTILINE)
    rows = duckdb.sql(f"SELECT snapshot_id, added, vpc.zone FROM {history} ORDER BY ALL").fetchall()
    assert rows == [("new", "a", "z"), ("old", None, None)]
    code = BLOCKS["polars-history"].split("print(")[0] + "print(functions.collect().to_dicts())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert eval(shown) == [
        {"snapshot_id": "old", "added": None, "vpc": {"id": "v", "zone": None}},
        {"snapshot_id": "new", "added": "a", "vpc": {"id": "v", "zone": "z"}},
    ]
    folder = "demo-snapshots/fc_functions"
    assert "added" not in pyarrow.dataset.dataset(folder, format="parquet").schema.names
    schema = pq.read_schema(two_releases)
    read = pyarrow.dataset.dataset(folder, schema=schema, format="parquet").to_table().sort_by("snapshot_id")
    assert read["added"].to_pylist() == ["a", None]
    [both] = re.findall(r"^\| Polars \| .*?`(.+?)`", PAGE, re.MULTILINE)
    assert 'missing_columns="insert", extra_columns="ignore"' in both


def test_polars_shows_the_latest_snapshot_with_accounts_as_text(folder, manifest):
    shown = typed(folder, "polars")
    numbers = Counter(map(int, re.findall(r"┆ (\d+) +│", shown)))
    assert sum(number * times for number, times in numbers.items()) == manifest.tables["fc_functions"].rows
    assert re.search(r"│ str +┆ str +┆ u32", shown)


def test_pyarrow_counts_by_the_manifest(folder, manifest):
    assert typed(folder, "pyarrow") == f"{manifest.tables['fc_functions'].rows} string\n"


def rows_by_snapshot(reader, text):
    """How many rows of each snapshot a reader finds, by its text in the note."""
    if reader == "DuckDB":
        return dict(duckdb.sql(f"SELECT snapshot_id, count(*) FROM {text} GROUP BY ALL").fetchall())
    found = eval(text, {"scan_parquet": pl.scan_parquet, "dataset": pyarrow.dataset.dataset})
    rows = found.collect() if reader == "Polars" else pl.from_arrow(found.to_table(columns=["snapshot_id"]))
    return dict(Counter(rows["snapshot_id"]))


@pytest.mark.parametrize("reader", ["DuckDB", "Polars", "pyarrow"])
def test_the_upgrade_note_reads_both_layouts_or_the_new_one(both_layouts, monkeypatch, reader):
    monkeypatch.chdir(both_layouts / "snapshots")
    rows = {found.snapshot_id: read_manifest(Path(), found.snapshot_id) for found in list_snapshots(Path())}
    rows = {snapshot_id: manifest.tables["fc_functions"].rows for snapshot_id, manifest in rows.items()}
    newest = read_manifest(Path(), "latest").snapshot_id
    [(both, new)] = re.findall(rf"^\| {reader} \| .*?`(.+?)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows_by_snapshot(reader, both) == rows
    assert len(rows) == 2
    if pattern := re.search(r"`(snapshot_date=.+)`", new):
        narrower = re.sub(r"snapshot_date=[*/]+\.parquet", pattern[1], both)
        assert narrower != both
        assert rows_by_snapshot(reader, narrower) == {newest: rows[newest]}


def test_the_pattern_of_0_1_misses_the_new_files_as_the_note_says(both_layouts):
    [old] = re.findall(r"pattern of five levels \(`(.+?)`\)", PAGE)
    root = both_layouts / "snapshots"
    oldest, newest = sorted(
        (read_manifest(root, found.snapshot_id) for found in list_snapshots(root)), key=attrgetter("format")
    )
    found = {path.relative_to(root) for path in root.glob(f"*/{old}")}
    assert found == {Path(file.path) for table in oldest.tables.values() for file in table.files}
    assert (oldest.format, newest.format) == (1, 2)


def test_iceberg_is_read_and_travels_in_time(crawled):
    manifest = read_manifest(crawled / "snapshots", "latest")
    here, *then = typed(crawled, "iceberg").splitlines()
    assert 0 < int(here) < manifest.tables["fc_functions"].rows
    assert then == [f"{manifest.snapshot_id} {manifest.tables['fc_functions'].rows}"]


def test_delta_is_read_and_travels_in_time(crawled):
    manifest = read_manifest(crawled / "snapshots", "latest")
    here, *then = typed(crawled, "delta").splitlines()
    assert 'Field(account_id, PrimitiveType("string")' in here
    assert int(here.split()[0]) == len(manifest.tables["fc_functions"].files)
    assert then == [f"0 {manifest.snapshot_id}"]


def test_configuration_that_is_shown_loads():
    account = '\n[[accounts]]\nid = "1"\n'
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    loaded = [parse_config(block + account, source="reading.md", environ={}) for block in blocks]
    assert loaded[0].output.is_bucket
    assert loaded[1].output.iceberg is not None
    assert json.dumps(loaded[1].public()["output"]["iceberg"]) == json.dumps(
        {"catalog_uri": "***", "warehouse": "lake", "namespace": "acs_inventory"}
    )
    assert loaded[2].output.lake.mode == "append"
