"""The parts of the benchmark: the number of pages, records in schema, figures and their table."""

from __future__ import annotations

import os
import sys
import tomllib
from datetime import UTC, datetime
from random import Random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import by_crawl, parquet_settings
from benchmarks.cloud import StaticCloud, write_description
from benchmarks.measure import Measured, measure, medians, paired_ratio
from benchmarks.pages import rendered, size_bytes
from benchmarks.shape import Shape
from benchmarks.table import markdown
from crawler.catalog import load_catalog
from crawler.config import parse_config
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.redaction import Redaction
from tests.support import generated_records as records
from tests.support.generated_records import account_id
from tests.support.markdown_table import BEGIN, END, put

CATALOG = load_catalog()
SMALL = Shape(accounts=1, regions=("cn-hangzhou",), pages=2, layers=3)
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def test_the_rendered_pages_are_as_many_as_the_shape_says(tmp_path):
    pages = rendered(SMALL, tmp_path)
    assert len(list(pages.rglob("*.json"))) == SMALL.requests
    found = [orjson.loads(path.read_bytes()) for path in pages.rglob("*.json")]
    assert sum(len(page.get("functions", page.get("layers"))) for page in found) == SMALL.rows
    assert size_bytes(pages) > 200 * 2500


def test_a_chain_of_pages_ends(tmp_path):
    folder = rendered(SMALL, tmp_path) / "0" / "cn-hangzhou" / "functions"
    first = orjson.loads((folder / "0000.json").read_bytes())
    assert orjson.loads((folder / f"{first['nextToken']}.json").read_bytes())["nextToken"] == ""


def test_the_pages_are_rendered_once(tmp_path):
    pages = rendered(SMALL, tmp_path)
    [old, *_] = sorted(pages.rglob("*.json"))
    old.write_text("kept")
    assert rendered(SMALL, tmp_path) == pages
    assert old.read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "key", "record"),
    [
        ("fc_functions", "functions", records.function(Random(1), 0, "cn-hangzhou", 500)),
        ("fc_layers", "layers", records.layer_version(Random(1), 0, "cn-hangzhou", "a", 3)),
    ],
)
def test_the_records_are_wholly_in_schema(name, key, record):
    context = RowContext(account_id(0), "cn-hangzhou", NOW, {})
    normalizer = Normalizer(CATALOG.operations[name], Redaction("mask", "fingerprint", None), "snapshot")
    page = normalizer.read(orjson.dumps({key: [record]}), context)
    assert (page.unknown, page.coerced, page.misfits) == ({}, 0, {})


def test_a_function_has_about_3_kb():
    chance = Random(1)
    sizes = [len(orjson.dumps(records.function(chance, 0, "cn-hangzhou", number))) for number in range(100)]
    assert 2800 < sum(sizes) / 100 < 3200


def test_the_crawl_has_a_configuration_for_every_account_and_region(tmp_path):
    shape = Shape(accounts=2, times=3)
    description = write_description(StaticCloud(shape, 4711), tmp_path / "cloud.json")
    text = by_crawl.configuration(description, tmp_path / "output")
    config = parse_config(text, source="bench.toml", environ={})
    assert len(config.accounts) == 6
    assert tomllib.loads(text)["endpoints"]["fc"] == {
        region: f"http://127.0.1.{number}:4711" for number, region in enumerate(shape.regions, 1)
    }


def test_a_run_is_measured_with_what_it_waited_for(tmp_path):
    inner = "x = bytearray(64 << 20)\nfor _ in range(5_000_000): pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    found = measure([sys.executable, "-c", program], tmp_path / "log", os.environ)
    assert found.peak_mb > 64
    assert found.cpu_s > 0.01


def test_a_run_that_fails_says_what_it_printed(tmp_path):
    with pytest.raises(RuntimeError, match="ended with 3: why"):
        measure([sys.executable, "-c", "print('why'); raise SystemExit(3)"], tmp_path / "log", os.environ)


def test_ratios_are_taken_pair_by_pair():
    ours = [Measured(1, 1, 1), Measured(4, 2, 3), Measured(2, 9, 2)]
    theirs = [Measured(2, 1, 1), Measured(8, 1, 1), Measured(1, 1, 1)]
    assert paired_ratio(ours, theirs) == 0.5
    assert medians(ours) == Measured(2, 2, 2)


def test_the_table_replaces_the_one_before_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    begin, end = BEGIN.format(name="t"), END.format(name="t")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    put(page, "t", markdown({"floor": [Measured(2, 3, 4)], "sdk": [Measured(10, 3, 4)]}, SMALL, 10, "2026-11-22"))
    text = page.read_text()
    assert text.startswith(f"before\n{begin}\n2026-11-22, ")
    assert text.endswith(f"{end}\nafter\n")
    assert "old" not in text
    assert "| 10.00 | 5.00 |  | 3.0 | 4 |" in text


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="has no marks for t"):
        put(page, "t", "text")


def test_each_setting_of_the_parquet_writer_gives_the_same_rows():
    operation = CATALOG.operations["fc_layer_versions"]
    table = parquet_settings.rows_of(operation, 150)
    assert table.num_rows == 150
    assert len(set(table["account_id"].to_pylist())) == len(parquet_settings.ACCOUNTS)
    places = list(zip(table["account_id"].to_pylist(), table["region_id"].to_pylist(), strict=True))
    assert places == sorted(places)
    for name, changes in parquet_settings.CHANGES.items():
        assert pq.read_table(pa.BufferReader(parquet_settings.write(table, changes))).equals(table), name
