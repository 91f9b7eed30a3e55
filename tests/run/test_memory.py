"""The memory that a scope keeps until its crawl ends: 100 bytes per scope are 100 MB for a million scopes."""

from __future__ import annotations

import gc
import sys

import anyio.to_thread

from crawler.config import parse_config
from crawler.normalizer import RowPage
from crawler.normalizer.fast import reader
from crawler.normalizer.pending import UndecodedPage
from crawler.run import connection
from crawler.run.run import crawl
from crawler.run.scheduler import Scheduler
from crawler.run.system import System
from crawler.snapshot.rows.scope_writer import ListWriter
from tests.support.crawl_runner import site
from tests.support.empty_cloud import EmptyCloud, configuration, empty_pages

TABLES = ("fc_functions", "fc_layers", "fc_custom_domains", "opensearch_app_groups")
# Rows of a table are packed this many at a time here, so that both sizes end with whole blocks.
BLOCK = 16
FEW, MANY = BLOCK, 5 * BLOCK


async def left_behind(accounts, folder, monkeypatch):
    """The memory blocks that all lists together leave allocated, the number of scopes, and the objects in cycles.

    The cloud has one region and no record; nothing is committed yet when the blocks are counted.
    """
    text = configuration(accounts, folder / "output", TABLES)
    found = []
    run = Scheduler.run

    async def measured(self, deadline_s):
        gc.collect()
        before = sys.getallocatedblocks()
        await run(self, deadline_s)
        await anyio.to_thread.run_sync(bool)  # the thread that wrote the last scopes holds them until its next call
        in_cycles = gc.collect()
        found.append((sys.getallocatedblocks() - before, len(self.ledger), in_cycles))

    with monkeypatch.context() as patched:
        patched.setattr(Scheduler, "run", measured)
        config = parse_config(text, source="test", environ={})
        result = await crawl(config, System(environ={}, home=folder))
    assert result.exit_code == 0
    return found[0]


async def test_a_scope_that_has_ended_leaves_next_to_nothing_and_no_cycles(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "Transport", EmptyCloud)
    monkeypatch.setattr(EmptyCloud, "pages", empty_pages(regions=1))
    monkeypatch.setattr("crawler.snapshot.ledger._BLOCK_ROWS", BLOCK)
    monkeypatch.setattr("crawler.client.request.MAX_CACHED_ENDPOINTS", 1)  # a cache, which is full at some size
    monkeypatch.setattr("crawler.normalizer.redaction._MOST_MADE", 1)  # another
    await left_behind(1, tmp_path / "first", monkeypatch)  # objects that a process makes once
    few, few_scopes, _ = await left_behind(FEW, tmp_path / "few", monkeypatch)
    many, many_scopes, in_cycles = await left_behind(MANY, tmp_path / "many", monkeypatch)
    assert (few_scopes, many_scopes) == (FEW * len(TABLES), MANY * len(TABLES))
    assert (many - few) / (many_scopes - few_scopes) < 2, "a row as an object is more than ten blocks"
    assert in_cycles < many_scopes / 4, "what is in cycles waits for the collector, which looks seldom"


async def test_a_page_that_waits_for_the_disk_is_held_as_bytes_alone(tmp_path, monkeypatch):
    """Its records take several times as much, and of the pages on their way all may have to wait."""
    monkeypatch.setattr(reader, "FAST_FROM_BYTES", 0)
    waiting = []
    write = ListWriter.write

    async def watched(self, page, keys, digests):
        waiting.extend(each for each in gc.get_objects() if type(each) is RowPage and each.rows is page)
        await write(self, page, keys, digests)

    monkeypatch.setattr(ListWriter, "write", watched)
    async with site(tmp_path) as found:
        result = await found.crawl(found.config(tables=["fc_functions"]))
        assert result.exit_code == 0
    assert len(waiting) > 1
    assert {type(page.rows) for page in waiting} == {UndecodedPage}
    assert {page.fast for page in waiting} == {None}
