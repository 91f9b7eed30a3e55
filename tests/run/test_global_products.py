"""The scopes of a product with one host for all regions lie at the region `global`, once per account."""

from __future__ import annotations

import pytest

from crawler.cli.plan_values import plan_value, unasked_text
from crawler.config.resolve import resolve_config
from crawler.errors import ConfigError, unwrap_group
from crawler.run.regions import ProductRegions, not_offered, select_regions
from crawler.run.selection import selection_of
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site

PRODUCT = """
product = "people"
version = "2020-01-01"
prefix = "people_"
style = "RPC"
global = true
endpoint = "https://people.aliyuncs.com"
"""
USERS = """
source = "https://www.alibabacloud.com/help/en/people/listusers"
checked = 2026-12-01
[operation]
action = "ListUsers"
path = "/"
method = "POST"
records = "Users.User"
ram = "people:ListUsers"
[paging]
style = "none"
[table]
name = "people_users"
title = "Users"
key = ["name"]
[columns]
Name = "string"
"""
# No region, and no host: what a product has of which neither the SDK nor the documentation names a host.
NOWHERE = PRODUCT.replace("people", "away").replace("global = true\n", "").replace("away.ali", "away.{region}.ali")
ALL = '"all"'
BOTH = ["people_users", "fc_layers"]


@pytest.fixture
async def here(tmp_path):
    for key, product in (("people", PRODUCT), ("away", NOWHERE)):
        folder = tmp_path / "own" / key / "2020-01-01"
        folder.mkdir(parents=True)
        (folder / "product.toml").write_text(product)
        (folder / "users.toml").write_text(USERS.replace("people", key))
    async with site(tmp_path, fast_cloud(accounts=(BIG, SMALL))) as cloud:
        yield cloud


def config_of(here, host="", more="", change=str, **crawl):
    """The configuration with the folder of these files. `host`: a line of [endpoints]; `more`: text at the end."""

    def changed(text):
        return change(text.replace("[endpoints]\n", f'[endpoints]\npeople = "http://127.0.0.1:9"\n{host}\n'))

    return here.config(f'\n[catalog]\nextra = ["{here.folder}/own"]\n{more}', change=changed, **crawl)


async def targets(here, config):
    value = await plan_value(resolve_config(config), here.surroundings())
    assert value["not_offered"] == {}
    return {(target["account_id"], target["region_id"]) for target in value["per_target"]}, value


@pytest.mark.parametrize("regions", [ALL, ["cn-hangzhou"], ["cn-hangzhou", "global"], ["global", "cn-hangzhou"]])
async def test_a_global_product_has_one_target_an_account_whatever_the_regions_are(here, regions):
    found, value = await targets(here, config_of(here, tables=BOTH, regions=regions))
    named = {region for _, region in found}
    assert found == {(account, region) for account in (BIG, SMALL) for region in named}
    assert named == (
        {"cn-hangzhou", "cn-shanghai", "ap-southeast-1", "global"} if regions == ALL else {"cn-hangzhou", "global"}
    )
    assert value["hosts"]["people"] == {"http://127.0.0.1:9": ["global"]}
    assert value["scopes"] == 2 * len(named)


async def test_global_is_no_region_of_other_products(here):
    found, _ = await targets(here, config_of(here, tables=["fc_layers"], regions=ALL))
    assert "global" not in {region for _, region in found}
    with pytest.raises(BaseExceptionGroup) as caught:
        await targets(here, config_of(here, tables=["fc_layers"], regions=["global"]))
    assert "None of the chosen regions has a product" in str(unwrap_group(caught.value))


@pytest.mark.parametrize(
    ("option", "regions", "narrows"),
    [
        (["cn-hangzhou"], {"cn-hangzhou"}, True),
        (["cn-hangzhou", "global"], {"cn-hangzhou", "global"}, False),
        (["global"], {"global"}, True),
        (["all"], {"cn-hangzhou", "cn-shanghai", "ap-southeast-1", "global"}, False),
    ],
)
async def test_the_option_region_leaves_global_out_unless_it_names_it(here, option, regions, narrows):
    config = config_of(here, tables=BOTH, regions=["cn-hangzhou"]).with_overrides(regions=option)
    found, _ = await targets(here, config)
    assert {region for _, region in found} == regions
    assert (selection_of(resolve_config(config)) is not None) is narrows


async def test_regions_without_global_are_refused_for_tables_of_global_products_alone(here):
    config = config_of(here, tables=["people_users"], regions=ALL).with_overrides(regions=["cn-hangzhou"])
    with pytest.raises(BaseExceptionGroup) as caught:
        await targets(here, config)
    assert str(unwrap_group(caught.value)).endswith("add `--region global` for the products that have no regions.")


async def test_an_accounts_own_regions_leave_global_in(here):
    config = config_of(
        here,
        tables=BOTH,
        regions=ALL,
        change=lambda text: text.replace("[[accounts]]", '[[accounts]]\nregions = ["cn-shanghai"]', 1),
    )
    found, _ = await targets(here, config)
    assert {region for account, region in found if account == BIG} == {"cn-shanghai", "global"}
    found, _ = await targets(here, config.with_overrides(regions=["global"]))
    assert found == {(BIG, "global"), (SMALL, "global")}


@pytest.mark.parametrize("host", ["", 'away = "https://away.{region}.aliyuncs.com"'])
async def test_tables_of_a_product_without_known_regions_are_refused_with_what_to_write(here, host):
    with pytest.raises(ConfigError) as caught:
        await targets(here, config_of(here, host, tables=["away_users", "fc_layers"]))
    assert not here.cloud.requests.entries
    assert str(caught.value) == (
        "away (away) has no known regions: name those to crawl with their hosts, such as "
        '[endpoints.away] cn-hangzhou = "https://away.cn-hangzhou.aliyuncs.com".'
    )


async def test_a_product_without_known_regions_is_read_where_the_configuration_has_its_hosts(here):
    more = '[endpoints.away]\ncn-shanghai = "http://127.0.0.1:9"\nus-east-1 = "http://127.0.0.1:9"\n'
    found, value = await targets(here, config_of(here, more=more, tables=["away_users"], regions=ALL))
    assert {region for _, region in found} == {"cn-shanghai", "us-east-1"}
    assert value["scopes"] == 4


async def test_a_host_for_global_is_refused_for_a_product_with_regions(here):
    with pytest.raises(ConfigError, match=r"endpoints.away.global: away has a host for each region, and none for all."):
        resolve_config(config_of(here, more='[endpoints.away]\nglobal = "http://127.0.0.1:9"\n', tables=["fc_layers"]))


async def test_products_that_are_not_asked_for_are_named(here):
    _, value = await targets(here, config_of(here, tables=["fc_layers"]))
    assert value["products_not_asked"]["people"] == {"title": "people", "tables": 1, "pattern": "people_*"}
    assert "fc" not in value["products_not_asked"]
    assert "people (1 table)" in unasked_text(value["products_not_asked"])
    _, value = await targets(here, config_of(here).with_overrides(tables=["fc_layers"]))
    assert value["products_not_asked"] == {}  # --table says so itself


def test_global_products_lack_no_region():
    products = {"a": ProductRegions(frozenset({"x-1"})), "g": ProductRegions(frozenset({"global"}))}
    assert not_offered([("x-1", "y-1", "global")], products) == {"a": ("y-1",)}
    assert select_regions("all", products) == ("global", "x-1")
    assert select_regions(("x-1",), products, with_global=True) == ("x-1", "global")
    assert select_regions(("global",), products, with_global=True) == ("global",)
