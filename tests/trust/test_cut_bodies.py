"""F19, P6: an answer that breaks off at any byte, in any of six ways, leaves the rows that a whole one gives."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from crawler.catalog import load_catalog, schemas_folder
from crawler.client.client import RequestCounts, SignedAccount
from crawler.client.error_rules import load_rules
from crawler.client.request import ApiRequest
from crawler.client.retry import RetryPolicy
from crawler.client.transport import Transport
from crawler.errors import CrawlError
from crawler.normalizer import Normalizer, RowContext
from crawler.normalizer.redaction import Redaction
from crawler.testing import FakeProvider, client_over

ACCOUNT = "1000000000000001"
OPERATION = load_catalog().operations["fc_functions"]
LIST = ApiRequest("fc", "2023-03-30", "ListFunctions", "cn-hangzhou", "/2023-03-30/functions", {"limit": "100"})
CONTEXT = RowContext(ACCOUNT, "cn-hangzhou", datetime(2026, 11, 22, tzinfo=UTC), {})
RULES = load_rules(schemas_folder() / "errors.toml")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GZIP = b"Content-Encoding: gzip\r\n"


def page_of(records):
    """A page of FC 3.0's functions, with the other fields of an answer; compact, as the service sends it."""
    functions = [
        {
            "functionName": f"übergröße-{n:03}",
            "memorySize": 512 + n,
            "cpu": 0.35,
            "runtime": "python3.12",
            "environmentVariables": {"KEY": f'value {n} \\ "quoted"'},
            "layers": [{"arn": f"acs:fc:{n}", "size": 2**40 + n}],
            "vpcConfig": {"vpcId": "vpc-1", "vSwitchIds": ["a", "b"]},
            "createdTime": "2026-11-22T02:00:00Z",
        }
        for n in range(records)
    ]
    return json.dumps({"nextToken": "dG9rZW4+/w==", "functions": functions}, ensure_ascii=False).encode()


def announced(body: bytes, at: int, more: bytes = b"") -> bytes:
    return HEAD + more + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:at]


def chunked(body: bytes, at: int) -> bytes:
    """Chunks of 100 bytes; the one that is cut has announced its whole length."""
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    wire = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
    sent = at + sum(len(f"{len(piece):x}\r\n\r\n") for piece in pieces[: at // 100 + 1])
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + wire[: min(sent, len(wire) - 5)]


def by_close(body: bytes, at: int) -> bytes:
    return HEAD + b"Connection: close\r\n\r\n" + body[:at]


def gzip_cut(body: bytes, at: int) -> bytes:
    """The stream ends early, but its length claims that it is complete."""
    stream = gzip.compress(body, mtime=0)[:at]
    return announced(stream, len(stream), GZIP)


KINDS = {
    "length": announced,
    "reset": announced,
    "chunk": chunked,
    "close": by_close,
    "gzip": gzip_cut,
    "empty": lambda body, at: b"",
}


@asynccontextmanager
async def server():
    """Answers each odd request with `plan["cut"]`, each even one whole; then the connection ends, by a reset or not."""
    plan = {"cut": b"", "whole": b"", "asked": 0, "reset": False}

    async def serve(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                plan["asked"] += 1
                if plan["asked"] % 2 == 0:
                    writer.write(plan["whole"])
                    await writer.drain()
                    continue
                writer.write(plan["cut"])
                await writer.drain()
                if plan["reset"]:
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield plan, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await asyncio.sleep(0)


def client(transport, url):
    return client_over(transport, {"fc": url}, policy=RetryPolicy(max_attempts=3))


def content(page):
    return page.batch.to_pylist(), page.keys, page.token, page.total, page.coerced, page.misfits


async def odd_places(kind, body, places):
    """The places at which a cut changed the rows, was not detected, or cost more than one request."""
    normalizer, odd = Normalizer(OPERATION, Redaction("fingerprint", "fingerprint", b"k" * 32), "s"), []
    wanted = content(normalizer.read(body, CONTEXT))
    async with server() as (plan, url), Transport(connections=2, max_page_bytes=1 << 24) as transport:
        plan["whole"], plan["reset"] = announced(body, len(body)), kind == "reset"
        made = client(transport, url)
        for at in places:
            plan["cut"], plan["asked"] = KINDS[kind](body, at), 0
            channel = made.channel(ACCOUNT, "cn-hangzhou", "fc", "ListFunctions")
            try:
                tally = RequestCounts()
                page = await made.call(
                    LIST,
                    SignedAccount(ACCOUNT, FakeProvider()),
                    channel,
                    lambda body: normalizer.read(body, CONTEXT),
                    tally,
                )
            except CrawlError as error:
                odd.append((at, str(error)))
                continue
            if content(page) != wanted or plan["asked"] != 2 or tally.retries > 1:
                odd.append((at, plan["asked"], tally))
    return odd


SMALL, LARGE = page_of(3), page_of(700)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_that_is_cut_is_asked_for_again_and_comes_out_whole(kind):
    """F19, P6: every 29th byte of a page of 1 KB, and the last."""
    end = len(gzip.compress(SMALL, mtime=0)) if kind == "gzip" else len(SMALL)
    assert await odd_places(kind, SMALL, [*range(0, end, 29), end - 1][: 1 if kind == "empty" else None]) == []


@pytest.mark.trust
@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_that_is_cut_at_any_byte_comes_out_whole(kind):
    """F19, P6: every byte of a page of 1 KB; every 4999th of a large one."""
    assert 900 < len(SMALL) < 1200
    assert len(LARGE) > 200_000
    for body, step in ((SMALL, 1), (LARGE, 4999)):
        end = len(gzip.compress(body, mtime=0)) if kind == "gzip" else len(body)
        assert await odd_places(kind, body, [*range(0, end, step), end - 1]) == []


async def test_a_cut_that_is_taken_for_a_page_would_be_seen():
    """Control: a page with fewer records, whole, is another output."""
    normalizer = Normalizer(OPERATION, Redaction("mask", "fingerprint", None), "s")
    assert content(normalizer.read(page_of(2), CONTEXT)) != content(normalizer.read(SMALL, CONTEXT))
