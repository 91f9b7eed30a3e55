"""An object store that answers as a test says, byte by byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Answer = bytes | Callable[["Asked"], bytes | Awaitable[None]]


@dataclass
class Asked:
    """One request, with the writer of its connection."""

    line: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter


@dataclass
class HostileStore:
    """The running store: its address, its connections and its requests."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    @property
    def lines(self) -> list[str]:
        """Method and path of each request."""
        return [one.line.rpartition(" ")[0] for one in self.asked]

    def environ(self, **more: str) -> dict[str, str]:
        """The variables by which a bucket is found in it."""
        keys = {"AWS_ACCESS_KEY_ID": "AKIATEST00000001", "AWS_SECRET_ACCESS_KEY": "canary-secret"}
        return {"AWS_ENDPOINT_URL": self.url, "AWS_SESSION_TOKEN": "canary-token", **keys, **more}


def said(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def listing(*keys: str, token: str = "") -> bytes:
    """Return a page of a listing."""
    at = "<LastModified>2026-11-29T00:00:00.000Z</LastModified>"
    rows = "".join(f"<Contents><Key>{key}</Key><Size>1</Size>{at}</Contents>" for key in keys)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return said(
        f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}{more}</ListBucketResult>'.encode()
    )


@asynccontextmanager
async def hostile_store(
    answer: Answer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[HostileStore]:
    """Serve on loopback. `answer` is what every request gets, or a function of the request that may write by itself."""
    store = HostileStore("")
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        store.connections += 1
        writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in head[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                store.asked.append(Asked(head[0], headers, body, writer))
                made = answer(store.asked[-1]) if callable(answer) else answer
                if isinstance(made, bytes):
                    writer.write(made)
                else:
                    await made
                    break
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, host, 0, ssl=tls)
    store.url = f"{'https' if tls else 'http'}://{host}:{listening.sockets[0].getsockname()[1]}"
    try:
        yield store
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()  # what is left to send would keep it open
        for _ in range(3):
            await asyncio.sleep(0)
