"""What the catalog says, as frozen values: products, operations, and the questions that a crawl asks of them."""

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

# The configuration keys whose values [[parents]] may add to those that are known.
SETTINGS = frozenset({"opensearch.functions"})

Selection = Literal["default", "opt-in", "out"]

_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)\}")
# What a query may say of the target that it is sent to.
TARGET_PARAMETERS = ("account_id", "region_id")
_QUERY_PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list is paged. `style` is token, version, limit-only, page-number or none; keys are wire names.

    `limit` is the page size to ask for; 0 where the operation takes none.
    """

    style: str
    input_key: str = ""
    output_key: str = ""
    limit_key: str = ""
    limit: int = 0
    total_key: str = ""


@dataclass(frozen=True, slots=True)
class Parent:
    """Where the path parameters of a child list come from.

    `bind`: wire parameter → path into the parent's row (`service_name`, `domain.functions.algo[]`). `values`: wire
    parameter → known values that are asked for with every parent row; `setting` names the configuration key that
    adds to them.
    """

    table: str
    bind: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """The time span that an operation must be told, in epoch seconds: `hours` up to the crawl's begin."""

    begin_key: str
    end_key: str
    hours: int

    def query(self, end: datetime) -> dict[str, str]:
        """The two parameters."""
        end_s = int(end.timestamp())
        return {self.begin_key: str(end_s - self.hours * 3600), self.end_key: str(end_s)}


@dataclass(frozen=True, slots=True)
class Details:
    """The operation that says more of a record than the list does. `bind`: path parameter → column of the row."""

    action: str
    path: str
    ram: str
    bind: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredDifference:
    """What the official SDK has where the catalog has something else (`sdk` empty: nothing), and why."""

    sdk: str
    reason: str


@dataclass(frozen=True)
class Operation:
    """One List operation and the table that it fills.

    `filters`: query parameters that narrow the list, never sent. `accepts`: what is taken in place of a list, `object`
    (it is the one record) or `absent` (no record). `empty_codes`: error codes that mean that there is no such list.
    `is_ram_assumed`: the documentation discloses no action, `ram` is what its siblings' names suggest. `volatile`: the
    paths of columns whose values the API makes anew for every answer, so that another one means nothing.
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

    @cached_property
    def path_parameters(self) -> tuple[str, ...]:
        """The wire names in the path, in its order."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @cached_property
    def query_parameters(self) -> tuple[str, ...]:
        """The wire names of parameters that a parent's row gives and the query carries, in its order."""
        found = [name for value in self.query.values() for name in _QUERY_PLACEHOLDER.findall(value)]
        return tuple(name for name in dict.fromkeys(found) if name not in TARGET_PARAMETERS)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The wire names of all that a parent's row gives: what tells one list of this operation from another."""
        return (*self.path_parameters, *self.query_parameters)

    def filled_query(self, values: Mapping[str, str]) -> dict[str, str]:
        """The query with each `{name}` replaced by its value."""
        return {key: _QUERY_PLACEHOLDER.sub(lambda m: values[m[1]], text) for key, text in self.query.items()}

    @cached_property
    def column_names(self) -> dict[str, str]:
        """Wire name of a record's field → the table's column. A fixed column's name gets `record_` before it."""
        reserved = {*FIXED_COLUMNS, EXTRA_COLUMN, *([DETAILS_COLUMN] if self.details else [])}
        return {c.wire: f"record_{c.name}" if c.name in reserved else c.name for c in self.columns}

    @cached_property
    def parameter_columns(self) -> dict[str, str]:
        """Wire name of a parameter that a parent's row gives → its column."""
        return {name: snake_case(name) for name in self.parameters}

    @cached_property
    def row_columns(self) -> tuple[str, ...]:
        """The columns of a row: fixed ones, parameters that no record's field overrides, the record's, `_extra`.

        Where a record's details can be fetched, `details_status` comes before the last.
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
        """The tables that this one hangs from, each once."""
        return tuple(dict.fromkeys(parent.table for parent in self.parents))


@dataclass(frozen=True, slots=True)
class RegionsOperation:
    """A product's DescribeRegions: where the list is and in which region to ask."""

    action: str
    path: str
    records: tuple[str, ...]
    id: str
    ask: str


