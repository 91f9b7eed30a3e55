"""The benchmark of what reads snapshots: its nights in both layouts, its questions, and that DuckDB finds the same."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product

import pyarrow.parquet as pq
import pytest

from benchmarks.audit import NOT_OF_DUCKDB, QUESTIONS, ROOT, ask, ask_duckdb, markdown
from benchmarks.by_duckdb import ANSWERS
from benchmarks.measure import Measured
from benchmarks.nights import ROWS_PER_SCOPE, Estate, write_nights
from crawler.snapshot import read_ledger, read_manifest, snapshot_ids

KINDS = {"distinct": True, "repeated": False}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Kind and layout → the nights of a small estate."""
    root = tmp_path_factory.mktemp("nights")
    found = {(kind, layout): root / f"{kind}-{layout}" for kind, layout in product(KINDS, (1, 2))}
    for (kind, layout), store in found.items():
        write_nights(store, Estate(4, 3, 4, KINDS[kind]), layout, root / "pool")
    return found


def output(*arguments):
    command = [sys.executable, "-m", "crawler", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_nights_are_snapshots_with_the_same_differences_in_both_layouts(stores, kind):
    one, two = (stores[kind, layout] for layout in (1, 2))
    for store in (one, two):
        output("snapshots", "verify", "--output", str(store))
    found = json.loads(output("diff", "--json", "--output", str(two)))
    assert found == json.loads(output("diff", "--json", "--output", str(one)))
    assert found["tables"].keys() == ROWS_PER_SCOPE.keys()
    for changes in ("added", "removed", "changed"):
        assert sum(len(table[changes]) for table in found["tables"].values()) > 5
    differences = sum(
        len(table[kind]) for table in found["tables"].values() for kind in ("added", "removed", "changed")
    )
    assert ANSWERS["diff --json"](two, one) == differences


def test_an_estate_has_its_accounts_and_regions_in_few_files_or_in_a_file_each(stores):
    for (_, layout), store in stores.items():
        for snapshot_id in snapshot_ids(store):
            manifest = read_manifest(store, snapshot_id)
            assert manifest.format == layout
            ledger = list(read_ledger(store, manifest))
            assert len(ledger) == 4 * 3 * len(ROWS_PER_SCOPE)
            for table, entry in manifest.tables.items():
                assert len(entry.files) == (1 if layout == 2 else 12)
                assert entry.rows == sum(row.rows for row in ledger if row.table == table)
                assert 0.6 < entry.rows / (ROWS_PER_SCOPE[table] * 12 * 4) < 1.4


def test_only_the_distinct_nights_have_other_values_in_each_row(stores):
    def arns(kind):
        [path, _] = sorted(stores[kind, 2].glob("fc_functions/**/*.parquet"))
        return set(pq.read_table(path, partitioning=None)["function_arn"].to_pylist()) - {None}

    assert len(arns("distinct")) > 500
    assert len(arns("repeated")) <= 20


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_answered_by_the_command_and_but_for_the_report_by_duckdb(stores, question, tmp_path):
    store = stores["distinct", 2]
    measured = ask(ROOT, question, store, tmp_path)
    assert measured.cpu_s > 0.2
    ours = sum(path.stat().st_size for path in (tmp_path / "files").iterdir())
    theirs = ask_duckdb(question, store, tmp_path)
    assert (theirs is None) == (question in NOT_OF_DUCKDB)
    if question.startswith("export"):
        assert 0.5 < ours / sum(path.stat().st_size for path in (tmp_path / "files").iterdir()) < 2


def test_the_table_compares_the_answers_of_a_round():
    slow, fast = Measured(3.0, 4.0, 200.0), Measured(1.5, 1.0, 100.0)
    text = markdown({"diff": {"old": [slow, slow], "new": [fast, fast]}}, ["of today"])
    assert text.splitlines()[0] == "of today"
    assert "| diff | old | 3.00 | 1.00 | 4.0 | 200 |" in text
    assert "| diff | new | 1.50 | 0.50 | 1.0 | 100 |" in text
