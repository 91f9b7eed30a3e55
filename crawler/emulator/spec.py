"""What an emulated cloud consists of: accounts, regions, sizes and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from crawler.errors import ConfigError

REGION = re.compile(r"[a-z]{2,4}(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `rate` requests a second in the long run, `burst` at once."""

    rate: float = 200.0
    burst: int = 100


# https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole (checked 2026-11-22)
STS_RATE = Rate(rate=100.0, burst=100)


@dataclass(frozen=True, slots=True)
class Shape:
    """How many records one account has in one region."""

    functions: int
    services: int
    service_functions: int
    stateful: int
    app_groups: int


# By the account's and the region's position. Together they have lists of nothing, of exactly one page, of one page
# and one record, and of several pages; a service without functions; and a region without any function.
SHAPES: Mapping[tuple[int, int], Shape] = {
    (0, 0): Shape(functions=236, services=105, service_functions=40, stateful=123, app_groups=130),
    (0, 1): Shape(functions=45, services=6, service_functions=12, stateful=3, app_groups=4),
    (0, 2): Shape(functions=101, services=4, service_functions=8, stateful=0, app_groups=12),
    (1, 0): Shape(functions=100, services=12, service_functions=40, stateful=100, app_groups=6),
    (1, 1): Shape(functions=23, services=8, service_functions=20, stateful=21, app_groups=2),
    (1, 2): Shape(functions=0, services=1, service_functions=0, stateful=0, app_groups=3),
}
OTHER_SHAPE = Shape(functions=7, services=3, service_functions=3, stateful=2, app_groups=2)


@dataclass(frozen=True, slots=True)
class CloudSpec:
    """The recipe of a `Cloud`; equal recipes give equal clouds, in any process and on any Python.

    `scale` multiplies the number of records of every root list and of the functions of 2.0. `rate` holds for each
    operation, per account and region; `rates` overrides it by product (`"fc"`) or operation (`"fc.ListFunctions"`).
    STS has 100 a second per account unless `rates` says otherwise. `first_function_instances` gives the first function
    of 2.0 (by service and name) exactly that many instances, to fill a list that only has a limit to the brim. `roles`
    may be assumed in every account; with an `external_id` only by who names it.

    Raises `ConfigError` where a value can't be used.
    """

    seed: int = 0
    accounts: tuple[str, ...] = ("1000000000000001", "1000000000000002")
    regions: tuple[str, ...] = ("cn-hangzhou", "cn-shanghai", "ap-southeast-1")
    opensearch_regions: tuple[str, ...] = ("cn-hangzhou", "ap-southeast-1")
    scale: int = 1
    rate: Rate = Rate()
    rates: Mapping[str, Rate] = field(default_factory=dict)
    first_function_instances: int | None = None
    roles: tuple[str, ...] = ("inventory-reader",)
    external_id: str = ""
    log_size: int = 100_000

    def __post_init__(self) -> None:
        _check(all(account.isascii() and account.isdigit() for account in self.accounts), "accounts: IDs are digits")
        _check(
            bool(self.accounts) and len(set(self.accounts)) == len(self.accounts), "accounts: one or more, once each"
        )
        _check(all(REGION.fullmatch(region) for region in self.regions), "regions: names look like cn-hangzhou")
        _check(bool(self.regions) and len(set(self.regions)) == len(self.regions), "regions: one or more, once each")
        _check(self.scale >= 1, "scale: 1 or more")
        rules = (self.rate, *self.rates.values())
        _check(all(rule.rate > 0 and rule.burst >= 1 for rule in rules), "rates: rate above 0, burst 1 or more")

    def shape(self, account_id: str, region_id: str) -> Shape:
        """The record counts of one account in one region, scaled; no app groups where OpenSearch isn't offered."""
        place = (self.accounts.index(account_id), self.regions.index(region_id))
        base = SHAPES.get(place, OTHER_SHAPE)
        return Shape(
            functions=base.functions * self.scale,
            services=base.services * self.scale,
            service_functions=base.service_functions * self.scale,
            stateful=base.stateful * self.scale,
            app_groups=base.app_groups * self.scale if self.has_opensearch(region_id) else 0,
        )

    def has_opensearch(self, region_id: str) -> bool:
        """Whether OpenSearch is offered in the region."""
        return region_id in self.opensearch_regions

    def rate_of(self, product: str, action: str) -> Rate:
        """The limit of an operation: its own, else its product's, else the default."""
        default = STS_RATE if product == "sts" else self.rate
        return self.rates.get(f"{product}.{action}") or self.rates.get(product) or default


def _check(is_valid: bool, rule: str) -> None:
    if not is_valid:
        raise ConfigError(f"The emulated cloud can't be built: {rule}.")
