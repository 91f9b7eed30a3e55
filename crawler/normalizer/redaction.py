"""What becomes of secrets: a keyed fingerprint, a mask, or (asked for, and marked) the value itself.

A fingerprint is `hmac:` and 16 hex digits of HMAC-SHA-256: equal secrets are seen to be equal, night after night,
and nobody without the key can test a guess.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any, Literal

from crawler.normalizer.exact_json import to_text
from crawler.text import is_encodable

Mode = Literal["fingerprint", "mask", "keep"]
MASK = "***"


def _base64_cores(text: bytes) -> tuple[str, ...]:
    """What every Base64 text has in it whose bytes have this text in them: one core for each place modulo 3."""
    cores = []
    for start in range(3):
        encoded = base64.b64encode(bytes(start) + text).decode()
        first, end = -(-start * 8 // 6), (start + len(text)) * 8 // 6
        cores.append(encoded[first:end])
    return tuple(cores)


# Never written, not even with secrets = "keep": private keys (as they are, in a URL, in Base64), and URLs that are
# credentials.
_KEY_CORES = _base64_cores(b"PRIVATE KEY")
_SPACE = r"(?: |\+|%20)"


_NEVER = re.compile(
    rf"--{_SPACE}?BEGIN(?:[A-Z0-9 +]|%20){{1,80}}?PRIVATE{_SPACE}KEY|(?:Signature|security-token)(?:=|%3D)|"
    + "|".join(map(re.escape, _KEY_CORES)),
    re.IGNORECASE | re.ASCII,
)


_MARKS = tuple(
    mark.lower().encode()
    for mark in (
        *("PRIVATE KEY", "PRIVATE+KEY", "PRIVATE%20KEY", *_KEY_CORES),
        *("Signature=", "Signature%3D", "security-token=", "security-token%3D"),
    )
)


# What all marks begin with: half as many searches.
_STEMS = tuple(stem.lower().encode() for stem in ("PRIVATE", *_KEY_CORES, "Signature", "security-token"))


# The marks as a regular expression for a search without regard to case, in RE2's syntax.
MARKS = "|".join(re.escape(mark.decode()) for mark in _MARKS)


def needs_care(body: bytes) -> bool:
    """Whether text in these bytes of JSON may hold what is never kept, or what no file can: escapes hide both."""
    if b"\\u" in body:
        return True
    lower = body.lower()  # a search without regard to case takes 15 times as long
    for stem in _STEMS:  # most pages have none
        if stem in lower:
            return any(mark in lower for mark in _MARKS)
    return False


def is_never_kept(text: str) -> bool:
    """Whether the text is or holds a private key or a signed URL."""
    return _NEVER.search(text) is not None


class _Hmac:
    """HMAC-SHA-256 (RFC 2104) with the key's two blocks hashed once: `hmac.digest` takes twice as long a text."""

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, text: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()


class Redaction:
    """One crawl's way with secrets. `key` None means that no fingerprint can be made: masks stand in."""

    def __init__(self, secrets: Mode, unknown: Literal["fingerprint", "keep"], key: bytes | None) -> None:
        self.mode: Mode = "mask" if secrets == "fingerprint" and key is None else secrets
        self._keeps_unknown = unknown == "keep"
        self._key = None if secrets == "mask" else key
        self._hmac = None if self._key is None else _Hmac(self._key)

    @property
    def key_id(self) -> str:
        """Sixteen hex digits that differ from key to key, by which nobody finds the key; empty without one."""
        return "" if self._key is None else hmac.digest(self._key, b"the key's own fingerprint", "sha256").hex()[:16]

    def hidden(self, text: str) -> str:
        """The fingerprint of a text, or the mask where there is no key. Empty text stays."""
        if not text:
            return text
        if self._hmac is None:
            return MASK
        return "hmac:" + self._hmac.digest(text.encode("utf-8", "surrogatepass")).hex()[:16]

    def secret(self, value: Any) -> str | None:
        """What is written for a secret scalar. Null stays null; numbers and flags count as their JSON text."""
        if value is None:
            return None
        text = value if isinstance(value, str) else to_text(value)
        is_kept = self.mode == "keep" and not is_never_kept(text) and is_encodable(text)
        return text if is_kept else self.hidden(text)

    def secret_tree(self, value: Any) -> Any:
        """A JSON value with every scalar below it replaced as `secret` does; names and nesting stay.

        Where secrets are kept, numbers and flags stay what they are.
        """
        return _map_leaves(value, self.guarded if self.mode == "keep" else self.secret)

    def secret_node(self, value: Any) -> Any:
        """What stands in `_extra` for a node with a secret in it that has the wrong type.

        One fingerprint, of its JSON text; null and the empty text stay. The value itself where secrets are kept.
        """
        if self.mode == "keep" or value is None or value == "":
            return self.guarded_tree(value)
        return self.hidden(to_text(_map_leaves(value, lambda leaf: leaf)))

    def unknown(self, value: Any) -> Any:
        """What stands in `_extra` for a field that the schema doesn't know: its text leaves are hidden."""
        return _map_leaves(value, self.guarded if self._keeps_unknown else self._hide_text)

    def unknown_beside_secrets(self, value: Any) -> Any:
        """The same where secrets are expected: only who keeps secrets keeps its text."""
        return self.unknown(value) if self.mode == "keep" else _map_leaves(value, self._hide_text)

    def guarded(self, value: Any) -> Any:
        """The value, with text that is never kept hidden."""
        return self.hidden(value) if isinstance(value, str) and is_never_kept(value) else value

    def guarded_tree(self, value: Any) -> Any:
        """`guarded` for every leaf of a JSON value."""
        return _map_leaves(value, self.guarded)

    def _hide_text(self, value: Any) -> Any:
        return self.hidden(value) if isinstance(value, str) else value


def _map_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with every leaf changed; the values of a name that an object has twice become a plain list."""
    if isinstance(value, dict):
        return {name: _map_leaves(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_map_leaves(item, change) for item in value]
    return change(value)
