"""The regions of each product: those that it offers, those that the vendor has closed, and their hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from crawler.catalog.model import Product
from crawler.client.endpoints import Endpoints
from crawler.errors import ConfigError
from crawler.text import GLOBAL_REGION

# Regions for finance, government and one customer's disaster recovery: crawled only if configured by name.
_SPECIAL = ("-finance", "-gov-", "-acdr-")
Regions = Literal["all"] | Sequence[str]


@dataclass(frozen=True, slots=True)
class ProductRegions:
    """The regions of one product. `closed` ones are requested only where the configuration names them."""

    offered: frozenset[str]
    closed: frozenset[str] = frozenset()

    @property
    def is_global(self) -> bool:
        """Whether the product has one host for all regions."""
        return GLOBAL_REGION in self.offered

    def has(self, region_id: str, *, is_named: bool) -> bool:
        """Whether the product is requested in a region, which the configuration names or `regions = "all"` includes."""
        return region_id in self.offered or (is_named and region_id in self.closed)


def is_special(region_id: str) -> bool:
    """Whether `regions = "all"` excludes the region."""
    return any(mark in region_id for mark in _SPECIAL)


def is_in_all(region_id: str, products: Iterable[Product]) -> bool:
    """Whether `regions = "all"` includes a region, if the products offer it."""
    return not is_special(region_id) and not any(region_id in product.closed for product in products)


def select_regions(
    wanted: Regions, products: Mapping[str, ProductRegions], *, with_global: bool = False
) -> tuple[str, ...]:
    """Return the wanted regions, in order; `with_global` adds the region of global products.

    Raises ConfigError for one that no product has.
    """
    offered = {region_id for product in products.values() for region_id in product.offered}
    if wanted == "all":
        return tuple(sorted(region_id for region_id in offered if not is_special(region_id)))
    known = offered | {region_id for product in products.values() for region_id in product.closed}
    for region_id in wanted:
        if region_id not in known:
            near = get_close_matches(region_id, sorted(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have {', '.join(sorted(known))}."
            raise ConfigError(f"No product has the region {region_id!r}; {hint}")
    return tuple(dict.fromkeys((*wanted, *([GLOBAL_REGION] if with_global else []))))


def not_offered(wanted: Iterable[Regions], products: Mapping[str, ProductRegions]) -> dict[str, tuple[str, ...]]:
    """Return product → the regions that an account names and the product doesn't have; only products with any.

    A global product has no regions that it could lack.
    """
    named = {region_id for regions in wanted if regions != "all" for region_id in regions} - {GLOBAL_REGION}
    missing = {
        key: tuple(sorted(region_id for region_id in named if not product.has(region_id, is_named=True)))
        for key, product in products.items()
        if not product.is_global
    }
    return {key: regions for key, regions in missing.items() if regions}


def host_patterns(endpoints: Endpoints, product: str, regions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the product's URLs with `{region}` and `{account_id}` in their places → the regions with this URL."""
    found: dict[str, list[str]] = {}
    for region_id in sorted(regions):
        url = endpoints.pattern(product, region_id)
        found.setdefault(url.replace(region_id, "{region}"), []).append(region_id)
    return {pattern: tuple(regions) for pattern, regions in sorted(found.items(), key=lambda item: -len(item[1]))}
