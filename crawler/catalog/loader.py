"""Loads the catalog from the TOML files under `schemas/`.

One file describes one List operation; Python code has no facts about operations. An unknown key or an inconsistent file
is refused before any request, with a CatalogError that names the file and the key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from crawler.catalog.checks import check_operation, check_paging, check_parents, check_product
from crawler.catalog.columns import build_columns
from crawler.catalog.file_format import DetailsPart, DifferenceFile, OperationFile, ParentFile, ProductFile, RegionsFile
from crawler.catalog.model import (
    Catalog,
    DeclaredDifference,
    Details,
    Operation,
    Paging,
    Parent,
    Product,
    RegionsOperation,
    Window,
)
from crawler.errors import CatalogError
from crawler.local_files import read_regular, reason_of
from crawler.validation import Document

# Keys of earlier versions, by section, with the reason. They are ignored with a warning; other unknown keys are errors.
_IGNORED_KEYS = {("paging", "prefix"): "lists are no longer split by prefix"}

_LARGEST_FILE_BYTES = 8 * 1024 * 1024

# The mark of a proposal that a person has not confirmed. It begins a comment, so the strings around it are skipped.
_STRING_OR_COMMENT = re.compile(
    r""""{3}(?:[^\\]|\\.)*?"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?P<comment>#[^\n]*)""", re.DOTALL
)
_MARK = "# check:"

_File = TypeVar("_File", bound=msgspec.Struct)


def schemas_folder() -> Path:
    """Return the folder of the built-in files: the checkout's, else the one in the wheel."""
    checkout = Path(__file__).parents[2] / "schemas"
    return checkout if checkout.is_dir() else Path(str(resources("crawler") / "schemas"))


def product_keys() -> tuple[str, ...]:
    """Return the keys of the built-in products, in order. They are names of folders, so that no file is read."""
    return tuple(sorted({path.parts[-3] for path in schemas_folder().glob("*/*/product.toml")}))


def load_catalog(extra: Sequence[Path] = ()) -> Catalog:
    """Read `schemas/` and the folders `extra`: 0.1 s, once per process without `extra`. Raises CatalogError."""
    return _load((schemas_folder(), *extra)) if extra else _load_built_in(schemas_folder())


@cache
def _load_built_in(folder: Path) -> Catalog:
    return _load((folder,))


def _load(roots: Sequence[Path]) -> Catalog:
    paths: list[tuple[Path, Path]] = []
    for root in roots:
        if not root.is_dir():
            raise CatalogError(f"{root}: no such folder; [catalog] extra lists folders with schema files.")
        paths += [(root, path) for path in sorted(root.rglob("*.toml")) if path.name != "errors.toml"]
    warnings: list[str] = []
    products = _read_products([(root, path) for root, path in paths if path.name == "product.toml"], warnings)
    operations: dict[str, Operation] = {}
    files: dict[str, str] = {}
    for root, path in paths:
        if path.name != "product.toml":
            product, where = _product_of(path, root, products), _file_name(path, root)
            operation = _read_operation(path, root, product, warnings)
            if other := files.get(operation.table):
                raise CatalogError(f"{where}: [table] name {operation.table!r} is already in {other}.")
            operations[operation.table], files[operation.table] = operation, where
    catalog = Catalog(products, operations, tuple(warnings))
    check_parents(catalog, files)
    return catalog


def _read_products(paths: Sequence[tuple[Path, Path]], warnings: list[str]) -> dict[str, Product]:
    products: dict[str, Product] = {}
    for root, path in paths:
        product = _read_product(path, root, warnings)
        if product.key in products:
            raise CatalogError(f"{_file_name(path, root)}: product {product.key!r} is already in another file.")
        products[product.key] = product
    return products


def _file_name(path: Path, root: Path) -> str:
    return str(path.relative_to(root.parent))


def _product_of(path: Path, root: Path, products: Mapping[str, Product]) -> Product:
    """Return the product whose version and key are the names of the file's folders."""
    for product in products.values():
        if path.parent.name == product.version and path.parent.parent.name == product.key:
            return product
    raise CatalogError(f"{_file_name(path, root)}: no product.toml describes this file's PRODUCT/VERSION folder.")


def _read_toml(path: Path, root: Path, warnings: list[str]) -> dict[str, Any]:
    try:
        text = read_regular(path, _LARGEST_FILE_BYTES).decode("utf-8")
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{_file_name(path, root)}: not TOML: {error}.") from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{_file_name(path, root)}: not UTF-8 at byte {error.start}.") from None
    except OSError as error:
        raise CatalogError(f"{_file_name(path, root)}: can't be read: {reason_of(error)}.") from None
    if marks := count_marks(text):
        _report_marks(marks, path, root, warnings)
    return document


def count_marks(text: str) -> int:
    """Return the number of comments `# check: …` of a file: values that a person must confirm."""
    comments = (found["comment"] or "" for found in _STRING_OR_COMMENT.finditer(text))
    return sum(comment.startswith(_MARK) for comment in comments)


def _report_marks(marks: int, path: Path, root: Path, warnings: list[str]) -> None:
    """Warn about proposals that nobody has confirmed. Raises CatalogError if the file is a built-in one."""
    found = (
        "1 value is marked `# check:`; confirm or correct it, and remove the mark"
        if marks == 1
        else f"{marks} values are marked `# check:`; confirm or correct them, and remove the marks"
    )
    sentence = f"{_file_name(path, root)}: {found}"
    if root == schemas_folder():
        raise CatalogError(f"{sentence}.")
    warnings.append(sentence)


