"""F25: a low limit of open files lowers the concurrency. T13: other processes cannot read keys from the memory."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import requests.utils

from crawler.cli import process
from crawler.cli.emulate import write_config
from crawler.client.proxies import ProxyRule
from crawler.run.system import open_share
from tests.support.crawl_runner import fast_cloud, site

# The command, with a /proc folder that the tests may read.
OPEN = """
import sys
from crawler.cli import process
process.keep_memory_private = lambda: None
from crawler.cli import main
main()
"""
# The start of any command: what runs in the command's place tells what it finds.
CHILD = """
import ctypes, importlib, json, os, resource, sys
module = importlib.import_module("crawler.cli.main")
def probe(_):
    core, dumpable = resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    left = {name: value for name, value in os.environ.items() if "prox" in name.lower() or name == "NETRC"}
    found = {"core": core, "dumpable": dumpable, "left": left, "aside": module.process.set_aside}
    import requests.utils
    url = "https://catalog.example/x"
    found["requests"] = [requests.utils.get_environ_proxies(url), requests.utils.get_netrc_auth(url)]
    print(json.dumps(found))
module._run = probe
module.main()
"""
ROOT = Path(__file__).parents[2]
LIMIT = 128
ALLOWED = 112


@pytest.mark.parametrize("limit", [1, 32, 64, 100, 128, 256, 1024, 1 << 20])
def test_all_shares_together_leave_room(limit):
    share = open_share(limit)
    assert share >= 1
    if limit >= 64:
        assert 3 * share + 32 <= limit * 7 / 8


def test_the_usual_limit_takes_nothing_away():
    assert open_share(1024) >= 64


async def test_a_crawl_under_a_low_limit_is_complete_and_stays_below_it(tmp_path):
    """F25."""
    most = 0
    async with site(tmp_path, fast_cloud(accounts=tuple(f"100000000000000{n}" for n in range(6)))) as place:
        text, environ = write_config(place.emulator, str(place.output), rate=5000, burst=1000)
        (tmp_path / "config.toml").write_text(text)
        (tmp_path / "config.toml").chmod(0o600)
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", OPEN, "crawl", "--table", "fc*functions", "--log-format", "json"],
            env={**os.environ, **environ, "HOME": str(tmp_path), "ACS_INVENTORY_CONFIG": str(tmp_path / "config.toml")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)),
        )
        told = asyncio.create_task(process.communicate())
        while not told.done():
            with suppress(FileNotFoundError):
                most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))
            await asyncio.sleep(0.005)
    _, lines = await told
    events = [json.loads(line) for line in lines.splitlines()]
    assert (process.returncode, events[-1]["status"]) == (0, "complete")
    assert [event["concurrency"] for event in events if event["event"] == "concurrency_lowered"] == [26]
    assert 20 < most <= ALLOWED


def begun(**environ: str) -> dict:
    environ = {**os.environ, **environ}
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=environ, check=True)
    return json.loads(child.stdout)


def test_no_command_leaves_a_dump_or_can_be_looked_into():
    """T13, T41, P15: the process is closed before a command begins, with or without a configuration."""
    found = begun()
    assert (found["core"], found["dumpable"]) == ([0, 0], 0)


def test_no_library_of_a_command_finds_a_proxy_or_a_netrc_in_the_environment(tmp_path):
    """T17, T42: the variables are set aside before anything is loaded that would take them."""
    (tmp_path / ".netrc").write_text("default login me password canary")
    given = {"HTTPS_PROXY": "http://a:1", "http_proxy": "http://b:1", "All_Proxy": "http://c:1", "no_proxy": "*"}
    found = begun(**given, HOME=str(tmp_path))
    assert found["requests"] == [{}, None]
    assert found["left"] == {"NETRC": os.devnull}
    assert found["aside"] == given


def test_the_configured_proxy_is_that_of_the_libraries(monkeypatch):
    """T42: requests and reqwest take it from the environment, which has no other."""
    monkeypatch.setenv("HTTPS_PROXY", "")
    monkeypatch.setenv("NO_PROXY", "")
    process.use_proxy(ProxyRule("http://proxy.example:3128", "near.example"))
    assert requests.utils.get_environ_proxies("https://catalog.example")["https"] == "http://proxy.example:3128"
    assert requests.utils.get_environ_proxies("https://near.example") == {}


def test_a_reader_of_a_bucket_has_closed_its_process(tmp_path):
    """T13, T41: `query --output s3://` has the bucket's keys in its environment and reads no configuration."""
    _, allowed = resource.getrlimit(resource.RLIMIT_CORE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": endpoint}
        process = subprocess.Popen(
            [sys.executable, "-m", "crawler", "query", "SELECT 1", "--output", "s3://bucket/x"],
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (allowed, allowed)),
        )
        try:
            silent.settimeout(60)
            silent.accept()[0].close()
            limits = Path(f"/proc/{process.pid}/limits").read_text()
        finally:
            process.kill()
            process.wait()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


@pytest.mark.parametrize(("chosen", "found"), [({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc")])
def test_all_threads_share_few_heaps_unless_the_user_has_chosen_others(chosen, found):
    """P11."""
    program = "from crawler.cli import process; process.keep_memory_compact(); import pyarrow as p; "
    program += "print(p.default_memory_pool().backend_name)"
    environ = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    command = [sys.executable, "-c", program]
    child = subprocess.run(command, capture_output=True, text=True, env={**environ, **chosen}, check=True)
    assert child.stdout.strip() == found


def test_a_crawl_chooses_its_heaps_before_anything_is_loaded_that_makes_some():
    program = "import sys; from crawler.cli import crawl; print({'pyarrow', 'aiohttp', 'arro3'} & set(sys.modules))"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "set()"


@pytest.mark.parametrize("error", [ValueError("not allowed to raise maximum limit"), PermissionError(1, "refused")])
def test_a_sandbox_that_refuses_limits_stops_no_command(monkeypatch, error):
    """F66: the process still can't be dumped, and takes the usual limit of open files."""
    from crawler.cli.process import keep_memory_private
    from crawler.run import system

    def refuse(*_):
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", refuse)
    monkeypatch.setattr("ctypes.CDLL", lambda _: type("Libc", (), {"prctl": staticmethod(lambda *_: -1)}))
    keep_memory_private()
    system.raise_limit()
    assert system.open_share() == system.open_share(1024)
