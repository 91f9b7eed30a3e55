"""The benchmark of ledgers: the merged ledger has every scope once, and each step runs in a process of its own."""

from __future__ import annotations

from benchmarks.ledgers import REGIONS, SHARDS, STEPS, measure, write_shards
from crawler.catalog import load_catalog
from crawler.snapshot import Status, StoredLedger


def test_all_steps_read_the_merged_ledger_of_all_shards(tmp_path):
    tables = len(load_catalog().operations)
    write_shards(tmp_path, SHARDS * REGIONS * tables)
    for step in STEPS:
        cpu_s, peak_mb = measure(tmp_path, step)
        assert cpu_s > 0
        assert peak_mb > 50
    ledger = StoredLedger((tmp_path / "merged").open("rb"), "merged")
    assert len({(row.table, row.account_id, row.region_id) for row in ledger}) == len(ledger) == 32 * REGIONS * tables
    assert 0 < ledger.by_status[Status.DENIED] < len(ledger) / 25
