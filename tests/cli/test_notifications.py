"""Metrics, the ping and the log report the end of each crawl, agree with each other, and don't affect the crawl."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from crawler.cli import notifications
from crawler.cli import signals as stopping
from crawler.cli.emulate import write_config
from crawler.cli.exit_state import ExitState, Interrupted
from crawler.cli.notifications import crawl_and_notify
from crawler.cli.options import CommandError
from crawler.cli.signals import CrawlSignals
from crawler.config import parse_config
from crawler.emulator import Deny, serve
from crawler.errors import ConfigError, CredentialsError, OutputBusyError, OutputError
from crawler.telemetry import logs as log
from tests.support import command_server
from tests.support.crawl_runner import BIG, fast_cloud
from tests.support.ping_server import SECRET, watchdog
from tests.support.snapshot_fakes import manifest_ids

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


def notify(folder, error):
    """Report the end of a crawl that raises the error."""

    def crawl():
        raise error

    state = ExitState(is_crawl=True)
    crawl_and_notify(config_in(folder), state, CrawlSignals(state), crawl)


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
        notify(tmp_path, error)
    found = samples(tmp_path / "acs.prom")
    assert found["acs_inventory_crawl_exit_code",] == code
    assert found["acs_inventory_crawl_success",] == 0


def test_where_spans_can_not_be_sent_the_log_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "jaeger")
    stream = io.StringIO()
    log.configure("json", "info", stream)
    with pytest.raises(ConfigError):
        notify(tmp_path, ConfigError("x"))
    structlog.reset_defaults()
    assert json.loads(stream.getvalue())["event"] == "spans_not_sent"


@pytest.fixture
def crawl_signals(monkeypatch):
    """The signals of a crawl that has ended with 3. The timer that would end this process is recorded instead."""
    ends = []
    monkeypatch.setattr(stopping, "_exit_after", lambda seconds, code: ends.append(code))
    monkeypatch.setattr(stopping.os, "_exit", ends.append)
    state = ExitState(is_crawl=True)
    signals = CrawlSignals(state)
    signals.ends = ends
    return state, signals


def test_a_notice_that_never_ends_is_given_up(monkeypatch, crawl_signals):
    """F62: bounded in time, without a signal."""
    state, signals = crawl_signals
    release = threading.Event()
    started = time.monotonic()
    hanging = notifications.Notice("metrics_not_written", lambda: str(release.wait(60)), 0.2)
    assert notifications.send_bounded(hanging, state, signals) == "not done after 0.2 s"
    assert time.monotonic() - started < 5
    assert state.left_running, "Python must not wait for it at its end"
    release.set()


def test_a_signal_after_the_crawl_shortens_the_notices_and_changes_no_code(monkeypatch, crawl_signals):
    """F62: P17."""
    monkeypatch.setattr(stopping, "_STEP_S", 0.2)
    state, signals = crawl_signals
    signals.decide(3)
    release = threading.Event()
    hanging = notifications.Notice("ping_failed", lambda: str(release.wait(60)), 60)
    threading.Timer(0.1, signals.receive, [15]).start()
    assert notifications.send_bounded(hanging, state, signals) == "given up because of a signal"
    assert state.code_of(Interrupted(15)) == 3
    assert signals.ends == [3], "whatever blocks the process after that, its code is the crawl's"
    assert notifications.send_bounded(notifications.Notice("x", lambda: "", 60), state, signals) == ""
    signals.receive(2)
    assert signals.ends == [3, 3], "a second signal ends at once, with the code of what was done"
    release.set()


def test_a_second_signal_before_the_end_of_the_crawl_is_its_own_code(crawl_signals):
    _, signals = crawl_signals
    cancelled = []
    signals.cancel = lambda: cancelled.append(True)
    signals.receive(15)
    assert (cancelled, signals.ends) == ([True], [])
    signals.receive(2)
    assert signals.ends == [130]


def test_a_notice_that_breaks_is_a_reason(crawl_signals):
    """F62: whatever a report raises, the crawl's code stays."""

    def broken():
        raise ZeroDivisionError

    assert notifications.send_bounded(notifications.Notice("x", broken, 9), *crawl_signals) == "ZeroDivisionError"


def warnings_of(lines):
    """The lines of a JSON log about reports that failed; a crawl of one table also warns that it is a part."""
    return [line for line in lines[:-1] if line["level"] == "warning" and line["event"] != "warning"]


