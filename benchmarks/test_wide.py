"""The benchmark of a wide cloud: its figures, and that it measures the product that it is given."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from benchmarks.measure import Measured
from benchmarks.wide import ROOT, WideRun, check_rows, crawl_once, markdown, prepare
from benchmarks.wide_cloud import expected_rows

RUN = WideRun(Measured(10.0, 20.0, 150.0), 50, 1000, {"fc_functions": 3}, 40, 2_000_000, 5.0)


def test_a_crawl_of_a_reduced_cloud_has_its_rows_and_all_figures(tmp_path):
    run = crawl_once(ROOT, 2, 3, tmp_path)
    check_rows({"this": [run]}, expected_rows(2, 3, tmp_path / "wide.toml"))
    assert run.measured.peak_mb > 50
    assert run.measured.cpu_s > 0.3
    assert run.scopes > 200
    assert run.requests > run.scopes
    assert run.files >= len(run.rows)
    assert run.size_bytes > 1000 * run.files
    assert 0 < run.commit_s < run.measured.wall_s
    assert not (tmp_path / "output").exists()


@pytest.fixture
def other(tmp_path):
    """A product that ends with 3."""
    package = tmp_path / "other" / "crawler"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("print('the other product'); raise SystemExit(3)")
    return package.parent


def test_the_crawl_is_that_of_the_product(other, tmp_path):
    prepare(other)
    with pytest.raises(RuntimeError, match="ended with 3: the other product"):
        crawl_once(other, 1, 1, tmp_path)


def test_a_folder_without_a_product_is_refused(other):
    shutil.rmtree(other / "crawler")
    with pytest.raises(RuntimeError, match="has no package crawler"):
        prepare(other)


def test_rows_that_the_cloud_has_and_the_crawl_has_not_are_named():
    check_rows({"a": [RUN]}, {"fc_functions": 3})
    with pytest.raises(RuntimeError, match="a has other rows than the cloud in fc_functions, fc_layers"):
        check_rows({"a": [replace(RUN, rows={"fc_functions": 2})]}, {"fc_functions": 3, "fc_layers": 1})


def test_the_table_compares_the_runs_of_a_round_and_tells_the_share_of_the_commit():
    faster = replace(RUN, measured=Measured(5.0, 10.0, 100.0), files=4, commit_s=0.2)
    text = markdown({"old": [RUN, RUN], "new": [faster, faster]}, 20, 5, "2026-11-30")
    assert "20 accounts × 5 regions: 50 scopes, 1,000 requests, 3 rows in 1 tables." in text
    assert "| old | 10.0 | 1.00 | 20.0 | 150 | 40 | 2.0 | 5.00 | 25.0 |" in text
    assert "| new | 5.0 | 0.50 | 10.0 | 100 | 4 | 2.0 | 0.20 | 2.0 |" in text
