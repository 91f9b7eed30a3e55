"""crawler.catalog.loader."""

from __future__ import annotations

from crawler.catalog.loader import load_catalog, schemas_folder
from crawler.catalog.model import (
    DETAILS_COLUMN,
    EXTRA_COLUMN,
    FIXED_COLUMNS,
    Catalog,
    Details,
    Difference,
    Operation,
    Paging,
    Parent,
    Product,
    RegionsOperation,
    Window,
)

__all__ = [
    "DETAILS_COLUMN",
    "EXTRA_COLUMN",
    "FIXED_COLUMNS",
    "Catalog",
    "Details",
    "Difference",
    "Operation",
    "Paging",
    "Parent",
    "Product",
    "RegionsOperation",
    "Window",
    "load_catalog",
    "schemas_folder",
]
