"""The connections of the transport: aiohttp's, with bounds on idle ones and on what precedes a response.

aiohttp queues every interim response (1xx) of a connection, and every response that nobody asked for, as fast as the
server sends them. Here none is queued, and the head of a response may take only some KiB to arrive.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

# The bytes within which the head of the response must end. aiohttp itself takes 8 KiB per field.
MAX_HEAD_BYTES = 64 * 1024
NO_HEAD = "no head of a response"
# So much is parsed at once before the head: 16 bytes of a server become an object of a kilobyte.
_PIECE_BYTES = 4 * 1024


class BoundedHandler(ResponseHandler):
    """The protocol of one connection: takes one response per request, and none without a request.

    Interim responses are dropped. Without the head of a response in the first `MAX_HEAD_BYTES` after the request, or
    with more than `max_bytes` in all, the exchange fails and the connection ends.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_bytes: int) -> None:
        super().__init__(loop)
        self._max_bytes = max_bytes
        self._awaits_head = False
        self._received = 0

    def set_response_params(self, **parameters: Any) -> None:
        """Begin an exchange."""
        self._awaits_head, self._received = True, 0
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Parse bytes, in small pieces until the head has arrived."""
        self._received += len(data)
        if self._received > self._max_bytes:
            self._refuse()
            return
        left = len(data)
        while self._awaits_head and self._parser is not None and left:
            super().data_received(data[-left:][:_PIECE_BYTES])
            left = max(0, left - _PIECE_BYTES)
            if self._awaits_head and self._received - left >= MAX_HEAD_BYTES:
                self._refuse()
            if not left or (self.transport is not None and self.transport.is_closing()):
                return
        super().data_received(data[-left:] if left else data)

    def feed_data(self, data: tuple[Any, Any], size: int = 0) -> None:
        """Take the response of the request; drop all others."""
        code = data[0].code
        if not self._awaits_head:
            self._should_close = True
            if self.transport is not None:
                self.transport.close()
        elif not 100 <= code < 200 or code == 101:
            self._awaits_head = False
            super().feed_data(data, size)

    def _refuse(self) -> None:
        """End the connection. A body that is being read breaks off by that."""
        if self._awaits_head:
            self.set_exception(HttpProcessingError(message=NO_HEAD))
        if self.transport is not None:
            self.transport.close()


class BoundedConnector(aiohttp.TCPConnector):
    """A connector that keeps at most as many idle connections as may be busy, the newest ones.

    aiohttp bounds only the busy ones, and a crawl of a thousand accounts connects to twenty thousand hosts. An exchange
    may receive `max_bytes`.
    """

    def __init__(self, *, max_bytes: int, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._factory = partial(BoundedHandler, self._loop, max_bytes)  # type: ignore[assignment]  # of a subclass

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        while sum(map(len, self._conns.values())) > self.limit:
            oldest = min((key for key, idle in self._conns.items() if idle), key=lambda key: self._conns[key][0][1])
            unused, _ = self._conns[oldest].popleft()
            if not self._conns[oldest]:
                del self._conns[oldest]
            unused.close()
