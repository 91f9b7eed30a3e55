"""The format of the files under `schemas/`: every key with its type. msgspec refuses all others."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


def _text(description: str) -> Any:
    """Return what completes "must be …" in the message about a missing or wrong text."""
    return msgspec.Meta(description=f"{description}, in quotes")


class RegionsFile(_Strict):
    """`[regions]` of a product.toml: the operation that lists the product's regions.

    `endpoint`: the field with the region's host; without one, the answer has no hosts. `ram`: the RAM action, if it
    needs one.
    """

    action: str
    path: str
    records: str
    id: str
    ask: str
    endpoint: str = ""
    method: Literal["GET", "POST"] = "GET"
    ram: str = ""


class RatePart(_Strict):
    """`[rate_limit]`: the limit of the product or of the operation, in requests per second."""

    rate: int | float
    burst: int = 1


class ProductFile(_Strict):
    """A product.toml. `uncovered`: List operations of the official SDK without a table, with the reason.

    `settings`: the keys of the configuration (`section.key`) whose values [[parents]] may add. `closed`: regions that
    the vendor has closed. `differences`: `endpoints.REGION` → what the SDK has instead. `default`: whether `*` chooses
    its tables. `global`: one host for all regions. `success_codes`: texts of `code` that mean no error.
    """

    product: Annotated[str, _text("the product's key, which is also the name of a folder")]
    version: Annotated[str, _text("the API's version, as in 2016-04-28")]
    prefix: Annotated[str, _text("the beginning of the names of its tables, as in vpc_")]
    style: Literal["ROA", "RPC"]
    endpoint: Annotated[str, _text("the URL of its hosts, as in https://vpc.{region}.aliyuncs.com")]
    endpoints: dict[str, str] = {}
    title: str = ""
    sdk: str = ""
    default: bool = True
    is_global: bool = msgspec.field(default=False, name="global")
    success_codes: list[str] = []
    settings: list[str] = []
    uncovered: dict[str, str] = {}
    closed: list[str] = []
    differences: dict[str, DifferenceFile] = {}
    regions: RegionsFile | None = None
    rate_limit: RatePart | None = None


class OperationPart(_Strict):
    """`[operation]`: the call. `item` names the column of a list of scalars, `embedded` columns of JSON in a string.

    `records` is the path to the list; `$`: the answer is the one record, `$[]`: it is the list. `filters` are query
    parameters that are never sent; `accepts` lists what is accepted instead of a list.
    """

    action: Annotated[str, _text("the operation's name")]
    path: Annotated[str, _text('the path of the request, "/" for an RPC operation')]
    records: Annotated[str, _text("the path to the list in the answer, as in Vpcs.Vpc")]
    ram: Annotated[str, _text("the RAM action, as in vpc:DescribeVpcs")]
    ram_assumed: bool = False
    method: Literal["GET", "POST"] = "GET"
    query: dict[str, str] = {}
    filters: list[str] = []
    accepts: list[Literal["object", "absent"]] = []
    empty_codes: list[str] = []
    envelope: list[str] = []
    item: str = ""
    embedded: list[str] = []


class PagingPart(_Strict):
    """`[paging]`. `output_token`, `total` and `more` are paths into the answer."""

    style: str
    input_token: str = ""
    output_token: str = ""
    page_key: str = ""
    limit_key: str = ""
    limit: int = 0
    total: str = ""
    more: str = ""


class ParentFile(_Strict):
    """One of `[[parents]]`."""

    table: str
    bind: dict[str, str]
    values: dict[str, list[str]] = {}
    setting: str = ""


class TablePart(_Strict):
    """`[table]`. A key column that ends with `?` may be null. A selection other than default needs a reason. The API
    generates `volatile` values again for every response. The resources of a `short_lived` table exist for minutes.
    """

    name: Annotated[str, _text("the table's name, which begins with the product's prefix")]
    title: Annotated[str, _text("the name of its rows for people")]
    key: Annotated[list[str], msgspec.Meta(description='a list of columns, as in ["vpc_id"]')]
    volatile: list[str] = []
    short_lived: bool = False
    selection: Literal["default", "opt-in", "out"] = "default"
    reason: str = ""


class WindowPart(_Strict):
    """`[window]`: the time span parameters that an operation requires. The span ends when the crawl starts."""

    begin: str
    end: str
    hours: int


class DetailsPart(_Strict):
    """`[details]`: the operation that returns more fields of a record than the list.

    `records`: the path to the record in its answer; without one, the answer is the record. `always`: the details are
    requested without `[crawl] details`.
    """

    action: str
    path: str
    ram: str
    bind: dict[str, str]
    method: Literal["GET", "POST"] = "GET"
    query: dict[str, str] = {}
    records: str = ""
    always: bool = False


class DifferenceFile(_Strict):
    """One of `[differences]`: what the official SDK has instead (empty: nothing), and the reason."""

    sdk: str
    reason: str


class OperationFile(_Strict):
    """The file of one table."""

    source: str
    checked: date
    operation: OperationPart
    paging: PagingPart
    table: TablePart
    columns: dict[str, Any]
    descriptions: dict[str, str] = {}
    parents: list[ParentFile] = []
    rate_limit: RatePart | None = None
    window: WindowPart | None = None
    details: DetailsPart | None = None
    differences: dict[str, DifferenceFile] = {}
