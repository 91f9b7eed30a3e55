"""What an operation of the emulated cloud is: path, paging, where the records are, what a wrong parent is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

VERSIONS = {"fc": "2023-03-30", "fc-open": "2021-04-06", "opensearch": "2017-12-25", "sts": "2015-04-01"}


class Paging(Enum):
    """How a list is cut into pages."""

    TOKEN = "token"  # noqa: S105 - the name of a paging family
    NUMBER = "number"
    LIMIT = "limit"
    NONE = "none"


class End(Enum):
    """What the last page of a token list carries as its token; the documentation's samples show all four."""

    ABSENT = "absent"
    EMPTY = "empty"
    NULL = "null"
    QUOTES = "quotes"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The parameter that sizes a page, its accepted range, and its value where it isn't sent."""

    parameter: str
    low: int
    high: int
    default: int


LIMIT = Bounds("limit", 1, 100, 20)
PAGE_SIZE = Bounds("pageSize", 1, 100, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    `records`: the list's key in the answer, dotted where nested. `key`: the fields of a record that order a token
    list. `missing`: the error code for each path parameter that names nothing, outermost first; empty where the list
    is a root. `filters`: query parameter → (field, how it is compared). `select`: how the list's source depends on the
    query. `envelope`: `function` is the one of ListFunctionInstances.
    """

    product: str
    action: str
    path: str
    paging: Paging
    ram: str
    records: str = ""
    key: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    bounds: Bounds = LIMIT
    end: End = End.ABSENT
    filters: Mapping[str, tuple[str, Literal["prefix", "from", "equal", "contains"]]] = field(default_factory=dict)
    select: Literal["plain", "fc_version", "source"] = "plain"
    envelope: Literal["plain", "result", "function"] = "plain"

    @property
    def name(self) -> str:
        """`fc.ListFunctions`: the operation's key in counts, rates and logs."""
        return f"{self.product}.{self.action}"

    @property
    def version(self) -> str:
        """The API version that x-acs-version must name."""
        return VERSIONS[self.product]


def order(operation: Operation, record: Mapping[str, Any]) -> tuple[str, ...]:
    """A record's place in its list."""
    return tuple(str(record.get(name)) for name in operation.key)
