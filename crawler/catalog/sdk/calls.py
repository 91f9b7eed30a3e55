"""The calls of an SDK's client: each `…with_options` method of its class, read from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from crawler.catalog.sdk.models import EMPTY, JSON, Field, Models, TypeNode

# After a digit or a capital, the generator leaves out the underscore: `describe_clusters_v1with_options`.
_SUFFIX = "with_options"


@dataclass(frozen=True)
class SdkCall:
    """One operation, as a method of the SDK's client describes it.

    `path` has parameters by their names in Python: `/clusters/{cluster_id}`. `body`: wire names of the body's
    parameters; `has_whole_body`: the request's model has the body as one field. `is_own_gateway`: the SDK sends the
    request through a gateway of the product, which has another signature.
    """

    action: str
    version: str
    method: str
    style: str
    path: str
    path_parameters: tuple[str, ...]
    host_parameters: tuple[str, ...]
    body_names: tuple[str, ...]
    has_whole_body: bool
    is_own_gateway: bool
    _query_names: tuple[tuple[str, str], ...] | None
    _request: ast.expr | None
    _response: ast.expr | None
    _models: Models

    @cached_property
    def request(self) -> TypeNode:
        """The request's model: parameters of the query and the body."""
        return self._models.tree(self._request) if self._request is not None else EMPTY

    @property
    def query_names(self) -> tuple[tuple[str, str], ...]:
        """(wire name, attribute) of each parameter that the client puts into the query itself."""
        return self._query_names or ()

    @cached_property
    def query(self) -> dict[str, Field]:
        """The query's parameters by wire name."""
        fields = self.request.named
        if self._query_names is None:  # the whole model is the query
            return dict(fields)
        by_attribute = {found.attribute: found for found in self.request.fields}
        return {
            wire: fields.get(wire) or by_attribute.get(attribute) or Field(wire, attribute, TypeNode(""))
            for wire, attribute in self._query_names
        }

    @cached_property
    def body(self) -> dict[str, Field]:
        """The body's parameters by wire name."""
        fields = self.request.named
        return {wire: fields.get(wire) or Field(wire, wire, JSON) for wire in self.body_names}

    @cached_property
    def answer(self) -> TypeNode:
        """The type of the answer's body; a map of anything if the SDK doesn't describe it."""
        found = self._models.tree(self._response) if self._response is not None else EMPTY
        for answer in found.fields:
            if answer.attribute == "body":
                return answer.node
        return TypeNode("map", item=JSON)


def read_calls(client: ast.ClassDef, models: Models) -> dict[str, SdkCall]:
    """Return action → call, for every operation of the client."""
    found: dict[str, SdkCall] = {}
    for node in client.body:
        if isinstance(node, ast.FunctionDef) and node.name.endswith(_SUFFIX):
            call = _read_call(node, models)
            if call.action:
                found[call.action] = call
    return dict(sorted(found.items()))


def _read_call(method: ast.FunctionDef, models: Models) -> SdkCall:
    annotations = {argument.arg: argument.annotation for argument in method.args.args}
    calls = [node for node in ast.walk(method) if isinstance(node, ast.Call)]
    params, sent = _keywords(calls, "Params"), _keywords(calls, "OpenApiRequest")
    path, path_parameters = _path(params.get("pathname"))
    filled = list(_filled(method))
    body = tuple(key for variable, key, _ in filled if variable in {"body", "body_flat"})
    query = tuple((key, attribute) for variable, key, attribute in filled if variable == "query")
    return SdkCall(
        action=constant_text(params.get("action")),
        version=constant_text(params.get("version")),
        method=constant_text(params.get("method")),
        style=constant_text(params.get("style")),
        path=path,
        path_parameters=path_parameters,
        host_parameters=tuple(key for variable, key, _ in filled if variable == "host_map"),
        body_names=body,
        has_whole_body="body" in sent and not body,
        is_own_gateway=any(_is_method(call, "execute") for call in calls),
        _query_names=None if any(_is_method(call, "to_map") for call in calls) else query,
        _request=annotations.get("tmp_req") or annotations.get("request"),
        _response=method.returns,
        _models=models,
    )


def _keywords(calls: list[ast.Call], name: str) -> dict[str, ast.expr]:
    """Return the keyword arguments of the call of `….NAME(…)`."""
    found = next((call for call in calls if _is_method(call, name)), None)
    return {keyword.arg: keyword.value for keyword in found.keywords if keyword.arg} if found is not None else {}


def _is_method(call: ast.Call, name: str) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == name


def constant_text(node: ast.expr | None) -> str:
    """Return a constant text, "" for any other expression."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _path(node: ast.expr | None) -> tuple[str, tuple[str, ...]]:
    """Return a path with its parameters in braces, and the parameters in order."""
    if not isinstance(node, ast.JoinedStr):
        return constant_text(node), ()
    parts, names = [], []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            inner = part.value.args[0] if isinstance(part.value, ast.Call) and part.value.args else part.value
            names.append(inner.id if isinstance(inner, ast.Name) else "")
            parts.append(f"{{{names[-1]}}}")
        else:
            parts.append(constant_text(part))
    return "".join(parts), tuple(names)


def _filled(method: ast.FunctionDef) -> Iterator[tuple[str, str, str]]:
    """Yield (variable, key, attribute) for each `variable['key'] = request.attribute`."""
    for node in ast.walk(method):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
            continue
        key = constant_text(target.slice)
        if key and isinstance(node, ast.Assign):
            yield target.value.id, key, node.value.attr if isinstance(node.value, ast.Attribute) else ""
