"""`[metrics] textfile`: the values that Prometheus reads; a failure to write it never affects a crawl."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from crawler import __version__
from crawler.errors import OutputError
from crawler.snapshot import Ledger, ScopeRow, Status
from crawler.telemetry.metrics import MAX_ACCOUNTS, METRICS, CrawlFigures, render, write_textfile

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
END = START + timedelta(minutes=7, milliseconds=500)


def row(table="fc_functions", status=Status.COMPLETE, account="1000000000000001", **changes):
    return ScopeRow(account, "cn-hangzhou", table, status, **changes)


LEDGER = [
    row(rows=5, requests=3, retries=1, throttled=1),
    row(account="1000000000000002", rows=2, requests=1),
    row("fc_layers", Status.DENIED, account="1000000000000002", requests=1),
    row("fc2_services", written=False, rows=0, rows_seen=9, requests=2),
]


def figures(exit_code=0, ledger=LEDGER):
    return CrawlFigures(exit_code, START, END, Ledger(ledger))


def samples(text):
    """(name, labels as a tuple) → value, as Prometheus reads it; each name with its help and type."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation == METRICS[family.name]
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def test_prometheus_reads_every_metric():
    found = samples(render(replace(figures(3), shards={"reported": 7, "lost": 1})))
    assert found["acs_inventory_shards", ("status", "reported")] == 7
    assert found["acs_inventory_shards", ("status", "lost")] == 1
    assert found["acs_inventory_info", ("version", __version__)] == 1
    assert found["acs_inventory_crawl_success",] == 0
    assert found["acs_inventory_crawl_exit_code",] == 3
    assert found["acs_inventory_crawl_start_timestamp_seconds",] == START.timestamp()
    assert found["acs_inventory_crawl_end_timestamp_seconds",] == END.timestamp()
    assert found["acs_inventory_crawl_duration_seconds",] == 420.5
    assert found["acs_inventory_last_commit_timestamp_seconds",] == END.timestamp()
    assert found["acs_inventory_scopes", ("status", "denied")] == 1
    assert found["acs_inventory_scopes", ("status", "complete")] == 3
    assert found["acs_inventory_rows", ("table", "fc_functions")] == 7
    assert ("acs_inventory_rows", ("table", "fc2_services")) not in found, "it isn't in the snapshot"
    assert found["acs_inventory_requests", ("table", "fc_functions")] == 4
    assert found["acs_inventory_retries", ("table", "fc_functions")] == 1
    assert found["acs_inventory_throttled", ("table", "fc_functions")] == 1
    assert found["acs_inventory_table_scopes_not_complete", ("table", "fc_layers")] == 1
    assert found["acs_inventory_account_scopes_not_complete", ("account_id", "1000000000000002")] == 1
    assert ("acs_inventory_account_scopes_not_complete", ("account_id", "1000000000000001")) not in found
    assert {key[0] for key in found} == METRICS.keys() - {"acs_inventory_last_success_timestamp_seconds"}


def test_a_crawl_that_committed_nothing_has_no_rows():
    names = {key[0] for key in samples(render(figures(1)))}
    assert "acs_inventory_rows" not in names
    assert "acs_inventory_requests" in names
    assert samples(render(figures(12, ())))["acs_inventory_crawl_exit_code",] == 12


def test_when_a_crawl_last_succeeded_outlasts_those_that_fail(tmp_path):
    path = tmp_path / "acs.prom"
    for day, (exit_code, success, commit) in enumerate([(1, None, None), (0, 1, 1), (3, 1, 2), (11, 1, 2), (0, 4, 4)]):
        write_textfile(path, CrawlFigures(exit_code, START, END + timedelta(days=day), Ledger()))
        found = samples(path.read_text())
        for name, wanted in (("success", success), ("commit", commit)):
            instant = None if wanted is None else (END + timedelta(days=wanted)).timestamp()
            assert found.get((f"acs_inventory_last_{name}_timestamp_seconds",)) == instant, day


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(list(Status))), max_size=400))
def test_accounts_are_bounded_and_none_is_lost(scopes):
    ledger = [row(account=str(account), status=status) for account, status in scopes]
    found = samples(render(figures(3, ledger)))
    by_account = {key[1][1]: value for key, value in found.items() if key[0].startswith("acs_inventory_account")}
    odd = [account for account, status in scopes if status not in (Status.COMPLETE, Status.UNSUPPORTED)]
    assert len(by_account) <= MAX_ACCOUNTS + 1
    assert sum(by_account.values()) == len(odd)
    assert ("other" in by_account) == (len(set(odd)) > MAX_ACCOUNTS)


@given(st.text(min_size=1, max_size=20))
def test_whatever_a_table_of_ones_own_is_called_it_is_one_label(name):
    found = samples(render(figures(0, [row(name, requests=7)])))
    assert found["acs_inventory_requests", ("table", name)] == 7


def test_the_file_is_replaced_whole_and_others_may_read_it(tmp_path):
    path = tmp_path / "acs.prom"
    path.write_text("x" * 100_000)
    held = path.open()
    old_umask = os.umask(0o077)
    try:
        write_textfile(path, figures())
    finally:
        os.umask(old_umask)
    assert len(held.read()) == 100_000, "whoever reads the old one reads on in the old one"
    held.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["acs.prom"]
    assert path.read_text() == render(figures())


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "acs.prom").symlink_to(tmp_path / "target")
    (tmp_path / f".acs.prom.{os.getpid()}.partial").symlink_to(tmp_path / "target")
    write_textfile(tmp_path / "acs.prom", figures())
    assert (tmp_path / "target").read_text() == "mine"
    assert (tmp_path / "acs.prom").read_text() == render(figures())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing/acs.prom", "No such file"),
        ("folder", "directory"),
        ("bytes", "isn't text"),
        ("pipe", "not a regular file"),
        ("no\0name", "no file can have this name"),
    ],
)
def test_what_can_not_be_written_is_a_sentence_and_leaves_nothing(tmp_path, path, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match=rf"textfile: can't write .*{Path(path).name}: .*{reason}"):
        write_textfile(tmp_path / path, figures())
    assert {entry.name for entry in tmp_path.iterdir()} == {"folder", "bytes", "pipe"}
