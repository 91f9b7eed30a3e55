"""What an operation of the emulated cloud is: path, paging, where the records are, what a wrong parent is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

VERSIONS = {
    "fc": "2023-03-30",
    "fc-open": "2021-04-06",
    "opensearch": "2017-12-25",
    "sts": "2015-04-01",
    "fnf": "2019-03-15",
}

Filter = Literal["prefix", "from", "equal", "contains", "part", "flag", "same", "since", "until"]
Envelope = Literal["plain", "object", "result", "counted", "single", "bare", "entries", "plans", "function"]


class EmulatedPaging(Enum):
    """How a list is cut into pages."""

    TOKEN = "token"  # noqa: S105 - the name of a paging family
    VERSION = "version"
    NUMBER = "number"
    LIMIT = "limit"
    NONE = "none"


class End(Enum):
    """What the last page of a list carries as its token; the documentation's samples show all of them.

    ZERO is for lists by version, whose tokens are numbers.
    """

    ABSENT = "absent"
    EMPTY = "empty"
    NULL = "null"
    QUOTES = "quotes"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The parameter that sizes a page, its accepted range, and its value where it isn't sent."""

    parameter: str
    low: int
    high: int
    default: int


LIMIT = Bounds("limit", 1, 100, 20)
PAGE_SIZE = Bounds("pageSize", 1, 100, 10)


@dataclass(frozen=True, slots=True)
class Turn:
    """The parameter that turns a list round: its two values, the one that holds where it isn't sent first.

    `is_told`: the answer repeats the value.
    """

    parameter: str
    usual: str
    other: str
    is_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedOperation:
    """One operation.

    What the answer is:
    `records`: the list's key in the answer, dotted where nested. `envelope`: `object`: the answer is the one record
    itself; `plain`: the list's key alone; the others are those of `opensearch_envelopes`. `total`: the key of the
    number of records in a list by pages, empty where the answer has none. `request_id`: the key of the request's ID
    beside the list.

    How it is ordered and cut:
    `key`: the fields of a record that order its list; none leaves it as it is. `rank`: the first of them is a number,
    or has one in its digits, and the list goes `up` or `down` by it. `turn`: what turns it round. `token` is the
    parameter of the next page, `next_key` the answer's key for it where that is another. `bounds` sizes a page.

    What it takes:
    `asks`: the parameters of the query that name the parent, where the path can't: that of RPC operations is `/`.
    `missing`: the error code for each of these parameters that names nothing, outermost first; empty where the list is
    a root. `without`: the error code where the parent has no such list at all. `space`: where its parents' names are
    looked up, the product's unless said; `a/b/c` is `a` for the outermost parameter of the path, `a/b` for the next.
    `names`: the space in which its records are parents themselves, by the first field of `key`. `filters`: query
    parameter → (field, how it is compared). `choices`: the values that a parameter of the query or the path may have,
    the first being the one that holds where it isn't sent. `required`: parameters that must be sent. `needs`:
    parameter → another without which it makes no sense. `hides`: parameter → the fields that its value `false` leaves
    out. `select`: how the list's source depends on the query.
    """

    product: str
    action: str
    path: str
    paging: EmulatedPaging
    ram: str
    records: str = ""
    key: tuple[str, ...] = ()
    rank: Literal["text", "up", "down"] = "text"
    turn: Turn | None = None
    asks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    without: str = ""
    space: str = ""
    names: str = ""
    bounds: Bounds = LIMIT
    token: str = "nextToken"  # noqa: S105 - the name of a parameter
    next_key: str = ""
    end: End = End.ABSENT
    total: str = "totalCount"
    request_id: str = ""
    filters: Mapping[str, tuple[str, Filter]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    hides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    select: Literal["plain", "fc_version"] = "plain"
    envelope: Envelope = "plain"

    @property
    def name(self) -> str:
        """`fc.ListFunctions`: the operation's key in counts, rates and logs."""
        return f"{self.product}.{self.action}"

    @property
    def version(self) -> str:
        """The API version that x-acs-version must name."""
        return VERSIONS[self.product]

    @property
    def parameters(self) -> tuple[str, ...]:
        """What names the parent: the path's parameters in the order of the path, then those of `asks`."""
        return (*re.findall(r"\{(\w+)\}", self.path), *self.asks)

    def space_at(self, depth: int) -> str:
        """Where the names at that depth of the path are looked up, 1 being the outermost; see `space`."""
        return "/".join((self.space or self.product).split("/")[:depth])

    def ancestors(self, parent: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The names that must be known for a list with these path parameters to be there, outermost first."""
        return [(self.space_at(depth), *parent[:depth]) for depth in range(1, len(parent) + 1)]

    @property
    def is_inventory(self) -> bool:
        """Whether it lists what an account has: not regions, and not the details of one thing."""
        return self.envelope != "object" and self.action != "DescribeRegions"

    @property
    def next_name(self) -> str:
        """The answer's key for the next page's token."""
        return self.next_key or self.token

    def turned(self, query: Mapping[str, str]) -> EmulatedOperation:
        """The operation with the order that a request asks for."""
        if self.turn is None or query.get(self.turn.parameter) != self.turn.other:
            return self
        return replace(self, rank="up" if self.rank == "down" else "down")


def order(operation: EmulatedOperation, record: Any) -> tuple[str | int, ...]:
    """A record's place in its list."""
    first, *rest = operation.key or ("",)
    if not first:
        return ()
    others = [str(record.get(name)) for name in rest]
    if operation.rank == "text":
        return (str(record.get(first)), *others)
    number = int(re.sub(r"\D", "", str(record.get(first))) or 0)
    return (-number if operation.rank == "down" else number, *others)
