"""The worked example of docs/own-tables.md, as it stands there: a product of one's own, crawled from the emulator."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from alibabacloud_resourcedirectorymaster20220419.client import Client as DirectoryClient

from crawler.catalog import load_catalog
from crawler.catalog.sdk import open_package
from crawler.catalog.sdk.check import check_product
from crawler.cli.emulate import write_config
from crawler.emulator import CloudOrganization, Deny, Error
from crawler.errors import ConfigError
from crawler.normalizer.redaction import Redaction
from tests.support import command_server
from tests.support.crawl_runner import BIG, FAST, SMALL, fast_cloud, scope_statuses, site
from tests.support.expected_records import Comparison

PAGE = Path(__file__).parents[2] / "docs" / "own-tables.md"
KEY = b"the-demo-has-no-secrets-to-protect"
PRODUCT = "resourcedirectorymaster"
ACCOUNTS, SERVICES = f"{PRODUCT}_accounts", f"{PRODUCT}_delegated_services_for_account"
# The built-in cloud's name of the same service.
SERVED = "resourcedirectory"
# A manager with 103 members, of which the first may list them, too.
MEMBERS = tuple(str(int(BIG) + number) for number in range(1, 104))


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
    """The site's configuration with the page's tables, for two accounts that may list the members, and no others."""
    key_id, secret = here.cloud.credentials(SMALL)
    more = f'\n[catalog]\nextra = ["{folder}"]\n[[accounts]]\nid = "{SMALL}"\n[accounts.credentials]\n'
    more += f'type = "access_key"\naccess_key_id = "{key_id}"\naccess_key_secret = "{secret}"\n'

    def change(text):
        text = text.replace(f'[organization]\nrole_name = "{here.cloud.spec.roles[0]}"\n', "")
        text = text.replace("[endpoints]\n", f'[endpoints]\n{PRODUCT} = "{here.emulator.url(SERVED)}"\n')
        return text.replace("[rate_limits]\n", f"[rate_limits]\n{PRODUCT} = {{ rate = 5000, burst = 1000 }}\n")

    return here.config(more, change=change, **crawl)


def crawl(output, folder, *faults, **options):
    async def main():
        organization = CloudOrganization(delegates=(SMALL,))
        rates = {"sts": FAST, SERVED: FAST}
        cloud = fast_cloud(accounts=(BIG, *MEMBERS), organization=organization, rates=rates)
        async with site(output, cloud) as here:
            for effect, selectors in faults:
                here.cloud.faults.add(effect, product=SERVED, **selectors)
            return here, await here.crawl(own(here, folder, **options))

    return anyio.run(main)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory, folder):
    return crawl(tmp_path_factory.mktemp("crawled"), folder, tables=[f"{PRODUCT}_*"])


def test_every_row_is_a_record_of_the_cloud(crawled):
    here, result = crawled
    assert result.exit_code == 0
    directory = here.cloud.directory
    lists = {
        ACCOUNTS: {(): sorted(directory.members, key=lambda record: record["AccountId"])},
        SERVICES: {
            (member,): sorted(records, key=lambda record: record["ServicePrincipal"])
            for member, records in directory.services.items()
        },
    }
    for table, expected in lists.items():
        comparison = Comparison(
            Redaction("fingerprint", "fingerprint", KEY, scope="account"),
            lambda text: any(secret in text for secret in directory.secrets),
        )
        rows = defaultdict(list)
        for row in here.rows(table):
            assert row["region_id"] == "global"
            rows[row["account_id"], *([row["record_account_id"]] if table == SERVICES else [])].append(row)
        for account in (BIG, SMALL):
            for parent, records in expected.items():
                for record, row in zip(records, rows.pop((account, *parent), []), strict=True):
                    comparison.check(record, row, ["record_account_id"])
        assert not rows
        assert comparison.in_extra == {}


def test_pages_are_walked_to_their_end_and_children_asked_for_once(crawled):
    here, result = crawled
    [above] = [r for r in result.ledger if (r.table, r.account_id, r.region_id) == (ACCOUNTS, BIG, "global")]
    [below] = [r for r in result.ledger if (r.table, r.account_id, r.region_id) == (SERVICES, BIG, "global")]
    assert (above.rows, above.pages, above.walk) == (103, 2, "token")
    # One list of them has two pages.
    assert (below.lists, below.requests) == (103, 104)
    assert max(map(len, here.cloud.directory.services.values())) > 20
    assert result.unknown_fields == {}


def test_no_secret_of_a_table_of_ones_own_is_written(crawled):
    here, _ = crawled
    text = repr([here.rows(table) for table in (ACCOUNTS, SERVICES)])
    assert len(here.cloud.directory.secrets) == 103
    assert not [secret for secret in here.cloud.directory.secrets if secret in text]
    assert "hmac:" in text


def test_a_table_of_ones_own_that_fails_leaves_the_others_alone(tmp_path, folder):
    faults = [(Deny(), {"action": "ListDelegatedServicesForAccount", "account": BIG})]
    faults.append((Error(status=400, code="OddRequest"), {"action": "ListAccounts", "account": SMALL}))
    options = {"tables": [f"{PRODUCT}_*", "fc_layers"], "regions": ["cn-hangzhou", "ap-southeast-1"]}
    here, result = crawl(tmp_path, folder, *faults, **options)
    assert result.exit_code == 3
    odd = scope_statuses(result)
    assert odd[SMALL, "global", ACCOUNTS] == "failed"
    assert odd[BIG, "global", SERVICES] == "denied"
    assert "fc_layers" not in {table for _, _, table in odd}
    [row] = [r for r in result.ledger if (r.account_id, r.region_id, r.table) == (BIG, "global", SERVICES)]
    assert "resourcemanager:ListDelegatedServicesForAccount" in row.error_message
    assert here.rows("fc_layers")


def test_a_key_of_an_earlier_version_is_a_warning_of_the_crawl(tmp_path, folder):
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    [path] = mine.rglob("accounts.toml")
    path.write_text(path.read_text().replace('style = "token"\n', 'style = "token"\nprefix = "prefix"\n'))
    here, result = crawl(tmp_path / "output", mine, tables=[ACCOUNTS], regions=["cn-hangzhou"])
    place = path.relative_to(tmp_path)
    said = f"{place}: [paging] prefix is ignored: lists are no longer split by prefix; remove the key"
    assert (result.exit_code, result.warnings) == (0, (said,))
    assert here.rows(ACCOUNTS)


def test_the_files_say_what_the_official_sdk_says(folder):
    """The page leaves out `[uncovered]`, which names the operations that nobody asked for."""
    catalog = load_catalog([folder])
    product = catalog.products[PRODUCT]
    sdk = open_package(product.sdk)
    lists = {name.removesuffix("_with_options") for name in dir(DirectoryClient) if re.match("list_.*_options$", name)}
    shown = {"ListAccounts", "ListDelegatedServicesForAccount"}
    missing = sorted({name.title().replace("_", "") for name in lists} - shown)
    assert len(missing) == 17
    found = [str(finding) for finding in check_product(catalog, product, sdk)]
    assert found == [f"{PRODUCT}: operations: the catalog has nothing, the SDK {action}" for action in missing]
    written = replace(product, uncovered=dict.fromkeys(missing, "not asked for"))
    assert check_product(catalog, written, sdk) == []


def leaves(value, path=""):
    """Path → value of a file's content; a list is one value, unless its one item is a table."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return leaves(value[0], f"{path}[]")
    if not isinstance(value, dict):
        return {path: value}
    return {where: leaf for name in value for where, leaf in leaves(value[name], f"{path}.{name}".lstrip(".")).items()}


