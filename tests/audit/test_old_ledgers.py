"""The ledger of an early version has every column of `_scopes`, and its gaps are none of today's."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.audit.database import connect, open_snapshot
from crawler.audit.report.coverage import coverage_section
from crawler.audit.report.facts import count_inventory
from crawler.catalog import load_catalog
from crawler.snapshot.ledger import LEDGER_SCHEMA
from crawler.snapshot.reader import latest_snapshot_id

KEPT = Path(__file__).parent.parent / "fixtures/snapshots"


@pytest.fixture(params=sorted(path.name for path in KEPT.iterdir()))
def old(request):
    root = KEPT / request.param
    return open_snapshot(root, latest_snapshot_id(root))


def test_a_query_finds_all_columns_of_the_ledger(old):
    with connect(old) as connection:
        found = connection.execute("SELECT * FROM _scopes")
        assert {column[0] for column in found.description} == set(LEDGER_SCHEMA.names)
        rows = connection.execute(
            "SELECT DISTINCT account_name, accepted_reason, accepted_until, incomplete_since FROM _scopes"
        ).fetchall()
    assert rows == [("", "", "", None)]


def test_the_report_shows_accounts_by_id(old):
    catalog = load_catalog()
    page = coverage_section(old, count_inventory(old, catalog), catalog, 100)
    assert "Complete: all" in page
    assert "Accepted gaps" not in page
