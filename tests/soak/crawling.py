"""Runs one crawl of the soak: the emulator and the command as processes, measured from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tests.soak.served import Plan
from tests.support.process_memory import peak_kb

ROLE = "inventory-reader"
FINGERPRINT_KEY = "the-soak-has-no-secrets-to-protect"
EVERY_S = 0.25
_START_S = 60.0
# Replaces the report of `watched` if the command was killed.
KILLED: dict[str, Any] = {
    "peak_kb": 0,
    "files_at_start": 0,
    "files_at_most": 0,
    "files_left": ["killed: not measured"],
    "tasks_left": [],
    "threads_left": [],
}


@dataclass(frozen=True, slots=True)
class Crawled:
    """The exit code and the cost of the command. `most_mb` was measured from outside, `peak_mb` by the command itself.

    `left` is the report of `watched`, `summary` that of the command, `served` that of the emulator.
    """

    exit_code: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    most_mb: float
    left: dict[str, Any]
    summary: dict[str, Any]
    served: dict[str, Any]
    log: str


def crawl(plan: Plan, tables: tuple[str, ...], folder: Path, max_delay_s: float) -> Crawled:
    """Serve the plan's world, and crawl it into `folder`/output. Raises RuntimeError if the emulator doesn't start."""
    with _served(plan, folder) as described:
        config = folder / "config.toml"
        config.touch(mode=0o600)
        config.write_text(configuration(plan, described, tables, folder / "output", max_delay_s))
        status, usage, wall_s, most_kb = _run(config, folder)
    found = folder / "left.json"
    left = orjson.loads(found.read_bytes()) if found.exists() else KILLED
    return Crawled(
        exit_code=os.waitstatus_to_exitcode(status),
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=wall_s,
        peak_mb=left["peak_kb"] / 1024,
        most_mb=most_kb / 1024,
        left=left,
        summary=orjson.loads((folder / "summary.json").read_bytes() or b"{}"),
        served=orjson.loads(Path(plan.report).read_bytes()),
        log=(folder / "crawl.log").read_text("utf-8"),
    )


def configuration(
    plan: Plan, described: Mapping[str, Any], tables: tuple[str, ...], output: Path, max_delay_s: float
) -> str:
    """Return a config.toml. Every tenth account uses a role, with the keys of the account before it."""
    accounts = plan.world.account_ids
    lines = ["[crawl]", f"tables = {_toml(tables)}", f"regions = {_toml(plan.world.region_ids)}"]
    lines += ["[output]", f"uri = {_toml(str(output))}", f'fingerprint_key = "{FINGERPRINT_KEY}"']
    lines += ['fingerprint_scope = "all"']  # one template of the rows is for all accounts
    lines += ["[rate_limits]", "fc = { rate = 150, burst = 20 }", "sts = { rate = 80, burst = 20 }"]
    lines += ["[retry]", f"max_delay = {max_delay_s}"]
    lines += ["[endpoints]", f"sts = {_toml(described['sts'])}", "[endpoints.fc]"]
    lines += [f"{region} = {_toml(url)}" for region, url in described["fc"].items()]
    for number, account in enumerate(accounts):
        is_role = number % 10 == 1
        key_id, secret = described["keys"][accounts[number - 1] if is_role else account]
        lines += ["[[accounts]]", f'id = "{account}"', "[accounts.credentials]"]
        lines += [f'type = "{"ram_role_arn" if is_role else "access_key"}"']
        lines += [f'access_key_id = "{key_id}"', f'access_key_secret = "{secret}"']
        lines += [f'role_arn = "acs:ram::{account}:role/{ROLE}"'] if is_role else []
    return "\n".join(lines) + "\n"


@contextmanager
def _served(plan: Plan, folder: Path) -> Iterator[dict[str, Any]]:
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    command = [sys.executable, "-m", "tests.soak.served", str(folder / "plan.json")]
    ready = Path(plan.ready)
    with (folder / "served.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            until = time.monotonic() + _START_S
            while not ready.exists():
                if server.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the emulator doesn't serve: {(folder / 'served.log').read_text()[-2000:]}")
                time.sleep(0.02)
            yield orjson.loads(ready.read_bytes())
        finally:
            server.terminate()


def _run(config: Path, folder: Path) -> tuple[int, Any, float, int]:
    """Run the command to its end; return status, usage, seconds, and the peak of memory in kB."""
    options = ["--config", str(config), "--json", "--no-progress", "--log-format", "json"]
    python = [sys.executable, "-W", "always::ResourceWarning", "-m", "tests.soak.watched"]
    most_kb, began = 0, time.monotonic()
    with (folder / "summary.json").open("wb") as out, (folder / "crawl.log").open("wb") as log:
        process = subprocess.Popen(
            [*python, str(folder / "left.json"), "crawl", *options], stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    return status, usage, time.monotonic() - began, most_kb
                most_kb = max(most_kb, peak_kb(process.pid))
                time.sleep(EVERY_S)
        except BaseException:
            process.kill()
            process.wait()
            raise


def _toml(value: object) -> str:
    return orjson.dumps(value).decode()
