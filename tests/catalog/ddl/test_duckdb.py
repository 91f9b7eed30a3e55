"""DuckDB's script runs: macros that follow LATEST and views of one snapshot have the columns of the files."""

from __future__ import annotations

import json
import re

import duckdb
import pyarrow.parquet as pq
import pytest

from crawler.catalog.ddl.model import DescribedTable
from crawler.catalog.ddl.script import script_text
from tests.support.ddl_scripts import CATALOG, ID, TABLES, bare, request

OLD, OLD_DATE = "20261120T020000Z-0a0a", "2026-11-20"


def write(root, snapshot_id, date, tables):
    """A snapshot without rows, its manifest and its ledger; LATEST names it. Quotes and blanks in paths are allowed."""
    manifest = {"tables": {}}
    for name, schema in tables.items():
        path = f"{name}/snapshot_date={date}/snapshot={snapshot_id}/part-00000.parquet"
        (root / path).parent.mkdir(parents=True)
        pq.write_table(schema.empty_table(), root / path)
        manifest["tables"][name] = {"files": [{"path": path}]}
    (root / "_snapshots").mkdir(exist_ok=True)
    pq.write_table(
        CATALOG.operations["fc_layers"].schema.empty_table(), root / f"_snapshots/{snapshot_id}.scopes.parquet"
    )
    (root / f"_snapshots/{snapshot_id}.json").write_text(json.dumps(manifest))
    (root / "_snapshots/LATEST").write_text(f"{snapshot_id}\n")
    return manifest


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """An output with all tables of the catalog. The older snapshot has one table, without its last columns."""
    root = tmp_path_factory.mktemp("it's  here")
    schema = CATALOG.operations["fc_layers"].schema
    write(root, OLD, OLD_DATE, {"fc_layers": schema.remove(schema.get_field_index("license"))})
    return root, write(root, ID, "2026-11-21", {name: CATALOG.operations[name].schema for name in TABLES})


def columns(connection, source):
    return bare(connection.sql(f"FROM {source}").to_arrow_table().schema)


@pytest.mark.parametrize("pinned", [False, True])
def test_every_table_has_the_columns_of_its_files_with_the_key_first(output, pinned):
    root, manifest = output
    asked = request("duckdb", pinned=pinned, location=str(root))
    for table in asked.tables:
        object.__setattr__(table, "files", [file["path"] for file in manifest["tables"][table.name]["files"]])
    with duckdb.connect() as connection:
        connection.execute(script_text("duckdb", asked))
        for table in asked.tables:
            sources = [f"{table.name}_latest"] if pinned else [f"{table.name}_latest()", f"{table.name}()"]
            for source in sources:
                found = columns(connection, source)
                assert found.names[: 2 + len(table.key)] == ["account_id", "region_id", *table.key]
                assert {field.name: field.type for field in found} == {
                    field.name: field.type for field in bare(table.schema)
                }


def test_macro_follows_latest_after_the_variables_are_set_again(output):
    root, _ = output
    text = script_text("duckdb", request("duckdb", ["fc_layers"], location=str(root)))
    latest = root / "_snapshots/LATEST"
    with duckdb.connect() as connection:
        connection.execute(text)
        assert "license" in columns(connection, "fc_layers_latest()").names
        latest.write_text(f"{OLD}\n")
        try:
            connection.execute(text)
        finally:
            latest.write_text(f"{ID}\n")
        assert "license" not in columns(connection, "fc_layers_latest()").names
        assert "license" in columns(connection, "fc_layers()").names


def test_macros_need_no_files_and_views_need_a_ledger(output):
    """The catalog has tables that a crawl didn't ask for: the script of all tables runs all the same."""
    root, _ = output
    tables = [DescribedTable("own_things", "Things", CATALOG.operations["fc_layers"].schema, {}, ["account_id"], ())]
    asked = request("duckdb", ["fc_layers"], location=str(root))
    object.__setattr__(asked, "tables", [*asked.tables, *tables])
    with duckdb.connect() as connection:
        connection.execute(script_text("duckdb", asked))
        assert "license" in columns(connection, "fc_layers_latest()").names
        assert connection.sql("FROM scopes_latest()").fetchall() == []
    pinned = request("duckdb", [], pinned=True, location=str(root))
    with duckdb.connect() as connection:
        connection.execute(script_text("duckdb", pinned))
        assert connection.sql("FROM scopes_latest").fetchall() == []


def test_script_says_how_to_use_it():
    head = [line for line in script_text("duckdb", request("duckdb", ["fc_layers"])).splitlines() if line[:2] == "--"]
    assert re.fullmatch(r"-- acs-inventory : duckdb, 1 table, all snapshots", head[0])
    assert "run it at the start of each session" in head[-1]
