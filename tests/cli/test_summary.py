"""The last line of the log is the summary: bounded, whatever the crawl met, and there for every exit code."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime

import pytest

from crawler.cli.crawl_summary import summarize
from crawler.cli.summary_bounds import MAX_LINE_BYTES, MAX_SCOPES, fit_line, with_few_scopes
from crawler.client.client import RequestCounts
from crawler.errors import ExitCode
from crawler.run.result import CrawlResult
from crawler.snapshot import Ledger, ScopeRow, Status
from crawler.snapshot.causes import MOST_CAUSES, Causes
from crawler.snapshot.manifest import SkippedMember
from tests.support.commands import acs_inventory, emulated

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
PRODUCTS = ("fc", "fc2", "opensearch")
TABLES = [f"{PRODUCTS[n % 3]}_table_with_a_long_name_{n:02}" for n in range(53)]


def denied(accounts, regions, tables=53):
    """The rows of a cloud in which each account is denied every action: a message for each table, as the service's."""
    for table in TABLES[:tables]:
        for number in range(accounts):
            account = f"{1_000_000_000_000_001 + number}"
            for region in range(regions):
                row = ScopeRow(account, f"cn-region-{region:02}", table, Status.DENIED)
                row.error_code = "NoPermission"
                row.error_message = f"fc:List{table}: user of {account} in cn-region-{region:02} isn't allowed"
                yield row


def result_of(ledger, **more):
    return CrawlResult(
        ExitCode.FAILURE, "20261121T020000Z-7f3a", None, ledger, RequestCounts(), {}, {}, {}, NOW, NOW, **more
    )


def line_of(result):
    return fit_line({"event": "summary", "command": "crawl", **with_few_scopes(summarize(result, "/data/out"))})


def size(value):
    return len(json.dumps(value, separators=(",", ":")))


def test_the_summary_of_ten_thousand_denied_accounts_is_a_short_line():
    """A sample of 10,000 accounts × 25 regions × 53 tables: every account in one table, every table in some."""
    ledger = Ledger(denied(10_000, 1, tables=2))
    for row in denied(40, 25):
        ledger.append(row)
    line = line_of(result_of(ledger))
    assert size(line) < 16 * 1024
    assert len(line["scopes"]["not_complete"]) <= MAX_SCOPES
    assert sum(group["scopes"] for group in line["scopes"]["groups"]) == line["scopes"]["not_complete_total"]
    assert max(group["accounts"] for group in line["scopes"]["groups"]) == 10_000
    assert line["scopes"]["total"] == 10_000 * 2 + 40 * 25 * 53


def test_one_denied_account_is_one_group_whatever_its_tables_say():
    line = line_of(result_of(Ledger(denied(1, 3))))
    [group] = line["scopes"]["groups"]
    assert (group["scopes"], group["accounts"], group["regions"], group["tables"]) == (159, 1, 3, 53)
    assert (group["messages"], group["account_ids"]) == (53, ["1000000000000001"])
    assert "<account>" in group["message"]


def test_a_service_with_a_text_for_each_scope_fills_no_memory():
    def rows():
        for number in range(3 * MOST_CAUSES):
            row = ScopeRow("1000000000000001", "cn-hangzhou", TABLES[0], Status.FAILED)
            row.error_code, row.error_message = f"Code{number}", f"{number} " + "x" * 480
            yield row

    tracemalloc.start()
    causes = list(Causes(rows()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(cause.scopes for cause in causes) == 3 * MOST_CAUSES
    assert len(causes) <= 2 * MOST_CAUSES + 1
    assert peak < 16 * 1024 * 1024
    assert size(line_of(result_of(Ledger(rows())))) < 16 * 1024


@pytest.mark.parametrize("text", ["x", "\u4e2d", "\U0001f600", '"', "\x00"])
def test_no_list_of_the_summary_is_without_a_bound(text):
    fields = {f"table_{n}": {f"{text}{n}" * 20: n for n in range(40)} for n in range(100)}
    skipped = tuple(SkippedMember(str(n), text * 200, "is being deleted") for n in range(5000))
    result = result_of(Ledger(denied(30, 5)), warnings=tuple(text * 900 + str(n) for n in range(200)), left_out=skipped)
    value = {**summarize(result, "/data/out"), "unknown_fields": fields, "misfit_fields": fields}
    line = fit_line(with_few_scopes(value))
    assert size(line) <= MAX_LINE_BYTES + 200
    assert line["omitted"]["left_out"] > 0
    assert line["scopes"]["groups"], "the groups are shortened last"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--nonsense"], 2),
        (["--config", "missing.toml"], 2),
        (["--region", "xx-nowhere"], 2),
    ],
)
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_json_prints_an_object_whatever_the_exit_code(tmp_path, arguments, code, log_format):
    found, out, err = acs_inventory("--log-format", log_format, "crawl", "--json", *arguments, cwd=tmp_path)
    value = json.loads(out)
    assert (found, value["exit_code"], value["status"]) == (code, code, "none")
    if log_format == "json":
        assert json.loads(err.splitlines()[-1])["exit_code"] == code
        assert value["error"]


