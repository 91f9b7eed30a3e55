"""The order in which readers see the columns of a table: whose row it is first. Files keep their own order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from crawler.catalog.model import FIXED_COLUMNS

if TYPE_CHECKING:
    from crawler.catalog.model import Catalog

# Table → the columns that identify its rows within an account and region.
TableKeys = Mapping[str, Sequence[str]]

SCOPE_COLUMNS = FIXED_COLUMNS[:2]
_ORIGIN_COLUMNS = FIXED_COLUMNS[2:]


def reader_columns(names: Sequence[str], key: Iterable[str]) -> list[str]:
    """Return the columns of a table in the order for readers: account, region, key, snapshot, instant, all others.

    Columns that the table doesn't have are left out. Without a key, the order is that of the files.
    """
    first = dict.fromkeys([*SCOPE_COLUMNS, *key, *_ORIGIN_COLUMNS])
    return [*(name for name in first if name in names), *(name for name in names if name not in first)]


def catalog_keys(catalog: Catalog) -> TableKeys:
    """Return the keys of all tables of a catalog."""
    return {table: operation.key for table, operation in catalog.operations.items()}
