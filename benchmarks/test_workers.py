"""The benchmark of several processes: its clouds, what it counts, and that it compares rows and not files."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import by_crawl
from benchmarks.cloud import StaticCloud, serve, write_description
from benchmarks.measure import Measured, measure
from benchmarks.pages import rendered
from benchmarks.shape import Shape
from benchmarks.wide import ROOT
from benchmarks.workers import CLOUDS, Cloud, Run, check_rows, compare, crawl_once, digests, markdown

RUN = Run(Measured(10.0, 20.0, 150.0), 1.0, 0.5, 1000, 0, 40, {"fc_layers": (3, 77)})
SKEWED = Shape(accounts=5, regions=("cn-hangzhou",), pages=1, layers=250, is_skewed=True)


def needs_nginx(test):
    missing = (shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")) is None
    return pytest.mark.skipif(missing, reason="nginx isn't installed")(test)


def test_the_accounts_of_a_skewed_shape_have_their_own_numbers_of_layers(tmp_path):
    assert [SKEWED.layers_of(number) for number in range(7)] == [2, 16, 54, 128, 250, 2, 16]
    pages = rendered(SKEWED, tmp_path)
    assert [len(list((pages / str(n)).rglob("versions/*"))) for n in range(5)] == [2, 16, 54, 128, 250]
    assert [len(list((pages / str(n)).rglob("layers/*"))) for n in range(5)] == [1, 1, 1, 2, 3]
    assert len(list(pages.rglob("*.json"))) == SKEWED.requests
    found = [orjson.loads(path.read_bytes()) for path in pages.rglob("*.json")]
    assert sum(len(page.get("functions", page.get("layers"))) for page in found) == SKEWED.rows


def test_the_limit_binds_one_process_and_not_its_core():
    """The cloud would say nothing of limits if a core needed longer for its requests than the limit."""
    cloud = CLOUDS["limited"]
    assert len(cloud.shape.account_numbers) == 200
    requests = cloud.shape.requests - cloud.shape.targets * cloud.shape.pages
    assert requests / cloud.least_s == pytest.approx(1_220, rel=0.02), "per second, of all accounts together"
    assert cloud.least_s == pytest.approx((1000 + 10 - 5) / 20)


def test_the_time_of_a_programs_children_counts(tmp_path):
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}], check=True)"
    found = measure([sys.executable, "-c", parent], tmp_path / "log", os.environ)
    assert 0.5 <= found.cpu_s < 5


@needs_nginx
def test_a_crawl_of_a_limited_cloud_has_its_rows_and_figures(tmp_path):
    cloud = Cloud(Shape(accounts=2, regions=("cn-hangzhou",), pages=1, layers=12), by_crawl.SMALL_TABLES, (20, 5))
    runs = compare(cloud, [1], 1, ROOT, tmp_path)
    check_rows(runs, cloud.shape, cloud.tables)
    [run] = runs[1]
    assert {table: number for table, (number, _) in run.rows.items()} == {"fc_layers": 24, "fc_layer_versions": 72}
    assert run.throttled == 0
    assert run.measured.wall_s > cloud.least_s == pytest.approx(8 / 20)
    assert run.measured.cpu_s > 0.3


@needs_nginx
def test_requests_beyond_the_limit_are_refused(tmp_path):
    cloud = Cloud(Shape(accounts=1, regions=("cn-hangzhou",), pages=1, layers=40), by_crawl.SMALL_TABLES, None)
    pages = rendered(cloud.shape, tmp_path)
    with serve(cloud.shape, pages, tmp_path / "nginx", (20, 5)) as served:
        assert served.cpu_s() >= 0
        run = crawl_once(cloud, served, 1, ROOT, tmp_path)
    assert run.throttled > 0


def test_the_configuration_has_the_limit_of_the_cloud(tmp_path):
    description = write_description(StaticCloud(SKEWED, 4711), tmp_path / "cloud.json")
    text = by_crawl.configuration(description, tmp_path / "output", limit=(20, 5))
    assert "fc = { rate = 20, burst = 5 }" in text
    assert "sts = { rate = 10000, burst = 1000 }" in text


def part(folder, name, rows):
    path = folder / "t" / "snapshot_date=2026-11-30" / "snapshot=s" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    named = [{"id": n, "text": text, "snapshot_id": str(folder), "fetched_at": str(path)} for n, text in rows]
    pq.write_table(pa.Table.from_pylist(named), path)


def test_the_same_rows_have_the_same_digest_in_whatever_files_and_order(tmp_path):
    part(tmp_path / "one", "part-00000.parquet", [(1, "a"), (2, "b"), (2, "b"), (3, None)])
    part(tmp_path / "two", "part-00000-00001001.parquet", [(3, None), (2, "b")])
    part(tmp_path / "two", "part-00000-00002001.parquet", [(2, "b"), (1, "a")])
    part(tmp_path / "other", "part-00000.parquet", [(1, "a"), (2, "b"), (3, "b"), (3, None)])
    one, two, other = (digests(tmp_path / name, "s", ["t"]) for name in ("one", "two", "other"))
    assert one == two
    assert one["t"][0] == other["t"][0] == 4
    assert one != other


def test_other_rows_are_refused():
    shape = Shape(accounts=1, regions=("r",), pages=0, layers=1)
    tables = ("fc_layers",)
    check_rows({1: [replace(RUN, rows={"fc_layers": (4, 7)})]}, shape, tables)
    with pytest.raises(RuntimeError, match="2 processes have other rows"):
        check_rows({1: [RUN], 2: [replace(RUN, rows={"fc_layers": (3, 78)})]}, shape, tables)
    with pytest.raises(RuntimeError, match="the cloud has 4 records"):
        check_rows({1: [RUN]}, shape, tables)


def test_the_table_compares_the_runs_of_a_round():
    faster = replace(RUN, measured=Measured(11.0, 10.0, 100.0), files=80, throttled=2)
    text = markdown(CLOUDS["limited"], "abc1234", {1: [RUN, RUN], 2: [faster, faster]}, "2026-11-30")
    assert "200 accounts × 1 region: 1,000 requests, 3 rows, the same in every run." in text
    assert "the largest one needs at least 50.2 s." in text
    assert "Throttled in all runs together: 4 requests." in text
    assert "| 1 | 20.0 | 1.00 | 10.0 | 1.00 | 1.0 | 0.5 | 150 | 40 |" in text
    assert "| 2 | 10.0 | 0.50 | 11.0 | 1.10 | 1.0 | 0.5 | 100 | 80 |" in text