@contextmanager
def deaf():
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("waiting", "number"),
    [
        ("spans", signal.SIGTERM),
        ("ping", signal.SIGHUP),
        pytest.param("spans", signal.SIGINT, marks=pytest.mark.trust),
        pytest.param("ping", signal.SIGTERM, marks=pytest.mark.trust),
        pytest.param("ping", signal.SIGINT, marks=pytest.mark.trust),
    ],
)
def test_a_signal_while_a_notice_waits_leaves_the_summary_and_the_code(served, tmp_path, waiting, number):
    """F62: the snapshot is committed; the last line is its summary."""
    text, environ = write_config(served, str(tmp_path / "out"), rate=5000, burst=1000)
    with deaf() as url, open(os.devnull) as nothing, open(tmp_path / "said", "w+") as said:
        more = f'\n[ping]\nurl = "{url}/u"\n' if waiting == "ping" else ""
        environ |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url} if waiting == "spans" else {}
        (tmp_path / "config.toml").write_text(text + more)
        (tmp_path / "config.toml").chmod(0o600)
        command = ["crawl", "--config", "config.toml", "--table", "fc_layers", "--log-format", "json"]
        files = (nothing.fileno(), os.open(os.devnull, os.O_WRONLY), said.fileno())
        with command_server.start(command, cwd=tmp_path, env={**os.environ, **environ}, files=files) as child:
            deadline = time.monotonic() + 30
            while not manifest_ids(tmp_path / "out"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            time.sleep(0.3)
            child.send_signal(number)
            assert child.wait(30) == 0
        os.close(files[1])
        lines = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert (lines[-1]["event"], lines[-1]["exit_code"], lines[-1]["status"]) == ("summary", 0, "complete")
    [warned] = warnings_of(lines)
    assert warned["event"] == {"ping": "ping_failed", "spans": "spans_not_sent"}[waiting]
    assert warned["reason"] == "given up because of a signal"


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_TRACES_EXPORTER": "console"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense"},
        {"OTEL_TRACES_EXPORTER": "jaeger"},
    ],
    ids=str,
)
def test_every_line_is_json_and_the_code_the_crawls_whatever_spans_do(served, tmp_path, environ):
    """F65, F62."""
    text, names = write_config(served, str(tmp_path / "out"), rate=5000, burst=1000)
    (tmp_path / "config.toml").write_text(text)
    command = ["crawl", "--config", "config.toml", "--table", "fc_layers", "--log-format", "json", "--quiet"]
    done = command_server.run(
        [*command, "--log-level", "warning"], cwd=tmp_path, env={**os.environ, **names, **environ}
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, lines[-1]["event"]) == (0, "summary")
    events = {line["event"] for line in lines[:-1]} - {"warning"}
    metrics = {"metrics_not_sent"} if "OTEL_EXPORTER_OTLP_ENDPOINT" in environ else set()
    assert events == ({"span"} if "console" in environ.values() else {"spans_not_sent"} | metrics)


@pytest.mark.parametrize("kind", ["pipe", "folder", "missing"])
def test_metrics_that_can_not_be_written_are_a_warning(served, tmp_path, kind):
    """F62."""
    path = tmp_path / "acs.prom"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with watchdog(200) as (url, _):
        code, _, lines = crawl(
            served, tmp_path, url, "--log-format", "json", textfile="no/x" if kind == "missing" else "acs.prom"
        )
    said = [json.loads(line) for line in lines]
    assert code == 0
    assert [line["event"] for line in warnings_of(said)] == ["metrics_not_written"]
    assert kind != "pipe" or path.is_fifo(), "a pipe isn't replaced"


def test_a_configuration_that_cannot_be_loaded_is_told_too(served, tmp_path):
    """By the ping, with the sentence, and by the metrics: those of the night before would say that all is well."""
    with watchdog(200) as (url, calls):
        assert crawl(served, tmp_path, url)[0] == 0
        text = (tmp_path / "config.toml").read_text()
        (tmp_path / "config.toml").write_text(text.replace("${EMULATOR_KEY_SECRET_1}", "${UNSET_SECRET}"))
        environ = {**os.environ, "PING_URL": url}
        done = command_server.run(["crawl", "--config", "config.toml", "--json"], cwd=tmp_path, env=environ)
    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert calls[-1][0] == f"/{SECRET}/fail"
    assert "needs the environment variable" in calls[-1][1]
    assert samples(tmp_path / "acs.prom")["acs_inventory_crawl_exit_code",] == 2
    assert SECRET not in done.stdout + done.stderr


def test_the_ping_says_why_and_has_the_hash_of_the_manifest(served, tmp_path):
    served.cloud.faults.add(Deny(), action="ListLayers", region="cn-shanghai")
    try:
        with watchdog(200) as (url, calls):
            _, out, _ = crawl(served, tmp_path, url)
    finally:
        served.cloud.faults.rules.clear()
    lines = calls[-1][1].splitlines()
    assert lines[1] == "Exit code 3: committed, but some scopes are not complete."
    assert lines[2].startswith("1 denied: AccessDenied: ")
    assert lines[2].endswith(f"({BIG}, cn-shanghai, fc_layers)")
    summary = json.loads(out)
    assert lines[-1] == f"manifest_sha256={summary['manifest_sha256']}"
    name = f"{summary['snapshot_id']}.json.sha256"
    assert (tmp_path / "out/_snapshots" / name).read_text().split()[0] == summary["manifest_sha256"]
