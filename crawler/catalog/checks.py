"""Consistency checks of schema files. Every error names the file, the key and the problem."""

from __future__ import annotations

import re
from collections.abc import Mapping

from crawler.catalog.columns import Column
from crawler.catalog.file_format import OperationFile, PagingPart, ProductFile, RatePart
from crawler.catalog.model import WHOLE_ANSWER, WHOLE_LIST, Catalog, Operation, Product, is_answer_name
from crawler.errors import CatalogError
from crawler.text import GLOBAL_REGION, REGION_ID

_SCALAR_KEYS = {"string", "integer", "boolean", "timestamp"}

# Style → required keys, optional keys. A limit is always a key and a number.
_PAGING = {
    "token": ({"input_token", "output_token"}, {"limit_key", "limit", "total", "more"}),
    "version": ({"input_token", "output_token"}, {"limit_key", "limit", "total"}),
    "page-number": ({"page_key", "limit_key", "limit"}, {"total"}),
    "limit-only": ({"limit_key", "limit"}, {"total"}),
    "none": (set[str](), {"total"}),
}


_PLACEHOLDER = re.compile(r"\{[A-Za-z]+\}")

# A crawl must change nothing, whatever a file says: RunInstances would start machines in every account, each night.
_READS = re.compile(r"(?:Batch)?(?:List|Describe|Get|Query|Search|Count|Check|Lookup)(?=[A-Z0-9]|\Z)")


def _check_reads(action: str, section: str, where: str) -> None:
    """Require an action whose verb says that it only reads. Raises CatalogError."""
    if not _READS.match(action):
        raise CatalogError(
            f"{where}: {section} action is {action!r}, which may change something: a table needs an operation that "
            "begins with List, Describe, Get, Query, Search, Count, Check or Lookup."
        )


def _check_answer_path(path: str, key: str, where: str) -> None:
    """Require names that are joined by dots. Raises CatalogError.

    Any other path is absent in every answer, and an absent total or flag says that the list is whole.
    """
    if not all(map(is_answer_name, path.split("."))):
        raise CatalogError(f"{where}: {key} is {path!r}, which is not a path into an answer such as Data.Items.")


def check_product(product: Product, raw: ProductFile, where: str) -> None:
    """Refuse a product with a malformed region or endpoint, or a wrong rate limit. Raises CatalogError."""
    asked = [product.regions.ask] if product.regions is not None else []
    if product.regions is not None:
        _check_reads(product.regions.action, "[regions]", where)
        _check_answer_path(".".join(product.regions.records), "[regions] records", where)
    for region_id in (*product.endpoints, *product.closed, *asked):
        if not REGION_ID.fullmatch(region_id):
            raise CatalogError(f"{where}: {region_id!r} is not a region ID such as cn-hangzhou.")
    if unknown := sorted(product.closed - product.endpoints.keys()):
        raise CatalogError(f"{where}: closed names {unknown[0]}, which [endpoints] lacks.")
    for key, text in {"endpoint": product.endpoint, **product.endpoints}.items():
        rest = text.replace("{region}", "").replace("{account_id}", "")
        if "{" in rest or "}" in rest:
            raise CatalogError(f"{where}: {key} has a placeholder other than {{region}} and {{account_id}}: {text!r}.")
    if not product.endpoint.startswith("https://"):
        raise CatalogError(f"{where}: endpoint must begin with https://, and is {product.endpoint!r}.")
    if product.is_global:
        _check_global(product, where)
    elif GLOBAL_REGION in product.endpoints:
        raise CatalogError(f"{where}: [endpoints] has {GLOBAL_REGION!r}, which only a product with global = true has.")
    _check_rate_limit(raw.rate_limit, where)


def _check_global(product: Product, where: str) -> None:
    for key, is_there in (("endpoints", product.endpoints), ("regions", product.regions), ("closed", product.closed)):
        if is_there:
            raise CatalogError(f"{where}: a product with global = true has no {key}.")
    if "{region}" in product.endpoint:
        raise CatalogError(f"{where}: endpoint has {{region}}, and the product is global.")


