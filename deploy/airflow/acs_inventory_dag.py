"""A nightly crawl as an Airflow task, for Airflow 3.2 and newer. The exit code of the command determines the outcome.

0 succeeds. 3 (committed, but some scopes aren't complete) succeeds with a warning in the log and `partial` in the
result, so that later tasks can check it. 11 (another crawl holds the output) skips the task. 1, 2, 4 and 12 need a
person: the task fails without a retry. 13 (the cloud can't be reached), any other code, or a lost worker is retried.
The next attempt resumes what the last one has read. The result, an XCom, is a short summary.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

COMMAND = [
    os.environ.get("ACS_INVENTORY_COMMAND", "/opt/acs-inventory/bin/acs-inventory"),
    "crawl",
    "--resume=auto",
    "--config",
    os.environ.get("ACS_INVENTORY_CONFIG", "/etc/acs-inventory/config.toml"),
    "--log-format",
    "json",
    "--json",
]
NEEDS_A_PERSON = {
    1: "no scope could be read",
    2: "usage or configuration",
    4: "the output failed",
    12: "no account's credentials work",
}


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["inventory"],
)
def acs_inventory() -> None:
    """One crawl per night."""

    @task(retries=3, retry_delay=timedelta(minutes=15), execution_timeout=timedelta(hours=6))
    def crawl() -> dict[str, Any]:
        done = subprocess.run(COMMAND, stdout=subprocess.PIPE, check=False)  # noqa: S603 - configured by the operator
        if done.returncode in NEEDS_A_PERSON:
            raise AirflowFailException(f"exit code {done.returncode}: {NEEDS_A_PERSON[done.returncode]}")
        if done.returncode == 11:
            raise AirflowSkipException("another crawl holds the output")
        if done.returncode not in {0, 3}:
            raise AirflowException(f"exit code {done.returncode}: nothing was committed")
        summary = json.loads(done.stdout)
        kept = {name: summary[name] for name in ("snapshot_id", "status", "exit_code", "rows", "seconds", "uri")}
        if done.returncode == 3:
            logging.getLogger(__name__).warning("partial: %s", summary["scopes"]["by_status"])
        return {**kept, "partial": done.returncode == 3}

    crawl()


acs_inventory()
