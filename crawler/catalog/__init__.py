"""The catalog: every file under `schemas/` as an operation with its columns.

Read `model` first (the values), then `file_format` (the keys of a file), `loader`, `columns` (the column tree and its
Arrow types) and `checks`. `sdk` reads official SDK packages and compares the catalog with them; `scaffold` proposes
files from one; `ddl` describes the tables to SQL engines and dbt.
"""

from __future__ import annotations

from crawler.catalog.loader import load_catalog, product_keys, schemas_folder
from crawler.catalog.model import Catalog

__all__ = ["Catalog", "load_catalog", "product_keys", "schemas_folder"]
