"""Compares the catalog with the official SDK packages that are installed.

A schema file declares known differences in `[differences]`. The check reports all others, and declared ones that no
longer exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.catalog.columns import Column, snake_case
from crawler.catalog.model import (
    ENVELOPE,
    WHOLE_ANSWER,
    WHOLE_LIST,
    Catalog,
    DeclaredDifference,
    Details,
    Operation,
    Product,
)
from crawler.catalog.sdk.calls import SdkCall
from crawler.catalog.sdk.models import TypeNode
from crawler.catalog.sdk.package import SdkPackage, is_public_region, open_package
from crawler.errors import ConfigError

# A type as the schema files write it: a scalar's name, a struct's fields, one item in a list, `*` for a map.
Tree = Any

# In [uncovered], it stands for all operations that have no table.
ALL_OTHERS = "*"
_ENVELOPE = {name.lower() for name in ENVELOPE}


@dataclass(frozen=True, slots=True)
class SdkDifference:
    """One undeclared difference. `where` is as in `[differences]`; "" stands for nothing on that side."""

    subject: str
    where: str
    ours: str
    sdk: str

    def __str__(self) -> str:
        ours, sdk = self.ours or "nothing", self.sdk or "nothing"
        return f"{self.subject}: {self.where}: the catalog has {ours}, the SDK {sdk}"


def tree_of(node: TypeNode | None) -> Tree:
    """Return a type of the SDK as a tree; None for a missing one."""
    match node:
        case None:
            return None
        case TypeNode(kind="list"):
            return [tree_of(node.item)]
        case TypeNode(kind="map"):
            return {"*": tree_of(node.item)}
        case TypeNode(kind="struct"):
            return {found.wire: tree_of(found.node) for found in node.fields}
    return node.kind


def tree_of_column(column: Column) -> Tree:
    """Return a column as a tree."""
    if column.is_embedded:
        return "string"
    match column.kind:
        case "struct":
            return {child.wire: tree_of_column(child) for child in column.children}
        case "list":
            return [tree_of_column(column.children[0])]
        case "map":
            return {"*": tree_of_column(column.children[0])}
        case kind:
            return kind


def type_text(tree: Tree) -> str:
    """Return a tree as short text: `list<struct>`, `map<json>`."""
    if isinstance(tree, list):
        return f"list<{type_text(tree[0])}>"
    if isinstance(tree, dict):
        return f"map<{type_text(tree['*'])}>" if set(tree) == {"*"} else "struct"
    return tree or ""


def differences(ours: Tree, sdk: Tree, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield (path, our type, the SDK's type) for each difference of two trees; "" for a missing node.

    The SDK has no type for instants: our timestamp matches a string or an integer.
    """
    if isinstance(ours, dict) and isinstance(sdk, dict) and (set(ours) == {"*"}) == (set(sdk) == {"*"}):
        for wire in dict.fromkeys([*ours, *sdk]):
            yield from differences(ours.get(wire), sdk.get(wire), f"{path}.{wire}")
    elif isinstance(ours, list) and isinstance(sdk, list):
        yield from differences(ours[0], sdk[0], f"{path}[]")
    elif type_text(ours) != type_text(sdk) and not (ours == "timestamp" and sdk in {"string", "integer"}):
        yield path, type_text(ours), type_text(sdk)


@dataclass(frozen=True, slots=True)
class SdkComparison:
    """The result: package → version, the differences, and the sentences on packages that couldn't be read."""

    versions: Mapping[str, str]
    differences: Sequence[SdkDifference]
    missing: Sequence[str] = ()


def check(catalog: Catalog) -> SdkComparison:
    """Compare every product whose file names an SDK package that is installed.

    Raises ConfigError if none is.
    """
    versions: dict[str, str] = {}
    findings: list[SdkDifference] = []
    missing: list[str] = []
    for product in catalog.products.values():
        try:
            sdk = open_package(product.sdk) if product.sdk else None
        except ConfigError as error:
            missing.append(str(error))
            continue
        if sdk is not None:
            versions[sdk.package] = sdk.version
            findings += check_product(catalog, product, sdk)
    if missing and not versions:
        raise ConfigError("; ".join(dict.fromkeys(missing)))
    return SdkComparison(versions, findings, missing)


def check_product(catalog: Catalog, product: Product, sdk: SdkPackage) -> list[SdkDifference]:
    """Return the differences in one product: its hosts, its List operations, and its tables."""
    operations = [operation for operation in catalog.operations.values() if operation.product == product.key]
    known = {operation.action for operation in operations} | product.uncovered.keys()
    findings = [
        SdkDifference(product.key, "operations", "", action)
        for action in sorted(sdk.calls)
        if action.startswith("List") and action not in known and ALL_OTHERS not in known
    ]
    hosts = dict(_compare_hosts(product, sdk))
    findings += _undeclared(product.key, hosts, product.differences)
    for operation in operations:
        findings += check_operation(operation, product.style, sdk)
    return findings


def check_operation(operation: Operation, style: str, sdk: SdkPackage) -> list[SdkDifference]:
    """Return a table's undeclared differences, and its declared ones that don't exist."""
    call = sdk.calls.get(operation.action)
    if call is None:
        return [SdkDifference(operation.table, "operation", operation.action, "")]
    found = {where: (ours, theirs) for where, ours, theirs in _compare(operation, style, call, sdk)}
    return _undeclared(operation.table, found, operation.differences)


