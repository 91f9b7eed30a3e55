"""What an emulated cloud consists of: accounts, regions, sizes and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from crawler.errors import ConfigError

MAX_DAY = 400
REGION = re.compile(r"[a-z]{2,4}(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `rate` requests a second in the long run, `burst` at once."""

    rate: float = 200.0
    burst: int = 100


# https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole (checked 2026-11-22)
STS_RATE = Rate(rate=100.0, burst=100)
# ListAccounts: https://help.aliyun.com/zh/resource-management/developer-reference/
# api-resourcedirectorymaster-2022-04-19-quota (checked 2026-11-22)
DIRECTORY_RATE = Rate(rate=20.0, burst=20)


@dataclass(frozen=True, slots=True)
class CloudOrganization:
    """A resource directory: the cloud's first account manages it, all others are its members.

    `statuses` and `deletions` give members another Status than that of a member that is there, and a DeletionStatus.
    In accounts of `without_role` there is no role; the roles of `distrustful` ones let nobody in. `delegates` are
    members that may list the members too.
    """

    statuses: Mapping[str, str] = field(default_factory=dict)
    deletions: Mapping[str, str] = field(default_factory=dict)
    without_role: tuple[str, ...] = ()
    distrustful: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()

    @property
    def named(self) -> set[str]:
        """Every account that it says something of."""
        return {*self.statuses, *self.deletions, *self.without_role, *self.distrustful, *self.delegates}


@dataclass(frozen=True, slots=True)
class Shape:
    """How many records one account has in one region.

    What else there is follows from the functions and services; of the lists below one resource, the longest has
    `longest` records, most have three or fewer.
    """

    functions: int
    services: int
    service_functions: int
    stateful: int
    app_groups: int
    longest: int = 3


# By the account's and the region's position. Together they have lists of nothing, of exactly one page, of one page
# and a few records, and of several pages; a service without functions; and a region without any function.
SHAPES: Mapping[tuple[int, int], Shape] = {
    (0, 0): Shape(functions=103, services=6, service_functions=24, stateful=101, app_groups=5, longest=103),
    (0, 1): Shape(functions=12, services=3, service_functions=6, stateful=3, app_groups=2),
    (0, 2): Shape(functions=5, services=2, service_functions=4, stateful=0, app_groups=4),
    (1, 0): Shape(functions=100, services=4, service_functions=12, stateful=100, app_groups=3),
    (1, 1): Shape(functions=4, services=2, service_functions=6, stateful=5, app_groups=2),
    (1, 2): Shape(functions=0, services=1, service_functions=0, stateful=0, app_groups=1),
}
OTHER_SHAPE = Shape(functions=7, services=3, service_functions=3, stateful=2, app_groups=2)


@dataclass(frozen=True, slots=True)
class CloudSpec:
    """The recipe of a `Cloud`; equal recipes give equal clouds, in any process and on any Python.

    `day` 2 is the same cloud a day later, as `days` has it.
    `scale` multiplies the functions, services, stateful functions and app groups, and with them what hangs on them.
    `rate` holds for each operation, per account and region; `rates` overrides it by product (`"fc"`) or operation
    (`"fc.ListFunctions"`). STS has 100 a second per account unless `rates` says otherwise. `first_function_instances`
    gives the first function of 2.0 (by service and name) exactly that many instances, to fill a list that only has a
    limit to the brim. `roles` may be assumed in every account; with an `external_id` only by who names it. Without an
    `organization` the accounts have nothing to do with each other.

    Raises `ConfigError` where a value can't be used.
    """

    seed: int = 0
    day: int = 1
    accounts: tuple[str, ...] = ("1000000000000001", "1000000000000002")
    regions: tuple[str, ...] = ("cn-hangzhou", "cn-shanghai", "ap-southeast-1")
    opensearch_regions: tuple[str, ...] = ("cn-hangzhou", "ap-southeast-1")
    scale: int = 1
    rate: Rate = Rate()
    rates: Mapping[str, Rate] = field(default_factory=dict)
    first_function_instances: int | None = None
    roles: tuple[str, ...] = ("inventory-reader",)
    external_id: str = ""
    organization: CloudOrganization | None = None
    log_size: int = 100_000

    def __post_init__(self) -> None:
        _check(all(account.isascii() and account.isdigit() for account in self.accounts), "accounts: IDs are digits")
        _check(
            bool(self.accounts) and len(set(self.accounts)) == len(self.accounts), "accounts: one or more, once each"
        )
        _check(all(REGION.fullmatch(region) for region in self.regions), "regions: names look like cn-hangzhou")
        _check(bool(self.regions) and len(set(self.regions)) == len(self.regions), "regions: one or more, once each")
        _check(self.scale >= 1, "scale: 1 or more")
        _check(1 <= self.day <= MAX_DAY, f"day: 1 to {MAX_DAY}")
        odd = self.organization.named - set(self.accounts[1:]) if self.organization is not None else set()
        _check(not odd, "organization: its members are the accounts but the first")
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
            longest=base.longest,
        )

    def has_opensearch(self, region_id: str) -> bool:
        """Whether OpenSearch is offered in the region."""
        return region_id in self.opensearch_regions

    def rate_of(self, product: str, action: str) -> Rate:
        """The limit of an operation: its own, else its product's, else the default."""
        default = {"sts": STS_RATE, "resourcedirectory": DIRECTORY_RATE}.get(product, self.rate)
        return self.rates.get(f"{product}.{action}") or self.rates.get(product) or default


def _check(is_valid: bool, rule: str) -> None:
    if not is_valid:
        raise ConfigError(f"The emulated cloud can't be built: {rule}.")
