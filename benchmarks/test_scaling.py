"""The calculation of large crawls: its counts against the catalog, its times by hand."""

from __future__ import annotations

import pytest

from benchmarks import scaling
from benchmarks.scaling import (
    INVENTORIES,
    Inventory,
    Units,
    default_tables,
    markdown,
    medians,
    tables_with_others_below,
)
from crawler.catalog import load_catalog

UNITS = Units(start_s=1.0, scope_s=0.0001, request_s=0.0005, row_s=0.0002)


def test_the_counts_of_tables_and_lists_are_those_of_the_catalog():
    operations = load_catalog().operations
    tables = default_tables()
    assert len(tables) == scaling.TABLES
    assert sum(not operations[table].parents for table in tables) == scaling.ROOTS
    functions = {"fc_functions", "fc2_functions"}
    below = [table for table in tables if {parent.table for parent in operations[table].parents} & functions]
    assert len(below) == scaling.LISTS_OF_FUNCTION


def test_the_scopes_that_are_measured_send_no_requests_of_their_own_in_an_empty_cloud():
    roots, trees = tables_with_others_below()
    operations = load_catalog().operations
    assert set(roots) == {table for table in trees if not operations[table].parents}
    assert set(load_catalog().with_parents(trees)) == set(trees)
    assert len(trees) - len(roots) == scaling.TABLES - scaling.ROOTS


def test_scopes_requests_and_rows_add_up():
    inventory = Inventory(200)
    assert inventory.scopes == 13_250_000
    assert inventory.requests == 4_750_000 + 16_000_000
    assert inventory.rows == 4_000_000
    assert inventory.cpu_s(UNITS) == pytest.approx(1_325 + 10_375 + 800)


def test_each_process_takes_its_share_and_waits_for_all_roles():
    inventory = Inventory(0)
    alone, four = inventory.wall_s(UNITS, 1), inventory.wall_s(UNITS, 4)
    # 3,700 CPU seconds, 2,969 s of waiting for answers.
    assert alone == pytest.approx(1 + 206.2 + 3_700, rel=0.001)
    assert four == pytest.approx(1 + 206.2 + 3_700 * 1.05 / 4, rel=0.001)


def test_where_answers_are_waited_for_the_core_is_not_what_binds():
    fast = Units(0.0, 0.0, 0.0001, 0.0)
    assert Inventory(0).wall_s(fast, 2) == pytest.approx(206.2 + 4_750_000 * 0.08 / 128 / 2, rel=0.001)


def test_the_table_has_a_line_for_each_inventory():
    text = markdown(medians([UNITS, UNITS, Units(9, 9, 9, 9)]), 3, "2026-11-30")
    assert (
        "CPU time of a scope:\n0.10 ms, of a request: 0.50 ms, of a row: 0.20 ms, of the start of a process: 1.0 s."
        in text
    )
    lines = [line for line in text.splitlines() if line.startswith(tuple(f"| {title}" for title in INVENTORIES))]
    assert lines[1] == "| 200 functions an account | 20.8 M | 4 M | 3.5 h | 3.7 h | 1.0 h | 0.5 h | 0.3 h |"
    assert len(lines) == 3
