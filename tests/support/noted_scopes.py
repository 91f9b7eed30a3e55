"""Scopes of a crawl that are written and noted in its journal, for those that take them over."""

from __future__ import annotations

import zlib

from crawler.snapshot import ChildList
from tests.support.snapshot_fakes import ACCOUNT, OTHER, ledger_row, write_names

PLAN = "ab" * 32
CONDITIONS = {"[output] secrets": "fingerprint", "[crawl] details": ""}
# fc_functions hangs from opensearch_apps, for these tests.
FAMILIES = {"opensearch_apps": (), "fc_functions": ("opensearch_apps",)}
HERE, THERE = (ACCOUNT, "cn-hangzhou"), (OTHER, "cn-shanghai")
SCOPES = {
    ("opensearch_apps", *HERE): ["a1"],
    ("opensearch_apps", *THERE): [],
    ("fc_functions", *HERE): ["f1", "f2"],
    ("fc_functions", *THERE): ["f3"],
}
LISTS = [ChildList(("x",), False), ChildList(("y",), True)]


async def write(writer, scopes=SCOPES, noted=(), lists=LISTS):
    """Each scope that isn't noted yet, kept and noted; the ledger of all."""
    ledger = [record.row for record in noted]
    taken = {record.scope for record in noted}
    for key, names in scopes.items():
        if key in taken:
            continue
        scope = writer.scope(*key)
        reading = scope.list()
        if names:
            await write_names(reading, names, account=key[1], region=key[2], snapshot=writer.snapshot_id)
        reading.finish()
        scope.keep()
        row = ledger_row(*key, rows=len(names), rows_seen=len(names))
        ledger.append(row)
        below = {"fc_functions": lists} if key[0] == "opensearch_apps" else {}
        writer.note(row, {"a.b": 1} if names else {}, {}, below)
    await writer.flush()
    return ledger


async def note_long_list(writer):
    """Write and note a parent and a long list below it; the ledger and the names."""
    ledger = await write(writer, {("opensearch_apps", *HERE): ["a1"]})
    scope = writer.scope("fc_functions", *HERE, has_one_list=True)
    reading = scope.list()
    names = [f"{number:06}-{zlib.crc32(b'%d' % number):08x}" for number in range(9000)]
    for start in range(0, len(names), 500):
        await write_names(reading, names[start : start + 500])
        await writer.buffer.spill(reading.store)
    reading.finish()
    assert len(scope.store.parts) > 1
    scope.keep()
    row = ledger_row("fc_functions", *HERE, rows=len(names), rows_seen=len(names))
    writer.note(row, {}, {}, {})
    await writer.flush()
    return [*ledger, row], names
