"""F114: of processes that are killed or stopped, another one takes the lease; in a folder and in a real S3 server."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.object_stores import BUCKET, s3_server

ROOT = Path(__file__).parents[2]

# All times are a tenth of what they are, but for the store's seconds. Each line is an instant at which it may ask.
ATTEMPT = """
import asyncio, os, sys, time
from pathlib import Path
from crawler.clock import SystemClock
from crawler.errors import OutputBusyError, LeaseLostError
from crawler.snapshot import ObjectStore
from crawler.snapshot.location import bucket_place
from crawler.snapshot.shards import lease as leases
from crawler.snapshot.shards.store import FolderStore
leases.RENEWED_EVERY_S, leases.VALID_FOR_S, leases.DEAD_AFTER_S = 1.0, 3.0, 6.0
leases._LOOK_EVERY_S, leases._AGAIN_AFTER_S, leases._REQUEST_S = 0.5, 0.3, 1.0
async def main():
    place = sys.argv[1]
    is_bucket = place.startswith("s3://")
    store = ObjectStore(bucket_place(place, os.environ, Path("/nowhere"))) if is_bucket else FolderStore(Path(place))
    try:
        lease = await leases.Lease.acquire(store, "_staging/run-0123456789abcdef", "s00007", SystemClock(), "shard 7")
    except OutputBusyError as error:
        sys.exit(11)
    print("attempt", lease.attempt, flush=True)
    keeping = asyncio.ensure_future(lease.keep(dict))
    while lease.is_valid() and not keeping.done():
        print(time.monotonic(), flush=True)
        await asyncio.sleep(0.02)
    print("lost", flush=True)
    sys.exit(11)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as environ:
        yield environ


@pytest.fixture(params=["folder", "server"])
def start(request, tmp_path):
    """Start an attempt, whose output goes to a file; all of them are killed at the end."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    place = str(tmp_path)
    if request.param == "server":
        environ |= request.getfixturevalue("server")
        place = f"s3://{BUCKET}/{random.randbytes(6).hex()}"
    children = []

    def start():
        log = tmp_path / f"log{len(children)}"
        with log.open("wb") as opened:
            child = subprocess.Popen([sys.executable, "-c", ATTEMPT, place], env=environ, stdout=opened)
        children.append(child)
        return child, log

    yield start
    for child in children:
        child.kill()
        child.wait()


def wait_for(log, text, seconds=60):
    ends = time.monotonic() + seconds
    while text not in log.read_text():
        assert time.monotonic() < ends, log.read_text()[-200:]
        time.sleep(0.02)


def asked_at(log):
    return [float(line) for line in log.read_text().splitlines() if line[:1].isdigit() and "." in line]


@pytest.mark.trust
def test_attempt_that_is_killed_is_followed_by_another(start):
    first, first_log = start()
    wait_for(first_log, "attempt 1\n")
    time.sleep(2.5)
    second, _ = start()
    assert second.wait(30) == 11, "the first one lives"
    first.kill()
    first.wait()
    ended = asked_at(first_log)[-1]
    _, third_log = start()
    wait_for(third_log, "attempt 2\n")
    wait_for(third_log, ".")
    assert 3.0 < asked_at(third_log)[0] - ended < 30


@pytest.mark.trust
def test_attempt_that_is_stopped_never_asks_beside_its_successor(start):
    first, first_log = start()
    wait_for(first_log, "attempt 1\n")
    time.sleep(1.5)
    first.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    second, second_log = start()
    wait_for(second_log, "attempt 2\n")
    time.sleep(0.5)
    first.send_signal(signal.SIGCONT)
    assert first.wait(30) == 11
    assert first_log.read_text().endswith("lost\n")
    asked = asked_at(first_log)
    assert asked[-1] < stopped + 0.1, "it asked for nothing when it woke up"
    assert asked_at(second_log)[0] > stopped + 3
    time.sleep(3.5)
    assert second.poll() is None
    assert "lost" not in second_log.read_text(), "and took nothing from the other"
