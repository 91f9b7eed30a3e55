"""An SDK package as a whole: its product, its hosts, and its calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from crawler.catalog.sdk.calls import SdkCall, constant_text, read_calls
from crawler.catalog.sdk.models import Models
from crawler.catalog.sdk.sources import Source, open_source, parse
from crawler.errors import ConfigError
from crawler.text import REGION_ID

_NAMED = re.compile(r"alibabacloud_(?P<product>[a-z0-9_]+?)_?(?P<date>[0-9]{8})")


# The vendor's own regions for tests, and those of single customers.
_INTERNAL = re.compile(r"-(?:pop|inner|oxs|internal-[a-z]+|test|nebula|jva|lr|gic|[a-z]{2,3}\d*-[a-z]\d+)(?:-?\d+)?$")


class SdkPackage:
    """One SDK package. `package` is its import name.

    `product`: the name by which the client finds its hosts. `hosts`: region → host, from the client's map (which
    contains white space). `rule`: "regional" or "central", the form of hosts that the map lacks.
    """

    def __init__(self, source: Source) -> None:
        self.package, self.version = source.package, source.version
        content = source.read("client.py")
        module = parse(source, "client.py", content)[0] if content is not None else None
        classes = (node for node in module.body if isinstance(node, ast.ClassDef)) if module else ()
        client = next((node for node in classes if node.name == "Client"), None)
        if client is None:
            raise ConfigError(
                f"{self.package} {self.version} isn't an official SDK: it has no client.py with a class Client"
            )
        self._client = client
        self._source = source

    @cached_property
    def calls(self) -> dict[str, SdkCall]:
        """Action → call, for every operation of the client, sorted."""
        return read_calls(self._client, Models(self._source))

    @cached_property
    def hosts(self) -> dict[str, str]:
        """Region → host, from the client's own map."""
        for target, value in self._settings:
            if target == "_endpoint_map" and isinstance(value, ast.Dict):
                pairs = [
                    (constant_text(key), constant_text(host))
                    for key, host in zip(value.keys, value.values, strict=True)
                ]
                return {region.strip(): host.strip() for region, host in pairs if region and "." in host}
        return {}

    def host_by_rule(self, region_id: str) -> str:
        """Return the host that the SDK's rule gives a region which the map lacks."""
        return f"{self.product}.aliyuncs.com" if self.rule == "central" else f"{self.product}.{region_id}.aliyuncs.com"

    @cached_property
    def rule(self) -> str:
        """The form of hosts that the map lacks. The official code takes every text but "regional" as central."""
        named = next((constant_text(value) for target, value in self._settings if target == "_endpoint_rule"), "")
        return "regional" if named == "regional" else "central"

    @cached_property
    def product(self) -> str:
        """The product's name in hosts, in lower case."""
        named = _NAMED.fullmatch(self.package)
        own = [constant_text(value) for target, value in self._settings if target == "_product_id"]
        own += [constant_text(node.args[0]) for node in self._endpoint_calls() if node.args]
        return next(filter(None, own), named["product"].replace("_", "-") if named else self.package).lower()

    @cached_property
    def api_version(self) -> str:
        """The version of most calls, such as 2015-05-01."""
        return _most_frequent(call.version for call in self.calls.values())

    @cached_property
    def style(self) -> str:
        """The style of most calls: RPC or ROA."""
        return _most_frequent(call.style for call in self.calls.values())

    @cached_property
    def _settings(self) -> list[tuple[str, ast.expr]]:
        """(attribute, value) of each `self.attribute = value` of the constructor."""
        return [
            (target.attr, node.value)
            for method in self._client.body
            if isinstance(method, ast.FunctionDef) and method.name == "__init__"
            for node in method.body
            if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Attribute)
        ]

    def _endpoint_calls(self) -> Iterator[ast.Call]:
        for target, value in self._settings:
            if target == "_endpoint" and isinstance(value, ast.Call):
                yield value


def is_public_region(region_id: str) -> bool:
    """Whether accounts may have a region of a map: not one of the vendor's own, nor one of a single customer."""
    return REGION_ID.fullmatch(region_id) is not None and not _INTERNAL.search(region_id)


def _most_frequent(texts: Iterable[str]) -> str:
    found = list(texts)
    return max(sorted(set(found)), key=found.count, default="")


def open_package(name: str) -> SdkPackage:
    """Return the package that `name` means: an installed one, or the path of a wheel. Raises ConfigError."""
    return SdkPackage(open_source(name))
