"""Compares the catalog with the official SDK packages that are installed.

The SDK's clients and models are read, not called: a method's source has path, version and parameters, a model's
constructor the types of its fields. A schema file declares known differences in `[differences]`. The check reports all
others, and declared ones that no longer exist.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from crawler.catalog.columns import Column, snake_case
from crawler.catalog.model import Catalog, DeclaredDifference, Operation, Product
from crawler.errors import ConfigError

# A type as the schema files write it: a scalar's name, a struct's fields, one item in a list, `*` for a map.
Tree = Any

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", typing.Any: "json", dict: "map<json>"}
# Fields that any response of these products may have in addition to its list.
_ENVELOPE = {"requestid", "code", "message", "status", "httpcode", "latency", "success", "hostid"}


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


class Sdk:
    """One product's SDK package. Raises ConfigError if it isn't installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        distribution = package.replace("_", "-")
        try:
            self.version = version(distribution)
            self._client = import_module(f"{package}.client").Client
        except (PackageNotFoundError, ImportError):
            raise ConfigError(f"the SDK package {package} isn't installed: pip install {distribution}") from None

    @cached_property
    def calls(self) -> dict[str, SdkCall]:
        """Action → call, for every operation of the client."""
        found = {}
        for name, method in inspect.getmembers(self._client, inspect.isfunction):
            if name.endswith("_with_options"):
                call = SdkCall(inspect.getsource(method), typing.get_type_hints(method))
                found[call.action] = call
        return found

    @cached_property
    def hosts(self) -> dict[str, str]:
        """Region → host, from the client's own map (which contains white space)."""
        source = inspect.getsource(self._client.__init__)
        pairs = re.findall(r"'([^']+)'\s*:\s*'([^']+)'", source)
        return {region.strip(): host.strip() for region, host in pairs if "." in host}


class SdkCall:
    """One operation, as a method of the SDK's client describes it."""

    def __init__(self, source: str, hints: Mapping[str, Any]) -> None:
        self._source = source
        self._hints = hints
        self.action = self._named("action")
        self.version = self._named("version")
        self.method = self._named("method")
        self.style = self._named("style")
        self.path = re.sub(r"\{[\w.]+\((\w+)\)\}", r"{\1}", self._named("pathname"))

    def _named(self, name: str) -> str:
        match = re.search(rf"\b{name}\s*=\s*f?['\"]([^'\"]+)['\"]", self._source)
        return match[1] if match else ""

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameter → type in the request's model."""
        request = next((hint for name, hint in self._hints.items() if name in {"request", "tmp_req"}), None)
        types = tree_of(request) if request is not None else {}
        named = re.findall(r"query\['([^']+)'\]", self._source)
        is_whole = "request.to_map()" in self._source  # newer clients send the whole model
        return {name: type_text(types.get(name)) for name in (types if is_whole else named)}

    @cached_property
    def body(self) -> Tree:
        """The tree of the response's body."""
        return tree_of(_constructor_hints(self._hints["return"]).get("body", dict))


def tree_of(hint: Any) -> Tree:
    """Return an annotation of an SDK model as a tree."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return [tree_of(arguments[0])]
    if typing.get_origin(hint) is dict:
        return {"*": tree_of(arguments[1])}
    if not hasattr(hint, "from_map"):
        return str(getattr(hint, "__name__", hint))
    return {wire: tree_of(inner) for wire, inner in _model_fields(hint).items()}


def _constructor_hints(model: Any) -> dict[str, Any]:
    return typing.get_type_hints(model.__init__)


def _model_fields(model: Any) -> dict[str, Any]:
    """Return wire name → annotation of a model's fields, from its constructor and the source of `from_map`."""
    hints = _constructor_hints(model)
    pairs = re.findall(r"m\.get\('([^']+)'\) is not None:.*?self\.(\w+)", inspect.getsource(model.from_map), re.DOTALL)
    return {wire: hints[attribute] for wire, attribute in pairs if attribute in hints}


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


