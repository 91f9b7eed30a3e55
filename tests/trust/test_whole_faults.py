"""Faults that only a whole crawl shows: their cost, their messages, and their end."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.catalog import load_catalog
from crawler.cli.emulate import write_config
from crawler.cli.main import whole_command
from crawler.clock import SystemClock
from crawler.emulator import CloudSpec, Error, Throttle
from crawler.errors import CatalogError, ConfigError, CredentialsError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.redaction import Redaction
from crawler.telemetry import logs as log
from tests.support.crawl_runner import BIG, FAST, SMALL, fast_cloud, scope_statuses, site

ROOT = Path(__file__).parents[2]
OPERATIONS = load_catalog().operations
QUICK = "\n[retry]\nmax_delay = 0.01\n"
ONE = {"tables": '["fc_functions"]', "regions": '["cn-shanghai"]'}


def crawl(folder, *, cloud=None, prepare=None, more=QUICK, change=str, meanwhile=None, **crawl):
    """One crawl: the site and the result. `meanwhile` runs at the same time."""

    async def main():
        async with site(folder, cloud) as here:
            if prepare is not None:
                prepare(here.cloud)
            config = here.config(more, change=change, **{**ONE, **crawl})
            beside = asyncio.create_task(meanwhile(here.cloud)) if meanwhile else None
            try:
                return here, await here.crawl(config)
            finally:
                if beside is not None:
                    beside.cancel()

    return anyio.run(main)


def attempts(here, account):
    """How many requests for lists an account got."""
    return sum(entry.account == account and entry.action.startswith("List") for entry in here.cloud.requests.entries)


def test_an_account_that_is_throttled_all_the_time_ends_and_the_others_are_complete(tmp_path):
    """F05, P8: at most 8 attempts per list and 100 retries per key; the reason is the service's code."""

    def prepare(cloud):
        for product in ("fc", "fc-open", "opensearch"):
            cloud.faults.add(Throttle(retry_after_ms=1), account=SMALL, product=product)

    here, result = crawl(
        tmp_path,
        prepare=prepare,
        tables='["fc_functions", "fc2_services", "opensearch_app_groups"]',
        regions='["ap-southeast-1"]',
    )
    assert result.exit_code == 3
    assert {account for account, _, _ in scope_statuses(result)} == {SMALL}
    assert {row.error_code for row in result.manifest.scopes.not_complete} == {"Throttling.User"}
    assert attempts(here, SMALL) == 3 * 8


def test_where_everything_fails_there_is_no_storm_and_nothing_is_committed(tmp_path):
    """F06, P8, P4: `max_attempts` a list; that many lists of one key cost no more than 35 retries is test_retry's."""
    failing = Error(status=503, code="ServiceUnavailable", message="")
    here, result = crawl(
        tmp_path,
        prepare=lambda cloud: cloud.faults.add(failing, action="List*"),
        tables='["fc_functions", "fc_aliases", "fc2_functions", "fc2_instances"]',
    )
    assert (result.exit_code, result.manifest) == (1, None)
    assert {row.status for row in result.ledger} == {"failed"}
    assert attempts(here, BIG) == 2 * 8, "two roots; nothing below them is asked for"
    assert not list(here.output.glob("fc*"))


def test_one_account_is_configured_once(tmp_path):
    """F09: two entries of one account would have a bucket in common, and rows twice."""
    with pytest.raises(ConfigError, match=BIG):
        crawl(tmp_path, change=lambda text: text.replace(SMALL, BIG))


def test_a_wall_clock_that_steps_back_an_hour_delays_nothing(tmp_path, monkeypatch):
    """F14: waits use the monotonic clock; the server's clock corrects dates that the server refuses."""
    real = SystemClock.now

    def now(self):
        is_early = cloud.requests.count(product="fc") < 1
        return real(self) - timedelta(hours=0 if is_early else 1)

    class Straight(SystemClock):
        def now(self):
            return real(self)

    from crawler.emulator import Cloud

    cloud = Cloud(CloudSpec(rate=FAST, rates={"sts": FAST}), Straight())
    monkeypatch.setattr(SystemClock, "now", now)
    began = time.monotonic()
    here, result = crawl(tmp_path, cloud=cloud, tables='["fc_functions", "fc_aliases"]')
    assert time.monotonic() - began < 60  # with an idle machine 2 s; a wait by the wall clock would be an hour
    assert result.exit_code == 0
    assert here.cloud.requests.count(outcome="InvalidTimeStamp.Expired") >= 1


