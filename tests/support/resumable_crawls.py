"""Crawls with a journal whose scopes get parts while they go on, and what another crawl makes of what they leave."""

from __future__ import annotations

import re

import anyio
import anyio.lowlevel
import pyarrow.parquet as pq

from crawler.errors import ConfigError
from crawler.snapshot import FolderDestination, SnapshotWriter, read_manifest
from crawler.snapshot.verify import verify_all
from tests.support.snapshot_fakes import (
    ACCOUNT,
    OTHER,
    SCHEMAS,
    START,
    Crash,
    begin,
    die,
    draft,
    ledger_row,
    staging_names,
    table_files,
    write_names,
)

PLAN, FAMILIES = "ab" * 32, dict.fromkeys(SCHEMAS, ())
HERE, THERE, LONG = (ACCOUNT, "cn-hangzhou"), (OTHER, "cn-shanghai"), (OTHER, "cn-beijing")
# With bounds of one byte, scopes get parts of their own while the crawl goes on, and rows wait in the journal.
LIMITS = {"memory_bytes": 1, "part_bytes": 1}
SCOPES = {
    ("fc_functions", *HERE): [["f1", "f2"]],
    ("fc_functions", *LONG): [["m1"], ["m2"], ["m3"], ["m4"], ["m5"]],
    ("opensearch_apps", *HERE): [],
    ("fc_functions", *THERE): [["f3"]],
    ("opensearch_apps", *THERE): [["a1"]],
}
NAMES = sorted((*scope, name) for scope, pages in SCOPES.items() for names in pages for name in names)


async def write(writer, reused=(), on_flush=lambda scopes: None, ledger=None):
    """Write the scopes that aren't reused; return the ledger of all. The third is flushed with the one after it.

    After each flush `on_flush` is called with the number of the crawl's scopes so far. If this is cancelled, `ledger`
    has the scopes that were kept.
    """
    ledger = [] if ledger is None else ledger
    ledger += [entry.row for entry in reused]
    for scope, pages in SCOPES.items():
        if scope in {entry.scope for entry in reused}:
            continue
        _, account, region = scope
        rows = sum(map(len, pages))
        written = writer.scope(*scope, has_one_list=True)
        reading = written.list()
        try:
            for names in pages:
                await write_names(reading, names, account=account, region=region, snapshot=writer.snapshot_id)
                await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await written.drop()
            raise
        reading.finish()
        written.keep()
        ledger.append(ledger_row(*scope, rows=rows, rows_seen=rows))
        writer.note(ledger[-1], {}, {}, {})
        if pages:
            await writer.flush()
            on_flush(len(ledger))
            await writer.write_due_parts()
    return ledger


async def resumed(root, disk=None):
    """Resume the crawl, or begin a new one if there is none. Return the number of scopes that were reused.

    -1: the snapshot was whole, and is in place now.
    """
    try:
        destination = await FolderDestination.resume(root, START, disk=disk)
    except ConfigError as error:
        if re.search("was whole already|has no unfinished crawl", str(error)) and (root / "_snapshots/LATEST").exists():
            return -1
        writer = await begin(root, **LIMITS)
        assert await writer.open_journal(PLAN, {}, FAMILIES) == []
        await writer.commit(draft(), await write(writer))
        return 0
    writer = SnapshotWriter(destination, SCHEMAS, **LIMITS)
    try:
        reused = await writer.open_journal(PLAN, {}, FAMILIES)
        await writer.commit(draft(), await write(writer, reused))
    except Crash:
        die(writer)
        raise
    return len(reused)


def assert_same_rows(root, where, names=NAMES):
    """Check that the snapshot is whole, with the rows of an uninterrupted crawl, and that nothing else is left."""
    [verdict], loose = verify_all(root)
    assert (verdict.is_whole, loose, staging_names(root)) == (True, [], []), where
    manifest = read_manifest(root, verdict.snapshot_id)
    assert table_files(root).keys() == {file.path for entry in manifest.tables.values() for file in entry.files}, where
    found = []
    for table, entry in manifest.tables.items():
        for file in entry.files:
            rows = pq.read_table(root / file.path, columns=["account_id", "region_id", "name"]).to_pylist()
            places = [(row["account_id"], row["region_id"]) for row in rows]
            assert places == sorted(places), where
            found += [(table, *row.values()) for row in rows]
    assert sorted(found) == names, where