def check(catalog: Catalog) -> tuple[dict[str, str], list[SdkDifference]]:
    """Compare every product whose file names an SDK package. Return package → version, and the differences.

    Raises ConfigError if a package isn't installed.
    """
    versions, findings = {}, []
    for product in catalog.products.values():
        if product.sdk:
            sdk = Sdk(product.sdk)
            versions[sdk.package] = sdk.version
            findings += check_product(catalog, product, sdk)
    return versions, findings


def check_product(catalog: Catalog, product: Product, sdk: Sdk) -> list[SdkDifference]:
    """Return the differences in one product: its hosts, its List operations, and its tables."""
    operations = [operation for operation in catalog.operations.values() if operation.product == product.key]
    known = {operation.action for operation in operations} | product.uncovered.keys()
    findings = [
        SdkDifference(product.key, "operations", "", action)
        for action in sorted(sdk.calls)
        if action.startswith("List") and action not in known
    ]
    if not sdk.hosts:
        findings.append(SdkDifference(product.key, "endpoints", "a map of hosts", ""))
    hosts = dict(_compare_hosts(product, sdk))
    findings += _undeclared(product.key, hosts, product.differences)
    for operation in operations:
        findings += check_operation(operation, product.style, sdk)
    return findings


def check_operation(operation: Operation, style: str, sdk: Sdk) -> list[SdkDifference]:
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


def _compare_hosts(product: Product, sdk: Sdk) -> Iterator[tuple[str, tuple[str, str]]]:
    ours = {region: host.replace("{account_id}", "account-id") for region, host in product.endpoints.items()}
    for region in sorted({*ours, *sdk.hosts} if sdk.hosts else ()):
        if ours.get(region) != sdk.hosts.get(region):
            yield f"endpoints.{region}", (ours.get(region, ""), sdk.hosts.get(region, ""))


def _compare(operation: Operation, style: str, call: SdkCall, sdk: Sdk) -> Iterator[tuple[str, str, str]]:
    path = re.sub(r"\{(\w+)\}", lambda match: f"{{{snake_case(match[1])}}}", operation.path)
    for where, ours, theirs in (
        ("path", path, call.path),
        ("version", operation.version, call.version),
        ("style", style, call.style),
    ):
        if ours != theirs:
            yield where, ours, theirs
    yield from _compare_query(operation, call)
    yield from _compare_answer(operation, call)
    if operation.details is not None:
        yield from _compare_details(operation, sdk)


def _compare_query(operation: Operation, call: SdkCall) -> Iterator[tuple[str, str, str]]:
    paging, window = operation.paging, operation.window
    keys = {paging.input_key, paging.limit_key, *operation.query, *operation.filters}
    keys |= {window.begin_key, window.end_key} if window else set()
    for name in sorted((keys - {""}) ^ call.query.keys()):
        yield f"query.{name}", "a parameter" if name in keys else "", call.query.get(name, "")


def _compare_answer(operation: Operation, call: SdkCall) -> Iterator[tuple[str, str, str]]:
    node: Tree = dict(call.body) if isinstance(call.body, dict) else {}
    outer = node
    for step in operation.records[:-1]:
        node = node.get(step) if isinstance(node.get(step), dict) else {}
    records = node.pop(operation.records[-1], None) if isinstance(node, dict) else None
    known = {name.lower() for name in (operation.paging.output_key, operation.paging.total_key, *operation.envelope)}
    for name in outer:
        if name.lower() not in known | _ENVELOPE and name not in operation.records:
            yield f"answer.{name}", "", type_text(outer[name])
    record = records[0] if isinstance(records, list) else records
    ours: Mapping[str, Tree] = {column.wire: tree_of_column(column) for column in operation.columns}
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


def _compare_details(operation: Operation, sdk: Sdk) -> Iterator[tuple[str, str, str]]:
    details = operation.details
    call = sdk.calls.get(details.action) if details else None
    if details is None or call is None:
        yield "details", details.action if details else "", ""
        return
    path = re.sub(r"\{(\w+)\}", lambda match: f"{{{snake_case(match[1])}}}", details.path)
    if path != call.path:
        yield "details.path", path, call.path
    ours = {column.wire: tree_of_column(column) for column in operation.columns}
    yield from differences(ours, call.body, "details")