def test_a_temporary_key_that_ends_and_cannot_be_renewed_ends_the_crawl_soon(tmp_path):
    """F16: each request that was refused is the last of its list."""
    environ = {}

    def session(text):
        key = cloud.keys.issue(BIG, "inventory-reader", "given", 3600)
        environ.update(key_id=key.key_id, secret=key.secret, token=key.token)
        for name, value in (("ID", key.key_id), ("SECRET", key.secret)):
            text = text.replace(f"${{EMULATOR_KEY_{name}_1}}", value)
        return text.replace('type = "access_key"', f'type = "sts"\nsecurity_token = "{key.token}"')

    async def end(cloud):
        while cloud.requests.count(product="fc") < 1:
            await asyncio.sleep(0.001)
        cloud.expire_sessions()
        environ["ended"] = time.monotonic()

    cloud = fast_cloud(accounts=(BIG,))
    here, result = crawl(
        tmp_path,
        cloud=cloud,
        change=session,
        meanwhile=end,
        tables='["fc_*"]',
        regions='["cn-hangzhou"]',
        concurrency=4,
    )
    assert time.monotonic() - environ["ended"] < 5
    assert result.exit_code in {1, 3}
    refused = here.cloud.requests.count(outcome="InvalidSecurityToken.Expired")
    assert 1 <= refused <= 20
    assert "InvalidSecurityToken.Expired" in {row.error_code for row in result.ledger}


def test_one_key_with_two_contents_is_kept_once_and_counted(tmp_path):
    """F33, P7: the first stands; the ledger says how many there were."""

    def twice(cloud):
        records = cloud.records(BIG, "cn-shanghai", "fc.ListFunctions")
        first = {**records[0], "description": "another"}
        cloud.edit(BIG, "cn-shanghai", "fc.ListFunctions", [records[0], first, records[1], records[1]])

    here, result = crawl(tmp_path, prepare=twice)
    assert result.exit_code == 0
    [row] = [row for row in result.ledger if row.account_id == BIG]
    assert (row.rows, row.rows_seen, row.duplicates, row.conflicts) == (2, 4, 1, 1)
    found = [row["description"] for row in here.rows("fc_functions") if row["account_id"] == BIG]
    assert "another" not in found


@pytest.mark.parametrize(
    ("status", "code"), [(403, "NotActivated.Surely"), (404, "Product.Unknown"), (400, "NoSuchRegion")]
)
def test_a_code_that_nobody_knows_is_a_failure_and_never_unsupported(tmp_path, status, code):
    """F41, P5: as `unsupported` its rows would look deleted."""
    refusal = Error(status=status, code=code, message="FC might not be enabled.")
    _, result = crawl(tmp_path, prepare=lambda cloud: cloud.faults.add(refusal, account=SMALL, product="fc"))
    assert result.exit_code == 3
    assert set(scope_statuses(result).values()) <= {"failed", "denied"}
    assert {row.error_code for row in result.manifest.scopes.not_complete} == {code}


def test_an_order_that_no_page_promises_cannot_be_claimed(tmp_path):
    """F35: no list of the catalog says that it is ordered, so none is checked; a file that says so is refused."""
    target = tmp_path / "fc/2023-03-30"
    target.mkdir(parents=True)
    text = (ROOT / "schemas/fc/2023-03-30/layers.toml").read_text()
    (target / "layers.toml").write_text(text.replace("[paging]\n", '[paging]\nordered_by = "layerName"\n'))
    assert "ordered_by" not in "".join(path.read_text() for path in (ROOT / "schemas").rglob("*.toml"))
    with pytest.raises(CatalogError, match="ordered_by"):
        load_catalog([tmp_path])


# --- logs ---

HOSTILE = '\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\n2026-11-22 [info] run finished ok\n{"event": "summary"}\u2028x'


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_the_service_says_makes_no_line_and_moves_no_cursor(tmp_path, style):
    """T26, T27: one event is one line, of characters that can be printed."""
    stream = io.StringIO()

    def prepare(cloud):
        cloud.faults.add(Error(status=403, code=f"Bad{HOSTILE}", message=HOSTILE), account=SMALL, product="fc")
        log.configure(style, "debug", stream)

    try:
        crawl(tmp_path, prepare=prepare)
        # Simulate code that logs an uncleaned text; one without a space is not quoted.
        structlog.get_logger().info("told", reason=HOSTILE, name="\x1b[2Jx\u202e")
    finally:
        structlog.reset_defaults()
    text = stream.getvalue()
    assert "run finished ok" in text, "the service's words are there, harmless"
    lines = text.splitlines()
    assert len(lines) == text.count("\n") > 5
    assert all(line.isprintable() for line in lines)
    if style == "json":
        events = [json.loads(line)["event"] for line in lines]
        assert "summary" not in events
    else:
        assert not [line for line in lines if line.startswith("{") or "[info] run finished" in line[:40]]


# --- secrets ---


def test_no_option_takes_a_secret():
    """T12: arguments are for all to see in the list of processes."""
    words = ("secret", "password", "token", "key", "credential")
    commands, seen = [whole_command()], []
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        seen += [name for parameter in command.params for name in [parameter.name, *parameter.opts]]
    assert len(seen) > 100
    assert [name for name in seen if any(word in name.lower() for word in words)] == []


