"""The operations that the emulator serves, one row each: path, paging, where the records are, what a wrong parent is.

A further List operation is one more row here and its records in `place.build`. Paths, parameters and bounds are those
of the official SDK packages and the documentation pages (checked 2026-11-22), written down here a second time on
purpose: the emulator is a witness that doesn't read the crawler's own catalog.
"""

from __future__ import annotations

import re
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


FUNCTION_PATH = "/2021-04-06/services/{serviceName}/functions/{functionName}"
IN_FUNCTION = ("ServiceNotFound", "FunctionNotFound")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        product="fc",
        action="DescribeRegions",
        path="/2023-03-30/regions",
        paging=Paging.NONE,
        ram="fc:DescribeRegions",
        records="Regions.Region",
        key=("RegionId",),
    ),
    Operation(
        product="fc",
        action="ListFunctions",
        path="/2023-03-30/functions",
        paging=Paging.TOKEN,
        ram="fc:ListFunctions",
        records="functions",
        key=("functionName",),
        filters={
            "prefix": ("functionName", "prefix"),
            "functionName": ("functionName", "contains"),
            "description": ("description", "contains"),
            "runtime": ("runtime", "equal"),
            "resourceGroupId": ("resourceGroupId", "equal"),
        },
        select="fc_version",
    ),
    Operation(
        product="fc-open",
        action="ListServices",
        path="/2021-04-06/services",
        paging=Paging.TOKEN,
        ram="fc:ListServices",
        records="services",
        key=("serviceName",),
        end=End.EMPTY,
        filters={"prefix": ("serviceName", "prefix"), "startKey": ("serviceName", "from")},
    ),
    Operation(
        product="fc-open",
        action="ListFunctions",
        path="/2021-04-06/services/{serviceName}/functions",
        paging=Paging.TOKEN,
        ram="fc:ListFunctions",
        records="functions",
        key=("functionName",),
        missing=("ServiceNotFound",),
        end=End.NULL,
        filters={"prefix": ("functionName", "prefix"), "startKey": ("functionName", "from")},
    ),
    Operation(
        product="fc-open",
        action="ListInstances",
        path=f"{FUNCTION_PATH}/instances",
        paging=Paging.LIMIT,
        ram="fc:ListInstances",
        records="instances",
        key=("instanceId",),
        missing=IN_FUNCTION,
        bounds=Bounds("limit", 0, 1000, 20),
    ),
    Operation(
        product="fc-open",
        action="ListFunctionAsyncInvokeConfigs",
        path=f"{FUNCTION_PATH}/async-invoke-configs",
        paging=Paging.TOKEN,
        ram="fc:ListFunctionAsyncInvokeConfigs",
        records="configs",
        key=("qualifier",),
        missing=IN_FUNCTION,
    ),
    Operation(
        product="fc-open",
        action="ListStatefulAsyncInvocationFunctions",
        path="/2021-04-06/stateful-async-invocation-functions",
        paging=Paging.TOKEN,
        ram="fc:ListStatefulAsyncInvocationFunctions",
        records="data",
        key=("serviceName", "functionName", "qualifier"),
        end=End.QUOTES,
    ),
    Operation(
        product="opensearch",
        action="DescribeRegions",
        path="/v4/openapi/regions",
        paging=Paging.NONE,
        ram="opensearch:DescribeRegions",
        records="result",
        key=("regionId",),
        envelope="result",
    ),
    Operation(
        product="opensearch",
        action="ListAppGroups",
        path="/v4/openapi/app-groups",
        paging=Paging.NUMBER,
        ram="opensearch:ListAppGroup",
        records="result",
        key=("name",),
        bounds=PAGE_SIZE,
        filters={
            "name": ("name", "contains"),
            "type": ("type", "equal"),
            "instanceId": ("instanceId", "equal"),
        },
        envelope="result",
    ),
    Operation(
        product="opensearch",
        action="DescribeApps",
        path="/v4/openapi/app-groups/{appGroupIdentity}/apps",
        paging=Paging.NONE,
        ram="opensearch:ListApp",
        records="result",
        key=("id",),
        missing=("AppGroup.NotExist",),
        envelope="result",
    ),
    Operation(
        product="opensearch",
        action="ListFunctionInstances",
        path="/v4/openapi/app-groups/{appGroupIdentity}/functions/{functionName}/instances",
        paging=Paging.NUMBER,
        ram="opensearch:DescribeFunction",
        records="Result",
        key=("InstanceName",),
        missing=("AppGroup.NotExist", "Instance.NotExist"),
        bounds=PAGE_SIZE,
        filters={"functionType": ("FunctionType", "equal"), "modelType": ("ModelType", "equal")},
        select="source",
        envelope="function",
    ),
)

BY_NAME: Mapping[str, Operation] = {operation.name: operation for operation in OPERATIONS}
TABLES = tuple(operation.name for operation in OPERATIONS if operation.action != "DescribeRegions")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", path)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts))


PATTERNS = tuple((_pattern(operation.path), operation) for operation in OPERATIONS)


def find(path: str) -> tuple[Operation, tuple[str, ...]] | None:
    """The operation of a raw path with its still encoded path parameters, None where no operation has that path."""
    for pattern, operation in PATTERNS:
        match = pattern.fullmatch(path)
        if match:
            return operation, match.groups()
    return None


def order(operation: Operation, record: Mapping[str, Any]) -> tuple[str, ...]:
    """A record's place in its list."""
    return tuple(str(record.get(name)) for name in operation.key)
