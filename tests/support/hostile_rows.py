"""Rows that are dangerous in a spreadsheet or on a terminal, and a snapshot with them."""

from __future__ import annotations

from datetime import UTC, datetime

from crawler.snapshot import Status
from tests.support.written_snapshots import ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, write

MOMENT = datetime(2026, 11, 20, 1, 2, 3, 4, tzinfo=UTC)

# Texts that a spreadsheet runs, some of them after it has skipped the characters before.
FORMULAS = [
    "=1+1",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+9)",
    "  =1+1",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\tplain",
    " \n plain",
    '"=1+1"',
    "'=1+1",
    "“=1+1”",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
    "﹦1",
    "\N{MINUS SIGN}1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\u202e=1+1",
    "\xa0=1+1",
    "\x0b=1+1",
    "\x01=1+1",
    "\x1f=1+1",
    "-",
    "=",
]
HARMLESS = [
    "",
    " ",
    "plain",
    "1-1",
    "a=b",
    "1e5",
    "(=1)",
    "订单同步",
    "#REF",
    "{}",
    "  spaces around  ",
    "a\nb,c;d\te",
    'say "hi"',
    "\x1b[31mred\x1b[0m",
    "\u202egnirts",
    "\x00\x07\x9b",
    "_x0041_",
    "\ufffe\uffff",
    "<script>alert(1)</script>",
    "0123",
    "1000000000000001",
]
TEXTS = [*FORMULAS, *HARMLESS, None]


def hostile_functions():
    """Return one function per text, with the text as its description and in nested values."""
    return [
        {
            # In the order in which the parts are read.
            "account_id": OTHER_ACCOUNT if place >= 30 else ACCOUNT,
            "region_id": OTHER_REGION if 20 <= place < 30 or place >= 40 else "cn-hangzhou",
            "fetched_at": MOMENT,
            "function_name": f"f{place:02}",
            "description": text,
            "memory_size": -place,
            "cpu": place / 3,
            "internet_access": place % 2 == 0 if place % 3 else None,
            "code_size": 2**53 + place,
            "created_time": MOMENT if place % 2 else None,
            "environment_variables": [("=KEY", "hmac:00"), (text or "", None)] if place % 2 else None,
            "vpc_config": {"vpc_id": text, "v_switch_ids": [text, "b"]} if place % 3 else None,
            "layers": [],
            "_extra": None,
        }
        for place, text in enumerate(TEXTS)
    ]


def hostile_snapshot(root, **options):
    """Return a snapshot with hostile functions in several parts, an empty table, and a denied one."""
    tables = {"fc_functions": hostile_functions(), "fc_layers": []}
    return write(root, tables, {"fc_aliases": Status.DENIED}, part_rows=10, **options)