def check_paging(raw: PagingPart, where: str) -> None:
    """Refuse an unknown paging style, missing keys, and keys of other styles. Raises CatalogError."""
    if raw.style not in _PAGING:
        raise CatalogError(f"{where}: [paging] style is {raw.style!r}, not one of {', '.join(_PAGING)}.")
    needed, possible = _PAGING[raw.style]
    present = {name for name in raw.__struct_fields__ if name != "style" and getattr(raw, name)}
    if missing := sorted(needed - present):
        raise CatalogError(f"{where}: [paging] of style {raw.style!r} lacks {', '.join(missing)}.")
    if odd := sorted(present - needed - possible):
        raise CatalogError(f"{where}: [paging] of style {raw.style!r} has no {', '.join(odd)}.")
    if bool(raw.limit_key) != bool(raw.limit) or raw.limit < 0:
        raise CatalogError(f"{where}: [paging] limit and limit_key come together, and limit is a page size.")
    for key in ("output_token", "total", "more"):
        if path := getattr(raw, key):
            _check_answer_path(path, f"[paging] {key}", where)


def check_operation(operation: Operation, product: Product, raw: OperationFile, where: str) -> None:
    """Refuse an operation that contradicts itself or its product. Raises CatalogError."""
    _check_reads(operation.action, "[operation]", where)
    _check_columns(operation, where)
    _check_path(operation, product, where)
    _check_key(operation, where)
    if not operation.table.startswith(product.prefix) or not re.fullmatch(r"[a-z][a-z0-9_]*", operation.table):
        raise CatalogError(f"{where}: [table] name: a table of {product.key} is named {product.prefix}… in snake case.")
    if (operation.selection == "default") == bool(operation.reason):
        raise CatalogError(f"{where}: [table] reason: required if a table isn't on by default, and only then.")
    _check_records(operation, where)
    if raw.window is not None and raw.window.hours < 1:
        raise CatalogError(f"{where}: [window] hours must be at least 1.")
    _check_details(operation, where)
    _check_rate_limit(raw.rate_limit, where)


def _check_records(operation: Operation, where: str) -> None:
    path = ".".join(operation.records)
    if operation.records not in (WHOLE_ANSWER, WHOLE_LIST):
        _check_answer_path(path, "[operation] records", where)
    elif operation.paging.style != "none":
        raise CatalogError(f"{where}: [operation] records is {path!r}, a whole answer: it has no pages.")
    for name in sorted(operation.envelope):
        _check_answer_path(name, "[operation] envelope", where)


def _check_rate_limit(raw: RatePart | None, where: str) -> None:
    if raw is not None and (raw.rate <= 0 or raw.burst < 1):
        raise CatalogError(f"{where}: [rate_limit] rate must be above 0, and burst at least 1.")


def _check_columns(operation: Operation, where: str) -> None:
    names = operation.row_columns
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise CatalogError(f"{where}: the column {min(twice)!r} would exist twice.")
    if operation.item and [column.wire for column in operation.columns] != [operation.item]:
        raise CatalogError(f"{where}: [operation] item is {operation.item!r}, which must be the only column.")


def _check_key(operation: Operation, where: str) -> None:
    by_name = {operation.column_names[column.wire]: column for column in operation.columns}
    parameters = set(operation.parameter_columns.values())
    for name in operation.key:
        column = by_name.get(name)
        if column is None and name not in parameters:
            raise CatalogError(
                f"{where}: [table] key names {name!r}, which is not a column of a record or of the path."
            )
        if column is not None and (column.secret or column.kind not in _SCALAR_KEYS):
            raise CatalogError(f"{where}: [table] key names {name!r}, which can't identify rows: {column.type_text}.")
    for path in operation.volatile:
        if path in operation.key or _find_node(operation, path) is None:
            raise CatalogError(f"{where}: [table] volatile names {path!r}, which is not a column outside the key.")


