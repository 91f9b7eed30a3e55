"""Page tokens: opaque, valid for one list only, invalid if one character is changed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

import orjson

SEAL_BYTES = 16


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a list: the key of the last record served, and the number of the next page."""

    after: tuple[str | int, ...]
    page: int


class Tokens:
    """Seals and opens tokens. They are standard Base64, to detect clients that don't encode `+`, `/` and `=`."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"token/{seed}".encode()).digest()

    def seal(self, list_id: str, position: Position) -> str:
        """Return the token of a position in a list."""
        state = orjson.dumps([list(position.after), position.page])
        return base64.b64encode(self._mark(list_id, state) + state).decode()

    def open(self, list_id: str, token: str) -> Position | None:
        """Return the token's position, None if the token isn't from this list."""
        try:
            raw = base64.b64decode(token, validate=True)
        except (binascii.Error, ValueError):
            return None
        seal, state = raw[:SEAL_BYTES], raw[SEAL_BYTES:]
        if base64.b64encode(raw).decode() != token or not hmac.compare_digest(seal, self._mark(list_id, state)):
            return None
        after, page = orjson.loads(state)
        return Position(tuple(after), page)

    def _mark(self, list_id: str, state: bytes) -> bytes:
        return hmac.digest(self._key, list_id.encode() + b"\0" + state, "sha256")[:SEAL_BYTES]