@dataclass(frozen=True, slots=True)
class Product:
    """One API of the vendor: its version, how it is called, and where it is. `sdk` is the official SDK's package.

    `uncovered`: List operations of that SDK that have no table, with the reason.
    """

    key: str
    version: str
    prefix: str
    style: str
    endpoint: str
    endpoints: Mapping[str, str]
    sdk: str
    uncovered: Mapping[str, str]
    regions: RegionsOperation | None


@dataclass(frozen=True)
class Catalog:
    """All products and operations, by product key and by table. `warnings`: sentences on keys that were ignored."""

    products: Mapping[str, Product]
    operations: Mapping[str, Operation]
    warnings: tuple[str, ...] = ()

    def select(self, patterns: Sequence[str], exclude: Sequence[str] = ()) -> tuple[str, ...]:
        """The tables that the globs name, in the catalog's order; an opt-in table needs its exact name.

        Raises CatalogError for a pattern, also one to exclude, that names no table, and for a table that is out.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            matching = self._matching(pattern)
            if pattern in matching and self.operations[pattern].selection == "out":
                raise CatalogError(f"{pattern} can't be crawled: {self.operations[pattern].reason}.")
            named = {t for t in matching if t == pattern or self.operations[t].selection == "default"}
            if not named:
                raise CatalogError(f"{pattern!r} matches opt-in tables only, each of which needs its exact name.")
            chosen |= named
        for pattern in exclude:
            chosen -= self._matching(pattern)
        return tuple(table for table in self.operations if table in chosen)

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Every table that a glob names, opt-in and out too, in the catalog's order. Raises CatalogError for none."""
        found = self._matching(pattern)
        return tuple(table for table in self.operations if table in found)

    def _matching(self, pattern: str) -> set[str]:
        matching = {table for table in self.operations if fnmatchcase(table, pattern)}
        if not matching:
            raise CatalogError(self._unknown(pattern))
        return matching

    def with_parents(self, tables: Iterable[str]) -> tuple[str, ...]:
        """These tables and every table above them, parents first."""
        needed: dict[str, None] = {}

        def add(table: str) -> None:
            for parent in self.operations[table].parent_tables:
                add(parent)
            needed[table] = None

        for table in tables:
            add(table)
        return tuple(needed)

    def select_details(self, patterns: Sequence[str], tables: Collection[str]) -> frozenset[str]:
        """Those of `tables` whose records are fetched one by one as well. Raises CatalogError where that can't be."""
        chosen: set[str] = set()
        for pattern in patterns:
            able = {table for table in self._matching(pattern) if self.operations[table].details is not None}
            if not able:
                known = ", ".join(table for table, op in self.operations.items() if op.details) or "no table"
                raise CatalogError(f"{pattern!r} matches no table whose records have details to fetch; {known} has.")
            chosen |= able & set(tables)
        return frozenset(chosen)

    def ram_actions(self, tables: Iterable[str], details: Collection[str] = ()) -> list[str]:
        """The RAM actions that a crawl of these tables needs, the walked parents' and the details' too, in order."""
        lists = {self.operations[table].ram for table in self.with_parents(tables)}
        return sorted(lists | {found.ram for table in details if (found := self.operations[table].details)})

    def depth(self, table: str) -> int:
        """How many levels of parents a table has; 0 for a root list."""
        return max((self.depth(parent) + 1 for parent in self.operations[table].parent_tables), default=0)

    def children(self, table: str) -> tuple[str, ...]:
        """The tables that hang directly from this one."""
        return tuple(name for name, op in self.operations.items() if table in op.parent_tables)

    def _unknown(self, pattern: str) -> str:
        near = get_close_matches(pattern, self.operations, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`acs-inventory tables` lists them all."
        return f"No table is called or matches {pattern!r}; {hint}"