def _check_details(operation: Operation, where: str) -> None:
    details = operation.details
    if details is None:
        return
    _check_reads(details.action, "[details]", where)
    if details.records:
        _check_answer_path(".".join(details.records), "[details] records", where)
    parameters = [*details.path_parameters, *details.query_parameters]
    rest = _PLACEHOLDER.sub("", details.path)
    if not details.path.startswith("/") or {"{", "}"} & set(rest) or sorted(parameters) != sorted(details.bind):
        raise CatalogError(
            f"{where}: [details] bind must give the parameters of its query and of its path, which begins with /."
        )
    for path in details.bind.values():
        if path.endswith("[]"):
            raise CatalogError(f"{where}: [details] bind: {path!r} has many values, and details are of one record.")
        _check_bind(operation, path, where, "[details]")


def _check_path(operation: Operation, product: Product, where: str) -> None:
    path, parameters = operation.path, operation.parameters
    rest = _PLACEHOLDER.sub("", path)
    if product.style == "RPC" and path != "/":
        raise CatalogError(f"{where}: [operation] path of an RPC operation is '/': its action identifies it.")
    if not path.startswith("/") or "{" in rest or "}" in rest or len(set(parameters)) < len(parameters):
        raise CatalogError(
            f"{where}: [operation] path must begin with / and have placeholders of letters only, each once: {path!r}."
        )
    if bool(parameters) != bool(operation.parents):
        raise CatalogError(
            f"{where}: a path or query with parameters needs [[parents]], and only such a path or query has them."
        )
    for parent in operation.parents:
        if sorted([*parent.bind, *parent.values]) != sorted(parameters):
            raise CatalogError(
                f"{where}: [[parents]] of {parent.table!r} must give {', '.join(parameters)}, in bind or values."
            )


def check_parents(catalog: Catalog, files: Mapping[str, str]) -> None:
    """Refuse unknown parents, unknown settings, bindings to missing columns, and cycles.

    `files`: table → file name for messages. Raises CatalogError.
    """
    settings = sorted({key for product in catalog.products.values() for key in product.settings})
    for operation in catalog.operations.values():
        where = files[operation.table]
        for parent in operation.parents:
            if parent.table not in catalog.operations:
                raise CatalogError(f"{where}: [[parents]] table {parent.table!r} is not a table of the catalog.")
            if parent.setting and parent.setting not in settings:
                raise CatalogError(f"{where}: [[parents]] setting is {parent.setting!r}, not {', '.join(settings)}.")
            for path in parent.bind.values():
                _check_bind(catalog.operations[parent.table], path.removesuffix("?"), where)
    for table in catalog.operations:
        _check_no_cycle(catalog, table, (), files)


def _check_bind(above: Operation, path: str, where: str, section: str = "[[parents]]") -> None:
    """Require that `path` leads to a string or number in a row, or with `[]` at its end to a list of those."""
    node = _find_node(above, path.removesuffix("[]"))
    if path.endswith("[]"):
        node = node.children[0] if node is not None and node.kind == "list" else None
    is_same_for_all = path in above.row_columns and path not in above.column_names.values()
    if not is_same_for_all and (node is None or node.children or node.secret):
        raise CatalogError(f"{where}: {section} bind: {above.table} has no value {path!r} for a parameter.")


def _find_node(operation: Operation, path: str) -> Column | None:
    """Return the column, or the field of a struct below it, at a dotted path."""
    first, *steps = path.split(".")
    node = next((column for column in operation.columns if operation.column_names[column.wire] == first), None)
    for step in steps:
        fields = node.children if node is not None and node.kind == "struct" else ()
        node = next((child for child in fields if child.name == step), None)
    return node


def _check_no_cycle(catalog: Catalog, table: str, seen: tuple[str, ...], files: Mapping[str, str]) -> None:
    if table in seen:
        way = " → ".join((*seen[seen.index(table) :], table))
        raise CatalogError(f"{files[table]}: [[parents]] table: {table!r} is its own ancestor: {way}.")
    for parent in catalog.operations[table].parent_tables:
        _check_no_cycle(catalog, parent, (*seen, table), files)
