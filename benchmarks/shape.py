"""The shape of the static cloud: accounts, regions, lists and pages. All other numbers are computed from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

REGIONS = ("cn-hangzhou", "cn-shanghai", "cn-beijing", "cn-shenzhen", "ap-southeast-1")
PAGE_RECORDS = 100
VERSIONS = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """Each account has, in each region, `pages` pages of functions, and `layers` layers of three versions each.

    `times` multiplies the accounts; those beyond the first `accounts` get the same pages.
    """

    accounts: int = 4
    regions: tuple[str, ...] = REGIONS
    pages: int = 50
    layers: int = 400
    times: int = 1

    @property
    def account_numbers(self) -> range:
        """The accounts, by number."""
        return range(self.accounts * self.times)

    @property
    def targets(self) -> int:
        """Accounts times regions."""
        return len(self.account_numbers) * len(self.regions)

    @property
    def layer_pages(self) -> int:
        """Pages of each list of layers."""
        return -(-self.layers // PAGE_RECORDS)

    @property
    def requests(self) -> int:
        """Pages of all lists."""
        return self.targets * (self.pages + self.layer_pages + self.layers)

    @property
    def rows(self) -> int:
        """Records in all lists."""
        return self.targets * (self.pages * PAGE_RECORDS + self.layers * (1 + VERSIONS))

    def folders(self) -> Iterator[tuple[int, str]]:
        """Return the accounts and regions that have their own pages."""
        return ((account, region) for account in range(self.accounts) for region in self.regions)


FULL = Shape()
QUICK = Shape(accounts=2, regions=REGIONS[:2], pages=10, layers=100)


def key_id(number: int) -> str:
    """Return an account's access key ID."""
    return f"LTAI5tBenchmark{number:05d}"


def layer_name(number: int) -> str:
    """Return the name of a layer."""
    return f"shared-library-{number:05d}"
