"""Describes an operation of the emulated cloud: path, paging, parameters, the response, errors for wrong parents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from enum import Enum
from typing import Any, Literal

VERSIONS = {
    "fc": "2023-03-30",
    "fc-open": "2021-04-06",
    "opensearch": "2017-12-25",
    "searchengine": "2021-10-25",
    "sts": "2015-04-01",
    "fcsandbox": "2026-05-09",
    "ram": "2015-05-01",
}
# The region of products that an account has once, whatever its regions are.
GLOBAL = "global"
GLOBAL_PRODUCTS = ("ram",)

Filter = Literal["prefix", "from", "equal", "contains", "part", "flag", "same", "since", "until", "among"]
Envelope = Literal[
    "plain",
    "object",
    "detail",
    "result",
    "counted",
    "single",
    "bare",
    "entries",
    "plans",
    "function",
    "names",
    "whole",
    "sandbox",
]


class EmulatedPaging(Enum):
    """The ways to split a list into pages."""

    TOKEN = "token"  # noqa: S105 - the name of a paging style
    VERSION = "version"
    NUMBER = "number"
    LIMIT = "limit"
    NONE = "none"


class LastToken(Enum):
    """The token of a list's last page. The samples of the documentation show all of these.

    ZERO is for lists by version, whose tokens are numbers.
    """

    ABSENT = "absent"
    EMPTY = "empty"
    NULL = "null"
    QUOTES = "quotes"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The parameter of the page size, its accepted range, and its default."""

    parameter: str
    low: int
    high: int
    default: int


LIMIT = Bounds("limit", 1, 100, 20)
PAGE_SIZE = Bounds("pageSize", 1, 100, 10)


@dataclass(frozen=True, slots=True)
class OrderParameter:
    """The parameter that reverses a list: from `usual` (the default) to `other`. `is_echoed`: responses repeat it."""

    parameter: str
    usual: str
    other: str
    is_echoed: bool = False


@dataclass(frozen=True, slots=True)
class EmulatedOperation:
    """One operation.

    - `tail`: its path below `root`, the path of its parent
    - `permission`: its RAM action, without the product; the default is `action`

    The response:
    - `records`: the list's key, with dots if it is nested
    - `envelope`: `object` (the response is the only record), `detail` (the only record is in the list's key), `whole`
      (the fields of the only record are next to the request ID), `plain` (only the list's key), `sandbox` (with a code
      of success), or one of `opensearch_envelopes`
    - `total`: the key of the number of records in a list by page numbers, with dots if it is nested; empty if the
      response has none
    - `request_id`: the key of the request ID next to the list

    The order and the pages:
    - `key`: the fields by which a list is ordered; without fields, the order stays as it is
    - `rank`: `up` and `down` order by the digits of the first field as a number
    - `order_parameter`: reverses the order
    - `token`, `next_key`: the parameter of the next page, and its key in the response if that is another
    - `page_parameter`: the parameter of the page number
    - `more`: the key of the flag that says whether another page follows; empty if the response has none
    - `bounds`: the page size

    The request:
    - `parent_query`: the query parameters that name the parent, if the path doesn't. One without a value has the first
      of its `choices`
    - `not_found_codes`: the error code of each unknown parent, outermost first; empty for a root list. They have the
      HTTP status `not_found_status`
    - `absent_code`: the error code if the parent exists but has no such list
    - `namespace`: where the parents' names are looked up; the default is the product. With `a/b/c`, the outermost
      path parameter is looked up in `a`, the next in `a/b`
    - `child_namespace`: where the records become parents, by the first field of `key`
    - `filters`: query parameter → (field, comparison)
    - `choices`: the accepted values of a query or path parameter; the first is the default
    - `required`: mandatory parameters
    - `required_with`: parameter → another parameter that it needs
    - `hidden_fields`: parameter → the fields that its value `false` hides
    - `select`: how the list's source depends on the query
    """

    action: str
    tail: str
    key: tuple[str, ...] = ()
    records: str = ""
    _: KW_ONLY
    product: str
    root: str = ""
    paging: EmulatedPaging
    permission: str = ""
    rank: Literal["text", "up", "down"] = "text"
    order_parameter: OrderParameter | None = None
    parent_query: tuple[str, ...] = ()
    not_found_codes: tuple[str, ...] = ()
    not_found_status: int = 404
    absent_code: str = ""
    namespace: str = ""
    child_namespace: str = ""
    bounds: Bounds = LIMIT
    token: str = "nextToken"  # noqa: S105 - the name of a parameter
    next_key: str = ""
    page_parameter: str = "pageNumber"
    more: str = ""
    last_token: LastToken = LastToken.ABSENT
    total: str = "totalCount"
    request_id: str = ""
    filters: Mapping[str, tuple[str, Filter]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    required_with: Mapping[str, str] = field(default_factory=dict)
    hidden_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    select: Literal["plain", "fc_version"] = "plain"
    envelope: Envelope = "plain"

    @property
    def name(self) -> str:
        """The operation's key in counts, rates and logs, such as `fc.ListFunctions`."""
        return f"{self.product}.{self.action}"

    @property
    def path(self) -> str:
        """The path of its requests, with the names of parameters in braces."""
        return self.root + self.tail

    @property
    def ram(self) -> str:
        """The RAM action that a policy allows or denies, such as `fc:ListFunctions`."""
        return f"{'fc' if self.product == 'fc-open' else self.product}:{self.permission or self.action}"

    @property
    def version(self) -> str:
        """The API version that x-acs-version must have."""
        return VERSIONS[self.product]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that name the parent: those of the path in its order, then those of `parent_query`."""
        return (*re.findall(r"\{(\w+)\}", self.path), *self.parent_query)

    def namespace_at(self, depth: int) -> str:
        """Return the namespace of the path parameter at this depth (1: the outermost); see `namespace`."""
        return "/".join((self.namespace or self.product).split("/")[:depth])

    def ancestors(self, parent: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return the names that must exist for a list with these path parameters, outermost first."""
        return [(self.namespace_at(depth), *parent[:depth]) for depth in range(1, len(parent) + 1)]

    @property
    def is_inventory(self) -> bool:
        """Whether it lists resources of an account: not regions, and not the details of one resource."""
        return self.envelope not in {"object", "detail"} and self.action != "DescribeRegions"

    @property
    def is_global(self) -> bool:
        """Whether an account has its lists once, at the region `GLOBAL`."""
        return self.product in GLOBAL_PRODUCTS

    @property
    def next_name(self) -> str:
        """The response's key for the next page's token."""
        return self.next_key or self.token

    def with_requested_order(self, query: Mapping[str, str]) -> EmulatedOperation:
        """Return the operation with the order that the query requests."""
        if self.order_parameter is None or query.get(self.order_parameter.parameter) != self.order_parameter.other:
            return self
        return replace(self, rank="up" if self.rank == "down" else "down")


def order(operation: EmulatedOperation, record: Any) -> tuple[str | int, ...]:
    """Return the sort key of a record in its list."""
    first, *rest = operation.key or ("",)
    if not first:
        return ()
    others = [str(record.get(name)) for name in rest]
    if operation.rank == "text":
        return (str(record.get(first)), *others)
    number = int(re.sub(r"\D", "", str(record.get(first))) or 0)
    return (-number if operation.rank == "down" else number, *others)
