"""F56, P3: resuming a killed crawl requests no complete scope again, and gives the same rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from crawler.catalog import load_catalog
from crawler.cli.emulate import write_config
from crawler.client.client import Client
from crawler.emulator import Deny, Throttle, serve
from crawler.errors import ConfigError
from crawler.run.progress import CrawlMonitor
from crawler.run.run import crawl as crawl_once
from tests.support import command_server
from tests.support.crawl_runner import BIG, SMALL, fast_cloud, site
from tests.support.journals import records

ROOT = Path(__file__).parents[2]
CATALOG = load_catalog()
TABLES = CATALOG.select(["fc_*", "fc2_*"])
REGION = "cn-shanghai"
CHOSEN = {"tables": '["fc_*", "fc2_*"]', "regions": f'["{REGION}"]'}


def content(here):
    """Every row of every table, without the columns that identify the crawl."""
    rows = Counter()
    for table in TABLES:
        for row in here.rows(table):
            del row["snapshot_id"], row["fetched_at"]
            rows[table, json.dumps(row, sort_keys=True, default=str)] += 1
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result of an uninterrupted crawl: its rows, its ledger and its number of requests."""

    async def main():
        async with site(tmp_path_factory.mktemp("whole"), fast_cloud(accounts=(BIG,))) as here:
            result = await here.crawl(here.config(**CHOSEN))
            return content(here), result, here.cloud.requests.count()

    return anyio.run(main)


async def stopped(here, config, when):
    """Stop a crawl as soon as a condition holds, and return its monitor."""
    watch = CrawlMonitor()
    async with anyio.create_task_group() as tasks:

        async def run():
            result = await crawl_once(config, here.surroundings(), watch)
            pytest.fail(f"it ended before it could be stopped: {result.exit_code}")

        tasks.start_soon(run)
        with anyio.fail_after(60):
            while not when():
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    return watch


def journal(here):
    """The rows of the scopes that the unfinished crawl had noted."""
    return noted_in(here.output)


def noted_in(folder):
    """The ledger's rows in the journals of an output, as far as they are written."""
    contents = [path.read_bytes() for path in sorted(folder.glob("_staging/2*/journal*"))]
    return [record["row"] for content in contents for record, _ in records(content) if record.get("type") == "scope"]


def requests_by_scope(cloud):
    return Counter((entry.account, entry.region, f"{entry.product}.{entry.action}") for entry in cloud.requests.entries)


def scope_of(row):
    operation = CATALOG.operations[row["table"]]
    return row["account_id"], row["region_id"], f"{operation.product}.{operation.action}"


@pytest.mark.parametrize("share", [pytest.param(share, marks=pytest.mark.trust) for share in (0.4, 0.8, 0.97)] + [0.6])
def test_wherever_it_was_stopped_the_rows_are_those_of_one_crawl_and_nothing_whole_is_asked_for_twice(
    tmp_path, whole, share
):
    rows, uninterrupted, requests = whole

    async def main():
        async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
            config = here.config(**CHOSEN)
            watch = await stopped(here, config, lambda: here.cloud.requests.count() >= requests * share)
            assert watch.can_resume
            noted = journal(here)
            before = requests_by_scope(here.cloud)
            result = await crawl_once(config, here.surroundings(), resume=True)
            asked = requests_by_scope(here.cloud) - before
            assert noted, "nothing was whole yet"
            assert result.resumed_scopes == len(noted)
            assert not {scope_of(row) for row in noted} & asked.keys()
            assert result.snapshot_id == watch.snapshot_id
            assert content(here) == rows
            return here, result

    here, result = anyio.run(main)
    assert (result.exit_code, result.manifest.status) == (0, "complete")
    same = ("account_id", "region_id", "table", "status", "written", "rows", "rows_seen", "lists", "pages", "vanished")
    assert sorted([getattr(row, name) for name in same] for row in result.ledger) == sorted(
        [getattr(row, name) for name in same] for row in uninterrupted.ledger
    )
    assert result.manifest.plan_sha256 == uninterrupted.manifest.plan_sha256
    assert result.manifest.unknown_fields == uninterrupted.manifest.unknown_fields
    assert [path.name for path in (here.output / "_staging").iterdir()] == ["lock"]


