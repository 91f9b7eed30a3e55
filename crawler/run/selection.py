"""The selection of a crawl: which options of the command line left a part of the configuration out."""

from __future__ import annotations

from crawler.config import Config
from crawler.config.resolve import ResolvedConfig
from crawler.run.regions import is_in_all
from crawler.snapshot.manifest import CrawlSelection, is_unpublished_part


def selection_of(resolved: ResolvedConfig) -> CrawlSelection | None:
    """Return the options that narrowed the crawl; None if it covers all that the configuration's file asks for.

    An option that names everything that the file names, or more, narrows nothing.
    """
    config, in_file = resolved.config, resolved.config.in_file
    if in_file is None:
        return None
    whole = resolved.catalog.select(in_file.crawl.tables, in_file.crawl.exclude)
    accounts = _accounts(config) if _omits_accounts(config, in_file) else None
    regions = _regions(config) if _omits_regions(config, in_file, resolved) else None
    tables = list(config.crawl.tables) if not set(whole) <= set(resolved.tables) else None
    if accounts is None and regions is None and tables is None:
        return None
    return CrawlSelection(accounts=accounts, regions=regions, tables=tables, published=config.publish)


def selection_warning(selection: CrawlSelection | None) -> str:
    """Return the consequence of a selection that isn't published, as a warning; empty without one."""
    if selection is None or not is_unpublished_part(selection):
        return ""
    return (
        f"this crawl is narrowed by {selection.options}: LATEST and lake tables stay at the last crawl of the whole "
        "configuration; --publish moves them to this snapshot"
    )


def _accounts(config: Config) -> list[str]:
    members = () if config.members == "all" else config.members
    return sorted({*(account.id for account in config.accounts), *members})


def _omits_accounts(config: Config, in_file: Config) -> bool:
    return (
        len(config.accounts) < len(in_file.accounts)
        or config.members != in_file.members
        or (config.organization is None) != (in_file.organization is None)
    )


def _regions(config: Config) -> list[str]:
    return ["all"] if config.crawl.regions == "all" else sorted(config.crawl.regions)


def _omits_regions(config: Config, in_file: Config, resolved: ResolvedConfig) -> bool:
    chosen, whole = config.crawl.regions, in_file.crawl.regions
    products = resolved.catalog.products.values()
    if config.omits_global and any(product.is_global for product in resolved.catalog.products_of(resolved.tables)):
        return True
    if chosen == whole or (whole != "all" and chosen == "all" and all(is_in_all(name, products) for name in whole)):
        return False
    return "all" in (chosen, whole) or not set(whole) <= set(chosen)
