"""The operations of an official SDK package, found by calling its client: what it would send, and what it expects.

Nothing of the crawler's own reader of SDKs is used here, so that each can judge the other.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from typing import Any, get_type_hints

from alibabacloud_tea_openapi.models import Config
from darabonba.runtime import RuntimeOptions
from Tea.model import TeaModel

from tests.support.model_values import ModelValues, comments_of, fields_of, wire_name

_VERBS = ("list_", "describe_")
_BOUND = re.compile(r"(?:maximum|up to|at most|\b10?\W{0,6}(?:to|and|[-~])\W)[^0-9.]{0,20}\b([0-9]+)", re.IGNORECASE)


class _CapturedError(Exception):
    """Takes what a client would send out of the client."""

    def __init__(self, params: Any, request: Any) -> None:
        super().__init__(params.action)
        self.params = params
        self.request = request


@dataclass(frozen=True, eq=False)
class OfficialCall:
    """One operation. `query`: the names of all its parameters, `.N` for a position. `body`: the answer's type.

    `name`: the client's method.
    """

    name: str
    action: str
    version: str
    style: str
    method: str
    path: str
    query: frozenset[str]
    has_body: bool
    request: type[TeaModel] | None = field(repr=False)
    body: Any = field(repr=False)

    @cached_property
    def comments(self) -> dict[str, str]:
        """Query parameter → what the SDK says of it."""
        if self.request is None:
            return {}
        return {wire_name(self.request, name): text for name, text in comments_of(self.request).items()}

    @cached_property
    def required(self) -> frozenset[str]:
        """The parameters that the SDK calls required."""
        return frozenset(name for name, text in self.comments.items() if "This parameter is required." in text)

    def bound(self, parameter: str) -> int | None:
        """The largest value of a parameter, if the SDK states one."""
        found = [int(text) for text in _BOUND.findall(self.comments.get(parameter, ""))]
        return max(found, default=None)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the operation's paths look like, with a group for each parameter."""
        return re.compile(re.sub(r"\{\w+\}", "([^/]+)", self.path))


@cache
def official_calls(package: str) -> Mapping[str, OfficialCall]:
    """Return action → call, of the package's List and Describe operations."""
    made = import_module(f"{package}.client").Client
    client = made(Config(access_key_id="id", access_key_secret="secret", endpoint="127.0.0.1", region_id="cn-hangzhou"))

    def capture(params: Any, request: Any, runtime: Any) -> Any:
        raise _CapturedError(params, request)

    client.call_api = capture
    found = {}
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name.startswith(_VERBS) and name.endswith("with_options"):
            call = _called(name, method)
            found[call.action] = call
    return found


def _called(name: str, method: Any) -> OfficialCall:
    hints = get_type_hints(method)
    answer = hints.pop("return")
    request = next((hints[name] for name in ("request", "tmp_req") if name in hints), None)
    values = ModelValues(seed="a request", records=1)
    given = {key: f"~{key}~" for key, hint in hints.items() if hint is str}
    given |= {key: values.make(hint) for key, hint in hints.items() if hint is request}
    given |= {key: {} for key in ("headers",) if key in hints}
    try:
        method(**given, runtime=RuntimeOptions())
    except _CapturedError as captured:
        params, sent = captured.params, captured.request
    return OfficialCall(
        name=name,
        action=params.action,
        version=params.version,
        style=params.style,
        method=params.method,
        path=re.sub(r"~(\w+)~", r"{\1}", params.pathname),
        query=frozenset(re.sub(r"\.\d+", ".N", name) for name in sent.query or {}),
        has_body=bool(sent.body),
        request=request,
        body=fields_of(answer).get("body"),
    )
