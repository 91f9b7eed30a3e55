"""The specification of an emulated cloud: accounts, regions, sizes and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from crawler.emulator.apis.operation import GLOBAL, GLOBAL_PRODUCTS
from crawler.emulator.data.seeded import SeededRandom
from crawler.errors import ConfigError

MAX_DAY = 400
REGION = re.compile(r"(?!.{64})[a-z0-9]+(-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `rate` requests per second on average, `burst` at once."""

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

    `statuses` overrides the Status of members, `deletions` sets their DeletionStatus. Accounts in `without_role` have
    no role. Roles of accounts in `distrustful` can't be assumed. `delegates` are members that may list the members.
    """

    statuses: Mapping[str, str] = field(default_factory=dict)
    deletions: Mapping[str, str] = field(default_factory=dict)
    without_role: tuple[str, ...] = ()
    distrustful: tuple[str, ...] = ()
    delegates: tuple[str, ...] = ()

    @property
    def named_accounts(self) -> set[str]:
        """All accounts that a field mentions."""
        return {*self.statuses, *self.deletions, *self.without_role, *self.distrustful, *self.delegates}


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of records of one account in one region; others follow from the functions and services.

    The longest child list has `longest` records, most have three or fewer.
    """

    functions: int
    services: int
    service_functions: int
    stateful: int
    app_groups: int
    search_instances: int = 0
    longest: int = 3


# By the position of account and region. Together they have empty lists, lists of exactly one page, of one page and a
# few records, and of several pages; a service without functions; and a region without any function.
SHAPES: Mapping[tuple[int, int], Shape] = {
    (0, 0): Shape(
        functions=103, services=6, service_functions=24, stateful=101, app_groups=5, search_instances=4, longest=103
    ),
    (0, 1): Shape(functions=12, services=3, service_functions=6, stateful=3, app_groups=2, search_instances=1),
    (0, 2): Shape(functions=5, services=2, service_functions=4, stateful=0, app_groups=4, search_instances=1),
    (1, 0): Shape(functions=100, services=4, service_functions=12, stateful=100, app_groups=3, search_instances=2),
    (1, 1): Shape(functions=4, services=2, service_functions=6, stateful=5, app_groups=2, search_instances=1),
    (1, 2): Shape(functions=0, services=1, service_functions=0, stateful=0, app_groups=1, search_instances=1),
}
OTHER_SHAPE = Shape(functions=7, services=3, service_functions=3, stateful=2, app_groups=2, search_instances=1)
# The least and the largest numbers in a region of a wide cloud.
SMALL_SIZES = {"functions": (1, 3), "service_functions": (1, 2), "app_groups": (0, 1), "search_instances": (0, 1)}


def small_shape(seed: int, account_id: str, region_id: str) -> Shape:
    """Return the sizes of one account in one region of a wide cloud: a few records, and sometimes no search."""
    rng = SeededRandom(seed, account_id, region_id, "shape")
    sizes = {name: rng.integer(low, high) for name, (low, high) in SMALL_SIZES.items()}
    return Shape(services=1, stateful=1, longest=2, **sizes)


@dataclass(frozen=True, slots=True)
class CloudSpec:
    """The specification of a `Cloud`. Equal specifications give equal clouds, in any process and on any Python.

    - `day`: 2 is the same cloud one day later; see `days`
    - `scale` multiplies the functions, services, stateful functions, app groups and search engine instances, and
      thereby their child lists
    - `rate` is the limit of each operation, per account and region. `rates` overrides it by product (`"fc"`) or
      operation (`"fc.ListFunctions"`). The default of STS is 100 per second and account
    - `first_function_instances`: the number of instances of the first function of 2.0 (by service and name), to reach
      the limit of a list without pages
    - `fc_open_regions`: the regions of 2.0; None: all regions
    - `fcsandbox_regions`: the regions of sandboxes; None: all regions
    - `closed_regions` have endpoints, but close every connection without an answer, and no product describes them
    - `region_hosts`: the host that a product's DescribeRegions names for a region, by `"fc.cn-hangzhou"`
    - `is_wide`: each account has a few records in each region (`small_shape`), instead of those of `SHAPES`
    - `roles` exist in every account. With an `external_id`, a request must have it to assume one
    - `organization`: without it, the accounts are unrelated
    - `log_size`: the number of requests that the log keeps; 0: it keeps nothing, and counts nothing

    Raises `ConfigError` if a value is invalid.
    """

    seed: int = 0
    day: int = 1
    accounts: tuple[str, ...] = ("1000000000000001", "1000000000000002")
    regions: tuple[str, ...] = ("cn-hangzhou", "cn-shanghai", "ap-southeast-1")
    opensearch_regions: tuple[str, ...] = ("cn-hangzhou", "ap-southeast-1")
    searchengine_regions: tuple[str, ...] = ("cn-hangzhou", "ap-southeast-1")
    fc_open_regions: tuple[str, ...] | None = None
    fcsandbox_regions: tuple[str, ...] | None = None
    closed_regions: tuple[str, ...] = ()
    region_hosts: Mapping[str, str] = field(default_factory=dict)
    scale: int = 1
    is_wide: bool = False
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
        unknown = self.organization.named_accounts - set(self.accounts[1:]) if self.organization else set()
        _check(not unknown, "organization: its members are the accounts but the first")
        rules = (self.rate, *self.rates.values())
        _check(all(rule.rate > 0 and rule.burst >= 1 for rule in rules), "rates: rate above 0, burst 1 or more")

    def shape(self, account_id: str, region_id: str) -> Shape:
        """Return the scaled sizes of one account in one region. Regions without a search product have none of it."""
        if self.is_wide:
            base = small_shape(self.seed, account_id, region_id)
        else:
            base = SHAPES.get((self.accounts.index(account_id), self.regions.index(region_id)), OTHER_SHAPE)
        sizes = {name: size * self.scale for name, size in asdict(base).items() if name != "longest"}
        if not self.has_opensearch(region_id):
            sizes["app_groups"] = 0
        if region_id not in self.searchengine_regions:
            sizes["search_instances"] = 0
        return replace(base, **sizes)

    def has_opensearch(self, region_id: str) -> bool:
        """Return whether the region has OpenSearch."""
        return region_id in self.opensearch_regions

    def has_product(self, product: str, region_id: str) -> bool:
        """Return whether a region has a product; `GLOBAL` has the global ones."""
        if region_id == GLOBAL or product in GLOBAL_PRODUCTS:
            return region_id == GLOBAL and product in GLOBAL_PRODUCTS
        regions = {
            "fc-open": self.fc_open_regions,
            "fcsandbox": self.fcsandbox_regions,
            "opensearch": self.opensearch_regions,
            "searchengine": self.searchengine_regions,
        }.get(product)
        return regions is None or region_id in regions

    @property
    def places(self) -> tuple[str, ...]:
        """The regions, and `GLOBAL`."""
        return (*self.regions, GLOBAL)

    @property
    def open_regions(self) -> tuple[str, ...]:
        """The regions that aren't closed."""
        return tuple(region for region in self.regions if region not in self.closed_regions)

    def rate_of(self, product: str, action: str) -> Rate:
        """Return the limit of an operation: its own, else its product's, else the default."""
        default = {"sts": STS_RATE, "resourcedirectory": DIRECTORY_RATE}.get(product, self.rate)
        return self.rates.get(f"{product}.{action}") or self.rates.get(product) or default


def _check(is_valid: bool, rule: str) -> None:
    if not is_valid:
        raise ConfigError(f"The emulated cloud can't be built: {rule}.")
