"""Replaces secrets by a keyed fingerprint or a mask, or keeps them if the configuration says so.

A fingerprint is `hmac:` and 16 hex digits of HMAC-SHA-256: equal secrets have equal fingerprints in all snapshots, and
a guess can't be tested without the key.
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


def base64_cores(text: bytes) -> tuple[str, ...]:
    """Return the texts of which each Base64 text has one, if its bytes contain `text`: one for each offset modulo 3."""
    cores = []
    for start in range(3):
        encoded = base64.b64encode(bytes(start) + text).decode()
        first, end = -(-start * 8 // 6), (start + len(text)) * 8 // 6
        cores.append(encoded[first:end])
    return tuple(cores)


# Never written, even with secrets = "keep": private keys (plain, in a URL, in Base64) and URLs that are credentials.
_KEY_CORES = base64_cores(b"PRIVATE KEY")
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


# The beginnings of all secret markers: half as many searches.
_STEMS = tuple(stem.lower().encode() for stem in ("PRIVATE", *_KEY_CORES, "Signature", "security-token"))


# The secret markers as a case-insensitive regular expression in the syntax of RE2.
MARKS = "|".join(re.escape(mark.decode()) for mark in _MARKS)


def has_secret_markers(body: bytes) -> bool:
    """Whether text in this JSON may hold a secret that is never kept, or a lone surrogate. Escapes may hide both."""
    if b"\\u" in body:
        return True
    lower = body.lower()  # a case-insensitive search takes 15 times as long
    for stem in _STEMS:  # most pages have none
        if stem in lower:
            return any(mark in lower for mark in _MARKS)
    return False


def is_never_kept(text: str) -> bool:
    """Whether the text contains a private key or a signed URL."""
    return _NEVER.search(text) is not None


class _Hmac:
    """HMAC-SHA-256 (RFC 2104) that hashes the key's two blocks once: `hmac.digest` takes twice as long per text."""

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
    """The redaction of one crawl. Without a `key` masks replace fingerprints."""

    def __init__(self, secrets: Mode, unknown: Literal["fingerprint", "keep"], key: bytes | None) -> None:
        self.mode: Mode = "mask" if secrets == "fingerprint" and key is None else secrets
        self._keeps_unknown = unknown == "keep"
        self._key = None if secrets == "mask" else key
        self._hmac = None if self._key is None else _Hmac(self._key)

    @property
    def key_id(self) -> str:
        """Sixteen hex digits that identify the key without revealing it; "" without a key."""
        return "" if self._key is None else hmac.digest(self._key, b"the key's own fingerprint", "sha256").hex()[:16]

    def fingerprint(self, text: str) -> str:
        """Return the fingerprint of a text, or the mask without a key. Empty text stays."""
        if not text:
            return text
        if self._hmac is None:
            return MASK
        return "hmac:" + self._hmac.digest(text.encode("utf-8", "surrogatepass")).hex()[:16]

    def secret(self, value: Any) -> str | None:
        """Redact a secret scalar. Null stays null; numbers and booleans count as their JSON text."""
        if value is None:
            return None
        text = value if isinstance(value, str) else to_text(value)
        is_kept = self.mode == "keep" and not is_never_kept(text) and is_encodable(text)
        return text if is_kept else self.fingerprint(text)

    def secret_tree(self, value: Any) -> Any:
        """Redact all scalars of a JSON value as `secret` does; names and nesting stay.

        If secrets are kept, numbers and booleans keep their types.
        """
        return _map_leaves(value, self.hide_never_kept if self.mode == "keep" else self.secret)

    def secret_node(self, value: Any) -> Any:
        """Redact, for `_extra`, a type mismatch in a column with a secret.

        The result is one fingerprint of its JSON text; null and empty text stay. If secrets are kept, so is the value.
        """
        if self.mode == "keep" or value is None or value == "":
            return self.hide_never_kept_tree(value)
        return self.fingerprint(to_text(_map_leaves(value, lambda leaf: leaf)))

    def unknown(self, value: Any) -> Any:
        """Redact the texts of an unknown field, for `_extra`."""
        return _map_leaves(value, self.hide_never_kept if self._keeps_unknown else self._hide_text)

    def unknown_beside_secrets(self, value: Any) -> Any:
        """Redact the texts of an unknown field next to secrets: they are kept only if secrets are kept."""
        return self.unknown(value) if self.mode == "keep" else _map_leaves(value, self._hide_text)

    def hide_never_kept(self, value: Any) -> Any:
        """Redact a text that is never kept; return other values as they are."""
        return self.fingerprint(value) if isinstance(value, str) and is_never_kept(value) else value

    def hide_never_kept_tree(self, value: Any) -> Any:
        """Apply `hide_never_kept` to all leaves of a JSON value."""
        return _map_leaves(value, self.hide_never_kept)

    def _hide_text(self, value: Any) -> Any:
        return self.fingerprint(value) if isinstance(value, str) else value


def _map_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change all leaves of a value; the values of a name that an object has twice become a plain list."""
    if isinstance(value, dict):
        return {name: _map_leaves(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_map_leaves(item, change) for item in value]
    return change(value)
