"""A product that doesn't exist, described by schema files, for tests of their features."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from crawler.catalog import load_catalog
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.redaction import Redaction

KEY = b"k" * 32
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
FINGERPRINTS = Redaction("fingerprint", "fingerprint", KEY)

PRODUCT = """
product = "shop"
version = "2020-01-01"
prefix = "shop_"
style = "ROA"
endpoint = "https://shop.{region}.aliyuncs.com"
[endpoints]
cn-hangzhou = "shop.cn-hangzhou.aliyuncs.com"
"""
CARTS = """
source = "https://www.alibabacloud.com/help/en/shop/listcarts"
checked = 2026-11-22
[operation]
action = "ListCarts"
path = "/carts"
records = "RECORDS"
ram = "shop:ListCarts"
OPERATION
[paging]
PAGING
[table]
name = "shop_carts"
title = "Carts"
key = [KEY]
[columns]
COLUMNS
"""


def carts(folder, columns, *, operation="", key='"id"', more="", records="carts", paging='style = "none"'):
    """Return the operation of a schema file with these parts, loaded from a user's folder."""
    root = folder / "shop" / "2020-01-01"
    root.mkdir(parents=True, exist_ok=True)
    (root / "product.toml").write_text(PRODUCT)
    parts = {"OPERATION": operation, "KEY": key, "COLUMNS": columns, "RECORDS": records, "PAGING": paging}
    text = CARTS
    for name, part in parts.items():
        text = text.replace(name, part)
    text += more
    (root / "carts.toml").write_text(text)
    return load_catalog([folder]).operations["shop_carts"]


def read(operation, records, redaction=FINGERPRINTS, details=()):
    """Read one page of these records, or of a whole response given as a dictionary or as bytes."""
    body = records if isinstance(records, bytes) else json.dumps(_answer(records)).encode()
    parameters = dict.fromkeys(operation.parameters, "p")
    context = RowContext("1000000000000001", "cn-hangzhou", NOW, parameters)
    page = Normalizer(operation, redaction, "snapshot-1").read(body, context, details)
    assert page.batch.schema.equals(operation.schema, check_metadata=True)
    page.batch.validate(full=True)
    return page


def _answer(records):
    return {"carts": records} if isinstance(records, list) else records


def rows(page):
    return page.batch.to_pylist(maps_as_pydicts="strict")


def extra(row):
    return None if row["_extra"] is None else json.loads(row["_extra"])
