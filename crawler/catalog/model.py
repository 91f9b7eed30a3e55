"""The catalog's values, all frozen: products, operations, and the queries that a crawl needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from crawler.catalog.columns import Column, snake_case
from crawler.errors import CatalogError

if TYPE_CHECKING:
    import pyarrow as pa

FIXED_COLUMNS = ("account_id", "region_id", "snapshot_id", "fetched_at")
EXTRA_COLUMN = "_extra"

DETAILS_COLUMN = "details_status"

Selection = Literal["default", "opt-in", "out"]

# The path of a record that is a whole answer, and of records that are the items of an answer without an object around.
WHOLE_ANSWER = ("$",)
WHOLE_LIST = ("$[]",)

# Fields of any envelope of these APIs, in addition to the list (Alibaba Cloud's references, checked 2026-11-22). The
# first letter is of either case.
ENVELOPE = frozenset({"requestId", "code", "message", "status", "httpCode", "latency", "success", "hostId"})

_ANSWER_NAME = re.compile(r"[^\s.$\[\]]+")
_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)\}")
# Parameters of a query that the target gives.
TARGET_PARAMETERS = ("account_id", "region_id")
_QUERY_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")
_NAMED_STEP = re.compile(r"([^/{}]+)/\{[A-Za-z]+\}")


def is_answer_name(name: str) -> bool:
    """Whether a path into an answer can have this name as a step: it has no dots, blanks, `$` or brackets."""
    return _ANSWER_NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Paging:
    """How a list is paged. `style` is token, version, limit-only, page-number or none; keys are wire names.

    `limit` is the page size to request; 0 if the operation has none. `output_key`, `total_key` and `more_key` are paths
    into the answer (`Data.NextToken`). `more_key`: the flag that says whether there is another page.
    """

    style: str
    input_key: str = ""
    output_key: str = ""
    limit_key: str = ""
    limit: int = 0
    total_key: str = ""
    more_key: str = ""

    @cached_property
    def answer_keys(self) -> tuple[str, ...]:
        """The paths of the answer that paging reads."""
        return tuple(key for key in (self.output_key, self.total_key, self.more_key) if key)


@dataclass(frozen=True, slots=True)
class Parent:
    """The source of a child list's parameters.

    `bind`: wire parameter → path into the parent's row (`service_name`, `domain.functions.algo[]`, `query_node.name?`;
    see `RowPage.parent_keys`). `values`: wire parameter → known values, each requested with every parent row.
    `setting`: configuration key with more values.
    """

    table: str
    bind: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The time span that an operation requires, in epoch seconds: the last `hours` before the crawl started."""

    begin_key: str
    end_key: str
    hours: int

    def query(self, end: datetime) -> dict[str, str]:
        """Return the two query parameters."""
        end_s = int(end.timestamp())
        return {self.begin_key: str(end_s - self.hours * 3600), self.end_key: str(end_s)}


