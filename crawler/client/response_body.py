"""Reads the body of a response: capped, decompressed, and only a few large ones at a time."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import anyio

from crawler.errors import FatalError, TransientError

PLAIN = frozenset({"", "identity"})
_GZIP_NAMES = frozenset({"gzip", "x-gzip"})
_GZIP = 16 + zlib.MAX_WBITS
# A page of 100 functions has a quarter of it. Each connection may hold so much, but only a few may hold a whole page
# of the largest size, twice while it is put together.
LARGE_BYTES = 1024 * 1024
LARGE_AT_ONCE = 6


class BodyReader:
    """Reads the bodies of all connections of a transport. One that grows large waits for one of a few places."""

    def __init__(self) -> None:
        self._places = anyio.Semaphore(LARGE_AT_ONCE)

    async def read(self, chunks: AsyncIterator[bytes], encoding: str, max_bytes: int) -> bytes:
        """Return the decompressed body; a compressed one may have a quarter of `max_bytes` on the wire.

        Raises FatalError `TooLarge` and `UnknownEncoding`, TransientError `InvalidResponse` for damaged compression.
        """
        if encoding not in PLAIN | _GZIP_NAMES:
            raise FatalError("UnknownEncoding", "The answer is compressed in a way that wasn't asked for.")
        gunzip = None if encoding in PLAIN else _Gunzip(max_bytes)
        body, has_place = bytearray(), False
        try:
            async for chunk in chunks:
                body += chunk if gunzip is None else gunzip.decompress(chunk, max_bytes + 1 - len(body))
                if len(body) > max_bytes:
                    raise too_large(max_bytes)
                if len(body) >= LARGE_BYTES and not has_place:
                    await self._places.acquire()
                    has_place = True
            if gunzip is not None:
                gunzip.finish()
            return bytes(body)
        finally:
            if has_place:
                self._places.release()


class _Gunzip:
    """Decompresses one body, which may have a quarter of `max_bytes` on the wire."""

    def __init__(self, max_bytes: int) -> None:
        self._decoder = zlib.decompressobj(_GZIP)
        self._max_bytes = max_bytes
        self._received = 0

    def decompress(self, chunk: bytes, room: int) -> bytes:
        self._received += len(chunk)
        if self._received > self._max_bytes // 4:
            raise too_large(self._max_bytes)
        try:
            return self._decoder.decompress(chunk, max(1, room))
        except zlib.error:
            raise TransientError("InvalidResponse", "The compressed answer is damaged.") from None

    def finish(self) -> None:
        if not self._decoder.eof or self._decoder.unused_data:
            raise TransientError("InvalidResponse", "The compressed answer was cut, or has more after its end.")


def too_large(max_bytes: int) -> FatalError:
    """Return the error of a body with more bytes than this."""
    return FatalError(
        "TooLarge", f"The answer is larger than {max_bytes} bytes; [transport] max_page_bytes bounds pages."
    )
