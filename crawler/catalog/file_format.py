"""What a file under `schemas/` may say, as msgspec sees it: every key, its type, and nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import msgspec


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class RegionsFile(_Strict):
    """`[regions]` of a product.toml: the operation that lists its regions."""

    action: str
    path: str
    records: str
    id: str
    ask: str


class ProductFile(_Strict):
    """A product.toml. `uncovered`: List operations of the official SDK that have no table, with the reason."""

    product: str
    version: str
    prefix: str
    style: Literal["ROA", "RPC"]
    endpoint: str
    endpoints: dict[str, str]
    sdk: str = ""
    uncovered: dict[str, str] = {}
    regions: RegionsFile | None = None


class OperationPart(_Strict):
    """`[operation]`: the call. `item` names the column of a list of scalars, `embedded` columns of JSON in a string.

    `filters` are query parameters that are never sent; `accepts` says what is taken in place of a list.
    """

    action: str
    path: str
    records: str
    ram: str
    ram_assumed: bool = False
    query: dict[str, str] = {}
    filters: list[str] = []
    accepts: list[Literal["object", "absent"]] = []
    empty_codes: list[str] = []
    envelope: list[str] = []
    item: str = ""
    embedded: list[str] = []


class PagingPart(_Strict):
    """`[paging]`."""

    style: str
    input_token: str = ""
    output_token: str = ""
    page_key: str = ""
    limit_key: str = ""
    limit: int = 0
    total: str = ""


class ParentFile(_Strict):
    """One of `[[parents]]`."""

    table: str
    bind: dict[str, str]
    values: dict[str, list[str]] = {}
    setting: str = ""


class TablePart(_Strict):
    """`[table]`. A column of the key that ends with `?` may be null; a selection other than default needs a reason;
    `volatile` values are made anew for every answer.
    """

    name: str
    title: str
    key: list[str]
    volatile: list[str] = []
    selection: Literal["default", "opt-in", "out"] = "default"
    reason: str = ""


class WindowPart(_Strict):
    """`[window]`: the parameters of an operation that must be told a time span, which ends with the crawl's begin."""

    begin: str
    end: str
    hours: int


class DetailsPart(_Strict):
    """`[details]`: the operation that says more of a record than the list does."""

    action: str
    path: str
    ram: str
    bind: dict[str, str]


class DifferenceFile(_Strict):
    """One of `[differences]`: what the official SDK has (empty: nothing) where the file has something else, and why."""

    sdk: str
    reason: str


class RatePart(_Strict):
    """`[rate_limit]`: what is known of the operation's own limit."""

    rate: float
    burst: int = 1


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