def test_no_plain_hash_of_a_secret_is_written(tmp_path):
    """T09: a plain hash would let an attacker confirm a guess of a weak secret."""
    here, _ = crawl(tmp_path)
    secrets = [
        value
        for record in here.cloud.records(BIG, "cn-shanghai", "fc.ListFunctions")
        for value in (record.get("environmentVariables") or {}).values()
    ]
    written = json.dumps(here.rows("fc_functions"), default=str)
    assert len(secrets) > 5
    assert written.count("hmac:") > 5
    for secret in secrets:
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            assert hashlib.new(name, secret.encode()).hexdigest()[:16] not in written


MARKER = "canary5f3a"
names = st.sampled_from(["authConfig", "AuthConfig", "PASSWORD", "userName", "payload", "x", "", "eventSourceConfig"])
marked = st.recursive(
    st.just(MARKER),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(names, inner, min_size=1, max_size=3)
        | inner.map(json.dumps)
        | inner.map(lambda value: json.dumps(json.dumps(value)))
    ),
    max_leaves=6,
)
configs = st.one_of(
    marked.map(json.dumps),
    st.dictionaries(names, marked, min_size=1, max_size=3).map(json.dumps),
    marked.map(lambda value: json.dumps(value)[:-1]),
    marked.map(lambda value: json.dumps(json.dumps({"authConfig": value}))),
    marked.map(lambda value: f"password={json.dumps(value)}"),
    marked,
)


READERS = {
    (table, mode): Normalizer(OPERATIONS[table], Redaction(mode, "fingerprint", b"k" * 32), "s")
    for table in ("fc_triggers", "fc2_triggers")
    for mode in ("fingerprint", "mask")
}


@settings(max_examples=80)
@given(
    config=configs,
    table=st.sampled_from(["fc_triggers", "fc2_triggers"]),
    mode=st.sampled_from(["fingerprint", "mask"]),
)
def test_no_secret_inside_text_gets_out_however_it_is_nested(config, table, mode):
    """T04, T08: JSON in a string, in a string, cut, in other cases, or none at all."""
    operation = OPERATIONS[table]
    body = json.dumps({operation.records[0]: [{"triggerName": "t", "triggerConfig": config}]}).encode()
    context = RowContext("1", "r", SystemClock().now(), dict.fromkeys(operation.parameters, "p"))
    page = READERS[table, mode].read(body, context)
    assert MARKER not in json.dumps(page.batch.to_pylist(), default=str)
    assert page.seen == 1


# --- size ---


@pytest.mark.trust
def test_two_hundred_thousand_functions_in_one_scope_stream(tmp_path):
    """F38, P11: rows wait in the journal and become several row groups; memory stays under 512 MiB."""
    count = 200_000

    async def main():
        async with site(tmp_path, fast_cloud(accounts=(BIG,), regions=("cn-hangzhou",))) as here:
            [first, *_] = here.cloud.records(BIG, "cn-hangzhou", "fc.ListFunctions")
            records = [{**first, "functionName": f"f{number:06}"} for number in range(count)]
            here.cloud.edit(BIG, "cn-hangzhou", "fc.ListFunctions", records)
            text, environ = write_config(here.emulator, str(here.output), rate=5000, burst=1000)
            (tmp_path / "config.toml").write_text(text)
            (tmp_path / "config.toml").chmod(0o600)
            return await anyio.to_thread.run_sync(lambda: run_command(tmp_path, environ)), here.output

    done, output = anyio.run(main)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stderr.splitlines()[-1])["rows"] == count
    assert 50 < int((tmp_path / "peak").read_text()) / 1024 < 512
    import pyarrow.parquet as pq

    groups = sum(pq.ParquetFile(path).num_row_groups for path in output.glob("fc_functions/**/*.parquet"))
    assert groups > 2


# Not `ru_maxrss`: a child's begins with the memory of the process that forked it.
PEAK = """
import atexit
from pathlib import Path
from tests.soak.watched import peak_kb
from crawler.cli import main
@atexit.register
def note_peak():
    Path("peak").write_text(str(peak_kb("self")))
main()
"""


def run_command(folder, environ):
    return subprocess.run(
        [sys.executable, "-c", PEAK, "crawl", "--table", "fc_functions", "--log-format", "json"],
        cwd=folder,
        env={**os.environ, **environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_credentials_of_nobody_are_exit_12(tmp_path):
    """T28: an account with an unexpected identity is never crawled under another's name."""

    def swap(text):
        return text.replace("EMULATOR_KEY_ID_2", "EMULATOR_KEY_ID_1").replace("KEY_SECRET_2", "KEY_SECRET_1")

    async def main():
        async with site(tmp_path) as here:
            alone = here.config(change=swap, **ONE).with_overrides(accounts=[SMALL])
            with pytest.raises(CredentialsError, match=BIG):
                await here.crawl(alone)
            assert [entry for entry in here.cloud.requests.entries if entry.product != "sts"] == []

    anyio.run(main)
