"""Every rate limit in force: ours, the catalog's, the configuration's. Known without asking anyone, so that a command
that only shows them needs no session.
"""

from __future__ import annotations

from collections.abc import Sequence

from crawler.catalog import load_catalog
from crawler.catalog.model import Catalog
from crawler.client.rate_limit import LimitRule
from crawler.config.load import Config

# Guesses: the numbers of these operations aren't published. STS allows 100 a second, ListAccounts 20 (their
# documentation, 2026-11-22).
DEFAULT_LIMITS = {
    "default": LimitRule(20, 5),
    "fc": LimitRule(50, 10),
    "fc-open": LimitRule(50, 10),
    "sts": LimitRule(50, 10),
    "resourcedirectory": LimitRule(15, 5),
}


def limit_rules(config: Config, catalog: Catalog) -> dict[str, LimitRule]:
    """By `default`, product, or `product.Action`: the configuration's over the catalog's over ours."""
    of_operations = {
        f"{operation.product}.{operation.action}": LimitRule(operation.rate, operation.burst or 1)
        for operation in catalog.operations.values()
        if operation.rate is not None
    }
    return {**DEFAULT_LIMITS, **of_operations, **config.limit_rules()}


def open_catalog(config: Config) -> Catalog:
    """The catalog with the user's own folders, checked against the configuration's rate limits and endpoints."""
    catalog = load_catalog(config.catalog.extra)
    actions: dict[str, set[str]] = {key: set() for key in catalog.products}
    for operation in catalog.operations.values():
        actions[operation.product].add(operation.action)
        if operation.details is not None:
            actions[operation.product].add(operation.details.action)
    config.check_products(actions)
    return catalog


def parameter_settings(config: Config) -> dict[str, Sequence[str]]:
    """The configuration's own values of parameters, by the key that a schema file's `setting` names."""
    return {"opensearch.functions": config.opensearch.functions}
