"""Configuration and catalog together: limits of each origin, settings of a product, hosts of the crawler's services."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crawler.catalog import load_catalog
from crawler.client.rate_limit import LimitRule
from crawler.config import Config, parse_config
from crawler.config.resolve import DEFAULT_LIMITS, limit_rules, resolve_config
from crawler.errors import CatalogError

BUILT_IN = load_catalog()
TEXT = """
[crawl]
tables = ["fc_functions"]
details = ["fc_functions"]
[opensearch]
functions = ["popularity"]
[rate_limits]
fc = { rate = 7, burst = 2 }
"fc.ListFunctions" = { rate = 3, burst = 1 }
[[accounts]]
id = "1"
"""


def catalog_with(**changes):
    """The built-in catalog with a changed product fc."""
    return replace(BUILT_IN, products={**BUILT_IN.products, "fc": replace(BUILT_IN.products["fc"], **changes)})


def test_a_limit_is_the_configurations_else_the_catalogs_else_the_default():
    assert limit_rules(Config()) == DEFAULT_LIMITS
    of_catalog = limit_rules(Config(), BUILT_IN)
    assert (of_catalog["fc"], of_catalog["fc-open"], of_catalog.get("opensearch")) == (
        LimitRule(50, 10),
        LimitRule(50, 10),
        None,
    )
    changed = limit_rules(parse_config(TEXT, source="test", environ={}), catalog_with(rate=9, burst=None))
    assert (changed["fc"], changed["fc.ListFunctions"]) == (LimitRule(7, 2), LimitRule(3, 1))
    assert limit_rules(Config(), catalog_with(rate=9, burst=None))["fc"] == LimitRule(9, 1)


def test_a_configuration_is_resolved_with_its_catalog():
    resolved = resolve_config(parse_config(TEXT, source="test", environ={}))
    assert (resolved.tables, resolved.details) == (("fc_functions",), frozenset({"fc_functions"}))
    assert resolved.parameter_settings == {"opensearch.functions": ("popularity",)}
    hosts = [resolved.endpoints.resolve(*key).host for key in (("sts", "", "1"), ("fc", "cn-hangzhou", "1"))]
    assert hosts == ["sts.aliyuncs.com", "fcv3.cn-hangzhou.aliyuncs.com"]


@pytest.mark.parametrize("key", ["shop.kinds", "crawl.concurrency", "crawl", "opensearch.function"])
def test_a_products_setting_must_be_a_list_of_the_configuration(key):
    with pytest.raises(CatalogError, match=f"^product fc: settings names '{key}', which isn't a list of a section"):
        resolve_config(Config(), catalog_with(settings=(key,)))
