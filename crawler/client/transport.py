"""One HTTP exchange, without redirects, retries and cookies, and with a cap on the body.

The only module that imports aiohttp. Its errors become ApiErrors here. Their texts are dropped, because they hold URLs
with queries and headers with tokens.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import anyio
from yarl import URL

from crawler.client.proxies import ProxyRule
from crawler.client.tls import tls_context
from crawler.errors import ApiError, FatalError, TransientError

_CONNECT_TIMEOUT_S = 10.0
_GZIP = 16 + zlib.MAX_WBITS
_SLICE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; `url` is percent-encoded, sent as it is, `timeout_s` bounds the exchange. Its repr shows no secret.

    `most_bytes` bounds the body of the response more narrowly than the transport does.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | mmap = field(default=b"", repr=False)
    timeout_s: float = 30.0
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response, decompressed. Header names are found in any case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Request(aiohttp.ClientRequest):
    """A request that sends the given headers and no others."""

    def update_auto_headers(self, skip_auto_headers: object) -> None:
        """Add no headers."""


class _Connector(aiohttp.TCPConnector):
    """A connector that keeps at most as many idle connections as may be busy, the newest ones.

    aiohttp bounds only the busy ones, and a crawl of a thousand accounts connects to twenty thousand hosts.
    """

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        while sum(map(len, self._conns.values())) > self.limit:
            oldest = min((key for key, idle in self._conns.items() if idle), key=lambda key: self._conns[key][0][1])
            unused, _ = self._conns[oldest].popleft()
            if not self._conns[oldest]:
                del self._conns[oldest]
            unused.close()


class Transport:
    """The HTTP session of a whole crawl; an async context manager.

    `max_page_bytes` caps a body after decompression; a compressed body may have a quarter of it. Proxies of the
    environment are used only if `proxy` has them.
    """

    def __init__(
        self,
        *,
        connections: int,
        max_page_bytes: int,
        ca_file: Path | None = None,
        proxy: ProxyRule | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connections = connections
        self._max_page_bytes = max_page_bytes
        self._tls = tls or tls_context(ca_file)
        self._proxy = proxy or ProxyRule()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = _Connector(
            ssl=self._tls,
            limit=self._connections,
            keepalive_timeout=75.0,
            ttl_dns_cache=60,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            raise_for_status=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            with anyio.CancelScope(shield=True):
                await self._session.close()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send once and read the whole response of any status.

        Raises TransientError (`Timeout`, `ConnectionFailed`, `DnsFailed`, `InvalidResponse`) if another attempt may
        help, FatalError (`TlsFailed`, `TooLarge`, `UnknownEncoding`) if none will.
        """
        assert self._session is not None, "a Transport is used inside `async with`"
        try:
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers={"accept-encoding": "gzip", **request.headers},
                data=_payload(request.body) if len(request.body) else None,
                allow_redirects=False,
                proxy=self._proxy.url_for(request.url) or None,
                timeout=_timeout(request.timeout_s),
            )
            try:
                body = await self._read(response, min(self._max_page_bytes, request.most_bytes or self._max_page_bytes))
                return HttpResponse(response.status, response.headers, body)
            except BaseException:
                response.close()  # a response that was read has returned its connection
                raise
        except aiohttp.ConnectionTimeoutError:
            raise TransientError("Timeout", f"No connection within {_CONNECT_TIMEOUT_S:g} s.") from None
        except TimeoutError:
            raise TransientError("Timeout", f"No whole answer within {request.timeout_s:g} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from None

    def _read(self, response: aiohttp.ClientResponse, most_bytes: int) -> Awaitable[bytes]:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding in {"", "identity"}:
            return self._read_plain(response, most_bytes)
        if encoding not in {"gzip", "x-gzip"}:
            raise FatalError("UnknownEncoding", "The answer is compressed in a way that wasn't asked for.")
        return self._read_gzip(response, most_bytes)

    async def _read_plain(self, response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
        announced = response.content_length
        if announced is not None and announced <= most_bytes:
            return await response.read()
        if announced is not None:
            raise self._too_large(most_bytes)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > most_bytes:
                raise self._too_large(most_bytes)
        return bytes(body)

    async def _read_gzip(self, response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
        decoder, body, received = zlib.decompressobj(_GZIP), bytearray(), 0
        async for chunk in response.content.iter_any():
            received += len(chunk)
            body += self._decompress(decoder, chunk, most_bytes + 1 - len(body))
            if len(body) > most_bytes or received > most_bytes // 4:
                raise self._too_large(most_bytes)
        if not decoder.eof or decoder.unused_data:
            raise TransientError("InvalidResponse", "The compressed answer was cut, or has more after its end.")
        return bytes(body)

    @staticmethod
    def _decompress(decoder: zlib._Decompress, chunk: bytes, room: int) -> bytes:
        try:
            return decoder.decompress(chunk, max(1, room))
        except zlib.error:
            raise TransientError("InvalidResponse", "The compressed answer is damaged.") from None

    def _too_large(self, most_bytes: int) -> ApiError:
        bound = "[transport] max_page_bytes" if most_bytes == self._max_page_bytes else "its bound"
        return FatalError("TooLarge", f"The answer is larger than {bound} ({most_bytes}) allows.")


class _Slices(aiohttp.payload.Payload):
    """A large body, sent slice by slice as the server takes it, so that no copy of it is in memory."""

    _autoclose = True

    def __init__(self, value: bytes | mmap) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the base's
        """Refuse: aiohttp decodes a body only for its own messages."""
        raise TypeError("a large body isn't text")

    async def write(self, writer: aiohttp.abc.AbstractStreamWriter) -> None:
        """Send the body."""
        for start in range(0, len(self._value), _SLICE_BYTES):
            await writer.write(self._value[start : start + _SLICE_BYTES])


def _payload(body: bytes | mmap) -> bytes | _Slices:
    return body if isinstance(body, bytes) and len(body) <= _SLICE_BYTES else _Slices(body)


@lru_cache(8)
def _timeout(timeout_s: float) -> aiohttp.ClientTimeout:
    """Return the timeouts of the whole exchange and of the connection."""
    return aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_TIMEOUT_S)


def _translated(error: Exception) -> ApiError:
    """Return the ApiError for an error of aiohttp or the system; it keeps only the kind of failure."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _proxy_error(error.status)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return TransientError("ConnectionFailed", "No connection to the proxy; see [network] proxy.")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return _tls_error(error.os_error if isinstance(error, aiohttp.ClientSSLError) else error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return TransientError("DnsFailed", "The host's name was not resolved.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransientError(
            "ConnectionFailed", f"No connection: {error.os_error.strerror or 'closed by the server'}."
        )
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return TransientError("InvalidResponse", "The answer broke off, or isn't HTTP.")
    return TransientError("ConnectionFailed", "The connection broke.")


def _proxy_error(status: int) -> ApiError:
    """Return a fatal error for a refusal, which another attempt won't change, and a transient one otherwise."""
    if status in {401, 403, 407}:
        return FatalError("ProxyRefused", f"The proxy refused the connection ({status}); see [network] proxy.")
    return TransientError("ConnectionFailed", f"The proxy made no connection ({status}).")


def _tls_error(error: OSError) -> ApiError:
    """Return a transient error for a connection that broke in the handshake, a fatal one for one that isn't trusted."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return TransientError("ConnectionFailed", "The connection was cut while TLS was being agreed on.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return FatalError("TlsFailed", f"The server's TLS isn't trusted ({error.verify_message}); see [tls] ca_file.")
    reason = getattr(error, "reason", None) or type(error).__name__
    return FatalError("TlsFailed", f"No TLS with the server ({reason}): 1.2 or later is needed.")
