"""A nightly crawl by 32 mapped tasks, of which 8 run at once, and a task that joins them. For Airflow 3.2 and newer.

The run of the DAG is the run of the crawl: its `run_id` is the key that all shards share. The shards run on whatever
workers the tasks get, so the output is a bucket. The first shard plans, the last one joins and commits. `commit` gives
the result; if a shard was lost, it commits what there is.

A shard succeeds if its report is written, whatever its scopes came to. 2 (usage, or another configuration than the
plan's) and 4 (the output can't be written) fail it without a retry. Any other code, or a lost worker, is retried:
11 means that an earlier attempt still holds the shard, until a minute after its last sign of life.

`commit` succeeds on 0 and on 3 (committed, but some scopes aren't complete), then with `partial` in its result, so that
later tasks can check it. 1, 2, 4 and 12 fail it without a retry. The result, an XCom, is a short summary, shorter if a
shard has joined the run already.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

COMMAND = os.environ.get("ACS_INVENTORY_COMMAND", "/opt/acs-inventory/bin/acs-inventory")
CONFIG = os.environ.get("ACS_INVENTORY_CONFIG", "/etc/acs-inventory/config.toml")
SHARDS = 32
AT_ONCE = 8
GRACE_S = 20.0  # after SIGTERM a shard ends within 10 s
SHARD_NEEDS_A_PERSON = {2: "usage, or another configuration than the plan's", 4: "the output can't be written"}
COMMIT_NEEDS_A_PERSON = {
    1: "nothing was committed",
    2: "usage or configuration, or no shard has begun",
    4: "the output failed",
    12: "no account's credentials work",
}


def run_command(*arguments: str) -> tuple[int, bytes]:
    """Run the command, its log in the task's log. Returns its exit code and its stdout.

    If the task is ended meanwhile, such as by `execution_timeout`, the command gets SIGTERM.
    """
    command = [COMMAND, *arguments, "--config", CONFIG, "--log-format", "json"]
    # Its log goes to the task's stdout, since Airflow takes each line of stderr for an error.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=1) as process:  # noqa: S603 - configured by the operator
        try:
            stdout, _ = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, stdout


def raise_unless_done(code: int, done: set[int], needs_a_person: dict[int, str]) -> None:
    """Turn an exit code into the outcome of the task."""
    if code in needs_a_person:
        raise AirflowFailException(f"exit code {code}: {needs_a_person[code]}")
    if code not in done:
        raise AirflowException(f"exit code {code}")


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["inventory"],
)
def acs_inventory_sharded() -> None:
    """One crawl per night, on as many workers as there are."""

    @task(
        retries=2,
        retry_delay=timedelta(minutes=2),
        execution_timeout=timedelta(hours=5),
        max_active_tis_per_dagrun=AT_ONCE,
    )
    def shard(number: int, run: str) -> None:
        code, _ = run_command("crawl", "--shard", f"{number}/{SHARDS}", "--run", run)
        raise_unless_done(code, {0}, SHARD_NEEDS_A_PERSON)

    @task(trigger_rule="all_done", retries=2, retry_delay=timedelta(minutes=2), execution_timeout=timedelta(hours=1))
    def commit(run: str) -> dict[str, Any]:
        code, stdout = run_command("snapshots", "commit", run, "--partial", "--json")
        raise_unless_done(code, {0, 3}, COMMIT_NEEDS_A_PERSON)
        summary = json.loads(stdout)
        if code == 3:
            logging.getLogger(__name__).warning("partial: %s", summary["snapshot_id"])
        names = ("snapshot_id", "status", "exit_code", "rows", "seconds", "uri")
        return {**{name: summary[name] for name in names if name in summary}, "partial": code == 3}

    shard.partial(run="{{ run_id }}").expand(number=list(range(SHARDS))) >> commit("{{ run_id }}")


acs_inventory_sharded()
