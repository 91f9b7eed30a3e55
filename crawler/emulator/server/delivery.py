"""Sends a reply: whole, truncated, slowly, or not at all."""

from __future__ import annotations

import gzip
from http import HTTPStatus

from aiohttp import web

from crawler.clock import Clock
from crawler.emulator.faults.effects import Slow, Truncate
from crawler.emulator.responses import Response
from crawler.emulator.server.gateway import GatewayReply

GZIP_FROM_BYTES = 1024


async def deliver(request: web.BaseRequest, reply: GatewayReply, clock: Clock) -> web.StreamResponse:
    """Send the reply. The server sends the returned response, unless this function has closed the connection."""
    if reply.response is None:
        return _close(request, b"")
    response = reply.response
    _compress(request, response)
    for effect in reply.effects:
        if isinstance(effect, Truncate):
            return _close(request, _cut(response, effect))
        if isinstance(effect, Slow):
            return await _trickle(request, response, effect, clock)
    return web.Response(status=response.status, body=response.body, headers=response.headers)


def _compress(request: web.BaseRequest, response: Response) -> None:
    if "gzip" in request.headers.get("Accept-Encoding", "").lower() and len(response.body) > GZIP_FROM_BYTES:
        response.body = gzip.compress(response.body, compresslevel=1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"


def _close(request: web.BaseRequest, data: bytes) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.write(data)
        request.transport.close()
    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)


def _cut(response: Response, effect: Truncate) -> bytes:
    headers = dict(response.headers)
    body = response.body[: effect.at]
    if effect.framing == "chunk":
        headers["Transfer-Encoding"] = "chunked"
        body = f"{len(response.body):x}\r\n".encode() + body
    elif effect.framing == "length":
        headers["Content-Length"] = str(len(response.body))
    else:
        headers["Connection"] = "close"
    head = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}{lines}\r\n".encode() + body


async def _trickle(request: web.BaseRequest, response: Response, effect: Slow, clock: Clock) -> web.StreamResponse:
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(response.body)
    await stream.prepare(request)
    for start in range(0, len(response.body), effect.size):
        await clock.sleep(effect.every_s)
        await stream.write(response.body[start : start + effect.size])
    await stream.write_eof()
    return stream
