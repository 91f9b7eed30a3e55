"""The catalog: every table that can be crawled, read from the TOML files under `schemas/`.

One file describes one List operation; nothing about an operation is said in Python. A file that says something
unknown or inconsistent is refused with a CatalogError that names the file and the key, before anything is sent.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa

from crawler._catalog_file import OperationFile, ParentFile, ProductFile, RegionsFile
from crawler.columns import TIMESTAMP, Column, build_columns, snake_case
from crawler.errors import CatalogError

FIXED_COLUMNS = ("account_id", "region_id", "snapshot_id", "fetched_at")
EXTRA_COLUMN = "_extra"

_File = TypeVar("_File")

_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)\}")


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


@dataclass(frozen=True)
class Operation:
    """One List operation and the table that it fills."""

    table: str
    title: str
    product: str
    version: str
    action: str
    path: str
    query: Mapping[str, str]
    records: tuple[str, ...]
    envelope: frozenset[str]
    ram: str
    paging: Paging
    parents: tuple[Parent, ...]
    key: tuple[str, ...]
    optional_key: frozenset[str]
    columns: tuple[Column, ...]
    item: str
    is_default: bool
    reason: str
    source: str
    checked: str
    rate: float | None
    burst: int | None

    @cached_property
    def path_parameters(self) -> tuple[str, ...]:
        """The wire names in the path, in its order."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @cached_property
    def column_names(self) -> dict[str, str]:
        """Wire name of a record's field → the table's column. A fixed column's name gets `record_` before it."""
        reserved = {*FIXED_COLUMNS, EXTRA_COLUMN}
        return {c.wire: f"record_{c.name}" if c.name in reserved else c.name for c in self.columns}

    @cached_property
    def parameter_columns(self) -> dict[str, str]:
        """Wire name of a path parameter → its column."""
        return {name: snake_case(name) for name in self.path_parameters}

    @cached_property
    def schema(self) -> pa.Schema:
        """Fixed columns, path parameters that no record's field overrides, the record's columns, `_extra`."""
        own = set(self.column_names.values())
        fields = [pa.field(name, TIMESTAMP if name == "fetched_at" else pa.string()) for name in FIXED_COLUMNS]
        fields += [pa.field(name, pa.string()) for name in self.parameter_columns.values() if name not in own]
        fields += [column.arrow_field.with_name(self.column_names[column.wire]) for column in self.columns]
        fields.append(pa.field(EXTRA_COLUMN, pa.string()))
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
    """One API of the vendor: its version, how it is called, and where it is."""

    key: str
    version: str
    prefix: str
    style: str
    endpoint: str
    endpoints: Mapping[str, str]
    regions: RegionsOperation | None


@dataclass(frozen=True)
class Catalog:
    """All products and operations, by product key and by table."""

    products: Mapping[str, Product]
    operations: Mapping[str, Operation]

    def select(self, patterns: Sequence[str], exclude: Sequence[str] = ()) -> tuple[str, ...]:
        """The tables that the globs name, in the catalog's order; an opt-in table needs its exact name.

        Raises CatalogError for a pattern that names no table.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            named = {
                table
                for table, operation in self.operations.items()
                if table == pattern or (operation.is_default and fnmatchcase(table, pattern))
            }
            if not named:
                raise CatalogError(self._unknown(pattern))
            chosen |= named
        chosen -= {table for table in chosen if any(fnmatchcase(table, pattern) for pattern in exclude)}
        return tuple(table for table in self.operations if table in chosen)

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


def schemas_folder() -> Path:
    """The folder of the built-in files: the checkout's, else the one that the wheel carries."""
    checkout = Path(__file__).parents[1] / "schemas"
    return checkout if checkout.is_dir() else Path(str(files("crawler") / "schemas"))


def load_catalog(extra: Sequence[Path] = ()) -> Catalog:
    """Read `schemas/` and the user's own folders. Raises CatalogError."""
    products: dict[str, Product] = {}
    operations: dict[str, Operation] = {}
    paths: list[tuple[Path, Path]] = []
    for root in (schemas_folder(), *extra):
        if not root.is_dir():
            raise CatalogError(f"{root}: no such folder; [catalog] extra lists folders with schema files.")
        paths += [(root, path) for path in sorted(root.rglob("*.toml")) if path.name != "errors.toml"]
    for root, path in paths:
        if path.name == "product.toml":
            product = _read_product(path, root)
            products[product.key] = product
    for root, path in paths:
        if path.name != "product.toml":
            _add(operations, _read_operation(path, root, _product_of(path, root, products)), path, root)
    catalog = Catalog(products, operations)
    _check_parents(catalog)
    return catalog


def _add(operations: dict[str, Operation], operation: Operation, path: Path, root: Path) -> None:
    if operation.table in operations:
        raise CatalogError(f"{_name(path, root)}: table {operation.table!r} is in another file already.")
    operations[operation.table] = operation


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root.parent))


