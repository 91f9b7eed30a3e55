"""The worked example of docs/own-tables.md, as it stands there: a product of one's own, crawled from the emulator."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from crawler.catalog import load_catalog
from crawler.catalog.sdk import open_package
from crawler.catalog.sdk.check import check_product
from crawler.cli.emulate import write_config
from crawler.emulator import Deny, Error
from crawler.errors import ConfigError
from crawler.normalizer.redaction import Redaction
from tests.support import command_server
from tests.support.crawl_runner import BIG, scope_statuses, site
from tests.support.expected_records import Comparison

PAGE = Path(__file__).parents[2] / "docs" / "own-tables.md"
KEY = b"the-demo-has-no-secrets-to-protect"
FLOWS, SCHEDULES = "fnf_flows", "fnf_schedules"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the page shows, where it says that they belong."""
    root = tmp_path_factory.mktemp("my-tables")
    blocks = re.findall(r"<!-- file: (\S+) -->\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for name, text in blocks:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def own(here, folder, **crawl):
    """The site's configuration with the page's tables; the built-in cloud says where it plays CloudFlow."""
    urls = "".join(f'{region} = "{url}"\n' for region, url in here.emulator.endpoints["fnf"].items())
    more = f'\n[endpoints.fnf]\n{urls}\n[catalog]\nextra = ["{folder}"]\n'
    limit = "[rate_limits]\nfnf = { rate = 5000, burst = 1000 }\n"
    return here.config(more, change=lambda text: text.replace("[rate_limits]\n", limit), **crawl)


def crawl(output, folder, *faults, **options):
    async def main():
        async with site(output) as here:
            for effect, selectors in faults:
                here.cloud.faults.add(effect, product="fnf", **selectors)
            return here, await here.crawl(own(here, folder, **options))

    return anyio.run(main)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory, folder):
    return crawl(tmp_path_factory.mktemp("crawled"), folder, tables=["fnf_*"])


def test_every_row_is_a_record_of_the_cloud(crawled):
    here, result = crawled
    assert result.exit_code == 0
    secrets = here.cloud.canaries
    for table, action in ((FLOWS, "fnf.ListFlows"), (SCHEDULES, "fnf.ListSchedules")):
        comparison = Comparison(
            Redaction("fingerprint", "fingerprint", KEY, scope="account"), lambda text: any(s in text for s in secrets)
        )
        rows = defaultdict(list)
        for row in here.rows(table):
            rows[row["account_id"], row["region_id"], row.get("flow_name")].append(row)
        for account in here.cloud.spec.accounts:
            for region in here.cloud.spec.regions:
                for parent, records in here.cloud.lists(account, region, action).items():
                    found = rows.pop((account, region, *(parent or (None,))), [])
                    for record, row in zip(records, found, strict=True):
                        comparison.check(record, row, ["flow_name"])
        assert not rows
        assert comparison.in_extra == {}


def test_pages_are_walked_to_their_end_and_children_asked_for_once(crawled):
    _, result = crawled
    [flows] = [r for r in result.ledger if (r.table, r.account_id, r.region_id) == (FLOWS, BIG, "cn-hangzhou")]
    [below] = [r for r in result.ledger if (r.table, r.account_id, r.region_id) == (SCHEDULES, BIG, "cn-hangzhou")]
    assert (flows.rows, flows.pages, flows.walk) == (103, 2, "token")
    assert (below.lists, below.requests) == (103, 103)
    assert result.unknown_fields == {}


def test_no_secret_of_a_table_of_ones_own_is_written(crawled):
    here, _ = crawled
    text = repr([here.rows(table) for table in (FLOWS, SCHEDULES)])
    assert not [secret for secret in here.cloud.canaries if secret in text]
    assert "hmac:" in text


def test_a_table_of_ones_own_that_fails_leaves_the_others_alone(tmp_path, folder):
    faults = [(Deny(), {"action": "ListSchedules", "account": BIG})]
    faults.append((Error(status=400, code="OddRequest"), {"action": "ListFlows", "region": "cn-hangzhou"}))
    options = {"tables": ["fnf_*", "fc_layers"], "regions": ["cn-hangzhou", "ap-southeast-1"]}
    here, result = crawl(tmp_path, folder, *faults, **options)
    assert result.exit_code == 3
    odd = scope_statuses(result)
    assert odd[BIG, "cn-hangzhou", FLOWS] == "failed"
    assert odd[BIG, "ap-southeast-1", SCHEDULES] == "denied"
    assert "fc_layers" not in {table for _, _, table in odd}
    [row] = [r for r in result.ledger if (r.account_id, r.region_id, r.table) == (BIG, "ap-southeast-1", SCHEDULES)]
    assert "fnf:ListSchedules" in row.error_message
    assert here.rows("fc_layers")


def test_a_key_of_an_earlier_version_is_a_warning_of_the_crawl(tmp_path, folder):
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    [path] = mine.rglob("flows.toml")
    path.write_text(path.read_text().replace('style = "token"\n', 'style = "token"\nprefix = "prefix"\n'))
    here, result = crawl(tmp_path / "output", mine, tables=["fnf_flows"], regions=["cn-hangzhou"])
    place = path.relative_to(tmp_path)
    said = f"{place}: [paging] prefix is ignored: lists are no longer split by prefix; remove the key"
    assert (result.exit_code, result.warnings) == (0, (said,))
    assert here.rows(FLOWS)


def test_the_files_say_what_the_official_sdk_says(folder):
    catalog = load_catalog([folder])
    product = catalog.products["fnf"]
    findings = [str(found) for found in check_product(catalog, product, open_package(product.sdk))]
    assert findings == []
    bare = replace(product, uncovered={})
    found = [str(finding) for finding in check_product(catalog, bare, open_package(product.sdk))]
    missing = ("ListExecutions", "ListFlowAliases", "ListFlowVersions")
    assert found == [f"fnf: operations: the catalog has nothing, the SDK {action}" for action in missing]


def command(*arguments):
    done = command_server.run(arguments, cwd=".", env=os.environ)
    return done.returncode, done.stdout, done.stderr


def test_the_commands_know_them(tmp_path, folder):
    file = tmp_path / "config.toml"
    file.write_text(f'[[accounts]]\nid = "1000000000000001"\n[catalog]\nextra = ["{folder}"]\n')
    file.chmod(0o600)
    code, out, _ = command("tables", "fnf_*", "--json", "--config", str(file))
    assert code == 0
    assert [entry["table"] for entry in json.loads(out)] == [FLOWS, SCHEDULES]
    code, out, _ = command("policy", "--table", "fnf_*", "--config", str(file))
    assert code == 0
    assert json.loads(out)["Statement"][0]["Action"] == ["fnf:ListFlows", "fnf:ListSchedules"]


def test_without_the_folder_its_product_and_tables_are_unknown(tmp_path):
    async def main():
        async with site(tmp_path) as here:
            text, environ = write_config(here.emulator, str(tmp_path), rate=1, burst=1)
            assert "fnf" not in text
            assert environ
            with pytest.raises(ConfigError, match="names no product"):
                here.config('\n[endpoints.fnf]\ncn-hangzhou = "http://127.0.0.1:1"\n')

    anyio.run(main)