def test_a_cloud_that_is_out_of_reach_is_exit_13_with_the_host_in_stdout_and_log(tmp_path):
    faults = '[[rules]]\nproduct = "sts"\neffect = "refuse"\n'
    with emulated(tmp_path, faults, ["--accounts", "2"]) as config:
        config.write_text(config.read_text() + "\n[retry]\nmax_attempts = 1\n")
        options = ["--config", config, "--json", "--log-format", "json", "--table", "fc_layers"]
        code, out, err = acs_inventory("crawl", *options, cwd=tmp_path)
    value, last = json.loads(out), json.loads(err.splitlines()[-1])
    assert (code, value["exit_code"], last["exit_code"], last["event"]) == (13, 13, 13, "summary")
    assert "The connection to 127.0.0.1:" in value["error"]


def test_the_demo_ends_with_its_summary_too(tmp_path):
    """Its second night is the last one."""
    code, _, err = acs_inventory("demo", "--nights", "2", "--log-format", "json", "--output", "d", cwd=tmp_path)
    lines = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert [line["event"] for line in lines].count("summary") == 2
    assert (lines[-1]["event"], lines[-1]["command"], lines[-1]["status"]) == ("summary", "demo", "partial")
    assert len(err.splitlines()[-1]) < 16 * 1024


def test_denied_scopes_are_a_line_of_the_log_for_each_cause(tmp_path):
    faults = '[[rules]]\nproduct = "fc"\neffect = "deny"\n'
    with emulated(tmp_path, faults, ["--accounts", "2"]) as config:
        options = ["--config", config, "--json", "--log-format", "json", "--table", "fc_*"]
        code, out, err = acs_inventory("crawl", *options, cwd=tmp_path)
        detailed = acs_inventory("crawl", *options, "--log-level", "debug", cwd=tmp_path)[2]
    lines = [json.loads(line) for line in err.splitlines()]
    assert code == 1
    number = json.loads(out)["scopes"]["not_complete_total"]
    grouped = [line for line in lines if line["event"] == "scopes_not_complete"]
    assert 1 <= len(grouped) <= 20
    assert sum(line["scopes"] for line in grouped) == number > 20
    assert len(lines) < 40
    assert detailed.count('"scope_not_complete"') == number
    assert len(err.splitlines()[-1]) < 16 * 1024


def test_nothing_comes_after_the_summary_whatever_writes_to_stderr_at_the_end(tmp_path):
    """A library's thread, a destructor and C code may write until the process is gone."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, sys\natexit.register(lambda: (os.write(2, b'from C\\n'), print('late', file=sys.stderr)))\n"
    )
    with emulated(tmp_path, "", ["--accounts", "1"]) as config:
        options = ["--config", config, "--log-format", "json", "--table", "fc_layers"]
        import os
        import subprocess
        import sys

        from tests.support.commands import ENVIRON, ROOT

        environ = {**ENVIRON, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT))), "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-m", "crawler", "crawl", *map(str, options)],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    last = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, last["event"], last["exit_code"]) == (0, "summary", 0)
    assert len(last["manifest_sha256"]) == 64
