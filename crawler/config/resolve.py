"""Configuration and catalog together: every value that a crawl takes from both, resolved once, without a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.catalog import load_catalog
from crawler.catalog.model import Catalog
from crawler.client.endpoints import Endpoints, ProductHosts
from crawler.client.rate_limit import LimitRule
from crawler.config.load import Config
from crawler.errors import CatalogError, ConfigError
from crawler.text import GLOBAL_REGION

# The services of the crawler's own calls, which have no product.toml. The host of ListAccounts is the China site's;
# accounts of the international site use resourcedirectory-intl.aliyuncs.com.
SERVICE_HOSTS = {
    "sts": ProductHosts("https://sts.aliyuncs.com"),
    "resourcedirectory": ProductHosts("https://resourcedirectory.aliyuncs.com"),
}

# Estimates: the limits of these operations aren't published. STS allows 100 requests per second, ListAccounts 20 (their
# documentation, 2026-11-22).
DEFAULT_LIMITS = {
    "default": LimitRule(20, 5),
    "sts": LimitRule(50, 10),
    "resourcedirectory": LimitRule(15, 5),
}


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A configuration with its catalog. `details`: the tables whose records are also fetched one by one.

    `limit_rules` as in `limit_rules()`; `parameter_settings`: key of a schema file's `setting` → configured values.
    """

    config: Config
    catalog: Catalog
    tables: tuple[str, ...]
    details: frozenset[str]
    limit_rules: Mapping[str, LimitRule]
    parameter_settings: Mapping[str, Sequence[str]]
    endpoints: Endpoints


def resolve_config(config: Config, catalog: Catalog | None = None) -> ResolvedConfig:
    """Return the configuration with `catalog`; without one, load the configuration's own and check it.

    Raises CatalogError for schema files and table patterns, ConfigError for endpoints and rate limits.
    """
    catalog = open_catalog(config) if catalog is None else catalog
    tables = catalog.select(config.crawl.tables, config.crawl.exclude)
    return ResolvedConfig(
        config,
        catalog,
        tables,
        catalog.select_details(config.crawl.details, tables),
        limit_rules(config, catalog),
        _parameter_settings(config, catalog),
        endpoint_map(config, catalog),
    )


def open_catalog(config: Config) -> Catalog:
    """Load the catalog with the user's own folders, and check `[rate_limits]` and `[endpoints]` against it."""
    catalog = load_catalog(config.catalog.extra)
    actions: dict[str, set[str]] = {key: set() for key in catalog.products}
    for operation in catalog.operations.values():
        actions[operation.product].add(operation.action)
        if operation.details is not None:
            actions[operation.product].add(operation.details.action)
    config.check_products(actions)
    for key, value in config.endpoints.items():
        if isinstance(value, dict) and GLOBAL_REGION in value and not catalog.products[key].is_global:
            raise ConfigError(f"endpoints.{key}.{GLOBAL_REGION}: {key} has a host for each region, and none for all.")
    return catalog


def limit_rules(config: Config, catalog: Catalog | None = None) -> dict[str, LimitRule]:
    """Return rules by `default`, product or `product.Action`. The configuration overrides the catalog and defaults."""
    rules = dict(DEFAULT_LIMITS)
    if catalog is not None:
        limits = [(product.key, product.rate, product.burst) for product in catalog.products.values()]
        limits += [(f"{op.product}.{op.action}", op.rate, op.burst) for op in catalog.operations.values()]
        rules |= {key: LimitRule(rate, burst or 1) for key, rate, burst in limits if rate is not None}
    return rules | config.limit_rules()


def endpoint_map(config: Config, catalog: Catalog | None = None) -> Endpoints:
    """Return the hosts of the crawler's own services and the catalog's products, with `[endpoints]` over them."""
    products = catalog.products if catalog is not None else {}
    hosts = {key: ProductHosts(product.endpoint, product.endpoints) for key, product in products.items()}
    return config.endpoint_map({**SERVICE_HOSTS, **hosts})


def _parameter_settings(config: Config, catalog: Catalog) -> dict[str, Sequence[str]]:
    """Return the configured values of every key that a product's `settings` name. Raises CatalogError."""
    found: dict[str, Sequence[str]] = {}
    for product in catalog.products.values():
        for key in product.settings:
            section, _, name = key.partition(".")
            values = getattr(getattr(config, section, None), name, None)
            if not isinstance(values, tuple):
                raise CatalogError(f"product {product.key}: settings names {key!r}, which isn't a list of a section.")
            found[key] = values
    return found
