"""A request to an API, before it is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crawler.client.signing import percent_encode
from crawler.errors import (
    FatalError,
)
from crawler.text import is_encodable


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request to an API, before anything about accounts. `path` is percent-encoded; `form` makes it a POST."""

    product: str
    version: str
    action: str
    region_id: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)


def expand_path(template: str, parameters: Mapping[str, str]) -> str:
    """The path with each parameter percent-encoded once. Raises FatalError for one that no path can hold."""
    path = template
    for name, value in parameters.items():
        if not value or value in {".", ".."} or "\0" in value or not is_encodable(value):
            raise FatalError("InvalidName", f"The {name} {value[:100]!a} can't be a step of a path.")
        path = path.replace(f"{{{name}}}", percent_encode(value))
    return path
