"""Puts a reply on the wire: whole, cut short, drop by drop, or not at all."""

from __future__ import annotations

import gzip
from http import HTTPStatus

from aiohttp import web

from crawler.clock import Clock
from crawler.emulator.answers import Answer
from crawler.emulator.faults.effects import Slow, Truncate
from crawler.emulator.server.gateway import Reply

GZIP_FROM_BYTES = 1024


async def deliver(request: web.BaseRequest, reply: Reply, clock: Clock) -> web.StreamResponse:
    """Send the reply. What is returned is sent by the server, unless the connection was closed here."""
    if reply.answer is None:
        return _hang_up(request, b"")
    answer = reply.answer
    _compress(request, answer)
    for effect in reply.effects:
        if isinstance(effect, Truncate):
            return _hang_up(request, _cut(answer, effect))
        if isinstance(effect, Slow):
            return await _trickle(request, answer, effect, clock)
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _compress(request: web.BaseRequest, answer: Answer) -> None:
    if "gzip" in request.headers.get("Accept-Encoding", "").lower() and len(answer.body) > GZIP_FROM_BYTES:
        answer.body = gzip.compress(answer.body, compresslevel=1, mtime=0)
        answer.headers["Content-Encoding"] = "gzip"


def _hang_up(request: web.BaseRequest, last_words: bytes) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.write(last_words)
        request.transport.close()
    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)


def _cut(answer: Answer, effect: Truncate) -> bytes:
    headers = dict(answer.headers)
    body = answer.body[: effect.at]
    if effect.framing == "chunk":
        headers["Transfer-Encoding"] = "chunked"
        body = f"{len(answer.body):x}\r\n".encode() + body
    elif effect.framing == "length":
        headers["Content-Length"] = str(len(answer.body))
    else:
        headers["Connection"] = "close"
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{head}{lines}\r\n".encode() + body


async def _trickle(request: web.BaseRequest, answer: Answer, effect: Slow, clock: Clock) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    for start in range(0, len(answer.body), effect.size):
        await clock.sleep(effect.every_s)
        await response.write(answer.body[start : start + effect.size])
    await response.write_eof()
    return response
