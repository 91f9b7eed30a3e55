"""Count the rows of a snapshot by product, account, region and runtime, and the complete scopes per target."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crawler.audit.database import session, unreadable_file
from crawler.catalog import load_catalog
from crawler.snapshot import Status, is_whole
from crawler.text import account_label

if TYPE_CHECKING:
    from crawler.audit.database import OpenSnapshot
    from crawler.catalog.model import Catalog

OWN_TABLES = "own tables"

# The most important kinds of resources, and their tables.
RESOURCE_KINDS: Mapping[str, tuple[str, ...]] = {
    "functions": ("fc_functions", "fc2_functions"),
    "services": ("fc2_services",),
    "triggers": ("fc_triggers", "fc2_triggers"),
    "custom domains": ("fc_custom_domains", "fc2_custom_domains"),
    "layers": ("fc_layers", "fc2_layers"),
    "OpenSearch applications": ("opensearch_app_groups",),
    "search instances": ("searchengine_instances",),
    "roles": ("ram_roles",),
}
# Kinds of products that a crawl reads only if it is asked to.
OPT_IN_KINDS = frozenset({"search instances", "roles"})


@dataclass(slots=True)
class TargetFacts:
    """One target: rows by table, the number of scopes, and of those not complete. `account` is its name and ID."""

    account_id: str
    region_id: str
    account: str
    rows: Counter[str] = field(default_factory=Counter)
    scopes: int = 0
    open_scopes: int = 0

    def count(self, kind: str) -> int:
        """Return the rows of one of `RESOURCE_KINDS`."""
        return sum(self.rows[table] for table in RESOURCE_KINDS[kind])


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table: its product, its title, and its numbers of rows and scopes."""

    table: str
    product: str
    title: str
    rows: int
    scopes: int
    open_scopes: int
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """All counts. `runtimes`: runtime → product → number of functions."""

    targets: Sequence[TargetFacts]
    tables: Sequence[TableFacts]
    products: tuple[str, ...]
    runtimes: Mapping[str, Mapping[str, int]]

    @property
    def rows(self) -> int:
        """The number of all rows of the snapshot."""
        return sum(table.rows for table in self.tables)

    def by(self, attribute: str) -> dict[str, dict[str, int]]:
        """Return `account` or `region_id` → product → rows."""
        products = {table.table: table.product for table in self.tables}
        found: dict[str, dict[str, int]] = {}
        for target in self.targets:
            sums = found.setdefault(getattr(target, attribute), defaultdict(int))
            for table, rows in target.rows.items():
                sums[products[table]] += rows
        return found

    def total(self, kind: str) -> int | None:
        """Return the rows of one of `RESOURCE_KINDS`; None if the snapshot has none of its tables."""
        tables = [table for table in self.tables if table.table in RESOURCE_KINDS[kind] and table.is_stored]
        return sum(table.rows for table in tables) if tables else None


def count_inventory(snapshot: OpenSnapshot, catalog: Catalog) -> Inventory:
    """Count the contents of a snapshot. Only runtimes are read from tables, all else from the ledger."""
    targets: dict[tuple[str, str], TargetFacts] = {}
    for row in snapshot.ledger.rows(("written", "rows", "account_name")):
        if not row.written:
            continue
        target = targets.get((row.account_id, row.region_id))
        if target is None:
            target = targets[row.account_id, row.region_id] = TargetFacts(
                row.account_id, row.region_id, account_label(row.account_id, row.account_name)
            )
        if row.rows:
            target.rows[row.table] += row.rows
        target.scopes += 1
        target.open_scopes += not is_whole(row.status)
    written = {table: found.written for table, found in snapshot.ledger.by_table.items() if found.written}
    tables = [_table_facts(snapshot, catalog, table, written[table]) for table in sorted(written)]
    built_in = [product.title for product in load_catalog().products.values() if product.is_default]
    products = tuple(dict.fromkeys([*built_in, *sorted({table.product for table in tables})]))
    ordered = [targets[key] for key in sorted(targets)]
    return Inventory(ordered, tables, products, _runtimes(snapshot, catalog))


def product_name(catalog: Catalog, table: str) -> str:
    """Return the name of a table's product."""
    operation = catalog.operations.get(table)
    return catalog.product_title(operation.product) if operation else OWN_TABLES


def _table_facts(snapshot: OpenSnapshot, catalog: Catalog, table: str, scopes: Counter[Status]) -> TableFacts:
    entry, operation = snapshot.manifest.tables.get(table), catalog.operations.get(table)
    return TableFacts(
        table,
        product_name(catalog, table),
        operation.title if operation else "",
        entry.rows if entry else 0,
        scopes.total(),
        sum(number for status, number in scopes.items() if not is_whole(status)),
        entry is not None,
    )


def _runtimes(snapshot: OpenSnapshot, catalog: Catalog) -> dict[str, dict[str, int]]:
    import duckdb

    tables = [table for table in RESOURCE_KINDS["functions"] if table in snapshot.manifest.tables]
    found: dict[str, dict[str, int]] = {}
    with session(snapshot, tables) as connection:
        for table in tables:
            sql = f"SELECT coalesce(nullif(runtime, ''), 'unknown'), count(*) FROM {table} GROUP BY ALL"  # noqa: S608
            try:
                counted = connection.execute(sql).fetchall()
            except duckdb.Error as error:
                snapshot.checked.check_hashes()
                raise unreadable_file(str(error)) from None
            for runtime, number in counted:
                found.setdefault(runtime, {})[product_name(catalog, table)] = number
    return found
