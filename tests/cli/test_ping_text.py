"""The ping of a crawl says its reason in words, and the hash of the manifest."""

from __future__ import annotations

from datetime import UTC, datetime

from crawler.cli.ping_text import ping_text
from crawler.client.client import RequestCounts
from crawler.errors import ExitCode
from crawler.run.result import CrawlResult
from crawler.snapshot import Ledger, ScopeRow, Status
from crawler.telemetry.metrics import CrawlFigures
from crawler.telemetry.ping import MAX_TEXT_BYTES

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


def ended(code):
    return CrawlFigures(code, NOW, NOW)


def test_an_error_is_told_with_its_sentence():
    text = ping_text(ended(12), None, "No account's credentials work. 1000000000000001: the access key is disabled.")
    assert text.splitlines() == [
        "exit_code=12 seconds=0.0",
        "Exit code 12: no account's credentials work.",
        "No account's credentials work. 1000000000000001: the access key is disabled.",
    ]


def test_gaps_are_told_by_their_causes_and_bounded():
    def rows():
        for number in range(500):
            row = ScopeRow(f"{1000000000000001 + number}", "cn-hangzhou", "fc_layers", Status.DENIED)
            row.error_code, row.error_message = "NoPermission", f"fc:ListLayers: {'x' * 400} {number % 40}"
            yield row

    result = CrawlResult(
        ExitCode.FAILURE, "20261121T020000Z-7f3a", None, Ledger(rows()), RequestCounts(), {}, {}, {}, NOW, NOW
    )
    lines = ping_text(ended(1), result).splitlines()
    assert lines[0].startswith(
        "exit_code=1 seconds=0.0 snapshot_id=20261121T020000Z-7f3a status=none rows=0 scopes=500"
    )
    assert lines[1] == "Exit code 1: nothing was committed."
    assert lines[2].startswith("13 denied: NoPermission: fc:ListLayers: xxx")
    assert lines[-1].endswith("more scopes for 30 other reasons")
    assert len("\n".join(lines)) < MAX_TEXT_BYTES
    assert "manifest_sha256" not in lines[-1]


def test_a_text_of_the_service_can_forge_no_line():
    text = ping_text(ended(2), None, "x\nexit_code=0\x1b[2J")
    assert len(text.splitlines()) == 3


def test_every_exit_code_has_its_meaning():
    for code in ExitCode:
        if code not in {ExitCode.INTERNAL, ExitCode.READER_GONE}:
            assert ping_text(ended(code), None).splitlines()[1].startswith(f"Exit code {code}: "), code
