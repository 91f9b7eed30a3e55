"""One HTTP exchange, without redirects, retries and cookies, and with a cap on the body.

aiohttp's errors become ApiErrors here. Their texts are dropped, because they hold URLs with queries and headers with
tokens. `connections` and `name_lookup` are the parts of aiohttp that are replaced.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import anyio
from yarl import URL

from crawler.client.connections import MAX_HEAD_BYTES, NO_HEAD, BoundedConnector
from crawler.client.name_lookup import NameLookup
from crawler.client.proxies import ProxyRule
from crawler.client.response_body import LARGE_BYTES, PLAIN, BodyReader, too_large
from crawler.client.tls import tls_context
from crawler.errors import ApiError, FatalError, TransientError

_CONNECT_TIMEOUT_S = 10.0
# Four for each connection of the default concurrency: a lookup may last four times as long as a request waits for it.
MOST_LOOKUPS = 256
_SLICE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; `url` is percent-encoded, sent as it is, `timeout_s` bounds the exchange. Its repr shows no secret.

    `max_bytes` caps the body of the response, where that of a page is too much; 0: like a page.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | mmap = field(default=b"", repr=False)
    timeout_s: float = 30.0
    max_bytes: int = 0


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


class Transport:
    """The HTTP session of a whole crawl; an async context manager.

    `max_page_bytes` caps a body after decompression. Proxies of the environment are used only if `proxy` has them. At
    most `lookups` names are looked up at a time. `tls` replaces the context that `ca_file` gives.
    """

    def __init__(
        self,
        *,
        connections: int,
        max_page_bytes: int,
        ca_file: Path | None = None,
        proxy: ProxyRule | None = None,
        lookups: int = MOST_LOOKUPS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._connections = connections
        self._lookups = lookups
        self._bodies = BodyReader()
        self._max_page_bytes = max_page_bytes
        self._tls = tls or tls_context(ca_file)
        self._proxy = proxy or ProxyRule()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = BoundedConnector(
            ssl=self._tls,
            resolver=NameLookup(self._lookups),
            max_bytes=MAX_HEAD_BYTES + 2 * self._max_page_bytes,  # the marks between chunks may be as long as they are
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
        help, FatalError (`BadAddress`, `TlsFailed`, `TooLarge`, `UnknownEncoding`) if none will.
        """
        try:
            url = URL(request.url, encoded=True)
            _ = url.explicit_port  # parsed, and judged, at its first use
        except ValueError:  # of a port or an IPv6 address; it quotes the address
            raise FatalError("BadAddress", "The address isn't a URL that can be asked; correct it.") from None
        assert self._session is not None, "a Transport is used inside `async with`"
        try:
            response = await self._session.request(
                request.method,
                url,
                headers={"accept-encoding": "gzip", **request.headers},
                data=_payload(request.body) if len(request.body) else None,
                allow_redirects=False,
                proxy=self._proxy.url_for(request.url) or None,
                timeout=_timeout(request.timeout_s),
            )
            try:
                return HttpResponse(response.status, response.headers, await self._read(response, request.max_bytes))
            except BaseException:
                response.close()  # a response that was read has returned its connection
                raise
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError, too
            failure = _translated(error, _host(url), self._peer(url), request.timeout_s)
            failure.host = _host(url)
            raise failure from None

    def _peer(self, url: URL) -> str:
        """Return the host that the connection is made to: the proxy, or the host of the request."""
        proxy = self._proxy.url_for(str(url))
        return f"the proxy {_host(URL(proxy))}" if proxy else _host(url)

    async def _read(self, response: aiohttp.ClientResponse, asked_bytes: int) -> bytes:
        max_bytes = min(asked_bytes or self._max_page_bytes, self._max_page_bytes)
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        announced = response.content_length
        if announced is not None and announced > max_bytes:
            raise too_large(max_bytes)
        if encoding in PLAIN and announced is not None and announced <= min(max_bytes, LARGE_BYTES):
            return await response.read()
        return await self._bodies.read(response.content.iter_any(), encoding, max_bytes)


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


def _host(url: URL) -> str:
    """Return the host of a URL, and its port if it names one. The rest of a URL may be a secret."""
    host = url.raw_host or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{url.explicit_port}" if url.explicit_port else host


def _translated(error: Exception, host: str, peer: str, timeout_s: float) -> ApiError:
    """Return the ApiError for an error of aiohttp or the system; it keeps only the kind of failure.

    `host` is that of the request, `peer` names the end of the connection: the host or a proxy.
    """
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransientError("Timeout", f"No connection to {peer} within {_CONNECT_TIMEOUT_S:g} s.")
    if isinstance(error, TimeoutError):
        return TransientError("Timeout", f"No whole answer of {host} within {timeout_s:g} s.")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _proxy_error(error.status, host, peer)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return TransientError("ConnectionFailed", f"No connection to {peer}; see [network] proxy.")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return _tls_error(error.os_error if isinstance(error, aiohttp.ClientSSLError) else error, host)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return TransientError("DnsFailed", f"The name of {peer} was not resolved.")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or "closed by the server"
        return TransientError("ConnectionFailed", f"No connection to {peer}: {reason}.")
    if isinstance(error, aiohttp.ClientResponseError) and error.message == NO_HEAD:
        reason = f"The answer of {host} hasn't begun within {MAX_HEAD_BYTES >> 10} KiB."
        return TransientError("InvalidResponse", reason)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return TransientError("InvalidResponse", f"The answer of {host} broke off, or isn't HTTP.")
    return TransientError("ConnectionFailed", f"The connection to {peer} broke.")


def _proxy_error(status: int, host: str, proxy: str) -> ApiError:
    """Return a fatal error for a refusal, which another attempt won't change, and a transient one otherwise."""
    name = f"{proxy[0].upper()}{proxy[1:]}"
    if status in {401, 403, 407}:
        reason = f"{name} refused the connection to {host} ({status}); see [network] proxy."
        return FatalError("ProxyRefused", reason)
    return TransientError("ConnectionFailed", f"{name} made no connection to {host} ({status}).")


def _tls_error(error: OSError, host: str) -> ApiError:
    """Return a transient error for a connection that broke in the handshake, a fatal one for one that isn't trusted."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return TransientError("ConnectionFailed", f"The connection to {host} was cut while TLS was being agreed on.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return FatalError("TlsFailed", f"The TLS of {host} isn't trusted ({error.verify_message}); see [tls] ca_file.")
    reason = getattr(error, "reason", None) or type(error).__name__
    return FatalError("TlsFailed", f"No TLS with {host} ({reason}): 1.2 or later is needed.")