def test_it_begins_without_the_bursts_that_the_stopped_crawl_may_have_used_up(tmp_path, monkeypatch):
    spent, spend = [], Client.spend_bursts
    monkeypatch.setattr(Client, "spend_bursts", lambda self: (spent.append(self.total.requests), spend(self)))

    async def main():
        async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
            config = here.config(**CHOSEN)
            await stopped(here, config, lambda: bool(journal(here)))
            assert spent == []
            result = await crawl_once(config, here.surroundings(), resume=True)
            assert result.resumed_scopes

    anyio.run(main)
    assert spent == [0], "once, before the first request"


def test_what_failed_is_asked_for_again_with_every_list(tmp_path):
    """Triggers are denied before the functions, whose lists they hang from, are through."""

    async def main():
        async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
            config = here.config(tables='["fc2_triggers", "fc2_instances"]', regions=f'["{REGION}"]')
            faults = here.cloud.faults
            faults.add(Deny(), account=BIG, action="ListTriggers")
            faults.add(Throttle(retry_after_ms=600_000), action="ListInstances")
            await stopped(
                here, config, lambda: {row["table"] for row in journal(here)} == {"fc2_services", "fc2_functions"}
            )
            assert faults.rules[0].fired
            faults.rules.clear()
            before = requests_by_scope(here.cloud)
            result = await crawl_once(config, here.surroundings(), resume=True)
            assert (result.exit_code, result.resumed_scopes) == (0, 2)
            asked = requests_by_scope(here.cloud) - before
            assert {name for _, _, name in asked} == {
                "sts.GetCallerIdentity",
                "fc-open.ListInstances",
                "fc-open.ListTriggers",
            }
            assert {table: entry.rows for table, entry in result.manifest.tables.items()} == {
                "fc2_triggers": here.cloud.counts()[BIG, REGION, "fc-open.ListTriggers"],
                "fc2_instances": here.cloud.counts()[BIG, REGION, "fc-open.ListInstances"],
            }

    anyio.run(main)


def test_an_account_that_is_refused_now_keeps_what_it_had(tmp_path):
    def swapped(text):
        return text.replace("_ID_2", "_ID_1").replace("_SECRET_2", "_SECRET_1")

    async def main():
        async with site(tmp_path) as here:
            chosen = {"tables": '["fc_functions", "fc_layers", "fc_triggers"]', "regions": f'["{REGION}"]'}
            here.cloud.faults.add(Throttle(retry_after_ms=600_000), action="ListTriggers")
            await stopped(here, here.config(**chosen), lambda: len(journal(here)) == 4)
            here.cloud.faults.rules.clear()
            result = await crawl_once(here.config(change=swapped, **chosen), here.surroundings(), resume=True)
            assert result.exit_code == 3
            assert {row.table: row.status for row in result.ledger if row.account_id == SMALL} == {
                "fc_functions": "complete",
                "fc_layers": "complete",
                "fc_triggers": "failed",
            }
            assert result.manifest.tables["fc_layers"].rows == sum(
                here.cloud.counts()[account, REGION, "fc.ListLayers"] for account in (BIG, SMALL)
            )

    anyio.run(main)


OTHERWISE = [
    ({"regions": '["cn-hangzhou", "cn-shanghai"]'}, str, "other accounts, regions, tables or columns"),
    ({"tables": '["fc_*"]'}, str, "other accounts, regions, tables or columns"),
    ({}, lambda text: text.replace("[output]\n", '[output]\nsecrets = "keep"\n'), "another [output] secrets;"),
    ({}, lambda text: text.replace("[output]\n", '[output]\nunknown = "keep"\n'), "another [output] unknown;"),
    (
        {},
        lambda text: text.replace('"${ACS_INVENTORY_DEMO_KEY}"', '"another-key-of-32-characters-and-more"'),
        "another fingerprint key",
    ),
    ({"details": '["fc_functions"]'}, str, "another [crawl] details"),
    ({}, lambda text: text + '\n[opensearch]\nfunctions = ["ctr"]\n', "another [opensearch] functions"),
]


