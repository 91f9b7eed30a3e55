"""The figures of a crawl, for traces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crawler.snapshot import Ledger, ScopeRow, Status
from crawler.telemetry.metrics import CrawlFigures

START = datetime(2026, 11, 22, 2, 0, 0, 123456, tzinfo=UTC)
END = START + timedelta(minutes=5)
SNAPSHOT = "20261122T020000Z-7f3a"


def row(table="fc_functions", status=Status.COMPLETE, **changes):
    times = {"started_at": START + timedelta(seconds=1), "finished_at": START + timedelta(seconds=3)}
    return ScopeRow("1000000000000001", "cn-hangzhou", table, status, **(times | changes))


def figures(ledger, exit_code=0):
    return CrawlFigures(exit_code, START, END, Ledger(ledger))
