"""Servers that send more responses than were asked for: none is kept, and the exchange or the connection ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager, suppress

import pytest

from crawler.client.connections import MAX_HEAD_BYTES, BoundedHandler
from crawler.client.transport import HttpRequest, HttpResponse, Transport
from crawler.errors import TransientError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
INTERIM = b"HTTP/1.1 199 \r\n\r\n"


@asynccontextmanager
async def server(answer):
    """A server that passes the writer of each connection, after its first request, to `answer`. Gives its URL."""

    async def serve(reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    finally:
        listening.close()


def endless(head: bytes, written: list[int]):
    async def answer(_, writer):
        while not writer.is_closing():
            writer.write(head * 4000)
            await writer.drain()
            written.append(4000 * len(head))

    return answer


async def sent(url: str) -> HttpResponse:
    async with Transport(connections=1, max_page_bytes=1 << 20) as transport:
        return await transport.send(HttpRequest("GET", url, {}, timeout_s=20.0))


@pytest.mark.parametrize("code", [b"100 Continue", b"103 Early Hints", b"199 "])
@pytest.mark.parametrize("fields", [b"", b"Link: </x>; rel=preload\r\n" * 50])
async def test_interim_responses_without_end_are_cut_off(code, fields):
    """T45: after some KiB, and as an error that another attempt may help."""
    written: list[int] = []
    async with server(endless(b"HTTP/1.1 " + code + b"\r\n" + fields + b"\r\n", written)) as url:
        with pytest.raises(TransientError, match=r"The answer of \S+ hasn't begun within 64 KiB") as caught:
            await sent(url)
    assert caught.value.http_status == 0
    assert sum(written) < 64 * MAX_HEAD_BYTES  # the rest is in buffers of the system


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
async def test_some_interim_responses_before_the_response_do_no_harm(size):
    """T45: a gateway may send them, in packets of any size."""

    async def answer(_, writer):
        text = INTERIM * 20 + b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK
        for at in range(0, len(text), size):
            writer.write(text[at : at + size])
            await writer.drain()

    async with server(answer) as url:
        assert (await sent(url)).body == b"{}"


async def test_a_head_in_one_packet_with_a_large_body_is_read_whole():
    body = bytes(range(256)) * 4000

    async def answer(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: %s\r\n\r\n" % (len(body), b"y" * 5000) + body)
        await writer.drain()

    async with server(answer) as url:
        assert (await sent(url)).body == body


@pytest.mark.parametrize("more", [OK, INTERIM], ids=["responses", "interim"])
async def test_responses_that_were_not_asked_for_end_the_connection(more):
    """T45: the response is taken; what follows is not kept, and the next request has a connection of its own."""
    connections = []

    async def answer(reader, writer):
        connections.append(writer)
        writer.write(OK)
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(more * 1000)
                await writer.drain()

    async with server(answer) as url, Transport(connections=1, max_page_bytes=1 << 20) as transport:
        for _ in range(3):
            assert (await transport.send(HttpRequest("GET", url, {}, timeout_s=20.0))).body == b"{}"
    assert len(connections) == 3


@pytest.mark.parametrize("chunks", [b"1;a=b;c=d\r\nx\r\n", b"0" * 100, b"1;" + b"a=b;" * 25])
async def test_chunks_that_carry_next_to_nothing_are_cut_off(chunks):
    """T45: extensions and leading zeros of chunks aren't part of the body that is bounded."""

    async def answer(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        more = chunks if chunks.endswith(b"\n") else chunks[2:]
        while not writer.is_closing():
            writer.write(more * 1000)
            await writer.drain()

    async with server(answer) as url:
        with pytest.raises(TransientError, match="InvalidResponse"):
            await sent(url)


async def test_an_idle_connection_takes_no_response():
    """T45: a server that answers before it is asked has its connection closed, and nothing of it is believed."""
    idle, closed = asyncio.Event(), asyncio.Event()

    async def answer(reader, writer):
        writer.write(OK)
        await idle.wait()
        writer.write(OK.replace(b"{}", b"[]") * 3)
        if not await reader.read():
            closed.set()

    async with server(answer) as url, Transport(connections=1, max_page_bytes=1 << 20) as transport:
        assert (await transport.send(HttpRequest("GET", url, {}, timeout_s=20.0))).body == b"{}"
        idle.set()
        await asyncio.wait_for(closed.wait(), 5)


async def test_no_response_is_queued_but_the_one_that_was_asked_for():
    """T45."""
    handler = BoundedHandler(asyncio.get_running_loop(), 1 << 20)
    handler.set_response_params()
    handler.data_received(INTERIM * 1000)
    assert len(handler) == 0
    handler.data_received(INTERIM + OK * 1000)
    assert len(handler) == 1
    assert handler.should_close


FLOODED = """
import anyio, sys
from tests.support.process_memory import peak_kb
from crawler.errors import TransientError
from crawler.client.transport import HttpRequest, Transport

async def main():
    async with Transport(connections=16, max_page_bytes=16 << 20) as transport:
        before, codes = peak_kb("self"), set()
        async def one():
            try:
                await transport.send(HttpRequest("GET", sys.argv[1], {}, timeout_s=30))
            except TransientError as error:
                codes.add(error.code)
        async with anyio.create_task_group() as tasks:
            for _ in range(16):
                tasks.start_soon(one)
        print(*codes, peak_kb("self") - before)

anyio.run(main, backend_options={"use_uvloop": True})
"""


async def test_interim_responses_on_many_connections_take_bounded_memory():
    """T45: 16 connections at once, with uvloop, which reads a quarter of a MiB at a time."""
    async with server(endless(INTERIM, [])) as url:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", FLOODED, url, stdout=subprocess.PIPE)
        out, _ = await child.communicate()
    code, grown_kib = out.split()
    assert code == b"InvalidResponse"
    assert int(grown_kib) < 128 * 1024