def _product_of(path: Path, root: Path, products: Mapping[str, Product]) -> Product:
    """A file's product is the one whose `product.toml` lies beside it, else the one its folders are named after."""
    for product in products.values():
        if path.parent.name == product.version and path.parent.parent.name == product.key:
            return product
    raise CatalogError(f"{_name(path, root)}: no product.toml says what PRODUCT/VERSION folder this file is in.")


def _parse(path: Path, root: Path, kind: type[_File]) -> _File:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise CatalogError(f"{_name(path, root)}: {error}") from None


def _read_product(path: Path, root: Path) -> Product:
    raw = _parse(path, root, ProductFile)
    if (path.parent.parent.name, path.parent.name) != (raw.product, raw.version):
        raise CatalogError(f"{_name(path, root)}: must lie in the folder {raw.product}/{raw.version}.")
    return Product(raw.product, raw.version, raw.prefix, raw.style, raw.endpoint, raw.endpoints, _regions(raw.regions))


def _regions(raw: RegionsFile | None) -> RegionsOperation | None:
    if raw is None:
        return None
    return RegionsOperation(raw.action, raw.path, tuple(raw.records.split(".")), raw.id, raw.ask)


def _read_operation(path: Path, root: Path, product: Product) -> Operation:
    raw, where = _parse(path, root, OperationFile), _name(path, root)
    key = tuple(name.removesuffix("?") for name in raw.table.key)
    operation = Operation(
        table=raw.table.name,
        title=raw.table.title,
        product=product.key,
        version=product.version,
        action=raw.operation.action,
        path=raw.operation.path,
        query=raw.operation.query,
        records=tuple(raw.operation.records.split(".")),
        envelope=frozenset(raw.operation.envelope),
        ram=raw.operation.ram,
        paging=_paging(raw, where),
        parents=tuple(_parent(parent) for parent in raw.parents),
        key=key,
        optional_key=frozenset(n.removesuffix("?") for n in raw.table.key if n.endswith("?")),
        columns=build_columns(raw.columns, raw.descriptions, where=where),
        item=raw.operation.item,
        is_default=raw.table.default,
        reason=raw.table.reason,
        source=raw.source,
        checked=raw.checked.isoformat(),
        rate=raw.rate_limit.rate if raw.rate_limit else None,
        burst=raw.rate_limit.burst if raw.rate_limit else None,
    )
    _check(operation, product, where)
    return operation


def _paging(raw: OperationFile, where: str) -> Paging:
    p = raw.paging
    needs = {
        "token": (p.input_token, p.output_token),
        "version": (p.input_token, p.output_token),
        "page-number": (p.page_key, p.limit_key),
        "limit-only": (p.limit_key,),
        "none": (),
    }
    if p.style not in needs or not all(needs[p.style]) or (bool(p.limit_key) != bool(p.limit)):
        raise CatalogError(f"{where}: [paging] of style {p.style!r} lacks a key, or isn't one of {', '.join(needs)}.")
    return Paging(p.style, p.input_token or p.page_key, p.output_token, p.limit_key, p.limit, p.total)


def _parent(raw: ParentFile) -> Parent:
    return Parent(raw.table, raw.bind, {k: tuple(v) for k, v in raw.values.items()}, raw.setting)


def _check(operation: Operation, product: Product, where: str) -> None:
    names = operation.schema.names
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CatalogError(f"{where}: the column {min(twice)!r} would be there twice.")
    missing = [name for name in operation.key if name not in names]
    if missing or not operation.key:
        raise CatalogError(f"{where}: [table] key names {missing or 'no column'}, which the table doesn't have.")
    if not operation.table.startswith(product.prefix) or not re.fullmatch(r"[a-z][a-z0-9_]*", operation.table):
        raise CatalogError(f"{where}: a table of {product.key} is named {product.prefix}… in snake case.")
    if not operation.is_default and not operation.reason:
        raise CatalogError(f"{where}: a table that isn't on by default needs a reason in [table].")
    if bool(operation.path_parameters) != bool(operation.parents):
        raise CatalogError(f"{where}: a path with parameters needs [[parents]], and only such a path has them.")
    for parent in operation.parents:
        if {*parent.bind, *parent.values} != set(operation.path_parameters):
            raise CatalogError(f"{where}: [[parents]] of {parent.table!r} must give {operation.path_parameters} each.")


def _check_parents(catalog: Catalog) -> None:
    for operation in catalog.operations.values():
        for parent in operation.parents:
            above = catalog.operations.get(parent.table)
            if above is None:
                raise CatalogError(f"{operation.table}: its parent {parent.table!r} is no table of the catalog.")
            for path in parent.bind.values():
                if path.split(".")[0].removesuffix("[]") not in above.schema.names:
                    raise CatalogError(f"{operation.table}: {parent.table} has no column {path!r} to bind.")
        _check_no_cycle(catalog, operation.table, ())


def _check_no_cycle(catalog: Catalog, table: str, seen: tuple[str, ...]) -> None:
    if table in seen:
        raise CatalogError(f"{table}: hangs from itself, by way of {' → '.join(seen)}.")
    for parent in catalog.operations[table].parent_tables:
        _check_no_cycle(catalog, parent, (*seen, table))
