"""What one request costs, counted in calls and not in seconds: a count is the same on every machine, busy or not."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
import structlog

from crawler.client.client import RequestCounts, SignedAccount
from crawler.client.dispatcher import Dispatcher
from crawler.client.rate_limit import LimitRule, TokenBuckets
from crawler.client.request import ApiRequest
from crawler.client.transport import HttpResponse, Transport
from crawler.clock import SystemClock
from crawler.testing import FakeProvider, answer, client_over
from tests.support.scheduler_run import Run

BODY = b'{"requestId":"r","layers":[{"layerName":"a"},{"layerName":"b"},{"layerName":"c"}],"nextVersion":null}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-acs-request-id: r\r\nContent-Length: %d\r\n\r\n" % len(
    BODY
)
PATH = "/2023-03-30/layers/a/versions"
REQUESTS = 200


class Counted:
    """Counts calls of Python functions, and of C functions, while the block runs; by name for whoever looks into it."""

    def __init__(self) -> None:
        self.python = Counter()
        self.c = 0

    def __enter__(self):
        gc.disable()
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        gc.enable()

    def _see(self, frame, event, _argument):
        if event == "call":
            self.python[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            self.c += 1


@pytest.fixture
async def server():
    """One connection at a time, the same answer to every request, by a protocol of few calls."""

    class Answers(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):  # noqa: ARG002
            self.transport.write(HEAD + BODY)

    listening = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()
    await asyncio.sleep(0)


async def test_a_request_takes_at_most_so_many_calls(server):
    """From the client's call to the body, with limits, signature, connection and judgement.

    299 calls of Python functions when this was written, the server's two among them; 346 before aiohttp was asked for
    no headers, 509 before it was asked for less.
    """
    dispatcher = Dispatcher(64, SystemClock())
    dispatching = asyncio.create_task(dispatcher.run())
    async with Transport(connections=64, max_page_bytes=1 << 20) as transport:
        buckets = TokenBuckets(LimitRule(10_000, 10_000))
        client = client_over(transport, {"fc": server}, limiter=dispatcher, clock=SystemClock(), buckets=buckets)
        caller, channel = (
            SignedAccount("1000000000000001", FakeProvider()),
            client.channel("1", "r", "fc", "ListLayerVersions"),
        )
        request = ApiRequest("fc", "2023-03-30", "ListLayerVersions", "cn-hangzhou", PATH, {"limit": "100"})
        assert await client.call(request, caller, channel, bytes, RequestCounts()) == BODY
        with Counted() as counted:
            for _ in range(REQUESTS):
                await client.call(request, caller, channel, bytes, RequestCounts())
    dispatching.cancel()
    calls = {name: number / REQUESTS for name, number in counted.python.items() if "looptime" not in name}
    most_called = sorted(calls.items(), key=lambda item: -item[1])
    assert 50 < sum(number for name, number in calls.items() if "/crawler/" in name) < 85, most_called
    assert sum(calls.values()) < 305, most_called
    assert counted.c / REQUESTS < 256


VERSION = {
    "acl": "0",
    "codeChecksum": "2825179536350383976",
    "codeSize": 71_024,
    "compatibleRuntime": ["python3.10"],
    "createTime": "2026-01-01T00:00:00Z",
    "description": "",
    "layerName": "NAME",
    "layerVersionArn": "acs:fc:cn-hangzhou:1:layers/NAME/versions/1",
    "license": "",
}


class Shelves:
    """A cloud of so many layers, each with the same page of three versions; what it takes to answer is left out."""

    def __init__(self, layers):
        self.listed = answer(body=json.dumps({"layers": [{"layerName": f"layer-{n}"} for n in range(layers)]}).encode())
        self.versions = json.dumps({"layers": [{**VERSION, "version": n} for n in range(3)]}).encode()

    async def send(self, request):
        await asyncio.sleep(0)
        if "/versions" not in request.url:
            return self.listed
        return HttpResponse(200, {}, self.versions.replace(b"NAME", request.url.split("/")[-2].encode()))


async def small_list_calls(folder):
    """The calls of Python and C functions that 200 lists more take, from a parent's row to its rows in the buffer."""
    calls, c_calls = Counter(), 0
    for layers in (100, 300):
        with mock.patch("crawler.snapshot.writer.MOMENT_S", math.inf), Counted() as counted:  # no flush by the clock
            run = Run(folder / str(layers), {}, ("fc_layers", "fc_layer_versions"), sender=Shelves(layers))
            row = (await run()).row("fc_layer_versions")
        assert (row.status, row.lists, row.rows) == ("complete", layers, 3 * layers)
        calls = Counter({name: number - calls[name] for name, number in counted.python.items()})
        c_calls = counted.c - c_calls
    return calls.most_common(), c_calls


def test_a_small_list_takes_at_most_so_many_calls_beside_its_exchange(tmp_path):
    """In a process of its own, in which no test before has left anything.

    200 calls of Python functions and 132 of C functions when this was written; 331 and more with a task, a cancel scope
    and layers of async generators for each, and a second look at what the gate has seen.
    """
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, __file__, str(tmp_path)]
    calls, c_calls = json.loads(subprocess.run(command, env=environ, capture_output=True, check=True).stdout)
    assert 100 < sum(number for _, number in calls) / 200 < 203, calls
    assert c_calls / 200 < 136


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    sys.stdout.write(json.dumps(asyncio.run(small_list_calls(Path(sys.argv[1])))))
