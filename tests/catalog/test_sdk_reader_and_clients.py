"""The reader of SDK packages, which runs nothing, finds what the packages' own clients send and expect."""

from __future__ import annotations

from typing import Any, get_args, get_origin

import pytest
from Tea.model import TeaModel

from crawler.catalog.sdk import open_package
from tests.support.model_server import PACKAGES
from tests.support.model_values import fields_of, wire_name
from tests.support.official_clients import official_calls

SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", Any: "json"}
QUICK = ("alibabacloud_actiontrail20200706", "alibabacloud_alb20200616", "alibabacloud_cs20151215")


def tree_of_hint(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, TeaModel):
        return {wire_name(hint, name): tree_of_hint(inner) for name, inner in fields_of(hint).items()}
    if get_origin(hint) is list:
        return [tree_of_hint(get_args(hint)[0])]
    if hint is dict or get_origin(hint) is dict:
        return {"*": tree_of_hint(get_args(hint)[1]) if get_args(hint) else "json"}
    return SCALARS[hint]


def tree_of_node(node: Any) -> Any:
    match node.kind:
        case "struct":
            return {found.wire: tree_of_node(found.node) for found in node.fields}
        case "list":
            return [tree_of_node(node.item)]
        case "map":
            return {"*": tree_of_node(node.item)}
        case kind:
            return kind


@pytest.mark.parametrize(
    "package", [name if name in QUICK else pytest.param(name, marks=pytest.mark.trust) for name in PACKAGES]
)
def test_the_reader_and_the_clients_agree(package):
    official, read = official_calls(package), open_package(package).calls
    assert official
    assert official.keys() == {action for action in read if action.startswith(("List", "Describe"))}
    for action, call in official.items():
        found = read[action]
        assert (found.version, found.style, found.method, found.path) == (
            call.version,
            call.style,
            call.method,
            call.path,
        ), action
        assert found.query.keys() == {name.partition(".")[0] for name in call.query}, action
        required = {name for name, parameter in found.query.items() if parameter.is_required}
        assert required == call.required & found.query.keys(), action
        assert tree_of_node(found.answer) == tree_of_hint(call.body), action