class _Request:
    """The parts of a request that a row gives."""

    path: str
    query: Mapping[str, str]

    @cached_property
    def path_parameters(self) -> tuple[str, ...]:
        """The wire names of the path's parameters, in order."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @cached_property
    def query_parameters(self) -> tuple[str, ...]:
        """The wire names of the query's parameters that a row gives and no target, each once, in order."""
        found = [name for value in self.query.values() for name in _QUERY_PLACEHOLDER.findall(value)]
        return tuple(name for name in dict.fromkeys(found) if name not in TARGET_PARAMETERS)

    @cached_property
    def parent_kinds(self) -> tuple[str, ...]:
        """The kinds of the resources that a request names: steps of the path, such as `functions`; query parameters."""
        return (*_NAMED_STEP.findall(self.path), *self.query_parameters)

    def filled_query(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return the query with each `{name}` replaced by its value."""
        return {key: _QUERY_PLACEHOLDER.sub(lambda match: values[match[1]], text) for key, text in self.query.items()}


@dataclass(frozen=True)
class Details(_Request):
    """The operation that returns more fields of a record than the list. `bind`: parameter of path or query → column.

    `records`: the path to the record in the answer, () if the answer is the record. `is_always`: the details are
    requested whenever the table is written.
    """

    action: str
    path: str
    ram: str
    bind: Mapping[str, str]
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict)
    records: tuple[str, ...] = ()
    is_always: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredDifference:
    """A known difference: what the official SDK has instead (`sdk` empty: nothing), and the reason."""

    sdk: str
    reason: str


@dataclass(frozen=True)
class Operation(_Request):
    """One List operation and the table that it fills.

    `records`: the path to the list; `WHOLE_ANSWER` if the answer is the one record, `WHOLE_LIST` if it is the list.
    `filters`: query parameters that narrow the list, never sent. `accepts`: what is accepted instead of a list,
    `object` (the one record) or `absent` (no record). `empty_codes`: error codes that mean that the list doesn't exist.
    `is_ram_assumed`: the documentation discloses no action; `ram` follows the names of similar operations. `volatile`:
    paths of columns whose values the API generates again for every response, so that a new value is no change.
    `short_lived`: the resources exist for minutes, so that two snapshots differ in nearly all of them.
    """

    table: str
    title: str
    product: str
    version: str
    action: str
    path: str
    query: Mapping[str, str]
    records: tuple[str, ...]
    filters: tuple[str, ...]
    accepts: frozenset[str]
    empty_codes: frozenset[str]
    envelope: frozenset[str]
    ram: str
    is_ram_assumed: bool
    paging: Paging
    parents: tuple[Parent, ...]
    key: tuple[str, ...]
    optional_key: frozenset[str]
    columns: tuple[Column, ...]
    item: str
    selection: Selection
    reason: str
    window: Window | None
    details: Details | None
    differences: Mapping[str, DeclaredDifference]
    source: str
    checked: str
    rate: float | None
    burst: int | None
    volatile: tuple[str, ...] = ()
    short_lived: bool = False
    method: str = "GET"

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The wire names of all parameters that a parent's row gives. They identify one list of this operation."""
        return (*self.path_parameters, *self.query_parameters)

    @cached_property
    def column_names(self) -> dict[str, str]:
        """Wire name of a record's field → column. `record_` precedes the name of a fixed column."""
        reserved = {*FIXED_COLUMNS, EXTRA_COLUMN, *([DETAILS_COLUMN] if self.details else [])}
        return {c.wire: f"record_{c.name}" if c.name in reserved else c.name for c in self.columns}

    @cached_property
    def parameter_columns(self) -> dict[str, str]:
        """Wire name of a parameter that a parent's row gives → column."""
        return {name: snake_case(name) for name in self.parameters}

    @cached_property
    def row_columns(self) -> tuple[str, ...]:
        """The columns of a row: fixed ones, parameters without a field of the record, the record's fields, `_extra`.

        If details can be fetched, `details_status` precedes `_extra`.
        """
        own = tuple(self.column_names[column.wire] for column in self.columns)
        given = tuple(name for name in self.parameter_columns.values() if name not in own)
        details = (DETAILS_COLUMN,) if self.details is not None else ()
        return (*FIXED_COLUMNS, *given, *own, *details, EXTRA_COLUMN)

    @cached_property
    def schema(self) -> pa.Schema:
        """`row_columns` with their types."""
        import pyarrow as pa

        from crawler.catalog.columns import TIMESTAMP

        own = {self.column_names[column.wire]: column.arrow_field for column in self.columns}
        fields = [
            own[name].with_name(name)
            if name in own
            else pa.field(name, TIMESTAMP if name == "fetched_at" else pa.string())
            for name in self.row_columns
        ]
        return pa.schema(fields, metadata={"operation": f"{self.product} {self.version} {self.action}"})

    @property
    def parent_tables(self) -> tuple[str, ...]:
        """The tables of the parents, each once."""
        return tuple(dict.fromkeys(parent.table for parent in self.parents))


@dataclass(frozen=True, slots=True)
class RegionsOperation:
    """A product's DescribeRegions: the path to the list in the response, and the region to call.

    `endpoint`: the field that has the region's host; "" if the response has none. `ram`: its RAM action, "" if it needs
    none.
    """

    action: str
    path: str
    records: tuple[str, ...]
    id: str
    ask: str
    endpoint: str = ""
    method: str = "GET"
    ram: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """One API of the vendor: version, style, hosts. `sdk` is the official SDK's package.

    `title`: the name for people; without one in the file, the key. `rate` and `burst`: the limit of all its operations
    together, None for the default. `settings`: the configuration's keys (`section.key`) whose values [[parents]] may
    add. `uncovered`: List operations of that SDK that have no table, with the reason. `closed`: regions that the vendor
    has closed, which are requested only where the configuration names them. `differences`: see `Operation`.
    `is_default`: whether a pattern that doesn't begin with the prefix may choose its tables. `is_global`: it has one
    host for all regions, and its scopes lie at `GLOBAL_REGION`. `success_codes`: codes that mean no error, in lower
    case.
    """

    key: str
    title: str
    version: str
    prefix: str
    style: str
    endpoint: str
    endpoints: Mapping[str, str]
    sdk: str
    uncovered: Mapping[str, str]
    regions: RegionsOperation | None
    rate: float | None
    burst: int | None
    settings: tuple[str, ...]
    closed: frozenset[str] = frozenset()
    differences: Mapping[str, DeclaredDifference] = field(default_factory=dict)
    is_default: bool = True
    is_global: bool = False
    success_codes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Catalog:
    """All products and operations, by product key and by table. `warnings`: sentences on keys that were ignored."""

    products: Mapping[str, Product]
    operations: Mapping[str, Operation]
    warnings: tuple[str, ...] = ()

    def select(self, patterns: Sequence[str], exclude: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the tables that match, in the catalog's order. An opt-in table needs its exact name.

        A product that isn't among the default ones needs a pattern that begins with its prefix. Raises CatalogError for
        a pattern without a table, in `exclude` too, and for a table whose selection is out.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            matching = self._matching(pattern)
            if pattern in matching and self.operations[pattern].selection == "out":
                raise CatalogError(f"{pattern} can't be crawled: {self.operations[pattern].reason}.")
            reached = {table for table in matching if self._is_reached(table, pattern)}
            named = {t for t in reached if t == pattern or self.operations[t].selection == "default"}
            if not reached:
                prefix = self.products[self.operations[min(matching)].product].prefix
                raise CatalogError(
                    f"{pattern!r} matches {min(matching)}, whose product needs a pattern that begins with {prefix!r}."
                )
            if not named:
                raise CatalogError(f"{pattern!r} matches opt-in tables only, each of which needs its exact name.")
            chosen |= named
        for pattern in exclude:
            chosen -= self._matching(pattern)
        return tuple(table for table in self.operations if table in chosen)

    def _is_reached(self, table: str, pattern: str) -> bool:
        """Whether a pattern may choose a table of this table's product."""
        product = self.products[self.operations[table].product]
        return product.is_default or pattern.startswith(product.prefix)

    @property
    def all_patterns(self) -> tuple[str, ...]:
        """The patterns that choose all tables but the opt-in ones, those of opt-in products too."""
        prefixes = (product.prefix for product in self.products.values() if not product.is_default)
        return ("*", *(f"{prefix}*" for prefix in prefixes))

    def products_of(self, tables: Iterable[str]) -> tuple[Product, ...]:
        """Return the products of tables, each once, in the tables' order."""
        return tuple(self.products[key] for key in dict.fromkeys(self.operations[table].product for table in tables))

    def unasked_products(self, tables: Iterable[str]) -> tuple[Product, ...]:
        """Return the products that have tables which can be chosen, none of which is read with these tables."""
        read = {self.operations[table].product for table in self.with_parents(tables)}
        able = {operation.product for operation in self.operations.values() if operation.selection != "out"}
        return tuple(product for key, product in self.products.items() if key in able - read)

    def matching(self, *patterns: str) -> tuple[str, ...]:
        """Return every table that a pattern matches, opt-in and out too, in the catalog's order.

        Raises CatalogError for a pattern without a table.
        """
        found = {table for pattern in patterns for table in self._matching(pattern)}
        return tuple(table for table in self.operations if table in found)

    def _matching(self, pattern: str) -> set[str]:
        matching = {table for table in self.operations if fnmatchcase(table, pattern)}
        if not matching:
            raise CatalogError(self._unknown(pattern))
        return matching

    def with_parents(self, tables: Iterable[str]) -> tuple[str, ...]:
        """Return these tables and all their ancestors, parents first."""
        needed: dict[str, None] = {}

        def add(table: str) -> None:
            for parent in self.operations[table].parent_tables:
                add(parent)
            needed[table] = None

        for table in tables:
            add(table)
        return tuple(needed)

    def select_details(self, patterns: Sequence[str], tables: Collection[str]) -> frozenset[str]:
        """Return those of `tables` whose records are also fetched one by one. Raises CatalogError if none can be."""
        chosen = {t for t in tables if (found := self.operations[t].details) is not None and found.is_always}
        for pattern in patterns:
            able = {table for table in self._matching(pattern) if self.operations[table].details is not None}
            if not able:
                known = ", ".join(table for table, op in self.operations.items() if op.details) or "none"
                raise CatalogError(f"{pattern!r} matches no table with details to fetch; tables with details: {known}.")
            chosen |= able & set(tables)
        return frozenset(chosen)

    def ram_actions(self, tables: Iterable[str], details: Collection[str] = ()) -> list[str]:
        """Return the RAM actions of a crawl of these tables, with those of parents, details and regions, sorted."""
        needed = self.with_parents(tables)
        regions = (product.regions for product in self.products_of(needed))
        actions = {self.operations[table].ram for table in needed} | {r.ram for r in regions if r and r.ram}
        return sorted(actions | {found.ram for table in details if (found := self.operations[table].details)})

    def depth(self, table: str) -> int:
        """Return the number of levels above a table; 0 for a root list."""
        return max((self.depth(parent) + 1 for parent in self.operations[table].parent_tables), default=0)

    def children(self, table: str) -> tuple[str, ...]:
        """Return the direct children of a table."""
        return tuple(name for name, op in self.operations.items() if table in op.parent_tables)

    def product_title(self, key: str) -> str:
        """Return a product's name for people; the key of an unknown product as it is."""
        return self.products[key].title if key in self.products else key

    def _unknown(self, pattern: str) -> str:
        near = get_close_matches(pattern, self.operations, 1)
        hint = (
            f"did you mean {near[0]!r}?"
            if near
            else "`acs-inventory tables` lists them all, with --config FILE those of its [catalog] extra, too."
        )
        return f"No table is called or matches {pattern!r}; {hint}"