def test_the_files_are_what_the_command_writes_with_a_few_lines_changed(tmp_path, folder):
    operations = ("ListAccounts", "ListDelegatedServicesForAccount")
    package = "alibabacloud-resourcedirectorymaster20220419"
    shown = f"acs-inventory catalog scaffold {package} {' '.join(operations)} --to my-tables"
    assert f"\n{shown}\n" in PAGE.read_text()
    code, _, err = command("catalog", "scaffold", package, *operations, "--to", str(tmp_path))
    assert code == 0, err
    changed = {}
    for path in sorted(folder.rglob("*.toml")):
        ours = leaves(tomllib.loads(path.read_text()))
        written = leaves(tomllib.loads((tmp_path / path.relative_to(folder)).read_text()))
        names = (ours.keys() | written.keys()) - {"checked"}
        changed[path.stem] = {name for name in names if ours.get(name) != written.get(name)}
        changed[path.stem] -= {name for name in written if name.startswith("uncovered.")}
        assert "# check:" not in path.read_text()
    assert changed == {
        "product": {"endpoint", "rate_limit.rate", "title"},
        "accounts": {
            *("operation.filters", "operation.query.IncludeTags", "operation.ram", "table.title"),
            "columns.Tags.Tag[].Value",
        },
        "delegated_services_for_account": {"operation.ram", "paging.limit", "table.key", "table.title"},
    }


def command(*arguments):
    done = command_server.run(arguments, cwd=".", env=os.environ)
    return done.returncode, done.stdout, done.stderr


def test_the_commands_know_them(tmp_path, folder):
    file = tmp_path / "config.toml"
    file.write_text(f'[[accounts]]\nid = "1000000000000001"\n[catalog]\nextra = ["{folder}"]\n')
    file.chmod(0o600)
    code, out, _ = command("tables", f"{PRODUCT}_*", "--json", "--config", str(file))
    assert code == 0
    assert [entry["table"] for entry in json.loads(out)] == [ACCOUNTS, SERVICES]
    code, out, _ = command("policy", "--table", f"{PRODUCT}_*", "--config", str(file))
    assert code == 0
    actions = ["resourcemanager:ListAccounts", "resourcemanager:ListDelegatedServicesForAccount"]
    assert json.loads(out)["Statement"][0]["Action"] == actions


def test_without_the_folder_its_product_and_tables_are_unknown(tmp_path):
    async def main():
        async with site(tmp_path) as here:
            text, environ = write_config(here.emulator, str(tmp_path), rate=1, burst=1)
            assert PRODUCT not in text
            assert environ
            with pytest.raises(ConfigError, match="names no product"):
                here.config(
                    change=lambda text: text.replace(
                        "[endpoints]\n", f'[endpoints]\n{PRODUCT} = "http://127.0.0.1:1"\n'
                    )
                )

    anyio.run(main)