def _undeclared(
    subject: str, found: Mapping[str, tuple[str, str]], written: Mapping[str, DeclaredDifference]
) -> list[SdkDifference]:
    """Return the differences that a file doesn't declare, and the declared ones that don't exist."""
    findings = [
        SdkDifference(subject, where, ours, theirs)
        for where, (ours, theirs) in found.items()
        if where not in written or written[where].sdk != theirs
    ]
    stale = [where for where in written if where not in found]
    return findings + [SdkDifference(subject, f"[differences] {where}", "a difference", "none") for where in stale]


def _compare_hosts(product: Product, sdk: SdkPackage) -> Iterator[tuple[str, tuple[str, str]]]:
    if product.is_global:
        host = product.endpoint.removeprefix("https://")
        ours = dict.fromkeys(sdk.hosts, host)
    else:
        ours = {region: host.replace("{account_id}", "account-id") for region, host in product.endpoints.items()}
    by_rule = all(host == sdk.host_by_rule(region) for region, host in ours.items())
    if not sdk.hosts and not by_rule:
        yield "endpoints", ("a map of hosts", "")
    theirs = {region: host for region, host in sdk.hosts.items() if region in ours or is_public_region(region)}
    for region in sorted({*ours, *theirs} if sdk.hosts else ()):
        mine, other = ours.get(region, ""), theirs.get(region, "")
        if mine != other and not (not other and mine == sdk.host_by_rule(region)):
            yield f"endpoints.{region}", (mine, other)


def _compare(operation: Operation, style: str, call: SdkCall, sdk: SdkPackage) -> Iterator[tuple[str, str, str]]:
    for where, ours, theirs in (
        ("path", _sdk_path(operation.path), call.path),
        ("version", operation.version, call.version),
        ("style", style, call.style),
        ("method", operation.method, call.method),
    ):
        if ours != theirs:
            yield where, ours, theirs
    yield from _compare_query(operation, call)
    yield from _compare_answer(operation, call)
    if operation.details is not None:
        yield from _compare_details(operation, operation.details, sdk)


def _sdk_path(path: str) -> str:
    """Return a path with the names that parameters have in Python."""
    return re.sub(r"\{(\w+)\}", lambda match: f"{{{snake_case(match[1])}}}", path)


def _compare_query(operation: Operation, call: SdkCall) -> Iterator[tuple[str, str, str]]:
    paging, window = operation.paging, operation.window
    keys = {paging.input_key, paging.limit_key, *operation.query, *operation.filters}
    keys |= {window.begin_key, window.end_key} if window else set()
    for name in sorted((keys - {""}) ^ call.query.keys()):
        sent = call.query.get(name)
        yield f"query.{name}", "a parameter" if name in keys else "", type_text(tree_of(sent.node)) if sent else ""


def _compare_answer(operation: Operation, call: SdkCall) -> Iterator[tuple[str, str, str]]:
    answer = tree_of(call.answer)
    ours: Mapping[str, Tree] = {column.wire: tree_of_column(column) for column in operation.columns}
    records: Tree
    if operation.records == WHOLE_ANSWER:
        records = [_without_envelope(answer, operation)]
    elif operation.records == WHOLE_LIST:
        records = answer
    else:
        yield from _compare_envelope(operation, answer)
        records = _at(answer, operation.records)
    record = records[0] if isinstance(records, list) else records
    if operation.item:
        [item] = ours.values()
        yield from differences(item, record, "fields")
        return
    if isinstance(records, dict) and "object" not in operation.accepts:
        yield "fields", "list<struct>", type_text(records)
    if not isinstance(record, dict) or set(record) == {"*"}:
        yield "fields", "struct", type_text(record)
        return
    yield from differences(ours, record, "fields")


def _at(tree: Tree, path: Sequence[str]) -> Tree:
    """Return the tree at a path of wire names, None if there is none."""
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def _without_envelope(answer: Tree, operation: Operation) -> Tree:
    """Return the fields of an answer that is the record. The envelope's are fields only where they are columns."""
    columns = {column.wire for column in operation.columns}
    own = answer if isinstance(answer, dict) else {}
    known = _ENVELOPE | {name.lower() for name in operation.envelope}
    return {wire: tree for wire, tree in own.items() if wire in columns or wire.lower() not in known}


def _compare_envelope(operation: Operation, answer: Tree) -> Iterator[tuple[str, str, str]]:
    """Yield each field beside the records, or beside an object above them, that the file doesn't name."""
    named = [key.lower() for key in (*operation.paging.answer_keys, *operation.envelope)]
    named += [key.rpartition(".")[0] for key in named]  # the object that has a paging key
    for depth in range(len(operation.records)):
        above = operation.records[:depth]
        node = _at(answer, above)
        for name, tree in node.items() if isinstance(node, dict) else ():
            path = ".".join((*above, name))
            is_known = name == operation.records[depth] or path.lower() in named
            if not is_known and not (depth == 0 and name.lower() in _ENVELOPE):
                yield f"answer.{path}", "", type_text(tree)


def _compare_details(operation: Operation, details: Details, sdk: SdkPackage) -> Iterator[tuple[str, str, str]]:
    call = sdk.calls.get(details.action)
    if call is None:
        yield "details", details.action, ""
        return
    for where, ours, theirs in (
        ("details.path", _sdk_path(details.path), call.path),
        ("details.method", details.method, call.method),
    ):
        if ours != theirs:
            yield where, ours, theirs
    for name in sorted(details.query.keys() - call.query.keys()):
        yield f"details.query.{name}", "a parameter", ""
    columns = {column.wire: tree_of_column(column) for column in operation.columns}
    record = _at(tree_of(call.answer), details.records)
    if not details.records:
        record = _without_envelope(record, operation)
    yield from differences(columns, record, "details")
