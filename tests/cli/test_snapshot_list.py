"""The list of snapshots on narrow screens."""

from __future__ import annotations

import re

import pytest

from crawler.cli.snapshots import _print_list
from crawler.snapshot.manifest import CrawlSelection
from crawler.snapshot.reader import SnapshotSummary
from tests.support.terminals import on_screen

ENTRIES = [
    SnapshotSummary("20261121T020000Z-7f3a", "complete", rows=5_000_000, bytes=1_234_567, scopes=272, is_latest=True),
    SnapshotSummary(
        "20261120T020000Z-1c9e",
        "partial",
        rows=1_736,
        bytes=311_111,
        scopes=11_760,
        not_complete=11_172,
        selection=CrawlSelection(tables=["fc_functions", "fc_triggers"]),
    ),
    SnapshotSummary("20261119T020000Z-44b0", error="_snapshots/20261119T020000Z-44b0.json isn't a manifest: Input"),
]


@pytest.mark.parametrize(("width", "has_sizes"), [(60, True), (64, True), (80, False), (120, True), (None, True)])
def test_a_narrow_list_has_whole_ids_and_numbers(monkeypatch, width, has_sizes):
    out = on_screen(monkeypatch, width, lambda: _print_list(ENTRIES))
    assert max(map(len, out.splitlines())) <= (width or 200)
    records = re.split(r"\n(?=snapshot  |202)", out)
    for entry in ENTRIES:
        [record] = [found for found in records if entry.snapshot_id in found.splitlines()[0]]
        assert f" {entry.rows:,}" in record
        assert f" {entry.scopes - entry.not_complete:,}/{entry.scopes:,}" in record
    assert ("1.2 MB" in out) == has_sizes
    assert ("left out, since the terminal is too narrow: size\n" in out) == (not has_sizes)
