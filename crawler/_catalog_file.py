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
    """A product.toml."""

    product: str
    version: str
    prefix: str
    style: Literal["ROA", "RPC"]
    endpoint: str
    endpoints: dict[str, str]
    regions: RegionsFile | None = None


class OperationPart(_Strict):
    """`[operation]`: the call. `item` names the column of a list of scalars."""

    action: str
    path: str
    records: str
    ram: str
    query: dict[str, str] = {}
    envelope: list[str] = []
    item: str = ""


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
    """`[table]`. A column of the key that ends with `?` may be null; default = false makes the table opt-in."""

    name: str
    title: str
    key: list[str]
    default: bool = True
    reason: str = ""


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