def _convert(document: Mapping[str, Any], kind: type[_File], where: str) -> _File:
    try:
        return Document(where, document, document, error_type=CatalogError).convert(kind)
    except CatalogError as error:
        sentence = str(error)
        raise CatalogError(sentence if sentence.endswith("?") else f"{sentence}.") from None


def _drop_ignored_keys(document: Mapping[str, Any], where: str) -> list[str]:
    """Remove the keys of `_IGNORED_KEYS` from a file's content and return one warning per key."""
    warnings = []
    for (name, key), reason in _IGNORED_KEYS.items():
        section = document.get(name)
        if isinstance(section, dict) and section.pop(key, None) is not None:
            warnings.append(f"{where}: [{name}] {key} is ignored: {reason}; remove the key")
    return warnings


def _read_product(path: Path, root: Path, warnings: list[str]) -> Product:
    raw = _convert(_read_toml(path, root, warnings), ProductFile, _file_name(path, root))
    if (path.parent.parent.name, path.parent.name) != (raw.product, raw.version):
        raise CatalogError(f"{_file_name(path, root)}: must lie in the folder {raw.product}/{raw.version}.")
    product = Product(
        key=raw.product,
        title=raw.title or raw.product,
        version=raw.version,
        prefix=raw.prefix,
        style=raw.style,
        endpoint=raw.endpoint,
        endpoints=raw.endpoints,
        sdk=raw.sdk,
        uncovered=raw.uncovered,
        regions=_regions(raw.regions),
        rate=raw.rate_limit.rate if raw.rate_limit else None,
        burst=raw.rate_limit.burst if raw.rate_limit else None,
        settings=tuple(raw.settings),
        closed=frozenset(raw.closed),
        differences=_differences(raw.differences),
        is_default=raw.default,
        is_global=raw.is_global,
        success_codes=frozenset(code.lower() for code in raw.success_codes),
    )
    check_product(product, raw, _file_name(path, root))
    return product


def _regions(raw: RegionsFile | None) -> RegionsOperation | None:
    if raw is None:
        return None
    records = tuple(raw.records.split("."))
    return RegionsOperation(raw.action, raw.path, records, raw.id, raw.ask, raw.endpoint, raw.method, raw.ram)


def _differences(raw: Mapping[str, DifferenceFile]) -> dict[str, DeclaredDifference]:
    return {path: DeclaredDifference(found.sdk, found.reason) for path, found in raw.items()}


def _read_operation(path: Path, root: Path, product: Product, warnings: list[str]) -> Operation:
    document, where = _read_toml(path, root, warnings), _file_name(path, root)
    warnings += _drop_ignored_keys(document, where)
    raw = _convert(document, OperationFile, where)
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
        filters=tuple(raw.operation.filters),
        accepts=frozenset(raw.operation.accepts),
        empty_codes=frozenset(raw.operation.empty_codes),
        envelope=_envelope(raw),
        ram=raw.operation.ram,
        is_ram_assumed=raw.operation.ram_assumed,
        paging=_paging(raw, where),
        parents=tuple(_parent(parent) for parent in raw.parents),
        key=key,
        optional_key=frozenset(n.removesuffix("?") for n in raw.table.key if n.endswith("?")),
        columns=build_columns(raw.columns, raw.descriptions, raw.operation.embedded, where=where),
        item=raw.operation.item,
        selection=raw.table.selection,
        reason=raw.table.reason,
        window=Window(raw.window.begin, raw.window.end, raw.window.hours) if raw.window else None,
        details=_details(raw.details) if raw.details else None,
        differences=_differences(raw.differences),
        source=raw.source,
        checked=raw.checked.isoformat(),
        rate=raw.rate_limit.rate if raw.rate_limit else None,
        burst=raw.rate_limit.burst if raw.rate_limit else None,
        volatile=tuple(raw.table.volatile),
        short_lived=raw.table.short_lived,
        method=raw.operation.method,
    )
    check_operation(operation, product, raw, where)
    return operation


def _envelope(raw: OperationFile) -> frozenset[str]:
    """Return the names beside the list: those of the file, and the request's paging keys, which answers may repeat."""
    keys = {raw.paging.input_token, raw.paging.page_key, raw.paging.limit_key} - {""}
    above = raw.operation.records.split(".")[:-1]
    repeated = {".".join((*above[:depth], key)) for depth in range(len(above) + 1) for key in keys}
    return frozenset(raw.operation.envelope) | repeated


def _paging(raw: OperationFile, where: str) -> Paging:
    p = raw.paging
    check_paging(p, where)
    return Paging(p.style, p.input_token or p.page_key, p.output_token, p.limit_key, p.limit, p.total, p.more)


def _details(raw: DetailsPart) -> Details:
    records = tuple(raw.records.split(".")) if raw.records else ()
    return Details(raw.action, raw.path, raw.ram, raw.bind, raw.method, raw.query, records, raw.always)


def _parent(raw: ParentFile) -> Parent:
    return Parent(raw.table, raw.bind, {k: tuple(v) for k, v in raw.values.items()}, raw.setting)
