"""Every rate limit in force: ours, the catalog's, the configuration's. Known without asking anyone, so that a command
that only shows them needs no session.
"""

from __future__ import annotations

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
