"""`emulate`: what it prints, and wide clouds: regions, bounds, and crawls with the written configuration."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import click
import pytest

from crawler.catalog import load_catalog
from crawler.cli import emulate as command
from crawler.cli.demo_cloud import table_counts
from crawler.cli.emulate import wide_spec
from crawler.config import load_config
from crawler.config.resolve import endpoint_map
from crawler.emulator import Cloud, CloudSpec, serve
from tests.support.commands import ENVIRON, acs_inventory, emulated

DEFAULT = CloudSpec()
PRODUCTS = load_catalog().products
TABLES = ("fc_functions", "fc_layers", "fc2_services", "fc2_functions", "opensearch_app_groups")


async def printed(spec, capsys, config=None):
    async with serve(Cloud(spec)) as emulator:
        command._announce(emulator, config)
        return emulator, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("spec", [DEFAULT, command._with_organization(DEFAULT)], ids=["default", "organization"])
async def test_a_small_cloud_is_printed_whole(spec, capsys):
    emulator, lines = await printed(spec, capsys)
    expected = []
    for product in ("fc", "fc-open", "opensearch", "searchengine", "fcsandbox"):
        regions = [region for region in spec.regions if spec.has_product(product, region)]
        expected += [f"{product:<17} {region:<15} {emulator.url(product, region)}" for region in regions]
    expected += [f"{product:<17} {'':<15} {emulator.url(product)}" for product in ("sts", "resourcedirectory", "ram")]
    expected += [f"account           {one} {' '.join(emulator.cloud.credentials(one))}" for one in spec.accounts]
    assert lines == expected


async def test_a_wide_cloud_is_printed_in_few_lines_with_the_number_of_the_others(capsys, tmp_path):
    spec = wide_spec(DEFAULT, 2000, 20)
    emulator, lines = await printed(spec, capsys)
    assert len(lines) < 50
    assert f"fc                cn-hangzhou     {emulator.url('fc', 'cn-hangzhou')}" in lines
    assert "fc                … 15 more" in lines
    assert "account           … 1,995 more" in lines
    assert lines[-1].endswith("--write-config FILE")
    _, lines = await printed(spec, capsys, tmp_path / "config.toml")
    assert lines[-1] == f"Crawl it: acs-inventory crawl --config {tmp_path / 'config.toml'}"
    config = load_config(tmp_path / "config.toml", {}, cwd=tmp_path)
    assert [account.id for account in config.accounts] == list(spec.accounts)


async def test_no_host_of_the_configuration_is_the_real_clouds(capsys, tmp_path):
    """Also where the cloud lacks a product that the catalog has there: a crawl asks if DescribeRegions is denied."""
    await printed(DEFAULT, capsys, tmp_path / "config.toml")
    config = load_config(tmp_path / "config.toml", {}, cwd=tmp_path)
    endpoints = endpoint_map(config, load_catalog())
    hosts = {
        (key, region): endpoints.pattern(key, region)
        for key, product in PRODUCTS.items()
        for region in set(DEFAULT.regions) & set(product.endpoints)
    }
    assert ("opensearch", "cn-shanghai") in hosts
    assert {url.rpartition(":")[0] for url in hosts.values()} == {"http://127.0.0.1"}


async def test_the_configuration_of_a_wide_organization_has_one_account(capsys, tmp_path):
    await printed(wide_spec(DEFAULT, 200, 20, has_organization=True), capsys, tmp_path / "config.toml")
    config = load_config(tmp_path / "config.toml", {}, cwd=tmp_path)
    assert [account.id for account in config.accounts] == ["1000000000000001"]
    assert config.organization.role_name == "inventory-reader"
    assert len(config.crawl.regions) == 20
    assert len((tmp_path / "config.toml").read_text().splitlines()) < 120


def test_regions_are_those_of_the_smaller_clouds_and_then_others_of_the_catalog():
    spec = wide_spec(DEFAULT, None, 21)
    assert spec.regions[:3] == DEFAULT.regions
    assert wide_spec(DEFAULT, 5, None).regions == DEFAULT.regions
    assert set(spec.regions) <= PRODUCTS["fc"].endpoints.keys() - {"ap-south-1", "ap-southeast-2"}
    assert not [region for region in spec.regions if re.search("finance|gov|acdr", region)]
    assert set(spec.opensearch_regions) == PRODUCTS["opensearch"].endpoints.keys() & set(spec.regions)
    assert set(spec.searchengine_regions) == PRODUCTS["searchengine"].endpoints.keys() & set(spec.regions)
    assert set(spec.fc_open_regions) == PRODUCTS["fc-open"].endpoints.keys() & set(spec.regions)
    assert len(spec.accounts) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--regions", "22"], "the catalog has 21 regions that regions = 'all' crawls; ask for 1 to 21."),
        (["--regions", "0"], "0 is not in the range x>=1."),
        (["--accounts", "0"], "0 is not in the range 1<=x<=10000."),
        (["--accounts", "10001"], "10001 is not in the range 1<=x<=10000."),
    ],
)
def test_a_number_that_cannot_be_served_is_wrong_usage(arguments, sentence, tmp_path):
    code, out, err = acs_inventory("emulate", *arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    said = f"Invalid value for '{arguments[0]}': {sentence} See `acs-inventory emulate --help`."
    assert err == f"acs-inventory: {said}\n"


def test_the_specification_says_which_option_is_too_large():
    with pytest.raises(click.BadParameter, match="21 regions"):
        wide_spec(DEFAULT, 1, 100)


@pytest.mark.parametrize("options", [[], ["--organization"]], ids=["own keys", "organization"])
def test_a_crawl_of_a_wide_cloud_finds_exactly_its_records(options, tmp_path):
    selected = [part for table in TABLES for part in ("--table", table)]
    with emulated(tmp_path, options=["--accounts", "3", "--regions", "7", *options]) as config:
        code, out, err = acs_inventory("crawl", "--config", config, *selected, "--json", "--quiet", cwd=tmp_path)
        parsed = load_config(config, {}, cwd=tmp_path)
    assert code == 0, err
    summary = json.loads(out)
    spec = wide_spec(DEFAULT, 3, 7)
    counts = {table: number for table, number in table_counts(Cloud(spec), parsed).items() if table in TABLES}
    assert {table: entry["rows"] for table, entry in summary["tables"].items()} == counts
    assert min(counts[table] for table in TABLES if table.startswith("fc_")) >= 3 * 7


RULES = """
[[rules]]
effect = "deny"
product = "opensearch"
action = "List*"
[[rules]]
effect = "throttle"
product = "opensearch"
action = "ListAppGroups"
[[rules]]
effect = "deny"
action = "ListLayer"
"""


def test_rules_that_had_no_effect_are_named_at_the_end(tmp_path):
    """A typo in a glob would pass for a crawl that survives the fault."""
    (tmp_path / "faults.toml").write_text(RULES)
    command_line = [sys.executable, "-m", "crawler", "emulate", "--faults", "faults.toml", "--write-config", "c.toml"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command_line, cwd=tmp_path, env=ENVIRON, stdout=pipe, stderr=pipe, text=True) as emulator:
        try:
            assert any(line.startswith("Crawl it:") for line in emulator.stdout)
            code, _, _ = acs_inventory("crawl", "--config", "c.toml", "--table", "opensearch_app_groups", cwd=tmp_path)
            assert code == 1  # no scope could be read
        finally:
            emulator.send_signal(signal.SIGINT)
        said = emulator.stderr.read()
    assert emulator.returncode == 0
    assert said.splitlines() == [
        "acs-inventory: warning: faults.toml, rule 2 had no effect: an earlier rule applied to its requests",
        "acs-inventory: warning: faults.toml, rule 3 had no effect: no request matched it",
    ]
