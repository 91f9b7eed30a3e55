"""An error after the result of a crawl or of a join is certain changes neither that nor the exit code."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import structlog
from structlog.testing import capture_logs

from crawler.cli.crawl import run_to_result
from crawler.cli.exit_state import Interrupted
from crawler.cli.options import CommonOptions
from crawler.client.client import RequestCounts
from crawler.errors import ExitCode, OutputError
from crawler.run.progress import CrawlMonitor
from crawler.run.result import CrawlResult
from crawler.snapshot import Ledger

ID = "20261121T020000Z-7f3a"
START = datetime(2026, 11, 21, 2, tzinfo=UTC)
RESULT = CrawlResult(ExitCode.SUCCESS, ID, None, Ledger(), RequestCounts(), {}, {}, {}, START, START)


def ended_by(error, *, is_committed, is_certain):
    """Run to an error; return the result, the snapshots that are noted, and the log."""
    common, monitor = CommonOptions(), CrawlMonitor()

    async def main():
        if is_committed:
            monitor.committed_id = ID
        if is_certain:
            monitor.finish(RESULT)
        raise error

    structlog.reset_defaults()  # the suite logs nothing below critical
    with capture_logs() as logs:
        try:
            found = run_to_result(main, lambda: monitor, common)
        except (OutputError, Interrupted) as raised:
            found = raised
    return found, common.exit_state.snapshot_ids, [entry["event"] for entry in logs]


@pytest.mark.parametrize(("error", "logged"), [(OutputError("x"), ["failed_after_commit"]), (Interrupted(15), [])])
def test_a_certain_result_stays_so(error, logged):
    assert ended_by(error, is_committed=True, is_certain=True) == (RESULT, [ID], logged)


@pytest.mark.parametrize("error", [OutputError("x"), Interrupted(15)])
def test_before_that_the_error_is_the_result(error):
    assert ended_by(error, is_committed=True, is_certain=False) == (error, [ID], [])
    assert ended_by(error, is_committed=False, is_certain=False) == (error, [], [])
