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

    `times` multiplies the accounts; those beyond the first `accounts` get the same pages. Skewed: only the last of
    `accounts` has so many layers, and the others have fewer, by the third power of their number.
    """

    accounts: int = 4
    regions: tuple[str, ...] = REGIONS
    pages: int = 50
    layers: int = 400
    times: int = 1
    is_skewed: bool = False

    @property
    def account_numbers(self) -> range:
        """The accounts, by number."""
        return range(self.accounts * self.times)

    @property
    def targets(self) -> int:
        """Accounts times regions."""
        return len(self.account_numbers) * len(self.regions)

    def layers_of(self, number: int) -> int:
        """Return the layers of an account in each region, at least one."""
        share = (number % self.accounts + 1) / self.accounts
        return max(1, round(self.layers * share**3)) if self.is_skewed else self.layers

    def layer_pages_of(self, number: int) -> int:
        """Return the pages of an account's list of layers in each region."""
        return -(-self.layers_of(number) // PAGE_RECORDS)

    def requests_of(self, number: int) -> int:
        """Return the pages of all lists of an account in one region."""
        return self.pages + self.layer_pages_of(number) + self.layers_of(number)

    @property
    def requests(self) -> int:
        """Pages of all lists."""
        return len(self.regions) * sum(map(self.requests_of, self.account_numbers))

    @property
    def rows(self) -> int:
        """Records in all lists."""
        layers = sum(map(self.layers_of, self.account_numbers))
        return len(self.regions) * layers * (1 + VERSIONS) + self.targets * self.pages * PAGE_RECORDS

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