def test_a_crawl_with_another_plan_or_other_secrets_does_not_go_on_and_says_why(tmp_path):
    """The staged files stay as they are, for a crawl that may resume them."""

    async def main():
        async with site(tmp_path, fast_cloud(accounts=(BIG,))) as here:
            await stopped(here, here.config(**CHOSEN), lambda: len(journal(here)) >= 3)
            staged = {path: path.read_bytes() for path in here.output.glob("_staging/2*/**/*") if path.is_file()}
            for keys, change, reason in OTHERWISE:
                with pytest.raises(ConfigError) as caught:
                    await crawl_once(here.config(change=change, **(CHOSEN | keys)), here.surroundings(), resume=True)
                assert f"was begun with {reason}" in str(caught.value)
                assert "crawl without --resume" in str(caught.value)
                now = {path: path.read_bytes() for path in here.output.glob("_staging/2*/**/*") if path.is_file()}
                assert now == staged
            result = await crawl_once(here.config(**CHOSEN), here.surroundings(), resume=True)
            assert result.exit_code == 0

    anyio.run(main)


# --- processes -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An emulated cloud, a configuration that crawls it at 40 requests per second, and its variables."""
    folder, cloud = tmp_path_factory.mktemp("served"), fast_cloud(accounts=(BIG,))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(cloud)) as emulator,
    ):
        text, environ = write_config(emulator, "unused", rate=40, burst=5)
        keys = "".join(f"{key} = {value}\n" for key, value in CHOSEN.items())
        text = "\n".join(line for line in text.splitlines() if not line.startswith("regions"))
        (folder / "config.toml").write_text(text.replace("[crawl]\n", f"[crawl]\n{keys}"))
        yield cloud, folder / "config.toml", environ


def command(served, folder, *more):
    """The arguments of a process that crawls into a folder."""
    _, config, environ = served
    return {
        "args": [sys.executable, "-m", "crawler", "crawl", "--config", config, "--output", folder, "--json", *more],
        "env": {
            **os.environ,
            **environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "HOME": str(folder.parent),
        },
        "cwd": folder.parent,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def resumed(served, folder):
    """`--resume` to its end."""
    asked = command(served, folder, "--resume")
    return command_server.run(asked["args"][3:], cwd=asked["cwd"], env=asked["env"])


def stop_after(process, folder, scopes, number):
    """Send a signal once so many scopes are noted; its stderr."""
    deadline = time.monotonic() + 60
    while len(noted_in(folder)) < scopes:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    return process.communicate(timeout=20)[1]


def test_killed_after_some_scopes_it_goes_on_in_another_process(served, tmp_path):
    cloud, folder = served[0], tmp_path / "out"
    killed = subprocess.Popen(**command(served, folder))
    stop_after(killed, folder, 5, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    time.sleep(0.2)  # for requests in flight when it died
    [staged], noted = folder.glob("_staging/2*"), noted_in(folder)
    before = requests_by_scope(cloud)
    done = resumed(served, folder)
    assert done.returncode == 0, done.stderr
    asked = requests_by_scope(cloud) - before
    assert not {scope_of(row) for row in noted} & asked.keys()
    summary = json.loads(done.stdout)
    assert (summary["status"], summary["resumed_scopes"]) == ("complete", len(noted))
    assert summary["snapshot_id"] == staged.name
    names = {table: f"{op.product}.{op.action}" for table, op in CATALOG.operations.items()}
    assert {table: entry["rows"] for table, entry in summary["tables"].items()} == {
        table: cloud.counts()[BIG, REGION, names[table]] for table in TABLES
    }
    again = resumed(served, folder)
    assert again.returncode == 2
    assert "no unfinished crawl; crawl without --resume" in again.stderr


def test_stopped_by_a_signal_it_says_that_another_can_go_on(served, tmp_path):
    folder = tmp_path / "out"
    crawl = subprocess.Popen(**command(served, folder))
    err = stop_after(crawl, folder, 1, signal.SIGTERM)
    assert crawl.returncode == 143
    assert "Stopped; nothing was committed. `crawl --resume` continues it within 6 hours." in err
    assert list(folder.glob("*/snapshot_date=*")) == []
    done = resumed(served, folder)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "complete")
