"""Metrics, the ping and the log report the end of each crawl, agree with each other, and don't affect the crawl."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from crawler.cli.emulate import write_config
from crawler.cli.notifications import crawl_and_notify
from crawler.cli.options import CommandError, Interrupted
from crawler.config import parse_config
from crawler.emulator import Deny, serve
from crawler.errors import ConfigError, CredentialsError, OutputBusyError, OutputError
from crawler.telemetry import logs as log
from tests.support import command_server
from tests.support.crawl_runner import BIG, fast_cloud
from tests.support.ping_server import SECRET, watchdog

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served():
    """An emulated cloud, served for the tests."""
    cloud = fast_cloud(accounts=(BIG,))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(cloud)) as emulator,
    ):
        yield emulator


def crawl(served, folder, url, *more, textfile="acs.prom"):
    """One crawl of a small table in a process of its own: exit code, stdout and stderr's lines."""
    text, environ = write_config(served, str(folder / "out"), rate=5000, burst=1000)
    text += f'\n[metrics]\ntextfile = "{textfile}"\n[ping]\nurl = "${{PING_URL}}"\n'
    (folder / "config.toml").write_text(text)
    command = ["crawl", "--config", "config.toml", "--table", "fc_layers", "--json", *more]
    done = command_server.run(command, cwd=folder, env={**os.environ, **environ, "PING_URL": url})
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr.splitlines()


def samples(path):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_crawl_that_succeeds_is_told_to_all(served, tmp_path):
    with watchdog(200) as (url, calls):
        code, out, _ = crawl(served, tmp_path, url)
    summary = json.loads(out)
    assert code == 0
    assert [path for path, _ in calls] == [f"/{SECRET}/start", f"/{SECRET}"]
    assert "exit_code=0 seconds=" in calls[1][1]
    assert f"snapshot_id={summary['snapshot_id']} status=complete rows={summary['rows']}" in calls[1][1]
    found = samples(tmp_path / "acs.prom")
    assert found["acs_inventory_crawl_success",] == 1
    assert found["acs_inventory_rows", "fc_layers"] == summary["rows"]
    assert found["acs_inventory_requests", "fc_layers"] == summary["requests"] - sum(summary["overhead"].values())


def test_a_partial_crawl_fails_for_the_watchdog_and_says_how(served, tmp_path):
    served.cloud.faults.add(Deny(), action="ListLayers", region="cn-shanghai")
    try:
        with watchdog(200) as (url, calls):
            code, _, _ = crawl(served, tmp_path, url)
    finally:
        served.cloud.faults.rules.clear()
    assert code == 3
    assert calls[-1][0] == f"/{SECRET}/fail"
    assert "exit_code=3 " in calls[-1][1]
    assert "status=partial" in calls[-1][1]
    found = samples(tmp_path / "acs.prom")
    assert found["acs_inventory_crawl_exit_code",] == 3
    assert found["acs_inventory_account_scopes_not_complete", BIG] == 1


def test_nobody_to_be_told_is_a_warning_each_and_the_crawl_is_what_it_was(served, tmp_path):
    with watchdog(200) as (url, _):
        pass
    code, out, lines = crawl(served, tmp_path, url, "--log-format", "json", textfile="missing/acs.prom")
    assert code == json.loads(out)["exit_code"] == 0
    said = [json.loads(line) for line in lines]
    warned = [(line["event"], line.get("ping")) for line in said if line["level"] == "warning"]
    assert ("metrics_not_written", None) in warned
    assert ("ping_failed", "success") in warned
    assert said[-1]["event"] == "summary", "the summary is the last line whatever goes wrong"


def config_in(folder):
    text = f'[[accounts]]\nid = "{BIG}"\n[metrics]\ntextfile = "{folder}/acs.prom"\n'
    return parse_config(text, source="test.toml", environ={})


def failing(error):
    """A crawl that raises the error."""

    def crawl():
        raise error

    return crawl


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (OutputError("x"), 4),
        (OutputBusyError("x"), 11),
        (CredentialsError("x"), 12),
        (CommandError("x"), 1),
        (RuntimeError("x"), 1),
        (Interrupted(2), 130),
        (Interrupted(15), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_however_it_ends_the_exit_code_is_told(tmp_path, error, code):
    with pytest.raises(type(error)):
        crawl_and_notify(config_in(tmp_path), failing(error))
    found = samples(tmp_path / "acs.prom")
    assert found["acs_inventory_crawl_exit_code",] == code
    assert found["acs_inventory_crawl_success",] == 0


def test_where_spans_can_not_be_sent_the_log_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "jaeger")
    stream = io.StringIO()
    log.configure("json", "info", stream)
    with pytest.raises(ConfigError):
        crawl_and_notify(config_in(tmp_path), failing(ConfigError("x")))
    structlog.reset_defaults()
    assert json.loads(stream.getvalue())["event"] == "spans_not_sent"
